// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int fault(struct rig *r, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (r->why[0])
		return err; /* the first one is the cause */
	va_start(ap, fmt);
	n = vsnprintf(r->why, r->room, fmt, ap);
	va_end(ap);
	if (err < 0 && n >= 0 && (size_t)n < r->room)
		snprintf(r->why + n, r->room - n, " (%s)",
			 err == -EILSEQ ? "wrong byte" : strerror(-err));
	return err;
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Where the server listens; on every address of both families if not the layout's is dialled. */
static socklen_t own_address(struct rig *r, union address *a, int to, uint16_t port)
{
	const struct layout *l = r->lay;

	if (l->family == AF_INET6 || r->dial)
		return address_parse(a, "::", port);
	return address_parse(a, l->lo ? "127.0.0.1" : r->pod[to].v4, port);
}

static socklen_t dialled_address(struct rig *r, union address *a, int to, uint16_t port)
{
	const struct layout *l = r->lay;
	char mapped[64];

	if (r->dial)
		return address_parse(a, r->dial, r->dial_port ? r->dial_port : port);
	if (!strcmp(l->name, "mapped")) {
		snprintf(mapped, sizeof(mapped), "::ffff:%s", r->pod[to].v4);
		return address_parse(a, mapped, port);
	}
	if (l->family == AF_INET6)
		return address_parse(a, l->lo ? "::1" : r->pod[to].v6, port);
	return address_parse(a, l->lo ? "127.0.0.1" : r->pod[to].v4, port);
}

static int listen_at(struct rig *r, struct wire *w, int to, const struct wire_opts *o,
		     uint16_t *port)
{
	union address a;
	socklen_t len = own_address(r, &a, to, o->port ? o->port : r->port);
	int one = 1, s = pod_socket(&r->pod[to], a.sa.sa_family, o->listen_protocol);

	if (s < 0)
		return fault(r, s, "socket of the server");
	w->listener = s;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (o->listening)
		o->listening(s);
	if (bind(s, &a.sa, len) || listen(s, 512) || getsockname(s, &a.sa, &len))
		return fault(r, -errno, "listen");
	*port = address_port(&a);
	return 0;
}

static int dial(struct rig *r, struct wire *w, int from, int to, const struct wire_opts *o,
		uint16_t port)
{
	union address a, own;
	socklen_t len = dialled_address(r, &a, to, port), n = sizeof(w->cookie);
	int one = 1, err = 0;

	w->c = pod_socket(&r->pod[from], a.sa.sa_family, o->dial_protocol);
	if (w->c < 0)
		return fault(r, w->c, "socket of the client");
	setsockopt(w->c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	getsockopt(w->c, SOL_SOCKET, SO_COOKIE, &w->cookie, &n);
	if (o->client_port) {
		socklen_t own_len = address_parse(
			&own, a.sa.sa_family == AF_INET6 ? "::" : "0.0.0.0", o->client_port);

		setsockopt(w->c, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(w->c, &own.sa, own_len))
			return fault(r, -errno, "bind the client");
	}
	if (o->dialling)
		o->dialling(w->c);
	if (connect(w->c, &a.sa, len) && errno != EINPROGRESS)
		return fault(r, -errno, "connect");
	if (!ready(w->c, POLLOUT, PATIENCE_MS))
		return fault(r, -ETIMEDOUT, "connect");
	n = sizeof(err);
	getsockopt(w->c, SOL_SOCKET, SO_ERROR, &err, &n);
	return err ? fault(r, -err, "connect") : 0;
}

int wire_open(struct rig *r, struct wire *w, const struct wire_opts *o)
{
	static const struct wire_opts none;
	uint64_t seed = draw(&r->seed);
	uint16_t port = 0;
	int from, to, err;

	if (!o)
		o = &none;
	from = o->from || o->to ? o->from : r->lay->from;
	to = o->from || o->to ? o->to : r->lay->to;
	*w = (struct wire){.listener = -1, .c = -1, .s = -1};
	w->up.seed = w->up_got.seed = seed;
	w->down.seed = w->down_got.seed = mix64(seed);
	if (!(err = listen_at(r, w, to, o, &port)) && !(err = dial(r, w, from, to, o, port)) &&
	    !o->late)
		err = wire_accept(r, w);
	if (err)
		wire_close(w);
	return err;
}

int wire_accept(struct rig *r, struct wire *w)
{
	int one = 1;

	if (!ready(w->listener, POLLIN, PATIENCE_MS))
		return fault(r, -ETIMEDOUT, "accept");
	w->s = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (w->s < 0)
		return fault(r, -errno, "accept");
	setsockopt(w->s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

void wire_close(struct wire *w)
{
	int *fd[] = {&w->c, &w->s, &w->listener};

	for (int i = 0; i < 3; i++)
		if (*fd[i] >= 0) {
			close(*fd[i]);
			*fd[i] = -1;
		}
}

static int said(struct rig *r, int err, const char *who, const struct stream *s)
{
	return err ? fault(r, err, "%s at byte %llu", who,
			   (unsigned long long)(err == -EILSEQ ? s->wrong : s->off))
		   : 0;
}

int up(struct rig *r, struct wire *w, size_t n)
{
	return said(r, stream_say(w->c, &w->up, n, 0), "client writes", &w->up);
}

int up_got(struct rig *r, struct wire *w, size_t n)
{
	return said(r, stream_hear(w->s, &w->up_got, n), "server reads", &w->up_got);
}

int down(struct rig *r, struct wire *w, size_t n)
{
	return said(r, stream_say(w->s, &w->down, n, 0), "server writes", &w->down);
}

int down_got(struct rig *r, struct wire *w, size_t n)
{
	return said(r, stream_hear(w->c, &w->down_got, n), "client reads", &w->down_got);
}

int drain(struct rig *r, struct wire *w)
{
	int err = up_got(r, w, w->up.off - w->up_got.off);

	return err ? err : down_got(r, w, w->down.off - w->down_got.off);
}

int trips(struct rig *r, struct wire *w, int count, size_t most)
{
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		size_t n = 1 + draw(&r->seed) % most, m = 1 + draw(&r->seed) % most;

		if (!(err = up(r, w, n)) && !(err = up_got(r, w, n)) && !(err = down(r, w, m)))
			err = down_got(r, w, m);
	}
	return err;
}

int pair_of(struct rig *r, const struct wire *w, struct pair *p)
{
	return books_pair(&r->books, w->cookie, p) ? fault(r, -ENOENT, "the two ends are no pair")
						   : 0;
}

static int differ(struct rig *r, const struct wire *w, const struct pair *p, const char *what)
{
	return fault(r, -EPROTO, "%s: redirected %llu of %llu up (%s), %llu of %llu down (%s)",
		     what, (unsigned long long)p->end[0].bytes, (unsigned long long)w->up.off,
		     reason_label(p->end[0].reason), (unsigned long long)p->end[1].bytes,
		     (unsigned long long)w->down.off, reason_label(p->end[1].reason));
}

int want_all(struct rig *r, const struct wire *w)
{
	struct pair p;
	int err = pair_of(r, w, &p);

	if (!err && (p.end[0].bytes != w->up.off || p.end[1].bytes != w->down.off))
		err = differ(r, w, &p, "not all accelerated");
	return err;
}

int want_both(struct rig *r, const struct wire *w)
{
	struct pair p;
	int err = pair_of(r, w, &p);

	if (!err && (!p.end[0].bytes || !p.end[1].bytes))
		err = differ(r, w, &p, "not accelerated in both directions");
	return err;
}

int want_half(struct rig *r, const struct wire *w, enum pair_side reader)
{
	struct pair p;
	int err = pair_of(r, w, &p);

	if (err)
		return err;
	if (p.end[reader].bytes ||
	    p.end[!reader].bytes != (reader == SIDE_SERVER ? w->up.off : w->down.off))
		err = differ(r, w, &p,
			     reader == SIDE_SERVER ? "not upwards alone" : "not downwards alone");
	return err;
}

uint64_t counted(struct rig *r, enum reason why, uint64_t n)
{
	uint64_t until = now_ms() + 5000, seen;

	do {
		seen = books_reason(&r->books, why) - r->before[why];
		if (seen >= n)
			break;
		poll(NULL, 0, 5);
	} while (now_ms() < until);
	return seen;
}

int reason_atleast(struct rig *r, enum reason why, uint64_t n)
{
	uint64_t seen = counted(r, why, n);

	return seen >= n
		       ? 0
		       : fault(r, -EPROTO, "reason %s counted %llu times, not %llu",
			       reason_label(why), (unsigned long long)seen, (unsigned long long)n);
}

int settled(struct rig *r, unsigned pairs)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (books_count(r->books.pair) > pairs)
		if (now_ms() > until)
			return fault(r, -ETIMEDOUT, "pairs stay behind");
		else
			poll(NULL, 0, 10);
	return 0;
}

int want_refused(struct rig *r, struct wire *w, enum reason why)
{
	struct pair p;

	if (!books_pair(&r->books, w->cookie, &p))
		return differ(r, w, &p, "paired though it should be refused");
	wire_close(w);
	return reason_atleast(r, why, 1);
}

void blocking(int fd)
{
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}
