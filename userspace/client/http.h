/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's carrier of calls (weft/client.h): each on a connection of its own, HTTP/1.1, or gRPC over HTTP/2. Control
 * thread.
 */
#pragma once
#include "client/call.h"
#include "client/dial.h"
#include "weft/stat.h"

#define HTTP_CALLS_MAX 64u                      /* of one owner at a time */
#define HTTP_OPEN_MS 10000u                     /* for TCP and TLS, each address of a name */
#define HTTP_TRIES_MAX 3u                       /* of one that the server says it did not process */
#define HTTP_PING_MS 300000u                    /* of a gRPC stream: what servers take by default (gRFC A8) */

#define CLIENT_STATS(X)                                                                                                \
	X(COUNTER, calls, "calls of registries and other parts of the agent")                                          \
	X(COUNTER, answered, "of them those that were answered, whatever the status")                                  \
	X(COUNTER, cancelled, "of them those that their owner ended")                                                  \
	X(COUNTER, again, "calls sent again, for the server had not processed them")                                   \
	X(COUNTER, errors_resolve, "calls that failed: the name cannot be resolved")                                   \
	X(COUNTER, errors_connect, "calls that failed: no connection, or no TLS with that server")                     \
	X(COUNTER, errors_timeout, "calls that failed: too late, too long idle, or no answer to a PING")               \
	X(COUNTER, errors_closed, "calls that failed: the server closed, reset or drained in the middle")              \
	X(COUNTER, errors_protocol, "calls that failed: what came makes no sense, or cannot be asked")                 \
	X(COUNTER, errors_too_large, "calls that failed: the answer is over its bound")                                \
	X(GAUGE, open, "calls under way")
STAT_DECLARE(client_stat, CLIENT_STATS);

/* What all owners of a process share. */
struct http_carrier {
	struct dialler dialler;
	struct client_stat stat;
};

int http_carrier_init(struct http_carrier *h, struct loop *l, const char *servers, struct err *e);
void http_carrier_fini(struct http_carrier *h); /* after its owners; accepts a zeroed one */

/* An owner that calls out this way. client_fini() ends it. */
void http_client_init(struct client *c, struct http_carrier *h);
