/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of TLS contexts say to each other: settings in tlsctx.c, names, tickets, verification, peers. */
#pragma once
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include "net/tlsctx.h"
#include "weft/net_filter.h"

/* Reference counts by any thread. */
typedef _Atomic uint32_t refcount;
static inline void ref_hold(refcount *r)
{
	atomic_fetch_add_explicit(r, 1, memory_order_relaxed);
}
/* True: the caller had the last one. */
static inline bool ref_drop(refcount *r)
{
	return atomic_fetch_sub_explicit(r, 1, memory_order_acq_rel) == 1;
}

/* ---- who is accepted ---------------------------------------------------------------------------------------- */

struct verify_rule {
	bool server;                            /* we are; sans none: whoever the CA signed */
	size_t nsans;
	char **sans;
};

struct verify_rule *verify_rule_new(bool server, const struct slice *sans, size_t n);
void verify_rule_free(struct verify_rule *v);
int verify_chain(X509_STORE_CTX *sc, void *rule); /* SSL_CTX_set_cert_verify_callback */
/* The single URI of the certificate; empty: none, *many: more than one. p lives as long as *take_names. */
struct slice verify_uri(const X509 *x, GENERAL_NAMES **take_names, bool *many);

/* ---- tickets ------------------------------------------------------------------------------------------------ */

struct tickets;
struct tickets *tickets_new(void);              /* NULL: no random bytes */
void tickets_hold(struct tickets *t);
void tickets_drop(struct tickets *t);
int tickets_rotate(struct tickets *t);
unsigned tickets_keep(struct tickets *t, void *page, bool take); /* as tlsctx_keep_tickets() */
unsigned tickets_age(const struct tickets *t, uint64_t *newest_ns); /* how many keys there are */
void tickets_use(SSL_CTX *ctx);

/* ---- names -------------------------------------------------------------------------------------------------- */

struct names;                                   /* of a listener's certificates */
struct names *names_new(void);
/* Those of its certificate. ctx is held, unless n belongs to it. */
void names_add(struct names *n, SSL_CTX *ctx, bool own);
void names_sort(struct names *n);               /* after the last names_add() */
void names_free(struct names *n);
SSL_CTX *names_find(const struct names *n, const char *sni); /* NULL: none of them */

/* ---- contexts ----------------------------------------------------------------------------------------------- */

/* Hangs on each SSL_CTX, freed with it. */
struct ctx_data {
	uint64_t id;                            /* client: of these settings, never used twice */
	struct verify_rule *rule;
	struct tickets *tickets;                /* server */
	struct names *names;                    /* of the first certificate's context */
	unsigned char *alpn;                    /* as in the protocol: each with its length */
	unsigned nalpn;                         /* bytes */
	bool kernel;                            /* records by the kernel are wanted, should it have them or not */
	char *sni;                              /* client: to be asked for whatever the request says */
};
struct ctx_data *ctx_data(const SSL_CTX *ctx);

int peer_new_session(SSL *ssl, SSL_SESSION *x); /* SSL_CTX_sess_set_new_cb, client */

SSL_CTX *tlsctx_ssl(const struct tlsctx *c);
