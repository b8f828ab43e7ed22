// SPDX-License-Identifier: Apache-2.0
#include "stub.h"
#include "lib/addr.h"
#include "model.h"

static void mapped_addresses_are_ipv4(void **state)
{
	struct addr16 four = ip("10.96.0.1"), mapped = ip("::ffff:10.96.0.1"), six = ip("fd00::1");

	assert_true(addr_is_v4(&four));
	assert_true(addr_eq(&four, &mapped));
	assert_false(addr_is_v4(&six));
	four = addr_v4(htonl(0x0a600001));
	assert_true(addr_eq(&four, &mapped));
	mapped = ip("::10.96.0.1");
	assert_false(addr_is_v4(&mapped));
}

static void every_word_counts(void **state)
{
	struct addr16 a = ip("fd00:1:2:3:4:5:6:7");

	for (int i = 0; i < 16; i++) {
		struct addr16 b = a;

		b.b[i] ^= 1;
		assert_false(addr_eq(&a, &b));
	}
}

static void scaling_stays_below_n(void **state)
{
	const uint32_t ns[] = { 1, 2, 3, 16, 1000, 65521, 65536 };

	for (unsigned int i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
		assert_int_equal(scale32(0, ns[i]), 0);
		assert_int_equal(scale32(~0u, ns[i]), ns[i] - 1);
	}
}

static void mixing_moves_half_of_the_bits(void **state)
{
	uint32_t flips32 = 0, flips64 = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		flips32 += __builtin_popcount(mix32(i) ^ mix32(i ^ 1u << i % 32));
		flips64 += __builtin_popcountll(mix64(i + 1) ^ mix64((i + 1) ^ 1ull << i % 64));
	}
	assert_in_range(flips32, 15500, 16500);
	assert_in_range(flips64, 31200, 32800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_addresses_are_ipv4),
		cmocka_unit_test(every_word_counts),
		cmocka_unit_test(scaling_stays_below_n),
		cmocka_unit_test(mixing_moves_half_of_the_bits),
	};

	return cmocka_run_group_tests_name("bpf/lib/addr", tests, NULL, NULL);
}
