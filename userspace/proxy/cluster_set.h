/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Balancers of one version of a cluster for one subset: a level for each priority, in it a balancer over all hosts and one
 * over those that are near. One worker.
 */
#pragma once
#include "proxy/plan.h"
#include "proxy/plan_sets.h"

struct view;

struct balance {                                /* one balancer */
	struct lb lb;
	const struct host_set *hosts;
	struct lb_cell **cells;
	uint32_t usable;                        /* hosts, apart from panic */
};

struct level {                                  /* one priority */
	uint32_t load;                          /* percent of requests that begin here */
	struct balance *all, *near;             /* near NULL: as all */
};

/* The hosts that carry certain metadata, or all. */
struct selection {
	const struct plan_sets *sets;           /* the plan's */
	struct plan_sets *own;                  /* the same, when a request that is under way names what no route does any more */
	bool used;                              /* since the view was made */
	uint32_t nlevels;
	struct level levels[];                  /* by priority */
};

/* was: the same of the view before, whose balancers' state is taken over; or NULL. */
struct selection *selection_new(const struct view *v, uint64_t hash, const struct name_value *want, size_t nwant,
				const struct selection *was, uint64_t *rng);
void selection_free(struct selection *s);       /* NULL is allowed */
/* States have changed: counts usable hosts, shares requests among the levels, decides about panic. */
void selection_weigh(struct selection *s, const struct cluster_fact *conf);
/* The level where a request with this number in [0, 100) begins. */
uint32_t selection_level(const struct selection *s, uint32_t percent);
/* The balancer of a level to ask first; the other one is level->all. */
struct balance *level_begin(const struct level *l);
