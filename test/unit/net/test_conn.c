// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/list.h"
#include "kit.h"
#include "net/addr.h"
#include "net/sock.h"
#include "weft/str.h"

static struct end e;

static int setup(void **state)
{
	e = (struct end){ 0 };
	return kit_setup(state);
}

static int teardown(void **state)
{
	conn_close(&e.c);
	buf_fini(&e.got);
	return kit_teardown(state);
}

static void open_end(int fd, bool server, const struct net_layer *layers, unsigned n, uint32_t ms)
{
	assert_int_equal(conn_open(&e.c, &loop, fd, server, layers, n, ms, &end_events), 0);
}

static void open_pair(int sv[2])
{
	pair(sv);
	open_end(sv[0], true, NULL, 0, 1000);
	until(&e.opens, 1);
}

/* ---- without filters ---------------------------------------------------------------------------------------- */

static void test_reads_what_is_there(void **state)
{
	int sv[2];

	(void)state;
	open_pair(sv);
	assert_int_equal(e.readables, 0);
	assert_true(e.c.peer->server);
	assert_int_equal(conn_read(&e.c, &e.got, 100), -EAGAIN);
	assert_null(e.got.head);
	assert_int_equal(write(sv[1], "hello", 5), 5);
	until(&e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 5);
	assert_got(&e, "hello");
	assert_int_equal(conn_read(&e.c, &e.got, 100), -EAGAIN);
	close(sv[1]);
	until(&e.readables, 2);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 0);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 0);
	assert_null(e.got.head);
}

static void test_a_short_read_is_remembered(void **state)
{
	int sv[2], was;

	(void)state;
	open_pair(sv);
	assert_int_equal(write(sv[1], "one", 3), 3);
	until(&e.readables, 1);
	assert_int_equal(drain(&e), -EAGAIN);
	/* Bytes that no event has told of are not looked for. */
	assert_int_equal(write(sv[1], "two", 3), 3);
	assert_int_equal(conn_read(&e.c, &e.got, 100), -EAGAIN);
	was = e.readables;
	until(&e.readables, was + 1);
	drain(&e);
	assert_got(&e, "onetwo");
	/* But after a quiet while it is asked whether it was true: redirected bytes may have hidden others. */
	was = e.readables;
	until(&e.readables, was + 1);
	assert_false(e.c.guessed);
	assert_int_equal(drain(&e), -EAGAIN);
	assert_true(e.c.drained);
	assert_false(timer_armed(&e.c.timer));
}

static void test_bytes_and_fin_in_one_event(void **state)
{
	int sv[2];

	(void)state;
	open_pair(sv);
	assert_int_equal(write(sv[1], "bye", 3), 3);
	close(sv[1]);
	until(&e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 3);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 0);
	assert_got(&e, "bye");
}

static void test_reads_at_most(void **state)
{
	static char bytes[100000];
	int sv[2];
	size_t sent;

	(void)state;
	open_pair(sv);
	sent = (size_t)write(sv[1], bytes, sizeof(bytes));
	assert_true(sent > 65536);
	until(&e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 5000), 5000);
	assert_int_equal(conn_read(&e.c, &e.got, 1), 1);
	assert_int_equal(conn_read(&e.c, &e.got, 40000), 40000);
	assert_int_equal(drain(&e), -EAGAIN);
	assert_int_equal(e.got.len, sent);
}

static void take_all(struct end *x)
{
	drain(x);
}

static void fill(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = (char)(i * 7 + i / 251);

		assert_int_equal(buf_add(b, &c, 1), 0);
	}
}

static void test_much_both_ways_in_order(void **state)
{
	struct end b = { .then = take_all };
	struct buf out = { 0 }, want = { 0 };
	int sv[2], waits = 0;

	(void)state;
	open_pair(sv);
	assert_int_equal(conn_open(&b.c, &loop, sv[1], true, NULL, 0, 0, &end_events), 0);
	until(&b.opens, 1);
	fill(&out, 2000000);
	fill(&want, 2000000);
	while (out.len) {
		ssize_t n = conn_write(&e.c, &out);

		assert_true(n >= 0);
		if (out.len) {
			assert_int_equal(conn_write(&e.c, &out), 0);
			until(&e.writables, ++waits);
		}
	}
	assert_true(waits > 1);
	until_got(&b, want.len);
	assert_int_equal(b.got.len, want.len);
	assert_memory_equal(buf_pull(&b.got, b.got.len).p, buf_pull(&want, want.len).p, want.len);
	assert_int_equal(e.writables, waits);
	conn_close(&b.c);
	buf_fini(&b.got);
	buf_fini(&want);
}

static void test_writing_to_the_gone(void **state)
{
	struct buf out = { 0 };
	int sv[2];

	(void)state;
	open_pair(sv);
	close(sv[1]);
	buf_add(&out, "x", 1);
	assert_int_equal(conn_write(&e.c, &out), -EPIPE);
	assert_int_equal(conn_write(&e.c, &out), -EPIPE);
	buf_fini(&out);
	until(&e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 1), 0);
}

static void test_shut_is_half(void **state)
{
	char c;
	int sv[2];

	(void)state;
	open_pair(sv);
	assert_int_equal(conn_shut(&e.c), 0);
	assert_int_equal(read(sv[1], &c, 1), 0);
	assert_int_equal(write(sv[1], "still", 5), 5);
	until_got(&e, 5);
	assert_got(&e, "still");
	close(sv[1]);
}

static void test_close_within_an_event(void **state)
{
	int sv[2];

	(void)state;
	pair(sv);
	e.close_on_open = true;
	assert_int_equal(write(sv[1], "x", 1), 1);
	open_end(sv[0], true, NULL, 0, 1000);
	until(&e.opens, 1);
	turns(3);
	assert_int_equal(e.readables, 0);
	assert_false(conn_is_open(&e.c));
	close(sv[1]);
	conn_close(&e.c);
	pair(sv);
	e = (struct end){ .close_on_readable = true };
	open_end(sv[0], true, NULL, 0, 1000);
	assert_int_equal(write(sv[1], "x", 1), 1);
	until(&e.readables, 1);
	close(sv[1]);
}

/* ---- TCP ---------------------------------------------------------------------------------------------------- */

static struct net_addr loopback(int *listen_fd)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET6 };
	struct net_addr a = addr_from_sockaddr(&ss);
	const struct sock_options o = { 0 };

	a.ip.b[15] = 1;
	*listen_fd = sock_listen(&a, &o, 8);
	assert_true(*listen_fd >= 0);
	assert_int_equal(sock_local(*listen_fd, &a), 0);
	return a;
}

static void test_connects(void **state)
{
	const struct sock_options o = { .nodelay = true, .keepalive_s = 60, .user_timeout_ms = 30000 };
	struct net_addr at, from;
	int lfd, fd, one = 0;
	socklen_t n = sizeof(one);

	(void)state;
	at = loopback(&lfd);
	fd = sock_connect(&at, NULL, &o);
	assert_true(fd >= 0);
	assert_false(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, &n));
	assert_int_equal(one, 1);
	open_end(fd, false, NULL, 0, 10000);
	until(&e.opens, 1);
	assert_true(addr_eq(&e.c.peer->remote, &at));
	fd = sock_accept(lfd, &from);
	assert_true(fd >= 0);
	assert_true(addr_eq(&e.c.peer->local, &from));
	assert_int_equal(sock_accept(lfd, &from), -EAGAIN);
	assert_int_equal(sock_original(fd, &from), -ENOENT);
	assert_int_equal(write(fd, "hi", 2), 2);
	until_got(&e, 2);
	conn_reset(&e.c);
	conn_close(&e.c);
	assert_int_equal(read(fd, &one, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	close(lfd);
}

/* What was accepted may be read at once; its addresses are the caller's word, and it is watched when it has nothing yet. */
static void test_accepted_late(void **state)
{
	struct conn_events late = end_events;
	const struct sock_options o = { 0 };
	struct net_addr at, from, said = { .ip.b = { [15] = 1 }, .port = 7 };
	int lfd, fd, was;

	(void)state;
	late.late = true;
	at = loopback(&lfd);
	fd = sock_connect(&at, NULL, &o);
	assert_int_equal(conn_open_accepted(&e.c, &loop, sock_accept(lfd, &from), &said, NULL, NULL, 0, 10000, &late), 0);
	assert_true(addr_eq(&e.c.peer->remote, &said) && addr_eq(&e.c.peer->source, &said));
	assert_true(addr_eq(&e.c.peer->local, &at) && addr_eq(&e.c.peer->original, &at));
	assert_int_equal(loop_once(&loop, -1), 0);
	assert_int_equal(e.opens, 1);
	assert_int_equal(e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), -EAGAIN);
	assert_true(list_empty(&loop.late[0]) && list_empty(&loop.late[1]));
	was = e.readables;
	assert_int_equal(write(fd, "hi", 2), 2);
	until(&e.readables, was + 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 2);
	conn_close(&e.c);
	/* One that has something, and is gone before epoll ever heard of it. */
	close(fd);
	fd = sock_connect(&at, NULL, &o);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(conn_open_accepted(&e.c, &loop, sock_accept(lfd, &from), NULL, &said, NULL, 0, 10000, &late), 0);
	assert_true(addr_eq(&e.c.peer->local, &said) && addr_eq(&e.c.peer->remote, &from));
	assert_int_equal(loop_once(&loop, -1), 0);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 5);
	assert_true(conn_drained(&e.c));
	assert_false(list_empty(&loop.late[1]));
	conn_close(&e.c);
	assert_true(list_empty(&loop.late[0]) && list_empty(&loop.late[1]));
	close(fd);
	close(lfd);
}

static void test_bytes_before_a_reset_are_read(void **state)
{
	const struct sock_options o = { 0 };
	struct net_addr at, from;
	struct buf out = { 0 };
	int lfd, fd, was;

	(void)state;
	at = loopback(&lfd);
	open_end(sock_connect(&at, NULL, &o), false, NULL, 0, 10000);
	until(&e.opens, 1);
	fd = sock_accept(lfd, &from);
	buf_add(&out, "unread", 6);
	assert_int_equal(conn_write(&e.c, &out), 6);
	assert_int_equal(write(fd, "413", 3), 3);
	was = e.readables;
	until(&e.readables, was + 1);
	close(fd);
	was = e.readables;
	until(&e.readables, was + 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 3);
	assert_int_equal(conn_read(&e.c, &e.got, 100), -ECONNRESET);
	assert_int_equal(conn_read(&e.c, &e.got, 100), -ECONNRESET);
	close(lfd);
}

static void test_refused(void **state)
{
	const struct sock_options o = { 0 };
	struct net_addr at;
	int lfd;

	(void)state;
	at = loopback(&lfd);
	close(lfd);
	open_end(sock_connect(&at, NULL, &o), false, NULL, 0, 10000);
	until(&e.fails, 1);
	assert_int_equal(e.err, -ECONNREFUSED);
	assert_string_equal(e.why, "TCP connect");
	turns(3);
	assert_int_equal(e.opens + e.readables, 0);
}

/* A queue of one that nobody empties lets a third connect() wait. */
static void test_connect_times_out(void **state)
{
	const struct sock_options o = { 0 };
	struct net_addr at = { 0 };
	int lfd, fd[3];

	(void)state;
	at.ip.b[15] = 1;
	lfd = sock_listen(&at, &o, 0);
	assert_int_equal(sock_local(lfd, &at), 0);
	for (int i = 0; i < 3; i++)
		fd[i] = sock_connect(&at, NULL, &o);
	open_end(sock_connect(&at, NULL, &o), false, NULL, 0, 30);
	until(&e.fails, 1);
	assert_int_equal(e.err, -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	close(lfd);
}

/* ---- layers ------------------------------------------------------------------------------------------------- */

struct xor_state {
	int opens;
};
struct xor_conf {
	char key;
	int opens;                              /* that answer -EAGAIN before the one that is done */
	int closes;
};

/* Waits for a byte of the peer each time; then turns every byte. */
static int xor_open(struct net_filter *f)
{
	const struct xor_conf *conf = f->conf;
	struct xor_state *s = f->state;
	struct buf b = { 0 };

	while (s->opens < conf->opens) {
		char c;
		ssize_t n = net_next_recv(f, &c, 1);

		if (n <= 0)
			return n ? (int)n : -EPROTO;
		if (c != 'k') {
			net_filter_why(f, "a %c instead of a k", c);
			return -EPROTO;
		}
		s->opens++;
	}
	buf_fini(&b);
	f->peer->identity.p = net_filter_alloc(f, 4);
	f->peer->identity.n = 4;
	memcpy((char *)f->peer->identity.p, "test", 4);
	return 0;
}

static void turn(struct buf *b, char key)
{
	struct iovec v[64];
	unsigned n = buf_iov(b, v, 64);

	for (unsigned i = 0; i < n; i++)
		for (size_t j = 0; j < v[i].iov_len; j++)
			((char *)v[i].iov_base)[j] ^= key;
}

static ssize_t xor_read(struct net_filter *f, struct buf *dst)
{
	struct buf b = { 0 };
	ssize_t n = net_next_read(f, &b);

	turn(&b, ((const struct xor_conf *)f->conf)->key);
	buf_move(dst, &b);
	return n;
}

/* By the memory way, in pieces of 3. */
static ssize_t xor_write(struct net_filter *f, struct buf *src)
{
	struct slice s = buf_head(src);
	char piece[3];
	size_t k = s.n < 3 ? s.n : 3;
	ssize_t n;

	for (size_t i = 0; i < k; i++)
		piece[i] = s.p[i] ^ ((const struct xor_conf *)f->conf)->key;
	n = net_next_send(f, piece, k);
	if (n > 0)
		buf_drop(src, (size_t)n);
	return n;
}

static void xor_close(struct net_filter *f)
{
	((struct xor_conf *)f->conf)->closes++;
}

static const struct net_filter_ops xor_ops = {
	.name = "xor", .state_size = sizeof(struct xor_state),
	.open = xor_open, .read = xor_read, .write = xor_write, .close = xor_close,
};

/* Takes a line, gives the rest back: transparent from then on. */
static int line_open(struct net_filter *f)
{
	struct buf b = { 0 };
	const char *nl = NULL;
	ssize_t n;

	while (!nl && (n = net_next_read(f, &b)) > 0) {
		struct slice s = buf_pull(&b, b.len);

		nl = memchr(s.p, '\n', s.n);
		if (nl)
			buf_drop(&b, (size_t)(nl - s.p) + 1);
	}
	net_filter_unread(f, &b);
	return nl ? 0 : n ? (int)n : -EPROTO;
}

static const struct net_filter_ops line_ops = { .name = "line", .open = line_open };

static void test_a_layer_opens_reads_and_writes(void **state)
{
	struct xor_conf conf = { .key = 1, .opens = 2 };
	const struct net_layer layers[] = { { .ops = &xor_ops, .conf = &conf } };
	struct buf out = { 0 };
	char got[8];
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 1, 30000);
	turns(3);
	assert_int_equal(write(sv[1], "k", 1), 1);
	turns(3);
	assert_int_equal(e.opens, 0);
	assert_int_equal(write(sv[1], "kadbd", 5), 5);
	until(&e.opens, 1);
	assert_true(slice_eq_str(e.c.peer->identity, "test"));
	assert_int_equal(e.readables, 1);
	until_got(&e, 4);
	assert_got(&e, "`ece");
	buf_add(&out, "`ece`ece", 8);
	assert_int_equal(conn_write(&e.c, &out), 8);
	assert_int_equal(read(sv[1], got, 8), 8);
	assert_memory_equal(got, "adbdadbd", 8);
	assert_int_equal(conn_raw_fd(&e.c, NET_WANT_READ), -1);
	conn_close(&e.c);
	assert_int_equal(conf.closes, 1);
	close(sv[1]);
}

static void test_a_layer_that_fails_says_why(void **state)
{
	struct xor_conf conf = { .opens = 1 };
	const struct net_layer layers[] = { { .ops = &xor_ops, .conf = &conf } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 1, 30000);
	assert_int_equal(write(sv[1], "x", 1), 1);
	until(&e.fails, 1);
	assert_int_equal(e.err, -EPROTO);
	assert_string_equal(e.why, "a x instead of a k");
	conn_close(&e.c);
	assert_int_equal(conf.closes, 1);
	close(sv[1]);
}

static void test_a_layer_that_waits_too_long(void **state)
{
	struct xor_conf conf = { .opens = 1 };
	const struct net_layer layers[] = { { .ops = &xor_ops, .conf = &conf } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 1, 20);
	until(&e.fails, 1);
	assert_int_equal(e.err, -ETIMEDOUT);
	assert_string_equal(e.why, "xor");
	conn_close(&e.c);
	close(sv[1]);
}

static void test_unread_bytes_go_to_the_next(void **state)
{
	struct xor_conf conf = { .key = 1, .opens = 1 };
	const struct net_layer layers[] = { { .ops = &line_ops, .conf = NULL }, { .ops = &xor_ops, .conf = &conf } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 2, 30000);
	assert_int_equal(write(sv[1], "half a l", 8), 8);
	turns(3);
	assert_int_equal(write(sv[1], "ine\nka", 6), 6);
	until(&e.opens, 1);
	assert_int_equal(e.readables, 1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 1);
	assert_got(&e, "`");
	close(sv[1]);
	until(&e.readables, 2);
	assert_int_equal(drain(&e), 0);
	conn_close(&e.c);
}

static void test_a_transparent_layer_goes(void **state)
{
	const struct net_layer layers[] = { { .ops = &line_ops, .conf = NULL } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 1, 30000);
	assert_int_equal(write(sv[1], "line\nrest", 9), 9);
	until(&e.opens, 1);
	assert_int_equal(conn_raw_fd(&e.c, NET_WANT_READ), -1);
	assert_int_equal(conn_read(&e.c, &e.got, 100), 4);
	assert_got(&e, "rest");
	assert_null(e.c.stack);
	assert_int_equal(conn_raw_fd(&e.c, NET_WANT_READ), sv[0]);
	assert_int_equal(write(sv[1], "more", 4), 4);
	until_got(&e, 4);
	close(sv[1]);
}

/* Passes bytes on until the peer says "X", behind which the other layer speaks. */
static ssize_t turning_read(struct net_filter *f, struct buf *dst)
{
	bool *turned = f->state;
	struct buf b = { 0 };
	ssize_t n = net_next_read(f, &b);
	const char *x;

	if (n <= 0 || *turned)
		goto out;
	x = memchr(buf_pull(&b, b.len).p, 'X', b.len);
	if (!x)
		goto out;
	*turned = true;
	n = x - buf_head(&b).p;
	assert_int_equal(buf_add(dst, buf_head(&b).p, (size_t)n), 0);
	buf_drop(&b, (size_t)n + 1);
	net_filter_unread(f, &b);
	assert_int_equal(net_filter_push(f, &xor_ops, f->conf), 0);
	return n ? n : -EAGAIN;
out:
	buf_move(dst, &b);
	return n;
}

static const struct net_filter_ops turning_ops = { .name = "turning", .state_size = sizeof(bool), .read = turning_read };

static void test_a_layer_is_pushed_while_bytes_flow(void **state)
{
	struct xor_conf conf = { .key = 1, .opens = 1 };
	const struct net_layer layers[] = { { .ops = &turning_ops, .conf = &conf } };
	struct buf out = { 0 };
	char got[4];
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 1, 30000);
	until(&e.opens, 1);
	assert_int_equal(write(sv[1], "plain", 5), 5);
	until_got(&e, 5);
	assert_got(&e, "plain");
	assert_int_equal(write(sv[1], "Xkadbd", 6), 6);
	until_got(&e, 4);
	assert_got(&e, "`ece");
	buf_add(&out, "`ece", 4);
	assert_int_equal(conn_write(&e.c, &out), 4);
	assert_int_equal(read(sv[1], got, 4), 4);
	assert_memory_equal(got, "adbd", 4);
	conn_close(&e.c);
	assert_int_equal(conf.closes, 1);
	close(sv[1]);
}

struct nap_conf {
	uint32_t ms;
	uint64_t slept_from;
	bool at_once;
};

static int nap_open(struct net_filter *f)
{
	struct nap_conf *conf = (struct nap_conf *)f->conf;

	if (conf->at_once)
		return 0;
	if (!conf->slept_from) {
		conf->slept_from = clock_ns();
		if (conf->ms)
			net_filter_resume_after(f, conf->ms);
		else
			net_filter_resume(f);
		conf->at_once = !conf->ms;
		return -EAGAIN;
	}
	return clock_ns() - conf->slept_from >= conf->ms * MSEC ? 0 : -EAGAIN;
}

static const struct net_filter_ops nap_ops = { .name = "nap", .open = nap_open };

static void test_a_layer_waits_for_something_else(void **state)
{
	struct nap_conf now = { 0 }, later = { .ms = 15 };
	const struct net_layer layers[] = { { .ops = &nap_ops, .conf = &now }, { .ops = &nap_ops, .conf = &later } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, layers, 2, 30000);
	until(&e.opens, 1);
	assert_true(clock_ns() - later.slept_from >= 15 * MSEC);
	assert_null(e.c.stack);
	close(sv[1]);
}

static void test_closing_takes_back_what_a_layer_waits_for(void **state)
{
	struct nap_conf later = { .ms = 5 };
	const struct net_layer one[] = { { .ops = &nap_ops, .conf = &later } };
	int sv[2];

	(void)state;
	pair(sv);
	open_end(sv[0], true, one, 1, 30000);
	turns(2);
	assert_true(later.slept_from);
	conn_close(&e.c);
	usleep(10000);                          /* when the layer would have been called */
	turns(3);
	assert_int_equal(e.opens, 0);
	close(sv[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reads_what_is_there), T(test_a_short_read_is_remembered), T(test_bytes_and_fin_in_one_event),
		T(test_reads_at_most), T(test_much_both_ways_in_order), T(test_writing_to_the_gone),
		T(test_shut_is_half), T(test_close_within_an_event), T(test_connects),
		T(test_accepted_late), T(test_bytes_before_a_reset_are_read), T(test_refused), T(test_connect_times_out),
		T(test_a_layer_opens_reads_and_writes), T(test_a_layer_that_fails_says_why),
		T(test_a_layer_that_waits_too_long), T(test_unread_bytes_go_to_the_next),
		T(test_a_transparent_layer_goes), T(test_a_layer_is_pushed_while_bytes_flow), T(test_a_layer_waits_for_something_else),
		T(test_closing_takes_back_what_a_layer_waits_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
