/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP requests of one worker share: what is free for the next one, what waits to be sent, and the counters.
 * docs/proxy.md tells how the files here hang together.
 */
#pragma once
#include <time.h>

#include "base/list.h"
#include "base/rand.h"
#include "weft/stat.h"

#define HTTP_STATS(X)                                                                                                  \
	X(COUNTER, requests, "requests begun")                                                                         \
	X(GAUGE, active, "requests under way")                                                                         \
	X(COUNTER, answers_1xx, "requests that ended in 101 or another 1xx")                                           \
	X(COUNTER, answers_2xx, "requests answered 2xx")                                                               \
	X(COUNTER, answers_3xx, "requests answered 3xx")                                                               \
	X(COUNTER, answers_4xx, "requests answered 4xx")                                                               \
	X(COUNTER, answers_5xx, "requests answered 5xx")                                                               \
	X(COUNTER, local_replies, "answers of the proxy's own")                                                        \
	X(COUNTER, cut, "answers that were cut off, and clients that went away")                                       \
	X(COUNTER, malformed, "client connections closed for what they sent")                                          \
	X(COUNTER, head_timeouts, "requests whose head took too long")                                                 \
	X(COUNTER, request_bytes, "bytes of requests' bodies")                                                         \
	X(COUNTER, response_bytes, "bytes of answers' bodies")                                                         \
	X(COUNTER, retries, "requests sent again by a route's policy")                                                 \
	X(COUNTER, replays, "requests sent again because a pooled connection was dead")                                \
	X(COUNTER, connects, "connections to hosts that were begun")                                                   \
	X(COUNTER, connect_failed, "of them those that failed")                                                        \
	X(GAUGE, upstreams, "connections to hosts")                                                                    \
	X(GAUGE, idle_upstreams, "of them those that wait for a request")
STAT_DECLARE(http_stat, HTTP_STATS);

struct cluster_use;
struct matcher;
struct worker;

struct http {
	struct worker *worker;
	struct matcher *matcher;
	struct rand rand;
	struct list dirty;                      /* legs with something to send (leg.h) */
	struct list downstreams, pools;
	struct list free_streams;
	unsigned nfree_streams;
	bool stopping;                          /* nothing is kept for later any more */
	time_t date_at;
	char date[32];                          /* of date_at, as answers have it */
	struct http_stat stat;
};

struct http *http_new(struct worker *w);
void http_free(struct http *h);                 /* closes every connection, at once; before the clusters go */
