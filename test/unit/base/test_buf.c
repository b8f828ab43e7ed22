// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The pool itself, so that its malloc can fail and be counted. */
static int malloc_left = -1;                    /* calls that still succeed; -1: all */
static size_t mallocs;

static void *failing_malloc(size_t n)
{
	if (!malloc_left)
		return NULL;
	if (malloc_left > 0)
		malloc_left--;
	mallocs++;
	return malloc(n);
}

#define malloc failing_malloc
#include "base/buf_pool.c"
#undef malloc

#include <errno.h>
#include "base/rand.h"
#include "weft/buf.h"
#include "weft/str.h"

static void test_empty_holds_nothing(void **state)
{
	struct buf b;
	size_t n;

	(void)state;
	buf_init(&b);
	assert_null(b.head);
	assert_non_null(buf_room(&b, 1, &n));
	assert_true(n >= 1 && n <= 4096);
	buf_commit(&b, 0);
	assert_null(b.head);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_non_null(b.head);
	buf_drop(&b, 3);
	assert_null(b.head);
	assert_null(b.tail);
	assert_int_equal(buf_head(&b).n, 0);
	buf_drop(&b, 0);
	buf_commit(&b, 0);
	buf_fini(&b);
}

static void test_room_of_every_size(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (size_t want = 0; want <= 16384; want += 128) {
		size_t n, len = b.len;
		char *p = buf_room(&b, want, &n);

		assert_non_null(p);
		assert_true(n >= want && n > 0);
		memset(p, 'x', n);
		buf_commit(&b, want / 2);
		assert_int_equal(b.len, len + want / 2);
	}
	while (b.len) {
		struct slice s = buf_head(&b);

		assert_true(s.n > 0);
		for (size_t i = 0; i < s.n; i++)
			assert_int_equal(s.p[i], 'x');
		buf_drop(&b, s.n);
	}
	assert_null(b.head);
}

static void test_larger_room_replaces_an_unused_chunk(void **state)
{
	struct buf b = { 0 };
	size_t n;

	(void)state;
	assert_non_null(buf_room(&b, 10, &n));
	assert_non_null(buf_room(&b, 16384, &n));
	assert_ptr_equal(b.head, b.tail);
	buf_commit(&b, 1);
	assert_int_equal(buf_head(&b).n, 1);
	buf_fini(&b);
}

static void test_printf(void **state)
{
	struct buf b = { 0 };
	struct slice s;

	(void)state;
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(b.len, 0);
	assert_null(b.head);
	assert_int_equal(buf_printf(&b, "a%d", 1), 0);
	assert_int_equal(buf_printf(&b, "%05000d", 2), 0);
	assert_int_equal(buf_printf(&b, "%016383d", 3), 0);
	assert_int_equal(buf_printf(&b, "%016384d", 4), 0);
	assert_int_equal(buf_printf(&b, "%070000d", 5), 0);
	assert_int_equal(b.len, 2 + 5000 + 16383 + 16384 + 70000);
	s = buf_pull(&b, b.len);
	assert_memory_equal(s.p, "a100", 4);
	assert_int_equal(s.p[5001], '2');
	assert_int_equal(s.p[5001 + 16383], '3');
	assert_int_equal(s.p[5001 + 16383 + 16384], '4');
	assert_int_equal(s.p[s.n - 1], '5');
	buf_fini(&b);
}

static void test_move_does_not_copy(void **state)
{
	struct buf a = { 0 }, b = { 0 };
	const char *place;
	size_t n;

	(void)state;
	buf_move(&a, &b);
	assert_non_null(buf_room(&a, 1, &n));
	assert_int_equal(buf_add(&b, "world", 5), 0);
	place = buf_head(&b).p;
	buf_move(&a, &b);
	assert_ptr_equal(buf_head(&a).p, place);
	assert_null(b.head);
	assert_int_equal(b.len, 0);
	buf_move(&a, &a);
	assert_int_equal(buf_add(&b, "hello ", 6), 0);
	buf_move(&b, &a);
	assert_true(slice_eq_str(buf_pull(&b, 11), "hello world"));
	buf_fini(&b);
	buf_fini(&a);
}

static void test_pull_limits(void **state)
{
	struct buf b = { 0 };
	struct slice s = buf_pull(&b, 0);

	(void)state;
	assert_true(s.p && !s.n);
	assert_null(buf_pull(&b, 1).p);
	buf_add(&b, "abc", 3);
	assert_null(buf_pull(&b, 4).p);
	assert_int_equal(buf_pull(&b, 2).n, 2);
	assert_int_equal(b.len, 3);
	buf_fini(&b);
}

/* A pull that empties the last chunk leaves the new first one to be written on. */
static void test_add_after_pulling_all(void **state)
{
	struct buf b = { 0 };
	struct slice s;

	(void)state;
	for (size_t n = 4000; n < 60000; n += 7000) {
		buf_printf(&b, "%0*d", (int)n, 1);
		buf_add(&b, "middle", 6);
		assert_non_null(buf_pull(&b, b.len).p);
		assert_int_equal(buf_add(&b, "end", 3), 0);
		buf_drop(&b, n);
		s = buf_pull(&b, 9);
		assert_true(slice_eq_str(s, "middleend"));
		buf_drop(&b, 9);
		assert_null(b.head);
	}
}

static size_t free_at_tail(const struct buf *b)
{
	return b->tail->cap - b->tail->w;
}

static void test_no_memory_changes_nothing(void **state)
{
	struct buf b = { 0 };
	static char big[100000];
	size_t n, len;

	(void)state;
	pool_empty(&pool);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	len = free_at_tail(&b);
	malloc_left = 2;
	assert_int_equal(buf_add(&b, big, sizeof(big)), -ENOMEM);
	malloc_left = 0;
	assert_int_equal(b.len, 3);
	assert_int_equal(free_at_tail(&b), len);
	assert_true(slice_eq_str(buf_head(&b), "abc"));
	pool_empty(&pool);
	assert_null(buf_room(&b, 16384, &n));
	assert_int_equal(buf_printf(&b, "%010000d", 1), -ENOMEM);
	assert_int_equal(b.len, 3);
	malloc_left = -1;
	assert_int_equal(buf_add(&b, big, 20000), 0);
	pool_empty(&pool);
	malloc_left = 0;
	assert_null(buf_pull(&b, 20003).p);
	assert_int_equal(b.len, 20003);
	malloc_left = -1;
	assert_non_null(buf_pull(&b, 20003).p);
	buf_fini(&b);
}

static void test_pool_is_used_and_bounded(void **state)
{
	struct buf b = { 0 };
	static char big[2 * BUF_POOL_LARGE * 16384];
	size_t before;

	(void)state;
	assert_int_equal(buf_add(&b, big, sizeof(big)), 0);
	buf_fini(&b);
	assert_int_equal(pool.n[LARGE], BUF_POOL_LARGE);
	before = mallocs;
	assert_int_equal(buf_add(&b, big, sizeof(big) / 4), 0);
	assert_int_equal(mallocs, before);
	buf_fini(&b);
}

static void *use_pool(void *arg)
{
	struct buf *b = arg;

	buf_fini(b);
	buf_add(b, "x", 1);
	return NULL;
}

/*
 * A buf may be handed over; the pool of a thread ends with it (a leak here is AddressSanitizer's to
 * see).
 */
static void test_threads_have_pools(void **state)
{
	struct buf b = { 0 };
	pthread_t id;

	(void)state;
	for (int i = 0; i < 4; i++) {
		buf_printf(&b, "%050000d", 1);
		assert_int_equal(pthread_create(&id, NULL, use_pool, &b), 0);
		assert_int_equal(pthread_join(id, NULL), 0);
		assert_int_equal(b.len, 1);
	}
	buf_fini(&b);
}

#define MODEL_MAX (1 << 20)

struct model {
	struct buf b;
	unsigned char *bytes;
	size_t r, w;
};

static unsigned char next_byte;

static void model_add(struct model *m, struct rand *r)
{
	size_t n = rand_below(r, rand_below(r, 4) ? 300 : 40000), room;
	unsigned char *p;

	if (m->w + n > MODEL_MAX)
		return;
	for (size_t i = 0; i < n; i++)
		m->bytes[m->w + i] = next_byte++;
	if (n <= 16384 && rand_below(r, 2)) {
		p = buf_room(&m->b, n, &room);
		memcpy(p, m->bytes + m->w, n);
		memset(p + n, 0xee, room - n);
		buf_commit(&m->b, n);
	} else {
		assert_int_equal(buf_add(&m->b, m->bytes + m->w, n), 0);
	}
	m->w += n;
}

static void model_take(struct model *m, struct rand *r)
{
	size_t n = rand_below(r, (m->b.len < 50000 ? m->b.len : 50000) + 1);
	struct slice s = rand_below(r, 2) ? buf_pull(&m->b, n) : buf_head(&m->b);

	assert_true(s.n > 0 || !n || !m->b.len);
	if (s.n)
		assert_memory_equal(s.p, m->bytes + m->r, s.n);
	if (rand_below(r, 3)) {
		buf_drop(&m->b, n);
		m->r += n;
	}
}

static void model_move(struct model *to, struct model *from)
{
	size_t n = from->w - from->r;

	if (to->w + n > MODEL_MAX)
		return;
	memcpy(to->bytes + to->w, from->bytes + from->r, n);
	to->w += n;
	from->r = from->w;
	buf_move(&to->b, &from->b);
}

static void model_take_some(struct model *to, struct model *from, struct rand *r)
{
	size_t n = rand_below(r, (uint32_t)(from->w - from->r) + 1);

	if (to->w + n > MODEL_MAX)
		return;
	memcpy(to->bytes + to->w, from->bytes + from->r, n);
	to->w += n;
	from->r += n;
	assert_int_equal(buf_take(&to->b, &from->b, n), 0);
}

/* All pieces in order, and no empty one. */
static void model_check_iov(struct model *m)
{
	struct iovec v[64];
	unsigned n = buf_iov(&m->b, v, 64);
	size_t at = m->r;

	for (unsigned i = 0; i < n; i++) {
		assert_true(v[i].iov_len > 0);
		assert_memory_equal(v[i].iov_base, m->bytes + at, v[i].iov_len);
		at += v[i].iov_len;
	}
	assert_true(n == 64 || at == m->w);
	assert_int_equal(buf_iov(&m->b, v, 1), n > 1 ? 1 : n);
}

static void model_check(struct model *m)
{
	model_check_iov(m);
	assert_int_equal(m->b.len, m->w - m->r);
	if (m->b.len)
		assert_true(buf_head(&m->b).n > 0);
	if (m->r == m->w)
		m->r = m->w = 0;
}

static void test_against_model(void **state)
{
	struct model m[2] = { 0 };
	struct rand r;

	(void)state;
	rand_seed(&r, 7);
	for (int i = 0; i < 2; i++)
		m[i].bytes = malloc(MODEL_MAX);
	for (int step = 0; step < 20000; step++) {
		struct model *x = &m[rand_below(&r, 2)];
		uint32_t op = rand_below(&r, 20);

		if (op < 9)
			model_add(x, &r);
		else if (op < 18)
			model_take(x, &r);
		else if (op < 19)
			model_take_some(x, x == m ? m + 1 : m, &r);
		else
			model_move(x, x == m ? m + 1 : m);
		model_check(&m[0]);
		model_check(&m[1]);
	}
	for (int i = 0; i < 2; i++) {
		buf_fini(&m[i].b);
		free(m[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_holds_nothing),
		cmocka_unit_test(test_room_of_every_size),
		cmocka_unit_test(test_larger_room_replaces_an_unused_chunk),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_move_does_not_copy),
		cmocka_unit_test(test_pull_limits),
		cmocka_unit_test(test_add_after_pulling_all),
		cmocka_unit_test(test_no_memory_changes_nothing),
		cmocka_unit_test(test_pool_is_used_and_bounded),
		cmocka_unit_test(test_threads_have_pools),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
