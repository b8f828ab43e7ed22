// SPDX-License-Identifier: Apache-2.0
#include "stub.h"
#include "lib/table.h"
#include "model.h"

static int fresh(void **state)
{
	model_reset();
	return 0;
}

static void slots_follow_each_other_over_rows(void **state)
{
	uint32_t ids[40], pad[5] = {};
	struct service svc;
	bool bad = false;

	put_service(9, SVC(0), pad, 5);
	for (uint32_t i = 0; i < 40; i++)
		ids[i] = 100 + i;
	svc = put_service(1, SVC(0), ids, 40);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(table_slot(&svc, i, &bad), 100 + i);
	assert_false(bad);
}

static void beyond_the_table_is_told(void **state)
{
	struct service svc = { .off = MAX_SLOTS_DFLT - 1, .n = 2 };
	bool bad = false;

	table_slot(&svc, 0, &bad);
	assert_false(bad);
	assert_int_equal(table_slot(&svc, 1, &bad), 0);
	assert_true(bad);
}

static void what_is_not_there_is_not_read(void **state)
{
	struct service out = { .n = 7 };
	uint32_t id = 1;

	assert_false(map_read(&service_map, &id, &out));
	assert_int_equal(out.n, 7);
}

static unsigned int changes;

/* Another CPU replaces the service between the two lookups of a reading. */
static void change_service(const void *map)
{
	uint32_t id = 1;
	struct service svc = { .gen = 100 + changes };

	if (map != &service_map || !changes)
		return;
	changes--;
	stub_on_lookup = NULL;
	bpf_map_update_elem(&service_map, &id, &svc, 0);
	stub_on_lookup = change_service;
}

static unsigned int tears;

/* The entry that was found is given to another service: its words change under the reader's hands, and back. */
static void tear_service(const void *map)
{
	uint32_t id = 1;
	struct service *svc;

	if (map != &service_map || !tears)
		return;
	stub_on_lookup = NULL;
	svc = bpf_map_lookup_elem(&service_map, &id);
	svc->n = --tears % 2 ? 1000000 : 3;
	stub_on_lookup = tear_service;
}

static void a_value_that_changes_is_not_taken(void **state)
{
	struct service out;
	uint32_t id = 1;

	put_service(1, SVC(.gen = 1), NULL, 0);
	tears = 2;
	stub_on_lookup = tear_service;
	assert_false(map_read(&service_map, &id, &out));
	put_service(1, SVC(.gen = 1), NULL, 0);
	tears = 2;
	assert_true(map_read_twice(&service_map, &id, &out));
	assert_int_equal(out.n, 3);
	changes = 1;
	stub_on_lookup = change_service;
	assert_true(map_read_twice(&service_map, &id, &out));
	assert_int_equal(out.gen, 101);
}

static void every_word_is_compared(void **state)
{
	struct backend a = {}, b;

	for (size_t i = 0; i < sizeof(a); i++) {
		b = a;
		((char *)&b)[i] = 1;
		assert_false(words_eq(&a, &b, sizeof(a)));
	}
	assert_true(words_eq(&a, &a, sizeof(a)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(slots_follow_each_other_over_rows, fresh),
		cmocka_unit_test_setup(beyond_the_table_is_told, fresh),
		cmocka_unit_test_setup(what_is_not_there_is_not_read, fresh),
		cmocka_unit_test_setup(a_value_that_changes_is_not_taken, fresh),
		cmocka_unit_test_setup(every_word_is_compared, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/table", tests, NULL, NULL);
}
