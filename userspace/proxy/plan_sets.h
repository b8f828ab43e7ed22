/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts of a plan for one subset, by priority, as balancers want them, with their tables: immutable. Those of the whole
 * cluster and of each subset that its settings declare, or routes name where none is declared, are made with the plan, on the control thread, because a table may
 * take as long as a worker must not stand still.
 */
#pragma once
#include "weft/lb.h"

struct plan;
struct wants;

struct host_set {
	struct lb_set set;                      /* n 0: there is none */
	struct lb_host *hosts;
	uint32_t *at;                           /* of each in plan->hosts */
	void *table;                            /* of ops->build; NULL: none is needed, or no memory */
};

struct level_sets {                             /* one priority */
	struct host_set all, near;              /* near: when there are others beside them */
};

struct plan_sets {
	uint64_t hash;                          /* of want */
	struct name_value *want;                /* metadata that its hosts carry, sorted by name; own */
	size_t nwant;
	uint32_t nlevels;                       /* with hosts */
	struct level_sets levels[];             /* by priority */
};

struct plan_sets *plan_sets_new(const struct plan *p, const struct name_value *want, size_t nwant);
void plan_sets_free(struct plan_sets *s);
uint64_t plan_want_hash(const struct name_value *want, size_t nwant);
bool plan_sets_are(const struct plan_sets *s, uint64_t hash, const struct name_value *want, size_t nwant);
/* The cluster as a whole, and its declared subsets; where it declares none, those that are named. */
void plan_sets_make(struct plan *p, const struct wants *wants);
/* NULL: no host carries it, or nobody named it when the plan was made. want empty: the whole. */
const struct plan_sets *plan_sets_find(const struct plan *p, uint64_t hash, const struct name_value *want, size_t nwant);
uint32_t host_set_find(const struct host_set *s, uint64_t key); /* LB_NONE: not among its hosts */
