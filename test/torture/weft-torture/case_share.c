// SPDX-License-Identifier: Apache-2.0
/* Sockets that several threads and processes share. */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* dup() and close() of one descriptor change nothing; the last close() ends it. */
static int case_dup(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 20 && !err; i++) {
		int old = i & 1 ? w.s : w.c, new = dup(old);

		if ((err = up(r, &w, 5000)))
			break;
		close(old);
		*(i & 1 ? &w.s : &w.c) = new;
		if (!(err = drain(r, &w)))
			err = trips(r, &w, 2, 5000);
	}
	if (!err && !(err = want_all(r, &w))) {
		close(w.c);
		w.c = -1;
		if ((err = stream_end(w.s)))
			fault(r, err, "no end after the last close()");
	}
	wire_close(&w);
	return err;
}

/* The child says its part of the stream and ends. */
static int child_says(struct rig *r, struct wire *w, size_t n)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		close(w->s);
		_exit(stream_say(w->c, &w->up, n, 0) != 0);
	}
	waitpid(pid, &status, 0);
	w->up.off += n;
	return status ? fault(r, -EPROTO, "the child could not write") : 0;
}

/* Parent and children take turns; a child that ends takes nothing along. */
static int case_fork(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 20 && !err; i++)
		if (!(err = up(r, &w, 3000)) && !(err = child_says(r, &w, 4000)) &&
		    !(err = up(r, &w, 100)) && !(err = drain(r, &w)) && !(err = down(r, &w, 10)))
			err = drain(r, &w);
	if (!err && !(err = want_all(r, &w))) {
		pid_t pid = fork();

		/*
		 * The child holds both ends while the parent closes the client's: no end of file
		 * before the child ends.
		 */
		if (!pid) {
			poll(NULL, 0, 100);
			_exit(stream_say(w.c, &w.up, 700, 0) != 0);
		}
		close(w.c);
		w.c = -1;
		if (ready(w.s, POLLIN, 20))
			err = fault(r, -EPROTO,
				    "readable though the child still holds the other end");
		w.up.off += 700;
		if (!err && !(err = up_got(r, &w, 700)) && (err = stream_end(w.s)))
			fault(r, err, "no end after the child");
		waitpid(pid, NULL, 0);
	}
	wire_close(&w);
	return err;
}

#define NWRITERS 6
#define MESSAGE	 6000
/*
 * Unread redirected bytes <= cap + writers x one message, and twice the cap where writers that never
 * pause keep the path from changing (HOLD_CAPS of bpf/lib/ratchet.h).
 */
#define HOLD_CAPS 2

/*
 * Several writers of one socket: their messages may interleave anyhow, their own order may not
 * change. The top three bits of each byte say whose it is, the other five are a function of its
 * place in what that one wrote.
 */
struct writer {
	pthread_t thread;
	int fd, id;
	uint64_t total;
	int err;
};

static uint8_t writer_byte(int id, uint64_t off)
{
	return id << 5 | (mix64(off * NWRITERS + id) & 31);
}

static void *write_all(void *arg)
{
	struct writer *w = arg;
	uint64_t off = 0, state = w->id;
	uint8_t buf[MESSAGE];

	while (off < w->total && !w->err) {
		size_t n = 1 + draw(&state) % MESSAGE;
		ssize_t sent;

		for (size_t i = 0; i < n; i++)
			buf[i] = writer_byte(w->id, off + i);
		sent = send(w->fd, buf, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			if (!ready(w->fd, POLLOUT, PATIENCE_MS))
				w->err = -ETIMEDOUT;
			continue;
		}
		if (sent < 0)
			w->err = -errno;
		else
			off += sent;
	}
	w->total = off;
	return NULL;
}

static int take_apart(struct rig *r, const uint8_t *buf, size_t n, uint64_t seen[])
{
	for (size_t i = 0; i < n; i++) {
		int id = buf[i] >> 5;

		if (id >= NWRITERS || buf[i] != writer_byte(id, seen[id]))
			return fault(r, -EILSEQ, "byte %llu of writer %d",
				     (unsigned long long)seen[id], id);
		seen[id]++;
	}
	return 0;
}

static int bound(const struct rig *r)
{
	return HOLD_CAPS * r->ctl.max_outstanding + NWRITERS * MESSAGE;
}

/*
 * Reads n bytes; between reads looks at what waits: redirected bytes beyond the bound are the end
 * of the invariant.
 */
static int read_bounded(struct rig *r, struct wire *w, uint64_t n, uint64_t seen[], int *most)
{
	static uint8_t buf[65536];
	int waiting, err;

	while (n) {
		ssize_t got = recv(w->s, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN) {
			if (!ready(w->s, POLLIN, PATIENCE_MS))
				return fault(r, -ETIMEDOUT, "reader");
			continue;
		}
		if (got <= 0)
			return fault(r, got ? -errno : -ENODATA, "reader");
		if ((err = take_apart(r, buf, got, seen)))
			return err;
		n -= got;
		if (!ioctl(w->s, FIONREAD, &waiting) && waiting > *most)
			*most = waiting;
		if (*most > bound(r))
			return fault(r, -ENOBUFS, "%d redirected bytes wait, the bound is %d",
				     *most, bound(r));
	}
	return 0;
}

static int case_several_writers(struct rig *r)
{
	uint64_t total = (r->whole ? 64u : 4u) << 20, seen[NWRITERS] = {0}, left = 0;
	struct writer writer[NWRITERS];
	int err, most = 0, waiting = 0;
	struct wire w;
	struct pair p;

	if ((err = wire_open(r, &w, NULL)))
		return err;
	for (int i = 0; i < NWRITERS; i++) {
		writer[i] = (struct writer){.fd = w.c, .id = i, .total = total};
		pthread_create(&writer[i].thread, NULL, write_all, &writer[i]);
	}
	/* The reader sleeps until the writers stand still; what waits then is bounded. */
	poll(NULL, 0, 200);
	if (ioctl(w.s, FIONREAD, &waiting) || waiting > bound(r))
		err = fault(r, -ENOBUFS, "%d redirected bytes wait for a sleeping reader, not %d",
			    waiting, bound(r));
	left = NWRITERS * total;
	for (int naps = 0; left && !err; naps++) {
		/* Small parts turn the path often, large ones let the writers stand still. */
		uint64_t part = 1 + draw(&r->seed) % (naps % 8 ? 100 << 10 : 3 << 20);

		part = part < left ? part : left;
		if ((err = read_bounded(r, &w, part, seen, &most)))
			break;
		left -= part;
		if ((err = down(r, &w, 1)) || (err = down_got(r, &w, 1)))
			break;
		if (naps < 10)
			poll(NULL, 0, 10);
	}
	shutdown(w.s, err ? SHUT_RDWR : SHUT_WR);
	for (int i = 0; i < NWRITERS; i++) {
		if (err)
			shutdown(w.c, SHUT_RDWR);
		pthread_join(writer[i].thread, NULL);
		if (!err && writer[i].err)
			err = fault(r, writer[i].err, "writer %d", i);
	}
	printf("  at most %d bytes waited in one queue, the cap is %u\n",
	       most > waiting ? most : waiting, r->ctl.max_outstanding);
	if (!err && !(err = pair_of(r, &w, &p)) && !p.end[0].bytes)
		err = fault(r, -EPROTO, "nothing was redirected");
	wire_close(&w);
	return err;
}

struct taker {
	pthread_t thread;
	int fd;
	struct rig *r;
	uint64_t bytes;
	uint64_t sum; /* of what it read: readers share the bytes in any way */
	int err;
};

static void *take(void *arg)
{
	struct taker *t = arg;
	uint8_t buf[3000];

	for (;;) {
		ssize_t n = recv(t->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			continue; /* woken for nothing: a listed difference */
		if (n <= 0) {
			t->err = n ? -errno : 0;
			return NULL;
		}
		t->bytes += n;
		for (ssize_t i = 0; i < n; i++)
			t->sum += mix64(buf[i]);
	}
}

/*
 * Several threads asleep in recv() on one socket: each byte is read once, and all of them wake at
 * the end.
 */
static int case_several_readers(struct rig *r)
{
	struct taker taker[3];
	uint64_t bytes = 0, sum = 0, want = 0;
	struct wire w;
	struct pair p;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	blocking(w.s);
	for (int i = 0; i < 3; i++) {
		taker[i] = (struct taker){.fd = w.s, .r = r};
		pthread_create(&taker[i].thread, NULL, take, &taker[i]);
	}
	for (int i = 0; i < 400 && !err; i++) {
		uint8_t buf[9000];
		size_t n = 1 + draw(&r->seed) % sizeof(buf);

		stream_bytes(&w.up, w.up.off, buf, n);
		for (size_t k = 0; k < n; k++)
			want += mix64(buf[k]);
		err = up(r, &w, n);
		if (i % 50 == 49)
			poll(NULL, 0, 5);
	}
	shutdown(w.c, SHUT_WR);
	for (int i = 0; i < 3; i++) {
		pthread_join(taker[i].thread, NULL);
		bytes += taker[i].bytes;
		sum += taker[i].sum;
		if (!err && taker[i].err)
			err = fault(r, taker[i].err, "reader %d", i);
	}
	if (!err && (bytes != w.up.off || sum != want))
		err = fault(r, -EILSEQ, "%llu bytes read of %llu", (unsigned long long)bytes,
			    (unsigned long long)w.up.off);
	/* Nobody answers, so the credit ends at the cap. */
	if (!err && !(err = pair_of(r, &w, &p)) && !p.end[0].bytes)
		err = fault(r, -EPROTO, "nothing was redirected");
	wire_close(&w);
	return err;
}

struct waiter {
	int fd;
	uint8_t buf[2000];
	ssize_t got;
};

static void *wait_all(void *arg)
{
	struct waiter *w = arg;

	w->got = recv(w->fd, w->buf, sizeof(w->buf), MSG_WAITALL);
	return NULL;
}

/*
 * A thread that got half of what it waits for sleeps on the TCP queue alone. While it does, its
 * neighbour's words must not bring the peer back to redirecting: it would never see those bytes.
 */
static int case_waiter(struct rig *r)
{
	struct waiter wait = {0};
	pthread_t t;
	struct wire w;
	int err = wire_open(r, &w, NULL), left = 1;

	if (err)
		return err;
	wait.fd = w.s;
	blocking(w.s);
	books_flags(&r->books, CTL_KILL, 0);
	if (!(err = up(r, &w, 1000))) {
		if (!ready(w.s, POLLIN, PATIENCE_MS))
			err = fault(r, -ETIMEDOUT, "stack bytes");
		pthread_create(&t, NULL, wait_all, &wait);
		while (left && !ioctl(w.s, FIONREAD, &left))
			poll(NULL, 0, 1);
		poll(NULL, 0, 10);
		books_flags(&r->books, 0, CTL_KILL);
		if (!err && !(err = down(r, &w, 10)) && !(err = down_got(r, &w, 10)))
			err = up(r, &w, 1000);
		pthread_join(t, NULL);
		if (!err && wait.got != sizeof(wait.buf))
			err = fault(r, -EPROTO, "recv(MSG_WAITALL) got %zd of 2000", wait.got);
		if (!err && (err = stream_check(&w.up_got, wait.buf, sizeof(wait.buf))))
			fault(r, err, "recv(MSG_WAITALL)");
	}
	books_flags(&r->books, 0, CTL_KILL);
	/* Now that nobody waits the direction comes back. */
	if (!err && !(err = trips(r, &w, 4, 1000)))
		err = want_both(r, &w);
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case share_cases[] = {
	CASE("dup", case_dup, ON_TWO, "dup() and close() in the middle"),
	CASE("fork", case_fork, ON_TWO, "parent and children write in turns"),
	CASE("waiter", case_waiter, ON_TWO, "recv(MSG_WAITALL) in one thread, send() in another"),
	CASE("several-writers", case_several_writers, ON_TWO,
	     "the credit's bound and each writer's order", .limit_long_s = 300),
	CASE("several-readers", case_several_readers, ON_TWO,
	     "threads asleep in recv() on one socket"),
	{.name = NULL},
};
/* clang-format on */
