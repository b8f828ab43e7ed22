// SPDX-License-Identifier: Apache-2.0
/*
 * The known answers. Each case makes its own connections, says in `detail` what it saw when that was wrong, and also
 * fails when the short-circuit was not in use though it should have been: a test of the plain stack proves nothing.
 */
#include "kern/selftest_priv.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef FIONREAD
#define FIONREAD 0x541B
#endif
#define SO_ORIGINAL_DST 80                      /* IP6T_SO_ORIGINAL_DST too */
#define FULL_BYTES (64u << 20)                  /* a writer that gets this far has no backpressure */
#define SAY(...) snprintf(detail, room, __VA_ARGS__)

/* d with its pair; says what is missing. */
static int open_paired(struct kit *k, struct duo *d, int family, char *detail, size_t room)
{
	struct duo_opts o = {.family = family};
	struct pair p;
	int err = duo_open(d, &o);

	if (err) {
		SAY("connect over loopback: %s", strerror(-err));
		return err;
	}
	if (!(err = duo_pair(k, d, &p)))
		return 0;
	SAY("the two ends were not paired");
	duo_close(d);
	return err;
}

/* Did both directions redirect everything they sent? */
static int all_redirected(struct kit *k, const struct duo *d, uint64_t tx, uint64_t rx, char *detail, size_t room)
{
	struct pair p;

	if (duo_pair(k, d, &p)) {
		SAY("the pair is gone");
		return -ENOENT;
	}
	if (p.end[0].bytes == tx && p.end[1].bytes == rx)
		return 0;
	SAY("redirected %llu of %llu and %llu of %llu bytes, reasons %u %u", (unsigned long long)p.end[0].bytes,
	    (unsigned long long)tx, (unsigned long long)p.end[1].bytes, (unsigned long long)rx, p.end[0].reason,
	    p.end[1].reason);
	return -EPROTO;
}

/* n round trips of size bytes each way. */
static int round_trips(const struct duo *d, int n, size_t size, uint64_t *tx, uint64_t *rx)
{
	uint64_t tx_read = *tx, rx_read = *rx;
	int err = 0;

	for (int i = 0; i < n && !err; i++)
		if (!(err = stream_write(d->client, size, tx)) && !(err = stream_read(d->server, size, &tx_read)) &&
		    !(err = stream_write(d->server, size, rx)))
			err = stream_read(d->client, size, &rx_read);
	return err;
}

static int case_pair(struct kit *k, char *detail, size_t room)
{
	uint64_t before = kit_reason(k, REASON_ACCEL), tx, rx;
	struct duo d;
	int err = 0;

	for (int i = 0; i < 40 && !err; i++) {
		tx = rx = 0;
		if ((err = open_paired(k, &d, i & 1 ? AF_INET6 : AF_INET, detail, room)))
			return err;
		if (!(err = round_trips(&d, 2, 100, &tx, &rx)))
			err = all_redirected(k, &d, tx, rx, detail, room);
		duo_close(&d);
	}
	if (!err && kit_reason(k, REASON_ACCEL) - before != 40) {
		SAY("40 connections closed, %llu counted", (unsigned long long)(kit_reason(k, REASON_ACCEL) - before));
		err = -EPROTO;
	}
	return err;
}

/* Credit is renewed by the count of unread bytes, and a partly read queue counts for what is left. */
static int case_credit_count(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, rx = 0, got = 0;
	struct duo d;
	struct pair p;
	int err;

	k->ctl.credit = CREDIT_MSG_TOT_LEN;
	k->ctl.max_outstanding = 4096;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if (!(err = round_trips(&d, 50, 1000, &tx, &rx)) && !(err = all_redirected(k, &d, tx, rx, detail, room))) {
		got = tx;
		if (!(err = stream_write(d.client, 1000, &tx)) && !(err = stream_read(d.server, 900, &got)))
			err = stream_write(d.server, 1, &rx);
		if (!err && (duo_pair(k, &d, &p) || p.end[1].credit >> 32 != 100)) {
			SAY("100 bytes unread, published %llu", (unsigned long long)(p.end[1].credit >> 32));
			err = -EPROTO;
		}
	}
	duo_close(&d);
	return err;
}

/* Credit is renewed by an empty queue. */
static int case_credit_empty(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, rx = 0;
	struct duo d;
	int err;

	k->ctl.credit = CREDIT_QUEUE_EMPTY;
	k->ctl.max_outstanding = 4096;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if (!(err = round_trips(&d, 50, 1000, &tx, &rx)))
		err = all_redirected(k, &d, tx, rx, detail, room);
	duo_close(&d);
	return err;
}

/* Messages of many sizes, both ways at once, the reader a few messages behind. */
static int case_order(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, rx = 0, tx_read = 0, rx_read = 0;
	struct duo d;
	struct pair p;
	uint32_t seed = 1;
	int err;

	k->ctl.max_outstanding = 1 << 18;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET6, detail, room)))
		return err;
	for (int i = 0; i < 400 && !err; i++) {
		seed = seed * 1664525u + 1013904223u;
		if ((err = stream_write(d.client, 1 + (seed >> 19), &tx)) ||
		    (err = stream_write(d.server, 1 + (seed >> 21 & 0x3ff), &rx)))
			break;
		if (i % 7 == 6 && !(err = stream_read(d.server, tx - tx_read, &tx_read)))
			err = stream_read(d.client, rx - rx_read, &rx_read);
	}
	if (!err && !(err = stream_read(d.server, tx - tx_read, &tx_read)))
		err = stream_read(d.client, rx - rx_read, &rx_read);
	if (err)
		SAY("at byte %llu, %llu: %s", (unsigned long long)tx_read, (unsigned long long)rx_read,
		    err == -EILSEQ ? "wrong order" : strerror(-err));
	else if (duo_pair(k, &d, &p) || p.end[0].bytes < 100000 || p.end[1].bytes < 100000)
		err = all_redirected(k, &d, tx, rx, detail, room);
	duo_close(&d);
	return err;
}

/* The first bytes overtake the pairing: they go by the stack, what follows must not pass them. */
static int case_order_defer(struct kit *k, char *detail, size_t room)
{
	struct duo_opts o = {.defer = true};
	uint64_t tx = 0, got = 0, rx = 0;
	struct pollfd p;
	struct duo d;
	int err = duo_open(&d, &o);

	(void)k;
	if (err)
		return err;
	if (!(err = stream_write(d.client, 4, &tx))) {
		p = (struct pollfd){.fd = d.listener, .events = POLLIN};
		poll(&p, 1, 1000);
		if (!(err = stream_write(d.client, 5000, &tx)) && !(err = duo_accept(&d)) &&
		    !(err = stream_read(d.server, tx, &got)))
			err = round_trips(&d, 3, 300, &tx, &rx);
	}
	if (err == -EILSEQ)
		SAY("later bytes were read before the first ones, at %llu", (unsigned long long)got);
	duo_close(&d);
	return err;
}

/* Redirected, stack, and back while the reader is asleep in between; then the way back after it has read all. */
static int case_order_switch(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, got = 0, rx = 0, redirected;
	struct duo d;
	struct pair p;
	int err;

	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	err = stream_write(d.client, 3000, &tx);
	k->ctl.flags |= CTL_KILL;
	kit_ctl(k);
	if (!err)
		err = stream_write(d.client, 3000, &tx);
	k->ctl.flags &= ~CTL_KILL;
	kit_ctl(k);
	if (!err && !(err = stream_write(d.client, 3000, &tx)) && readable(d.server, 1000))
		err = stream_read(d.server, tx, &got);
	if (err == -EILSEQ)
		SAY("wrong order at byte %llu", (unsigned long long)got);
	if (!err && !duo_pair(k, &d, &p) && p.end[0].bytes != 3000) {
		SAY("redirected %llu bytes, should be 3000", (unsigned long long)p.end[0].bytes);
		err = -EPROTO;
	}
	redirected = p.end[0].bytes;
	if (!err && !(err = round_trips(&d, 2, 100, &tx, &rx)))
		err = all_redirected(k, &d, redirected + 100, 200, detail, room);
	duo_close(&d);
	return err;
}

/* A reader that sleeps: what is redirected stays below the cap, then TCP's own limits stop the writer. */
static int case_backpressure(struct kit *k, char *detail, size_t room)
{
	static uint8_t buf[32768];
	uint64_t tx = 0, got = 0;
	struct duo d;
	struct pair p;
	int err;

	k->ctl.max_outstanding = 1 << 18;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	while (tx < FULL_BYTES) {
		ssize_t n;

		stream_fill(buf, sizeof(buf), tx);
		n = send(d.client, buf, sizeof(buf), MSG_NOSIGNAL);
		if (n < 0)
			break;
		tx += n;
	}
	if (tx >= FULL_BYTES) {
		SAY("the writer never stopped: %llu bytes unread", (unsigned long long)tx);
		err = -ENOBUFS;
	} else if (duo_pair(k, &d, &p) || p.end[0].bytes > k->ctl.max_outstanding) {
		SAY("%llu redirected bytes unread, the cap is %u", (unsigned long long)p.end[0].bytes,
		    k->ctl.max_outstanding);
		err = -ENOBUFS;
	} else if (!p.end[0].bytes) {
		SAY("nothing was redirected");
		err = -EPROTO;
	} else if ((err = stream_read(d.server, tx, &got)) == -EILSEQ) {
		SAY("wrong order at byte %llu", (unsigned long long)got);
	}
	duo_close(&d);
	return err;
}

static int eof(int fd)
{
	char c;

	if (!readable(fd, 1000))
		return -ETIMEDOUT;
	return recv(fd, &c, 1, 0) == 0 ? 0 : -EPROTO;
}

/* close() behind redirected bytes: all of them, then the end. */
static int case_fin(struct kit *k, char *detail, size_t room)
{
	struct duo d;
	int err = 0;

	for (int i = 0; i < 10 && !err; i++) {
		uint64_t tx = 0, got = 0;

		if ((err = open_paired(k, &d, AF_INET, detail, room)))
			return err;
		err = stream_write(d.client, 100000, &tx);
		close(d.client);
		d.client = -1;
		if (!err && (err = stream_read(d.server, tx, &got)))
			SAY("%llu of %llu bytes before the end", (unsigned long long)got, (unsigned long long)tx);
		if (!err && (err = eof(d.server)))
			SAY("no end of file after the last byte");
		duo_close(&d);
	}
	return err;
}

/* shutdown(SHUT_WR): the other direction goes on, and a later write is EPIPE. */
static int case_half_close(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, got = 0, rx = 0, back = 0;
	struct duo d;
	ssize_t n;
	int err;

	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	err = stream_write(d.client, 300, &tx);
	shutdown(d.client, SHUT_WR);
	n = send(d.client, "x", 1, MSG_NOSIGNAL);
	if (n >= 0 || errno != EPIPE) {
		SAY("write after shutdown: %s", n >= 0 ? "accepted" : strerror(errno));
		err = -EPROTO;
	}
	if (!err && !(err = stream_read(d.server, tx, &got)) && (err = eof(d.server)))
		SAY("no end of file after shutdown");
	if (!err && !(err = stream_write(d.server, 50000, &rx)))
		err = stream_read(d.client, rx, &back);
	duo_close(&d);
	return err;
}

/* The count of redirected bytes that wait: wrong before 2026. */
static int case_fionread(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, got = 0;
	int inq = -1, left = -1, err;
	struct duo d;

	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if (!(err = stream_write(d.client, 700, &tx)) && !ioctl(d.server, FIONREAD, &inq))
		err = stream_read(d.server, 600, &got);
	if (!err && !ioctl(d.server, FIONREAD, &left) && (inq != 700 || left != 100)) {
		SAY("says %d and %d, 700 and 100 bytes wait", inq, left);
		err = -EPROTO;
	}
	if (!err)
		err = all_redirected(k, &d, tx, 0, detail, room);
	duo_close(&d);
	return err;
}

/* MSG_PEEK, poll and edge-triggered epoll on redirected bytes. */
static int look(const struct duo *d, int ep, size_t n, char *detail, size_t room)
{
	struct epoll_event ev;
	uint8_t buf[4096];
	int got;

	if (epoll_wait(ep, &ev, 1, 1000) != 1 || epoll_wait(ep, &ev, 1, 0) != 0) {
		SAY("edge-triggered epoll: not exactly one event");
		return -EPROTO;
	}
	got = recv(d->server, buf, sizeof(buf), MSG_PEEK);
	if (got != (int)n) {
		SAY("MSG_PEEK got %d of %zu", got, n);
		return -EPROTO;
	}
	return 0;
}

static int case_look(struct kit *k, char *detail, size_t room)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(EPOLL_CLOEXEC), err;
	uint64_t tx = 0, got = 0;
	struct duo d;

	if (ep < 0 || (err = open_paired(k, &d, AF_INET, detail, room))) {
		if (ep < 0)
			return -errno;
		close(ep);
		return err;
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, d.server, &ev);
	for (int i = 0; i < 3 && !err; i++) {
		if ((err = stream_write(d.client, 700, &tx)) || (err = look(&d, ep, 700, detail, room)) ||
		    (err = stream_read(d.server, 700, &got)))
			break;
		if (readable(d.server, 0)) {
			SAY("poll says readable, nothing is there");
			err = -EPROTO;
		}
	}
	if (!err)
		err = all_redirected(k, &d, tx, 0, detail, room);
	close(ep);
	duo_close(&d);
	return err;
}

/* What needs a promise: a reader that did not give it is never redirected to. */
static int case_splice_rule(struct kit *k, char *detail, size_t room)
{
	struct duo_opts o = {0};
	uint64_t tx = 0, rx = 0;
	struct duo d;
	struct pair p;
	int err;

	k->ctl.flags &= ~CTL_NO_SPLICE;
	kit_ctl(k);
	if ((err = duo_open(&d, &o)))
		return err;
	err = round_trips(&d, 3, 100, &tx, &rx);
	if (!err && !duo_pair(k, &d, &p)) {
		SAY("paired though no reader promised not to splice");
		err = -EPROTO;
	}
	duo_close(&d);
	return err;
}

/* In a process of its own: where this fails the kernel does not come back from splice(). */
static int case_splice(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0;
	int pipefd[2], status = -1, err;
	struct duo d;
	pid_t pid;

	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if ((err = stream_write(d.client, 5, &tx)) || pipe2(pipefd, O_CLOEXEC)) {
		duo_close(&d);
		return err ? err : -errno;
	}
	if (!(pid = fork()))
		_exit(splice(d.server, NULL, pipefd[1], NULL, 4096, SPLICE_F_NONBLOCK) != 5);
	if (pid < 0)
		err = -errno;
	else if (readable(pipefd[0], 150)) {
		waitpid(pid, &status, 0);
	} else {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (!err && status) {
		SAY(WIFSIGNALED(status) ? "splice() does not return" : "splice() misses redirected bytes");
		err = -EPROTO;
	}
	close(pipefd[0]);
	close(pipefd[1]);
	duo_close(&d);
	return err;
}

/* A bulk sender leaves the map in the middle of its stream; what was redirected before is still read, in order. */
static int leave_by_bulk(struct kit *k, struct duo *d, uint64_t *tx, uint64_t *got, struct pair *p)
{
	int err = 0;

	for (int i = 0; i < 200 && !err; i++) {
		if (!(err = stream_write(d->client, 20000, tx)) && i > 3)
			err = stream_read(d->server, 20000, got);
		if (!err && (err = duo_pair(k, d, p)))
			return err;
		if (p->end[0].flags & END_LEFT)
			return 0;
	}
	return err ? err : -ETIMEDOUT;
}

static int case_leave(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, got = 0, rx = 0;
	struct duo d;
	struct pair p = {0};
	int inq = -1, err;

	k->ctl.flags |= CTL_LEAVE_MAP;
	k->ctl.max_outstanding = 30000;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if ((err = leave_by_bulk(k, &d, &tx, &got, &p)))
		SAY("did not leave: %s", strerror(-err));
	else if (!p.end[0].bytes)
		err = all_redirected(k, &d, 1, 0, detail, room);
	else if ((err = stream_read(d.server, tx - got, &got)))
		SAY("the reader, at byte %llu: %s", (unsigned long long)got, strerror(-err));
	/* The socket that left reads as any other: count, peek, poll, bytes. */
	if (!err && !(err = stream_write(d.server, 900, &rx)) &&
	    (!readable(d.client, 1000) || ioctl(d.client, FIONREAD, &inq) || inq != 900)) {
		SAY("FIONREAD after leaving says %d, 900 bytes wait", inq);
		err = -EPROTO;
	}
	rx = 0;
	if (!err && (err = stream_read(d.client, 900, &rx)))
		SAY("reads after leaving: %s", strerror(-err));
	duo_close(&d);
	return err;
}

/* A socket that was redirected to leaves when its queue is empty, and reads on: copied_seq was wrong before 2026. */
static int case_leave_reader(struct kit *k, char *detail, size_t room)
{
	uint64_t tx = 0, got = 0, rx = 0, back = 0;
	struct duo d;
	struct pair p = {0};
	int err;

	k->ctl.flags |= CTL_LEAVE_MAP;
	k->ctl.max_outstanding = 30000;
	kit_ctl(k);
	if ((err = open_paired(k, &d, AF_INET, detail, room)))
		return err;
	if (!(err = round_trips(&d, 5, 2000, &rx, &tx))) {
		back = rx;
		got = tx;
		/* The server streams; a request of the client now and then is the verdict that says nothing is under way. */
		for (int i = 1; i < 60 && !err && !(p.end[1].flags & END_LEFT); i++) {
			if (!(err = stream_write(d.server, 20000, &tx)))
				err = stream_read(d.client, 20000, &got);
			if (!err && i % 12 == 0 && !(err = stream_write(d.client, 10, &rx)))
				err = stream_read(d.server, 10, &back);
			if (!err)
				err = duo_pair(k, &d, &p);
		}
	}
	if (!err && !(p.end[1].flags & END_LEFT)) {
		SAY("did not leave");
		err = -ETIMEDOUT;
	}
	if (!err && (err = round_trips(&d, 3, 5000, &rx, &tx)))
		SAY("after leaving: %s", strerror(-err));
	duo_close(&d);
	return err;
}

/* Who accepts is told what was dialled, in place of the kernel's own answer. */
static int original(struct kit *k, int family, char *detail, size_t room)
{
	struct origin vip = {.service = 1, .vip_port = htons(80)};
	struct duo_opts o = {.family = family, .dialled = &vip, .flow_map = k->map[KIT_FLOW]};
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} told = {0};
	bool six = family == AF_INET6, right;
	socklen_t len = sizeof(told);
	struct duo d;
	int err;

	inet_pton(AF_INET6, six ? "2001:db8::60" : "::ffff:192.0.2.60", &vip.vip);
	if ((err = duo_open(&d, &o))) {
		SAY("connect over loopback: %s", strerror(-err));
		return err;
	}
	err = getsockopt(d.server, six ? IPPROTO_IPV6 : IPPROTO_IP, SO_ORIGINAL_DST, &told, &len) ? -errno : 0;
	right = six ? told.v6.sin6_port == vip.vip_port && !memcmp(&told.v6.sin6_addr, &vip.vip, 16)
		    : told.v4.sin_port == vip.vip_port && told.v4.sin_addr.s_addr == vip.vip.w[3];
	if (err) {
		SAY("SO_ORIGINAL_DST says: %s", strerror(-err));
	} else if (!right) {
		SAY("SO_ORIGINAL_DST tells something else than was dialled");
		err = -EPROTO;
	}
	duo_close(&d);
	return err;
}

static bool has_ipv6(void)
{
	int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool has = s >= 0 && !bind(s, (void *)&a, sizeof(a));

	if (s >= 0)
		close(s);
	return has;
}

static int case_original(struct kit *k, char *detail, size_t room)
{
	int err;

	if (!k->capture) {
		SAY("the programs cannot be loaded here");
		return 1;
	}
	err = original(k, AF_INET, detail, room);
	return err || !has_ipv6() ? err : original(k, AF_INET6, detail, room);
}

const struct selftest_case selftest_cases[] = {
	{"credit-count", SELFTEST_RESTRICTING, case_credit_count},
	{"credit-empty", SELFTEST_RESTRICTING, case_credit_empty},
	{"pair", SELFTEST_FATAL, case_pair},
	{"order", SELFTEST_FATAL, case_order},
	{"order-defer-accept", SELFTEST_FATAL, case_order_defer},
	{"order-switch", SELFTEST_FATAL, case_order_switch},
	{"backpressure", SELFTEST_FATAL, case_backpressure},
	{"fin", SELFTEST_FATAL, case_fin},
	{"half-close", SELFTEST_FATAL, case_half_close},
	{"fionread", SELFTEST_FATAL, case_fionread},
	{"look", SELFTEST_FATAL, case_look},
	{"splice-rule", SELFTEST_FATAL, case_splice_rule},
	{"leave", SELFTEST_RESTRICTING, case_leave},
	{"leave-reader", SELFTEST_RESTRICTING, case_leave_reader},
	{"splice", SELFTEST_RESTRICTING, case_splice},
	{"original-destination", SELFTEST_ROUTES, case_original},
};
const size_t selftest_ncases = sizeof(selftest_cases) / sizeof(selftest_cases[0]);
_Static_assert(sizeof(selftest_cases) / sizeof(selftest_cases[0]) <= SELFTEST_CASES_MAX, "");
