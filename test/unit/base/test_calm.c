// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/calm.h"

static void test_once_a_second(void **state)
{
	struct calm c = { 0 };
	unsigned held = 9;

	(void)state;
	assert_true(calm_may(&c, 5 * SEC, &held));
	assert_int_equal(held, 0);
	assert_false(calm_may(&c, 5 * SEC, &held));
	assert_false(calm_may(&c, 6 * SEC - 1, &held));
	assert_true(calm_may(&c, 6 * SEC, &held));
	assert_int_equal(held, 2);
	assert_true(calm_may(&c, 9 * SEC, &held));
	assert_int_equal(held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_once_a_second) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
