/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker knows of the clusters: balancer state, cells of hosts, its part of the node's limits and of the retry
 * budget. Keyed by name; carried over from snapshot to snapshot, so that a changed endpoint rebuilds one balancer and
 * loses no number. What is per node is in proxy/shared.h. A name that the snapshot no longer has goes when its last user
 * does. Nothing here allocates per request once a cluster and a subset were used.
 */
#pragma once
#include "base/list.h"
#include "event/mailbox.h"
#include "model/hold.h"
#include "proxy/limits.h"
#include "weft/filter.h"
#include "weft/lb.h"
#include "weft/net_filter.h"
#include "weft/stat.h"

#define CLUSTER_TRIED_MAX 8
#define CLUSTER_WAIT_MS 1000                    /* longest wait for a place under a limit */
#define CLUSTER_OVER_MS 100                     /* then a worker without a connection that carries many has one over it */

#define CLUSTER_STATS(X)                                                                                               \
	X(COUNTER, picks, "hosts picked")                                                                              \
	X(COUNTER, no_cluster, "requests for a cluster that does not exist")                                           \
	X(COUNTER, no_host, "requests for which no host was usable")                                                   \
	X(COUNTER, panics, "picks that did not look at health, because too few hosts are well")                        \
	X(COUNTER, overflows, "requests and connections refused, or made to wait, because a limit of the node was reached") \
	X(COUNTER, waits, "requests that waited for a place under maxRequests or maxConnections")                      \
	X(COUNTER, yields, "connections of many requests that took no more, as another worker waits for a place")       \
	X(COUNTER, over_limit, "connections opened over maxConnections, as other workers' went on with what they had") \
	X(COUNTER, wait_timeouts, "requests that waited for a place in vain")                                          \
	X(COUNTER, uncounted, "picks of hosts that have no counters of their own, because 4,096 others have")           \
	X(COUNTER, retries, "retries begun")                                                                           \
	X(COUNTER, retry_overflows, "retries refused by budget or limit")                                              \
	X(COUNTER, rebuilds, "versions of clusters taken over")                                                        \
	X(COUNTER, rebuild_us, "microseconds that taking them over took")                                              \
	X(GAUGE, uses, "clusters in use")
STAT_DECLARE(cluster_stat, CLUSTER_STATS);

struct clusters;                                /* of one worker */
struct cluster_use;                             /* one cluster on one worker */
struct cluster_wait;

struct clusters_conf {
	struct loop *loop;
	struct adoption *adoption;              /* the worker's; snapshots in it carry plans (proxy/plan.h) */
	unsigned worker;                        /* its number */
	uint64_t seed;                          /* of its random choices */
	struct mailbox *up;                     /* of the control thread, for proxy/outlier.h; NULL: nobody listens */
	void *up_arg;                           /* its struct outlier */
	/* The cluster's hosts or settings are others, or it is gone: idle connections may have to go. NULL = none. */
	void (*changed)(void *arg, struct cluster_use *use);
	bool (*rests)(void *arg, struct cluster_use *use); /* it has an idle connection here. NULL = never, as the next one */
	bool (*has_room)(void *arg, struct cluster_use *use); /* a connection here takes one more request, besides those it has */
	void (*close_rest)(void *arg, struct cluster_use *use); /* one of them is to be closed */
	/* None is idle: one that carries many is to end, if cluster_conn_yields() says so. NULL = there are none. */
	void (*retire)(void *arg, struct cluster_use *use);
	/* All other workers are to call cluster_conn_look() with this name. NULL = there are none. */
	void (*tell)(void *arg, struct slice cluster);
	void *arg;
};

/* All of it: the worker's thread. */
struct clusters *clusters_new(const struct clusters_conf *conf);
void clusters_free(struct clusters *cs);        /* every pick, connection, retry and wait must have ended */
void clusters_adopt(struct clusters *cs);       /* after adoption_take() said true */
const struct cluster_stat *clusters_stat(const struct clusters *cs);

struct cluster_ask {
	struct lb_ask lb;                       /* now_ns must be set; tried: leave ntried 0 */
	const struct route_backend *backend;    /* its cluster, its subset */
	uint64_t tried[CLUSTER_TRIED_MAX];      /* pick.key of hosts given before; ntried of them */
	uint32_t ntried;
	/* For original-destination: what accepted the client, and its address there. NULL: no way leads back to it. */
	const struct listener *listener;
	const struct net_addr *local;
	struct cluster_wait *wait;              /* has been called back with 0: its place is used. NULL = none */
};

enum cluster_take {                             /* what a pick is charged to */
	CLUSTER_REQUEST,                        /* maxRequests */
	CLUSTER_CONNECTION,                     /* tcp, udp: maxConnections */
};

/* One request, or one relayed connection, on its way to one host. Embedded in its stream, zeroed. */
struct pick {
	struct cluster_use *use;                /* NULL: none */
	const struct host *host;                /* valid until pick_done(): of a snapshot that the use holds */
	struct net_addr addr;                   /* to dial; also for original-destination and DNS */
	/* of the host; one without a port of its own (addr has the dialled one) has one key for all ports */
	uint64_t key;
	struct view *view;                      /* private, and below */
	struct balance *balance;
	struct cell *cell;
	struct host_stat *stat;                 /* NULL: this host is not counted by itself */
	uint32_t index;
	uint8_t take;
};

/*
 * 0; -ENOENT: no such cluster (NC); -EHOSTUNREACH: no usable host (UH); -EBUSY: a limit is reached (UO): a request may
 * wait, cluster_wait_begin(); -ENOSPC: of original-destination, too many addresses are in use (UO). A host that was tried is given again only when no other is usable.
 */
int cluster_pick(struct clusters *cs, const struct cluster_ask *ask, enum cluster_take take, struct pick *out);
/* Exactly once for each pick that returned 0. r NULL: nothing was learnt (the client went away). Zeroes the pick. */
void pick_done(struct pick *p, const struct lb_result *r);
void pick_undo(struct pick *p);                 /* the same for one that was not used */
void pick_flag(const struct pick *p, enum stream_flag f); /* what befell it at this host, for the host's counters */

/* Settings of the cluster as the worker's newest snapshot has them; valid until the loop's next iteration. */
const struct cluster_fact *cluster_conf(const struct cluster_use *use);
void *cluster_pool(struct cluster_use *use);    /* the owner's word beside it, first NULL (proxy/pool.c keeps its pools there) */
void cluster_set_pool(struct cluster_use *use, void *pool); /* NULL: a use that is gone may end within the call */
bool cluster_gone(const struct cluster_use *use); /* the newest snapshot does not have it */
bool cluster_has(const struct cluster_use *use, uint64_t host_key); /* a host of the newest snapshot, ready or not well */

/* A connection to a host is about to be opened: false = maxConnections of the node is reached. Mirrored by _closed. */
bool cluster_conn_open(struct pick *p);
/*
 * Over it: only for one that carries many, of a host to which this worker has none, and for whom waits for that so long that
 * it is served now whatever the limit says.
 */
bool cluster_conn_open_over(struct pick *p);
bool cluster_conn_overdue(const struct cluster_use *use);
void cluster_conn_closed(struct cluster_use *use, uint64_t host_key);
struct host_stat *cluster_host_stat(const struct cluster_use *use, uint64_t host_key); /* this worker's; NULL: it has none */
/*
 * Who waits longest for a connection, on whatever worker, is served first. Whoever wants one looks at _waits(): true =
 * others wait already, so wait behind them. A connection that is idle now stays so when _rests() says true; false: it is
 * to be closed, for another worker's.
 */
bool cluster_conn_waits(const struct cluster_use *use);
bool cluster_conn_rests(struct cluster_use *use);
/* Somebody on another worker has waited for so long that a connection in use is to take no more requests for him. */
bool cluster_conn_yields(struct cluster_use *use);
void cluster_conn_room(struct cluster_use *use); /* one that is open takes another request */
void cluster_conn_look(struct clusters *cs, struct slice cluster); /* another worker told: see clusters_conf.tell */

/* ---- waiting under maxRequests and maxConnections ---------------------------------------------------------- */

/* Embedded in the stream, zeroed. */
struct cluster_wait {
	struct list node;
	struct cluster_use *use;                /* NULL: does not wait and has no place */
	uint64_t due_ns;
	uint8_t kind;                           /* LIMIT_REQUESTS or LIMIT_CONNECTIONS */
	bool granted;
	bool lonely;                            /* this worker has no connection on which it could go: see cluster_conn_overdue() */
	/*
	 * From the loop. 0: a place under maxRequests is kept until cluster_pick() takes it or _end(); a connection is to be
	 * taken or opened before this returns, or waited for again. -ETIMEDOUT: it was in vain.
	 */
	void (*fn)(struct cluster_wait *w, int err);
};

/*
 * After -EBUSY for a request, or when it gets no connection. 0: fn follows; -EBUSY: maxPending wait already; -ENOENT: no
 * such cluster.
 */
int cluster_wait_begin(struct clusters *cs, struct slice cluster, struct cluster_wait *w, enum limit_kind kind,
		       void (*fn)(struct cluster_wait *w, int err));
void cluster_wait_end(struct cluster_wait *w);  /* at any time, also when it never began */

/* ---- retries ----------------------------------------------------------------------------------------------- */

/*
 * May a retry begin now? Called while a pick of the use is under way. The budget: so many percent of this worker's
 * requests under way, and beside that budget_min a second for the node; maxRetries bounds both. Counts it when true; then
 * _end once. False: the budget is spent (URX, UO).
 */
bool cluster_retry_begin(struct cluster_use *use, uint32_t budget_percent, uint32_t budget_min, uint64_t now_ns);
void cluster_retry_end(struct cluster_use *use);
