/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker knows of the clusters: balancer state, cells of hosts, credits of the node's limits, retry budget,
 * outlier counters. Keyed by name; carried over from snapshot to snapshot, so that a changed endpoint rebuilds one
 * balancer and loses no number. Everything here is one worker's: what is per node is drawn in batches from, and folded by,
 * the control thread (proxy/limits.h, proxy/outlier.h). Names which the snapshot no longer has go when their last user does.
 */
#pragma once
#include "model/hold.h"
#include "weft/lb.h"
#include "weft/net_filter.h"

struct clusters;                                /* of one worker */
struct cluster_use;                             /* one cluster on one worker */

struct cluster_ask {
	struct lb_ask lb;                       /* tried: filled by cluster_pick() itself; leave ntried 0 */
	const struct route_backend *backend;    /* its cluster, its subset */
	uint64_t tried[8];                      /* lb_host.key of hosts given before; ntried of them */
	uint32_t ntried;
};

enum cluster_take {                             /* what a pick is charged to */
	CLUSTER_REQUEST,                        /* maxRequests; over it a place in the bounded queue */
	CLUSTER_CONNECTION,                     /* tcp, udp: maxConnections */
};

/* One request, or one relayed connection, on its way to one host. Embedded in its stream, zeroed. */
struct pick {
	struct cluster_use *use;
	const struct host *host;                /* valid until pick_done(): of a snapshot that the use holds */
	struct net_addr addr;                   /* to dial; also for original-destination and DNS */
	uint64_t key;                           /* lb_host.key */
	uint32_t index;                         /* private */
	void *set;                              /* private */
};

/* 0; -ENOENT: no such cluster (NC); -EHOSTUNREACH: no usable host (UH); -EBUSY: a limit is reached (UO). */
int cluster_pick(struct clusters *cs, const struct cluster_ask *ask, enum cluster_take take, struct pick *out);
/* Exactly once for each pick that returned 0: cells, outlier counters, credits, ops->done. */
void pick_done(struct pick *p, const struct lb_result *r);

/* Settings of the cluster as the worker's newest snapshot has them; valid until the loop's next iteration. */
const struct cluster_fact *cluster_conf(const struct cluster_use *use);
void *cluster_pool(struct cluster_use *use);    /* the owner's word beside it, first NULL (proxy/pool.c keeps its pools there) */
void cluster_set_pool(struct cluster_use *use, void *pool);

/* A connection to a host is about to be opened: false = maxConnections of the node is reached. Mirrored by _closed. */
bool cluster_conn_open(struct pick *p);
void cluster_conn_closed(struct cluster_use *use, uint64_t host_key);

/* May a retry begin now? Counts it when true; ended by cluster_retry_end(). False: the budget is spent (URX, UO). */
bool cluster_retry_begin(struct cluster_use *use, uint32_t budget_percent, uint32_t budget_min, uint64_t now_ns);
void cluster_retry_end(struct cluster_use *use);
