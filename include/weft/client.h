/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client: what an extension may ask of others. HTTP requests, gRPC streams, watches. Every call has
 * an owner (struct client: a registry, a filter on a stream, a filter's worker, a connection), runs
 * on the owner's thread, and is cancelled without a further event when the owner ends.
 *
 * Two carriers behind one face: in the agent client/http.c and client/grpc.c dial the address in
 * the URL; in the proxy proxy/callout.c sends through a cluster, with its balancing, TLS, health
 * and limits. client_*() are implemented in client/call.c, which hands over to the owner's carrier,
 * client_watch in client/watch.c.
 */
#pragma once
#include "weft/msg.h"

struct buf;
struct client;
struct client_call;

/* Everything is copied before the call returns. Fields left zero are not said. */
struct client_ask {
	struct slice cluster;                   /* proxy: through this cluster ... */
	/* agent: ... or "http[s]://host[:port]/path", "unix:/path:/path" */
	struct slice url;
	struct slice method;                    /* "GET" */
	struct slice authority, path;           /* with a cluster */
	const struct msg_header *headers;
	size_t nheaders;
	struct slice body;                      /* whole; with stream, only the first bytes */
	uint32_t timeout_ms;                    /* until the end; 0 = 10 s, for a stream or a watch: none */
	uint32_t idle_ms;                       /* without a byte of the answer; 0 = none */
	/*
	 * agent, gRPC stream: a PING after so long without any byte, and so long for its answer;
	 * 0 = 5 min. Servers end a connection that asks oftener than they like.
	 */
	uint32_t ping_ms;
	/*
	 * bytes of answer; 0 = 1 MiB, for a stream or a watch: none. gRPC: of each message, 0 = 4 MiB.
	 * Over it: -EMSGSIZE
	 */
	uint32_t max_body;
	bool stream;                            /* client_send() will follow */
	uint64_t body_len;                      /* stream, no gRPC: bytes that will be sent in all; 0: not known */
	/* HTTP/2, data() and client_send() are whole messages, unframed */
	bool grpc;
	/* agent: const struct client_tls *; NULL = system's trust */
	const void *tls;
};

/*
 * Agent, https. Paths are read at each connect, so rotation needs nothing. Empty = none, or the
 * system's.
 */
struct client_tls {
	struct slice ca_file, cert_file, key_file;
	struct slice server_name;               /* verified; empty = host of the URL */
};

/* m and data are valid during the event only. NULL method = not interested, but end. */
struct client_events {
	void (*head)(void *arg, const struct msg *m);
	void (*data)(void *arg, struct slice data);
	/*
	 * Exactly once unless cancelled; the call is gone after it. err 0: answered, status says
	 * how (grpc: status is grpc-status, words its message). Else -ETIMEDOUT, -ECONNREFUSED,
	 * -ECONNRESET, -EMSGSIZE, -EHOSTUNREACH (no healthy host), -EBUSY (a limit of the cluster),
	 * -EPROTO ..., words say more.
	 * trailers NULL = none came.
	 */
	void (*end)(void *arg, int err, int status, const char *words, const struct msg *trailers);
};

/*
 * NULL with *err set: -EINVAL (URL, path), -ENOENT (cluster), -EPROTONOSUPPORT (its hosts speak no
 * HTTP), -ENOMEM, -EBUSY (owner's limit of calls), -ESHUTDOWN (the owner has ended).
 * No event before return.
 */
struct client_call *client_call(struct client *owner, const struct client_ask *ask,
				const struct client_events *on, void *arg, int *err);
/*
 * stream calls: takes all of data or returns -EAGAIN when much is unsent already; end = nothing
 * follows.
 */
int client_send(struct client_call *c, struct slice data, bool end);
/* Stops reading while paused, for a listener that cannot keep up. */
void client_pause(struct client_call *c, bool paused);
void client_cancel(struct client_call *c);      /* no event follows; NULL is allowed */

/*
 * A call that is made again whenever it ends, for ever: Kubernetes watches, ADS, service-center's
 * watcher. After a good spell (an answer and a minute) the wait starts anew at first_ms.
 */
struct client_backoff {
	uint32_t first_ms, max_ms;              /* 0 = 500, 30000 */
	uint32_t factor_percent;                /* 0 = 200: doubles */
	uint32_t jitter_percent;                /* 0 = 20: +- so much */
};

struct client_watch;
struct client_watch_events {
	/*
	 * Before each try: fill ask (zeroed), with what was seen so far (resourceVersion, nonce).
	 * again: not the first. 0, or -errno: this try counts as failed.
	 */
	int (*ask)(void *arg, struct client_ask *ask, bool again);
	struct client_events on;                /* end: its return is followed by the wait */
	/*
	 * From end(): Retry-After or "at once" (410 Gone, then a fresh list). NULL = as backoff
	 * says. In ms, an hour at most, -1 = so. At once is had after one failure, not after two in a row.
	 */
	int64_t (*wait_ms)(void *arg, int err, int status);
};

struct client_watch *client_watch_start(struct client *owner, const struct client_watch_events *on,
					/* NULL: out of memory */
					const struct client_backoff *b, void *arg);
/* to send or pause; NULL between two tries */
struct client_call *client_watch_call(struct client_watch *w);
/*
 * What the call under way brings is of no use: it is cancelled, and made again after the wait. words
 * say why, for logs and views. Nothing happens between two tries.
 */
void client_watch_again(struct client_watch *w, const char *words);
void client_watch_stop(struct client_watch *w); /* no event follows; NULL is allowed */
