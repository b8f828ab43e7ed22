// SPDX-License-Identifier: Apache-2.0
#include "certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "base/mem.h"
#include "weft/str.h"

#define MOST 64

static struct made {
	struct secret secret;
	X509 *x;
	EVP_PKEY *key;
} made[MOST];
static unsigned nmade;

static struct made *find(struct slice name)
{
	for (unsigned i = nmade; i-- > 0;)
		if (slice_eq(made[i].secret.name, name))
			return &made[i];
	return NULL;
}

static const struct secret *find_secret(void *arg, struct slice name)
{
	const struct made *m = find(name);

	(void)arg;
	return m ? &m->secret : NULL;
}

const struct tlsctx_secrets certs = { find_secret, NULL };

const struct secret *cert_find(const char *name)
{
	return find_secret(NULL, slice_str(name));
}

static struct slice text_of(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	struct slice s = { mem_dup(p, (size_t)n), (size_t)n };

	BIO_free(b);
	return s;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static struct made *add(const char *name)
{
	struct made *m = &made[nmade++];

	assert_true(nmade <= MOST);
	*m = (struct made){ 0 };
	m->secret.name = slice_str(mem_str(name));
	return m;
}

void cert_make(const struct cert_want *w)
{
	static long serial;
	struct made *issuer = w->issuer ? find(slice_str(w->issuer)) : NULL, *m = add(w->name);
	BIO *b;

	m->key = EVP_EC_gen("P-256");
	m->x = X509_new();
	assert_true(m->key && m->x);
	X509_set_version(m->x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m->x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(m->x), w->from_s ? w->from_s : -60);
	X509_gmtime_adj(X509_getm_notAfter(m->x), w->to_s ? w->to_s : 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(m->x), "CN", MBSTRING_ASC, (const unsigned char *)w->name, -1, -1, 0);
	X509_set_issuer_name(m->x, X509_get_subject_name(issuer ? issuer->x : m->x));
	X509_set_pubkey(m->x, m->key);
	add_extension(m->x, issuer ? issuer->x : m->x, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
	if (w->sans)
		add_extension(m->x, issuer ? issuer->x : m->x, NID_subject_alt_name, w->sans);
	assert_true(X509_sign(m->x, issuer ? issuer->key : m->key, EVP_sha256()) > 0);
	b = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(b, m->x), 1);
	m->secret.certificate = text_of(b);
	b = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(b, m->key, NULL, NULL, 0, NULL, NULL), 1);
	m->secret.private_key = text_of(b);
}

void cert_text(const char *name, const char *text)
{
	struct made *m = add(name);

	m->secret.certificate = slice_str(mem_str(text));
	m->secret.private_key = slice_str(mem_str(text));
}

void certs_free(void)
{
	while (nmade) {
		struct made *m = &made[--nmade];

		X509_free(m->x);
		EVP_PKEY_free(m->key);
		free((char *)m->secret.name.p);
		free((char *)m->secret.certificate.p);
		free((char *)m->secret.private_key.p);
	}
}
