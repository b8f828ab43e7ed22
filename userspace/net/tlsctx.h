/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and settings of one listener or one cluster, made into an OpenSSL context. Immutable; made by the control
 * thread when a snapshot comes, used by any worker, alive as long as a snapshot or a connection uses it. What did not change
 * from one snapshot to the next (compared by content) is the same object, so a new snapshot parses only what is new.
 *
 * Server: the certificate by SNI: exact name, then wildcard, then the first. TLS 1.2 and 1.3, no renegotiation, no
 * compression, no 0-RTT; sessions resume by tickets whose keys all workers share.
 */
#pragma once
#include "weft/err.h"
#include "weft/model.h"
#include "weft/stat.h"

struct tlsctx;

/* Control thread. */
struct tlsctx_maker;
struct tlsctx_maker *tlsctx_maker_new(void);
void tlsctx_maker_free(struct tlsctx_maker *m); /* contexts in use live on */

struct tlsctx_secrets {
	const struct secret *(*find)(void *arg, struct slice name); /* NULL: no such */
	void *arg;
};
/* A context with one reference more, or NULL with words. */
struct tlsctx *tlsctx_server(struct tlsctx_maker *m, const struct listener_tls *t, const struct tlsctx_secrets *s,
			     struct err *e);
struct tlsctx *tlsctx_client(struct tlsctx_maker *m, const struct cluster_tls *t, const struct tlsctx_secrets *s,
			     struct err *e);
void tlsctx_sweep(struct tlsctx_maker *m);      /* forgets what nobody else uses */

/* A new key for tickets. Each is good for TLSCTX_TICKET_KEYS periods; call it at least every TLSCTX_ROTATE_S. */
#define TLSCTX_TICKET_KEYS 3
#define TLSCTX_ROTATE_S (4 * 3600)
int tlsctx_rotate(struct tlsctx_maker *m);
/*
 * From now on keys are also written to page, so many bytes that another process may be given after this one's end, and
 * that stay mapped. take: keys that are there and still good, if any, become the keys. How many were taken.
 */
#define TLSCTX_TICKET_PAGE 4096
unsigned tlsctx_keep_tickets(struct tlsctx_maker *m, void *page, bool take);
/* How many keys there are, and in how many nanoseconds the next is due. */
unsigned tlsctx_rotate_due(const struct tlsctx_maker *m, uint64_t *due_ns);

#define TICKET_STATS(X)                                                                                                \
	X(GAUGE, keys, "keys of session tickets that are good; new tickets are sealed with the newest")                \
	X(GAUGE, next_s, "seconds until the next key")                                                                 \
	X(COUNTER, rotations, "keys made since the process began, beside its first")                                   \
	X(COUNTER, taken_over, "keys that a former process left")
STAT_DECLARE(ticket_stat, TICKET_STATS);

/* Any thread. */
struct tlsctx *tlsctx_hold(struct tlsctx *c);
void tlsctx_drop(struct tlsctx *c);             /* NULL is allowed */
