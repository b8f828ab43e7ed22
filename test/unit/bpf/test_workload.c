// SPDX-License-Identifier: Apache-2.0
#include "stub.h"
#include "lib/workload.h"
#include "model.h"

static int fresh(void **state)
{
	model_reset();
	return 0;
}

static void declare(uint64_t cgroup, uint32_t id, uint32_t flags)
{
	struct workload w = { .id = id, .flags = flags };

	bpf_map_update_elem(&workload_map, &cgroup, &w, 0);
}

static struct caller find(uint64_t own_cgroup)
{
	struct ctl ctl = { .own_cgroup = own_cgroup };
	struct caller c = {};
	struct lineage of = {};

	lineage_self(&of);
	caller_find(&c, &ctl, &of);
	return c;
}

static void the_nearest_declared_cgroup_is_the_workload(void **state)
{
	struct caller c;

	for (int level = 0; level <= 4; level++)
		stub_cgroup[level] = 100 + level;
	c = find(0);
	assert_int_equal(c.cgroup, 104);
	assert_int_equal(c.workload.id, 0);
	declare(101, 1, WORKLOAD_EXEMPT);
	declare(103, 3, WORKLOAD_MANAGED);
	c = find(0);
	assert_int_equal(c.cgroup, 103);
	assert_int_equal(c.workload.id, 3);
	assert_int_equal(c.exempt, 0);
	declare(104, 4, WORKLOAD_PROXY);
	assert_int_equal(find(0).exempt, 1);
}

static void the_deepest_level_still_counts(void **state)
{
	for (int level = 0; level <= CGROUP_LEVELS; level++)
		stub_cgroup[level] = 100 + level;
	declare(100 + CGROUP_LEVELS, 7, 0);
	assert_int_equal(find(0).workload.id, 7);
	declare(101, 1, 0);
	assert_int_equal(find(0).workload.id, 7);
	bpf_map_delete_elem(&workload_map, &stub_cgroup[CGROUP_LEVELS]);
	assert_int_equal(find(0).workload.id, 1);
}

/* ... also between a process and its workload, or above it. */
static void weft_itself_is_exempt_wherever_its_cgroup_is(void **state)
{
	for (int level = 0; level <= 3; level++)
		stub_cgroup[level] = 100 + level;
	declare(102, 2, WORKLOAD_MANAGED);
	for (int level = 1; level <= 3; level++)
		assert_int_equal(find(100 + level).exempt, 1);
	assert_int_equal(find(999).exempt, 0);
}

static void the_root_is_nobody(void **state)
{
	stub_cgroup[0] = 1;
	declare(1, 1, WORKLOAD_EXEMPT);
	assert_int_equal(find(1).exempt, 0);
	assert_int_equal(find(1).workload.id, 0);
}

static void a_pod_is_its_namespace_the_host_its_cgroups(void **state)
{
	struct caller c = { .cgroup = 55 };

	assert_int_equal(client_id(&c, 9, 1), 9);
	assert_int_equal(client_id(&c, 1, 1), 55);
	assert_int_equal(client_id(&c, 0, 1), 55);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_nearest_declared_cgroup_is_the_workload, fresh),
		cmocka_unit_test_setup(the_deepest_level_still_counts, fresh),
		cmocka_unit_test_setup(weft_itself_is_exempt_wherever_its_cgroup_is, fresh),
		cmocka_unit_test_setup(the_root_is_nobody, fresh),
		cmocka_unit_test_setup(a_pod_is_its_namespace_the_host_its_cgroups, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/workload", tests, NULL, NULL);
}
