/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doors.h"


#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/netns.h"
#include "base/clock.h"
#include "model/fact.h"
#include "net/addr.h"
#include "net/sock.h"
#include "weft/log.h"
#include "weft/str.h"

#define RETRY_NS (2 * SEC)
#define RESTEER_NS (50 * MSEC)
#define SPARE_MAX 8192                          /* of a proxy: its word is not trusted */
#define BACKLOG 4096                            /* cut by net.core.somaxconn; what waits while the proxy is started again */

STAT_DEFINE(doors_stat, "listeners", DOORS_STATS);

static bool place_eq(const struct door_place *a, const struct door_place *b)
{
	return a->netns == b->netns && addr_eq(&a->addr, &b->addr) && a->udp == b->udp && a->transparent == b->transparent;
}

static struct door_place place_of(const struct listener *f)
{
	return (struct door_place){
		.netns = f->netns,
		.addr = { f->ip, f->port },
		.udp = slice_eq_str(f->protocol, "udp"),
		.transparent = f->capture == CAPTURE_TPROXY,
	};
}

/* ---- one socket --------------------------------------------------------------------------------------------- */

static int socket_here(const struct door_place *p, bool shared)
{
	struct sock_options o = { .reuse_port = shared, .transparent = p->transparent, .v6_only = true, .nodelay = !p->udp };

	return p->udp ? sock_udp(&p->addr, &o) : sock_listen(&p->addr, &o, BACKLOG);
}

static int socket_open(const struct doors *d, const struct door_place *p, bool shared)
{
	int netns, back, fd;

	if (!p->netns)
		return socket_here(p, shared);
	netns = d->netns ? d->netns(d->arg, p->netns) : -ENOENT;
	fd = netns < 0 ? netns : netns_enter(netns, &back);
	if (fd < 0)
		return fd;
	fd = socket_here(p, shared);
	netns_leave(back);
	return fd;
}

/*
 * Another daemon of the same user that shares its port (SO_REUSEPORT) would go unnoticed and take a part of the
 * connections: one socket that shares nothing finds it. Not when weft itself has the port, at another address.
 */
static int probe(const struct doors *d, const struct door_place *p)
{
	int fd;

	for (size_t i = 0; i < d->all.n; i++) {
		const struct door *o = d->all.v[i];

		if (o->n && o->place.netns == p->netns && o->place.udp == p->udp && o->place.addr.port == p->addr.port)
			return 0;
	}
	fd = socket_open(d, p, false);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* Bound and given back at once. Where weft has the port at another address, as much as can be known beside that. */
static int try_place(const struct doors *d, const struct door_place *p)
{
	int err = probe(d, p), fd;

	if (err)
		return err;
	fd = socket_open(d, p, true);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int spare_claim(struct doors *d, const struct door_place *p, unsigned index)
{
	for (size_t i = 0; i < d->spare.n; i++) {
		int fd = d->spare.v[i].fd;

		if (d->spare.v[i].index != index || !place_eq(&d->spare.v[i].place, p))
			continue;
		vec_remove_swap(&d->spare, i);
		return fd;
	}
	return -1;
}

static void spare_close(struct doors *d)
{
	for (size_t i = 0; i < d->spare.n; i++)
		close(d->spare.v[i].fd);
	vec_clear(&d->spare);
}

/* ---- one door ----------------------------------------------------------------------------------------------- */

static void door_spare_all(struct doors *d, struct door *x)
{
	for (unsigned i = 0; i < x->n; i++)
		vec_push(&d->spare, (struct door_spare){ x->place, i, x->fds[i] });
	x->n = 0;
	x->steered = x->was_open = false;
}

static void door_free(struct door *x)
{
	for (unsigned i = 0; i < x->n; i++)
		close(x->fds[i]);
	free(x->name);
	free(x->where);
	free(x);
}

static const struct door *taken_by(const struct doors *d, const struct door *x)
{
	for (size_t i = 0; i < d->all.n; i++) {
		const struct door *o = d->all.v[i];

		if (o != x && o->n && o->place.netns == x->place.netns && o->place.udp == x->place.udp && addr_eq(&o->place.addr, &x->place.addr))
			return o;
	}
	return NULL;
}

static void door_refused(struct doors *d, struct door *x, int err, const char *why)
{
	char at[ADDR_TEXT_MAX];

	stat_add(&d->stat.refused, 1);
	if (x->err == err && !strcmp(x->why, why))
		return;
	x->err = err;
	snprintf(x->why, sizeof(x->why), "%s", why);
	log_error(x->name, "%s: cannot listen on %s %s: %s; it is tried again", x->where, x->place.udp ? "udp" : "tcp",
		  addr_text(&x->place.addr, at), why);
}

static int door_fill(struct doors *d, struct door *x)
{
	for (unsigned i = x->n; i < d->workers; i++) {
		int fd = spare_claim(d, &x->place, i);

		if (fd < 0 && !i) {
			int err = probe(d, &x->place);

			if (err)
				return err;
		}
		if (fd < 0)
			fd = socket_open(d, &x->place, true);
		if (fd < 0)
			return fd;
		stat_add(&d->stat.opened, 1);
		x->fds[x->n++] = fd;
		child_socket(d->child, slice_str(x->name), i, fd);
	}
	return 0;
}

static void resteer(struct timer *t);

/* Datagrams stay with the hash: it keeps a client on its worker. So does who has one worker, or sockets of more of them. */
static void door_steer(struct doors *d, struct door *x)
{
	struct err e = { 0 };

	if (x->steered || x->place.udp || x->n < 2 || x->n != d->workers)
		return;
	x->steered = !steering_attach(d->steer, x->fds, x->n, &e);
	if (x->steered)
		return;
	if (e.code == -EBUSY) {
		timer_arm(d->loop, &d->resteer, RESTEER_NS, resteer, d);
		return;
	}
	stat_add(&d->stat.hashed, 1);
	log_debug(x->name, "the kernel's hash chooses the worker: %s", err_text(&e));
}

static void door_open(struct doors *d, struct door *x)
{
	const struct door *other = taken_by(d, x);
	char words[256], at[ADDR_TEXT_MAX];
	int err;

	if (!d->workers || x->n >= d->workers)
		return;
	if (other) {
		snprintf(words, sizeof(words), "listener %s has this address", other->name);
		door_refused(d, x, -EADDRINUSE, words);
		return;
	}
	err = door_fill(d, x);
	if (err) {
		door_refused(d, x, err, strerror(-err));
		return;
	}
	door_steer(d, x);
	if (x->err)
		log_info(x->name, "now listens on %s %s", x->place.udp ? "udp" : "tcp", addr_text(&x->place.addr, at));
	x->err = 0;
	x->why[0] = '\0';
}

/* ---- all of them -------------------------------------------------------------------------------------------- */

static struct door *find(const struct doors *d, struct slice name)
{
	for (size_t i = 0; i < d->all.n; i++) {
		if (slice_eq_str(name, d->all.v[i]->name))
			return d->all.v[i];
	}
	return NULL;
}

const struct door *doors_find(const struct doors *d, struct slice name)
{
	return find(d, name);
}

static bool has_place(const struct doors *d, const struct door_place *p)
{
	for (size_t i = 0; i < d->all.n; i++) {
		if (place_eq(&d->all.v[i]->place, p))
			return true;
	}
	return false;
}

bool doors_would_open(const struct doors *d, const struct listener *f, char *why, size_t size)
{
	struct door_place place = place_of(f);
	char at[ADDR_TEXT_MAX];
	int err;

	/* What is tried again for longer is no news of this configuration. */
	if (!d->workers || f->socketless || place.netns || has_place(d, &place))
		return true;
	err = try_place(d, &place);
	if (err)
		snprintf(why, size, "cannot listen on %s %s: %s", place.udp ? "udp" : "tcp", addr_text(&place.addr, at),
			 strerror(-err));
	return !err;
}

static void want(struct doors *d, const struct listener *f)
{
	struct fact_mark m = fact_mark(&f->fact);
	struct door_place place = place_of(f);
	struct door *x = find(d, f->name);
	char where[256];

	if (!x) {
		x = mem_alloc(sizeof(*x));
		x->name = mem_dup(f->name.p, f->name.n);
		vec_push(&d->all, x);
	}
	if (x->n && !place_eq(&x->place, &place))
		door_spare_all(d, x);
	if (!place_eq(&x->place, &place))
		x->err = 0;
	x->place = place;
	x->wanted = true;
	free(x->where);
	x->where = mem_str(fact_mark_name(&m, where, sizeof(where)));
}

static void drop_unwanted(struct doors *d)
{
	for (size_t i = d->all.n; i-- > 0;) {
		struct door *x = d->all.v[i];

		if (x->wanted)
			continue;
		door_spare_all(d, x);
		door_free(x);
		vec_remove_swap(&d->all, i);
	}
}

static void retry(struct timer *t);

static void open_all(struct doors *d)
{
	uint64_t listening = 0, closed = 0;
	bool changed = false;

	for (size_t i = 0; i < d->all.n; i++) {
		door_open(d, d->all.v[i]);
		listening += d->all.v[i]->n > 0;
		closed += d->all.v[i]->err != 0;
		changed |= d->all.v[i]->was_open != (d->all.v[i]->n > 0);
		d->all.v[i]->was_open = d->all.v[i]->n > 0;
	}
	stat_set(&d->stat.listening, listening);
	stat_set(&d->stat.closed, closed);
	if (closed)
		timer_arm(d->loop, &d->retry, RETRY_NS, retry, d);
	else
		timer_disarm(d->loop, &d->retry);
	if (changed && d->changed)
		d->changed(d->arg);
}

static void retry(struct timer *t)
{
	open_all(t->arg);
}

static void resteer(struct timer *t)
{
	struct doors *d = t->arg;

	for (size_t i = 0; i < d->all.n; i++)
		door_steer(d, d->all.v[i]);
}

/* What becomes free is taken by whoever wants the same place: a listener that is renamed loses no connection. */
void doors_sync(struct doors *d, const struct snapshot *s)
{
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);

	for (size_t i = 0; i < d->all.n; i++)
		d->all.v[i]->wanted = false;
	for (size_t i = 0; i < set.n; i++) {
		if (!((const struct listener *)set.v[i])->socketless)
			want(d, (const struct listener *)set.v[i]);
	}
	drop_unwanted(d);
	open_all(d);
	if (d->workers)
		spare_close(d);
}

void doors_workers(struct doors *d, unsigned n, const struct snapshot *s)
{
	if (!n)
		return;
	if (n > WORKERS_MAX)
		n = WORKERS_MAX;
	if (n > d->workers)
		d->workers = n;
	if (s)
		doors_sync(d, s);
}

void doors_give_all(struct doors *d)
{
	for (size_t i = 0; i < d->all.n; i++) {
		const struct door *x = d->all.v[i];

		for (unsigned k = 0; k < x->n; k++)
			child_socket(d->child, slice_str(x->name), k, x->fds[k]);
	}
}

static int socket_place(int fd, uint64_t own, struct door_place *out)
{
	int type = 0, listens = 0, transparent = 0;
	socklen_t n = sizeof(int);
	int err = sock_local(fd, &out->addr);

	if (err)
		return err;
	/* Before Linux 5.14 there are no others than ours. */
	if (netns_cookie_of(fd, &out->netns) || out->netns == own)
		out->netns = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n))
		return -errno;
	out->udp = type == SOCK_DGRAM;
	if (!out->udp && !listens)
		return -EINVAL;
	if (addr_is_v4(&out->addr.ip))
		getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &transparent, &n);
	else
		getsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &transparent, &n);
	out->transparent = transparent;
	return 0;
}

void doors_take(struct doors *d, unsigned index, int take_fd)
{
	struct door_spare s = { .index = index, .fd = take_fd };

	if (index >= WORKERS_MAX || d->spare.n >= SPARE_MAX || socket_place(take_fd, d->own_netns, &s.place)) {
		close(take_fd);
		return;
	}
	stat_add(&d->stat.taken_over, 1);
	vec_push(&d->spare, s);
}

const char *doors_health(const struct doors *d, char *out, size_t size)
{
	char at[ADDR_TEXT_MAX];

	out[0] = '\0';
	for (size_t i = 0; i < d->all.n && !out[0]; i++) {
		const struct door *x = d->all.v[i];

		/* One pod whose port somebody else has makes no node unwell. */
		if (x->err && !x->place.netns)
			snprintf(out, size, "%s (%s): %s %s: %s", x->name, x->where, x->place.udp ? "udp" : "tcp",
				 addr_text(&x->place.addr, at), x->why);
	}
	return out;
}

void doors_init(struct doors *d, struct loop *l, struct child *c, struct steering *s)
{
	*d = (struct doors){ .loop = l, .child = c, .steer = s };
	if (netns_cookie(&d->own_netns))
		d->own_netns = 0;
}

void doors_fini(struct doors *d)
{
	if (!d->loop)
		return;
	timer_disarm(d->loop, &d->retry);
	timer_disarm(d->loop, &d->resteer);
	for (size_t i = 0; i < d->all.n; i++)
		door_free(d->all.v[i]);
	spare_close(d);
	vec_fini(&d->all);
	vec_fini(&d->spare);
	d->loop = NULL;
}
