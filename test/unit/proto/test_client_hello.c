// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include "proto/client_hello.h"
#include "weft/str.h"

static char scratch[CLIENT_HELLO_MAX];

/* What OpenSSL says first. */
static size_t hello(const char *name, unsigned char *out, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *written = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, written);
	if (name)
		SSL_set_tlsext_host_name(ssl, name);
	assert_int_equal(SSL_connect(ssl), -1);
	n = BIO_read(written, out, (int)size);
	assert_true(n > 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return (size_t)n;
}

static void test_names(void **state)
{
	static const char *const names[] = { "a.example.org", "x", "A.Example.ORG" };
	unsigned char p[4096];
	struct slice sni;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t n = hello(names[i], p, sizeof(p));

		for (size_t k = 0; k < n; k++)
			assert_int_equal(client_hello_sni((struct slice){ (char *)p, k }, scratch, &sni), -EAGAIN);
		assert_int_equal(client_hello_sni((struct slice){ (char *)p, n }, scratch, &sni), 0);
		assert_true(slice_eq_str(sni, names[i]));
	}
	assert_int_equal(client_hello_sni((struct slice){ (char *)p, hello(NULL, p, sizeof(p)) }, scratch, &sni), 0);
	assert_int_equal(sni.n, 0);
}

/* Records of any length, down to a byte each. */
static void test_split_records(void **state)
{
	unsigned char p[4096], q[32768];
	size_t n = hello("a.example.org", p, sizeof(p));
	struct slice sni;

	(void)state;
	for (size_t size = 1; size < n; size += size < 8 ? 1 : 97) {
		size_t at = 0;

		for (size_t i = 5; i < n; i += size) {
			size_t k = n - i < size ? n - i : size;

			memcpy(q + at, (unsigned char[]){ 0x16, 3, 1, (unsigned char)(k >> 8), (unsigned char)k }, 5);
			memcpy(q + at + 5, p + i, k);
			at += 5 + k;
		}
		assert_int_equal(client_hello_sni((struct slice){ (char *)q, at - 1 }, scratch, &sni), -EAGAIN);
		assert_int_equal(client_hello_sni((struct slice){ (char *)q, at }, scratch, &sni), 0);
		assert_true(slice_eq_str(sni, "a.example.org"));
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		int want;
	} cases[] = {
		{ "", 0, -EAGAIN },
		{ "G", 1, -EPROTO },
		{ "\x16", 1, -EAGAIN },
		{ "\x16\x02\0\0\1", 5, -EPROTO },                                       /* another version */
		{ "\x16\x03\1\0\0", 5, -EPROTO },                                       /* an empty record */
		{ "\x16\x03\1\0\1\2", 6, -EPROTO },                                     /* a ServerHello */
		{ "\x16\x03\1\0\4\1\xff\xff\xff", 9, -EPROTO },                         /* 16 MiB of it */
		{ "\x16\x03\1\0\4\1\0\0\0", 9, -EPROTO },                               /* nothing in it */
		{ "\x16\x03\1\x7f\xff\1", 6, -EPROTO },                                 /* a record beyond the limit */
	};
	struct slice sni;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(client_hello_sni((struct slice){ cases[i].p, cases[i].n }, scratch, &sni), cases[i].want);
}

static void test_bad_names(void **state)
{
	unsigned char p[4096], *at;
	size_t n = hello("a.example.org", p, sizeof(p));
	struct slice sni;

	(void)state;
	at = memmem(p, n, "a.example.org", 13);
	assert_non_null(at);
	at[1] = 0;
	assert_int_equal(client_hello_sni((struct slice){ (char *)p, n }, scratch, &sni), -EPROTO);
	at[1] = '.';
	at[-1] = 14;                            /* longer than its list */
	assert_int_equal(client_hello_sni((struct slice){ (char *)p, n }, scratch, &sni), -EPROTO);
	at[-1] = 13;
	at[-3] = 7;                             /* a name of another kind */
	assert_int_equal(client_hello_sni((struct slice){ (char *)p, n }, scratch, &sni), 0);
	assert_int_equal(sni.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_split_records),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_bad_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
