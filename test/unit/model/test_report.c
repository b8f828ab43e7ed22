// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include "model/report.h"
#include "weft/str.h"

struct seen {
	unsigned hellos, snapshots, alives, sockets, stats, hosts, wants;
	struct report_hello hello;
	uint64_t number;
};

static void on_hello(void *arg, const struct report_hello *h)
{
	struct seen *s = arg;

	s->hellos++;
	s->hello = *h;
}

static void on_snapshot(void *arg, uint64_t number)
{
	struct seen *s = arg;

	s->snapshots++;
	s->number = number;
}

static void on_alive(void *arg, uint32_t stalest_ms)
{
	struct seen *s = arg;

	s->alives += stalest_ms;
}

static void on_socket(void *arg, struct slice listener, uint32_t index)
{
	struct seen *s = arg;

	assert_true(slice_eq_str(listener, "web"));
	s->sockets += index;
}

static void on_stat(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	struct seen *s = arg;

	assert_true(slice_eq_str(set, "listener"));
	assert_true(slice_eq_str(name, "web"));
	assert_int_equal(n, 3);
	assert_true(v[0] == 7 && v[1] == 0 && v[2] == UINT64_MAX);
	s->stats++;
}

static void on_host(void *arg, struct slice key, uint32_t for_ms)
{
	struct seen *s = arg;

	assert_true(slice_eq_str(key, "web|10.0.0.1|80"));
	s->hosts += for_ms;
}

static void on_want(void *arg, const struct report_want *w)
{
	struct seen *s = arg;

	assert_true(w->netns == 0x8877665544332211ull);
	assert_int_equal(w->worker, 3);
	assert_int_equal(w->family, AF_INET6);
	s->wants += w->n;
}

static unsigned tickets;

static void on_tickets(void *arg)
{
	(void)arg;
	tickets++;
}

static const struct report_sink sink = { on_hello, on_snapshot, on_alive, on_socket, on_stat, on_host, on_want,
					  on_tickets };

static void put_both(struct buf *b)
{
	struct report_hello h = { .version = 1, .wire = 7, .workers = 3, .build = "1.2.3" };

	buf_init(b);
	assert_int_equal(report_hello(b, &h), 0);
	assert_int_equal(report_snapshot(b, 0x1122334455667788ull), 0);
	assert_int_equal(report_alive(b, 70000), 0);
	assert_int_equal(report_socket(b, slice_str("web"), 5), 0);
	assert_int_equal(report_stat(b, slice_str("listener"), slice_str("web"), (uint64_t[]){ 7, 0, UINT64_MAX }, 3), 0);
	assert_int_equal(report_host(b, slice_str("web|10.0.0.1|80"), 30000), 0);
	assert_int_equal(report_host(b, slice_str("web|10.0.0.1|80"), 0), 0);
	assert_int_equal(report_want(b, &(struct report_want){ 0x8877665544332211ull, 3, 70000, AF_INET6 }), 0);
}

static void check_both(const struct seen *s)
{
	assert_int_equal(s->hellos, 1);
	assert_int_equal(s->snapshots, 1);
	assert_int_equal(s->alives, 70000);
	assert_int_equal(s->sockets, 5);
	assert_int_equal(s->stats, 1);
	assert_int_equal(s->hosts, 30000);
	assert_int_equal(s->wants, 70000);
	assert_int_equal(s->hello.wire, 7);
	assert_int_equal(s->hello.workers, 3);
	assert_string_equal(s->hello.build, "1.2.3");
	assert_true(s->number == 0x1122334455667788ull);
}

static void test_round_trip(void **state)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	struct buf b;

	(void)state;
	put_both(&b);
	assert_int_equal(report_feed(&b, &sink, &seen, &e), 0);
	assert_int_equal(b.len, 0);
	check_both(&seen);
	buf_fini(&b);
}

static void test_a_byte_at_a_time(void **state)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	struct buf all, in;
	struct slice s;

	(void)state;
	put_both(&all);
	buf_init(&in);
	s = buf_pull(&all, all.len);
	for (size_t i = 0; i < s.n; i++) {
		assert_int_equal(buf_add(&in, s.p + i, 1), 0);
		assert_int_equal(report_feed(&in, &sink, &seen, &e), 0);
	}
	check_both(&seen);
	buf_fini(&all);
	buf_fini(&in);
}

static int feed_bytes(const char *p, size_t n, struct seen *seen)
{
	struct err e = { 0 };
	struct buf b;
	int err;

	buf_init(&b);
	buf_add(&b, p, n);
	err = report_feed(&b, &sink, seen, &e);
	buf_fini(&b);
	return err;
}

static void test_wrong_bytes(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(feed_bytes("\0\0\0\0\1", 5, &seen), -EPROTO);          /* no room for a type */
	assert_int_equal(feed_bytes("\1\x10\0\0\1", 5, &seen), -EPROTO);        /* 4097 bytes: too long */
	assert_int_equal(feed_bytes("\xff\xff\xff\xff\1", 5, &seen), -EPROTO);
	assert_int_equal(feed_bytes("\2\0\0\0\1x", 6, &seen), -EPROTO);         /* hello of one byte */
	assert_int_equal(feed_bytes("\2\0\0\0\2x", 6, &seen), -EPROTO);         /* snapshot of one byte */
	assert_int_equal(feed_bytes("\2\0\0\0\3x", 6, &seen), -EPROTO);         /* alive of one byte */
	assert_int_equal(feed_bytes("\2\0\0\0\4x", 6, &seen), -EPROTO);         /* socket of one byte */
	assert_int_equal(feed_bytes("\1\0\0\0\5", 5, &seen), -EPROTO);          /* counters of none */
	assert_int_equal(feed_bytes("\3\0\0\0\5\1\0", 7, &seen), -EPROTO);      /* one counter, and no room for it */
	assert_int_equal(feed_bytes("\3\0\0\0\5\0\1", 7, &seen), -EPROTO);      /* a set's name beyond the end */
	assert_int_equal(feed_bytes("\2\0\0\0\5\xff", 6, &seen), -EPROTO);      /* more counters than a set has */
	assert_int_equal(feed_bytes("\x11\0\0\0\7" "0123456701230123", 21, &seen), -EPROTO); /* want of 16 bytes */
	assert_int_equal(feed_bytes("\x13\0\0\0\7" "012345670123012345", 23, &seen), -EPROTO); /* of 18 */
	assert_int_equal(seen.wants, 0);
	assert_int_equal(seen.hellos + seen.snapshots + seen.alives + seen.sockets + seen.stats, 0);
}

static void test_hello_without_its_end(void **state)
{
	char frame[4 + 1 + 12 + 32];
	struct seen seen = { 0 };

	(void)state;
	memset(frame, 'x', sizeof(frame));
	memcpy(frame, "\x2d\0\0\0\1", 5);
	assert_int_equal(feed_bytes(frame, sizeof(frame), &seen), -EPROTO);
}

static void test_unknown_types_are_skipped(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(feed_bytes("\3\0\0\0\x63yz\x9\0\0\0\2\5\0\0\0\0\0\0\0", 20, &seen), 0);
	assert_int_equal(seen.number, 5);
}

static void test_tickets(void **state)
{
	struct err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b);
	tickets = 0;
	assert_int_equal(report_tickets(&b), 0);
	assert_int_equal(report_tickets(&b), 0);
	assert_int_equal(report_feed(&b, &sink, NULL, &e), 0);
	assert_int_equal(tickets, 2);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_a_byte_at_a_time),
		cmocka_unit_test(test_wrong_bytes),
		cmocka_unit_test(test_hello_without_its_end),
		cmocka_unit_test(test_unknown_types_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
