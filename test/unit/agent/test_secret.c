// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>
#include "agent/secret.h"
#include "model/dump.h"
#include "weft/str.h"

#define DAY 86400L

static char dir[64];

static const char *path(const char *name)
{
	static char out[4][160];
	static unsigned at;

	snprintf(out[++at % 4], sizeof(out[0]), "%s/%s", dir, name);
	return out[at % 4];
}

static X509 *certificate(EVP_PKEY *key, const char *cn, long from, long to)
{
	X509 *x = X509_new();
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:a.example,URI:spiffe://t/a");

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	return x;
}

/* NAME.crt and NAME.key, valid in [from, to] seconds from now; password: the key's, NULL for none. */
static void make_pair(const char *name, long from, long to, const char *password)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key, name, from, to);
	char file[80];
	FILE *f;

	snprintf(file, sizeof(file), "%s.crt", name);
	f = fopen(path(file), "w");
	fputs("what stands before is passed over: \xff\n", f);
	PEM_write_X509(f, x);
	fclose(f);
	snprintf(file, sizeof(file), "%s.key", name);
	f = fopen(path(file), "w");
	PEM_write_PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL, (const unsigned char *)password,
			     password ? (int)strlen(password) : 0, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void write_text(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/weft-test-secret-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	make_pair("good", -DAY, 30 * DAY, NULL);
	make_pair("other", -DAY, 30 * DAY, NULL);
	make_pair("old", -3 * DAY, -DAY, NULL);
	make_pair("early", DAY, 3 * DAY, NULL);
	make_pair("locked", -DAY, 30 * DAY, "secret");
	write_text("empty.crt", "");
	write_text("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "good.crt", "good.key", "other.crt", "other.key", "old.crt", "old.key", "early.crt",
					     "early.key", "locked.crt", "locked.key", "empty.crt", "broken.crt", "both.crt" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path(files[i]));
	return rmdir(dir);
}

static char *pair(const char *cert, const char *key)
{
	static char name[280];

	snprintf(name, sizeof(name), key ? "%s|%s" : "%s", path(cert), key ? path(key) : "");
	return name;
}

static void what_is_read_is_a_fact(void **state)
{
	struct fact_mark mark = { 0 };
	struct secret_text t;
	struct err e = { 0 };
	struct secret *s;
	json_t *leaf;
	char *shown;

	(void)state;
	assert_int_equal(secret_read(slice_str(pair("good.crt", "good.key")), &t, &e), 0);
	assert_null(t.warning);
	assert_in_range(t.not_after, time(NULL) + 29 * DAY, time(NULL) + 31 * DAY);
	leaf = json_array_get(t.chain, 0);
	assert_string_equal(json_string_value(json_object_get(leaf, "subject")), "CN=good");
	assert_string_equal(json_string_value(json_array_get(json_object_get(leaf, "sans"), 0)), "DNS:a.example");
	assert_string_equal(json_string_value(json_array_get(json_object_get(leaf, "sans"), 1)), "URI:spiffe://t/a");
	assert_int_equal(json_string_length(json_object_get(leaf, "sha256")), 64);
	s = (struct secret *)secret_fact(SLICE_LIT("x"), &t, &mark);
	assert_true(slice_starts(s->certificate, SLICE_LIT("-----BEGIN CERTIFICATE-----\n")));
	assert_true(slice_starts(s->private_key, SLICE_LIT("-----BEGIN PRIVATE KEY-----\n")));
	shown = json_dumps(t.chain, 0);
	assert_null(strstr(shown, "KEY"));
	free(shown);
	fact_drop(&s->fact);
	secret_fini(&t);
}

static void a_file_of_several(void **state)
{
	char text[8192] = "", one[4096];
	struct secret_text t;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		FILE *f = fopen(path(i ? "other.crt" : "old.crt"), "r");

		one[fread(one, 1, sizeof(one) - 1, f)] = '\0';
		strcat(text, one);
		fclose(f);
	}
	write_text("both.crt", text);
	assert_int_equal(secret_read(slice_str(pair("both.crt", NULL)), &t, &e), 0);
	assert_int_equal(json_array_size(t.chain), 2);
	assert_null(t.key);
	assert_int_equal(t.not_after, 0);
	assert_non_null(strstr(t.warning, "both.crt: expired since 2"));
	secret_fini(&t);
}

static void refused(const char *name, const char *words)
{
	struct secret_text t;
	struct err e = { 0 };

	assert_true(secret_read(slice_str(name), &t, &e) < 0);
	if (!strstr(err_text(&e), words))
		fail_msg("%s: not: %s", err_text(&e), words);
	assert_null(t.certificate);
}

static void what_cannot_be_used_is_said(void **state)
{
	(void)state;
	refused(pair("none.crt", NULL), "none.crt: No such file or directory");
	refused(pair("good.crt", "none.key"), "none.key: No such file or directory");
	refused(pair("empty.crt", NULL), "empty.crt: no certificate in it; want PEM");
	refused(pair("good.key", NULL), "good.key: no certificate in it; want PEM");
	refused(pair("broken.crt", NULL), "broken.crt: a certificate that cannot be read");
	refused(pair("good.crt", "good.crt"), "good.crt: no private key that can be read; want PEM without a password");
	refused(pair("locked.crt", "locked.key"), "locked.key: no private key that can be read; want PEM without a password");
	refused(pair("good.crt", "other.key"), "not the key of the first certificate in ");
	refused("/", "/: not a regular file");
}

static void times_warn(void **state)
{
	struct secret_text t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(secret_read(slice_str(pair("old.crt", "old.key")), &t, &e), 0);
	assert_non_null(strstr(t.warning, "old.crt: expired since "));
	secret_fini(&t);
	assert_int_equal(secret_read(slice_str(pair("early.crt", "early.key")), &t, &e), 0);
	assert_non_null(strstr(t.warning, "early.crt: not valid before "));
	secret_fini(&t);
}

static void count(void *arg, struct slice name)
{
	assert_true(slice_starts(name, SLICE_LIT("/")));
	++*(int *)arg;
}

static void facts_name_secrets(void **state)
{
	struct fact_mark mark = { 0 };
	struct slice names[] = { SLICE_LIT("/a|/b"), SLICE_LIT("/c|/d") };
	struct fact *f = fact_new(FACT_LISTENER, SLICE_LIT("l"), &mark);
	struct listener *l = (struct listener *)f;
	int n = 0;

	(void)state;
	secret_each(f, count, &n);
	assert_int_equal(n, 0);
	l->tls.certificates = names;
	l->tls.ncertificates = 2;
	l->tls.client_ca = SLICE_LIT("/ca");
	secret_each(f, count, &n);
	assert_int_equal(n, 3);
	fact_drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_a_fact),
		cmocka_unit_test(a_file_of_several),
		cmocka_unit_test(what_cannot_be_used_is_said),
		cmocka_unit_test(times_warn),
		cmocka_unit_test(facts_name_secrets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
