/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include "base/rand.h"
#include "kern/backs.h"

#define IDS 2000u

/* Four services share each address: keys that differ in one part only. */
static struct addr16 addr_of(uint32_t id)
{
	return (struct addr16){ .b = { [10] = 0xff, [11] = 0xff, 10, 0, id / 64, id / 4 % 16 } };
}

static struct back *add(struct backs *s, uint32_t id)
{
	struct addr16 a = addr_of(id);

	return backs_add(s, &a, htons(80), id % 4 + 1, id);
}

static struct back *by_key(const struct backs *s, uint32_t id)
{
	struct addr16 a = addr_of(id);

	return backs_by_key(s, &a, htons(80), id % 4 + 1);
}

/* As a plain array has it, which ids are there and where. */
static void check(const struct backs *s, struct back *const *here)
{
	uint32_t n = 0, walked = 0;

	for (uint32_t id = 1; id < IDS; id++) {
		assert_ptr_equal(backs_by_id(s, id), here[id]);
		assert_ptr_equal(by_key(s, id), here[id]);
		n += here[id] != NULL;
	}
	for (struct back *b = backs_next(s, NULL); b; b = backs_next(s, b)) {
		assert_ptr_equal(b, here[b->id]);
		walked++;
	}
	assert_int_equal(n, s->n);
	assert_int_equal(walked, n);
}

/* id / 4 % 16 and id / 64 and id % 4 together are the id, so every key is another one. */
static void found_as_they_come_and_go(void **state)
{
	static struct back *here[IDS];
	struct backs s = { 0 };
	struct rand r;

	(void)state;
	rand_seed(&r, 7);
	check(&s, here);
	for (unsigned i = 0; i < 40000; i++) {
		uint32_t id = 1 + rand_below(&r, IDS - 1);
		/* It fills up, then it empties, and again. */
		bool fill = rand_below(&r, 10) < (i / 5000 % 2 ? 1u : 9u);

		if (fill && !here[id]) {
			here[id] = add(&s, id);
		} else if (!fill && here[id]) {
			backs_del(&s, here[id]);
			here[id] = NULL;
		}
		if (i % 500 == 0)
			check(&s, here);
	}
	check(&s, here);
	backs_fini(&s);
}

static void parts_of_a_key_count(void **state)
{
	struct addr16 a = addr_of(5), b = addr_of(5);
	struct backs s = { 0 };

	(void)state;
	b.b[0] = 1;
	backs_add(&s, &a, htons(80), 1, 9);
	assert_int_equal(backs_by_key(&s, &a, htons(80), 1)->id, 9);
	assert_null(backs_by_key(&s, &a, htons(80), 2));
	assert_null(backs_by_key(&s, &a, htons(81), 1));
	assert_null(backs_by_key(&s, &b, htons(80), 1));
	backs_fini(&s);
}

static void places_are_used_again(void **state)
{
	struct backs s = { 0 };
	uint32_t used;

	(void)state;
	for (uint32_t id = 1; id <= 300; id++)
		add(&s, id);
	used = s.used;
	for (uint32_t id = 1; id <= 300; id += 2)
		backs_del(&s, backs_by_id(&s, id));
	for (uint32_t id = 301; id < 451; id++)
		add(&s, id);
	assert_int_equal(s.used, used);
	assert_int_equal(s.n, 300);
	backs_fini(&s);
}

static void what_the_map_says(void **state)
{
	struct backs s = { 0 };
	struct back *b = add(&s, 3);

	(void)state;
	b->slot = 17;
	b->weight = 5;
	assert_true(back_differs(b));
	b->written = true;
	b->written_weight = 5;
	assert_false(back_differs(b));
	b->state = BACKEND_DRAINING;
	assert_true(back_differs(b));
	b->weight = 6;
	assert_int_equal(back_wanted(b).state, BACKEND_DRAINING);
	assert_int_equal(back_wanted(b).weight, 6);
	assert_int_equal(back_written(b).state, BACKEND_ACTIVE);
	assert_int_equal(back_written(b).weight, 5);
	assert_int_equal(back_written(b).slot, 17);
	assert_int_equal(back_written(b).port, htons(80));
	assert_int_equal(back_written(b).service, 4);
	backs_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_as_they_come_and_go),
		cmocka_unit_test(parts_of_a_key_count),
		cmocka_unit_test(places_are_used_again),
		cmocka_unit_test(what_the_map_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
