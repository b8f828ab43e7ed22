// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "base/table.h"

static int values[4096];

static void test_empty(void **state)
{
	struct table t = { 0 };

	(void)state;
	assert_null(table_get(&t, SLICE_LIT("a")));
	assert_null(table_del(&t, SLICE_LIT("a")));
	assert_null(table_next(&t, NULL));
	table_fini(&t);
	table_init(&t, TABLE_COPY_KEYS);
	assert_null(t.v);
	table_fini(&t);
}

static void test_put_get_del(void **state)
{
	struct table t;

	(void)state;
	table_init(&t, 0);
	assert_null(table_put(&t, SLICE_LIT("a"), &values[1]));
	assert_null(table_put(&t, SLICE_LIT(""), &values[2]));
	assert_null(table_put(&t, SLICE_LIT("a\0b"), &values[3]));
	assert_ptr_equal(table_get(&t, SLICE_LIT("a")), &values[1]);
	assert_ptr_equal(table_get(&t, (struct slice){ NULL, 0 }), &values[2]);
	assert_ptr_equal(table_get(&t, SLICE_LIT("a\0b")), &values[3]);
	assert_null(table_get(&t, SLICE_LIT("a\0")));
	assert_int_equal(t.n, 3);
	assert_ptr_equal(table_put(&t, SLICE_LIT("a"), &values[4]), &values[1]);
	assert_int_equal(t.n, 3);
	assert_ptr_equal(table_del(&t, SLICE_LIT("a")), &values[4]);
	assert_null(table_del(&t, SLICE_LIT("a")));
	assert_null(table_get(&t, SLICE_LIT("a")));
	assert_int_equal(t.n, 2);
	assert_ptr_equal(table_del(&t, SLICE_LIT("")), &values[2]);
	assert_null(table_put(&t, SLICE_LIT(""), &values[5]));
	assert_int_equal(t.n, 2);
	table_fini(&t);
}

static void test_borrowed_key_goes_with_its_value(void **state)
{
	struct table t = { 0 };
	char *first = strdup("key"), *second = strdup("key");

	(void)state;
	table_put(&t, slice_str(first), first);
	assert_ptr_equal(table_put(&t, slice_str(second), second), first);
	free(first);
	assert_ptr_equal(table_get(&t, SLICE_LIT("key")), second);
	table_fini(&t);
	free(second);
}

static void test_copied_keys_are_the_tables(void **state)
{
	struct table t;
	char key[] = "key";

	(void)state;
	table_init(&t, TABLE_COPY_KEYS);
	table_put(&t, slice_str(key), &values[0]);
	memset(key, 'x', 3);
	assert_ptr_equal(table_get(&t, SLICE_LIT("key")), &values[0]);
	assert_string_equal(table_next(&t, NULL)->key.p, "key");
	table_put(&t, SLICE_LIT("other"), &values[1]);
	assert_ptr_equal(table_del(&t, SLICE_LIT("key")), &values[0]);
	table_fini(&t);
	table_init(&t, TABLE_COPY_KEYS);
	table_fini(&t);
}

static void test_iterating_while_removing(void **state)
{
	struct table t;
	char key[16];
	int i = 0;

	(void)state;
	table_init(&t, TABLE_COPY_KEYS);
	for (int k = 0; k < 1000; k++) {
		snprintf(key, sizeof(key), "%d", k);
		table_put(&t, slice_str(key), &values[k]);
	}
	for (struct table_entry *e = table_next(&t, NULL); e; e = table_next(&t, e), i++) {
		assert_ptr_equal(e->value, &values[i]);
		if (i % 3)
			table_del(&t, e->key);
	}
	assert_int_equal(i, 1000);
	assert_int_equal(t.n, 334);
	i = 0;
	for (struct table_entry *e = table_next(&t, NULL); e; e = table_next(&t, e), i += 3)
		assert_ptr_equal(e->value, &values[i]);
	table_fini(&t);
}

static void test_churn_does_not_grow(void **state)
{
	struct table t;
	char key[16];

	(void)state;
	table_init(&t, TABLE_COPY_KEYS);
	for (int k = 0; k < 100000; k++) {
		snprintf(key, sizeof(key), "%d", k);
		table_put(&t, slice_str(key), &values[k % 4096]);
		if (k >= 10) {
			snprintf(key, sizeof(key), "%d", k - 10);
			assert_ptr_equal(table_del(&t, slice_str(key)), &values[(k - 10) % 4096]);
		}
	}
	assert_int_equal(t.n, 10);
	assert_true(t.cap <= 32);
	table_fini(&t);
}

/* The model: an array of key numbers in order of insertion. */
#define KEYS 300

struct model {
	int key[KEYS], value[KEYS];
	int n;
};

static int model_find(const struct model *m, int key)
{
	for (int i = 0; i < m->n; i++) {
		if (m->key[i] == key)
			return i;
	}
	return -1;
}

static void model_step(struct model *m, struct table *t, struct rand *r)
{
	int key = rand_below(r, KEYS), value = rand_below(r, 4096), i = model_find(m, key);
	void *old = i < 0 ? NULL : &values[m->value[i]];
	char text[16];

	snprintf(text, sizeof(text), "key %d", key);
	switch (rand_below(r, 5)) {
	case 0:
	case 1:
		assert_ptr_equal(table_put(t, slice_str(text), &values[value]), old);
		if (i < 0) {
			i = m->n++;
			m->key[i] = key;
		}
		m->value[i] = value;
		break;
	case 2:
	case 3:
		assert_ptr_equal(table_del(t, slice_str(text)), old);
		if (i >= 0) {
			m->n--;
			memmove(m->key + i, m->key + i + 1, (m->n - i) * sizeof(int));
			memmove(m->value + i, m->value + i + 1, (m->n - i) * sizeof(int));
		}
		break;
	default:
		assert_ptr_equal(table_get(t, slice_str(text)), old);
	}
	assert_int_equal(t->n, m->n);
}

static void test_against_model(void **state)
{
	static struct model m;
	struct table t;
	struct rand r;

	(void)state;
	rand_seed(&r, 11);
	table_init(&t, TABLE_COPY_KEYS);
	for (int step = 0; step < 100000; step++) {
		int i = 0;

		model_step(&m, &t, &r);
		if (step % 100)
			continue;
		for (struct table_entry *e = table_next(&t, NULL); e; e = table_next(&t, e), i++)
			assert_ptr_equal(e->value, &values[m.value[i]]);
		assert_int_equal(i, m.n);
	}
	table_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_put_get_del),
		cmocka_unit_test(test_borrowed_key_goes_with_its_value),
		cmocka_unit_test(test_copied_keys_are_the_tables),
		cmocka_unit_test(test_iterating_while_removing),
		cmocka_unit_test(test_churn_does_not_grow),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
