// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "base/arena.h"
#include "weft/msg.h"
#include "weft/str.h"

#define S(text) SLICE_LIT(text)

struct fixture {
	struct arena arena;
	struct msg m;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	arena_init(&f.arena);
	f.m.arena = &f.arena;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&((struct fixture *)*state)->arena);
	return 0;
}

static void three(struct msg *m)
{
	assert_int_equal(msg_push(m, S("Accept"), S("a")), 0);
	assert_int_equal(msg_push(m, S("X-Y"), S("1")), 0);
	assert_int_equal(msg_push(m, S("accept"), S("b")), 0);
	assert_int_equal(m->flags & MSG_CHANGED, 0);
}

/* "Name=value " for each, in order. */
static const char *all(const struct msg *m)
{
	static char text[512];
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < m->nheaders; i++)
		n += snprintf(text + n, sizeof(text) - n, "%.*s=%.*s ", SLICE_ARG(m->headers[i].name),
			      SLICE_ARG(m->headers[i].value));
	return text;
}

static void test_find(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	const struct msg_header *h;

	assert_null(msg_find(m, S("accept")));
	three(m);
	h = msg_find(m, S("ACCEPT"));
	assert_ptr_equal(h, &m->headers[0]);
	h = msg_find_next(m, h);
	assert_ptr_equal(h, &m->headers[2]);
	assert_null(msg_find_next(m, h));
	assert_null(msg_find(m, S("accep")));
	assert_null(msg_find(m, S("")));
	/* '@' and '`' differ by the bit that tells cases apart, as '[' and '{' do. */
	assert_int_equal(msg_push(m, S("`x"), S("")), 0);
	assert_null(msg_find(m, S("@x")));
	assert_non_null(msg_find(m, S("`X")));
}

static void test_exact_names(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	m->flags = MSG_EXACT_NAMES;
	three(m);
	assert_ptr_equal(msg_find(m, S("accept")), &m->headers[2]);
	assert_null(msg_find(m, S("ACCEPT")));
	assert_int_equal(msg_del(m, S("accept")), 1);
	assert_string_equal(all(m), "Accept=a X-Y=1 ");
}

static void test_get_tells_absent_from_empty(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	assert_null(msg_get(m, S("a")).p);
	assert_int_equal(msg_push(m, S("a"), (struct slice){ NULL, 0 }), 0);
	assert_non_null(msg_get(m, S("A")).p);
	assert_int_equal(msg_get(m, S("A")).n, 0);
}

static void test_add_copies(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	char name[] = "x-id", value[] = "42";

	assert_int_equal(msg_add(m, slice_str(name), slice_str(value)), 0);
	assert_int_equal(m->flags & MSG_CHANGED, MSG_CHANGED);
	name[0] = value[0] = '?';
	assert_string_equal(all(m), "x-id=42 ");
	assert_int_equal(msg_add(m, S("x-id"), S("")), 0);
	assert_string_equal(all(m), "x-id=42 x-id= ");
}

static void test_set_replaces_all_in_the_first_place(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	three(m);
	assert_int_equal(msg_set(m, S("ACCEPT"), S("c")), 0);
	assert_int_equal(m->flags & MSG_CHANGED, MSG_CHANGED);
	assert_string_equal(all(m), "ACCEPT=c X-Y=1 ");
	assert_int_equal(msg_set(m, S("New"), S("n")), 0);
	assert_string_equal(all(m), "ACCEPT=c X-Y=1 New=n ");
	/* Name and value may be those of the header itself. */
	assert_int_equal(msg_set(m, m->headers[1].name, m->headers[0].value), 0);
	assert_string_equal(all(m), "ACCEPT=c X-Y=c New=n ");
}

static void test_del(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	three(m);
	assert_int_equal(msg_del(m, S("nobody")), 0);
	assert_int_equal(m->flags & MSG_CHANGED, 0);
	assert_int_equal(msg_del(m, S("aCCept")), 2);
	assert_int_equal(m->flags & MSG_CHANGED, MSG_CHANGED);
	assert_string_equal(all(m), "X-Y=1 ");
}

static void test_what_no_protocol_may_carry(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	static const struct msg_header bad[] = {
		{ S(""), S("v") },     { S(":path"), S("v") }, { S("a\r"), S("v") }, { S("a\n"), S("v") },
		{ S("a\0b"), S("v") }, { S("a"), S("v\r") },   { S("a"), S("\n") },  { S("a"), S("v\0") },
	};

	three(m);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(msg_add(m, bad[i].name, bad[i].value), -EINVAL);
		assert_int_equal(msg_set(m, bad[i].name, bad[i].value), -EINVAL);
	}
	assert_int_equal(msg_set(m, S("accept"), S("\n")), -EINVAL);
	assert_int_equal(m->flags & MSG_CHANGED, 0);
	assert_string_equal(all(m), "Accept=a X-Y=1 accept=b ");
}

static void test_many_headers(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		assert_int_equal(msg_add(m, slice_str(name), slice_str(name)), 0);
	}
	assert_int_equal(m->nheaders, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "H%d", i);
		assert_ptr_equal(msg_find(m, slice_str(name)), &m->headers[i]);
	}
}

static void test_memory_is_bounded(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	char *p = msg_alloc(m, 100);
	int n = 0;

	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	assert_null(msg_alloc(m, SIZE_MAX));
	while (msg_alloc(m, 65536))
		assert_in_range(++n, 1, 1000);
	assert_int_equal(msg_add(m, S("a"), (struct slice){ "b", 1 }), 0);
	while (msg_alloc(m, 16))
		assert_in_range(++n, 1, 100000);
	assert_int_equal(msg_add(m, S("a"), S("b")), -ENOMEM);
	assert_null(msg_dup(m, S("x")).p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_find), T(test_exact_names), T(test_get_tells_absent_from_empty), T(test_add_copies),
		T(test_set_replaces_all_in_the_first_place), T(test_del), T(test_what_no_protocol_may_carry),
		T(test_many_headers), T(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
