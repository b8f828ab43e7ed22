// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "proxy/forwarded.h"
#include "weft/conf.h"
#include "weft/str.h"

/* "node/proto node/proto", the nearest first. */
static const char *back(const struct forwarded *f)
{
	static char out[512];
	const struct forwarded_hop *h;
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; (h = forwarded_back(f, i)); i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%.*s/%.*s", i ? " " : "", SLICE_ARG(h->node), SLICE_ARG(h->proto));
	return out;
}

static void what_the_rfc_shows(void **state)
{
	static const struct {
		const char *value, *want;
	} good[] = {
		{ "for=\"_gazonk\"", "_gazonk/" },
		{ "For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711/" },
		{ "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60/http" },
		{ "for=192.0.2.43, for=198.51.100.17", "198.51.100.17/ 192.0.2.43/" },
		{ "for=_hidden, for=_SEVKISEK", "_SEVKISEK/ _hidden/" },
		{ "for=192.0.2.43, for=\"[2001:db8:cafe::17]\", for=unknown", "unknown/ [2001:db8:cafe::17]/ 192.0.2.43/" },
		{ "", "" }, { " , ,for=a ,, ", "a/" }, { "for=a;", "a/" }, { ";;for=a", "a/" }, { "for=a ; proto=https", "a/https" },
		{ "host=\"a,b;c\\\"d\";for=x", "x/" }, { "x=y", "/" }, { "for=\"\"", "/" }, { "secret=a;for=b;SECRET=c", "b/" },
	};
	static const char *const wrong[] = { "for", "for=", "=a", "for =a", "for= a", "for=a b", "for=\"a", "for=\"a\\", "for=\"a\\\"",
					     "for=a;for=b", "proto=a;Proto=b", "for=[::1]", "for=a:80", "for=\"a\x01\"", "\"a\"=b",
					     "for=a\x7f", "for=\"\\\x01\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct forwarded f = { 0 };

		assert_int_equal(forwarded_read(&f, slice_str(good[i].value)), 0);
		assert_string_equal(back(&f), good[i].want);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct forwarded f = { 0 };

		assert_int_equal(forwarded_read(&f, slice_str(wrong[i])), -EINVAL);
	}
}

static void lines_and_long_lists(void **state)
{
	struct forwarded f = { 0 };
	char text[16];

	(void)state;
	forwarded_read_xff(&f, SLICE_LIT(" 1.1.1.1 ,2.2.2.2,, \t"));
	forwarded_read_xff(&f, SLICE_LIT("::1"));
	assert_string_equal(back(&f), "::1/ 2.2.2.2/ 1.1.1.1/");
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "n%u", i);
		forwarded_read_xff(&f, slice_str(text));
		text[0] = 'x';
	}
	assert_int_equal(f.n, 103);
	assert_non_null(forwarded_back(&f, FORWARDED_HOPS - 1));
	assert_null(forwarded_back(&f, FORWARDED_HOPS));
}

static void addresses(void **state)
{
	static const struct {
		const char *node, *ip;
		unsigned port;
	} good[] = {
		{ "192.0.2.1", "192.0.2.1", 0 },     { "192.0.2.1:80", "192.0.2.1", 80 }, { "[2001:db8::1]", "2001:db8::1", 0 },
		{ "[2001:db8::1]:65535", "2001:db8::1", 65535 }, { "2001:db8::1", "2001:db8::1", 0 }, { "::ffff:1.2.3.4", "1.2.3.4", 0 },
	};
	static const char *const wrong[] = { "", "unknown", "_hidden", "192.0.2", "192.0.2.1:", "192.0.2.1:_x", "192.0.2.1:65536",
					     "[::1", "[::1]80", "[::1]:", "[]", "[", ":80", "192.0.2.1\n", "[::1]:80:80" };
	struct net_addr a;
	char ip[46];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(forwarded_addr(slice_str(good[i].node), &a));
		assert_string_equal(ip_name(&a.ip, ip), good[i].ip);
		assert_int_equal(a.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(forwarded_addr(slice_str(wrong[i]), &a));
}

/* What is written is what is read. */
static void written(void **state)
{
	struct forwarded_words w = { .host = SLICE_LIT("a\"b\\c:80"), .proto = SLICE_LIT("https") };
	struct ip four, six, none = { { 0 } };
	char out[400];
	struct forwarded f = { 0 };
	size_t n;

	(void)state;
	ip_parse(SLICE_LIT("192.0.2.1"), &four);
	ip_parse(SLICE_LIT("2001:db8:1111:2222:3333:4444:5555:6666"), &six);
	w.client = &six;
	w.by = &four;
	n = forwarded_write(out, &w);
	out[n] = '\0';
	assert_string_equal(out, "for=\"[2001:db8:1111:2222:3333:4444:5555:6666]\";by=192.0.2.1;host=\"a\\\"b\\\\c:80\";proto=https");
	assert_true(n <= FORWARDED_WORDS_MAX(w.host));
	assert_int_equal(forwarded_read(&f, (struct slice){ out, n }), 0);
	assert_string_equal(back(&f), "[2001:db8:1111:2222:3333:4444:5555:6666]/https");
	w = (struct forwarded_words){ .client = &none, .by = &four, .proto = SLICE_LIT("http") };
	out[forwarded_write(out, &w)] = '\0';
	assert_string_equal(out, "for=unknown;by=192.0.2.1;proto=http");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_rfc_shows),
		cmocka_unit_test(lines_and_long_lists),
		cmocka_unit_test(addresses),
		cmocka_unit_test(written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
