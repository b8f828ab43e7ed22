// SPDX-License-Identifier: Apache-2.0
/* The algorithms: distribution by chi-square with fixed numbers, and what is done about backends that are gone. */
#include "stub.h"
#include "lib/pick.h"
#include "model.h"

#define DRAWS 100000
#define CHI_9 27.88                                 /* 9 degrees of freedom: exceeded by chance once in 1,000 */
#define CHI_3 16.27
#define CHI_99 148.2

static int fresh(void **state)
{
	model_reset();
	return 0;
}

static struct ask ask_of(uint64_t client)
{
	return (struct ask){ .addr = ip("10.96.0.1"), .port = htons(80), .proto = IPPROTO_TCP, .client = client,
			     .rnd = chance(), .now_ns = stub_now_ns };
}

static struct pick pick_for(struct service svc, uint64_t client)
{
	struct ask ask = ask_of(client);
	struct pick p = {};

	pick_backend(&ask, 1, &svc, &p);
	return p;
}

/* Counts of DRAWS picks of ids from 1 on, by DRAWS clients. */
static void draw(struct service svc, uint32_t *got, uint32_t n)
{
	memset(got, 0, n * sizeof(*got));
	for (uint32_t i = 0; i < DRAWS; i++) {
		struct pick p = pick_for(svc, 4026531840 + i);

		assert_in_range(p.id, 1, n);
		got[p.id - 1]++;
	}
}

static void random_and_maglev_and_least_open_are_uniform(void **state)
{
	const uint8_t algos[] = { LB_RANDOM, LB_MAGLEV, LB_LEAST_OPEN };
	uint32_t got[100], even[100];

	for (int i = 0; i < 100; i++)
		even[i] = 1;
	for (int i = 0; i < 3; i++) {
		draw(put_plain(1, SVC(.algo = algos[i]), 1, 10), got, 10);
		assert_true(chi_square(got, even, 10, DRAWS) < CHI_9);
		draw(put_plain(1, SVC(.algo = algos[i]), 1, 100), got, 100);
		assert_true(chi_square(got, even, 100, DRAWS) < CHI_99);
	}
}

static void weights_are_repeats(void **state)
{
	const uint32_t ids[] = { 1, 2, 3, 3, 4, 4, 4, 4 }, weight[] = { 1, 1, 2, 4 };
	uint32_t got[4];

	for (uint32_t id = 1; id <= 4; id++)
		put_backend(id, (struct backend){ .slot = id, .weight = weight[id - 1] });
	draw(put_service(1, SVC(.algo = LB_RANDOM), ids, 8), got, 4);
	assert_true(chi_square(got, weight, 4, DRAWS) < CHI_3);
	draw(put_service(1, SVC(.algo = LB_MAGLEV), ids, 8), got, 4);
	assert_true(chi_square(got, weight, 4, DRAWS) < CHI_3);
}

static void round_robin_is_exact(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_ROUND_ROBIN), 1, 7);
	uint32_t got[7], slot = svc.slot, *turn = bpf_map_lookup_elem(&rr_map, &slot);

	draw(svc, got, 7);
	for (int i = 0; i < 7; i++)
		assert_in_range(got[i], DRAWS / 7, DRAWS / 7 + 1);
	assert_int_equal(*turn, DRAWS);
}

static void maglev_depends_on_client_and_service_alone(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_MAGLEV), 1, 50);
	unsigned int differ = 0;

	for (uint64_t client = 1; client < 1000; client++) {
		struct ask ask = ask_of(client);
		struct pick p = {}, q = {};

		pick_backend(&ask, 1, &svc, &p);
		ask.rnd = chance();
		pick_backend(&ask, 1, &svc, &q);
		assert_int_equal(p.id, q.id);
		memset(&q, 0, sizeof(q));
		pick_backend(&ask, 2, &svc, &q);
		differ += p.id != q.id;
	}
	assert_in_range(differ, 950, 999);
}

/* One of n goes: its clients spread over the others, and nobody else moves. */
static void maglev_moves_only_the_clients_of_what_is_gone(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_MAGLEV), 1, 10);
	uint32_t before[2000], moved_to[10] = {};

	for (uint32_t c = 0; c < 2000; c++)
		before[c] = pick_for(svc, c).id;
	del_backend(3);
	for (uint32_t c = 0; c < 2000; c++) {
		uint32_t now = pick_for(svc, c).id;

		if (before[c] != 3)
			assert_int_equal(now, before[c]);
		else
			moved_to[now - 1]++;
	}
	assert_int_equal(moved_to[2], 0);
	for (int i = 0; i < 10; i++)
		assert_true(i == 2 || moved_to[i] > 5);
}

static void the_only_one_left_is_found_in_any_small_table(void **state)
{
	for (uint32_t n = 1; n <= 1 + PICK_LINEAR; n++)
		for (uint32_t algo = 0; algo < LB_ALGO_MAX; algo++)
			for (uint32_t left = 0; left < n; left++) {
				struct service svc;

				model_reset();
				svc = put_plain(1, SVC(.algo = algo), 1, n);
				for (uint32_t i = 0; i < n; i++)
					if (i != left)
						del_backend(1 + i);
				assert_int_equal(pick_for(svc, left).id, 1 + left);
			}
}

/* Half of a large table gone: a pick that fails is one in two million. */
static void half_a_table_gone_is_no_failure(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_RANDOM), 1, 1000);

	for (uint32_t id = 2; id <= 1000; id += 2)
		del_backend(id);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(pick_for(svc, i).id % 2, 1);
}

static void what_may_not_be_used_never_is(void **state)
{
	const uint32_t ids[] = { 1, 2, 3, 0, 99 };
	struct service svc = put_service(1, SVC(.algo = LB_RANDOM), ids, 5);
	struct pick p;

	put_backend(1, (struct backend){ .slot = 1 });
	put_backend(2, (struct backend){ .slot = 2, .state = BACKEND_DRAINING });
	put_backend(3, (struct backend){ .slot = 3, .addr = ip("fd00::3") });
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pick_for(svc, i).id, 1);
	del_backend(1);
	p = pick_for(svc, 1);
	assert_int_equal(p.id, 0);
	assert_int_equal(p.tries, PICK_TRIES);
	assert_false(p.bad_table);
}

static void open_set(uint32_t slot, int32_t n)
{
	bpf_map_update_elem(&open_map, &slot, &n, 0);
}

static void least_open_prefers_who_has_fewer(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_LEAST_OPEN), 1, 2);
	uint32_t got[2];

	open_set(1, 100);
	open_set(2, 99);
	draw(svc, got, 2);
	assert_int_equal(got[0], 0);                /* two slots: both are always compared */
	open_set(2, -5);                            /* never counts as more than idle */
	open_set(1, 0);
	draw(svc, got, 2);
	assert_in_range(got[0], DRAWS * 49 / 100, DRAWS * 51 / 100);
}

static void least_open_weighs_by_weight(void **state)
{
	struct service svc;
	uint32_t got[2];

	put_backend(1, (struct backend){ .slot = 1, .weight = 3 });
	put_backend(2, (struct backend){ .slot = 2, .weight = 1 });
	svc = put_service(1, SVC(.algo = LB_LEAST_OPEN), (uint32_t[]){ 1, 2 }, 2);
	open_set(1, 28);                            /* 29/3 beside 11/1 */
	open_set(2, 10);
	draw(svc, got, 2);
	assert_int_equal(got[1], 0);
	open_set(1, 33);                            /* 34/3 beside 11/1 */
	draw(svc, got, 2);
	assert_int_equal(got[0], 0);
}

/* Connections of random length: the load stays level, which chance alone would not do. */
static void least_open_levels_a_changing_load(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_LEAST_OPEN), 1, 10);
	uint32_t on[1000], open[11] = {}, least = ~0u, most = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t which = i < 1000 ? i : chance() % 1000;

		if (i >= 1000)
			open_set(on[which], --open[on[which]]);
		on[which] = pick_for(svc, i).id;
		open_set(on[which], ++open[on[which]]);
	}
	for (int id = 1; id <= 10; id++) {
		least = open[id] < least ? open[id] : least;
		most = open[id] > most ? open[id] : most;
	}
	assert_in_range(most - least, 0, 8);        /* by chance alone: about 30 */
}

static void explaining_takes_no_turn(void **state)
{
	struct service svc = put_plain(1, SVC(.algo = LB_ROUND_ROBIN), 1, 5);
	struct ask ask = ask_of(1);
	struct pick p = {}, q = {};

	ask.dry = 1;
	pick_backend(&ask, 1, &svc, &p);
	pick_backend(&ask, 1, &svc, &q);
	assert_int_equal(p.id, q.id);
	assert_int_equal(pick_for(svc, 1).id, p.id);
	assert_int_not_equal(pick_for(svc, 1).id, p.id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(random_and_maglev_and_least_open_are_uniform, fresh),
		cmocka_unit_test_setup(weights_are_repeats, fresh),
		cmocka_unit_test_setup(round_robin_is_exact, fresh),
		cmocka_unit_test_setup(maglev_depends_on_client_and_service_alone, fresh),
		cmocka_unit_test_setup(maglev_moves_only_the_clients_of_what_is_gone, fresh),
		cmocka_unit_test_setup(the_only_one_left_is_found_in_any_small_table, fresh),
		cmocka_unit_test_setup(half_a_table_gone_is_no_failure, fresh),
		cmocka_unit_test_setup(what_may_not_be_used_never_is, fresh),
		cmocka_unit_test_setup(least_open_prefers_who_has_fewer, fresh),
		cmocka_unit_test_setup(least_open_weighs_by_weight, fresh),
		cmocka_unit_test_setup(least_open_levels_a_changing_load, fresh),
		cmocka_unit_test_setup(explaining_takes_no_turn, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/pick", tests, NULL, NULL);
}
