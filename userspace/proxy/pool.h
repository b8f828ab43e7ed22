/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of one worker, by cluster and host. Idle ones, the one used last first: it is the warmest, and the others grow
 * old and are closed. Those that carry many streams and take another: they may be both. What a connection was opened with (TLS, PROXY header, protocol, the pod whose socket it has) is part of
 * where it is kept.
 */
#pragma once
#include "base/list.h"
#include "base/table.h"
#include "event/timer.h"
#include "weft/net_filter.h"

struct cluster_use;
struct pick;
struct proto_ops;
struct upstream;
struct worker;

struct pool {                                   /* one cluster's; its word in the cluster_use */
	struct worker *w;
	struct cluster_use *use;
	struct list node;                       /* of the worker's */
	struct table hosts;                     /* by key */
	unsigned nhosts;
	uint64_t settings;                      /* hash of what connections are opened with now */
	uint64_t retired_ns;                    /* when one was last to end for another worker */
};

/* What is spoken on a connection: HTTP/1.1; HTTP/2; or what the host picks of both, when it is open. */
enum pool_speaks { POOL_ONE, POOL_MANY, POOL_EITHER };

struct pool_host {
	struct pool *pool;
	struct list idle;                       /* newest first */
	struct list roomy;                      /* upstream_many.roomy: those that take streams */
	struct list retired;                    /* the same: those that take none, for other workers' sake */
	uint8_t speaks;                         /* enum pool_speaks */
	const struct proto_ops *rpc;            /* spoken; NULL: HTTP, by speaks */
	bool one;                               /* of either, the last connection came to be HTTP/1.1 */
	uint32_t streams_max;                   /* that the host took at once, last; 0: unknown */
	struct timer old;                       /* the oldest's time is over */
	unsigned nidle, nopen, ngone;           /* ngone: of the open ones those that the host said GOAWAY on */
	struct pool_key {
		uint64_t host;
		uint64_t settings;
		uint64_t name;                  /* TLS by the name that is asked for: its hash */
		uint64_t netns;                 /* its sockets lie in; 0: the proxy's own */
		uint64_t rpc;                   /* which one, as a number */
		uint32_t port;
		uint32_t zero;
	} key;
};

/* Found or made; NULL: out of memory. authority: that is asked for. netns: net_peer.netns of the client. rpc: to be spoken. */
struct pool_host *pool_host_get(struct worker *w, const struct pick *p, struct slice authority, uint64_t netns,
				const struct proto_ops *rpc);
void pool_host_leave(struct pool_host *h);      /* nothing was opened: it goes, if it has no connection */
struct upstream *pool_take(struct pool_host *h); /* an idle one of HTTP/1, no more in the pool; NULL: none */
void pool_put(struct pool_host *h, struct upstream *u); /* it is kept, or closed where somebody waits for its place */
uint32_t pool_streams_max(const struct pool_host *h); /* at once on one connection, as far as is known before it is open */
void pool_forget(struct upstream *u);           /* it is not idle any more: taken or closed by itself */
/*
 * A connection of the host is about to be opened: false = maxConnections is reached, and none of the cluster's is idle
 * here, whose place it could have. Mirrored by pool_closed(). The host goes with its last one, also when this is false.
 */
bool pool_open(struct pool_host *h, struct pick *p, bool many); /* many: it is to carry many */
struct upstream_many *pool_take_back(struct pool_host *h); /* one that was to end takes streams again; NULL: none */
void pool_closed(struct pool_host *h);
/* clusters_conf.changed: closes idle connections to hosts that are no more, or were opened with other settings. */
void pool_changed(void *worker, struct cluster_use *use);
bool pool_rests(void *worker, struct cluster_use *use); /* clusters_conf.rests, and .close_rest: the oldest of a host */
void pool_close_rest(void *worker, struct cluster_use *use);
void pool_retire(void *worker, struct cluster_use *use); /* clusters_conf.retire: of those with room the one with fewest streams */
void pool_yield(struct upstream *u);            /* a stream has left it: no other comes, if another worker waits for a place */
bool pool_has_room(void *worker, struct cluster_use *use); /* clusters_conf.has_room */
void pool_close_netns(struct worker *w, uint64_t netns); /* idle ones of a pod */
void pool_close_idle(struct worker *w);         /* at the worker's end */
void pool_drop_idle(struct worker *w);          /* memory is short: the pools stay */
