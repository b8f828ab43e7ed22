// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/slots.h"

#define A SLICE_LIT("a")
#define B SLICE_LIT("b")
#define C SLICE_LIT("c")

static void test_dense(void **state)
{
	struct slots s;

	(void)state;
	slots_init(&s);
	assert_int_equal(slots_take(&s, A), 0);
	assert_int_equal(slots_take(&s, B), 1);
	assert_int_equal(slots_take(&s, C), 2);
	slots_drop(&s, 1, B);
	slots_drop(&s, 0, A);
	assert_int_equal(slots_take(&s, C), 0);
	assert_int_equal(slots_take(&s, A), 1);
	assert_int_equal(slots_take(&s, B), 3);
	assert_int_equal(s.users.n, 4);
	slots_fini(&s);
}

/* The store deleted it, a snapshot knows it: the number waits for it. */
static void test_comes_back(void **state)
{
	struct slots s;

	(void)state;
	slots_init(&s);
	assert_int_equal(slots_take(&s, A), 0);
	slots_share(&s, 0);
	slots_forget(&s, 0, A);
	slots_drop(&s, 0, A);
	assert_int_equal(slots_take(&s, B), 1);
	assert_int_equal(slots_take(&s, A), 0);
	slots_forget(&s, 0, A);
	slots_drop(&s, 0, A);
	slots_drop(&s, 0, A);
	assert_int_equal(s.ghosts.n, 0);
	assert_int_equal(slots_take(&s, C), 0);
	slots_fini(&s);
}

/* An object that was kept is put again, and only then goes: what was noted about its key goes too. */
static void test_object_comes_back(void **state)
{
	struct slots s;

	(void)state;
	slots_init(&s);
	assert_int_equal(slots_take(&s, A), 0);
	slots_forget(&s, 0, A);
	slots_drop(&s, 0, A);
	assert_int_equal(slots_take(&s, B), 0);
	assert_int_equal(slots_take(&s, A), 1);
	slots_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_object_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
