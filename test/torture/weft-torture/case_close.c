// SPDX-License-Identifier: Apache-2.0
/* Ends of connections: whatever was written before is read, and then what TCP says. */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends(struct rig *r, int fd, int want, const char *who)
{
	int err = stream_end(fd);

	return err == want ? 0
			   : fault(r, -EPROTO, "%s: %s instead of %s", who,
				   err ? strerror(-err) : "end of file",
				   want ? strerror(-want) : "end of file");
}

static void shut(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Either side first; the other direction goes on, and a write after shutdown() is EPIPE. */
static int half(struct rig *r, bool client)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	err = client ? up(r, &w, 30000) : down(r, &w, 30000);
	if (!err)
		err = shutdown(client ? w.c : w.s, SHUT_WR) ? fault(r, -errno, "shutdown") : 0;
	if (!err && (send(client ? w.c : w.s, "x", 1, MSG_NOSIGNAL) >= 0 || errno != EPIPE))
		err = fault(r, -EPROTO, "write after shutdown is not EPIPE");
	if (!err && !(err = drain(r, &w)))
		err = ends(r, client ? w.s : w.c, 0, "after shutdown of the other end");
	for (int i = 0; i < 20 && !err; i++)
		if (!(err = client ? down(r, &w, 7000) : up(r, &w, 7000)) && i % 4 == 3)
			err = drain(r, &w);
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

static int case_half_close(struct rig *r)
{
	int err = half(r, true);

	return err ? err : half(r, false);
}

/*
 * The client shuts down, the server answers and closes, and only then does the client read: as with
 * nc -N.
 */
static int case_answer_after_half_close(struct rig *r)
{
	struct wire w;
	int err = 0;

	for (int i = 0; i < 20 && !err; i++) {
		if ((err = wire_open(r, &w, NULL)))
			return err;
		if ((err = up(r, &w, 500)))
			break;
		shutdown(w.c, SHUT_WR);
		if (!(err = up_got(r, &w, 500)) && !(err = ends(r, w.s, 0, "server")) &&
		    !(err = down(r, &w, 1 + i * 5000)) && !(err = want_all(r, &w))) {
			shut(&w.s);
			poll(NULL, 0, i % 4 * 5);
			if (!(err = down_got(r, &w, w.down.off)))
				err = ends(r, w.c, 0, "client");
		}
		wire_close(&w);
	}
	return err;
}

/* close() right behind what was written; redirected, by the stack, or both. */
static int case_fin_in_flight(struct rig *r)
{
	struct wire w;
	int err = 0;

	for (int i = 0; i < 60 && !err; i++) {
		size_t n = 1 + draw(&r->seed) % 200000, m = i % 3 ? 1 + draw(&r->seed) % 200000 : 0;

		if ((err = wire_open(r, &w, NULL)))
			return err;
		err = up(r, &w, n);
		if (m) {
			books_flags(&r->books, CTL_KILL, 0);
			err = err ? err : up(r, &w, m);
			books_flags(&r->books, 0, CTL_KILL);
		}
		shut(&w.c);
		if (!err && !(err = up_got(r, &w, n + m)))
			err = ends(r, w.s, 0, "server");
		wire_close(&w);
	}
	return err ? err : reason_atleast(r, REASON_ACCEL_HALF, 20);
}

static void abort_close(int *fd)
{
	struct linger l = {.l_onoff = 1};

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	shut(fd);
}

/* RST: what came before it is still read, then ECONNRESET; writes fail. */
static int case_rst(struct rig *r)
{
	struct wire w;
	int err = 0;

	for (int i = 0; i < 20 && !err; i++) {
		if ((err = wire_open(r, &w, NULL)))
			return err;
		if ((err = trips(r, &w, 2, 3000)) || (i & 1 && (err = up(r, &w, 5000))) ||
		    (err = want_all(r, &w)))
			break;
		abort_close(&w.c);
		if (!ready(w.s, POLLERR | POLLHUP, PATIENCE_MS))
			err = fault(r, -ETIMEDOUT, "the reset is not seen");
		if (!err && i & 1)
			err = up_got(r, &w, 5000);
		if (!err)
			err = ends(r, w.s, -ECONNRESET, "server");
		if (!err && (send(w.s, "x", 1, MSG_NOSIGNAL) >= 0 || errno != EPIPE))
			err = fault(r, -EPROTO, "write after the reset is not EPIPE");
		wire_close(&w);
	}
	return err;
}

struct sleeper {
	int fd;
	ssize_t got;
	int err;
};

static void *sleep_in_recv(void *arg)
{
	struct sleeper *s = arg;
	char buf[100];

	/*
	 * A reader woken for nothing gets EAGAIN once: a listed difference. The next call says what
	 * happened.
	 */
	for (int i = 0; i < 2; i++) {
		s->got = recv(s->fd, buf, sizeof(buf), 0);
		s->err = s->got < 0 ? errno : 0;
		if (s->err != EAGAIN)
			break;
	}
	return NULL;
}

/* A reader asleep in recv() learns of FIN and RST. */
static int asleep(struct rig *r, bool reset)
{
	struct sleeper s;
	struct wire w;
	pthread_t t;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	if (!(err = trips(r, &w, 2, 300))) {
		s = (struct sleeper){.fd = w.s};
		blocking(w.s);
		pthread_create(&t, NULL, sleep_in_recv, &s);
		poll(NULL, 0, 20);
		if (reset)
			abort_close(&w.c);
		else
			shut(&w.c);
		pthread_join(t, NULL);
		if (reset ? s.got != -1 || s.err != ECONNRESET : s.got != 0)
			err = fault(r, -EPROTO, "recv() came back with %zd, %s", s.got,
				    strerror(s.err));
	}
	wire_close(&w);
	return err;
}

static int case_asleep(struct rig *r)
{
	int err = asleep(r, false);

	return err ? err : asleep(r, true);
}

/*
 * A listed difference: closing with unread redirected bytes gives the peer a clean end; with stack
 * bytes, a reset.
 */
static int case_close_unread(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	if (!(err = up(r, &w, 5000)) && !(err = down(r, &w, 3000)) && !(err = want_all(r, &w))) {
		shut(&w.s);
		if (!(err = down_got(r, &w, 3000)))
			err = ends(r, w.c, 0, "unread redirected bytes");
	}
	wire_close(&w);
	if (err || (err = wire_open(r, &w, NULL)))
		return err;
	books_flags(&r->books, CTL_KILL, 0);
	err = up(r, &w, 5000);
	books_flags(&r->books, 0, CTL_KILL);
	if (!err && ready(w.s, POLLIN, PATIENCE_MS) && !(err = down(r, &w, 3000))) {
		shut(&w.s);
		if (!ready(w.c, POLLERR | POLLHUP, PATIENCE_MS))
			err = fault(r, -ETIMEDOUT, "no reset for unread stack bytes");
		if (!err && !(err = down_got(r, &w, 3000)))
			err = ends(r, w.c, -ECONNRESET, "unread stack bytes");
	}
	wire_close(&w);
	return err;
}

/*
 * Writing to a peer that has closed: some writes may pass, then EPIPE or ECONNRESET, as with TCP.
 */
static int case_write_to_closed(struct rig *r)
{
	uint64_t until;
	struct wire w;
	int err = 0;

	for (int i = 0; i < 10 && !err; i++) {
		ssize_t n = 0;

		if ((err = wire_open(r, &w, NULL)) || (err = trips(r, &w, 2, 3000)) ||
		    (err = want_all(r, &w)))
			break;
		shut(&w.s);
		until = now_ms() + PATIENCE_MS;
		while (n >= 0 && now_ms() < until) {
			n = send(w.c, "x", 1, MSG_NOSIGNAL);
			poll(NULL, 0, 1);
		}
		if (n >= 0)
			err = fault(r, -ETIMEDOUT, "writes to a closed peer never fail");
		else if (errno != EPIPE && errno != ECONNRESET)
			err = fault(r, -errno, "write to a closed peer");
		wire_close(&w);
	}
	return err;
}

/*
 * shutdown(SHUT_RD): the reader gets what is there and then the end; the other direction goes on.
 */
static int case_shutdown_read(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	if (!(err = trips(r, &w, 2, 3000)) && !(err = up(r, &w, 700))) {
		shutdown(w.s, SHUT_RD);
		if (!(err = up_got(r, &w, 700)) &&
		    !(err = ends(r, w.s, 0, "reader that shut down")) &&
		    !(err = down(r, &w, 9000)) && !(err = down_got(r, &w, 9000)))
			err = want_all(r, &w);
	}
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case close_cases[] = {
	CASE("half-close", case_half_close, ON_ALL, "shutdown(SHUT_WR) of either end"),
	CASE("half-close-answer", case_answer_after_half_close, ON_ALL,
	     "the answer and FIN come before the half-closed end reads"),
	CASE("fin-in-flight", case_fin_in_flight, ON_ALL,
	     "close() behind redirected and stack bytes"),
	CASE("rst", case_rst, ON_ALL, "reset with and without unread bytes"),
	CASE("asleep", case_asleep, ON_TWO, "a reader asleep in recv() wakes for FIN and RST"),
	CASE("close-unread", case_close_unread, ON_TWO, "close() with unread bytes"),
	CASE("write-to-closed", case_write_to_closed, ON_TWO,
	     "writes to a peer that has gone fail"),
	CASE("shutdown-read", case_shutdown_read, ON_TWO, "shutdown(SHUT_RD)"),
	{.name = NULL},
};
/* clang-format on */
