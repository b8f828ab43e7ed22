/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One version of a cluster on one worker: for each subset that was asked for, its priorities, and for each of these a
 * balancer over all hosts and one over the near ones. Made from a plan, keeps the plan's snapshot. A changed cluster gets
 * a new view, which takes over the state of the old one's balancers; picks that are under way keep the old one.
 */
#pragma once
#include "base/table.h"
#include "base/vec.h"
#include "model/hold.h"
#include "proxy/cluster_set.h"

/* A host's numbers on this worker; outlives views. */
struct cell {
	struct lb_cell lb;
	uint64_t key;
	uint32_t refs;                          /* views that know it */
	struct shared_host *shared;             /* of the newest view; NULL: no view knows it */
	bool warming;                           /* its factor still grows */
};

struct cluster_ask;
struct pick;

struct view {
	const struct plan *plan;
	struct hold *hold;
	struct cell **cells;                    /* [plan->n] */
	uint32_t version;                       /* of the shared states that were looked at */
	uint32_t users;                         /* picks under way */
	uint32_t warming;                       /* cells */
	uint64_t warm_ns;                       /* when factors are due */
	struct selection *whole;
	VEC(struct selection *) subsets;
	bool current;
};

/* hold is taken over. old: whose balancers' state is taken over; may be NULL. cells: of the cluster use, by key. */
struct view *view_new(const struct plan *plan, struct hold *take_hold, const struct view *old, struct table *cells,
		      uint64_t *rng, uint64_t now_ns);
/* Cells that no view knows and that count nothing leave the table. */
void view_free(struct view *v, struct table *cells);
/* Looks at states and slow start, when something changed. Cheap otherwise. */
void view_refresh(struct view *v, uint64_t now_ns);
/* NULL: no host carries it, and the cluster falls back to none. */
struct selection *view_select(struct view *v, const struct name_value *want, size_t nwant, uint64_t *rng);
/* A host for this request: out's balance and index are set. False: none is left. */
bool view_pick(struct view *v, const struct cluster_ask *ask, uint64_t *rng, struct pick *out);
struct cell *cell_find(const struct table *cells, uint64_t key); /* NULL */
void cell_forget(struct table *cells, struct cell *c); /* frees it when nobody knows it */
