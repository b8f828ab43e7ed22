// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include "proxy/stream_rule.h"
#include "weft/str.h"

static struct ip ip(const char *text)
{
	struct ip out = { .b = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, out.b + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, out.b), 1);
	return out;
}

static struct ip_block block(const char *text, unsigned bits)
{
	return (struct ip_block){ ip(text), bits };
}

static struct net_peer peer(const char *source, const char *original, uint16_t port, const char *sni)
{
	return (struct net_peer){ .source = { ip(source), 40000 }, .original = { ip(original), port },
				  .sni = slice_str(sni) };
}

static int found(const struct stream_rule *rules, size_t n, struct net_peer p)
{
	struct listener l = { .rules = rules, .nrules = n };
	const struct stream_rule *r = stream_rule_find(&l, &p);

	return r ? (int)(r - rules) : -1;
}

static void test_conditions(void **state)
{
	struct ip_block ten = block("10.0.0.0", 104), six = block("fd00::", 8), one = block("192.0.2.7", 128);
	struct stream_rule rules[] = {
		{ .sources = &ten, .nsources = 1, .port = 6379 },
		{ .destinations = &one, .ndestinations = 1 },
		{ .sources = &six, .nsources = 1 },
	};

	(void)state;
	assert_int_equal(found(rules, 3, peer("10.1.2.3", "192.0.2.1", 6379, "")), 0);
	assert_int_equal(found(rules, 3, peer("10.1.2.3", "192.0.2.1", 6380, "")), -1);
	assert_int_equal(found(rules, 3, peer("11.1.2.3", "192.0.2.1", 6379, "")), -1);
	assert_int_equal(found(rules, 3, peer("11.1.2.3", "192.0.2.7", 1, "")), 1);
	assert_int_equal(found(rules, 3, peer("10.1.2.3", "192.0.2.7", 6379, "")), 0);
	assert_int_equal(found(rules, 3, peer("fd00::1", "fd00::2", 1, "")), 2);
	assert_int_equal(found(rules, 3, peer("fe80::1", "fd00::2", 1, "")), -1);
	assert_int_equal(found(rules, 0, peer("10.1.2.3", "192.0.2.7", 1, "")), -1);
	assert_int_equal(found(&(struct stream_rule){ 0 }, 1, peer("10.1.2.3", "192.0.2.7", 1, "")), 0);
}

static void test_sni(void **state)
{
	struct slice names[] = { SLICE_LIT("a.example.org"), SLICE_LIT("*.example.net") };
	struct stream_rule r = { .snis = names, .nsnis = 2 };
	static const struct {
		const char *sni;
		int want;
	} cases[] = {
		{ "a.example.org", 0 }, { "A.Example.ORG", 0 },	   { "b.example.org", -1 }, { "x.example.net", 0 },
		{ "example.net", -1 },	{ "y.x.example.net", -1 }, { ".example.net", -1 },  { "", -1 },
		{ "xexample.net", -1 },
	};
	struct listener l = { .rules = &r, .nrules = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(found(&r, 1, peer("10.0.0.1", "10.0.0.2", 443, cases[i].sni)), cases[i].want);
	assert_true(stream_rule_asks_sni(&l));
	r.nsnis = 0;
	assert_false(stream_rule_asks_sni(&l));
}

static void test_weights(void **state)
{
	struct route_backend b[] = { { .weight = 1 }, { .weight = 0 }, { .weight = 3 } };
	struct stream_rule r = { .backends = b, .nbackends = 3 };
	unsigned n[3] = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 400; i++)
		n[stream_rule_backend(&r, i) - b]++;
	assert_int_equal(n[0], 100);
	assert_int_equal(n[1], 0);
	assert_int_equal(n[2], 300);
	b[0].weight = b[2].weight = 0;
	assert_null(stream_rule_backend(&r, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
