/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Earliest deadline first: smooth weighted turns in O(log n). A host's turns lie 1/weight apart, the first one half of
 * that after its start; so 5:1:1 gives a a b a c a a, over and over. Integers only: no rounding piles up within 2^38 rounds.
 */
#pragma once
#include "weft/lb.h"

struct edf {
	uint32_t n;
	uint32_t *heap;                         /* indices of hosts, the next one first */
	uint64_t *due;                          /* by host; wraps */
	uint64_t now;                           /* deadline of the last turn */
};

/* old: deadlines of the hosts that stay are kept, by key; NULL = none. 0 or -ENOMEM. */
int edf_init(struct edf *e, struct lb *lb, const struct edf *old, const struct lb_set *old_set);
void edf_fini(struct edf *e);                   /* accepts a zeroed one */
/*
 * The usable host whose turn it is. load: weight counts by weight / (requests under way + 1). LB_NONE: none is usable.
 */
uint32_t edf_pick(struct edf *e, const struct lb *lb, const struct lb_ask *ask, bool load);
