// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "proxy/forward_proxy.h"
#include "weft/str.h"

/* Whoever knows the seed can make names that collide in every table, those of pools among them. */
static void test_hosts_are_not_told_the_seed_of_the_tables(void **state)
{
	char seed[32];
	struct slice s = forward_proxy_signature();

	(void)state;
	snprintf(seed, sizeof(seed), "%016llx", (unsigned long long)hash_seed());
	assert_true(slice_starts(s, SLICE_LIT("1.1 weft-")));
	assert_int_equal(s.n, 9 + 16);
	assert_null(memmem(s.p, s.n, seed, 16));
	assert_true(slice_eq(s, forward_proxy_signature()));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_hosts_are_not_told_the_seed_of_the_tables) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
