// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/list.h"

struct loop loop;

static struct end *end_of(struct conn *c)
{
	return container_of(c, struct end, c);
}

static void on_open(struct conn *c)
{
	end_of(c)->opens++;
	if (end_of(c)->close_on_open)
		conn_close(c);
}

static void on_readable(struct conn *c)
{
	struct end *e = end_of(c);

	e->readables++;
	if (e->close_on_readable)
		conn_close(c);
	else if (e->then)
		e->then(e);
}

static void on_writable(struct conn *c)
{
	end_of(c)->writables++;
}

static void on_failed(struct conn *c, int err)
{
	struct end *e = end_of(c);

	e->fails++;
	e->err = err;
	snprintf(e->why, sizeof(e->why), "%s", c->detail ? c->detail : "");
}

const struct conn_events end_events = { on_open, on_readable, on_writable, on_failed, false };

int kit_setup(void **state)
{
	(void)state;
	return loop_init(&loop);
}

int kit_teardown(void **state)
{
	(void)state;
	loop_fini(&loop);
	return 0;
}

void until(const int *what, int n)
{
	uint64_t end = clock_ns() + 30 * SEC;

	while (*what < n) {
		assert_int_equal(loop_once(&loop, 100 * MSEC), 0);
		assert_true(clock_ns() < end);
	}
}

void turns(int n)
{
	while (n--)
		assert_int_equal(loop_once(&loop, 0), 0);
}

void pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
}

ssize_t drain(struct end *e)
{
	ssize_t n;

	do
		n = conn_read(&e->c, &e->got, 65536);
	while (n > 0);
	return n;
}

void until_got(struct end *e, size_t n)
{
	uint64_t end = clock_ns() + 30 * SEC;

	while (drain(e), e->got.len < n) {
		assert_int_equal(loop_once(&loop, 100 * MSEC), 0);
		assert_true(clock_ns() < end);
	}
}

void assert_got(struct end *e, const char *text)
{
	struct slice s = buf_pull(&e->got, e->got.len);

	assert_int_equal(s.n, strlen(text));
	assert_memory_equal(s.p, text, s.n);
	buf_drop(&e->got, s.n);
}
