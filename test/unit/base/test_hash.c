// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include "base/hash.h"
#include "weft/str.h"

static void test_seed_is_one_per_process(void **state)
{
	(void)state;
	assert_true(hash_seed() != 0);
	assert_true(hash_seed() == hash_seed());
}

static void *seed_of_thread(void *arg)
{
	*(uint64_t *)arg = hash_seed();
	return NULL;
}

static void test_threads_agree_on_the_seed(void **state)
{
	uint64_t seen[4];
	pthread_t id[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&id[i], NULL, seed_of_thread, &seen[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(id[i], NULL);
		assert_true(seen[i] == hash_seed());
	}
}

/* XXH3 of "weft" with these seeds, in every build and on every machine. */
static void test_known_answers(void **state)
{
	(void)state;
	assert_true(hash_bytes(SLICE_LIT("weft"), 0) == 1571846661585518722u);
	assert_true(hash_bytes(SLICE_LIT("weft"), HASH_STABLE) == 10149145600170464183u);
	assert_true(hash_bytes((struct slice){ NULL, 0 }, 0) == hash_bytes(SLICE_LIT(""), 0));
	assert_true(hash_bytes(SLICE_LIT("a"), 1) != hash_bytes(SLICE_LIT("a"), 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_agree_on_the_seed),
		cmocka_unit_test(test_seed_is_one_per_process),
		cmocka_unit_test(test_known_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
