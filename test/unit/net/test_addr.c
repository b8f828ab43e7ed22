// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include "net/addr.h"

static struct net_addr addr(const char *ip, uint16_t port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, ip, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
	}
	return addr_from_sockaddr(&ss);
}

static struct ip_block block(const char *ip, uint8_t bits)
{
	return (struct ip_block){ addr(ip, 0).ip, bits };
}

static void there_and_back(const char *ip, uint16_t port, const char *text, sa_family_t family)
{
	struct net_addr a = addr(ip, port), b;
	struct sockaddr_storage ss;
	char out[ADDR_TEXT_MAX];
	socklen_t n;

	n = addr_to_sockaddr(&a, &ss);
	assert_int_equal(ss.ss_family, family);
	assert_int_equal(n, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	b = addr_from_sockaddr(&ss);
	assert_true(addr_eq(&a, &b));
	assert_string_equal(addr_text(&a, out), text);
}

static void test_there_and_back(void **state)
{
	(void)state;
	there_and_back("10.0.0.7", 80, "10.0.0.7:80", AF_INET);
	there_and_back("255.255.255.255", 65535, "255.255.255.255:65535", AF_INET);
	there_and_back("fe80::1", 443, "[fe80::1]:443", AF_INET6);
	there_and_back("::ffff:1.2.3.4", 1, "1.2.3.4:1", AF_INET);
	there_and_back("1111:2222:3333:4444:5555:6666:7777:8888", 65535,
		       "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", AF_INET6);
}

static void test_other_families_are_zero(void **state)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	struct net_addr a = addr_from_sockaddr(&ss), zero = { 0 };

	(void)state;
	assert_true(addr_eq(&a, &zero));
}

static void test_blocks(void **state)
{
	struct ip_block v[] = { block("10.0.0.0", 104), block("192.168.1.128", 96 + 25), block("fd00::", 8) };
	struct ip_block all = { 0 }, one = block("1.2.3.4", 128);
	const struct {
		const char *ip;
		bool in;
	} cases[] = {
		{ "10.255.0.1", true },	  { "11.0.0.1", false },  { "192.168.1.128", true },
		{ "192.168.1.127", false }, { "fd12::1", true },	  { "fe00::1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_addr a = addr(cases[i].ip, 0);

		assert_int_equal(addr_in_blocks(&a.ip, v, 3), cases[i].in);
		assert_true(addr_in_block(&a.ip, &all));
		assert_false(addr_in_block(&a.ip, &one));
	}
	assert_true(addr_in_block(&one.ip, &one));
	assert_false(addr_in_blocks(&one.ip, v, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_other_families_are_zero),
		cmocka_unit_test(test_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
