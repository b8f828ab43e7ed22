/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load balancer: which host of a set. A set is what is left of a cluster after subset and priority
 * were chosen, so an algorithm knows neither: the core keeps one struct lb per (cluster, subset,
 * priority, worker), and asks the next priority when pick says NULL. Health, ejection and panic reach
 * it as lb_usable().
 *
 * pick and done run on a worker for every request: no allocation, no lock, no system call, O(log n)
 * at most while most hosts are usable. What is costly and the same for all workers goes into the
 * table.
 *
 * Driven by proxy/cluster.c, which owns everything here but table and state.
 */
#pragma once
#include "weft/model.h"

struct conf_item;

#define LB_FACTOR_ONE 256u
#define LB_DECAY_NS 10000000000ull          /* of ewma_ns */

/*
 * Numbers of one host on one worker. The core writes them; they outlive snapshots (kept by the
 * host's slot).
 */
struct lb_cell {
	uint32_t active;                        /* requests under way from this worker */
	uint32_t conns;                         /* open connections of this worker */
	/* slow start: share of its weight in 1/256, LB_FACTOR_ONE = all */
	uint16_t factor;
	bool usable;                            /* healthy and not ejected */
	uint64_t done, failed;                  /* requests since it is known */
	/* response time: up at once to a slower answer, down over LB_DECAY_NS; 0 = none yet */
	double ewma_ns;
	uint64_t ewma_at_ns;                    /* when it was last updated, monotonic */
};

struct lb_host {
	const struct host *host;                /* valid as long as the set */
	uint32_t weight;                        /* host's and its locality's; > 0 */
	/* hash of address and port: stable over restarts and nodes */
	uint64_t key;
};

/* Immutable; sorted by key, so that order says nothing. */
struct lb_set {
	const struct lb_host *hosts;
	uint32_t n;
	bool weighted;                          /* not all weights are equal */
	uint64_t total_weight;
};

struct lb {
	const struct lb_ops *ops;
	const struct lb_set *set;
	struct lb_cell *const *cells;           /* [set->n], of this worker */
	/* of table_size(), shared by all workers; NULL = none */
	const void *table;
	/* of the rows; struct cluster_fact for an algorithm without rows */
	const void *conf;
	void *state;                            /* state_size, zeroed */
	uint64_t rng;                           /* seeded per worker, never 0 */
	bool panic;                             /* too few are usable: all count as usable */
};

struct lb_ask {
	uint64_t now_ns;                        /* monotonic */
	uint64_t hash;                          /* of the route's hash policy, when has_hash */
	bool has_hash;
	uint32_t ntried;
	const uint32_t *tried;                  /* indices given before to this request: excluded */
	/* dialled by the client, for original-destination; NULL = unknown */
	const struct net_addr *original;
};

struct lb_result {
	uint64_t now_ns, took_ns;               /* took: until the response's head; 0 = none came */
	/* HTTP's, mapped (msg.h); 0 = none came, or a relayed connection */
	int status;
	bool ok;                                /* as outlier detection counts it */
};

#define LB_NONE UINT32_MAX

/* All const; NULL where it says so. */
struct lb_ops {
	const char *name;                       /* clusters[].loadBalancer */
	/* rows of clusters[].loadBalancerSettings; NULL = none */
	const struct conf_item *conf;
	size_t conf_size, state_size;
	/*
	 * Table of a set: a pure function of set and conf, shared by all workers. Built once per
	 * changed set on the control thread; for a subset that the cluster's settings do not
	 * declare, by each worker at its first request. table_size 0 = none needed for this set.
	 * build fills zeroed memory: 0, -ENOMEM. Both NULL = no table.
	 */
	size_t (*table_size)(const struct lb_set *set, const void *conf);
	int (*build)(void *table, const struct lb_set *set, const void *conf);
	/*
	 * A worker takes over a set. old: the lb of the set before it (rotation, credits to carry
	 * over), NULL = first. Host indices differ between sets, keys and cells do not. NULL =
	 * zeroed state is right.
	 */
	int (*init)(struct lb *lb, const struct lb *old);
	void (*fini)(struct lb *lb);            /* NULL = nothing held */
	/* Index of a host that is lb_usable(); LB_NONE: no such. */
	uint32_t (*pick)(struct lb *lb, const struct lb_ask *ask);
	/*
	 * A request given to host i has ended; after the cell was updated. NULL = not interested.
	 */
	void (*done)(struct lb *lb, uint32_t i, const struct lb_result *r);
};

static inline bool lb_usable(const struct lb *lb, const struct lb_ask *ask, uint32_t i)
{
	if (!lb->cells[i]->usable && !lb->panic)
		return false;
	for (uint32_t k = 0; k < ask->ntried; k++)
		if (ask->tried[k] == i)
			return false;
	return true;
}

/* Weight as it counts now, in 1/256. */
static inline uint64_t lb_weight(const struct lb *lb, uint32_t i)
{
	return (uint64_t)lb->set->hosts[i].weight * lb->cells[i]->factor;
}

/* xorshift64* (Vigna 2016): for choices, never for secrets. */
static inline uint64_t lb_random(struct lb *lb)
{
	lb->rng ^= lb->rng >> 12;
	lb->rng ^= lb->rng << 25;
	lb->rng ^= lb->rng >> 27;
	return lb->rng * 0x2545f4914f6cdd1dull;
}

/* [0, n), n > 0; bias below 2^-32. */
static inline uint32_t lb_random_below(struct lb *lb, uint32_t n)
{
	return (uint32_t)(((lb_random(lb) >> 32) * n) >> 32);
}
