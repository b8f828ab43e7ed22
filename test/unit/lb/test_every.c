// SPDX-License-Identifier: Apache-2.0
/* What holds for every algorithm: tried and unusable hosts are never given, one host, none, panic. */
#include "kit.h"

static const struct lb_ops *const every[] = { &lb_round_robin, &lb_random_host, &lb_least_request, &lb_ring_hash,
					      &lb_maglev, &lb_peak_ewma };
static const uint32_t weights[] = { 1, 2, 3, 4, 50, 1, 7 };

#define EVERY(ops) for (size_t ops##_i = 0; ops##_i < sizeof(every) / sizeof(every[0]); ops##_i++) \
		for (const struct lb_ops *ops = every[ops##_i]; ops; ops = NULL)

static void test_none(void **state)
{
	struct kit k;

	(void)state;
	EVERY(ops) {
		kit_init(&k, ops, NULL, 0, NULL);
		assert_int_equal(kit_pick(&k), LB_NONE);
		assert_int_equal(kit_pick_hash(&k, 77), LB_NONE);
		kit_fini(&k);
	}
}

static void test_one(void **state)
{
	struct kit k;

	(void)state;
	EVERY(ops) {
		kit_init(&k, ops, NULL, 1, NULL);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(kit_pick(&k), 0);
			assert_int_equal(kit_pick_hash(&k, i * 0x1234567ull), 0);
		}
		k.cell[0].usable = false;
		assert_int_equal(kit_pick(&k), LB_NONE);
		assert_int_equal(kit_pick_hash(&k, 5), LB_NONE);
		k.lb.panic = true;
		assert_int_equal(kit_pick(&k), 0);
		kit_fini(&k);
	}
}

static void never_unusable(const struct lb_ops *ops, const uint32_t *w, uint32_t n)
{
	struct kit k;

	kit_init(&k, ops, w, n, NULL);
	for (uint32_t left = n; left-- > 0;) {
		k.cell[(left * 5) % n].usable = false;
		for (int i = 0; i < 200; i++) {
			uint32_t a = kit_pick(&k), b = kit_pick_hash(&k, kit_mix(i));

			if (left) {
				assert_true(a < n && k.cell[a].usable);
				assert_true(b < n && k.cell[b].usable);
			} else {
				assert_int_equal(a, LB_NONE);
				assert_int_equal(b, LB_NONE);
			}
		}
	}
	kit_fini(&k);
}

static void test_unusable(void **state)
{
	(void)state;
	EVERY(ops) {
		never_unusable(ops, NULL, 7);
		never_unusable(ops, weights, 7);
		never_unusable(ops, NULL, 101);
	}
}

static void never_tried(const struct lb_ops *ops, const uint32_t *w, uint32_t n)
{
	uint32_t tried[8] = { 0 };
	struct kit k;

	kit_init(&k, ops, w, n, NULL);
	for (int round = 0; round < 200; round++) {
		struct lb_ask ask = { .hash = kit_mix(round), .has_hash = round & 1, .tried = tried };

		for (; ask.ntried < n; ask.ntried++) {
			uint32_t i = ops->pick(&k.lb, &ask);

			assert_true(i < n);
			for (uint32_t t = 0; t < ask.ntried; t++)
				assert_int_not_equal(i, tried[t]);
			tried[ask.ntried] = i;
		}
		assert_int_equal(ops->pick(&k.lb, &ask), LB_NONE);
	}
	kit_fini(&k);
}

static void test_tried(void **state)
{
	(void)state;
	EVERY(ops) {
		never_tried(ops, NULL, 7);
		never_tried(ops, weights, 7);
	}
}

/* Most hosts down: those that are left still share alike. */
static void test_fair_among_few(void **state)
{
	static const struct lb_ops *const random_ones[] = { &lb_random_host, &lb_least_request, &lb_round_robin };
	struct kit k;

	(void)state;
	for (size_t o = 0; o < 3; o++) {
		kit_init(&k, random_ones[o], NULL, 100, NULL);
		for (uint32_t i = 0; i < 100; i++)
			k.cell[i].usable = i % 10 == 3;
		kit_run(&k, 20000);
		kit_assert_fair(&k);
		kit_fini(&k);
	}
}

static void test_original_destination(void **state)
{
	struct net_addr a = { { { [15] = 3 } }, 80 };
	struct lb_ask ask = { .original = &a };
	struct kit k;

	(void)state;
	kit_init(&k, &lb_original_destination, NULL, 5, NULL);
	assert_int_equal(kit_pick(&k), LB_NONE);
	assert_int_equal(k.lb.ops->pick(&k.lb, &ask), 2);
	a.port = 81;
	assert_int_equal(k.lb.ops->pick(&k.lb, &ask), LB_NONE);
	k.host[2].port = 0;
	assert_int_equal(k.lb.ops->pick(&k.lb, &ask), 2);
	k.cell[2].usable = false;
	assert_int_equal(k.lb.ops->pick(&k.lb, &ask), LB_NONE);
	a.ip.b[15] = 9;
	assert_int_equal(k.lb.ops->pick(&k.lb, &ask), LB_NONE);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),		 cmocka_unit_test(test_one),
		cmocka_unit_test(test_unusable),	 cmocka_unit_test(test_tried),
		cmocka_unit_test(test_fair_among_few),	 cmocka_unit_test(test_original_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
