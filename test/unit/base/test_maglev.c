// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The file itself, so that its malloc can fail. */
static int malloc_fails;

static void *failing_malloc(size_t n)
{
	return malloc_fails ? NULL : malloc(n);
}

#define malloc failing_malloc
#include "base/maglev.c"
#undef malloc

#include "base/hash.h"
#include "base/rand.h"

#define SIZE_MAX_TABLE 65521

static uint32_t slot[SIZE_MAX_TABLE], other[SIZE_MAX_TABLE];
static uint32_t taken[1000];

static void members(struct maglev_member *m, size_t n, uint64_t seed)
{
	struct rand r;

	rand_seed(&r, seed);
	for (size_t i = 0; i < n; i++)
		m[i] = (struct maglev_member){ rand_u64(&r), 1 };
}

static void count(const uint32_t *s, uint32_t size, size_t n)
{
	memset(taken, 0, sizeof(taken));
	for (uint32_t i = 0; i < size; i++) {
		assert_true(s[i] < n);
		taken[s[i]]++;
	}
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(maglev_size(0), 251);
	assert_int_equal(maglev_size(2), 251);
	assert_int_equal(maglev_size(3), 509);
	assert_int_equal(maglev_size(10), 1021);
	assert_int_equal(maglev_size(11), 2039);
	assert_int_equal(maglev_size(100), 16381);
	assert_int_equal(maglev_size(655), 65521);
	assert_int_equal(maglev_size(656), 65521);
	assert_int_equal(maglev_size(1000000), 65521);
	for (size_t i = 0; i < NPRIMES; i++) {
		for (uint32_t d = 2; d * d <= primes[i]; d++)
			assert_true(primes[i] % d);
	}
}

static void test_errors(void **state)
{
	struct maglev_member m[2] = { { 1, 0 }, { 2, 0 } };

	(void)state;
	assert_int_equal(maglev_fill(slot, 251, m, 2), -EINVAL);
	assert_int_equal(maglev_fill(slot, 251, NULL, 0), -EINVAL);
	m[0].weight = 1;
	malloc_fails = 1;
	assert_int_equal(maglev_fill(slot, 251, m, 2), -ENOMEM);
	malloc_fails = 0;
	assert_int_equal(maglev_fill(slot, 251, m, 2), 0);
	count(slot, 251, 1);
}

/* Nodes of different builds must agree: the table of a known set never changes. */
static void test_known_answer(void **state)
{
	struct maglev_member m[10];
	uint64_t hash;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		m[i] = (struct maglev_member){ 1000 + i, 1 + i % 3 };
	assert_int_equal(maglev_fill(slot, 1021, m, 10), 0);
	hash = hash_bytes((struct slice){ (char *)slot, 1021 * sizeof(*slot) }, HASH_STABLE);
	assert_true(hash == 17928428458057484663u);
}

static void test_order_does_not_matter(void **state)
{
	struct maglev_member m[50], shuffled[50];
	size_t from[50];
	struct rand r;

	(void)state;
	rand_seed(&r, 5);
	members(m, 50, 5);
	for (size_t i = 0; i < 50; i++) {
		m[i].weight = rand_below(&r, 5);
		from[i] = i;
	}
	for (size_t i = 49; i > 0; i--) {
		size_t k = rand_below(&r, i + 1), x = from[i];

		from[i] = from[k];
		from[k] = x;
	}
	for (size_t i = 0; i < 50; i++)
		shuffled[i] = m[from[i]];
	assert_int_equal(maglev_fill(slot, 8191, m, 50), 0);
	assert_int_equal(maglev_fill(other, 8191, shuffled, 50), 0);
	for (uint32_t i = 0; i < 8191; i++)
		assert_int_equal(slot[i], from[other[i]]);
}

static void test_shares_follow_weights(void **state)
{
	struct maglev_member m[100];
	uint64_t sum = 0;
	struct rand r;

	(void)state;
	rand_seed(&r, 9);
	members(m, 100, 9);
	for (size_t i = 0; i < 100; i++) {
		m[i].weight = rand_below(&r, 10) ? 1 + rand_below(&r, 100) : 0;
		sum += m[i].weight;
	}
	assert_int_equal(maglev_fill(slot, 16381, m, 100), 0);
	count(slot, 16381, 100);
	for (size_t i = 0; i < 100; i++) {
		double exact = 16381.0 * m[i].weight / sum;

		assert_true(taken[i] > exact - 1 && taken[i] < exact + 1);
	}
}

static void test_extreme_weights(void **state)
{
	struct maglev_member m[3] = { { 1, UINT32_MAX }, { 2, 1 }, { 3, UINT32_MAX } };

	(void)state;
	assert_int_equal(maglev_fill(slot, 65521, m, 3), 0);
	count(slot, 65521, 3);
	assert_in_range(taken[0], 32760, 32761);
	assert_int_equal(taken[1], 0);
	for (size_t i = 0; i < 3; i++)
		m[i] = (struct maglev_member){ 7, 1 }; /* the same key thrice */
	assert_int_equal(maglev_fill(slot, 251, m, 3), 0);
	count(slot, 251, 3);
	assert_in_range(taken[0], 83, 84);
}

static void test_more_members_than_slots(void **state)
{
	struct maglev_member m[1000];

	(void)state;
	members(m, 1000, 2);
	assert_int_equal(maglev_fill(slot, 251, m, 1000), 0);
	count(slot, 251, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_true(taken[i] <= 1);
}

/* Slots that change when member k leaves, as a multiple of the slots it had. */
static double disruption(struct maglev_member *m, size_t n, uint32_t size, size_t k)
{
	uint32_t weight = m[k].weight, changed = 0;

	m[k].weight = 0;
	assert_int_equal(maglev_fill(other, size, m, n), 0);
	m[k].weight = weight;
	for (uint32_t i = 0; i < size; i++) {
		assert_true(other[i] != k);
		changed += slot[i] != other[i];
	}
	return (double)changed / taken[k];
}

static void test_departure_moves_few(void **state)
{
	struct maglev_member m[100];
	double sum = 0, worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		members(m, 100, seed);
		assert_int_equal(maglev_fill(slot, maglev_size(100), m, 100), 0);
		count(slot, maglev_size(100), 100);
		for (size_t k = 0; k < 100; k++) {
			double d = disruption(m, 100, maglev_size(100), k);

			sum += d;
			if (d > worst)
				worst = d;
		}
	}
	print_message("slots moved, of the ideal: %.2f on average, %.2f at worst\n", sum / 300,
		      worst);
	assert_true(sum / 300 < 1.8);
	assert_true(worst <= 2.0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_shares_follow_weights),
		cmocka_unit_test(test_extreme_weights),
		cmocka_unit_test(test_more_members_than_slots),
		cmocka_unit_test(test_departure_moves_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
