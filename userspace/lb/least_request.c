// SPDX-License-Identifier: Apache-2.0
/*
 * Fewest requests under way. Equal weights: the better of two random hosts (Mitzenmacher 2001), which does as well as
 * looking at all and does not send every worker to the same idle host. Else turns by weight / (requests under way + 1).
 */
#include "lb/choose.h"
#include "lb/edf.h"

static int least_request_init(struct lb *lb, const struct lb *old)
{
	const struct edf *was = old ? old->state : NULL;

	if (!lb->set->weighted)
		return 0;
	return edf_init(lb->state, lb, was && was->heap ? was : NULL, old ? old->set : NULL);
}

static void least_request_fini(struct lb *lb)
{
	edf_fini(lb->state);
}

static uint32_t least_request_pick(struct lb *lb, const struct lb_ask *ask)
{
	struct edf *e = lb->state;
	uint32_t a, b;

	if (e->heap)
		return edf_pick(e, lb, ask, true);
	if (!choose_two(lb, ask, &a, &b))
		return LB_NONE;
	return lb->cells[b]->active < lb->cells[a]->active ? b : a;
}

const struct lb_ops lb_least_request = {
	.name = "least-request",
	.state_size = sizeof(struct edf),
	.init = least_request_init,
	.fini = least_request_fini,
	.pick = least_request_pick,
};
