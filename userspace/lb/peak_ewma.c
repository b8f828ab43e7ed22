// SPDX-License-Identifier: Apache-2.0
/*
 * Of two random hosts the one where a request would be done sooner: its response time, which a slow answer raises at once
 * and time lowers, times the requests under way with this one. Weights scale it. What is not known yet is tried once, and
 * counts as slow until it has answered.
 */
#include "lb/choose.h"

#define UNKNOWN_NS 30e6

static double cost(const struct lb *lb, uint32_t i, uint64_t now_ns)
{
	const struct lb_cell *c = lb->cells[i];
	double ns = c->ewma_ns;

	if (!c->ewma_at_ns && !c->active)
		return 0;
	if (!c->ewma_at_ns)
		ns = UNKNOWN_NS;
	else if (now_ns > c->ewma_at_ns)
		ns *= (double)LB_DECAY_NS / (double)(LB_DECAY_NS + now_ns - c->ewma_at_ns);
	return ns * (c->active + 1.0) / lb->set->hosts[i].weight;
}

static uint32_t peak_ewma_pick(struct lb *lb, const struct lb_ask *ask)
{
	uint32_t a, b;

	if (!choose_two(lb, ask, &a, &b))
		return LB_NONE;
	return a != b && cost(lb, b, ask->now_ns) < cost(lb, a, ask->now_ns) ? b : a;
}

const struct lb_ops lb_peak_ewma = {
	.name = "peak-ewma",
	.pick = peak_ewma_pick,
};
