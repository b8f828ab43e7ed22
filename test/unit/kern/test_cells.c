/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include "kern/cells.h"

static void each_once(void **state)
{
	(void)state;
	struct cells c;
	bool dirty, seen[130] = { 0 };

	cells_init(&c, 130);
	for (int i = 0; i < 130; i++) {
		uint32_t s = cells_take(&c, &dirty);

		assert_true(s < 130 && !seen[s]);
		assert_false(dirty);
		seen[s] = true;
	}
	assert_int_equal(cells_take(&c, &dirty), CELLS_NONE);
	cells_give(&c, 77);
	assert_int_equal(cells_take(&c, &dirty), 77);
	assert_true(dirty);
	cells_fini(&c);
}

static void claimed_is_not_given(void **state)
{
	(void)state;
	struct cells c;
	bool dirty;

	cells_init(&c, 3);
	assert_true(cells_claim(&c, 1));
	assert_false(cells_claim(&c, 1));
	assert_false(cells_claim(&c, 3));
	cells_all_dirty(&c);
	assert_int_equal(cells_take(&c, &dirty), 0);
	assert_true(dirty);
	assert_int_equal(cells_take(&c, &dirty), 2);
	assert_int_equal(cells_take(&c, &dirty), CELLS_NONE);
	cells_fini(&c);
}

/* What was given back rests: others are given first. */
static void given_back_rests(void **state)
{
	(void)state;
	struct cells c;
	bool dirty;

	cells_init(&c, 256);
	for (int i = 0; i < 64; i++)
		cells_take(&c, &dirty);
	cells_give(&c, 3);
	for (int i = 64; i < 256; i++)
		assert_int_equal(cells_take(&c, &dirty), i);
	assert_int_equal(cells_take(&c, &dirty), 3);
	cells_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_once),
		cmocka_unit_test(claimed_is_not_given),
		cmocka_unit_test(given_back_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
