/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle connections of one worker, by cluster and host, the one used last first: it is the warmest, and the others grow old
 * and are closed. What a connection was opened with (TLS, PROXY header, protocol, the pod whose socket it has) is part of
 * where it is kept.
 */
#pragma once
#include "base/list.h"
#include "base/table.h"
#include "event/timer.h"
#include "weft/net_filter.h"

struct cluster_use;
struct pick;
struct upstream;
struct worker;

struct pool {                                   /* one cluster's; its word in the cluster_use */
	struct worker *w;
	struct cluster_use *use;
	struct list node;                       /* of the worker's */
	struct table hosts;                     /* by key */
	unsigned nhosts;
	uint64_t settings;                      /* hash of what connections are opened with now */
};

struct pool_host {
	struct pool *pool;
	struct list idle;                       /* newest first */
	struct timer old;                       /* the oldest's time is over */
	unsigned nidle, nopen;
	struct pool_key {
		uint64_t host;
		uint64_t settings;
		uint64_t name;                  /* TLS by the name that is asked for: its hash */
		uint64_t netns;                 /* its sockets lie in; 0: the proxy's own */
		uint32_t port;
		uint32_t zero;
	} key;
};

/* Found or made; NULL: out of memory. authority: that is asked for. netns: net_peer.netns of the client. */
struct pool_host *pool_host_get(struct worker *w, const struct pick *p, struct slice authority, uint64_t netns);
struct upstream *pool_take(struct pool_host *h); /* an idle one, no more in the pool; NULL: none */
void pool_put(struct pool_host *h, struct upstream *u); /* it is kept, or closed where somebody waits for its place */
void pool_forget(struct upstream *u);           /* it is not idle any more: taken or closed by itself */
/*
 * A connection of the host is about to be opened: false = maxConnections is reached, and none of the cluster's is idle
 * here, whose place it could have. Mirrored by pool_closed(). The host goes with its last one, also when this is false.
 */
bool pool_open(struct pool_host *h, struct pick *p);
void pool_closed(struct pool_host *h);
/* clusters_conf.changed: closes idle connections to hosts that are no more, or were opened with other settings. */
void pool_changed(void *worker, struct cluster_use *use);
bool pool_rests(void *worker, struct cluster_use *use); /* clusters_conf.rests, and .close_rest: the oldest of a host */
void pool_close_rest(void *worker, struct cluster_use *use);
void pool_close_netns(struct worker *w, uint64_t netns); /* idle ones of a pod */
void pool_close_idle(struct worker *w);         /* at the worker's end */
void pool_drop_idle(struct worker *w);          /* memory is short: the pools stay */
