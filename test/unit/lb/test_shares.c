// SPDX-License-Identifier: Apache-2.0
/* Random, peak EWMA and the two by hash: shares, and how few requests move when a host goes. */
#include "kit.h"

static const uint32_t weights[] = { 1, 1, 2, 4, 100, 33 };

static void test_random(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k, &lb_random_host, NULL, 100, NULL);
	kit_run(&k, 100000);
	kit_assert_fair(&k);
	kit_fini(&k);
	kit_init(&k, &lb_random_host, weights, 6, NULL);
	kit_run(&k, 100000);
	kit_assert_fair(&k);
	kit_fini(&k);
	/* Some not usable, of which the heaviest: the fallback that looks at all is fair as well. */
	kit_init(&k, &lb_random_host, weights, 6, NULL);
	k.cell[4].usable = k.cell[5].usable = false;
	kit_run(&k, 100000);
	kit_assert_fair(&k);
	kit_fini(&k);
}

static void test_least_request_idle_is_fair(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k, &lb_least_request, NULL, 50, NULL);
	kit_run(&k, 100000);
	kit_assert_fair(&k);
	kit_fini(&k);
}

static void test_peak_ewma(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k, &lb_peak_ewma, NULL, 10, NULL);
	for (int i = 0; i < 10; i++) {
		k.cell[i].ewma_ns = 1e6;
		k.cell[i].ewma_at_ns = 1;
	}
	kit_run(&k, 100000);
	kit_assert_fair(&k);
	kit_fini(&k);

	kit_init(&k, &lb_peak_ewma, NULL, 10, NULL);
	for (int i = 0; i < 10; i++) {
		k.cell[i].ewma_ns = i == 4 ? 20e6 : 1e6;
		k.cell[i].ewma_at_ns = 1;
	}
	k.cell[7].active = 30;
	kit_run(&k, 1000);
	/* The slow one beats only the one with thirty requests before it; that one nobody. */
	assert_in_range(k.got[4], 0, 60);
	assert_int_equal(k.got[7], 0);
	kit_fini(&k);
}

static void fair_by_hash(const struct lb_ops *ops, const uint32_t *w, uint32_t n, double most)
{
	struct kit k;

	kit_init(&k, ops, w, n, NULL);
	for (int i = 0; i < 200000; i++)
		kit_pick_hash(&k, kit_mix(i));
	for (uint32_t i = 0; i < n; i++) {
		double want = 200000.0 * k.hosts[i].weight / k.set.total_weight;

		if (k.got[i] > want * (1 + most) || k.got[i] < want * (1 - most))
			print_error("%s host %u of %u: %u, want %.0f\n", ops->name, i, n, k.got[i], want);
		assert_true(k.got[i] <= want * (1 + most) && k.got[i] >= want * (1 - most));
	}
	kit_fini(&k);
}

/* A table of 100 slots a host gives 1 %; a ring of 1024 points over 10 hosts a tenth of that evenness. */
static void test_hash_shares(void **state)
{
	(void)state;
	fair_by_hash(&lb_maglev, NULL, 10, 0.05);
	fair_by_hash(&lb_maglev, NULL, 100, 0.10);
	fair_by_hash(&lb_maglev, weights, 6, 0.35);
	fair_by_hash(&lb_ring_hash, NULL, 10, 0.35);
}

/* Points lie in order: who walks on from any hash meets ever later ones. Rings of odd sizes, by weight. */
static void test_ring_is_sorted(void **state)
{
	struct ring {
		uint64_t n;
		struct {
			uint64_t at;
			uint32_t host;
		} point[];
	};

	(void)state;
	for (uint32_t n = 1; n <= 100; n = n * 3 + 1) {
		struct kit k;

		kit_init(&k, &lb_ring_hash, n <= 6 ? weights : NULL, n, NULL);
		const struct ring *r = k.lb.table;
		uint32_t has[KIT_HOSTS] = { 0 };

		assert_true(r->n >= 1024);
		for (uint64_t i = 0; i < r->n; i++) {
			assert_true(!i || r->point[i - 1].at <= r->point[i].at);
			has[r->point[i].host]++;
		}
		for (uint32_t i = 0; i < n; i++)
			assert_true(has[i] >= 1024ull * k.hosts[i].weight / k.set.total_weight);
		kit_fini(&k);
	}
}

static void test_hash_is_sticky(void **state)
{
	static const struct lb_ops *const ops[] = { &lb_maglev, &lb_ring_hash };
	struct kit a, b;

	(void)state;
	for (int o = 0; o < 2; o++) {
		kit_init(&a, ops[o], NULL, 20, NULL);
		kit_init(&b, ops[o], NULL, 20, NULL);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(kit_pick_hash(&a, kit_mix(i)), kit_pick_hash(&b, kit_mix(i)));
		kit_fini(&a);
		kit_fini(&b);
	}
}

/* Out of all requests that were not the lost host's, so many change their host. */
static double moved(const struct lb_ops *ops, uint32_t n)
{
	struct kit a, b;
	double others = 0, changed = 0;

	kit_init(&a, ops, NULL, n, NULL);
	kit_without(&b, &a, n / 2);
	for (int i = 0; i < 100000; i++) {
		uint64_t was = a.hosts[kit_pick_hash(&a, kit_mix(i))].key;

		if (was == a.hosts[n / 2].key)
			continue;
		others++;
		changed += b.hosts[kit_pick_hash(&b, kit_mix(i))].key != was;
	}
	kit_fini(&a);
	kit_fini(&b);
	return changed / others;
}

static void test_disruption(void **state)
{
	(void)state;
	assert_true(moved(&lb_maglev, 100) < 0.02);
	assert_true(moved(&lb_maglev, 50) < 0.03);
	/* Shares of the others are rounded anew: a ring of 1024 points gains at most one point for each host. */
	assert_true(moved(&lb_ring_hash, 50) < 0.06);
}

/* A host that is not usable for a while: nobody else's requests move, its own go to many. */
static void test_unusable_moves_only_its_own(void **state)
{
	static const struct lb_ops *const ops[] = { &lb_maglev, &lb_ring_hash };
	uint32_t before[10000];
	struct kit k;

	(void)state;
	for (int o = 0; o < 2; o++) {
		uint32_t taken[10] = { 0 }, takers = 0;

		kit_init(&k, ops[o], NULL, 10, NULL);
		for (int i = 0; i < 10000; i++)
			before[i] = kit_pick_hash(&k, kit_mix(i));
		k.cell[3].usable = false;
		for (int i = 0; i < 10000; i++) {
			uint32_t now = kit_pick_hash(&k, kit_mix(i));

			if (before[i] != 3)
				assert_int_equal(now, before[i]);
			else
				taken[now]++;
		}
		for (int i = 0; i < 10; i++)
			takers += taken[i] > 20;
		assert_in_range(takers, 8, 9);
		kit_fini(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_least_request_idle_is_fair),
		cmocka_unit_test(test_peak_ewma),
		cmocka_unit_test(test_hash_shares),
		cmocka_unit_test(test_ring_is_sorted),
		cmocka_unit_test(test_hash_is_sticky),
		cmocka_unit_test(test_disruption),
		cmocka_unit_test(test_unusable_moves_only_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
