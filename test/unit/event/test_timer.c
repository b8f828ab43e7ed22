// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "event/timer.h"

static struct loop l;
static int calls;
static uint64_t called_at;

static int setup(void **state)
{
	(void)state;
	calls = 0;
	return loop_init(&l);
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&l);
	return 0;
}

static void stop(struct timer *t)
{
	calls++;
	called_at = clock_ns();
	loop_stop(t->arg);
}

static void test_fires_once_not_early(void **state)
{
	static const uint64_t delays[] = { 0, 1, MSEC - 1, MSEC, 3 * MSEC + 1, 20 * MSEC };

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct timer t = { 0 };
		uint64_t start = clock_ns();

		timer_arm(&l, &t, delays[i], stop, &l);
		assert_true(timer_armed(&t));
		assert_int_equal(loop_run(&l), 0);
		assert_false(timer_armed(&t));
		assert_int_equal(calls, (int)i + 1);
		assert_true(called_at >= start + delays[i]);
		assert_true(l.iterations <= (i + 1) * 3); /* no turns for nothing on the way */
	}
}

/* The delay counts from the call, however long ago the loop looked at its clock. */
static void test_stale_loop_clock(void **state)
{
	struct timer t = { 0 };
	uint64_t start;

	(void)state;
	l.now_ns -= 10 * SEC;
	start = clock_ns();
	timer_arm(&l, &t, 10 * MSEC, stop, &l);
	assert_int_equal(loop_run(&l), 0);
	assert_true(called_at >= start + 10 * MSEC);
}

static void test_rearm_replaces(void **state)
{
	struct timer t = { 0 }, end = { 0 };

	(void)state;
	timer_arm(&l, &t, MSEC, stop, NULL);
	timer_arm(&l, &t, UINT64_MAX, stop, NULL);
	timer_arm(&l, &end, 10 * MSEC, stop, &l);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(calls, 1);
	assert_true(timer_armed(&t));
	timer_disarm(&l, &t);
	timer_disarm(&l, &t);
	assert_false(timer_armed(&t));
}

static void again(struct timer *t)
{
	if (++calls == 5)
		loop_stop(t->arg);
	else
		timer_arm(t->arg, t, MSEC, again, t->arg);
}

static void test_rearm_from_callback(void **state)
{
	struct timer t = { 0 };

	(void)state;
	timer_arm(&l, &t, 0, again, &l);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(calls, 5);
}

static void test_end_of_loop_disarms(void **state)
{
	struct timer t = { 0 };

	(void)state;
	timer_arm(&l, &t, SEC, stop, &l);
	loop_fini(&l);
	assert_false(timer_armed(&t));
	timer_disarm(&l, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fires_once_not_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_loop_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rearm_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rearm_from_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_loop_disarms, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
