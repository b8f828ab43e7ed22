/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter: sees and changes the messages of one stream, whatever its protocol, after the route is
 * known and before a host is picked. Requests pass the filters in the listener's order, then the
 * route's; responses and local replies in reverse, through the filters that the request has
 * reached. Once per request, not per try. It runs on a worker and never blocks; what takes time is
 * a delay, a call-out (client.h), another stream's doing, and FILTER_WAIT until it is done. docs/filters.md
 * has the rules that hold for all of them.
 *
 * Three lives: conf (per listener and per route, const, all workers; what it points to may hold
 * atomic words that all of them use), worker (per conf and worker: caches, keys), stream (state),
 * and nothing else. The core allocates and zeroes each. Driven by
 * proxy/chain.c, which implements filter_*().
 */
#pragma once
#include "weft/buf.h"
#include "weft/client.h"
#include "weft/msg.h"
#include "weft/net_filter.h"
#include "weft/proto.h"

struct filter;

enum filter_verdict {
	FILTER_NEXT,                            /* go on with the next filter */
	/* nothing goes on in this direction until filter_resume() */
	FILTER_WAIT,
	/* answer what filter_reply() was given; the upstream is left alone */
	FILTER_REPLY,
	FILTER_RESET,                           /* end the stream, PROTO_INTERNAL */
};

/* Bits of the access record's response_flags. X(NAME, letters as Envoy has them, text). */
#define STREAM_FLAGS(X) \
	X(NO_ROUTE, "NR", "no route") \
	X(NO_CLUSTER, "NC", "no such cluster") \
	X(NO_HEALTHY_HOST, "UH", "no healthy host") \
	X(CONNECT_FAILED, "UF", "connection to the host failed") \
	X(OVERFLOW, "UO", "circuit breaker or queue full") \
	X(RETRIES_SPENT, "URX", "retries spent") \
	X(UPSTREAM_CLOSED, "UC", "host closed in the middle") \
	X(UPSTREAM_RESET, "UR", "host reset the stream") \
	X(UPSTREAM_TIMEOUT, "UT", "host took too long") \
	X(UPSTREAM_MALFORMED, "UPE", "host spoke nonsense") \
	X(CLIENT_CLOSED, "DC", "client went away") \
	X(CLIENT_MALFORMED, "DPE", "client spoke nonsense") \
	X(TIMEOUT, "DT", "whole request took too long") \
	X(RATE_LIMITED, "RL", "rate limited") \
	X(DENIED, "UAEX", "denied by policy") \
	X(FAULT_DELAY, "DI", "delay injected") \
	X(FAULT_ABORT, "FI", "abort injected") \
	X(OVERLOADED, "OM", "this process sheds load")
enum stream_flag {
#define STREAM_FLAG_ENUM_(NAME, letters, text) STREAM_##NAME,
	STREAM_FLAGS(STREAM_FLAG_ENUM_)
#undef STREAM_FLAG_ENUM_
	STREAM_FLAG_COUNT
};

/*
 * What is known about a stream so far. The core writes, filters read; flags may be set by filters.
 * Lives as the stream.
 */
struct stream_info {
	/* of the client connection: addresses, identity, SNI, ALPN */
	const struct net_peer *peer;
	/* who asks: the peer's source, or who trusted hops say it is (port 0: they did not say it) */
	const struct net_addr *client;
	struct slice listener, route;           /* route: empty = none matched yet */
	struct slice cluster;                   /* chosen by the route; empty before */
	const struct host *host;                /* of the last try; NULL before */
	const struct proto_ops *proto, *upstream_proto;
	uint32_t tries;
	uint64_t flags;                         /* 1 << enum stream_flag */
	const char *detail;                     /* static: which rule or check ended it; "" */
	/* monotonic; the others are ns after it, 0 = not yet */
	uint64_t begin_ns;
	uint64_t head_ns, request_end_ns, picked_ns, connected_ns, first_byte_ns, end_ns;
	uint64_t request_bytes, response_bytes; /* body bytes */
	int status, wire_status;                /* as answered; 0 and MSG_NO_STATUS before */
};

/*
 * Per conf and worker: what outlives streams but is not shared between threads (a key set, a
 * cache).
 */
struct filter_worker {
	const struct filter_ops *ops;
	void *state;                            /* worker_size, zeroed */
	const void *conf;
	struct client *client;                  /* call-outs (client.h), cancelled before worker_fini() */
};

/* One filter on one stream. */
struct filter {
	const struct filter_ops *ops;
	void *state;                            /* state_size, zeroed */
	/* listener's settings; defaults when only the route names the filter. Never NULL: where a default
	 * lacks a required setting, the core answers 503 and calls nobody */
	const void *conf;
	const void *route_conf;                 /* the matched route's settings; NULL = none */
	struct filter_worker *worker;
	struct client *client;                  /* call-outs, cancelled before done() */
	struct stream_info *info;
	/* the stream's; msg_alloc() of its messages takes from it */
	struct arena *arena;
};

/*
 * Settings of a filter at one place. init runs once on a control thread after rows and defaults are
 * filled: compile, parse, check; 0 or -errno with words. fini releases what init made. Afterwards
 * the settings are const.
 */
struct filter_conf {
	const struct conf_item *items;          /* NULL = takes no settings here */
	size_t size;
	int (*init)(void *conf, struct err *e); /* NULL = nothing beyond the rows */
	/* NULL = nothing held; accepts what a failed init left */
	void (*fini)(void *conf);
};

/*
 * A NULL method passes everything on. Heads and trailers may be changed in place, bodies in b: what
 * is left in b goes on, at once or after the resume of a WAIT, and is not shown again. end comes
 * exactly once, also where trailers follow, and may come without bytes. A request or answer without
 * body gets no such call. A body that some filter reads, but for those that only watch, has no known length for
 * those behind, unless all of it went through before its head; frames of more than 64 KiB (PROTO_NEEDS_LENGTH) keep
 * theirs, and a filter that changes it ends the stream.
 */
struct filter_ops {
	const char *name;                       /* filters[].type */
	/* it looks at bodies and never changes them: those of known length keep it */
	bool watches_bodies;
	struct filter_conf listener, route;
	size_t worker_size, state_size;

	int (*worker_init)(struct filter_worker *w, struct err *e); /* on the worker's thread */
	void (*worker_fini)(struct filter_worker *w);

	enum filter_verdict (*request)(struct filter *f, struct msg *m);
	enum filter_verdict (*request_body)(struct filter *f, struct buf *b, bool end);
	enum filter_verdict (*request_trailers)(struct filter *f, struct msg *m);
	/* 1xx: FILTER_NEXT; anything else ends the stream */
	enum filter_verdict (*response_info)(struct filter *f, struct msg *m);
	enum filter_verdict (*response)(struct filter *f, struct msg *m);
	enum filter_verdict (*response_body)(struct filter *f, struct buf *b, bool end);
	enum filter_verdict (*response_trailers)(struct filter *f, struct msg *m);
	void (*wake)(struct filter *f);         /* filter_wake_after() is due */
	/*
	 * Exactly once for every filter that the stream has reached, also when it was reset, after
	 * info is final. Calls and delays of f are cancelled before it; f is gone after it.
	 */
	void (*done)(struct filter *f);
};

/*
 * Ends a FILTER_WAIT with any verdict but FILTER_WAIT; until then the message may still be changed;
 * from wake(), an event of a call-out, or a method of another stream's filter on the same worker. Where both directions
 * wait, the one that has waited longer. Nothing when none waits, as when the core has answered in
 * between. f may be gone when it returns. While a direction waits at most 64 KiB of its body are
 * held, then the sender is slowed (proto.h consumed).
 */
void filter_resume(struct filter *f, enum filter_verdict v);
/*
 * From request() or response(): hold the head back and give the body in one piece, end set. Over
 * max bytes the core answers 413 (request) or 502 (response). Without it bytes are given as they
 * come and the head is gone before. Nothing without a request_body() or response_body().
 */
void filter_collect_body(struct filter *f, uint32_t max);
/*
 * What FILTER_REPLY will say, in the caller's protocol. Copied. text with p NULL: detail and flag, in
 * words. flag: the reason in the access record. detail: static. It passes response() of the filters
 * that were reached and have seen no answer yet, f's own among them.
 */
void filter_reply(struct filter *f, const struct proto_reply *r, enum stream_flag flag,
		  const char *detail);
/*
 * From request(): the head was changed so that another route may match; it is looked up again
 * before the next filter.
 */
void filter_reroute(struct filter *f);
/*
 * Narrows the hosts to those with this metadata, beside what the route says; the cluster's settings
 * declare such keys (clusters[].subsets). A second value of a key replaces the first. Copied. 0 or
 * -ENOMEM.
 */
int filter_subset(struct filter *f, struct slice key, struct slice value);
/* wake() once after ms milliseconds; a second call replaces the first, 0 takes it back. */
void filter_wake_after(struct filter *f, uint32_t ms);
/*
 * A word for the access record and for filters behind this one. Copied; a second value replaces the
 * first. 0, -ENOMEM.
 */
int filter_note(struct filter *f, struct slice key, struct slice value);
struct slice filter_note_get(const struct filter *f, struct slice key); /* p NULL: no such */
