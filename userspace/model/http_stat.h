/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy counts of HTTP, and the agent shows: of each worker, of each route, of each cluster. */
#pragma once
#include "weft/stat.h"

/* Of connections to hosts that carry several requests at once: of each worker, cluster and host. */
#define HOST_MULTIPLEXED_STATS(X)                                                                                              \
	X(COUNTER, multiplexed_connects, "connections to hosts that carry several requests at once: HTTP/2, bolt, Dubbo ...")  \
	X(COUNTER, multiplexed_resets, "requests that their hosts reset, or did not process before they went away")            \
	X(COUNTER, multiplexed_goaways, "hosts that said they go away: GOAWAY, bolt 100, Dubbo's R")                           \
	X(COUNTER, multiplexed_silent, "connections to hosts closed because no sign of life came in time")                     \
	X(COUNTER, multiplexed_clogged, "times that hosts left 1 MiB of requests unread: others waited for their connection")    \
	X(COUNTER, multiplexed_abuse, "connections to hosts closed for a flood of frames")                                     \
	X(COUNTER, multiplexed_malformed, "connections to hosts closed for what breaks a rule of their protocol")

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
	X(COUNTER, malformed_syntax, "of them for what breaks a rule of the protocol")                                 \
	X(COUNTER, malformed_large, "of them for a head, target or chunk's line over its limit")                       \
	X(COUNTER, malformed_unsupported, "of them for a version, method or expectation that is not supported")        \
	X(COUNTER, malformed_abuse, "of them for a flood of frames")                                                   \
	X(COUNTER, http2, "client connections that speak HTTP/2")                                                      \
	X(COUNTER, aged, "client connections asked to go for their age or the number of their requests")                \
	X(COUNTER, rpc, "connections of clients that speak an RPC protocol")                                           \
	X(COUNTER, undetected, "connections closed because their first bytes are of no protocol of the listener")      \
	X(COUNTER, late_answers, "answers of hosts that nobody waits for any more")                                     \
	X(COUNTER, streams_refused, "requests refused because their connection has too many under way")                \
	X(COUNTER, forwarded_refused, "Forwarded headers that were dropped or not believed")                          \
	X(COUNTER, head_timeouts, "requests whose head took too long")                                                 \
	X(COUNTER, request_bytes, "bytes of requests' bodies")                                                         \
	X(COUNTER, response_bytes, "bytes of answers' bodies")                                                         \
	X(COUNTER, spliced_bytes, "of both, those that went through pipes, past the process")                          \
	X(COUNTER, shed, "OM: requests answered 503 as the process sheds load")                                           \
	X(COUNTER, retries, "requests sent again by a route's policy")                                                 \
	X(COUNTER, replays, "requests sent again because a pooled connection was dead")                                \
	X(COUNTER, connects, "connections to hosts that were begun")                                                   \
	X(COUNTER, connect_failed, "of them those that failed")                                                        \
	X(GAUGE, upstreams, "connections to hosts")                                                                    \
	X(GAUGE, idle_upstreams, "of them those that wait for a request")                                              \
	HOST_MULTIPLEXED_STATS(X)                                                                                            \
	X(COUNTER, records_lost, "lines of the access log that found no room")
STAT_DECLARE(http_stat, HTTP_STATS);

/* took_*: requests whose whole time was at most so many milliseconds. */
#define TOOK_STATS(X)                                                                                                  \
	X(COUNTER, took_us, "time of all, microseconds")                                                               \
	X(COUNTER, took_1ms, "requests of at most 1 ms")                                                               \
	X(COUNTER, took_5ms, "requests of at most 5 ms")                                                               \
	X(COUNTER, took_25ms, "requests of at most 25 ms")                                                             \
	X(COUNTER, took_100ms, "requests of at most 100 ms")                                                           \
	X(COUNTER, took_500ms, "requests of at most 500 ms")                                                           \
	X(COUNTER, took_2500ms, "requests of at most 2.5 s")                                                           \
	X(COUNTER, took_10s, "requests of at most 10 s")

/* Of one route, and of one cluster. */
#define TRAFFIC_STATS(X)                                                                                               \
	X(COUNTER, requests, "requests that ended")                                                                    \
	X(COUNTER, answers_2xx, "of them answered 2xx")                                                                \
	X(COUNTER, answers_3xx, "of them answered 3xx")                                                                \
	X(COUNTER, answers_4xx, "of them answered 4xx")                                                                \
	X(COUNTER, answers_5xx, "of them answered 5xx")                                                                \
	X(COUNTER, failed, "of them answered by the proxy, because no host did, or cut off")                           \
	X(COUNTER, tries, "times that a host was asked")                                                               \
	X(COUNTER, request_bytes, "bytes of requests' bodies")                                                         \
	X(COUNTER, response_bytes, "bytes of answers' bodies")                                                         \
	TOOK_STATS(X)
STAT_DECLARE(route_stat, TRAFFIC_STATS);

/* Begins as a route's, so that both are counted by the same code. */
#define CLUSTER_HTTP_STATS(X)                                                                                          \
	TRAFFIC_STATS(X)                                                                                               \
	HOST_MULTIPLEXED_STATS(X)
STAT_DECLARE(cluster_http_stat, CLUSTER_HTTP_STATS);

/* Of one method of an RPC protocol. */
#define RPC_STATS(X)                                                                                                   \
	TRAFFIC_STATS(X)                                                                                               \
	X(COUNTER, oneways, "of the requests those that nobody answers")
STAT_DECLARE(rpc_stat, RPC_STATS);

/* Of one method of gRPC. Those by status are in the order of its codes. */
#define CALL_STATS(X)                                                                                                  \
	X(COUNTER, calls, "calls of gRPC that ended")                                                                  \
	X(COUNTER, ok, "of them with status 0")                                                                        \
	X(COUNTER, cancelled, "of them with status 1")                                                                 \
	X(COUNTER, unknown, "of them with status 2, or one that is no code")                                           \
	X(COUNTER, invalid_argument, "of them with status 3")                                                          \
	X(COUNTER, deadline_exceeded, "of them with status 4")                                                         \
	X(COUNTER, not_found, "of them with status 5")                                                                 \
	X(COUNTER, already_exists, "of them with status 6")                                                            \
	X(COUNTER, permission_denied, "of them with status 7")                                                         \
	X(COUNTER, resource_exhausted, "of them with status 8")                                                        \
	X(COUNTER, failed_precondition, "of them with status 9")                                                       \
	X(COUNTER, aborted, "of them with status 10")                                                                  \
	X(COUNTER, out_of_range, "of them with status 11")                                                             \
	X(COUNTER, unimplemented, "of them with status 12")                                                            \
	X(COUNTER, internal, "of them with status 13")                                                                 \
	X(COUNTER, unavailable, "of them with status 14")                                                              \
	X(COUNTER, data_loss, "of them with status 15")                                                                \
	X(COUNTER, unauthenticated, "of them with status 16")                                                          \
	X(COUNTER, no_status, "of them those whose client got none, or left before")                                   \
	X(COUNTER, local, "of them those whose status is weft's own")                                                  \
	X(COUNTER, tries, "times that a host was asked")                                                               \
	X(COUNTER, request_bytes, "bytes of messages to hosts, with their frames")                                     \
	X(COUNTER, response_bytes, "bytes of messages to clients, with their frames")                                  \
	TOOK_STATS(X)
STAT_DECLARE(call_stat, CALL_STATS);

/* Of one host of a cluster: of each try, relayed connection and session. In brackets the flag of the access log. */
#define HOST_STATS(X)                                                                                                  \
	X(COUNTER, requests, "requests, relayed connections and sessions that it was given")                           \
	X(GAUGE, active, "of them those under way")                                                                    \
	X(COUNTER, answers_2xx, "of them answered 2xx")                                                                \
	X(COUNTER, answers_3xx, "of them answered 3xx")                                                                \
	X(COUNTER, answers_4xx, "of them answered 4xx")                                                                \
	X(COUNTER, answers_5xx, "of them answered 5xx")                                                                \
	X(COUNTER, connect_failed, "of them those for which it could not be connected to (UF)")                        \
	X(COUNTER, closed, "of them those that it closed before the answer was complete (UC, UR)")                     \
	X(COUNTER, malformed, "of them those that it answered with nonsense (UPE)")                                    \
	X(COUNTER, late, "of them those that it did not answer in time (UT, DT, SI)")                                  \
	X(COUNTER, client_gone, "of them those that the client left (DC)")                                             \
	X(COUNTER, answered, "answers whose head came; of relayed ones, connections made")                             \
	X(COUNTER, answer_us, "time until then, microseconds")                                                         \
	X(GAUGE, connections, "connections to it that carry requests, or wait for some")                               \
	HOST_MULTIPLEXED_STATS(X)
STAT_DECLARE(host_stat, HOST_STATS);
