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
#include "base/rand.h"
#include "event/wheel.h"

#define HOUR (3600 * SEC)
#define N 500

static struct timer_wheel w;

/* The model: what was armed, when for, and in which order. */
static struct {
	struct timer t;
	bool armed;
	uint64_t tick, order;
} model[N];

static struct rand rng;
static uint64_t now, orders, fired, last_tick, last_order;

static void arm(int i, uint64_t due_ns, timer_fn *fn)
{
	uint64_t tick = (due_ns + MSEC - 1) / MSEC;

	model[i].t.fn = fn;
	wheel_arm(&w, &model[i].t, due_ns);
	model[i].armed = true;
	model[i].tick = tick > now / MSEC ? tick : now / MSEC + 1;
	model[i].order = ++orders;
}

static uint64_t any_delay(void)
{
	static const uint64_t spans[] = { MSEC,	     64 * MSEC, 70 * MSEC,  SEC,
					  300 * SEC, HOUR,	100 * HOUR, 20000 * HOUR };

	return rand_u64(&rng) % spans[rand_below(&rng, sizeof(spans) / sizeof(spans[0]))];
}

static void on_timer(struct timer *t)
{
	int i = container_of(t, __typeof__(model[0]), t) - model;

	assert_false(timer_armed(t));
	assert_true(model[i].armed);
	assert_true(t->due_ns <= now);
	assert_true(model[i].tick <= now / MSEC);
	assert_true(model[i].tick > last_tick ||
		    (model[i].tick == last_tick && model[i].order > last_order));
	last_tick = model[i].tick;
	last_order = model[i].order;
	model[i].armed = false;
	fired++;
	if (!rand_below(&rng, 4))
		arm(i, now + any_delay(), on_timer);
	if (!rand_below(&rng, 4)) {
		i = rand_below(&rng, N);
		wheel_disarm(&w, &model[i].t);
		model[i].armed = false;
	}
}

static uint64_t earliest(void)
{
	uint64_t tick = UINT64_MAX;

	for (int i = 0; i < N; i++) {
		assert_int_equal(model[i].armed, timer_armed(&model[i].t));
		if (model[i].armed && model[i].tick < tick)
			tick = model[i].tick;
	}
	return tick;
}

static void check_model(void)
{
	uint64_t tick = earliest(), next = wheel_next_ns(&w);

	if (tick == UINT64_MAX) {
		assert_true(next == WHEEL_NEVER);
		return;
	}
	assert_true(tick > now / MSEC); /* none was forgotten */
	assert_true(next <= tick * MSEC);
	assert_true(next > now);
}

static void test_against_model(void **state)
{
	uint64_t start;

	(void)state;
	rand_seed(&rng, 21);
	start = now = rand_u64(&rng) >> 8;
	wheel_init(&w, now);
	for (int step = 0; step < 100000; step++) {
		uint64_t next = wheel_next_ns(&w);
		int i = rand_below(&rng, N);

		if (rand_below(&rng, 3)) {
			arm(i, now + any_delay(), on_timer);
		} else {
			wheel_disarm(&w, &model[i].t);
			model[i].armed = false;
		}
		if (rand_below(&rng, 2))
			now += any_delay() / 64;
		else if (next != WHEEL_NEVER)
			now = next > now ? next : now;
		last_tick = last_order = 0;
		wheel_advance(&w, now);
		if (step % 7 == 0)
			check_model();
	}
	assert_true(now - start > 1000 * HOUR);
	assert_true(fired > 20000);
	wheel_fini(&w);
	for (int i = 0; i < N; i++)
		assert_false(timer_armed(&model[i].t));
}

static int calls;

static void count(struct timer *t)
{
	(void)t;
	calls++;
}

static void test_never_early_to_the_nanosecond(void **state)
{
	struct timer t = { .fn = count };

	(void)state;
	calls = 0;
	wheel_init(&w, 0);
	wheel_arm(&w, &t, 5 * MSEC + 1);
	wheel_advance(&w, 5 * MSEC + 1);
	wheel_advance(&w, 6 * MSEC - 1);
	assert_int_equal(calls, 0);
	wheel_advance(&w, 6 * MSEC);
	assert_int_equal(calls, 1);
	wheel_advance(&w, 100 * SEC);
	assert_int_equal(calls, 1);
	wheel_arm(&w, &t, 0); /* long past: the next tick */
	assert_true(wheel_next_ns(&w) == 100 * SEC + MSEC);
	wheel_disarm(&w, &t);
	wheel_disarm(&w, &t);
	assert_true(wheel_next_ns(&w) == WHEEL_NEVER);
	wheel_fini(&w);
}

/* A far timer costs a few wake-ups on its way inwards, not one per turn of a level. */
static void test_far_timers(void **state)
{
	static const uint64_t far[] = { HOUR,		24 * HOUR,	   365 * 24 * HOUR,
					UINT64_MAX / 2, UINT64_MAX - MSEC, UINT64_MAX };
	struct timer t = { .fn = count };

	(void)state;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		int wakes = 0;

		calls = 0;
		wheel_init(&w, 777 * SEC);
		wheel_arm(&w, &t, far[i]);
		while (!calls && wheel_next_ns(&w) < far[i]) {
			uint64_t next = wheel_next_ns(&w);

			wheel_advance(&w, next);
			if (next == UINT64_MAX - 1)
				break;
			assert_true(++wakes <= 8);
		}
		if (far[i] < UINT64_MAX - MSEC) {
			assert_int_equal(calls, 0);
			wheel_advance(&w, far[i] + MSEC);
			assert_int_equal(calls, 1);
		}
		wheel_fini(&w);
	}
}

static struct timer pair[2];

static void disarm_other(struct timer *t)
{
	calls++;
	wheel_disarm(&w, t == &pair[0] ? &pair[1] : &pair[0]);
}

static void test_disarm_of_a_due_one(void **state)
{
	(void)state;
	calls = 0;
	wheel_init(&w, 0);
	for (int i = 0; i < 2; i++) {
		pair[i].fn = disarm_other;
		wheel_arm(&w, &pair[i], MSEC);
	}
	wheel_advance(&w, SEC);
	assert_int_equal(calls, 1);
	assert_true(wheel_next_ns(&w) == WHEEL_NEVER);
	wheel_fini(&w);
}

static void arm_again(struct timer *t)
{
	calls++;
	wheel_arm(&w, t, 0);
}

static void test_rearm_waits_for_the_next_call(void **state)
{
	struct timer t = { .fn = arm_again };

	(void)state;
	calls = 0;
	wheel_init(&w, 0);
	wheel_arm(&w, &t, MSEC);
	wheel_advance(&w, SEC);
	assert_int_equal(calls, 1);
	wheel_advance(&w, SEC);
	assert_int_equal(calls, 1);
	wheel_advance(&w, SEC + MSEC);
	assert_int_equal(calls, 2);
	wheel_advance(&w, 0); /* the past is no news */
	assert_int_equal(calls, 2);
	assert_true(wheel_next_ns(&w) == SEC + 2 * MSEC);
	wheel_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_never_early_to_the_nanosecond),
		cmocka_unit_test(test_far_timers),
		cmocka_unit_test(test_disarm_of_a_due_one),
		cmocka_unit_test(test_rearm_waits_for_the_next_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
