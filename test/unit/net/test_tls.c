// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "netio/tls.h"
#include "tls_kit.h"

static void test_both_versions(void **state)
{
	const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct listener_tls t = strict();
		struct peer p = client_of(&t, NULL);

		SSL_set_max_proto_version(p.ssl, versions[i]);
		SSL_set_tlsext_host_name(p.ssl, "web.example");
		assert_true(shake(&p));
		assert_int_equal(SSL_version(p.ssl), versions[i]);
		assert_true(e.c.peer->tls);
		assert_true(slice_eq_str(e.c.peer->sni, "web.example"));
		assert_int_equal(e.c.peer->identity.n, 0);
		hello_both_ways(&p);
		assert_int_equal(conn_raw_fd(&e.c, NET_WANT_READ), -1);
		peer_free(&p);
	}
}

static void test_old_versions_are_refused(void **state)
{
	struct listener_tls t = strict();
	struct peer p;

	(void)state;
	t.min_version = TLS1_3_VERSION;
	p = client_of(&t, NULL);
	SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
	assert_false(shake(&p));
	assert_int_equal(e.err, -EPROTO);
	assert_non_null(strstr(e.why, "unsupported protocol"));
	peer_free(&p);
}

static void shown_for(const char *sni, const char *common_name)
{
	struct listener_tls t = strict();
	struct peer p = client_of(&t, NULL);
	char cn[64];

	if (sni)
		SSL_set_tlsext_host_name(p.ssl, sni);
	assert_true(shake(&p));
	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(p.ssl)), NID_commonName, cn, sizeof(cn));
	assert_string_equal(cn, common_name);
	peer_free(&p);
}

static void test_certificate_by_name(void **state)
{
	(void)state;
	shown_for("second.example", "second");
	shown_for("SECOND.example", "second");
	shown_for("web.example", "web");
	shown_for("b.wild.example", "web");
	shown_for("a.wild.example", "second");
	shown_for("x.second.example", "second");
	shown_for("y.x.second.example", "web");
	shown_for("b.a.wild.example", "web");
	shown_for("nobody.example", "web");
	shown_for(NULL, "web");
}

static void test_alpn(void **state)
{
	static const unsigned char offer[] = "\x08http/1.1\x02h2", other[] = "\x03" "foo";
	struct listener_tls t = strict();
	struct peer p = client_of(&t, NULL);

	(void)state;
	SSL_set_alpn_protos(p.ssl, offer, sizeof(offer) - 1);
	assert_true(shake(&p));
	assert_true(slice_eq_str(e.c.peer->alpn, "h2"));
	peer_free(&p);
	p = client_of(&t, NULL);
	SSL_set_alpn_protos(p.ssl, other, sizeof(other) - 1);
	assert_false(shake(&p));
	assert_int_equal(ERR_GET_REASON(p.reason), SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
	peer_free(&p);
}

static void refused(const char *cert, const struct listener_tls *t, const char *why)
{
	struct peer p = client_of(t, cert);

	shake(&p);
	assert_int_equal(e.fails, 1);
	assert_int_equal(e.err, -EPROTO);
	if (!strstr(e.why, why))
		fail_msg("%s: \"%s\" does not say \"%s\"", cert ? cert : "none", e.why, why);
	peer_free(&p);
}

static void test_mutual(void **state)
{
	struct listener_tls t = mutual();
	struct peer p = client_of(&t, "client");

	(void)state;
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	assert_true(slice_eq_str(e.c.peer->identity, SPIFFE));
	assert_non_null(e.c.peer->cert_hash);
	hello_both_ways(&p);
	peer_free(&p);
	p = client_of(&t, "plain-client");
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	assert_true(slice_eq_str(e.c.peer->identity, "/CN=plain-client"));
	peer_free(&p);
	refused(NULL, &t, "peer did not return a certificate");
	refused("expired", &t, "certificate has expired (/CN=expired");
	refused("forged", &t, "unable to get local issuer certificate");
	refused("two-uris", &t, "more than one URI");
}

static void test_client_certificate_is_optional(void **state)
{
	struct listener_tls t = mutual();
	struct peer p;

	(void)state;
	t.require_client = false;
	p = client_of(&t, NULL);
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	assert_int_equal(e.c.peer->identity.n, 0);
	peer_free(&p);
	refused("forged", &t, "unable to get local issuer");
}

static void test_sans_of_clients(void **state)
{
	struct listener_tls t = mutual();
	struct peer p;

	(void)state;
	t.sans = SLICES(S("spiffe://td.example/ns/x/sa/y"), S(SPIFFE));
	t.nsans = 2;
	p = client_of(&t, "client");
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	peer_free(&p);
	refused("stranger", &t, "none of the names in sans (/CN=stranger");
	refused("plain-client", &t, "none of the names in sans");
	refused("two-uris", &t, "more than one URI");
	t.sans = SLICES(S("web.example"));
	t.nsans = 1;
	p = client_of(&t, "stranger");
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	peer_free(&p);
	refused("client", &t, "none of the names in sans");
}

static void test_settings_that_cannot_be(void **state)
{
	struct listener_tls t = strict();
	struct err err = { 0 };

	(void)state;
	t.require_client = true;
	assert_null(tlsctx_server(maker, &t, &certs, &err));
	assert_non_null(strstr(err_text(&err), "clientCA is not set"));
	t = strict();
	t.certificates = SLICES(S("absent"));
	t.ncertificates = 1;
	err_clear(&err);
	assert_null(tlsctx_server(maker, &t, &certs, &err));
	assert_string_equal(err_text(&err), "absent: no such secret");
	cert_text("rubbish", "no certificate");
	t.certificates = SLICES(S("web"), S("rubbish"));
	t.ncertificates = 2;
	err_clear(&err);
	assert_null(tlsctx_server(maker, &t, &certs, &err));
	assert_non_null(strstr(err_text(&err), "rubbish: certificate: "));
	t = mutual();
	t.client_ca = S("rubbish");
	err_clear(&err);
	assert_null(tlsctx_server(maker, &t, &certs, &err));
	assert_non_null(strstr(err_text(&err), "clientCA: rubbish: "));
}

static void test_what_did_not_change_is_the_same(void **state)
{
	struct listener_tls t = strict();
	struct tlsctx *a = context(&t), *b = context(&t), *c;
	const struct cert_want again = { "web", "ca", WEB, 0, 0 };

	(void)state;
	assert_ptr_equal(a, b);
	cert_make(&again);
	c = context(&t);
	assert_ptr_not_equal(a, c);
	tlsctx_drop(c);
	tlsctx_drop(b);
	tlsctx_sweep(maker);
	b = context(&t);
	assert_ptr_not_equal(a, b);
	tlsctx_drop(a);
	tlsctx_drop(b);
}

/* ---- every byte by itself ------------------------------------------------------------------------------------- */

static size_t forward(int from, int to, size_t most)
{
	char c[64];
	ssize_t n = read(from, c, most < sizeof(c) ? most : sizeof(c));

	if (n <= 0)
		return 0;
	assert_int_equal(write(to, c, (size_t)n), n);
	return (size_t)n;
}

/* A wire between the two, on which the server gets byte after byte. Returns how many it got; stops after `cut`. */
static size_t byte_by_byte(struct peer *p, int theirs, int ours, size_t cut)
{
	uint64_t end = clock_ns() + 60 * SEC;
	size_t passed = 0;
	bool done = false;

	while (!(done && e.opens) && !e.fails && passed < cut) {
		ERR_clear_error();
		done = done || SSL_do_handshake(p->ssl) == 1;
		passed += forward(theirs, ours, 1);
		turns(1);
		while (forward(ours, theirs, 64))
			;
		assert_true(clock_ns() < end);
	}
	return passed;
}

static size_t wire(size_t cut, bool *opened)
{
	struct listener_tls t = mutual();
	struct peer p;
	int left[2], right[2];
	size_t passed;

	pair(left);
	pair(right);
	serve(&tls_ops, &t, right[1]);
	p = peer_new(false, "client", left[0]);
	passed = byte_by_byte(&p, left[1], right[0], cut);
	*opened = e.opens;
	if (e.opens) {
		peer_write(&p, "hello");
		while (forward(left[1], right[0], 1))
			turns(1);
		until_got(&e, 5);
		assert_got(&e, "hello");
	} else {
		close(right[0]);
		until(&e.fails, 1);
		assert_true(e.err == -ECONNRESET || e.err == -EPROTO || e.err == -EPIPE);
		assert_true(e.why[0]);
	}
	if (e.opens)
		close(right[0]);
	close(left[1]);
	peer_free(&p);
	return passed;
}

static void test_split_and_cut_at_every_byte(void **state)
{
	bool opened;
	size_t all = wire(SIZE_MAX, &opened);

	(void)state;
	assert_true(opened);
	assert_true(all > 500);
	for (size_t cut = 0; cut < all; cut += 37) {
		wire(cut, &opened);
		assert_false(opened);
	}
}

/* ---- permissive ------------------------------------------------------------------------------------------------ */

static void test_permissive_takes_both(void **state)
{
	struct listener_tls t = strict();
	struct peer p;
	int sv[2];

	(void)state;
	t.mode = TLS_PERMISSIVE;
	pair(sv);
	serve(&tls_permissive_ops, &t, sv[0]);
	p = peer_new(false, NULL, sv[1]);
	assert_true(shake(&p));
	assert_true(e.c.peer->tls);
	hello_both_ways(&p);
	peer_free(&p);
	pair(sv);
	serve(&tls_permissive_ops, &t, sv[0]);
	turns(3);
	assert_int_equal(e.opens, 0);
	assert_int_equal(write(sv[1], "GET /", 5), 5);
	until(&e.opens, 1);
	assert_false(e.c.peer->tls);
	until_got(&e, 5);
	assert_got(&e, "GET /");
	assert_null(e.c.stack);
	assert_int_equal(conn_raw_fd(&e.c, NET_WANT_READ), sv[0]);
	close(sv[1]);
}

static void test_plain_bytes_are_refused(void **state)
{
	struct listener_tls t = strict();
	int sv[2];

	(void)state;
	pair(sv);
	serve(&tls_ops, &t, sv[0]);
	assert_int_equal(write(sv[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	until(&e.fails, 1);
	assert_non_null(strstr(e.why, "does not speak TLS"));
	close(sv[1]);
}

/* ---- ending ---------------------------------------------------------------------------------------------------- */

static void test_close_notify_both_ways(void **state)
{
	struct listener_tls t = strict();
	struct peer p = client_of(&t, NULL);
	char c;

	(void)state;
	assert_true(shake(&p));
	assert_int_equal(conn_shut(&e.c), 0);
	turns(2);
	assert_int_equal(SSL_read(p.ssl, &c, 1), 0);
	assert_int_equal(SSL_get_error(p.ssl, 0), SSL_ERROR_ZERO_RETURN);
	peer_write(&p, "still");
	until_got(&e, 5);
	assert_got(&e, "still");
	assert_int_equal(SSL_shutdown(p.ssl), 1);
	e.readables = 0;
	until(&e.readables, 1);
	assert_int_equal(drain(&e), 0);
	peer_free(&p);
}

static void test_end_without_close_notify_is_an_error(void **state)
{
	struct listener_tls t = strict();
	struct peer p = client_of(&t, NULL);
	char c;

	(void)state;
	assert_true(shake(&p));
	peer_write(&p, "half");
	until_got(&e, 4);
	/* The ticket: bytes that nobody read would make it a reset. */
	assert_int_equal(SSL_read(p.ssl, &c, 1), -1);
	SSL_set_quiet_shutdown(p.ssl, 1);
	peer_free(&p);
	e.readables = 0;
	until(&e.readables, 1);
	assert_int_equal(drain(&e), -ECONNRESET);
	assert_non_null(strstr(e.c.detail, "without close_notify"));
}

static void test_much_through_tls(void **state)
{
	struct listener_tls t = strict();
	struct peer p = client_of(&t, NULL);
	struct buf out = { 0 };
	size_t got = 0, all = 3000000;
	uint64_t end = clock_ns() + 60 * SEC;
	char *back = mem_alloc(all);

	(void)state;
	assert_true(shake(&p));
	for (size_t i = 0; i < all; i += 300) {
		char piece[300];

		memset(piece, (int)(i / 300), sizeof(piece));
		buf_add(&out, piece, sizeof(piece));
	}
	while (got < all) {
		size_t n = 0;

		if (out.len)
			assert_true(conn_write(&e.c, &out) >= 0);
		while (SSL_read_ex(p.ssl, back + got, all - got, &n) == 1)
			got += n;
		turns(1);
		assert_true(clock_ns() < end);
	}
	for (size_t i = 0; i < all; i++)
		assert_int_equal((unsigned char)back[i], (unsigned char)(i / 300));
	for (size_t sent = 0, n; sent < all; sent += n) {
		n = 0;
		SSL_write_ex(p.ssl, back + sent, all - sent > 100000 ? 100000 : all - sent, &n);
		turns(1);
		drain(&e);
	}
	until_got(&e, all);
	assert_memory_equal(buf_pull(&e.got, all).p, back, all);
	free(back);
	peer_free(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)
	const struct CMUnitTest tests[] = {
		T(test_both_versions),
		T(test_old_versions_are_refused),
		T(test_certificate_by_name),
		T(test_alpn),
		T(test_mutual),
		T(test_client_certificate_is_optional),
		T(test_sans_of_clients),
		T(test_settings_that_cannot_be),
		T(test_what_did_not_change_is_the_same),
		T(test_split_and_cut_at_every_byte),
		T(test_permissive_takes_both),
		T(test_plain_bytes_are_refused),
		T(test_close_notify_both_ways),
		T(test_end_without_close_notify_is_an_error),
		T(test_much_through_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
