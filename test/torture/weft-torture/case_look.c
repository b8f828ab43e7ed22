// SPDX-License-Identifier: Apache-2.0
/*
 * Ways to learn of bytes that wait: each must tell of redirected ones what it tells of any others.
 */
#include "rig.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int peek(struct rig *r, struct wire *w, size_t n)
{
	struct stream ahead = w->up_got;
	uint8_t buf[8192];
	ssize_t got = recv(w->s, buf, sizeof(buf), MSG_PEEK);
	int err;

	if (got <= 0 || (size_t)got > n)
		return fault(r, got < 0 ? -errno : -EPROTO, "MSG_PEEK got %zd of %zu", got, n);
	err = stream_check(&ahead, buf, got);
	return err ? fault(r, err, "MSG_PEEK at byte %llu", (unsigned long long)ahead.wrong) : 0;
}

static int case_peek(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 100 && !err; i++) {
		size_t n = 1 + draw(&r->seed) % 8000;

		if ((err = up(r, &w, n)))
			break;
		if ((err = peek(r, &w, n)) || (err = peek(r, &w, n)) ||
		    (err = up_got(r, &w, n / 2)))
			break;
		if (n - n / 2)
			err = peek(r, &w, n - n / 2);
		if (!err && !(err = up_got(r, &w, n - n / 2)) && i % 4 == 0 &&
		    !(err = down(r, &w, 10)))
			err = down_got(r, &w, 10);
	}
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

static int waits(struct rig *r, int fd, int want)
{
	int n = -1;

	if (ioctl(fd, FIONREAD, &n) || n != want)
		return fault(r, -EPROTO, "FIONREAD says %d, %d bytes wait", n, want);
	return 0;
}

static int case_fionread(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 50 && !err; i++) {
		size_t n = 2 + draw(&r->seed) % 30000, part = 1 + draw(&r->seed) % (n - 1);

		if (!(err = waits(r, w.s, 0)) && !(err = up(r, &w, n)) &&
		    !(err = waits(r, w.s, n)) && !(err = up_got(r, &w, part)) &&
		    !(err = waits(r, w.s, n - part)) && !(err = up(r, &w, 5)) &&
		    !(err = waits(r, w.s, n - part + 5)) && !(err = drain(r, &w)) &&
		    !(err = down(r, &w, 1)))
			err = down_got(r, &w, 1);
	}
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* Readable when, and only when, there is something. */
static bool selects(int fd)
{
	struct timeval none = {0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &none) == 1;
}

static int case_poll(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 50 && !err; i++) {
		if (ready(w.s, POLLIN, 0) || selects(w.s))
			err = fault(r, -EPROTO, "readable, nothing is there");
		else if (!ready(w.s, POLLOUT, 0) || !ready(w.c, POLLOUT, 0))
			err = fault(r, -EPROTO, "not writable");
		else if ((err = up(r, &w, 1 + i)))
			break;
		else if (!ready(w.s, POLLIN, 0) || !selects(w.s))
			err = fault(r, -EPROTO, "not readable");
		if (!err && i && !(err = up_got(r, &w, i)) && !ready(w.s, POLLIN, 0))
			err = fault(r, -EPROTO, "not readable, one byte is left");
		if (!err && !(err = up_got(r, &w, 1)) && i % 3 == 0 && !(err = down(r, &w, 1)))
			err = down_got(r, &w, 1);
	}
	if (!err)
		err = want_all(r, &w);
	if (!err) {
		shutdown(w.c, SHUT_WR);
		if (!ready(w.s, POLLRDHUP, PATIENCE_MS))
			err = fault(r, -EPROTO, "no POLLRDHUP after shutdown");
	}
	wire_close(&w);
	return err;
}

/* One event for each arrival, none without. */
static int edge(struct rig *r, int ep, int want, int ms)
{
	struct epoll_event ev;
	int n = epoll_wait(ep, &ev, 1, ms);

	return n == want ? 0
			 : fault(r, -EPROTO, "edge-triggered epoll: %d events, not %d", n, want);
}

static int case_epoll_edge(struct rig *r)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET | EPOLLRDHUP};
	int ep = epoll_create1(EPOLL_CLOEXEC), err;
	struct wire w;

	if ((err = wire_open(r, &w, NULL))) {
		close(ep);
		return err;
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, w.s, &ev);
	for (int i = 0; i < 50 && !err; i++) {
		size_t n = 2 + draw(&r->seed) % 20000;

		if ((err = edge(r, ep, 0, 0)) || (err = up(r, &w, n)) ||
		    (err = edge(r, ep, 1, 1000)) || (err = edge(r, ep, 0, 0)) ||
		    (err = up_got(r, &w, n / 2)) || (err = edge(r, ep, 0, 0)) ||
		    (err = up(r, &w, 3)) || (err = edge(r, ep, 1, 1000)) || (err = drain(r, &w)))
			break;
		if (i % 5 == 0 && !(err = down(r, &w, 1)))
			err = down_got(r, &w, 1);
	}
	if (!err && !(err = want_all(r, &w))) {
		close(w.c);
		w.c = -1;
		err = edge(r, ep, 1, PATIENCE_MS);
	}
	close(ep);
	wire_close(&w);
	return err;
}

/*
 * A listed difference: SO_RCVLOWAT set in time keeps off, set later it holds for what comes from
 * then on.
 */
static void lowat_1000(int fd)
{
	int n = 1000;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

static int holds_1000(struct rig *r, struct wire *w)
{
	int err = up(r, w, 999);

	if (!err && ready(w->s, POLLIN, 50))
		err = fault(r, -EPROTO, "readable below SO_RCVLOWAT");
	if (!err && !(err = up(r, w, 1)) && !ready(w->s, POLLIN, PATIENCE_MS))
		err = fault(r, -EPROTO, "not readable at SO_RCVLOWAT");
	return err ? err : up_got(r, w, 1000);
}

static int case_rcvlowat(struct rig *r)
{
	struct wire_opts o = {.dialling = lowat_1000};
	struct wire w;
	struct pair p;
	int err = wire_open(r, &w, &o);

	if (err)
		return err;
	if (!(err = up(r, &w, 10)) && !(err = up_got(r, &w, 10)))
		err = want_refused(r, &w, REASON_RCVLOWAT);
	wire_close(&w);
	o = (struct wire_opts){.listening = lowat_1000};
	if (err || (err = wire_open(r, &w, &o)))
		return err;
	if (!(err = holds_1000(r, &w)) && !books_pair(&r->books, w.cookie, &p))
		err = fault(r, -EPROTO, "paired with a listener's SO_RCVLOWAT");
	wire_close(&w);
	if (err || (err = wire_open(r, &w, NULL)))
		return err;
	if (!(err = trips(r, &w, 3, 3000)) && !(err = want_all(r, &w))) {
		uint64_t before = w.up.off;

		lowat_1000(w.s);
		if (!(err = holds_1000(r, &w)) && !(err = holds_1000(r, &w)) &&
		    !(err = pair_of(r, &w, &p)) &&
		    (p.end[0].bytes != before || p.end[0].flags & END_NO_READ ||
		     !(p.end[1].flags & END_NO_READ)))
			err = fault(r, -EPROTO, "redirected to a reader with SO_RCVLOWAT");
	}
	wire_close(&w);
	return err;
}

static void defer(int fd)
{
	int seconds = 5;

	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

/* Set by a client whose server's end does not exist yet, which could pair them later. */
static int case_rcvlowat_early(struct rig *r)
{
	struct wire_opts o = {.listening = defer, .late = true};
	struct wire w;
	int err = wire_open(r, &w, &o);

	if (err)
		return err;
	lowat_1000(w.c);
	if (!(err = up(r, &w, 10)) && !(err = wire_accept(r, &w)) && !(err = up_got(r, &w, 10)))
		err = want_refused(r, &w, REASON_RCVLOWAT);
	wire_close(&w);
	return err;
}

/* Scattered reads, several messages a call, a receive timeout that ends. */
static int case_readv(struct rig *r)
{
	struct timeval t = {.tv_usec = 50000};
	uint8_t a[100], b[1], c[5000];
	struct iovec iov[] = {{a, sizeof(a)}, {b, sizeof(b)}, {c, sizeof(c)}};
	uint64_t start;
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 20 && !err; i++) {
		ssize_t got;

		if ((err = up(r, &w, 3000)))
			break;
		got = readv(w.s, iov, 3);
		if (got != 3000)
			err = fault(r, -EPROTO, "readv() got %zd of 3000", got);
		else if ((err = stream_check(&w.up_got, a, 100)) ||
			 (err = stream_check(&w.up_got, b, 1)) ||
			 (err = stream_check(&w.up_got, c, 2899)))
			fault(r, err, "readv()");
	}
	blocking(w.s);
	setsockopt(w.s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	start = now_ms();
	if (!err && (recv(w.s, a, 1, 0) != -1 || errno != EAGAIN || now_ms() - start < 40))
		err = fault(r, -EPROTO, "SO_RCVTIMEO did not end recv() with EAGAIN after 50 ms");
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case look_cases[] = {
	CASE("peek", case_peek, ON_ALL, "MSG_PEEK"),
	CASE("fionread", case_fionread, ON_ALL, "FIONREAD"),
	CASE("poll", case_poll, ON_ALL, "poll and select"),
	CASE("epoll-edge", case_epoll_edge, ON_ALL,
	     "edge-triggered epoll: one event for each arrival"),
	CASE("rcvlowat", case_rcvlowat, ON_ALL, "SO_RCVLOWAT keeps off, before and after"),
	CASE("rcvlowat-early", case_rcvlowat_early, ON_ALL, "and set while the server's end is not there yet"),
	CASE("readv", case_readv, ON_TWO, "scattered reads and SO_RCVTIMEO"),
	{.name = NULL},
};
/* clang-format on */
