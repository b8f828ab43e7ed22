/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maglev's table (Eisenbud et al., NSDI 2016, section 3.4) with weights: each slot of a table of
 * prime size names one of n members; a member that leaves moves few slots beside its own. The
 * proxy's balancer and the kernel's flat table use this one. Members are given in any order: the
 * result depends on their keys and weights alone.
 */
#pragma once
#include "weft/types.h"

struct maglev_member {
	uint64_t key;                           /* hash of its identity, e.g. of address and port */
	uint32_t weight;                        /* relative; 0 takes no slot */
};

/* The prime for n members: at least 100 n, of 251 509 1021 2039 4093 8191 16381 32749 65521. */
uint32_t maglev_size(size_t n);
/* Fills slot[0..size), size a prime, with member indices. -EINVAL: none has weight; -ENOMEM. */
int maglev_fill(uint32_t *slot, uint32_t size, const struct maglev_member *m, size_t n);
