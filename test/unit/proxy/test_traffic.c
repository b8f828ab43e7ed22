// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "proxy/traffic.h"
#include "weft/str.h"

static struct call_stat *of(struct traffic *t, const char *name, bool known)
{
	return traffic_call(t, slice_str(name), known);
}

static void only_what_a_host_knows_has_a_row(void **state)
{
	struct traffic t;
	struct call_stat *other, *get;

	(void)state;
	traffic_init(&t);
	other = of(&t, "made.Up/Do", false);
	assert_ptr_equal(of(&t, "", false), other);
	assert_ptr_equal(of(&t, TRAFFIC_CALLS_OTHER, false), other);
	get = of(&t, "shop.Orders/Get", true);
	assert_ptr_not_equal(get, other);
	assert_ptr_equal(of(&t, "shop.Orders/Get", false), get);
	assert_ptr_equal(of(&t, "made.Up/Do", false), other);
	traffic_fini(&t);
}

static void there_are_so_many_at_most(void **state)
{
	struct call_stat *other, *first;
	struct traffic t;
	char name[32];

	(void)state;
	traffic_init(&t);
	other = of(&t, "x/y", false);
	first = of(&t, "a.Svc/0", true);
	for (unsigned i = 1; i < TRAFFIC_CALLS_MAX; i++) {
		snprintf(name, sizeof(name), "a.Svc/%u", i);
		assert_ptr_not_equal(of(&t, name, true), other);
	}
	assert_ptr_equal(of(&t, "a.Svc/more", true), other);
	assert_ptr_equal(of(&t, "a.Svc/0", true), first);
	traffic_fini(&t);
}

static void routes_and_clusters_are_found_by_slot(void **state)
{
	struct traffic t;
	struct route_stat *a, *b;

	(void)state;
	traffic_init(&t);
	a = traffic_row(&t, TRAFFIC_ROUTE, 70, SLICE_LIT("a"));
	b = traffic_row(&t, TRAFFIC_CLUSTER, 70, SLICE_LIT("a"));
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(traffic_row(&t, TRAFFIC_ROUTE, 70, SLICE_LIT("b")), a);
	assert_ptr_equal(traffic_row(&t, TRAFFIC_ROUTE, 3, SLICE_LIT("a")), a);
	traffic_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_a_host_knows_has_a_row),
		cmocka_unit_test(there_are_so_many_at_most),
		cmocka_unit_test(routes_and_clusters_are_found_by_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
