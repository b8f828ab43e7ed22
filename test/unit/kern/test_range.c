/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include <errno.h>
#include <string.h>
#include "base/rand.h"
#include "base/vec.h"
#include "kern/range.h"

#define ROWS 4096

/* Against a model of one byte per row: nothing overlaps, everything comes back, neighbours coalesce. */
static void random_takes_and_gives(void **state)
{
	(void)state;
	static unsigned char busy[ROWS];
	struct range r;
	struct rand rnd;
	VEC(struct range_used) held = { 0 };
	uint32_t used = 0;

	rand_seed(&rnd, 7);
	range_init(&r, ROWS);
	memset(busy, 0, sizeof(busy));
	for (int i = 0; i < 200000; i++) {
		uint32_t n = rand_below(&rnd, 4) ? 1 + rand_below(&rnd, 8) : 1 + rand_below(&rnd, 300);

		if (rand_below(&rnd, 2)) {
			uint32_t row = range_take(&r, n, 0);

			if (row == RANGE_NONE)
				continue;
			for (uint32_t j = 0; j < n; j++)
				assert_int_equal(busy[row + j]++, 0);
			vec_push(&held, (struct range_used){ row, n });
			used += n;
		} else if (held.n) {
			size_t k = rand_below(&rnd, (uint32_t)held.n);

			range_give(&r, held.v[k].row, held.v[k].n);
			memset(busy + held.v[k].row, 0, held.v[k].n);
			used -= held.v[k].n;
			vec_remove_swap(&held, k);
		}
		assert_int_equal(r.used, used);
	}
	while (held.n) {
		held.n--;
		range_give(&r, held.v[held.n].row, held.v[held.n].n);
	}
	assert_int_equal(r.frags, 1);
	assert_int_equal(range_take(&r, ROWS, 0), 0);
	vec_fini(&held);
	range_fini(&r);
}

/* One run that is long enough is found, whatever its length: none is passed over for its class. */
static void last_fit_is_found(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 700; n++) {
		struct range r;

		range_init(&r, n);
		assert_int_equal(range_take(&r, n + 1, 0), RANGE_NONE);
		assert_int_equal(range_take(&r, n, 0), 0);
		assert_int_equal(range_take(&r, 1, 0), RANGE_NONE);
		range_fini(&r);
	}
}

static void load_takes_what_is_used(void **state)
{
	(void)state;
	struct range_used u[] = { { 10, 5 }, { 0, 1 }, { 90, 10 } }, bad[] = { { 5, 6 }, { 10, 1 } };
	struct range r;

	range_init(&r, 100);
	assert_int_equal(range_load(&r, u, 3), 0);
	assert_int_equal(r.used, 16);
	assert_int_equal(r.frags, 2);
	assert_int_equal(range_take(&r, 75, 0), 15);
	range_give(&r, 10, 5);
	assert_int_equal(range_take(&r, 14, 1), RANGE_NONE);
	assert_int_equal(range_take(&r, 14, 0), 1);
	assert_int_equal(range_load(&r, bad, 2), -EINVAL);
	assert_int_equal(range_take(&r, 100, 0), 0);
	bad[0] = (struct range_used){ 99, 2 };
	assert_int_equal(range_load(&r, bad, 1), -EINVAL);
	range_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_takes_and_gives),
		cmocka_unit_test(last_fit_is_found),
		cmocka_unit_test(load_takes_what_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
