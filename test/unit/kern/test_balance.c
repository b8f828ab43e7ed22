/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include <math.h>
#include <string.h>
#include "base/rand.h"
#include "kern/balance.h"

static uint32_t *fill(enum lb_algo algo, const uint32_t *w, size_t nm, uint32_t *n)
{
	struct balance_member *m = calloc(nm ? nm : 1, sizeof(*m));
	uint32_t *slot;

	for (size_t i = 0; i < nm; i++)
		m[i] = (struct balance_member){ 0x9e3779b97f4a7c15ull * (i + 1), w[i] };
	assert_int_equal(balance_fill(algo, m, nm, &slot, n), 0);
	free(m);
	return slot;
}

static uint32_t count(const uint32_t *slot, uint32_t n, uint32_t member)
{
	uint32_t c = 0;

	for (uint32_t i = 0; i < n; i++)
		c += slot[i] == member;
	return c;
}

static void nobody(void **state)
{
	(void)state;
	uint32_t n, w[] = { 0, 0 };

	for (int algo = 0; algo < LB_ALGO_MAX; algo++) {
		assert_null(fill(algo, w, 0, &n));
		assert_int_equal(n, 0);
		assert_null(fill(algo, w, 2, &n));
		assert_int_equal(n, 0);
	}
}

static void equal_weights_take_one_slot_each(void **state)
{
	(void)state;
	uint32_t n, w[] = { 100, 100, 0, 100 };
	uint32_t *slot = fill(LB_ROUND_ROBIN, w, 4, &n), want[] = { 0, 1, 3 };

	assert_int_equal(n, 3);
	assert_memory_equal(slot, want, sizeof(want));
	free(slot);
}

/* 5:1:1 the way nginx does it: never five in a row. */
static void round_robin_is_smooth(void **state)
{
	(void)state;
	uint32_t n, w[] = { 10, 2, 2 }, run = 1, longest = 1;
	uint32_t *slot = fill(LB_ROUND_ROBIN, w, 3, &n);

	assert_int_equal(n, 7);
	assert_int_equal(count(slot, n, 0), 5);
	for (uint32_t i = 1; i < 2 * n; i++) {
		run = slot[i % n] == slot[(i - 1) % n] ? run + 1 : 1;
		longest = run > longest ? run : longest;
	}
	assert_true(longest <= 3);
	free(slot);
}

static void shares_follow_weights(void **state)
{
	(void)state;
	struct rand r;

	rand_seed(&r, 3);
	for (int round = 0; round < 400; round++) {
		uint32_t w[300], nm = 1 + rand_below(&r, 300), n;
		uint64_t sum = 0;
		enum lb_algo algo = round % LB_ALGO_MAX;

		for (uint32_t i = 0; i < nm; i++)
			sum += w[i] = rand_below(&r, 8) ? 1 + rand_below(&r, rand_below(&r, 2) ? 10 : 65535) : 0;
		if (!sum)
			continue;
		uint32_t *slot = fill(algo, w, nm, &n);

		assert_true(n && n <= SERVICE_SLOTS_MAX);
		for (uint32_t i = 0; i < nm; i++) {
			double want = (double)w[i] / (double)sum, got = (double)count(slot, n, i) / n;

			assert_true(fabs(want - got) < 0.01);
			/* Maglev's turns may pass over one that weighs next to nothing. */
			assert_true(algo == LB_MAGLEV ? w[i] || !got : !w[i] == !got);
		}
		free(slot);
	}
}

static void many_members_fit(void **state)
{
	(void)state;
	uint32_t *w = malloc(70000 * sizeof(*w)), n;

	for (uint32_t i = 0; i < 70000; i++)
		w[i] = 1 + i % 3;
	uint32_t *slot = fill(LB_RANDOM, w, 70000, &n);

	assert_int_equal(n, SERVICE_SLOTS_MAX);
	free(slot);
	slot = fill(LB_RANDOM, w, 5000, &n);
	assert_int_equal(n, 9999);
	free(slot);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody),
		cmocka_unit_test(equal_weights_take_one_slot_each),
		cmocka_unit_test(round_robin_is_smooth),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(many_members_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
