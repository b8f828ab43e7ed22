// SPDX-License-Identifier: Apache-2.0
#include "swarm.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NTHREADS    4
#define MOST	    (256u << 10)
#define WINDOW	    4
#define TURN_BYTES  (1u << 20)	/* what one end may move before another's turn comes */
#define PACED_BYTES (32u << 10) /* the same in a swarm that pauses */
#define STILL_MS    15000	/* an end that does not move for so long hangs, */
#define STILL_LAPS  100		/* unless the machine is so busy that the threads had no turn */

struct end {
	int fd;
	enum swarm_pattern pattern;
	bool client, dirty, done;
	struct stream *out, *in;
	uint64_t out_sizes, in_sizes; /* states of the sequences of sizes; both ends know both */
	uint32_t out_left, in_left;   /* of the message under way */
	_Atomic uint32_t out_n, in_n; /* whole messages */
	_Atomic uint64_t moved;	      /* bytes, for the watch */
	uint64_t seen, seen_ms;
	unsigned seen_laps;
	int err;
};

struct crew {
	pthread_t thread;
	struct swarm *s;
	struct end *end;
	unsigned nends;
	int ep;
	_Atomic unsigned rounds;
	unsigned seen_rounds;
};

struct swarm_priv {
	struct end *end; /* [0, n) clients, [n, 2n) servers */
	struct crew crew[NTHREADS];
	atomic_bool stop, quit;
	unsigned laps; /* of the slowest thread, as watched */
};

static uint32_t size_of(struct end *e, uint64_t *state)
{
	uint64_t x = draw(state);
	unsigned bits = x % (e->pattern == SWARM_SMALL ? 12 : 19);

	if (x >> 58 == 0 && e->pattern != SWARM_SMALL)
		return MOST;
	return 1 + (x >> 8) % (1u << bits);
}

static bool may_start(const struct swarm *s, const struct end *e)
{
	if (s->messages ? e->out_n >= s->messages : atomic_load(&s->priv->stop))
		return false;
	switch (e->pattern) {
	case SWARM_TURNS:
	case SWARM_SMALL: return e->client ? e->out_n == e->in_n : e->out_n < e->in_n;
	case SWARM_WINDOW: return e->client ? e->out_n < e->in_n + WINDOW : e->out_n < e->in_n;
	default: return true;
	}
}

/* 1 moved, 0 cannot now, or an error. */
static int end_send(const struct swarm *s, struct end *e, uint8_t *buf)
{
	ssize_t n;

	if (!e->out_left) {
		if (!may_start(s, e))
			return 0;
		e->out_left = size_of(e, &e->out_sizes);
	}
	stream_bytes(e->out, e->out->off, buf, e->out_left);
	n = send(e->fd, buf, e->out_left, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	e->out->off += n;
	e->out_left -= n;
	e->moved += n;
	if (!e->out_left)
		e->out_n++;
	return 1;
}

/* Messages end somewhere in what was read. */
static void end_count(struct end *e, size_t n)
{
	while (n) {
		size_t part;

		if (!e->in_left)
			e->in_left = size_of(e, &e->in_sizes);
		part = n < e->in_left ? n : e->in_left;
		e->in_left -= part;
		n -= part;
		if (!e->in_left)
			e->in_n++;
	}
}

static int end_recv(struct end *e, uint8_t *buf, uint64_t *lens)
{
	size_t room = draw(lens) % 8 ? MOST : 1 + draw(lens) % 5000;
	ssize_t n = recv(e->fd, buf, room, MSG_DONTWAIT);
	int err;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n)
		return -ENODATA;
	if ((err = stream_check(e->in, buf, n)))
		return err;
	end_count(e, n);
	e->moved += n;
	return 1;
}

static void end_turn(const struct swarm *s, struct end *e, uint8_t *buf, uint64_t *lens)
{
	uint64_t until = e->moved + (s->pause_us ? PACED_BYTES : TURN_BYTES);
	int in = 1, out = 1;

	while ((in > 0 || out > 0) && e->moved < until) {
		if ((in = end_recv(e, buf, lens)) < 0 || (out = end_send(s, e, buf)) < 0) {
			e->err = in < 0 ? in : out;
			e->done = true;
			return;
		}
	}
	e->dirty = in > 0 || out > 0;
}

static void *crew_run(void *arg)
{
	struct crew *c = arg;
	struct swarm *s = c->s;
	uint8_t *buf = malloc(MOST);
	uint64_t lens = (uintptr_t)c;
	struct epoll_event ev[64];
	bool more = true;

	while (!atomic_load(&s->priv->quit)) {
		int n = epoll_wait(c->ep, ev, 64, more ? 0 : 50);

		for (int i = 0; i < n; i++)
			((struct end *)ev[i].data.ptr)->dirty = true;
		more = false;
		for (unsigned i = 0; i < c->nends; i++) {
			struct end *e = &c->end[i];

			if (!e->dirty || e->done)
				continue;
			end_turn(s, e, buf, &lens);
			more |= e->dirty;
		}
		c->rounds++;
		if (s->pause_us)
			usleep(s->pause_us);
	}
	free(buf);
	return NULL;
}

int swarm_open(struct rig *r, struct swarm *s)
{
	int err = 0;

	s->wire = calloc(s->nwires, sizeof(*s->wire));
	s->priv = calloc(1, sizeof(*s->priv));
	s->priv->end = calloc(2 * s->nwires, sizeof(*s->priv->end));
	for (unsigned i = 0; i < s->nwires; i++)
		s->wire[i] = (struct wire){.listener = -1, .c = -1, .s = -1};
	for (unsigned i = 0; i < s->nwires && !err; i++) {
		struct wire *w = &s->wire[i];

		if ((err = wire_open(r, w, NULL)))
			break;
		close(w->listener);
		w->listener = -1;
	}
	return err;
}

static void end_init(struct swarm *s, unsigned i, bool client)
{
	struct wire *w = &s->wire[i];
	struct end *e = &s->priv->end[client ? i : s->nwires + i];

	*e = (struct end){.fd = client ? w->c : w->s,
			  .client = client,
			  .dirty = true,
			  .pattern = i % SWARM_PATTERNS,
			  .out = client ? &w->up : &w->down,
			  .in = client ? &w->down_got : &w->up_got};
	e->out_sizes = e->out->seed;
	e->in_sizes = e->in->seed;
	e->seen_ms = now_ms();
}

int swarm_start(struct rig *r, struct swarm *s)
{
	struct swarm_priv *p = s->priv;
	unsigned total = 2 * s->nwires, from = 0;

	for (unsigned i = 0; i < s->nwires; i++) {
		end_init(s, i, true);
		end_init(s, i, false);
	}
	for (int t = 0; t < NTHREADS; t++) {
		struct crew *c = &p->crew[t];
		unsigned to = (t + 1) * total / NTHREADS;

		*c = (struct crew){.s = s,
				   .end = p->end + from,
				   .nends = to - from,
				   .ep = epoll_create1(EPOLL_CLOEXEC)};
		for (unsigned i = 0; i < c->nends; i++) {
			struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
						 .data.ptr = &c->end[i]};

			if (epoll_ctl(c->ep, EPOLL_CTL_ADD, c->end[i].fd, &ev))
				return fault(r, -errno, "epoll");
		}
		from = to;
	}
	for (int t = 0; t < NTHREADS; t++)
		pthread_create(&p->crew[t].thread, NULL, crew_run, &p->crew[t]);
	return 0;
}

void swarm_stop(struct swarm *s)
{
	atomic_store(&s->priv->stop, true);
}

static bool complete(const struct swarm *s, unsigned i)
{
	const struct end *c = &s->priv->end[i], *v = &s->priv->end[s->nwires + i];

	if (s->messages)
		return c->in_n == s->messages && v->in_n == s->messages;
	return atomic_load(&s->priv->stop) && !c->out_left && !v->out_left && !c->in_left &&
	       !v->in_left && c->out_n == v->in_n && v->out_n == c->in_n;
}

/* Where the bytes are that do not arrive. */
static void end_show(const struct end *e, const char *who)
{
	struct pollfd p = {.fd = e->fd, .events = POLLIN | POLLOUT | POLLRDHUP};
	int in = -1, out = -1;

	poll(&p, 1, 0);
	ioctl(e->fd, FIONREAD, &in);
	ioctl(e->fd, SIOCOUTQ, &out);
	printf("  %s: said %llu (%u messages, %u left), heard %llu (%u, %u left), FIONREAD %d, "
	       "SIOCOUTQ %d, poll %#x, %s\n",
	       who, (unsigned long long)e->out->off, e->out_n, e->out_left,
	       (unsigned long long)e->in->off, e->in_n, e->in_left, in, out, p.revents,
	       e->dirty ? "to be served" : "waits for an event");
}

static void pair_show(const struct rig *r, const struct wire *w)
{
	struct pair p;

	if (books_pair(&r->books, w->cookie, &p)) {
		printf("  no pair\n");
		return;
	}
	for (int i = 0; i < 2; i++)
		printf("  end %d: %llu bytes in %u messages redirected, state %u, flags %#x, "
		       "reason %s, "
		       "run %u, read_seq %u, credit %llx\n",
		       i, (unsigned long long)p.end[i].bytes, p.end[i].msgs, p.end[i].state,
		       p.end[i].flags, reason_label(p.end[i].reason), p.end[i].run,
		       p.end[i].read_seq, (unsigned long long)p.end[i].credit);
}

static int end_fault(struct rig *r, const struct swarm *s, const struct end *e, unsigned i)
{
	end_show(&s->priv->end[i], "client");
	end_show(&s->priv->end[s->nwires + i], "server");
	pair_show(r, &s->wire[i]);
	return fault(r, e->err, "connection %u, pattern %d, %s: byte %llu", i, e->pattern,
		     e->client ? "client" : "server",
		     (unsigned long long)(e->err == -EILSEQ ? e->in->wrong : e->in->off));
}

/* One lap more when every thread has had a turn since the last. */
static unsigned laps(struct swarm_priv *p)
{
	for (int t = 0; t < NTHREADS; t++)
		if (p->crew[t].rounds == p->crew[t].seen_rounds)
			return p->laps;
	for (int t = 0; t < NTHREADS; t++)
		p->crew[t].seen_rounds = p->crew[t].rounds;
	return ++p->laps;
}

int swarm_watch(struct rig *r, struct swarm *s)
{
	unsigned lap = laps(s->priv);
	uint64_t now = now_ms();

	for (unsigned i = 0; i < 2 * s->nwires; i++) {
		struct end *e = &s->priv->end[i];

		if (e->err)
			return end_fault(r, s, e, i % s->nwires);
		if (e->moved != e->seen || complete(s, i % s->nwires)) {
			e->seen = e->moved;
			e->seen_ms = now;
			e->seen_laps = lap;
		} else if (now > e->seen_ms + STILL_MS && lap > e->seen_laps + STILL_LAPS) {
			e->err = -ETIMEDOUT;
			return end_fault(r, s, e, i % s->nwires);
		}
	}
	return 0;
}

static bool all_complete(const struct swarm *s)
{
	for (unsigned i = 0; i < s->nwires; i++)
		if (!complete(s, i))
			return false;
	return true;
}

int swarm_wait(struct rig *r, struct swarm *s)
{
	int err = 0;

	while (!err && !all_complete(s)) {
		poll(NULL, 0, 20);
		err = swarm_watch(r, s);
	}
	atomic_store(&s->priv->quit, true);
	for (int t = 0; t < NTHREADS; t++) {
		pthread_join(s->priv->crew[t].thread, NULL);
		close(s->priv->crew[t].ep);
	}
	for (unsigned i = 0; i < s->nwires && !err; i++)
		if (s->wire[i].up.off != s->wire[i].up_got.off ||
		    s->wire[i].down.off != s->wire[i].down_got.off)
			err = fault(r, -EPROTO, "connection %u: not all heard", i);
	return err;
}

void swarm_close(struct swarm *s)
{
	for (unsigned i = 0; s->wire && i < s->nwires; i++)
		wire_close(&s->wire[i]);
	free(s->priv ? s->priv->end : NULL);
	free(s->priv);
	free(s->wire);
	s->wire = NULL;
	s->priv = NULL;
}

uint64_t swarm_messages(const struct swarm *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 2 * s->nwires; i++)
		n += s->priv->end[i].in_n;
	return n;
}

static bool takes_turns(unsigned i)
{
	return i % SWARM_PATTERNS == SWARM_TURNS || i % SWARM_PATTERNS == SWARM_SMALL;
}

static int share(struct rig *r, struct swarm *s, bool strict)
{
	uint64_t bytes = 0, redirected = 0;
	int err = 0;

	for (unsigned i = 0; i < s->nwires; i++) {
		const struct wire *w = &s->wire[i];
		struct pair p = {0};
		int bad = pair_of(r, w, &p);

		bytes += w->up.off + w->down.off;
		redirected += p.end[0].bytes + p.end[1].bytes;
		if (!bad && strict && takes_turns(i))
			bad = want_all(r, w);
		else if (!bad && !p.end[0].bytes && !p.end[1].bytes)
			bad = fault(r, -EPROTO, "connection %u: nothing redirected", i);
		err = err ? err : bad;
	}
	printf("  %llu messages, %llu MiB, %.1f %% of the bytes redirected\n",
	       (unsigned long long)swarm_messages(s), (unsigned long long)(bytes >> 20),
	       bytes ? 100.0 * redirected / bytes : 0);
	return err;
}

int swarm_accelerated(struct rig *r, struct swarm *s)
{
	return share(r, s, s->messages);
}

int swarm_accelerates(struct rig *r, struct swarm *s)
{
	struct pair *before = calloc(s->nwires, sizeof(*before));
	uint64_t until = now_ms() + STILL_MS;
	unsigned last = laps(s->priv) + STILL_LAPS;
	int err = 0;

	for (unsigned i = 0; i < s->nwires; i++)
		books_pair(&r->books, s->wire[i].cookie, &before[i]);
	for (unsigned i = 0; i < s->nwires && !err; i++) {
		struct pair p = {0};

		while (takes_turns(i) && !(err = swarm_watch(r, s))) {
			books_pair(&r->books, s->wire[i].cookie, &p);
			if (p.end[0].bytes > before[i].end[0].bytes &&
			    p.end[1].bytes > before[i].end[1].bytes)
				break;
			if (now_ms() > until && s->priv->laps > last) {
				pair_show(r, &s->wire[i]);
				err = fault(r, -ETIMEDOUT, "connection %u redirects no more", i);
				break;
			}
			poll(NULL, 0, 5);
		}
	}
	free(before);
	return err;
}
