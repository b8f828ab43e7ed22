/* SPDX-License-Identifier: Apache-2.0 */
/* Which level follows: where each begins, and that it ends lower. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "model/overload.h"

static const struct overload_limits limits = { .soft = 80, .hard = 95 };

static enum overload_level at(enum overload_level now, uint64_t used)
{
	return overload_next(now, used, 1000, &limits);
}

static void test_levels_begin_at_their_percent(void **state)
{
	(void)state;
	assert_int_equal(at(OVERLOAD_NONE, 0), OVERLOAD_NONE);
	assert_int_equal(at(OVERLOAD_NONE, 799), OVERLOAD_NONE);
	assert_int_equal(at(OVERLOAD_NONE, 800), OVERLOAD_SOFT);
	assert_int_equal(at(OVERLOAD_SOFT, 949), OVERLOAD_SOFT);
	assert_int_equal(at(OVERLOAD_NONE, 950), OVERLOAD_HARD);
	assert_int_equal(at(OVERLOAD_SOFT, 5000), OVERLOAD_HARD);
}

static void test_levels_end_lower(void **state)
{
	(void)state;
	assert_int_equal(at(OVERLOAD_HARD, 900), OVERLOAD_HARD);
	assert_int_equal(at(OVERLOAD_HARD, 899), OVERLOAD_SOFT);
	assert_int_equal(at(OVERLOAD_SOFT, 750), OVERLOAD_SOFT);
	assert_int_equal(at(OVERLOAD_SOFT, 749), OVERLOAD_NONE);
	assert_int_equal(at(OVERLOAD_HARD, 749), OVERLOAD_NONE);
}

static void test_no_limit_is_never_reached(void **state)
{
	(void)state;
	assert_int_equal(overload_next(OVERLOAD_HARD, UINT64_MAX, 0, &limits), OVERLOAD_NONE);
}

static void test_large_numbers(void **state)
{
	(void)state;
	assert_int_equal(overload_next(OVERLOAD_NONE, UINT64_MAX / 10 * 7, UINT64_MAX, &limits), OVERLOAD_NONE);
	assert_int_equal(overload_next(OVERLOAD_NONE, UINT64_MAX / 10 * 9, UINT64_MAX, &limits), OVERLOAD_SOFT);
	assert_int_equal(overload_next(OVERLOAD_NONE, UINT64_MAX, UINT64_MAX, &limits), OVERLOAD_HARD);
	assert_int_equal(overload_next(OVERLOAD_NONE, 1, 1, &limits), OVERLOAD_HARD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels_begin_at_their_percent),
		cmocka_unit_test(test_levels_end_lower),
		cmocka_unit_test(test_no_limit_is_never_reached),
		cmocka_unit_test(test_large_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
