/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balancing table from members and weights: slot[i] is the index of a member. Pure, and the same input gives the same
 * table on every node and after every restart.
 *
 * Random, round robin, least open: weights divided by their common divisor and expanded; when that gives more than
 * BALANCE_SLOTS (or eight slots a member, where that is more), scaled down so that each share is off by less than 1 % of
 * all, a member with weight keeping at least one slot. Repeats lie as far apart as they can, so that a counter which
 * walks the table is smooth weighted round robin. Maglev: base/maglev.h.
 */
#pragma once
#include "kern/kern.h"

#define BALANCE_SLOTS 1024

struct balance_member {
	uint64_t key;                           /* stable hash of address and port */
	uint32_t weight;                        /* 0 takes no slot */
};

/* *slot is malloc'ed, *n <= SERVICE_SLOTS_MAX; no member with weight: NULL and 0. 0 or -errno. */
int balance_fill(enum lb_algo algo, const struct balance_member *m, size_t nm, uint32_t **slot, uint32_t *n);
