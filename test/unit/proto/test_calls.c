// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "proto/calls.h"

#define LIVE 3000u

/* Ids that go up and wrap, ended in any order: what is there is found, and nothing else. */
static void any_order(uint32_t gap)
{
	static uint64_t live[LIVE];
	struct calls t = { 0 };
	uint64_t id = 0xffffff00ull;
	struct rand dice;
	uint32_t n = 0;

	rand_seed(&dice, 7);
	for (unsigned i = 0; i < 200000; i++) {
		if (n < LIVE && (!n || rand_below(&dice, 100) < (i < 100000 ? 60 : 45))) {
			id += 1 + rand_below(&dice, gap);
			live[n++] = id;
			assert_int_equal(calls_add(&t, (struct call){ .id = id, .wire = 3 * id, .note = (uint32_t)id }), 0);
		} else {
			uint32_t k = rand_below(&dice, n);
			struct call *c = calls_find(&t, live[k]);

			assert_true(c && c->id == live[k] && c->wire == 3 * live[k] && c->note == (uint32_t)live[k]);
			assert_ptr_equal(calls_find_low(&t, (uint32_t)live[k]), c);
			calls_del(&t, c);
			assert_null(calls_find(&t, live[k]));
			live[k] = live[--n];
		}
		assert_int_equal(t.n, n);
		assert_true(2 * t.n <= t.cap);
	}
	for (uint32_t k = 0; k < n; k++)
		assert_non_null(calls_find(&t, live[k]));
	assert_null(calls_find(&t, id + 1));
	assert_null(calls_find(&t, (uint32_t)id));
	calls_fini(&t);
	assert_null(calls_find(&t, id));
	assert_null(calls_find_low(&t, (uint32_t)id));
}

/* Neighbours; and what falls on each other's places. */
static void test_any_order(void **state)
{
	(void)state;
	any_order(3);
	any_order(5000);
}

/* Most of a long run of neighbours is at home: the first of them is ended without a look at the others. */
static void test_a_long_run(void **state)
{
	struct calls t = { 0 };

	(void)state;
	for (uint64_t id = 1; id <= 200000; id++)
		assert_int_equal(calls_add(&t, (struct call){ .id = id }), 0);
	for (uint64_t id = 1; id <= 200000; id++) {
		struct call *c = calls_find(&t, id);

		assert_non_null(c);
		calls_del(&t, c);
	}
	assert_int_equal(t.n, 0);
	calls_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_any_order), cmocka_unit_test(test_a_long_run) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
