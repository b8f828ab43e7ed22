/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that hosts gave: with one the next connection to the same host needs no certificates (RFC 5077; RFC 8446, 2.2).
 * A session holds for one TLS context, one address and one server name, so never under other settings than those it was
 * begun with: settings or certificates that change make another context. Bounded; the host used longest ago goes first.
 * One thread: each worker has its own.
 */
#pragma once
#include "weft/net_filter.h"
#include "weft/stat.h"

#define TLS_SESSION_HOSTS 256
#define TLS_SESSION_EACH 2                      /* of one host: a ticket of TLS 1.3 is used once */

#define TLS_SESSION_STATS(X)                                                                                           \
	X(COUNTER, handshakes, "TLS handshakes with hosts that were completed")                                        \
	X(COUNTER, resumed, "of them those by an earlier session, without certificates")                               \
	X(COUNTER, kernel_out, "of the handshakes those after which the kernel makes the records that are sent")       \
	X(COUNTER, kernel_in, "of them those after which it opens what is received, too")                              \
	X(COUNTER, kernel_not, "those for which `kernel: auto` came to nothing: this process does it")                 \
	X(GAUGE, kept, "sessions that are kept for next connections to hosts")
STAT_DECLARE(tls_session_stat, TLS_SESSION_STATS);

struct tls_sessions;
struct ssl_session_st;                          /* OpenSSL's SSL_SESSION */

struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *s); /* NULL is allowed; no connection may use it any more */
struct tls_session_stat *tls_sessions_stat(struct tls_sessions *s);

struct tls_session_key {
	uint64_t context;                       /* of the TLS context, never used twice */
	struct net_addr host;
	struct slice name;                      /* asked for and verified; none is kept under more than 253 bytes */
};
void tls_sessions_put(struct tls_sessions *s, const struct tls_session_key *k, struct ssl_session_st *take_x);
/* The newest that still holds, with a reference; NULL: none. */
struct ssl_session_st *tls_sessions_take(struct tls_sessions *s, const struct tls_session_key *k);
