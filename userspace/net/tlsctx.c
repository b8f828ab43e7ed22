/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tlsctx.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/table.h"
#include "net/ktls.h"
#include "net/tls_priv.h"

#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20" /* forward secrecy and AEAD only */
#define SECURITY_LEVEL 2                        /* 112 bits: RSA 2048, SHA-256 */

STAT_DEFINE(ticket_stat, "tickets", TICKET_STATS);

struct tlsctx {
	refcount refs;
	SSL_CTX *ssl;
	unsigned char digest[SHA256_DIGEST_LENGTH];
};

struct tlsctx_maker {
	struct table known;                     /* by digest; each held */
	struct tickets *tickets;
	X509_STORE *system;                     /* CAs of the system, read once */
	uint64_t clients;                       /* contexts made: numbers of sessions' owners */
};

/* ---- what hangs on a context -------------------------------------------------------------------------------- */

static int data_index;
static pthread_once_t data_once = PTHREAD_ONCE_INIT;

static void data_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct ctx_data *d = ptr;

	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	if (!d)
		return;
	verify_rule_free(d->rule);
	tickets_drop(d->tickets);
	names_free(d->names);
	free(d->alpn);
	free(d->sni);
	free(d);
}

static void data_make_index(void)
{
	data_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, data_free);
	assert_always(data_index >= 0);
}

struct ctx_data *ctx_data(const SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, data_index);
}

static int alpn_make(struct ctx_data *d, const struct slice *v, size_t n, struct err *e)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].n || v[i].n > 255)
			return err_add(e, -EINVAL, "alpn: \"%.*s\" has no length of 1 to 255", SLICE_ARG(v[i]));
		len += v[i].n + 1;
	}
	d->alpn = mem_alloc(len + 1);
	for (size_t i = 0; i < n; i++) {
		d->alpn[d->nalpn++] = (unsigned char)v[i].n;
		memcpy(d->alpn + d->nalpn, v[i].p, v[i].n);
		d->nalpn += (unsigned)v[i].n;
	}
	return 0;
}

/* ---- PEM ---------------------------------------------------------------------------------------------------- */

static int ssl_err(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_add(e, -EINVAL, "%s: %s", what, reason ? reason : "not PEM");
}

/* Nobody is there to be asked for a password. */
static int no_password(char *buf, int size, int rw, void *arg)
{
	(void)buf, (void)size, (void)rw, (void)arg;
	return -1;
}

static BIO *pem_open(struct slice text)
{
	BIO *b = text.n <= INT32_MAX ? BIO_new_mem_buf(text.n ? text.p : "", (int)text.n) : NULL;

	assert_always(b);
	return b;
}

static int use_chain(SSL_CTX *ctx, struct slice text, struct err *e)
{
	BIO *b = pem_open(text);
	X509 *x = PEM_read_bio_X509(b, NULL, no_password, NULL);
	int ok = x && SSL_CTX_use_certificate(ctx, x) == 1, err = 0;

	X509_free(x);
	if (!ok)
		err = ssl_err(e, "certificate");
	while (!err && (x = PEM_read_bio_X509(b, NULL, no_password, NULL))) {
		if (SSL_CTX_add0_chain_cert(ctx, x) == 1)
			continue;
		X509_free(x);
		err = ssl_err(e, "certificate of the chain");
	}
	ERR_clear_error();
	BIO_free(b);
	return err;
}

static int use_key(SSL_CTX *ctx, struct slice text, struct err *e)
{
	BIO *b = pem_open(text);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	int ok = k && SSL_CTX_use_PrivateKey(ctx, k) == 1;

	EVP_PKEY_free(k);
	BIO_free(b);
	return ok && SSL_CTX_check_private_key(ctx) == 1 ? 0 : ssl_err(e, "private key");
}

static int use_secret(SSL_CTX *ctx, struct slice name, const struct tlsctx_secrets *s, struct err *e)
{
	const struct secret *x = s->find(s->arg, name);
	int err = x ? use_chain(ctx, x->certificate, e) : err_add(e, -ENOENT, "no such secret");

	if (!err)
		err = use_key(ctx, x->private_key, e);
	return err ? err_add(e, err, "%.*s", SLICE_ARG(name)) : 0;
}

static int use_ca(SSL_CTX *ctx, struct slice name, const struct tlsctx_secrets *s, bool server, struct err *e)
{
	const struct secret *secret = s->find(s->arg, name);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	int n = 0, err = 0;
	BIO *b;
	X509 *x;

	if (!secret)
		return err_add(e, -ENOENT, "%.*s: no such secret", SLICE_ARG(name));
	b = pem_open(secret->certificate);
	for (; !err && (x = PEM_read_bio_X509(b, NULL, no_password, NULL)); n++) {
		if (X509_STORE_add_cert(store, x) != 1 || (server && SSL_CTX_add_client_CA(ctx, x) != 1))
			err = ssl_err(e, "certificate of a CA");
		X509_free(x);
	}
	BIO_free(b);
	if (!err && !n)
		err = ssl_err(e, "certificate of a CA");
	ERR_clear_error();
	return err ? err_add(e, err, "%.*s", SLICE_ARG(name)) : 0;
}

/* One file, no folder: looking into a folder is done while a connection waits. */
static int use_system_ca(struct tlsctx_maker *m, SSL_CTX *ctx, struct err *e)
{
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/cert.pem" };
	const char *named = getenv(X509_get_default_cert_file_env());
	X509_STORE *store = m->system ? m->system : X509_STORE_new();
	bool got = m->system || (named && X509_STORE_load_file(store, named) == 1);

	assert_always(store);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !got; i++)
		got = X509_STORE_load_file(store, usual[i]) == 1;
	ERR_clear_error();
	m->system = got ? store : NULL;
	if (got) {
		SSL_CTX_set1_cert_store(ctx, store);
		return 0;
	}
	X509_STORE_free(store);
	return err_add(e, -ENOENT, "this machine has no file of trusted CAs (%s); name one in tls.trustedCA", usual[0]);
}

/* ---- digests ------------------------------------------------------------------------------------------------ */

struct digest {
	EVP_MD_CTX *md;
};

static void digest_bytes(struct digest *d, const void *p, size_t n)
{
	uint64_t len = n;

	assert_always(EVP_DigestUpdate(d->md, &len, sizeof(len)) == 1 && (!n || EVP_DigestUpdate(d->md, p, n) == 1));
}

static void digest_slice(struct digest *d, struct slice s)
{
	digest_bytes(d, s.p, s.n);
}

static void digest_slices(struct digest *d, const struct slice *v, size_t n)
{
	digest_bytes(d, &n, sizeof(n));
	for (size_t i = 0; i < n; i++)
		digest_slice(d, v[i]);
}

static void digest_secret(struct digest *d, struct slice name, const struct tlsctx_secrets *s)
{
	const struct secret *x = name.n ? s->find(s->arg, name) : NULL;

	digest_slice(d, x ? x->certificate : (struct slice){ 0 });
	digest_slice(d, x ? x->private_key : (struct slice){ 0 });
}

static void digest_begin(struct digest *d)
{
	d->md = EVP_MD_CTX_new();
	assert_always(d->md && EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) == 1);
}

static void digest_end(struct digest *d, unsigned char *out)
{
	assert_always(EVP_DigestFinal_ex(d->md, out, NULL) == 1);
	EVP_MD_CTX_free(d->md);
}

/* What decides whether a client is accepted: its sessions resume only where that is the same (RFC 8446, 4.6.1). */
static void digest_clients(struct digest *d, const struct listener_tls *t, const struct tlsctx_secrets *s)
{
	digest_secret(d, t->client_ca, s);
	digest_bytes(d, &t->require_client, sizeof(t->require_client));
	digest_slices(d, t->sans, t->nsans);
	digest_bytes(d, &t->min_version, sizeof(t->min_version));
}

static void digest_server(const struct listener_tls *t, const struct tlsctx_secrets *s, unsigned char *out)
{
	struct digest d;

	digest_begin(&d);
	digest_bytes(&d, "server", 6);
	digest_clients(&d, t, s);
	for (size_t i = 0; i < t->ncertificates; i++)
		digest_secret(&d, t->certificates[i], s);
	digest_slices(&d, t->alpn, t->nalpn);
	digest_bytes(&d, &t->kernel, sizeof(t->kernel));
	digest_end(&d, out);
}

static void digest_client(const struct cluster_tls *t, const struct tlsctx_secrets *s, unsigned char *out)
{
	struct digest d;

	digest_begin(&d);
	digest_bytes(&d, "client", 6);
	digest_slice(&d, t->sni);
	digest_slice(&d, t->ca);
	digest_secret(&d, t->ca, s);
	digest_secret(&d, t->certificate, s);
	digest_bytes(&d, &t->insecure, sizeof(t->insecure));
	digest_slices(&d, t->alpn, t->nalpn);
	digest_slices(&d, t->sans, t->nsans);
	digest_bytes(&d, &t->kernel, sizeof(t->kernel));
	digest_end(&d, out);
}

/* ---- contexts ----------------------------------------------------------------------------------------------- */

/* Both kinds. SSL_MODE_RELEASE_BUFFERS: an idle connection gives back its 34 KiB. */
static SSL_CTX *ctx_new(bool server, uint16_t min_version, bool kernel, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert_always(ctx);
	assert_always(SSL_CTX_set_ex_data(ctx, data_index, mem_alloc(sizeof(struct ctx_data))) == 1);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	ctx_data(ctx)->kernel = kernel;
	if (kernel && ktls_there())
		SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS_12) == 1 &&
	    SSL_CTX_set_min_proto_version(ctx, min_version ? min_version : TLS1_2_VERSION) == 1)
		return ctx;
	ssl_err(e, "TLS settings");
	SSL_CTX_free(ctx);
	return NULL;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in, unsigned nin, void *arg)
{
	const struct ctx_data *d = arg;

	(void)ssl;
	if (SSL_select_next_proto((unsigned char **)out, n, d->alpn, d->nalpn, in, nin) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The context that a name leads to is kept by the SSL; whom it trusts is the same in all of one listener. */
static int select_certificate(SSL *ssl, int *alert, void *arg)
{
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct ctx_data *d = arg;
	SSL_CTX *ctx = sni ? names_find(d->names, sni) : NULL;

	(void)alert;
	if (!sni)
		return SSL_TLSEXT_ERR_NOACK;
	if (ctx)
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

static int verify_clients(SSL_CTX *ctx, const struct listener_tls *t, const struct tlsctx_secrets *s, struct err *e)
{
	struct ctx_data *d = ctx_data(ctx);
	int err;

	if (!t->client_ca.n) {
		if (t->require_client || t->nsans)
			return err_add(e, -EINVAL, "client certificates are wanted, but clientCA is not set");
		return 0;
	}
	err = use_ca(ctx, t->client_ca, s, true, e);
	if (err)
		return err_add(e, err, "clientCA");
	d->rule = verify_rule_new(true, t->sans, t->nsans);
	SSL_CTX_set_cert_verify_callback(ctx, verify_chain, d->rule);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (t->require_client ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return 0;
}

static int bind_sessions(SSL_CTX *ctx, const struct listener_tls *t, const struct tlsctx_secrets *s)
{
	unsigned char id[SHA256_DIGEST_LENGTH];
	struct digest d;

	digest_begin(&d);
	digest_clients(&d, t, s);
	digest_end(&d, id);
	return SSL_CTX_set_session_id_context(ctx, id, SSL_MAX_SID_CTX_LENGTH) == 1 ? 0 : -EINVAL;
}

static SSL_CTX *server_ctx(struct tlsctx_maker *m, const struct listener_tls *t, size_t i, const struct tlsctx_secrets *s,
			   struct err *e)
{
	SSL_CTX *ctx = ctx_new(true, t->min_version, t->kernel, e);
	struct ctx_data *d = ctx ? ctx_data(ctx) : NULL;
	int err;

	if (!ctx)
		return NULL;
	d->tickets = m->tickets;
	tickets_hold(m->tickets);
	tickets_use(ctx);
	err = use_secret(ctx, t->certificates[i], s, e);
	if (!err)
		err = verify_clients(ctx, t, s, e);
	if (!err)
		err = alpn_make(d, t->alpn, t->nalpn, e);
	if (!err)
		err = bind_sessions(ctx, t, s);
	if (err) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (d->nalpn)
		SSL_CTX_set_alpn_select_cb(ctx, select_alpn, d);
	return ctx;
}

static SSL_CTX *make_server(struct tlsctx_maker *m, const struct listener_tls *t, const struct tlsctx_secrets *s, struct err *e)
{
	SSL_CTX *first = NULL;
	struct names *names = names_new();

	if (!t->ncertificates)
		err_add(e, -EINVAL, "tls: no certificate");
	for (size_t i = 0; i < t->ncertificates; i++) {
		SSL_CTX *ctx = server_ctx(m, t, i, s, e);

		if (!ctx) {
			names_free(names);
			SSL_CTX_free(first);
			return NULL;
		}
		names_add(names, ctx, !first);
		if (first)
			SSL_CTX_free(ctx);
		else
			first = ctx;
	}
	if (!first) {
		names_free(names);
		return NULL;
	}
	names_sort(names);
	ctx_data(first)->names = names;
	SSL_CTX_set_tlsext_servername_callback(first, select_certificate);
	SSL_CTX_set_tlsext_servername_arg(first, ctx_data(first));
	return first;
}

static int trust_servers(struct tlsctx_maker *m, SSL_CTX *ctx, const struct cluster_tls *t, const struct tlsctx_secrets *s,
			 struct err *e)
{
	struct ctx_data *d = ctx_data(ctx);
	int err;

	if (t->insecure) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	err = t->ca.n ? use_ca(ctx, t->ca, s, false, e) : use_system_ca(m, ctx, e);
	if (err)
		return err_add(e, err, "trustedCA");
	d->rule = verify_rule_new(false, t->sans, t->nsans);
	SSL_CTX_set_cert_verify_callback(ctx, verify_chain, d->rule);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

static SSL_CTX *make_client(struct tlsctx_maker *m, const struct cluster_tls *t, const struct tlsctx_secrets *s, struct err *e)
{
	SSL_CTX *ctx = ctx_new(false, 0, t->kernel, e);
	struct ctx_data *d = ctx ? ctx_data(ctx) : NULL;
	int err;

	if (!ctx)
		return NULL;
	d->id = ++m->clients;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, peer_new_session);
	d->sni = t->sni.n ? mem_dup(t->sni.p, t->sni.n) : NULL;
	err = trust_servers(m, ctx, t, s, e);
	if (!err && t->certificate.n)
		err = use_secret(ctx, t->certificate, s, e);
	if (!err)
		err = alpn_make(d, t->alpn, t->nalpn, e);
	if (!err && d->nalpn && SSL_CTX_set_alpn_protos(ctx, d->alpn, d->nalpn))
		err = ssl_err(e, "alpn");
	if (!err)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- the maker ---------------------------------------------------------------------------------------------- */

struct tlsctx_maker *tlsctx_maker_new(void)
{
	struct tlsctx_maker *m = mem_alloc(sizeof(*m));

	assert_always(!pthread_once(&data_once, data_make_index));
	table_init(&m->known, TABLE_COPY_KEYS);
	m->tickets = tickets_new();
	assert_always(m->tickets);
	return m;
}

void tlsctx_maker_free(struct tlsctx_maker *m)
{
	if (!m)
		return;
	for (struct table_entry *t = table_next(&m->known, NULL); t; t = table_next(&m->known, t))
		tlsctx_drop(t->value);
	table_fini(&m->known);
	tickets_drop(m->tickets);
	X509_STORE_free(m->system);
	free(m);
}

static struct slice digest_key(const unsigned char *digest)
{
	return (struct slice){ (const char *)digest, SHA256_DIGEST_LENGTH };
}

static struct tlsctx *known(struct tlsctx_maker *m, const unsigned char *digest)
{
	struct tlsctx *c = table_get(&m->known, digest_key(digest));

	return c ? tlsctx_hold(c) : NULL;
}

static struct tlsctx *add(struct tlsctx_maker *m, SSL_CTX *take_ssl, const unsigned char *digest)
{
	struct tlsctx *c;

	if (!take_ssl)
		return NULL;
	c = mem_alloc(sizeof(*c));
	atomic_init(&c->refs, 1);
	c->ssl = take_ssl;
	memcpy(c->digest, digest, sizeof(c->digest));
	table_put(&m->known, digest_key(c->digest), c);
	return tlsctx_hold(c);
}

struct tlsctx *tlsctx_server(struct tlsctx_maker *m, const struct listener_tls *t, const struct tlsctx_secrets *s,
			     struct err *e)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct tlsctx *c;

	digest_server(t, s, digest);
	c = known(m, digest);
	return c ? c : add(m, make_server(m, t, s, e), digest);
}

struct tlsctx *tlsctx_client(struct tlsctx_maker *m, const struct cluster_tls *t, const struct tlsctx_secrets *s,
			     struct err *e)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct tlsctx *c;

	digest_client(t, s, digest);
	c = known(m, digest);
	return c ? c : add(m, make_client(m, t, s, e), digest);
}

void tlsctx_sweep(struct tlsctx_maker *m)
{
	for (struct table_entry *t = table_next(&m->known, NULL); t; t = table_next(&m->known, t)) {
		struct tlsctx *c = t->value;

		if (atomic_load_explicit(&c->refs, memory_order_acquire) != 1)
			continue;
		table_del(&m->known, digest_key(c->digest));
		tlsctx_drop(c);
	}
}

int tlsctx_rotate(struct tlsctx_maker *m)
{
	return tickets_rotate(m->tickets) ? -EIO : 0;
}

unsigned tlsctx_keep_tickets(struct tlsctx_maker *m, void *page, bool take)
{
	return tickets_keep(m->tickets, page, take);
}

unsigned tlsctx_rotate_due(const struct tlsctx_maker *m, uint64_t *due_ns)
{
	uint64_t age;
	unsigned n = tickets_age(m->tickets, &age);

	*due_ns = age < TLSCTX_ROTATE_S * SEC ? TLSCTX_ROTATE_S * SEC - age : 0;
	return n;
}

struct tlsctx *tlsctx_hold(struct tlsctx *c)
{
	ref_hold(&c->refs);
	return c;
}

void tlsctx_drop(struct tlsctx *c)
{
	if (!c || !ref_drop(&c->refs))
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

SSL_CTX *tlsctx_ssl(const struct tlsctx *c)
{
	return c->ssl;
}
