/* SPDX-License-Identifier: Apache-2.0 */
/* One balancer over hosts with given weights, driven by hand. Seeds are fixed: a run repeats. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "weft/lb.h"
#include "weft/net_filter.h"

#define KIT_HOSTS 128

struct kit {
	struct lb lb;
	struct lb_set set;
	struct lb_host hosts[KIT_HOSTS];
	struct host host[KIT_HOSTS];
	struct lb_cell cell[KIT_HOSTS];
	struct lb_cell *cells[KIT_HOSTS];
	struct cluster_fact conf;
	uint32_t got[KIT_HOSTS];
};

extern const struct lb_ops lb_round_robin, lb_random_host, lb_least_request, lb_ring_hash, lb_maglev, lb_peak_ewma,
	lb_original_destination;

/* weights[n]; NULL = all 1. old: taken over, may be NULL. */
void kit_init(struct kit *k, const struct lb_ops *ops, const uint32_t *weights, uint32_t n, const struct kit *old);
void kit_fini(struct kit *k);
/* As kit_init without the host whose index is gone. */
void kit_without(struct kit *k, const struct kit *of, uint32_t gone);
uint32_t kit_pick(struct kit *k);               /* counted in got */
uint32_t kit_pick_hash(struct kit *k, uint64_t hash);
void kit_run(struct kit *k, uint32_t times);    /* picks that end at once */
uint64_t kit_mix(uint64_t x);                   /* a hash of a number */
/* Of got against shares by weight, of hosts that are usable; fails the test above the bound for p = 0.001. */
void kit_assert_fair(const struct kit *k);
