/* SPDX-License-Identifier: Apache-2.0 */
/* A weft connection with TLS on it (e), and at its other end OpenSSL by itself (struct peer). */
#pragma once
#include <openssl/ssl.h>
#include "certs.h"
#include "kit.h"
#include "weft/str.h"

#define WEB "DNS:web.example,DNS:*.wild.example"
#define SPIFFE "spiffe://td.example/ns/a/sa/client"
#define SLICES(...) (const struct slice[]){ __VA_ARGS__ }
#define S(x) SLICE_LIT(x)

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	int error;                              /* SSL_get_error() of the handshake, once it failed */
	unsigned long reason;
};

extern struct tlsctx_maker *maker;
extern struct end e;
extern const struct slice h2_h1[2];

/* Certificates "web" (names WEB), "second", and clients; see tls_kit.c. */
int tls_setup(void **state);
int tls_teardown(void **state);

struct peer peer_new(bool server, const char *cert, int fd);
void peer_free(struct peer *p);
bool shake(struct peer *p);                     /* until both sides are done; true when the peer's handshake succeeded */
void peer_write(struct peer *p, const char *text);
void peer_reads(struct peer *p, const char *text);
void hello_both_ways(struct peer *p);

struct listener_tls strict(void);               /* certificates "web" and "second", ALPN h2 and http/1.1 */
struct listener_tls mutual(void);               /* and clients must show one of "ca" */
struct tlsctx *context(const struct listener_tls *t);
void serve(const struct net_filter_ops *ops, const struct listener_tls *t, int fd); /* e, anew */
struct peer client_of(const struct listener_tls *t, const char *cert); /* of a strict server */
