/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP proxy: a client's connection and one to a host of the rule's cluster, bytes both ways as they come. Half-close is
 * passed on; what one side does not take is not read from the other. Bulk goes through a pipe (splice) where no layer has
 * to see it. One worker.
 */
#pragma once
#include "proxy/listener.h"

/* How a connection ended: X(NAME, flag as Envoy's, words). In the order of listener_stat from `done` on. */
#define TCP_ENDS(X)                                                                                                    \
	X(DONE, "-", "both sides were done")                                                                           \
	X(NO_RULE, "NR", "no rule for this connection")                                                                \
	X(NO_CLUSTER, "NC", "no such cluster")                                                                         \
	X(NO_HOST, "UH", "no usable host")                                                                             \
	X(OVERFLOW, "UO", "the cluster's limit is reached")                                                            \
	X(CONNECT, "UF", "no host could be connected to")                                                              \
	X(IDLE, "SI", "idle for too long")                                                                             \
	X(CLIENT, "DC", "the client's side broke")                                                                     \
	X(HOST, "UC", "the host's side broke")                                                                         \
	X(HANDSHAKE, "DPE", "it never opened")                                                                         \
	X(STOPPED, "LR", "the proxy stops")
enum tcp_end {
#define TCP_END_ENUM_(NAME, flag, text) TCP_##NAME,
	TCP_ENDS(TCP_END_ENUM_)
#undef TCP_END_ENUM_
	TCP_END_COUNT
};

struct tcps *tcps_new(struct worker *w, bool splice); /* splice: bulk may go through pipes */
void tcps_free(struct tcps *t);                 /* ends every connection */
void tcp_accepted(struct listener_use *u, const struct arrival *take_a); /* a place in u was entered, tcp leaves it */
