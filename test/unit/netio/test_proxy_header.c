// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net/addr.h"
#include "netio/proxy_header.h"
#include "weft/str.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s) ((struct slice){ (s), sizeof(s) - 1 })

static const char *text(const struct net_addr *a)
{
	static char out[2][ADDR_TEXT_MAX];
	static int turn;

	return addr_text(a, out[turn ^= 1]);
}

/* Parsed whole, and -EAGAIN after every beginning of it. The bytes are copied to their exact size for the sanitizer. */
static ssize_t parse(struct slice in, struct proxy_head *h)
{
	char *exact = malloc(in.n + 1);
	const char *why;
	ssize_t n;

	memcpy(exact, in.p, in.n);
	n = proxy_header_parse((struct slice){ exact, in.n }, h, &why);
	assert_int_equal(n == -EPROTO, why != NULL);
	if (n > 0)
		for (size_t cut = 0; cut < (size_t)n; cut++)
			assert_int_equal(proxy_header_parse((struct slice){ exact, cut }, h, &why), -EAGAIN);
	n = proxy_header_parse((struct slice){ exact, in.n }, h, &why);
	/* authority and alpn point into the copy: this test looks at them elsewhere. */
	h->authority.p = h->alpn.p = NULL;
	free(exact);
	return n;
}

static void v1_is(const char *line, const char *from, const char *to)
{
	struct proxy_head h;
	char more[256];

	snprintf(more, sizeof(more), "%sGET / HTTP/1.1\r\n", line);
	assert_int_equal(parse(slice_str(more), &h), strlen(line));
	assert_int_equal(h.known, from != NULL);
	if (from) {
		assert_string_equal(text(&h.source), from);
		assert_string_equal(text(&h.destination), to);
	}
}

static void test_version_1(void **state)
{
	(void)state;
	v1_is("PROXY TCP4 1.2.3.4 10.0.0.1 65535 0\r\n", "1.2.3.4:65535", "10.0.0.1:0");
	v1_is("PROXY TCP6 fd00::1 ::1 1 443\r\n", "[fd00::1]:1", "[::1]:443");
	v1_is("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	v1_is("PROXY UNKNOWN\r\n", NULL, NULL);
	v1_is("PROXY UNKNOWN ffff::1 what ever 1 2\r\n", NULL, NULL);
}

static void test_version_1_refused(void **state)
{
	static const char *const bad[] = {
		"PROXY \r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
		"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 999999\r\n", "PROXY TCP4 fd00::1 ::1 1 2\r\n",
		"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
	};
	char line[200] = "PROXY UNKNOWN ";
	struct proxy_head h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(slice_str(bad[i]), &h) != -EPROTO)
			fail_msg("taken: %s", bad[i]);
	memset(line + 14, 'x', 107 - 14);
	assert_int_equal(parse((struct slice){ line, 106 }, &h), -EAGAIN);
	assert_int_equal(parse((struct slice){ line, 107 }, &h), -EPROTO);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(parse((struct slice){ line, 107 }, &h), 107);
}

static void test_no_header(void **state)
{
	struct proxy_head h;

	(void)state;
	assert_int_equal(parse(SLICE_LIT("GET / HTTP/1.1\r\n"), &h), 0);
	assert_int_equal(parse(SLICE_LIT("PROXX"), &h), 0);
	assert_int_equal(parse(SLICE_LIT("\r\n\r\nG"), &h), 0);
	assert_int_equal(parse(SLICE_LIT(""), &h), -EAGAIN);
	assert_int_equal(parse(SLICE_LIT("P"), &h), -EAGAIN);
	assert_int_equal(parse(SLICE_LIT("\r"), &h), -EAGAIN);
}

static void test_version_2(void **state)
{
	static const char v4[] = V2 "\x21\x11\0\x0c\x01\x02\x03\x04\x0a\0\0\x01\x12\x34\0\x50rest";
	static const char v6[] = V2 "\x21\x21\0\x24\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\x01\xbb";
	struct proxy_head h;

	(void)state;
	assert_int_equal(parse(BYTES(v4), &h), 28);
	assert_true(h.known);
	assert_string_equal(text(&h.source), "1.2.3.4:4660");
	assert_string_equal(text(&h.destination), "10.0.0.1:80");
	assert_int_equal(parse(BYTES(v6), &h), 52);
	assert_string_equal(text(&h.source), "[fd00::1]:1");
	assert_string_equal(text(&h.destination), "[::1]:443");
	assert_int_equal(parse(BYTES(V2 "\x20\0\0\0"), &h), 16);
	assert_false(h.known);
	assert_int_equal(parse(BYTES(V2 "\x20\x11\0\x03xyz"), &h), 19);
	assert_false(h.known);
	assert_int_equal(parse(BYTES(V2 "\x21\0\0\0"), &h), 16);
	assert_false(h.known);
	assert_int_equal(parse(BYTES(V2 "\x21\x12\0\x0c\x01\x02\x03\x04\x0a\0\0\x01\x12\x34\0\x50"), &h), 28);
	assert_false(h.known);
}

static void test_version_2_refused(void **state)
{
	struct proxy_head h;

	(void)state;
	assert_int_equal(parse(BYTES(V2 "\x31\x11\0\x0c"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x22\x11\0\x0c"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x41\0\0"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x13\0\0"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x11\0\x0b\x01\x02\x03\x04\x0a\0\0\x01\x12\x34\0"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x31\0\x02xy"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x11\x10\x00"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V2 "\x21\x11\x0f\xf0"), &h), -EAGAIN);
}

#define V4_OF(len) V2 "\x21\x11\0" len "\x01\x02\x03\x04\x0a\0\0\x01\x12\x34\0\x50"

static void test_tlvs(void **state)
{
	static const char names[] = V4_OF("\x1c") "\x01\0\x02h2" "\x02\0\x05" "a.b.c" "\x04\0\0";
	struct proxy_head h;
	const char *why;

	(void)state;
	assert_int_equal(proxy_header_parse(BYTES(names), &h, &why), sizeof(names) - 1);
	assert_true(slice_eq_str(h.alpn, "h2"));
	assert_true(slice_eq_str(h.authority, "a.b.c"));
	assert_int_equal(parse(BYTES(V4_OF("\x0e") "\x04\0"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V4_OF("\x10") "\x04\0\x02x"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V4_OF("\x0f") "\x03\0\0"), &h), -EPROTO);
	assert_int_equal(parse(BYTES(V4_OF("\x13") "\x03\0\x04\0\0\0\0"), &h), -EPROTO);
}

static void test_crc(void **state)
{
	char header[] = V4_OF("\x13") "\x03\0\x04\0\0\0\0";
	uint32_t crc = ~0u;
	struct proxy_head h;

	(void)state;
	for (size_t i = 0; i < sizeof(header) - 1; i++) {
		crc ^= (uint8_t)header[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	for (int i = 0; i < 4; i++)
		header[sizeof(header) - 5 + i] = (char)(~crc >> (24 - 8 * i));
	assert_int_equal(parse(BYTES(header), &h), sizeof(header) - 1);
	header[20] ^= 1;
	assert_int_equal(parse(BYTES(header), &h), -EPROTO);
}

static void test_written_is_read(void **state)
{
	static const struct {
		const char *line, *from, *to;
		size_t len;
	} cases[] = {
		{ "PROXY TCP4 1.2.3.4 10.0.0.1 5 6\r\n", "1.2.3.4:5", "10.0.0.1:6", 28 },
		{ "PROXY TCP6 fd00::1 ::ffff:1.2.3.4 5 6\r\n", "[fd00::1]:5", "1.2.3.4:6", 52 },
	};
	struct net_addr none = { 0 };
	struct proxy_head h;
	char out[PROXY_HEADER_OUT_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_true(parse(slice_str(cases[i].line), &h) > 0);
		assert_int_equal(proxy_header_write(out, &h.source, &h.destination), cases[i].len);
		assert_int_equal(parse((struct slice){ out, cases[i].len }, &h), cases[i].len);
		assert_true(h.known);
		assert_string_equal(text(&h.source), cases[i].from);
		assert_string_equal(text(&h.destination), cases[i].to);
	}
	assert_int_equal(proxy_header_write(out, &none, &none), 16);
	assert_int_equal(parse((struct slice){ out, 16 }, &h), 16);
	assert_false(h.known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_1), cmocka_unit_test(test_version_1_refused),
		cmocka_unit_test(test_no_header), cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_2_refused), cmocka_unit_test(test_tlvs),
		cmocka_unit_test(test_crc), cmocka_unit_test(test_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
