/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/secret.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "model/dump.h"
#include "model/field.h"
#include "weft/str.h"

/* ---- names ---------------------------------------------------------------------------------------------------- */

void secret_paths(struct slice name, char *give_paths[2])
{
	const char *bar = memchr(name.p, '|', name.n);
	size_t n = bar ? (size_t)(bar - name.p) : name.n;

	give_paths[0] = mem_dup(name.p, n);
	give_paths[1] = bar ? mem_dup(bar + 1, name.n - n - 1) : NULL;
}

struct naming {
	void (*fn)(void *arg, struct slice name);
	void *arg;
};

static void name_field(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct naming *n = arg;

	(void)up;
	if (f->type == FIELD_SLICE && f->ref == FACT_SECRET && field_slice(f, object).n)
		n->fn(n->arg, field_slice(f, object));
}

void secret_each(const struct fact *f, void (*fn)(void *arg, struct slice name), void *arg)
{
	if (f->kind == FACT_LISTENER || f->kind == FACT_CLUSTER)
		field_walk(&fact_shapes[f->kind], f, name_field, &(struct naming){ fn, arg });
}

/* ---- what is shown of a certificate ----------------------------------------------------------------------------- */

static json_t *bio_text(BIO *take_b)
{
	char *p;
	long n = BIO_get_mem_data(take_b, &p);
	json_t *j = dump_text((struct slice){ p, n > 0 ? (size_t)n : 0 });

	BIO_free(take_b);
	return j;
}

static json_t *name_text(const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());

	X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
	return bio_text(b);
}

static json_t *time_text(int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;
	char out[32];

	gmtime_r(&at, &tm);
	strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(out);
}

static int64_t time_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static json_t *san_text(const GENERAL_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());

	/* "DNS:a.example", "URI:spiffe://...", "IP Address:10.0.0.1" */
	GENERAL_NAME_print(b, (GENERAL_NAME *)name);
	return bio_text(b);
}

static json_t *sans_of(const X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	json_t *list = json_array();

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		json_array_append_new(list, san_text(sk_GENERAL_NAME_value(names, i)));
	GENERAL_NAMES_free(names);
	return list;
}

static json_t *about(const X509 *x)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned n = 0;

	X509_digest(x, EVP_sha256(), digest, &n);
	for (unsigned i = 0; i < n; i++)
		sprintf(hex + 2 * (size_t)i, "%02x", digest[i]);
	return json_pack("{so so so so so ss}", "subject", name_text(X509_get_subject_name(x)), "issuer",
			 name_text(X509_get_issuer_name(x)), "sans", sans_of(x), "notBefore",
			 time_text(time_of(X509_get0_notBefore(x))), "notAfter", time_text(time_of(X509_get0_notAfter(x))),
			 "sha256", hex);
}

static void warn_of(struct secret_text *t, const char *path, const X509 *x)
{
	json_t *when = NULL;
	const char *what = NULL;

	if (t->warning)
		return;
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
		what = "expired since";
		when = time_text(time_of(X509_get0_notAfter(x)));
	} else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0) {
		what = "not valid before";
		when = time_text(time_of(X509_get0_notBefore(x)));
	}
	if (what)
		t->warning = mem_printf("%s: %s %s", path, what, json_string_value(when));
	json_decref(when);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static int bad(struct err *e, const char *path, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	err_add(e, -EINVAL, "%s: %s%s%s", path, what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return -EINVAL;
}

static int read_file(const char *path, char **give_text, size_t *n, struct err *e)
{
	int err = conf_slurp(path, give_text, n, e);

	if (err || *n <= SECRET_FILE_MAX)
		return err;
	OPENSSL_cleanse(*give_text, *n);
	free(*give_text);
	return err_add(e, -EFBIG, "%s: %zu bytes, at most %u", path, *n, SECRET_FILE_MAX);
}

static void text_free(char *text, size_t n)
{
	if (text)
		OPENSSL_cleanse(text, n);
	free(text);
}

static char *bio_take(BIO *take_b, size_t *n)
{
	char *p, *copy;

	*n = (size_t)BIO_get_mem_data(take_b, &p);
	copy = mem_dup(p, *n);
	OPENSSL_cleanse(p, *n);
	BIO_free(take_b);
	return copy;
}

/* Each certificate of in; out: written anew. *leaf: the first one. */
static int take_certificates(struct secret_text *t, const char *path, BIO *in, X509 **leaf, struct err *e)
{
	BIO *out = BIO_new(BIO_s_mem());
	X509 *x;

	*leaf = NULL;
	t->chain = json_array();
	ERR_clear_error();
	while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
		PEM_write_bio_X509(out, x);
		json_array_append_new(t->chain, about(x));
		warn_of(t, path, x);
		if (*leaf)
			X509_free(x);
		else
			*leaf = x;
	}
	t->certificate = bio_take(out, &t->ncertificate);
	/* The end of the file looks so; anything else is a broken certificate. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return bad(e, path, "a certificate that cannot be read");
	ERR_clear_error();
	return *leaf ? 0 : err_add(e, -EINVAL, "%s: no certificate in it; want PEM", path);
}

static int read_certificates(struct secret_text *t, const char *path, X509 **leaf, struct err *e)
{
	char *text;
	size_t n;
	BIO *in;
	int err = read_file(path, &text, &n, e);

	*leaf = NULL;
	if (err)
		return err;
	in = BIO_new_mem_buf(text, (int)n);
	err = take_certificates(t, path, in, leaf, e);
	BIO_free(in);
	text_free(text, n);
	return err;
}

/* Nobody is there who could be asked. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int take_key(struct secret_text *t, char *const paths[2], EVP_PKEY *key, X509 *leaf, struct err *e)
{
	BIO *out = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	t->key = bio_take(out, &t->nkey);
	if (X509_check_private_key(leaf, key) == 1)
		return 0;
	ERR_clear_error();
	return err_add(e, -EINVAL, "%s: not the key of the first certificate in %s", paths[1], paths[0]);
}

static int read_key(struct secret_text *t, char *const paths[2], X509 *leaf, struct err *e)
{
	char *text;
	size_t n;
	BIO *in;
	EVP_PKEY *key;
	int err = read_file(paths[1], &text, &n, e);

	if (err)
		return err;
	in = BIO_new_mem_buf(text, (int)n);
	key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
	err = key ? take_key(t, paths, key, leaf, e) :
		    bad(e, paths[1], "no private key that can be read; want PEM without a password");
	EVP_PKEY_free(key);
	BIO_free(in);
	text_free(text, n);
	return err;
}

int secret_read(struct slice name, struct secret_text *out, struct err *e)
{
	char *paths[2];
	X509 *leaf;
	int err;

	*out = (struct secret_text){ 0 };
	secret_paths(name, paths);
	err = read_certificates(out, paths[0], &leaf, e);
	if (!err && paths[1]) {
		out->not_after = time_of(X509_get0_notAfter(leaf));
		err = read_key(out, paths, leaf, e);
	}
	X509_free(leaf);
	free(paths[0]);
	free(paths[1]);
	if (err)
		secret_fini(out);
	return err;
}

void secret_fini(struct secret_text *t)
{
	text_free(t->certificate, t->ncertificate);
	text_free(t->key, t->nkey);
	free(t->warning);
	json_decref(t->chain);
	*t = (struct secret_text){ 0 };
}

struct fact *secret_fact(struct slice name, const struct secret_text *t, const struct fact_mark *mark)
{
	struct secret *s = (struct secret *)fact_new(FACT_SECRET, name, mark);

	s->certificate = fact_slice(&s->fact, (struct slice){ t->certificate, t->ncertificate });
	s->private_key = fact_slice(&s->fact, (struct slice){ t->key, t->nkey });
	return &s->fact;
}
