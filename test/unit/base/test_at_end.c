// SPDX-License-Identifier: Apache-2.0
#include "base/at_end.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static __thread struct at_end one, two;
static char order[16];

static void one_ends(struct at_end *e)
{
	strcat(order, "1");
	assert_ptr_equal(e, &one);
	assert_false(e->known);
}

/* Gives something to the other one, which keeps it. */
static void two_ends(struct at_end *e)
{
	strcat(order, "2");
	assert_ptr_equal(e, &two);
	assert_true(at_end_call(&one, one_ends));
}

static void *only_one(void *arg)
{
	for (int i = 0; i < 3; i++)
		assert_true(at_end_call(&one, one_ends));
	assert_true(one.known);
	return arg;
}

static void *both(void *arg)
{
	assert_true(at_end_call(&two, two_ends));
	assert_true(at_end_call(&one, one_ends));
	return arg;
}

static const char *ran(void *(*fn)(void *))
{
	pthread_t id;

	order[0] = '\0';
	assert_int_equal(pthread_create(&id, NULL, fn, NULL), 0);
	assert_int_equal(pthread_join(id, NULL), 0);
	return order;
}

static void test_once_at_the_end(void **state)
{
	(void)state;
	assert_string_equal(ran(only_one), "1");
	assert_string_equal(ran(only_one), "1");
	assert_false(one.known);
}

static void test_one_that_keeps_again_is_called_again(void **state)
{
	(void)state;
	assert_string_equal(ran(both), "121");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_at_the_end),
		cmocka_unit_test(test_one_that_keeps_again_is_called_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
