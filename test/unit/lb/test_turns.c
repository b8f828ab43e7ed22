// SPDX-License-Identifier: Apache-2.0
/* Round robin and least request: exact shares, smooth order, slow start, rotation kept when hosts change. */
#include <string.h>
#include "kit.h"

static void test_equal_is_exact(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k, &lb_round_robin, NULL, 7, NULL);
	kit_run(&k, 7 * 100);
	for (int i = 0; i < 7; i++)
		assert_int_equal(k.got[i], 100);
	kit_fini(&k);
}

static void exact_by_weight(const struct lb_ops *ops)
{
	static const uint32_t weights[] = { 5, 1, 1, 300, 20 };
	struct kit k;

	kit_init(&k, ops, weights, 5, NULL);
	for (int round = 1; round <= 50; round++) {
		kit_run(&k, 327);
		for (int i = 0; i < 5; i++)
			assert_int_equal(k.got[i], weights[i] * round);
	}
	kit_fini(&k);
}

static void test_weights_are_exact(void **state)
{
	(void)state;
	exact_by_weight(&lb_round_robin);
	exact_by_weight(&lb_least_request);
}

static void test_smooth(void **state)
{
	static const uint32_t weights[] = { 5, 1, 1 };
	char order[15] = "";
	struct kit k;

	(void)state;
	kit_init(&k, &lb_round_robin, weights, 3, NULL);
	for (int i = 0; i < 14; i++)
		order[i] = (char)('a' + kit_pick(&k));
	assert_string_equal(order, "aaabcaaaaabcaa");
	kit_fini(&k);
}

static void test_rotation_survives_a_rebuild(void **state)
{
	struct kit a, b;

	(void)state;
	kit_init(&a, &lb_round_robin, NULL, 6, NULL);
	while (kit_pick(&a) != 2)
		;
	kit_without(&b, &a, 5);
	assert_int_equal(kit_pick(&b), 3);
	assert_int_equal(kit_pick(&b), 4);
	assert_int_equal(kit_pick(&b), 0);
	kit_fini(&b);
	kit_without(&b, &a, 3);                 /* the next one itself is gone: the one behind it */
	assert_int_equal(b.hosts[kit_pick(&b)].key == a.hosts[4].key, 1);
	kit_fini(&b);
	kit_fini(&a);
}

/* Rebuilt after every pick, shares are as without: nobody starts over. */
static void test_weighted_rotation_survives_rebuilds(void **state)
{
	static const uint32_t weights[] = { 3, 1, 2 };
	uint32_t got[3] = { 0 };
	struct kit k[2];
	int at = 0;

	(void)state;
	kit_init(&k[0], &lb_round_robin, weights, 3, NULL);
	for (int i = 0; i < 600; i++) {
		got[kit_pick(&k[at])]++;
		kit_without(&k[!at], &k[at], UINT32_MAX);
		kit_fini(&k[at]);
		at = !at;
	}
	kit_fini(&k[at]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(got[i], weights[i] * 100);
}

static void test_slow_start(void **state)
{
	static const struct lb_ops *const ops[] = { &lb_round_robin, &lb_least_request };
	static const uint32_t uneven[] = { 2, 2, 4, 2 };

	(void)state;
	for (int o = 0; o < 2; o++) {
		for (int weighted = 0; weighted < 2; weighted++) {
			struct kit k;
			uint32_t want;

			kit_init(&k, ops[o], weighted ? uneven : NULL, 4, NULL);
			k.cell[1].factor = LB_FACTOR_ONE / 4;
			kit_run(&k, 40000);
			want = weighted ? 40000 * 0.5 / 8.5 : 40000 * 0.25 / 3.25;
			assert_true(k.got[1] > want * 0.8 && k.got[1] < want * 1.2);
			kit_fini(&k);
		}
	}
}

/*
 * Requests that take as long as they take: nobody gets far above its part. Turns by weight / (under way + 1) let light
 * hosts have more than their part when all are busy, as the root of the weight.
 */
static void keeps_level(const uint32_t *weights, uint32_t n, uint32_t per_weight)
{
	uint64_t rnd = 99;
	uint32_t open[4096], live = 0;
	struct kit k;

	kit_init(&k, &lb_least_request, weights, n, NULL);
	for (int i = 0; i < 50000; i++) {
		uint32_t most = (uint32_t)k.set.total_weight * per_weight;

		while (live >= most) {
			uint32_t at = (rnd = kit_mix(rnd)) % live;

			k.cell[open[at]].active--;
			open[at] = open[--live];
		}
		open[live] = kit_pick(&k);
		k.cell[open[live++]].active++;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t want = k.hosts[i].weight * per_weight;

		assert_true(k.cell[i].active <= (weights ? 5 * want / 2 : want + 4 + want / 4));
		assert_true(k.cell[i].active >= want / 2);
	}
	kit_fini(&k);
}

static void test_least_request_levels(void **state)
{
	static const uint32_t weights[] = { 1, 2, 4, 8 };

	(void)state;
	keeps_level(NULL, 10, 20);
	keeps_level(weights, 4, 20);
}

static void test_least_request_avoids_the_busy(void **state)
{
	static const uint32_t uneven[] = { 1, 1, 2 };
	struct kit k;

	(void)state;
	kit_init(&k, &lb_least_request, NULL, 3, NULL);
	k.cell[1].active = 1000;
	kit_run(&k, 1000);
	assert_int_equal(k.got[1], 0);
	kit_fini(&k);
	kit_init(&k, &lb_least_request, uneven, 3, NULL);
	k.cell[1].active = 1000;
	kit_run(&k, 1000);
	assert_in_range(k.got[1], 0, 2);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_is_exact),
		cmocka_unit_test(test_weights_are_exact),
		cmocka_unit_test(test_smooth),
		cmocka_unit_test(test_rotation_survives_a_rebuild),
		cmocka_unit_test(test_weighted_rotation_survives_rebuilds),
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_least_request_levels),
		cmocka_unit_test(test_least_request_avoids_the_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
