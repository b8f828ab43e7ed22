// SPDX-License-Identifier: Apache-2.0
#include "lb/choose.h"

#define TRIES 8                                 /* draws before all are looked at */

uint32_t choose_from(const struct lb *lb, const struct lb_ask *ask, uint32_t from)
{
	for (uint32_t k = 0; k < lb->set->n; k++) {
		uint32_t i = from + k < lb->set->n ? from + k : from + k - lb->set->n;

		if (lb_usable(lb, ask, i))
			return i;
	}
	return LB_NONE;
}

/* Every usable one as likely as its factor, by one look at each (reservoir of one). */
static uint32_t look_at_all(struct lb *lb, const struct lb_ask *ask, uint32_t not)
{
	uint32_t chosen = LB_NONE, sum = 0;

	for (uint32_t i = 0; i < lb->set->n; i++) {
		if (i == not || !lb_usable(lb, ask, i))
			continue;
		sum += lb->cells[i]->factor ? lb->cells[i]->factor : 1;
		if (lb_random_below(lb, sum) < (lb->cells[i]->factor ? lb->cells[i]->factor : 1u))
			chosen = i;
	}
	return chosen;
}

static bool warm(struct lb *lb, uint32_t i)
{
	uint32_t factor = lb->cells[i]->factor;

	return factor >= LB_FACTOR_ONE || lb_random_below(lb, LB_FACTOR_ONE) < factor;
}

static uint32_t draw(struct lb *lb, const struct lb_ask *ask, uint32_t not)
{
	for (int k = 0; lb->set->n && k < TRIES; k++) {
		uint32_t i = lb_random_below(lb, lb->set->n);

		if (i != not && lb_usable(lb, ask, i) && warm(lb, i))
			return i;
	}
	return look_at_all(lb, ask, not);
}

uint32_t choose_random(struct lb *lb, const struct lb_ask *ask)
{
	return draw(lb, ask, LB_NONE);
}

bool choose_two(struct lb *lb, const struct lb_ask *ask, uint32_t *a, uint32_t *b)
{
	*a = draw(lb, ask, LB_NONE);
	*b = *a;
	if (*a == LB_NONE)
		return false;
	if (lb->set->n > 1)
		*b = draw(lb, ask, *a);
	if (*b == LB_NONE)
		*b = *a;
	return true;
}
