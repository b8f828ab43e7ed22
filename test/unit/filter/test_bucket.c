// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "filter/bucket.h"

#define MS 1000000ull
#define S (1000 * MS)

static void a_burst_passes_then_one_each_step(void **state)
{
	struct bucket b;
	uint64_t now = 77 * S, wait;

	(void)state;
	bucket_init(&b, 10, S, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&b, now), 0);
	wait = bucket_take(&b, now);
	assert_in_range(wait, 100 * MS, 100 * MS + 1);
	assert_int_equal(bucket_take(&b, now + wait), 0);
	assert_int_not_equal(bucket_take(&b, now + wait), 0);
	/* After a long pause no more than the burst. */
	now += 3600 * S;
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&b, now), 0);
	assert_int_not_equal(bucket_take(&b, now), 0);
}

/* Over time exactly the rate, also where a step is no whole number of nanoseconds. */
static void the_rate_is_the_rate(void **state)
{
	static const uint64_t rates[] = { 1, 3, 7, 999, 100000, 600000, 1000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct bucket b;
		uint64_t passed = 0, end = 10 * S;

		bucket_init(&b, rates[i], S, 1);
		for (uint64_t now = 1; now < end;) {
			uint64_t wait = bucket_take(&b, now);

			passed += !wait;
			now += wait;
		}
		/* A step ends on a whole nanosecond for who asks then: a part in a thousand at a million a second. */
		assert_in_range(passed, 10 * rates[i] - rates[i] / 100, 10 * rates[i] + 1);
	}
}

/* A clock of another worker may be a little behind. */
static void time_may_go_back(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 1000, S, 2);
	assert_int_equal(bucket_take(&b, 5 * S), 0);
	assert_int_equal(bucket_take(&b, 5 * S), 0);
	assert_in_range(bucket_take(&b, 5 * S - MS), 2 * MS, 2 * MS + 1);
	assert_int_equal(bucket_take(&b, 5 * S + MS), 0);
}

static struct bucket shared;

static void *taker(void *arg)
{
	uint64_t *n = arg;

	for (int i = 0; i < 200000; i++)
		*n += !bucket_take(&shared, S);
	return NULL;
}

static void threads_take_no_more_than_there_is(void **state)
{
	uint64_t n[2] = { 0, 0 };
	pthread_t t[2];

	(void)state;
	bucket_init(&shared, 1000000, S, 123456);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taker, &n[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(n[0] + n[1], 123456);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_passes_then_one_each_step),
		cmocka_unit_test(the_rate_is_the_rate),
		cmocka_unit_test(time_may_go_back),
		cmocka_unit_test(threads_take_no_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
