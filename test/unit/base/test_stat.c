// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/stat_text.h"
#include "weft/buf.h"
#include "weft/str.h"

#define HUB_STATS(X) \
	X(COUNTER, transactions, "transactions committed") \
	X(GAUGE, services, "services in the snapshot")
STAT_DECLARE(hub_stat, HUB_STATS);
STAT_DEFINE(hub_stat, "hub", HUB_STATS);

static void test_sum(void **state)
{
	struct hub_stat a = { 0 }, b = { 0 };
	const void *both[] = { &a, &b };

	(void)state;
	stat_add(&a.transactions, 2);
	stat_add(&a.transactions, 1);
	stat_add(&b.transactions, 39);
	stat_set(&b.services, 7);
	assert_int_equal(stat_get(&a.transactions), 3);
	assert_int_equal(stat_sum(both, 2, 0), 42);
	assert_int_equal(stat_sum(both, 1, 0), 3);
	assert_int_equal(stat_sum(both, 2, 1), 7);
	assert_int_equal(stat_sum(NULL, 0, 1), 0);
}

static void test_text(void **state)
{
	struct hub_stat a = { 0 }, b = { 0 };
	const void *pa[] = { &a }, *pb[] = { &b, &a };
	struct stat_series series[] = { { NULL, pa, 1 }, { "zone=\"x\"", pb, 2 } };
	struct buf out = { 0 };

	(void)state;
	stat_set(&a.transactions, 1);
	stat_set(&b.transactions, UINT64_MAX - 1);
	stat_set(&b.services, 5);
	assert_int_equal(stat_render(&out, &hub_stat_desc, series, 2), 0);
	assert_true(slice_eq_str(buf_pull(&out, out.len),
				 "# HELP weft_hub_transactions_total transactions committed\n"
				 "# TYPE weft_hub_transactions_total counter\n"
				 "weft_hub_transactions_total 1\n"
				 "weft_hub_transactions_total{zone=\"x\"} 18446744073709551615\n"
				 "# HELP weft_hub_services services in the snapshot\n"
				 "# TYPE weft_hub_services gauge\n"
				 "weft_hub_services 0\n"
				 "weft_hub_services{zone=\"x\"} 5\n"));
	buf_fini(&out);
}

static void test_escape(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_string_equal(stat_escape(&a, slice_str("a\"b\\c\nd")), "a\\\"b\\\\c\\nd");
	assert_string_equal(stat_escape(&a, slice_str("")), "");
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
