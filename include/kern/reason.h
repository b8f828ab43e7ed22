/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Why a connection took the path it took: one list for the BPF counters, the ring-buffer records, the CLI, the
 * Prometheus label and the documentation. X(NAME, class, label, text). A number, once released, keeps its meaning: add
 * at the end only.
 *
 * Classes: LB = what the connect-time balancer decided (one count per connect()/sendmsg());
 *          SC = why a direction or connection was, or was not, short-circuited (one count per connection);
 *          ERR = something was lost or refused that should not be (readiness is degraded while it grows).
 */
#pragma once

#define REASONS(X)                                                                                                     \
	X(NONE, LB, "none", "not decided")                                                                             \
	X(TRANSLATED, LB, "translated", "service address translated to a backend")                                    \
	X(NO_SERVICE, LB, "no_service", "destination is not a service address: left alone")                            \
	X(NO_BACKEND, LB, "no_backend", "service has no usable backend: EHOSTUNREACH")                                 \
	X(EXEMPT, LB, "exempt", "weft's own socket or an exempt workload: left alone")                                 \
	X(AFFINITY, LB, "affinity", "same backend as before by session affinity")                                      \
	X(AFFINITY_STALE, LB, "affinity_stale", "affinity named a backend that is gone: picked anew")                  \
	X(MOVED, LB, "moved", "unconnected UDP moved from a backend that is gone to another")                          \
	X(L7_PROXY, LB, "l7_proxy", "service has routes: sent to the proxy")                                           \
	X(L7_OPEN, LB, "l7_open", "service has routes, no live proxy, failMode open: balanced at L4")                  \
	X(L7_CLOSED, LB, "l7_closed", "service has routes, no live proxy, failMode closed: ECONNREFUSED")              \
	X(DENIED, LB, "denied", "refused by policy")                                                                   \
	X(REPROBED, LB, "reprobed", "picked backend was gone or draining: another slot was taken")                     \
	X(DISABLED, LB, "disabled", "translation is switched off: left alone")                                         \
	X(ACCEL, SC, "accelerated", "both directions short-circuited")                                                 \
	X(ACCEL_HALF, SC, "accelerated_half", "one direction short-circuited, the other by the TCP stack")             \
	X(NOT_LOCAL, SC, "not_local", "the other end was not seen on this node")                                       \
	X(OFF, SC, "off", "the short-circuit is switched off or this kernel failed its self-test")                     \
	X(UNMANAGED, SC, "unmanaged", "an end belongs to no workload, or its workload is paused")                      \
	X(SPLICE, SC, "splice", "the reader's workload did not promise not to splice")                                 \
	X(RACE, SC, "race", "first bytes were written before both ends were paired, and it stayed so")                 \
	X(CAP, SC, "cap", "unread redirected bytes reached the limit: went to the stack")                              \
	X(LIFETIME_CAP, SC, "lifetime_cap", "this kernel shows no credit source: moved to the stack after the cap")    \
	X(MPTCP, SC, "mptcp", "an end is an MPTCP subflow or listener")                                                \
	X(REPAIR, SC, "repair", "the socket is in TCP_REPAIR")                                                         \
	X(FORGED, SC, "forged", "two sockets claimed the same sequence numbers: neither is paired")                    \
	X(FOREIGN, SC, "foreign", "another tool's sk_msg program owns the socket")                                     \
	X(ULP, SC, "ulp", "the application asked for a TCP ULP (kTLS)")                                                \
	X(RCVLOWAT, SC, "rcvlowat", "the application set SO_RCVLOWAT above 1")                                         \
	X(POLICY, SC, "policy", "policy does not allow plain bytes to bypass the stack")                               \
	X(KILLED, SC, "killed", "the kill switch moved the connection to the stack")                                   \
	X(NO_PEER, SC, "no_peer", "the peer left the map: went to the stack")                                          \
	X(PAIR_FULL, ERR, "pair_full", "connection-state map full: connection not short-circuited")                    \
	X(SOCKS_FULL, ERR, "socks_full", "sockhash full: connection not short-circuited")                              \
	X(STORAGE_FULL, ERR, "storage_full", "socket storage could not be allocated")                                  \
	X(AFFINITY_FULL, ERR, "affinity_full", "affinity entry could not be stored")                                   \
	X(EVENT_LOST, ERR, "event_lost", "ring buffer full: record dropped")                                           \
	X(BAD_TABLE, ERR, "bad_table", "balancing table and service entry disagree")                                   \
	X(ZEROCOPY, SC, "zerocopy", "the application set SO_ZEROCOPY before it connected")                             \
	X(FASTOPEN, SC, "fastopen", "TCP fast open: bytes were sent before both ends were established")                \
	X(UNREAD, SC, "unread", "bytes sent by the stack are still unread: order is kept by staying there")            \
	X(LEFT, SC, "left", "a long one-way stream: the connection left the map")                                      \
	X(UDP_PEER_FULL, ERR, "udp_peer_full", "a dialled UDP address could not be kept: replies show the backend")    \
	X(L7_UNSEEN_OPEN, LB, "l7_unseen_open",                                                                        \
	  "service has routes, the proxy has no listener in the client's namespace, failMode open: balanced at L4")    \
	X(L7_UNSEEN_CLOSED, LB, "l7_unseen_closed",                                                                    \
	  "service has routes, the proxy has no listener in the client's namespace, failMode closed: ECONNREFUSED")    \
	X(ODST_FULL, ERR, "odst_full", "what a client dialled could not be kept for the proxy, which will refuse it") \
	X(MEMORY, SC, "memory", "the node's TCP memory is under pressure (net.ipv4.tcp_mem): went to the stack")       \
	X(RANGE_PROXY, LB, "range_proxy", "in a range that a listener captures: sent to the proxy")                    \
	X(RANGE_OPEN, LB, "range_open", "in a captured range, no live proxy, failMode open: left alone")               \
	X(RANGE_CLOSED, LB, "range_closed", "in a captured range, no live proxy, failMode closed: ECONNREFUSED")       \
	X(RANGE_UNSEEN_OPEN, LB, "range_unseen_open",                                                                  \
	  "in a captured range, the proxy has no listener in the client's namespace, failMode open: left alone")       \
	X(RANGE_UNSEEN_CLOSED, LB, "range_unseen_closed",                                                              \
	  "in a captured range, the proxy has no listener in the client's namespace, failMode closed: ECONNREFUSED")

enum reason_class { REASON_CLASS_LB, REASON_CLASS_SC, REASON_CLASS_ERR };

enum reason {
#define REASON_ENUM(name, class, label, text) REASON_##name,
	REASONS(REASON_ENUM)
#undef REASON_ENUM
	REASON_MAX
};
