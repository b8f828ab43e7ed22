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
static int malloc_left = -1;                    /* calls that still succeed; -1: all */

static void *failing_malloc(size_t n)
{
	if (!malloc_left)
		return NULL;
	if (malloc_left > 0)
		malloc_left--;
	return malloc(n);
}

#define malloc failing_malloc
#include "base/arena.c"
#undef malloc

#include "base/rand.h"
#include "weft/str.h"

static void test_aligned_zeroed_apart(void **state)
{
	struct arena a;
	struct rand r;
	char *last = NULL;

	(void)state;
	rand_seed(&r, 1);
	arena_init(&a);
	for (int i = 0; i < 2000; i++) {
		size_t n = rand_below(&r, 300);
		char *p = arena_alloc(&a, n);

		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xa5, n);
		assert_ptr_not_equal(p, last);
		last = p;
	}
	assert_true(a.used <= a.held);
	arena_fini(&a);
	assert_int_equal(a.held, 0);
	assert_null(a.head);
}

static void test_zero_sizes_are_places(void **state)
{
	struct arena a = { 0 };
	void *p = arena_alloc(&a, 0);

	(void)state;
	assert_non_null(p);
	assert_ptr_not_equal(p, arena_alloc(&a, 0));
	arena_fini(&a);
	arena_fini(&a);
}

static void test_chunks_double_to_64k(void **state)
{
	struct arena a = { 0 };
	size_t held = 0, largest = 0;
	int chunks = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		arena_alloc(&a, 64);
		if (a.held == held)
			continue;
		if (chunks < 7)
			assert_int_equal(a.held - held, 1024 << chunks);
		if (a.held - held > largest)
			largest = a.held - held;
		chunks++;
		held = a.held;
	}
	assert_int_equal(largest, 65536);
	assert_true(a.held < 640000 + 2 * 65536 + 10000);
	arena_fini(&a);
}

static void test_oversized_leaves_head_in_use(void **state)
{
	struct arena a = { 0 };
	struct arena_chunk *head;
	char *big;

	(void)state;
	arena_alloc(&a, 16);
	head = a.head;
	big = arena_alloc(&a, 1000000);
	memset(big, 1, 1000000);
	assert_ptr_equal(a.head, head);
	arena_alloc(&a, 16);
	assert_true(a.held < 1000000 + 2048);
	arena_fini(&a);
}

static void test_reset_keeps_one_ordinary_chunk(void **state)
{
	struct arena a = { 0 };
	size_t held;
	char *p;

	(void)state;
	arena_reset(&a);
	arena_alloc(&a, 500000);
	arena_reset(&a);
	assert_int_equal(a.held, 0);
	for (int i = 0; i < 3000; i++)
		memset(arena_alloc(&a, 100), 0xff, 100);
	arena_alloc(&a, 500000);
	arena_reset(&a);
	held = a.held;
	assert_int_equal(a.used, 0);
	assert_true(held && held <= 65536);
	p = arena_alloc(&a, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(a.held, held);
	arena_fini(&a);
}

static void test_copies(void **state)
{
	struct arena a = { 0 };
	struct slice s = arena_slice(&a, SLICE_LIT("bytes"));
	char *big;

	(void)state;
	assert_string_equal(arena_dup(&a, "abcdef", 3), "abc");
	assert_string_equal(arena_dup(&a, NULL, 0), "");
	assert_string_equal(arena_str(&a, "whole"), "whole");
	assert_true(slice_eq_str(s, "bytes"));
	assert_int_equal(s.p[s.n], 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 42), "x-42");
	assert_string_equal(arena_printf(&a, "%s", ""), "");
	big = arena_printf(&a, "%0100000d", 7);
	assert_int_equal(strlen(big), 100000);
	assert_int_equal(big[99999], '7');
	arena_fini(&a);
}

static void test_typed(void **state)
{
	struct arena a = { 0 };
	struct slice *one = ARENA_NEW(&a, struct slice), *many = ARENA_NEWN(&a, struct slice, 10);

	(void)state;
	assert_null(one->p);
	assert_null(many[9].p);
	arena_fini(&a);
}

static void test_try_alloc_fails_whole(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_non_null(arena_try_alloc(&a, 10));
	malloc_left = 0;
	assert_non_null(arena_try_alloc(&a, 10));
	assert_null(arena_try_alloc(&a, 100000));
	assert_null(arena_try_alloc(&a, 2000));
	malloc_left = -1;
	assert_null(arena_try_alloc(&a, SIZE_MAX));
	assert_null(arena_try_alloc(&a, SIZE_MAX - 15));
	assert_non_null(arena_try_alloc(&a, 2000));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aligned_zeroed_apart),
		cmocka_unit_test(test_zero_sizes_are_places),
		cmocka_unit_test(test_chunks_double_to_64k),
		cmocka_unit_test(test_oversized_leaves_head_in_use),
		cmocka_unit_test(test_reset_keeps_one_ordinary_chunk),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_try_alloc_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
