/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a snapshot to an ordered list of map writes. Pure: wishes and allocations go into the state, nothing is written
 * until plan_run() is given the means, and what it writes can be anything (tests write into memory).
 *
 * Order. A lookup that runs at any instant, also one that began before a write and ends after it, meets one consistent,
 * maybe older, service:
 *
 *	backends that are new or come back   nobody names them yet
 *	tables, into free ranges             nobody reads them yet
 *	service entries                      one atomic update each: the old table or the new one
 *	frontends                            lead to services that are there
 *	frontends that go
 *	backends that begin to drain         no new table names them
 *	-- a grace period: whoever read something older than all this has finished --
 *	services that go                     no frontend led there
 *	backends that go                     no table named them
 *
 * and ranges and slots are free again after the grace period, not before. It is waited for only when something has to be
 * removed, or when much of the table waits for it.
 *
 * Failure. Each write is checked for what it leans on at the time it is made: a service whose backend could not be
 * written keeps its old entry, a service that still has a frontend is not removed, and so on. What is left behind hangs
 * in state.stale with words and is planned anew by the next plan, from the snapshot.
 */
#pragma once
#include "kern/state.h"

struct diff;

/* The maps that plans write. */
#define PLAN_MAPS(X)                                                                                                   \
	X(BACKEND, __u32, struct backend, "backend_map")                                                               \
	X(SERVICE, __u32, struct service, "service_map")                                                               \
	X(FRONTEND, struct frontend_key, struct frontend, "frontend_map")                                              \
	X(SERVICE_STAT, __u32, struct service_stat, "svc_stat_map")

enum plan_map {
#define PLAN_MAP_ENUM_(NAME, key, value, map) PLAN_##NAME,
	PLAN_MAPS(PLAN_MAP_ENUM_)
#undef PLAN_MAP_ENUM_
	PLAN_MAP_MAX
};

/* n entries, packed; err[i] = 0 or negative errno of each. */
struct plan_ops {
	void (*put)(void *arg, enum plan_map m, const void *keys, const void *values, uint32_t n, int *err);
	void (*del)(void *arg, enum plan_map m, const void *keys, uint32_t n, int *err); /* -ENOENT is success */
	void (*table)(void *arg, uint32_t off, const uint32_t *slot, uint32_t n); /* visible before the next put */
	int (*grace)(void *arg);                /* returns when all lookups begun before have ended */
	uint32_t batch;                         /* entries per call, at most PLAN_BATCH */
};
#define PLAN_BATCH 256

/* What plans add up to; the caller folds it into kern_stat. */
struct plan_count {
	uint64_t writes, errors, graces, table_full, map_full, conflicts;
};

struct plan_change {                            /* one unit's wish */
	struct unit *unit;
	struct service entry;
	uint32_t *slot;                         /* entry.n backend ids of a new table; NULL: the old one stays */
	struct back **backs;                    /* references held; NULL once taken over or given back */
	uint32_t nbacks;
};

/* Whether the proxy serves a port of an L7 service; fn NULL: none of them. */
struct plan_served {
	enum kern_served (*fn)(void *arg, const struct service_fact *f, const struct service_port *p);
	void *arg;
};

struct plan {
	struct kern_state *st;
	const struct snapshot *snap;
	const struct node *node;
	struct plan_served served;
	uint64_t mark;
	bool want_grace;                        /* something failed that a grace period may cure */
	VEC(struct plan_change) changes;
	VEC(struct unit *) units, drops;        /* that stay, and were looked at; that go */
	struct plan_count count;
};

/* Everything is compared; what the snapshot does not have goes. */
void plan_all(struct plan *p, struct kern_state *st, const struct snapshot *s, struct plan_served served);
/* What d names, and what is stale. The state is in step with d->old but for that. */
void plan_diff(struct plan *p, struct kern_state *st, const struct snapshot *s, const struct diff *d,
	       struct plan_served served);
/* What is stale. */
void plan_stale(struct plan *p, struct kern_state *st, const struct snapshot *s, struct plan_served served);
void plan_run(struct plan *p, const struct plan_ops *ops, void *arg); /* once */
void plan_fini(struct plan *p);                 /* wishes that did not come true are given back */
