// SPDX-License-Identifier: Apache-2.0
/* One after the other; by weight in smooth order (edf.h). Each worker begins at a place of its own. */
#include "lb/choose.h"
#include "lb/edf.h"

struct round_robin {
	bool weighted;
	uint32_t next;                          /* equal weights */
	struct edf edf;
};

static uint32_t place_of(const struct lb_set *set, uint64_t key)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (set->hosts[i].key >= key)
			return i;
	return 0;
}

static int round_robin_init(struct lb *lb, const struct lb *old)
{
	struct round_robin *s = lb->state;
	const struct round_robin *was = old ? old->state : NULL;

	s->weighted = lb->set->weighted;
	if (s->weighted)
		return edf_init(&s->edf, lb, was && was->weighted ? &was->edf : NULL, old ? old->set : NULL);
	if (was && !was->weighted && was->next < old->set->n)
		s->next = place_of(lb->set, old->set->hosts[was->next].key);
	else if (lb->set->n)
		s->next = lb_random_below(lb, lb->set->n);
	return 0;
}

static void round_robin_fini(struct lb *lb)
{
	edf_fini(&((struct round_robin *)lb->state)->edf);
}

static uint32_t pick_equal(struct lb *lb, struct round_robin *s, const struct lb_ask *ask)
{
	uint32_t i = LB_NONE;

	/* A host that warms up is passed over as often as its factor says; at most one round for that. */
	for (uint32_t k = 0; k < lb->set->n; k++) {
		i = choose_from(lb, ask, s->next);
		if (i == LB_NONE)
			return i;
		s->next = i + 1 < lb->set->n ? i + 1 : 0;
		if (lb->cells[i]->factor >= LB_FACTOR_ONE || lb_random_below(lb, LB_FACTOR_ONE) < lb->cells[i]->factor)
			return i;
	}
	return i;
}

static uint32_t round_robin_pick(struct lb *lb, const struct lb_ask *ask)
{
	struct round_robin *s = lb->state;

	return s->weighted ? edf_pick(&s->edf, lb, ask, false) : pick_equal(lb, s, ask);
}

const struct lb_ops lb_round_robin = {
	.name = "round-robin",
	.state_size = sizeof(struct round_robin),
	.init = round_robin_init,
	.fini = round_robin_fini,
	.pick = round_robin_pick,
};
