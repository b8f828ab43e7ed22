// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream_many.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proto/http2.h"
#include "proxy/cluster.h"
#include "proxy/http.h"
#include "proxy/pool.h"
#include "proxy/retry.h"
#include "proxy/rpc_call.h"
#include "proxy/stream.h"
#include "proxy/upstream_priv.h"
#include "proxy/worker.h"

#define SLOTS_FIRST 16u
#define STREAM_WINDOW (256u << 10)              /* of an answer's body may be under way to us */
#define CONN_WINDOW_MAX (64u << 20)
/* Between two pings of a silent host: hosts that speak gRPC end a connection that is asked more often. */
#define ASK_AGAIN_NS (300 * SEC)
#define PING_TOKEN 0x77656674616c6976ull

static const struct cluster_fact *conf(const struct upstream_many *m)
{
	return cluster_conf(m->up->home->pool->use);
}

static uint64_t now(const struct upstream_many *m)
{
	return m->up->leg.w->thread.loop.now_ns;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

struct upstream_many *upstream_many_new(struct upstream *u, const struct net_addr *addr)
{
	struct upstream_many *m = calloc(1, sizeof(*m));

	if (m)
		m->slots = calloc(SLOTS_FIRST, sizeof(*m->slots));
	if (!m || !m->slots) {
		free(m);
		return NULL;
	}
	m->nslots = SLOTS_FIRST;
	m->up = u;
	m->addr = *addr;
	list_init(&m->streams);
	list_init(&m->waiting);
	list_init(&m->told);
	return m;
}

void upstream_many_free(struct upstream_many *m)
{
	if (!m)
		return;
	free(m->slots);
	free(m);
}

static uint32_t streams_max(const struct upstream_many *m)
{
	return m->up->home->rpc ? RPC_STREAMS_MAX : conf(m)->pool.http2_max_streams;
}

/* The connection's window is all its streams': one whose client does not read holds up nobody. */
void upstream_many_limits(struct upstream_many *m)
{
	uint64_t all = (uint64_t)conf(m)->pool.http2_max_streams * STREAM_WINDOW;

	m->limits.streams = streams_max(m);
	m->limits.stream_window = STREAM_WINDOW;
	m->limits.unsure_body = RETRY_BODY_MAX;
	m->limits.conn_window = all < CONN_WINDOW_MAX ? (uint32_t)all : CONN_WINDOW_MAX;
}

/* ---- by id -------------------------------------------------------------------------------------------------- */

static struct stream **slot_of(const struct upstream_many *m, uint64_t id)
{
	return &m->slots[(id * 0x9e3779b97f4a7c15ull >> 32) & (m->nslots - 1)];
}

/* Without memory chains only get longer. */
static void grow(struct upstream_many *m)
{
	struct stream **v = calloc(2 * m->nslots, sizeof(*v)), **old = m->slots;
	uint32_t n = m->nslots;

	if (!v)
		return;
	m->slots = v;
	m->nslots = 2 * n;
	for (uint32_t i = 0; i < n; i++) {
		for (struct stream *s = old[i], *next; s; s = next) {
			struct stream **to = slot_of(m, s->up_id);

			next = s->up_next;
			s->up_next = *to;
			*to = s;
		}
	}
	free(old);
}

struct stream *upstream_many_find(const struct upstream_many *m, uint64_t id)
{
	struct stream *s = *slot_of(m, id);

	while (s && s->up_id != id)
		s = s->up_next;
	return s;
}

static void forget(struct upstream_many *m, struct stream *s)
{
	struct stream **at = slot_of(m, s->up_id);

	while (*at && *at != s)
		at = &(*at)->up_next;
	if (*at)
		*at = s->up_next;
	s->up_id = 0;
}

/* ---- is the host alive? ------------------------------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When it is to be asked, or was to have answered. */
static uint64_t due(const struct upstream_many *m)
{
	const struct pool_limits *l = &conf(m)->pool;
	uint64_t silent = later(m->heard_ns, m->busy_ns) + l->ping_ms * MSEC;

	if (m->asking)
		return m->asked_ns + l->ping_timeout_ms * MSEC;
	return !m->up->home->rpc && m->asked_ns && m->said_ns <= m->asked_ns ? later(silent, m->asked_ns + ASK_AGAIN_NS) : silent;
}

static bool watched(const struct upstream_many *m)
{
	return m->nstreams || m->nwaiting || m->asking || m->up->leg.codec.ops->flags & PROTO_IDLE_PINGS;
}

static void ask(struct upstream_many *m)
{
	struct codec *c = &m->up->leg.codec;

	m->asking = true;
	m->asked_ns = now(m);
	c->ops->put_ping(c, PING_TOKEN);
	leg_touch(&m->up->leg);
}

static void on_time(struct timer *t)
{
	struct upstream_many *m = t->arg;
	struct worker *w = m->up->leg.w;

	/* Its answer may lie where nothing is read for now. */
	if (m->full)
		upstream_many_heard(m);
	m->asking &= m->heard_ns <= m->asked_ns;
	if (!watched(m) || !conf(m)->pool.ping_ms)
		return;
	if (m->asking && due(m) <= now(m)) {
		UPSTREAM_COUNT(m->up, multiplexed_silent);
		upstream_lost(m->up, PROTO_TIMEOUT);
		legs_flush(w);
		return;
	}
	if (due(m) <= now(m))
		ask(m);
	timer_arm_at(&w->thread.loop, t, due(m), on_time, m);
	legs_flush(w);
}

/* The timer stands where an answer would have been late: the next question is due before. */
void upstream_many_heard(struct upstream_many *m)
{
	m->heard_ns = now(m);
	if (!m->asking || m->heard_ns <= m->asked_ns)
		return;
	m->asking = false;
	if (timer_armed(&m->timer))
		timer_arm_at(&m->up->leg.w->thread.loop, &m->timer, due(m), on_time, m);
}

static void watch(struct upstream_many *m)
{
	if (!timer_armed(&m->timer) && conf(m)->pool.ping_ms && m->up->leg.codec.ops->put_ping)
		timer_arm_at(&m->up->leg.w->thread.loop, &m->timer, due(m), on_time, m);
}

/* ---- streams ------------------------------------------------------------------------------------------------ */

bool upstream_many_takes(struct upstream_many *m)
{
	const struct upstream *u = m->up;
	const struct codec *c = &u->leg.codec;
	uint32_t requests = conf(m)->pool.max_requests_per_connection;

	if (!u->magic || u->ending || u->leg.broken || m->away || m->alone || m->full || (requests && u->requests >= requests))
		return false;
	if (!m->open)
		return m->nwaiting < pool_streams_max(u->home);
	/* Before the host has said how many it takes, as many as it took on its other connections. */
	if (m->nstreams + (m->clogged ? m->nwaiting : 0) >= (m->heard_room ? streams_max(m) : pool_streams_max(u->home)))
		return false;
	m->limits.streams = streams_max(m);
	return !c->ops->room || c->ops->room(c);
}

void upstream_many_offer(struct upstream_many *m)
{
	if (list_linked(&m->roomy) || !upstream_many_takes(m))
		return;
	list_add_tail(&m->up->home->roomy, &m->roomy);
	cluster_conn_room(m->up->home->pool->use);
}

static void set_off(struct upstream_many *m, struct stream *s)
{
	if (!m->nstreams++)
		m->busy_ns = now(m);
	list_add_tail(&m->streams, &s->up_node);
	watch(m);
}

void upstream_many_join(struct upstream_many *m, struct stream *s)
{
	m->up->requests++;
	s->up = m->up;
	s->up_id = 0;
	s->up_unconsumed = 0;
	s->up_waits = !m->open || m->clogged;
	m->alone = rpc_call_long(s);
	if (m->alone)
		list_del(&m->roomy);
	if (!s->up_waits) {
		set_off(m, s);
		return;
	}
	m->nwaiting++;
	list_add_tail(&m->waiting, &s->up_node);
	if (m->open)
		watch(m);
}

/* Who waits longest goes on; who finds no room any more takes another connection. */
static void go_on(struct upstream_many *m)
{
	struct stream *s = container_of(m->waiting.next, struct stream, up_node);

	list_del(&s->up_node);
	m->nwaiting--;
	s->up_waits = false;
	if (m->alone || upstream_many_takes(m)) {
		set_off(m, s);
	} else {
		m->nstreams++;
		upstream_many_leave(m, s);
		s->up = NULL;
	}
	stream_up_open(s);
}

/* All that waited for it may have gone elsewhere. */
static void let_rest(struct upstream_many *m)
{
	if (!m->nstreams)
		upstream_settle(m->up);
}

void upstream_many_opened(struct upstream_many *m)
{
	m->open = true;
	m->opened_ns = now(m);
	if (m->up->home->rpc)
		m->heard_room = true;
	while (!list_empty(&m->waiting))
		go_on(m);
	let_rest(m);
}

/* Behind a write. What many put at once is no sign of a host that does not read. */
static void look_at_unsent(struct upstream_many *m)
{
	const struct buf *out = &m->up->leg.codec.out;

	if (!m->clogged && out->len >= UPSTREAM_UNSENT_HIGH) {
		m->clogged = true;
		UPSTREAM_COUNT(m->up, multiplexed_clogged);
	}
	if (!m->clogged || out->len > UPSTREAM_UNSENT_LOW)
		return;
	m->clogged = false;
	while (!list_empty(&m->waiting) && m->up->magic && out->len < UPSTREAM_UNSENT_HIGH)
		go_on(m);
	m->clogged = !list_empty(&m->waiting);
	let_rest(m);
}

/* Any of them may end any other. */
void upstream_many_heard_room(struct upstream_many *m)
{
	struct list todo;

	m->heard_room = true;
	list_init(&todo);
	while (!list_empty(&m->streams)) {
		struct list *x = m->streams.next;

		list_del(x);
		list_add_tail(&todo, x);
	}
	while (!list_empty(&todo)) {
		struct stream *s = container_of(todo.next, struct stream, up_node);

		list_del(&s->up_node);
		list_add_tail(&m->streams, &s->up_node);
		if (!s->up_id)
			stream_up_open(s);
	}
}

/* One that never began does not count. */
void upstream_many_leave(struct upstream_many *m, struct stream *s)
{
	list_del(&s->up_told);
	list_del(&s->up_node);
	if (s->up_waits)
		m->nwaiting--;
	else
		m->nstreams--;
	s->up_waits = m->alone = false;
	if (s->up_id)
		forget(m, s);
	else
		m->up->requests--;
}

void upstream_many_began(struct upstream_many *m, struct stream *s)
{
	struct stream **at;

	if (m->nstreams > m->nslots)
		grow(m);
	at = slot_of(m, s->up_id);
	s->up_next = *at;
	*at = s;
	s->up_mark = m->flushes;
}

bool upstream_many_unsent(const struct upstream_many *m, const struct stream *s)
{
	return !s->up_id || s->up_mark == m->flushes;
}

void upstream_tell_sent(struct stream *s)
{
	struct upstream_many *m = s->up ? s->up->many : NULL;

	if (m && !list_linked(&s->up_told))
		list_add_tail(&m->told, &s->up_told);
}

/* Those that ask again do so for the next time. */
void upstream_many_sent(struct upstream_many *m)
{
	struct list todo;

	m->flushes++;
	look_at_unsent(m);
	list_init(&todo);
	while (!list_empty(&m->told)) {
		struct list *x = m->told.next;

		list_del(x);
		list_add_tail(&todo, x);
	}
	while (!list_empty(&todo)) {
		struct stream *s = container_of(todo.next, struct stream, up_told);

		list_del(&s->up_told);
		stream_up_sent(s);
	}
}
