// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/list.h"
#include "netio/tls.h"
#include "tls_kit.h"

/* ---- certificates that are replaced, sessions that resume ------------------------------------------------------ */

static void test_swap_while_connections_live(void **state)
{
	const struct cert_want again = { "web", "ca", "DNS:web.example,DNS:new.example", 0, 0 };
	struct listener_tls t = strict();
	struct peer old = client_of(&t, NULL), fresh;
	int sv[2];

	(void)state;
	assert_true(shake(&old));
	cert_make(&again);
	tlsctx_sweep(maker);
	hello_both_ways(&old);
	/* A handshake that began before the swap ends after it. */
	pair(sv);
	serve(&tls_ops, &t, sv[0]);
	peer_free(&old);
	tlsctx_sweep(maker);
	fresh = peer_new(false, NULL, sv[1]);
	SSL_set_tlsext_host_name(fresh.ssl, "second.example");
	assert_true(shake(&fresh));
	hello_both_ways(&fresh);
	tlsctx_maker_free(maker);
	maker = NULL;
	hello_both_ways(&fresh);
	peer_free(&fresh);
}

static int session_kept(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION **to = SSL_get_app_data(ssl);

	SSL_SESSION_free(*to);
	*to = s;
	return 1;
}

/* One connection with session in, if any; gives the session it got. */
static bool resumes(const struct listener_tls *t, const char *cert, int version, SSL_SESSION **session)
{
	struct peer p = client_of(t, cert);
	SSL_SESSION *next = NULL;
	bool resumed;

	SSL_CTX_set_session_cache_mode(p.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p.ctx, session_kept);
	SSL_set_app_data(p.ssl, &next);
	SSL_set_max_proto_version(p.ssl, version);
	if (*session)
		assert_int_equal(SSL_set_session(p.ssl, *session), 1);
	assert_true(shake(&p));
	assert_int_equal(e.opens, 1);
	hello_both_ways(&p);
	resumed = SSL_session_reused(p.ssl);
	if (cert)
		assert_true(slice_eq_str(e.c.peer->identity, SPIFFE));
	/* TLS 1.2 renews a ticket in place. */
	SSL_SESSION_free(*session);
	*session = next ? next : SSL_get1_session(p.ssl);
	SSL_shutdown(p.ssl);
	peer_free(&p);
	return resumed;
}

static void test_sessions_resume(void **state)
{
	const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct listener_tls t = mutual(), other = mutual();

	(void)state;
	other.require_client = false;
	for (int i = 0; i < 2; i++) {
		const struct cert_want again = { "web", "ca", WEB, 0, 0 };
		SSL_SESSION *s = NULL;

		assert_false(resumes(&t, "client", versions[i], &s));
		assert_non_null(s);
		assert_true(resumes(&t, "client", versions[i], &s));
		/* A new certificate of the listener: the clients are the same. */
		cert_make(&again);
		assert_true(resumes(&t, "client", versions[i], &s));
		assert_int_equal(tlsctx_rotate(maker), 0);
		assert_int_equal(tlsctx_rotate(maker), 0);
		assert_true(resumes(&t, "client", versions[i], &s));
		/* A listener with other rules for clients checks anew. */
		assert_false(resumes(&other, "client", versions[i], &s));
		assert_false(resumes(&t, "client", versions[i], &s));
		for (int k = 0; k < TLSCTX_TICKET_KEYS; k++)
			assert_int_equal(tlsctx_rotate(maker), 0);
		assert_false(resumes(&t, "client", versions[i], &s));
		SSL_SESSION_free(s);
	}
}

static void test_a_session_ends_with_its_certificate(void **state)
{
	const struct cert_want brief = { "brief", "ca", "URI:" SPIFFE, -60, 5 };
	struct listener_tls t = mutual();
	SSL_SESSION *s = NULL;
	struct peer p;

	(void)state;
	cert_make(&brief);
	assert_false(resumes(&t, "brief", TLS1_3_VERSION, &s));
	usleep(5500000);
	p = client_of(&t, "brief");
	assert_int_equal(SSL_set_session(p.ssl, s), 1);
	shake(&p);
	assert_int_equal(e.fails, 1);
	assert_non_null(strstr(e.why, "expired"));
	peer_free(&p);
	SSL_SESSION_free(s);
}

/* ---- clients --------------------------------------------------------------------------------------------------- */

static struct peer dial(const struct cluster_tls *t, const char *cert, const char *host)
{
	struct err err = { 0 };
	struct tlsctx *c = tlsctx_client(maker, t, &certs, &err);
	const struct net_layer layer = { .ops = &tls_ops, .conf = c };
	int sv[2];

	if (!c)
		fail_msg("%s", err_text(&err));
	pair(sv);
	conn_close(&e.c);
	e.opens = e.fails = e.readables = 0;
	assert_int_equal(conn_open(&e.c, &loop, sv[0], false, &layer, 1, 30000, &end_events), 0);
	if (!e.c.peer->sni.n)
		e.c.peer->sni = slice_str(host);
	tlsctx_drop(c);
	return peer_new(true, cert, sv[1]);
}

static void dialled(const struct cluster_tls *t, const char *cert, const char *host, const char *why)
{
	struct peer p = dial(t, cert, host);

	shake(&p);
	if (why) {
		assert_int_equal(e.fails, 1);
		assert_int_equal(e.err, -EPROTO);
		if (!strstr(e.why, why))
			fail_msg("\"%s\" does not say \"%s\"", e.why, why);
	} else {
		assert_int_equal(e.opens, 1);
		hello_both_ways(&p);
	}
	peer_free(&p);
}

static void test_client_checks_the_name(void **state)
{
	struct cluster_tls t = { .enabled = true, .ca = S("ca") };
	const struct cert_want ip = { "by-ip", "ca", "IP:10.0.0.7,IP:fd00::7", 0, 0 };

	(void)state;
	cert_make(&ip);
	dialled(&t, "web", "web.example", NULL);
	assert_non_null(e.c.peer->cert_hash);
	dialled(&t, "web", "x.wild.example", NULL);
	dialled(&t, "web", "other.example", "it is not for this name (/CN=web");
	dialled(&t, "web", "", "no name to check");
	dialled(&t, "by-ip", "10.0.0.7", NULL);
	dialled(&t, "by-ip", "fd00::7", NULL);
	dialled(&t, "by-ip", "10.0.0.8", "not for this name");
	dialled(&t, "forged", "web.example", "unable to get local issuer");
	dialled(&t, "expired", "web.example", "expired");
	t.sni = S("web.example");
	dialled(&t, "web", "other.example", NULL);
	t.insecure = true;
	dialled(&t, "forged", "web.example", NULL);
	assert_int_equal(e.c.peer->identity.n, 0);
}

static void test_client_checks_sans(void **state)
{
	struct cluster_tls t = { .enabled = true, .ca = S("ca"), .sans = SLICES(S(SPIFFE)), .nsans = 1 };

	(void)state;
	dialled(&t, "client", "whatever.example", NULL);
	assert_true(slice_eq_str(e.c.peer->identity, SPIFFE));
	dialled(&t, "client", "", NULL);
	dialled(&t, "stranger", "web.example", "none of the names in sans");
	dialled(&t, "two-uris", "web.example", "more than one URI");
}

static int offered(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in, unsigned nin, void *arg)
{
	(void)ssl, (void)arg, (void)nin;
	*out = in + 1;
	*n = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void test_client_shows_and_asks(void **state)
{
	struct cluster_tls t = { .enabled = true, .ca = S("ca"), .certificate = S("client"), .alpn = h2_h1, .nalpn = 2 };
	struct peer p = dial(&t, "web", "web.example");
	char cn[64];

	(void)state;
	SSL_set_verify(p.ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_select_cb(p.ctx, offered, NULL);
	X509_STORE *store = X509_STORE_new();
	BIO *b = BIO_new_mem_buf(cert_find("ca")->certificate.p, -1);
	X509 *ca = PEM_read_bio_X509(b, NULL, NULL, NULL);
	X509_STORE_add_cert(store, ca);
	SSL_set1_verify_cert_store(p.ssl, store);
	X509_STORE_free(store);
	X509_free(ca);
	BIO_free(b);
	assert_true(shake(&p));
	assert_true(slice_eq_str(e.c.peer->alpn, "h2"));
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "web.example");
	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(p.ssl)), NID_commonName, cn, sizeof(cn));
	assert_string_equal(cn, "client");
	peer_free(&p);
	/* An address is no server name. */
	p = dial(&t, "web", "10.0.0.7");
	shake(&p);
	assert_null(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name));
	peer_free(&p);
}

static void test_the_peers_alert_is_named(void **state)
{
	struct cluster_tls t = { .enabled = true, .ca = S("ca"), .sni = S("web.example") };
	struct peer p = dial(&t, "web", "");

	(void)state;
	SSL_set_min_proto_version(p.ssl, TLS1_3_VERSION);
	SSL_set_ciphersuites(p.ssl, "TLS_AES_128_CCM_8_SHA256");
	shake(&p);
	assert_int_equal(e.fails, 1);
	assert_non_null(strstr(e.why, "the peer's alert: handshake failure (server name \"web.example\""));
	peer_free(&p);
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

/* Two workers shake hands with the same context, each with its own loop and peers, while keys rotate. */
struct worker {
	pthread_t id;
	struct tlsctx *ctx;
	int done;
};

static void on_nothing(struct conn *c)
{
	(void)c;
}

struct worker_end {
	struct conn c;
	bool open;
};

static void on_open(struct conn *c)
{
	container_of(c, struct worker_end, c)->open = true;
}

static void on_failed(struct conn *c, int err)
{
	(void)c, (void)err;
	abort();
}

static void *work(void *arg)
{
	static const struct conn_events on = { on_open, on_nothing, on_nothing, on_failed, false };
	struct worker *w = arg;
	const struct net_layer layer = { .ops = &tls_ops, .conf = w->ctx };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct loop l;

	if (loop_init(&l))
		abort();
	for (int i = 0; i < 30; i++) {
		struct worker_end x = { 0 };
		SSL *ssl = SSL_new(ctx);
		int sv[2], ret = 0;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) ||
		    conn_open(&x.c, &l, sv[0], true, &layer, 1, 0, &on))
			abort();
		SSL_set_fd(ssl, sv[1]);
		SSL_set_tlsext_host_name(ssl, (i % 2 ? "second.example" : "web.example"));
		while (ret != 1 || !x.open) {
			ret = ret == 1 ? 1 : SSL_connect(ssl);
			loop_once(&l, 0);
		}
		w->done++;
		SSL_free(ssl);
		close(sv[1]);
		conn_close(&x.c);
	}
	SSL_CTX_free(ctx);
	tlsctx_drop(w->ctx);
	loop_fini(&l);
	return NULL;
}

static void test_workers_share_a_context(void **state)
{
	struct listener_tls t = strict();
	struct worker w[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		w[i].ctx = context(&t);
		assert_int_equal(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tlsctx_rotate(maker), 0);
		usleep(5000);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(w[i].id, NULL);
		assert_int_equal(w[i].done, 30);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)
	const struct CMUnitTest tests[] = {
		T(test_swap_while_connections_live),
		T(test_sessions_resume),
		T(test_a_session_ends_with_its_certificate),
		T(test_client_checks_the_name),
		T(test_client_checks_sans),
		T(test_client_shows_and_asks),
		T(test_the_peers_alert_is_named),
		T(test_workers_share_a_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
