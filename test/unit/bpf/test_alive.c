// SPDX-License-Identifier: Apache-2.0
#include "stub.h"
#include "lib/alive.h"
#include "model.h"

static int fresh(void **state)
{
	model_reset();
	return 0;
}

static void beat(uint32_t worker, uint64_t ns)
{
	bpf_map_update_elem(&beat_map, &worker, &ns, 0);
}

static void one_fresh_beat_is_enough(void **state)
{
	struct ctl ctl = { .nworkers = 4, .beat_timeout_ms = 1000 };

	assert_false(proxy_alive(&ctl, stub_now_ns));
	beat(3, stub_now_ns - 1000 * 1000000ull);
	assert_true(proxy_alive(&ctl, stub_now_ns));
	assert_false(proxy_alive(&ctl, stub_now_ns + 1));
}

static void workers_beyond_the_count_do_not_matter(void **state)
{
	struct ctl ctl = { .nworkers = 3, .beat_timeout_ms = 1000 };

	beat(3, stub_now_ns);
	assert_false(proxy_alive(&ctl, stub_now_ns));
	ctl.nworkers = 0;
	beat(0, stub_now_ns);
	assert_false(proxy_alive(&ctl, stub_now_ns));
	ctl.nworkers = 1000000;
	assert_true(proxy_alive(&ctl, stub_now_ns));
}

/* Another CPU's clock may be a little ahead. */
static void a_beat_from_the_near_future_is_fresh(void **state)
{
	struct ctl ctl = { .nworkers = 1, .beat_timeout_ms = 1000 };

	beat(0, stub_now_ns + 1000);
	assert_true(proxy_alive(&ctl, stub_now_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_fresh_beat_is_enough, fresh),
		cmocka_unit_test_setup(workers_beyond_the_count_do_not_matter, fresh),
		cmocka_unit_test_setup(a_beat_from_the_near_future_is_fresh, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/alive", tests, NULL, NULL);
}
