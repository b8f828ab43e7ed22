/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy counts of a listener, and the agent shows. */
#pragma once
#include "weft/stat.h"

#define LISTENER_STATS(X)                                                                                              \
	X(COUNTER, accepted, "connections, or sessions of datagrams, that began")                                      \
	X(GAUGE, open, "of them now open")                                                                             \
	X(GAUGE, busiest, "of them on the worker that has most")                                                        \
	X(GAUGE, multiplexed, "of them those that carry several requests at once")                                                             \
	X(GAUGE, streams, "requests of HTTP under way on them")                                                        \
	X(COUNTER, full, "times that accepting paused at maxConnections")                                              \
	X(COUNTER, held, "times that accepting paused as the process sheds load, or has overload.connections")             \
	X(COUNTER, starved, "times that accepting paused for want of descriptors or memory")                           \
	X(COUNTER, unserved, "connections accepted for other listeners that none of them serves, closed at once")              \
	X(COUNTER, turned_away, "connections accepted by another listener and closed at once, at maxConnections")             \
	X(COUNTER, dropped, "datagrams dropped: too many sessions, or no host")                                        \
	X(COUNTER, received, "bytes from clients")                                                                     \
	X(COUNTER, sent, "bytes to clients")                                                                           \
	X(COUNTER, spliced, "of both, those that went through pipes, past the process")                                \
	X(COUNTER, retried, "hosts tried beyond the first of a connection")                                            \
	X(COUNTER, done, "connections that both sides ended")                                                          \
	X(COUNTER, no_rule, "NR: ended as no rule was for them")                                                       \
	X(COUNTER, no_cluster, "NC: ended as the rule's cluster is not known")                                         \
	X(COUNTER, no_host, "UH: ended as no host was usable")                                                         \
	X(COUNTER, overflow, "UO: ended as the cluster's maxConnections was reached")                                  \
	X(COUNTER, connect_failed, "UF: ended as no host could be connected to")                                       \
	X(COUNTER, idle, "SI: ended for being idle")                                                                   \
	X(COUNTER, client_broke, "DC: ended by an error on the client's side")                                         \
	X(COUNTER, host_broke, "UC: ended by an error on the host's side")                                             \
	X(COUNTER, never_opened, "DPE: ended before they were open: TLS, PROXY protocol, time")                        \
	X(COUNTER, tls, "TLS handshakes that succeeded")                                                               \
	X(COUNTER, tls_resumed, "of them by a session from before")                                                    \
	X(COUNTER, tls_kernel_out, "of them those after which the kernel makes the records that are sent")              \
	X(COUNTER, tls_kernel_in, "of them those after which it opens what is received, too")                          \
	X(COUNTER, tls_kernel_not, "of them those for which `kernel: auto` came to nothing: the proxy does it")        \
	X(COUNTER, tls_failed, "TLS handshakes that failed or took too long; the log has examples")                    \
	X(COUNTER, stopped, "LR: ended as the proxy stopped")
STAT_DECLARE(listener_stat, LISTENER_STATS);
