// SPDX-License-Identifier: Apache-2.0
#include "tls_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "netio/tls.h"

struct tlsctx_maker *maker;
struct end e;

int tls_setup(void **state)
{
	const struct cert_want all[] = {
		{ "ca", NULL, NULL, 0, 0 },
		{ "other-ca", NULL, NULL, 0, 0 },
		{ "web", "ca", WEB, 0, 0 },
		{ "second", "ca", "DNS:second.example,DNS:a.wild.example,DNS:*.second.example", 0, 0 },
		{ "client", "ca", "URI:" SPIFFE, 0, 0 },
		{ "stranger", "ca", "URI:spiffe://td.example/ns/a/sa/other,DNS:web.example", 0, 0 },
		{ "two-uris", "ca", "URI:" SPIFFE ",URI:spiffe://td.example/ns/b/sa/x", 0, 0 },
		{ "plain-client", "ca", NULL, 0, 0 },
		{ "expired", "ca", "URI:" SPIFFE, -7200, -3600 },
		{ "forged", "other-ca", "URI:" SPIFFE, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cert_make(&all[i]);
	e = (struct end){ 0 };
	maker = tlsctx_maker_new();
	return kit_setup(state);
}

int tls_teardown(void **state)
{
	conn_close(&e.c);
	buf_fini(&e.got);
	tlsctx_maker_free(maker);
	certs_free();
	return kit_teardown(state);
}

static SSL_CTX *peer_ctx(bool server, const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	const struct secret *s = cert ? cert_find(cert) : NULL;
	BIO *b;

	if (!s)
		return ctx;
	b = BIO_new_mem_buf(s->certificate.p, (int)s->certificate.n);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	b = BIO_new_mem_buf(s->private_key.p, (int)s->private_key.n);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	BIO_free(b);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, k), 1);
	X509_free(x);
	EVP_PKEY_free(k);
	return ctx;
}

struct peer peer_new(bool server, const char *cert, int fd)
{
	struct peer p = { .ctx = peer_ctx(server, cert), .fd = fd };

	p.ssl = SSL_new(p.ctx);
	SSL_set_fd(p.ssl, fd);
	if (server)
		SSL_set_accept_state(p.ssl);
	else
		SSL_set_connect_state(p.ssl);
	return p;
}

void peer_free(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	close(p->fd);
}

/* Both sides go on until they are done; true when the peer's handshake succeeded. */
bool shake(struct peer *p)
{
	uint64_t end = clock_ns() + 30 * SEC;
	bool done = false;

	while (!done || !(e.opens + e.fails)) {
		ERR_clear_error();
		if (!done) {
			int ret = SSL_do_handshake(p->ssl), err = SSL_get_error(p->ssl, ret);

			done = ret == 1 || (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE);
			p->error = ret == 1 ? 0 : err;
			p->reason = ERR_peek_error();
		}
		assert_int_equal(loop_once(&loop, MSEC), 0);
		assert_true(clock_ns() < end);
	}
	return !p->error;
}

void peer_write(struct peer *p, const char *text)
{
	assert_int_equal(SSL_write(p->ssl, text, (int)strlen(text)), strlen(text));
}

void peer_reads(struct peer *p, const char *text)
{
	uint64_t end = clock_ns() + 30 * SEC;
	char got[256];
	int n;

	while ((n = SSL_read(p->ssl, got, sizeof(got))) <= 0) {
		assert_int_equal(SSL_get_error(p->ssl, n), SSL_ERROR_WANT_READ);
		assert_int_equal(loop_once(&loop, MSEC), 0);
		assert_true(clock_ns() < end);
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, n);
}

static void reply(const char *text)
{
	struct buf out = { 0 };

	buf_add(&out, text, strlen(text));
	assert_int_equal(conn_write(&e.c, &out), strlen(text));
}

void hello_both_ways(struct peer *p)
{
	peer_write(p, "hello");
	until_got(&e, 5);
	assert_got(&e, "hello");
	reply("welcome");
	peer_reads(p, "welcome");
}

static const struct slice web_and_second[] = { S("web"), S("second") };
const struct slice h2_h1[2] = { S("h2"), S("http/1.1") };

struct listener_tls strict(void)
{
	return (struct listener_tls){ .mode = TLS_STRICT, .certificates = web_and_second, .ncertificates = 2, .alpn = h2_h1,
				      .nalpn = 2 };
}

struct listener_tls mutual(void)
{
	struct listener_tls t = strict();

	t.client_ca = S("ca");
	t.require_client = true;
	return t;
}

struct tlsctx *context(const struct listener_tls *t)
{
	struct err err = { 0 };
	struct tlsctx *c = tlsctx_server(maker, t, &certs, &err);

	if (!c)
		fail_msg("%s", err_text(&err));
	return c;
}

void serve(const struct net_filter_ops *ops, const struct listener_tls *t, int fd)
{
	struct tlsctx *c = context(t);
	const struct net_layer layer = { .ops = ops, .conf = c };

	conn_close(&e.c);
	e.opens = e.fails = e.readables = 0;
	assert_int_equal(conn_open(&e.c, &loop, fd, true, &layer, 1, 30000, &end_events), 0);
	/* The connection needs neither the layers nor our reference any more. */
	tlsctx_drop(c);
}

struct peer client_of(const struct listener_tls *t, const char *cert)
{
	int sv[2];

	pair(sv);
	serve(&tls_ops, t, sv[0]);
	return peer_new(false, cert, sv[1]);
}

