/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call-outs of filters and net filters (weft/client.h): each is a stream as a client's is, but that its client is no
 * connection: the extension is at the other end of a downstream whose codec hands on heads and bytes. So a call-out has
 * all that a request has behind its route: the cluster's balancing, pools, TLS, health, limits, times, tries. It has no
 * listener, no route, no filters, holds no snapshot, and is no request of the counters and of the access log. One worker.
 */
#pragma once
#include "client/call.h"
#include "weft/stat.h"

struct downstream;
struct stream;
struct worker;

#define CALLOUTS_OF_STREAM 16u                  /* of one filter at once, or of a connection's net filter */
#define CALLOUTS_OF_WORKER 1024u                /* of a filter, outside of streams */

#define CALLOUT_STATS(X)                                                                                               \
	X(COUNTER, calls, "call-outs begun")                                                                           \
	X(COUNTER, answered, "of them those that were answered")                                                       \
	X(COUNTER, cancelled, "of them those whose request, connection or filter ended before")                       \
	X(COUNTER, timeouts, "of them those that took too long")                                                       \
	X(COUNTER, unreachable, "of them those for which no host was usable, or could be connected to")                \
	X(COUNTER, broken, "of them those whose host closed, reset or spoke nonsense")                                \
	X(COUNTER, too_large, "of them those whose answer was longer than asked for")                                  \
	X(COUNTER, overflows, "of them those that a limit of the cluster, or memory, did not let through")             \
	X(COUNTER, refused, "call-outs that were not begun: no such cluster, or nothing that can be said to it")      \
	X(GAUGE, active, "call-outs under way")
STAT_DECLARE(callout_stat, CALLOUT_STATS);

/* A filter on a stream, its part of a worker, or a net filter on a connection. Ended by client_fini(&o->client). */
struct callout_owner {
	struct client client;
	struct callout_stat *stat;
	const char *name;                       /* of the extension */
};

void callout_owner_init(struct callout_owner *o, struct worker *w, struct callout_stat *stat, const char *name, unsigned max_calls);
/* At the worker's end: nothing is sent nor told any more. What owners have of calls stays until they end. */
void callouts_end(struct worker *w);

/* ---- for streams whose downstream is one --------------------------------------------------------------------- */

void callout_done(struct downstream *d, struct stream *s); /* it is gone */
void callout_room(struct downstream *d);        /* the host takes more of the request's body */
