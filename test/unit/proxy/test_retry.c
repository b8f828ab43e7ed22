// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "proxy/http.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

#define DRAWS 20000

static struct http http;
static struct worker worker = { .http = &http };

/* The longest of many pauses before the n-th try again, which all are whole: none is longer, they are spread evenly. */
static void pauses(uint32_t n, uint32_t base_ms, uint32_t most_ms, uint64_t limit_ms)
{
	struct route_rule rule = { .backoff_ms = base_ms, .max_backoff_ms = most_ms };
	struct stream s = { .w = &worker, .hit.rule = &rule, .retry.done = n };
	uint64_t sum = 0, longest = 0, shortest = UINT64_MAX;

	rand_seed(&http.rand, n + base_ms);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t ns = retry_pause_ns(&s);

		assert_true(ns < limit_ms * MSEC);
		sum += ns;
		longest = ns > longest ? ns : longest;
		shortest = ns < shortest ? ns : shortest;
	}
	assert_true(longest > limit_ms * MSEC / 100 * 99);
	assert_true(shortest < limit_ms * MSEC / 100);
	assert_in_range(sum / DRAWS, limit_ms * MSEC / 100 * 48, limit_ms * MSEC / 100 * 52);
}

/* From nothing to (2^n - 1) times the base, and never over the most. */
static void test_full_jitter(void **state)
{
	(void)state;
	pauses(1, 25, 250, 25);
	pauses(2, 25, 250, 75);
	pauses(3, 25, 250, 175);
	pauses(4, 25, 250, 250);
	pauses(100, 25, 250, 250);
	pauses(3, 25, 0, 175);
	pauses(19, 1000, 0, ((1ull << 19) - 1) * 1000);
	pauses(100, 1000, 0, ((1ull << 20) - 1) * 1000);
}

static void test_no_pause(void **state)
{
	struct route_rule rule = { .max_backoff_ms = 250 };
	struct stream s = { .w = &worker, .hit.rule = &rule, .retry.done = 3 };

	(void)state;
	assert_int_equal(retry_pause_ns(&s), 0);
}

static void test_what_is_left(void **state)
{
	struct route_rule rule = { .retries = 2 };
	struct stream s = { .w = &worker };

	(void)state;
	assert_int_equal(retry_left(&s), 0);
	s.hit.rule = &rule;
	assert_int_equal(retry_left(&s), 2);
	s.retry.done = 2;
	assert_int_equal(retry_left(&s), 0);
	s.retry.done = 3;
	assert_int_equal(retry_left(&s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_jitter),
		cmocka_unit_test(test_no_pause),
		cmocka_unit_test(test_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
