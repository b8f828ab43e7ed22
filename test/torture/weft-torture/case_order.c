// SPDX-License-Identifier: Apache-2.0
/*
 * Order and amount: bytes that take two paths must arrive as if they had taken one, and wait in
 * bounded memory.
 */
#include "rig.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1u << 20)

static int case_trips(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	if (!(err = trips(r, &w, 300, 65536)))
		err = want_all(r, &w);
	wire_close(&w);
	return err ? err : reason_atleast(r, REASON_ACCEL, 1);
}

static int case_server_first(struct rig *r)
{
	struct wire w;
	int err = 0;

	for (int i = 0; i < 20 && !err; i++) {
		if ((err = wire_open(r, &w, NULL)))
			return err;
		if (!(err = down(r, &w, 1 + i * 997)) && !(err = down_got(r, &w, 1 + i * 997)) &&
		    !(err = trips(r, &w, 5, 2000)))
			err = want_all(r, &w);
		wire_close(&w);
	}
	return err;
}

static void defer(int fd)
{
	int seconds = 5;

	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

/*
 * The server's end exists when the first bytes have come: these went by the stack, and what follows
 * while they are unread must not pass them. Once they are read and answered the direction comes
 * back.
 */
static int case_defer_accept(struct rig *r)
{
	struct wire_opts o = {.listening = defer, .late = true};
	struct wire w;
	struct pair p;
	int err = 0;

	for (int i = 0; i < 20 && !err; i++) {
		if ((err = wire_open(r, &w, &o)))
			return err;
		if (!(err = up(r, &w, 4)) && ready(w.listener, POLLIN, PATIENCE_MS) &&
		    !(err = up(r, &w, 4000 + i)) && !(err = up(r, &w, 4)) &&
		    !(err = wire_accept(r, &w)) && !(err = drain(r, &w)) &&
		    !(err = trips(r, &w, 4, 5000)) && !(err = want_both(r, &w)) &&
		    !(err = pair_of(r, &w, &p)) && p.end[0].bytes == w.up.off)
			err = fault(r, -EPROTO, "the first bytes cannot have been redirected");
		wire_close(&w);
	}
	return err;
}

/* The client writes at once, the server accepts when it likes. */
static int case_early_writer(struct rig *r)
{
	struct wire_opts o = {.late = true};
	struct wire w;
	int err = 0;

	for (int i = 0; i < 50 && !err; i++) {
		if ((err = wire_open(r, &w, &o)))
			return err;
		for (int k = 0; k < 5 && !err; k++)
			err = up(r, &w, 1 + draw(&r->seed) % 9000);
		if (!err && !(err = wire_accept(r, &w)) && !(err = drain(r, &w)) &&
		    !(err = trips(r, &w, 3, 3000)))
			err = want_both(r, &w);
		wire_close(&w);
	}
	return err;
}

/*
 * Redirected, then stack, then redirected or not, at random, with the reader up to a megabyte
 * behind.
 */
static int case_kill_switch(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 400 && !err; i++) {
		uint64_t late = w.up.off - w.up_got.off;

		books_flags(&r->books, i % 3 == 0 ? CTL_KILL : 0, i % 3 == 0 ? 0 : CTL_KILL);
		if ((err = up(r, &w, 1 + draw(&r->seed) % 20000)) ||
		    (err = down(r, &w, 1 + draw(&r->seed) % 20000)))
			break;
		if (i % 7 == 6 || late > MIB)
			err = drain(r, &w);
		else if (i % 5 == 4)
			err = up_got(r, &w, 1 + draw(&r->seed) % (late + 1));
	}
	books_flags(&r->books, 0, CTL_KILL);
	if (!err && !(err = drain(r, &w)) && !(err = trips(r, &w, 3, 1000)))
		err = want_both(r, &w);
	wire_close(&w);
	return err;
}

struct lane {
	int fd;
	struct stream *s;
	uint64_t total;
	bool say;
	int err;
	int again; /* blocking calls that came back with EAGAIN */
};

static void *lane_run(void *arg)
{
	struct lane *f = arg;
	uint64_t state = f->s->seed;

	while (f->s->off < f->total && !f->err) {
		size_t n = 1 + draw(&state) % 100000, rest = f->total - f->s->off;

		n = n < rest ? n : rest;
		f->err = f->say ? stream_say(f->fd, f->s, n, 0) : stream_hear(f->fd, f->s, n);
	}
	return NULL;
}

/*
 * The same with system calls that block. A listed difference: recv() may come back with EAGAIN when
 * the thread beside it got room to send. It must not have waited for that as long as SO_RCVTIMEO
 * says.
 */
static void *lane_block(void *arg)
{
	struct lane *f = arg;
	uint64_t state = f->s->seed;
	uint8_t *buf = malloc(100000);
	uint64_t since;

	while (f->s->off < f->total && !f->err) {
		size_t n = 1 + draw(&state) % 100000, rest = f->total - f->s->off;
		ssize_t got;

		n = n < rest ? n : rest;
		if (f->say)
			stream_bytes(f->s, f->s->off, buf, n);
		since = now_ms();
		got = f->say ? send(f->fd, buf, n, MSG_NOSIGNAL) : recv(f->fd, buf, n, 0);
		if (got < 0 && errno == EAGAIN && !f->say && now_ms() - since < PATIENCE_MS)
			f->again++;
		else if (got <= 0)
			f->err = got ? -errno : -ENODATA;
		else if (f->say)
			f->s->off += got;
		else
			f->err = stream_check(f->s, buf, got);
	}
	free(buf);
	return NULL;
}

/* Something was redirected; a bulk stream may have left the map since. */
static int want_some(struct rig *r, const struct wire *w)
{
	struct pair p;
	int err = pair_of(r, w, &p);

	return err				 ? err
	       : p.end[0].bytes + p.end[1].bytes ? 0
						 : fault(r, -EPROTO, "nothing was redirected");
}

/* Both directions at full speed, each end with a thread that writes and one that reads. */
static int duplex(struct rig *r, bool block)
{
	uint64_t total = (r->whole ? 512ull : 24ull) * MIB;
	struct wire w;
	int err = wire_open(r, &w, NULL);
	struct lane f[4] = {{w.c, &w.up, total, true, 0, 0},
			    {w.s, &w.up_got, total, false, 0, 0},
			    {w.s, &w.down, total, true, 0, 0},
			    {w.c, &w.down_got, total, false, 0, 0}};
	pthread_t t[4];

	if (err)
		return err;
	if (block) {
		blocking(w.c);
		blocking(w.s);
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, block ? lane_block : lane_run, &f[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		if (f[i].err && !err)
			err = fault(r, f[i].err, "thread %d at byte %llu", i,
				    (unsigned long long)(f[i].err == -EILSEQ ? f[i].s->wrong
									     : f[i].s->off));
	}
	if (!err)
		err = want_some(r, &w);
	wire_close(&w);
	return err;
}

static int case_both_ways(struct rig *r)
{
	return duplex(r, false);
}

static int case_both_ways_blocking(struct rig *r)
{
	return duplex(r, true);
}

/*
 * What a plain TCP connection takes from a writer whose reader sleeps: between sockets that nobody
 * short-circuits.
 */
static ssize_t plain_room(struct rig *r)
{
	struct wire_opts o = {.from = POD_UNMANAGED, .to = POD_UNMANAGED};
	struct wire w;
	ssize_t n;

	if (wire_open(r, &w, &o))
		return -1;
	n = stream_fill(w.c, &w.up, 32768, 256 * MIB, 300);
	wire_close(&w);
	return n;
}

static int case_sleeping_reader(struct rig *r)
{
	ssize_t plain = plain_room(r), n;
	struct wire w;
	struct pair p;
	int err;

	if (plain <= 0)
		return fault(r, -EPROTO, "no figure of plain TCP");
	if ((err = wire_open(r, &w, NULL)))
		return err;
	n = stream_fill(w.c, &w.up, 32768, 256 * MIB, 300);
	if (n < 0 || n > plain * 2 + r->ctl.max_outstanding)
		err = fault(r, -ENOBUFS, "took %zd bytes that nobody reads, plain TCP %zd", n,
			    plain);
	else if (!(err = pair_of(r, &w, &p)) &&
		 (p.end[0].bytes > r->ctl.max_outstanding || !p.end[0].bytes))
		err = fault(r, -ENOBUFS, "%llu redirected bytes wait, the cap is %u",
			    (unsigned long long)p.end[0].bytes, r->ctl.max_outstanding);
	if (!err && ready(w.c, POLLOUT, 0))
		err = fault(r, -EPROTO, "poll() says writable, nothing can be written");
	if (!err && !(err = drain(r, &w)))
		err = trips(r, &w, 5, 3000);
	printf("  %zd bytes until the writer stopped, %zd over plain TCP\n", n, plain);
	wire_close(&w);
	return err;
}

/*
 * A reader that talks but does not read: each word of it renews the credit, by what it has read and
 * not by what it has said.
 */
static int case_talking_reader(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL), waiting = 0;

	if (err)
		return err;
	for (int i = 0; i < 200 && !err; i++) {
		ssize_t n = stream_fill(w.c, &w.up, 20000, 100000, 0);

		if (n < 0)
			err = fault(r, n, "writer");
		else if (ioctl(w.s, FIONREAD, &waiting) || waiting > (int)r->ctl.max_outstanding)
			err = fault(r, -ENOBUFS, "%d redirected bytes wait, the cap is %u", waiting,
				    r->ctl.max_outstanding);
		else if (!(err = down(r, &w, 10)))
			err = down_got(r, &w, 10);
		/* Sometimes a little is read: so much, and no more, may come again. */
		if (!err && i % 20 == 19)
			err = up_got(r, &w, 50000);
	}
	if (!err && !(err = drain(r, &w)) && !(err = trips(r, &w, 3, 1000)))
		err = want_both(r, &w);
	wire_close(&w);
	return err;
}

struct chatter {
	struct wire *w;
	atomic_bool quit;
	int err;
};

/* The server sends small messages all the time. */
static void *chat(void *arg)
{
	struct chatter *c = arg;

	while (!atomic_load(&c->quit) && !c->err)
		c->err = stream_say(c->w->s, &c->w->down, 100, 0);
	return NULL;
}

static bool has_left(struct rig *r, const struct wire *w)
{
	struct pair p;

	return !books_pair(&r->books, w->cookie, &p) && p.end[0].flags & END_LEFT;
}

/* The client streams until its socket leaves the map, while messages are redirected to it. */
static int leave_once(struct rig *r)
{
	/* It needs the peer's next verdict, which on a busy machine may take its time. */
	const uint64_t enough = 2048ull * r->ctl.max_outstanding;
	struct wire w;
	struct chatter c = {.w = &w};
	pthread_t t;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	pthread_create(&t, NULL, chat, &c);
	while (!err && !has_left(r, &w) && w.up.off < enough) {
		ssize_t n = stream_fill(w.c, &w.up, 65536, 1 << 19, 0);

		if (n < 0)
			err = fault(r, n, "writer");
		/* One byte stays unread: the server's messages would say that all is read, and bring it back. */
		else if (w.up.off > w.up_got.off && !(err = up_got(r, &w, w.up.off - w.up_got.off - 1)))
			err = down_got(r, &w, w.down.off - w.down_got.off);
	}
	atomic_store(&c.quit, true);
	pthread_join(t, NULL);
	if (!err && c.err)
		err = fault(r, c.err, "chatter");
	if (!err && !has_left(r, &w))
		err = fault(r, -EPROTO, "does not leave the map");
	if (!err && !(err = drain(r, &w)))
		err = trips(r, &w, 5, 9000);
	wire_close(&w);
	return err;
}

static int case_leave(struct rig *r)
{
	int err = 0;

	if (!(r->ctl.flags & CTL_LEAVE_MAP)) {
		fault(r, 0, "the self-test did not allow to leave the map");
		return SKIP;
	}
	for (int i = 0; i < (r->whole ? 300 : 15) && !err; i++)
		err = leave_once(r);
	return err;
}

/* A writer that blocks in send() wakes when the reader reads, and nobody is left asleep. */
static int case_blocked_writer(struct rig *r)
{
	uint64_t total = 24ull * MIB;
	struct wire w;
	int err = wire_open(r, &w, NULL);
	struct lane f = {w.c, &w.up, total, true, 0, 0};
	pthread_t t;

	if (err)
		return err;
	pthread_create(&t, NULL, lane_run, &f);
	for (int naps = 0; w.up_got.off < total && !err; naps++) {
		uint64_t rest = total - w.up_got.off, part = 1 + draw(&r->seed) % (4 * MIB);

		poll(NULL, 0, naps < 20 ? 15 : 0);
		err = up_got(r, &w, part < rest ? part : rest);
	}
	pthread_join(t, NULL);
	if (!err && f.err)
		err = fault(r, f.err, "writer at byte %llu", (unsigned long long)w.up.off);
	if (!err && !(err = trips(r, &w, 4, 900)))
		err = want_some(r, &w);
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case order_cases[] = {
	CASE("trips", case_trips, ON_ALL, "round trips of random sizes: every byte redirected"),
	CASE("server-first", case_server_first, ON_ALL, "the server speaks first"),
	CASE("defer-accept", case_defer_accept, ON_ALL,
	     "TCP_DEFER_ACCEPT: first bytes by the stack, later ones may not pass them"),
	CASE("early-writer", case_early_writer, ON_ALL,
	     "the client writes before the server accepts"),
	CASE("kill-switch", case_kill_switch, ON_TWO, "paths change at random under unread bytes"),
	CASE("both-ways", case_both_ways, ON_TWO,
	     "four threads, both directions at full speed", .limit_s = 60, .limit_long_s = 300),
	CASE("both-ways-blocking", case_both_ways_blocking, ON_TWO,
	     "the same with system calls that block", .limit_s = 60, .limit_long_s = 300),
	CASE("sleeping-reader", case_sleeping_reader, ON_TWO,
	     "memory bounded, the writer stops, nothing is lost"),
	CASE("talking-reader", case_talking_reader, ON_TWO, "credit is renewed by reading alone"),
	CASE("leave", case_leave, ON_TWO,
	     "a stream leaves the map while bytes are redirected to it", .limit_long_s = 300),
	CASE("blocked-writer", case_blocked_writer, ON_TWO,
	     "a writer asleep in send() wakes up again and again"),
	{.name = NULL},
};
/* clang-format on */
