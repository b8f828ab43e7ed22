// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <time.h>
#include "base/clock.h"

static void test_monotonic(void **state)
{
	struct timespec ts;
	uint64_t a = clock_ns(), b, c;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	b = ts.tv_sec * SEC + ts.tv_nsec;
	c = clock_ns();
	assert_true(a <= b && b <= c);
}

static void test_wall(void **state)
{
	struct tm tm = { 0 };
	char out[32];
	time_t now = time(NULL), said;
	const char *rest;

	(void)state;
	clock_wall(out, sizeof(out));
	assert_int_equal(strlen(out), 24);
	rest = strptime(out, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(rest);
	assert_int_equal(rest[0], '.');
	assert_string_equal(rest + 4, "Z");
	said = timegm(&tm);
	assert_true(said >= now - 1 && said <= now + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_wall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
