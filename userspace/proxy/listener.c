/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/listener.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/magic.h"
#include "base/protocols.h"
#include "base/table.h"
#include "model/routers.h"
#include "net/addr.h"
#include "net/sock.h"
#include "proxy/downstream.h"
#include "proxy/layers.h"
#include "proxy/overload.h"
#include "proxy/outbound.h"
#include "proxy/stock.h"
#include "proxy/tcp.h"
#include "proxy/udp.h"
#include "weft/log.h"

#define listener_use_MAGIC 0x115e4e5u
#define ACCEPTS 64                              /* of one socket at one go: other work of the loop goes on */
#define PAUSE_FULL_NS (20 * MSEC)               /* another worker's connection may end, of which nobody tells */
#define PAUSE_STARVED_NS (100 * MSEC)
#define OPEN_MS 10000                           /* PROXY header and TLS handshake */

struct listeners {
	struct worker *worker;
	struct steer_cell *cell;                /* NULL: nobody asks */
	uint32_t open;                          /* connections, of every listener */
	struct table by_name;
};

static void http_accepted(struct listener_use *u, const struct arrival *take_a)
{
	downstream_open(u->worker, u, take_a);
}

/* Who gets a listener's connections. datagrams: by socket instead of by connection. */
static const struct protocol {
	const char *name;
	bool dispatched;                        /* also those that another listener accepted */
	void (*accepted)(struct listener_use *u, const struct arrival *take_a);
	int (*datagrams)(struct listener_socket *s);
	void (*datagrams_end)(struct listener_socket *s);
} kinds[] = {
	{ "http", true, http_accepted, NULL, NULL },
	{ "http-proxy", false, http_accepted, NULL, NULL },
	{ "tcp", true, tcp_accepted, NULL, NULL },
	{ "udp", false, NULL, udp_start, udp_stop },
}, rpc = { "", true, http_accepted, NULL, NULL }, dispatching = { "", false, outbound_accepted, NULL, NULL };

static const struct protocol *protocol_of(const struct listener *conf)
{
	if (conf && conf->dispatch)
		return &dispatching;
	for (size_t i = 0; conf && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (slice_eq_str(conf->protocol, kinds[i].name))
			return &kinds[i];
	}
	return conf && (slice_eq_str(conf->protocol, "auto") || protocol_rpc(conf->protocol)) ? &rpc : NULL;
}

/* ---- shared by workers -------------------------------------------------------------------------------------- */

struct listener_shared *listener_shared_new(void)
{
	struct listener_shared *s = aligned_alloc(64, sizeof(*s));

	assert_always(s);
	memset(s, 0, sizeof(*s));
	atomic_init(&s->refs, 1);
	return s;
}

struct listener_shared *listener_shared_hold(struct listener_shared *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void listener_shared_drop(struct listener_shared *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		free(s);
}

/* ---- what the kernel chooses workers by ----------------------------------------------------------------------- */

static void steer_count(struct listeners *l, int n)
{
	l->open += n;
	if (l->cell)
		__atomic_store_n(&l->cell->open, l->open, __ATOMIC_RELAXED);
}

/* Nothing waits: what was given is open, or gone. */
static void steer_settle(struct listeners *l)
{
	if (l->cell)
		__atomic_store_n(&l->cell->base, __atomic_load_n(&l->cell->given, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

void listeners_ran(struct listeners *l)
{
	int cpu = l->cell ? sched_getcpu() : -1;

	if (cpu >= 0 && l->cell->cpu != (uint32_t)cpu + 1)
		__atomic_store_n(&l->cell->cpu, (uint32_t)cpu + 1, __ATOMIC_RELAXED);
}

struct steer_letter {
	struct letter letter;
	struct worker *worker;
	struct steer_cell *cell;
};

static void steered(struct letter *x)
{
	struct steer_letter *m = container_of(x, struct steer_letter, letter);
	struct listeners *l = m->worker->listeners;

	if (l) {
		l->cell = m->cell;
		steer_count(l, 0);
		steer_settle(l);
	}
	free(m);
}

void listeners_steer(struct worker *w, struct steer_cell *cell)
{
	struct steer_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	m->cell = cell;
	mailbox_post(&w->thread.mail, &m->letter, steered);
}

/* ---- accepting ---------------------------------------------------------------------------------------------- */

static void accept_all(struct listener_socket *s);
static void go_on(struct loop_deferred *d);
static void give_back(struct listener_use *u);
static void use_end(struct listener_use *u);

static void resume(struct timer *t)
{
	struct listener_use *u = CAST(listener_use, t->arg);

	for (size_t i = 0; i < u->sockets.n; i++)
		accept_all(u->sockets.v[i]);
}

static void pause_for(struct listener_use *u, uint64_t ns, _Atomic uint64_t *counter)
{
	if (timer_armed(&u->pause))
		return;
	stat_add(counter, 1);
	timer_arm(&u->worker->thread.loop, &u->pause, ns, resume, u);
}

/* Of its connections, when the socket says it for all: port 0 where it does not. */
static struct net_addr local_of(const struct listener_socket *s)
{
	const struct listener *f = s->use->conf;

	return f && f->capture == CAPTURE_NONE && !f->netns ? s->local : (struct net_addr){ 0 };
}

/* What waits stays in the backlog: of a listener that is full, and of a process that has no descriptor left. */
static void accept_all(struct listener_socket *s)
{
	struct listener_use *u = s->use;
	const struct protocol *p = protocol_of(u->conf);

	for (int i = 0; i < ACCEPTS; i++) {
		struct arrival a = { .netns = u->conf ? u->conf->netns : 0, .local = local_of(s) };

		if (timer_armed(&u->pause) || !s->io.active)
			return;
		if (!listener_admits(u)) {
			pause_for(u, PAUSE_FULL_NS, &u->stat->held);
			return;
		}
		if (!listener_enter(u)) {
			pause_for(u, PAUSE_FULL_NS, &u->stat->full);
			return;
		}
		a.fd = overload_fd(u->worker->overload, sock_accept(s->fd, &a.remote));
		if (a.fd >= 0) {
			stat_add(&u->stat->accepted, p != &dispatching);
			p->accepted(u, &a);
			continue;
		}
		give_back(u);
		if (a.fd == -EAGAIN) {
			steer_settle(u->worker->listeners);
			return;
		}
		if (a.fd != -ECONNABORTED && a.fd != -EINTR)
			pause_for(u, PAUSE_STARVED_NS, &u->stat->starved);
	}
	loop_defer(&u->worker->thread.loop, &s->more, go_on);
}

static void go_on(struct loop_deferred *d)
{
	accept_all(container_of(d, struct listener_socket, more));
}

static void on_ready(struct loop_io *io, unsigned events)
{
	(void)events;
	accept_all(io->arg);
}

/* ---- connections -------------------------------------------------------------------------------------------- */

bool listener_admits(const struct listener_use *u)
{
	const struct worker *w = u->worker;

	return !w->hold && !(w->overload && overload_full(w->overload));
}

/* Of the listener alone. */
static bool enter_here(struct listener_use *u)
{
	uint32_t max = u->conf ? u->conf->max_connections : 1;
	uint32_t before = atomic_fetch_add_explicit(&u->shared->open, 1, memory_order_relaxed);

	if (max && before >= max) {
		atomic_fetch_sub_explicit(&u->shared->open, 1, memory_order_relaxed);
		return false;
	}
	u->users++;
	stat_set(&u->stat->open, u->users);
	stat_set(&u->stat->busiest, u->users);
	steer_count(u->worker->listeners, 1);
	return true;
}

bool listener_enter(struct listener_use *u)
{
	struct overload *o = u->worker->overload;

	if (o && !overload_enter(o))
		return false;
	if (enter_here(u))
		return true;
	if (o)
		overload_leave(o);
	return false;
}

static void leave_here(struct listener_use *u)
{
	assert_always(u->users);
	u->users--;
	steer_count(u->worker->listeners, -1);
	atomic_fetch_sub_explicit(&u->shared->open, 1, memory_order_relaxed);
	stat_set(&u->stat->open, u->users);
	stat_set(&u->stat->busiest, u->users);
}

static void give_back(struct listener_use *u)
{
	leave_here(u);
	if (u->worker->overload)
		overload_leave(u->worker->overload);
}

/* There is a place, and a descriptor, again. */
static void left(struct listener_use *u)
{
	if (timer_armed(&u->pause))
		timer_arm(&u->worker->thread.loop, &u->pause, 0, resume, u);
	use_end(u);
}

bool listener_move(struct listener_use *u, struct listener_use *to)
{
	if (!enter_here(to))
		return false;
	leave_here(u);
	left(u);
	return true;
}

void listener_leave(struct listener_use *u)
{
	give_back(u);
	left(u);
}

struct listener_use *listeners_find(struct worker *w, struct slice name)
{
	return table_get(&w->listeners->by_name, name);
}

bool listener_takes_others(const struct listener_use *u)
{
	const struct protocol *p = protocol_of(u->conf);

	return p && p->dispatched;
}

void listener_deliver(struct listener_use *u, const struct arrival *take_a)
{
	stat_add(&u->stat->accepted, 1);
	protocol_of(u->conf)->accepted(u, take_a);
}

/* With tproxy the socket's own address is what was dialled. */
static void learn_original(struct conn *c, const struct listener *f, const struct arrival *a)
{
	c->peer->netns = a->netns;
	if (a->original.port)
		c->peer->original = a->original;
	else if (f->capture == CAPTURE_EBPF || f->capture == CAPTURE_REDIRECT)
		sock_original(a->fd, &c->peer->original);
}

int listener_conn_open(struct listener_use *u, struct conn *c, const struct arrival *take_a, const struct conn_events *on)
{
	const struct listener *f = u->conf;
	struct net_layer layers[LAYERS_MAX];
	int n = layers_of_listener(u->worker->adoption.cur->snap, f, layers), err;

	if (n < 0) {
		close(take_a->fd);
		return n;
	}
	err = conn_open_accepted(c, &u->worker->thread.loop, take_a->fd, &take_a->remote, take_a->local.port ? &take_a->local : NULL,
				 layers, (unsigned)n, OPEN_MS, on);
	if (!err)
		learn_original(c, f, take_a);
	return err;
}

void listener_conn_opened(struct listener_use *u, const struct conn *c)
{
	if (c->peer->tls)
		stat_add(&u->stat->tls, 1);
	if (c->peer->resumed)
		stat_add(&u->stat->tls_resumed, 1);
	if (!c->peer->kernel_asked)
		return;
	stat_add(&u->stat->tls_kernel_out, c->peer->kernel_out);
	stat_add(&u->stat->tls_kernel_in, c->peer->kernel_in);
	stat_add(&u->stat->tls_kernel_not, !c->peer->kernel_out);
}

void listener_conn_failed(struct listener_use *u, const struct conn *c, int err)
{
	const char *layer = conn_opening(c);
	char from[ADDR_TEXT_MAX];
	unsigned held;

	if (layer && !strcmp(layer, "tls"))
		stat_add(&u->stat->tls_failed, 1);
	if (calm_may(&u->failures, u->worker->thread.loop.now_ns, &held))
		log_info(u->name, "%s was not let in: %s%s%s (%u more in the seconds before)",
			 addr_text(&c->peer->source, from), strerror(-err), c->detail ? ": " : "",
			 c->detail ? c->detail : "", held);
}

/* ---- sockets ------------------------------------------------------------------------------------------------ */

static void socket_free(struct loop_deferred *d)
{
	free(container_of(d, struct listener_socket, more));
}

static void socket_end(struct listener_socket *s)
{
	struct loop *l = &s->use->worker->thread.loop;

	if (s->stop)
		s->stop(s);
	else
		loop_del(l, &s->io);
	close(s->fd);
	loop_defer(l, &s->more, socket_free);
}

bool listener_fits(const struct listener *conf, int fd)
{
	const struct protocol *p = protocol_of(conf);
	const struct net_addr want = { conf->ip, conf->port };
	struct net_addr is;
	int type = 0;
	socklen_t n = sizeof(type);

	if (!sock_local(fd, &is) && !addr_eq(&is, &want))
		return false;
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
	return !p || (type == SOCK_DGRAM) == (p->datagrams != NULL);
}

/* A socket of every address has connections of any. */
static void learn_local(struct listener_socket *s)
{
	struct net_addr every = { .port = 0 }, every4 = { .ip.b = { [10] = 0xff, [11] = 0xff } };

	if (sock_local(s->fd, &s->local) || !memcmp(&s->local.ip, &every.ip, sizeof(every.ip)) ||
	    !memcmp(&s->local.ip, &every4.ip, sizeof(every4.ip)))
		s->local.port = 0;
}

static void socket_start(struct listener_socket *s)
{
	struct listener_use *u = s->use;
	const struct protocol *p = protocol_of(u->conf);
	int err;

	if (s->stop || s->io.active || !listener_fits(u->conf, s->fd))
		return;
	if (!p) {
		log_error(u->name, "no connection is taken: this proxy does not speak %.*s", SLICE_ARG(u->conf->protocol));
		return;
	}
	if (p->datagrams) {
		err = p->datagrams(s);
		s->stop = err ? NULL : p->datagrams_end;
	} else {
		learn_local(s);
		err = loop_add_edge(&u->worker->thread.loop, &s->io, s->fd, on_ready, s);
	}
	if (err)
		log_error(u->name, "a socket cannot be watched: %s", strerror(-err));
}

static struct listener_socket **socket_find(struct listener_use *u, unsigned index)
{
	for (size_t i = 0; i < u->sockets.n; i++) {
		if (u->sockets.v[i]->index == index)
			return &u->sockets.v[i];
	}
	vec_push(&u->sockets, NULL);
	return &u->sockets.v[u->sockets.n - 1];
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n);
	return cookie;
}

/* One of the other kind or place ends, whether or not the agent could open what takes its place. */
static void sockets_start(struct listener_use *u)
{
	for (size_t i = u->sockets.n; i-- > 0;) {
		struct listener_socket *s = u->sockets.v[i];

		if (listener_fits(u->conf, s->fd)) {
			socket_start(s);
			continue;
		}
		socket_end(s);
		vec_remove_swap(&u->sockets, i);
	}
}

static void sockets_end(struct listener_use *u)
{
	for (size_t i = 0; i < u->sockets.n; i++)
		socket_end(u->sockets.v[i]);
	vec_fini(&u->sockets);
	timer_disarm(&u->worker->thread.loop, &u->pause);
}

/* ---- listeners ---------------------------------------------------------------------------------------------- */

static struct listener_use *use_new(struct listeners *l, struct slice name, struct listener_shared *take_s)
{
	struct listener_use *u = mem_alloc(sizeof(*u));

	u->magic = listener_use_MAGIC;
	u->worker = l->worker;
	u->name = mem_dup(name.p, name.n);
	u->shared = take_s;
	u->stat = &take_s->worker[l->worker->index].stat;
	table_put(&l->by_name, slice_str(u->name), u);
	return u;
}

/* Ends what neither the snapshot nor a connection needs. */
static void use_end(struct listener_use *u)
{
	if (u->conf || u->users || u->sockets.n)
		return;
	table_del(&u->worker->listeners->by_name, slice_str(u->name));
	listener_shared_drop(u->shared);
	u->magic = 0;
	free(u->name);
	free(u);
}

static uint64_t speaks(const struct listener *f)
{
	uint64_t h = hash_bytes(f->protocol, f->dispatch);

	for (size_t i = 0; i < f->ndetect; i++)
		h = hash_bytes(f->detect[i], h);
	return h;
}

/* What its clients speak may be another thing: those who cannot any more are asked to go. */
static void take_protocol(struct listener_use *u)
{
	uint64_t was = u->speaks;
	bool proxied = u->proxies;

	u->speaks = speaks(u->conf);
	u->proxies = slice_eq_str(u->conf->protocol, "http-proxy");
	if (!was || was == u->speaks)
		return;
	u->users++;             /* the last of them may go at once */
	downstream_drain_foreign(u->worker, u, proxied != u->proxies);
	u->users--;
}

static void take_conf(struct listener_use *u, const struct snapshot *s)
{
	const struct listener *f = (const struct listener *)snapshot_fact(s, FACT_LISTENER, slice_str(u->name));

	const struct router *r = f ? snapshot_router(s, &f->fact) : NULL;

	u->conf = f;
	if (f)
		u->limits = (struct proto_limits){ .head_bytes = f->max_head_bytes, .headers = f->max_headers,
						   .target_bytes = f->max_target_bytes,
						   .upgrades = r && router_upgrades(r) };
	if (f)
		take_protocol(u);
}

void listeners_adopt(struct listeners *l)
{
	const struct snapshot *s = l->worker->adoption.cur->snap;

	for (struct table_entry *e = table_next(&l->by_name, NULL); e; e = table_next(&l->by_name, e)) {
		struct listener_use *u = CAST(listener_use, e->value);

		take_conf(u, s);
		if (u->conf)
			sockets_start(u);
		if (!u->conf) {
			sockets_end(u);
			u->users++;     /* its last connection may go with the draining */
			downstream_drain(u->worker, u);
			u->users--;
		} else if (u->conf->netns) {
			stock_keep(u->worker->stock, u->conf->netns);
		}
		use_end(u);
	}
	stock_sweep(l->worker->stock);
}

static void use_take(struct listener_use *u, unsigned index, int take_fd)
{
	struct listener_socket **place = socket_find(u, index), *s;

	/* A new agent hands over what is here already: nothing may end for that, least of all a session of datagrams. */
	if (*place && cookie_of((*place)->fd) == cookie_of(take_fd)) {
		close(take_fd);
		return;
	}
	if (*place)
		socket_end(*place);
	*place = s = mem_alloc(sizeof(*s));
	*s = (struct listener_socket){ .use = u, .index = index, .fd = take_fd };
	if (u->conf)
		socket_start(s);
}

/* Its snapshot may be here already: of two that wait a worker adopts the newer one. */
static void learn_conf(struct listener_use *u)
{
	const struct hold *now = u->worker->adoption.cur;

	if (u->conf || !now)
		return;
	take_conf(u, now->snap);
	if (u->conf && u->conf->netns)
		stock_add(u->worker->stock, u->conf->netns);
}

struct give_letter {
	struct letter letter;
	struct worker *worker;
	unsigned index;
	int fd;
	struct listener_shared *shared;
	size_t n;
	char name[];
};

static void given(struct letter *x)
{
	struct give_letter *m = container_of(x, struct give_letter, letter);
	struct listeners *l = m->worker->listeners;
	struct slice name = { m->name, m->n };

	if (!l) {
		listener_shared_drop(m->shared);
		if (m->fd >= 0)
			close(m->fd);
	} else {
		struct listener_use *u = table_get(&l->by_name, name);

		if (u)
			listener_shared_drop(m->shared);
		else
			u = use_new(l, name, m->shared);
		learn_conf(u);
		if (m->fd >= 0)
			use_take(u, m->index, m->fd);
	}
	free(m);
}

void listeners_give(struct worker *w, struct slice name, unsigned index, int take_fd, struct listener_shared *hold)
{
	struct give_letter *m = mem_alloc(sizeof(*m) + name.n);

	m->worker = w;
	m->index = index;
	m->fd = take_fd;
	m->shared = listener_shared_hold(hold);
	m->n = name.n;
	memcpy(m->name, name.p, name.n);
	mailbox_post(&w->thread.mail, &m->letter, given);
}

struct listeners *listeners_new(struct worker *w)
{
	struct listeners *l = mem_alloc(sizeof(*l));

	l->worker = w;
	table_init(&l->by_name, 0);
	return l;
}

void listeners_free(struct listeners *l)
{
	for (struct table_entry *e = table_next(&l->by_name, NULL); e; e = table_next(&l->by_name, e)) {
		struct listener_use *u = CAST(listener_use, e->value);

		u->conf = NULL;
		sockets_end(u);
		use_end(u);
	}
	table_fini(&l->by_name);
	free(l);
}
