// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"
#include "base/vec.h"

struct item {
	int value;
	struct list node;
};

static int sum_and_empty(struct list *head)
{
	int digits = 0;

	list_for(n, head) {
		struct item *x = container_of(n, struct item, node);

		digits = digits * 10 + x->value;
		list_del(n);
		memset(x, 0xee, sizeof(*x)); /* the walk must not look at it again */
	}
	return digits;
}

static void test_list(void **state)
{
	struct item a = { 1, { 0 } }, b = { 2, { 0 } }, c = { 3, { 0 } };
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_int_equal(sum_and_empty(&head), 0);
	assert_false(list_linked(&a.node));
	list_del(&a.node);
	list_add_tail(&head, &a.node);
	list_add_tail(&head, &b.node);
	list_add(&head, &c.node);
	assert_true(list_linked(&a.node));
	list_del(&a.node);
	list_del(&a.node);
	list_add_tail(&head, &a.node);
	assert_int_equal(sum_and_empty(&head), 321);
	assert_true(list_empty(&head));
}

static void test_vec(void **state)
{
	VEC(struct item) v = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		vec_push(&v, (struct item){ i, { 0 } });
	assert_int_equal(v.n, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.v[i].value, i);
	vec_remove_swap(&v, 0);
	assert_int_equal(v.n, 999);
	assert_int_equal(v.v[0].value, 999);
	vec_reserve(&v, 5000);
	assert_true(v.cap >= 5000);
	vec_clear(&v);
	assert_int_equal(v.n, 0);
	vec_fini(&v);
	assert_null(v.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_vec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
