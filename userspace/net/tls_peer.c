/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer that speaks TLS gets of its context, and what it learns of its peer. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include "net/conn_priv.h"
#include "net/ktls.h"
#include "net/sock.h"
#include "net/tls_priv.h"
#include "net/tls_session.h"
#include "weft/str.h"

#define SUBJECT_MAX 512

static int keep(struct net_filter *f, struct slice *to, const void *p, size_t n)
{
	char *copy = n ? net_filter_alloc(f, n + 1) : NULL;

	if (n && !copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, p, n);
	*to = (struct slice){ copy, n };
	return 0;
}

struct ssl_st *net_filter_ssl_new(struct net_filter *f)
{
	SSL_CTX *ctx = tlsctx_ssl(f->conf);
	const char *sni = ctx_data(ctx)->sni;
	SSL *ssl = SSL_new(ctx);

	if (!ssl)
		return NULL;
	SSL_set_app_data(ssl, f);
	if (f->peer->server) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_set_connect_state(ssl);
	if (sni && keep(f, &f->peer->sni, sni, strlen(sni))) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

/* ---- towards hosts ------------------------------------------------------------------------------------------ */

static struct tls_session_key session_key(const struct net_filter *f, const SSL *ssl)
{
	return (struct tls_session_key){ ctx_data(SSL_get_SSL_CTX(ssl))->id, f->peer->remote, f->peer->sni };
}

/* A server's name is asked for by SNI, but not an address (RFC 6066, 3). */
static int ask_for_name(const struct net_filter *f, SSL *ssl)
{
	struct slice sni = f->peer->sni;
	unsigned char ip[16];
	char name[256];

	if (!sni.n || sni.n >= sizeof(name))
		return 0;
	memcpy(name, sni.p, sni.n);
	name[sni.n] = '\0';
	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return 0;
	return SSL_set_tlsext_host_name(ssl, name) == 1 ? 0 : -ENOMEM;
}

int net_filter_ssl_begin(struct net_filter *f, struct ssl_st *ssl)
{
	struct tls_sessions *all = stack_conn(f)->sessions;
	struct tls_session_key key = session_key(f, ssl);
	SSL_SESSION *x;

	if (f->peer->server)
		return 0;
	x = all ? tls_sessions_take(all, &key) : NULL;
	if (x)
		SSL_set_session(ssl, x);
	SSL_SESSION_free(x);
	return ask_for_name(f, ssl);
}

/* 1: x is ours now */
int peer_new_session(SSL *ssl, SSL_SESSION *x)
{
	struct net_filter *f = SSL_get_app_data(ssl);
	struct tls_sessions *all = stack_conn(f)->sessions;
	struct tls_session_key key = session_key(f, ssl);

	if (!all || f->peer->server)
		return 0;
	tls_sessions_put(all, &key, x);
	return 1;
}

static void count(const struct net_filter *f)
{
	struct tls_sessions *all = stack_conn((struct net_filter *)f)->sessions;
	struct tls_session_stat *stat = all ? tls_sessions_stat(all) : NULL;

	if (!stat)
		return;
	stat_add(&stat->handshakes, 1);
	stat_add(&stat->resumed, f->peer->resumed);
	stat_add(&stat->kernel_out, f->peer->kernel_out);
	stat_add(&stat->kernel_in, f->peer->kernel_in);
	stat_add(&stat->kernel_not, f->peer->kernel_asked && !f->peer->kernel_out);
}

struct bio_st *net_filter_ssl_kernel(struct net_filter *f, const struct ssl_st *ssl)
{
	int fd = stack_conn(f)->io.fd;

	f->peer->kernel_asked = ctx_data(SSL_get_SSL_CTX(ssl))->kernel;
	/* What is short-circuited gains more by that, and cannot have both. */
	if (!(SSL_get_options(ssl) & SSL_OP_ENABLE_KTLS) || !stack_on_socket(f) || sock_paired(fd))
		return NULL;
	return BIO_new_socket(fd, BIO_NOCLOSE);
}

void net_filter_ssl_end(struct net_filter *f)
{
	struct conn *c = stack_conn(f);

	ktls_close_notify(c->io.fd);
	socket_shut(c);
}

/* ---- what is learned ---------------------------------------------------------------------------------------- */

/* An absolute one (RFC 3986, 4.3) of visible ASCII: no subject looks so, which begins with a slash, and no line ends in it. */
static bool is_uri(struct slice s)
{
	if (!s.n || (s.p[0] | 0x20) < 'a' || (s.p[0] | 0x20) > 'z' || !memchr(s.p, ':', s.n))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return true;
}

/* The verified one: a SPIFFE id, or whatever URI it is, else the subject. */
static int learn_identity(struct net_filter *f, const X509 *x)
{
	struct net_peer *p = f->peer;
	char subject[SUBJECT_MAX];
	GENERAL_NAMES *names;
	bool many;
	struct slice uri = verify_uri(x, &names, &many);
	int err;

	if (!is_uri(uri))
		uri = (struct slice){ NULL, 0 };
	if (!uri.n && X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof(subject)))
		uri = slice_str(subject);
	err = keep(f, &p->identity, uri.p, uri.n);
	GENERAL_NAMES_free(names);
	return err;
}

static int learn_certificate(struct net_filter *f, const SSL *ssl)
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	unsigned char *hash;

	_Static_assert(NET_CERT_HASH == SHA256_DIGEST_LENGTH, "net_peer.cert_hash");
	if (!x)
		return 0;
	hash = net_filter_alloc(f, NET_CERT_HASH);
	if (!hash || X509_digest(x, EVP_sha256(), hash, NULL) != 1)
		return -ENOMEM;
	f->peer->cert_hash = hash;
	if (!(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) || SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	return learn_identity(f, x);
}

int net_filter_ssl_done(struct net_filter *f, struct ssl_st *ssl)
{
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned n;
	int err = 0;

	f->peer->tls = true;
	f->peer->resumed = SSL_session_reused(ssl);
	f->peer->kernel_out = BIO_get_ktls_send(SSL_get_wbio(ssl));
	f->peer->kernel_in = BIO_get_ktls_recv(SSL_get_rbio(ssl));
	count(f);
	SSL_get0_alpn_selected(ssl, &alpn, &n);
	if (f->peer->server && sni)
		err = keep(f, &f->peer->sni, sni, strlen(sni));
	if (!err)
		err = keep(f, &f->peer->alpn, alpn, n);
	return err ? err : learn_certificate(f, ssl);
}

static const char *cause(const SSL *ssl, unsigned long code, char *out, size_t n)
{
	const char *reason = ERR_reason_error_string(code);
	int number = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;

	(void)ssl;
	/* OpenSSL's table of alerts lacks some of TLS 1.3. */
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && number == SSL_AD_CERTIFICATE_REQUIRED)
		snprintf(out, n, "the peer's alert: certificate required");
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL && number >= 0 && number < 256)
		snprintf(out, n, "the peer's alert: %s", SSL_alert_desc_string_long(number));
	else if (ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST || ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
		snprintf(out, n, "the peer does not speak TLS (%s)", reason ? reason : "plain bytes");
	else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		snprintf(out, n, "the peer ended it without close_notify");
	else
		snprintf(out, n, "%s", reason ? reason : "the connection broke");
	return out;
}

void net_filter_ssl_why(struct net_filter *f, struct ssl_st *ssl, const char *doing)
{
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	long verdict = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_error();
	char text[256];

	/* A certificate that was refused has been explained by verify_chain(). */
	if (ERR_GET_REASON(code) != SSL_R_CERTIFICATE_VERIFY_FAILED || verdict == X509_V_OK)
		net_filter_why(f, "%s: %s (server name \"%s\", in state %s)", doing,
			       cause(ssl, code, text, sizeof(text)), sni ? sni : "", SSL_state_string_long(ssl));
	ERR_clear_error();
}
