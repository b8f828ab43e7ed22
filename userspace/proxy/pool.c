// SPDX-License-Identifier: Apache-2.0
#include "proxy/pool.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "proxy/cluster.h"
#include "proxy/rpc_call.h"
#include "proxy/upstream.h"
#include "proxy/upstream_many.h"
#include "proxy/http.h"
#include "proxy/layers.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define IDLE_MS_MAX 60000u                      /* whatever the cluster says: hosts close theirs soon after, mostly */
#define IDLE_MARGIN_MS 1000u                    /* before the host's own time: a request on its way would meet its FIN */
#define RETIRE_NS (100 * MSEC)                  /* between two connections of a cluster that end for other workers */
#define IDLE_MAX 1024u                          /* of one host on one worker */

_Static_assert(sizeof(struct pool_key) == 48, "hashed as bytes: no padding");

/* ---- pools and their hosts ---------------------------------------------------------------------------------- */

static uint64_t add(uint64_t h, struct slice s)
{
	return hash_bytes(s, h);
}

/* What a connection to the cluster is opened with. */
static uint64_t settings_of(const struct cluster_fact *f)
{
	const struct cluster_tls *t = &f->tls;
	uint64_t h = f->proxy_protocol | (uint64_t)t->enabled << 1 | (uint64_t)t->insecure << 2 | (uint64_t)t->kernel << 3;

	h = add(add(add(add(h, t->sni), t->ca), t->certificate), f->protocol);
	for (size_t i = 0; i < t->nalpn; i++)
		h = add(h, t->alpn[i]);
	for (size_t i = 0; i < t->nsans; i++)
		h = add(h, t->sans[i]);
	return h;
}

static enum pool_speaks speaks(const struct cluster_fact *f)
{
	/* A header names one client. */
	if (f->proxy_protocol)
		return POOL_ONE;
	if (slice_eq_str(f->protocol, "http2"))
		return POOL_MANY;
	for (size_t i = 0; f->tls.enabled && i < f->tls.nalpn; i++)
		if (slice_eq_str(f->tls.alpn[i], "h2"))
			return POOL_EITHER;
	return POOL_ONE;
}

static struct pool *pool_of(struct worker *w, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->w = w;
	p->use = use;
	p->settings = settings_of(cluster_conf(use));
	table_init(&p->hosts, 0);
	list_add_tail(&w->http->pools, &p->node);
	cluster_set_pool(use, p);
	return p;
}

static struct slice key_slice(const struct pool_key *k)
{
	return (struct slice){ (const char *)k, sizeof(*k) };
}

/* A host that was shown to be one name's is not thereby another's. */
static uint64_t name_of(const struct cluster_fact *f, struct slice authority)
{
	return f->tls.enabled && !f->tls.sni.n ? hash_bytes(layers_host(authority), hash_seed()) : 0;
}

struct pool_host *pool_host_get(struct worker *w, const struct pick *pick, struct slice authority, uint64_t netns,
				const struct proto_ops *rpc)
{
	struct pool *p = pool_of(w, pick->use);
	struct pool_key key = { .host = pick->key, .netns = netns, .rpc = (uintptr_t)rpc, .port = pick->addr.port };
	struct pool_host *h;

	if (!p)
		return NULL;
	key.settings = p->settings;
	key.name = name_of(cluster_conf(p->use), authority);
	h = table_get(&p->hosts, key_slice(&key));
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->pool = p;
	h->key = key;
	h->rpc = rpc;
	h->speaks = rpc ? rpc->flags & PROTO_MULTIPLEX ? POOL_MANY : POOL_ONE : speaks(cluster_conf(p->use));
	list_init(&h->idle);
	list_init(&h->roomy);
	list_init(&h->retired);
	table_put(&p->hosts, key_slice(&h->key), h);
	p->nhosts++;
	return h;
}

/* The cluster may end with its pool. */
static void pool_free(struct pool *p)
{
	list_del(&p->node);
	table_fini(&p->hosts);
	cluster_set_pool(p->use, NULL);
	free(p);
}

static void host_drop(struct pool_host *h)
{
	struct pool *p = h->pool;

	if (--h->nopen)
		return;
	timer_disarm(&p->w->thread.loop, &h->old);
	table_del(&p->hosts, key_slice(&h->key));
	free(h);
	if (!--p->nhosts && cluster_gone(p->use))
		pool_free(p);
}

void pool_host_leave(struct pool_host *h)
{
	h->nopen++;
	host_drop(h);
}

void pool_closed(struct pool_host *h)
{
	cluster_conn_closed(h->pool->use, h->key.host);
	host_drop(h);
}

/* ---- idle connections --------------------------------------------------------------------------------------- */

/* When an idle one is too old. */
static uint64_t due_ns(const struct upstream *u)
{
	uint32_t ms = cluster_conf(u->home->pool->use)->pool.idle_ms, host = u->idle_ms;

	if (!ms || ms > IDLE_MS_MAX)
		ms = IDLE_MS_MAX;
	if (host)
		host = host < 2 * IDLE_MARGIN_MS ? host / 2 : host - IDLE_MARGIN_MS;
	else
		host = ms;
	return u->idle_ns + (host < ms ? host : ms) * MSEC;
}

static struct upstream *oldest(struct pool_host *h)
{
	return container_of(h->idle.prev, struct upstream, idle);
}

static void close_idle(struct upstream *u)
{
	pool_forget(u);
	upstream_close(u);
}

/* Not in the order of their age: each has its host's word. */
static void close_old(struct timer *t)
{
	struct pool_host *h = t->arg;
	struct loop *l = &h->pool->w->thread.loop;
	uint64_t next = UINT64_MAX;

	for (struct list *x = h->idle.prev, *newer; x != &h->idle; x = newer) {
		struct upstream *u = container_of(x, struct upstream, idle);
		uint64_t due = due_ns(u);
		bool last = h->nopen == 1;

		newer = x->prev;
		if (due > l->now_ns) {
			next = due < next ? due : next;
			continue;
		}
		close_idle(u);
		if (last)
			return;
	}
	if (next != UINT64_MAX)
		timer_arm_at(l, &h->old, next, close_old, h);
}

static struct pool_host *some_idle(const struct pool *p)
{
	for (struct table_entry *e = table_next(&p->hosts, NULL); e; e = table_next(&p->hosts, e)) {
		struct pool_host *h = e->value;

		if (h->nidle)
			return h;
	}
	return NULL;
}

static bool close_some_idle(struct pool *p)
{
	struct pool_host *h = some_idle(p);

	if (h)
		close_idle(oldest(h));
	return h;
}

bool pool_rests(void *worker, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);

	(void)worker;
	return p && some_idle(p);
}

/* On connections that carry many. */
bool pool_has_room(void *worker, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);

	(void)worker;
	for (struct table_entry *e = p ? table_next(&p->hosts, NULL) : NULL; e; e = table_next(&p->hosts, e)) {
		struct pool_host *h = e->value;

		if (!list_empty(&h->roomy))
			return true;
	}
	return false;
}

void pool_close_rest(void *worker, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);

	(void)worker;
	if (p)
		close_some_idle(p);
}

/* It ends with the streams that it has. One after the other: often that is enough. */
static void retire(struct upstream_many *m)
{
	m->away = true;
	list_del(&m->roomy);
	list_add_tail(&m->up->home->retired, &m->roomy);
}

struct upstream_many *pool_take_back(struct pool_host *h)
{
	list_for(x, &h->retired) {
		struct upstream_many *m = container_of(x, struct upstream_many, roomy);

		m->away = false;
		m->away = !upstream_many_takes(m);
		if (m->away)
			continue;
		list_del(x);
		list_add_tail(&h->roomy, x);
		return m;
	}
	return NULL;
}

static bool may_retire(struct pool *p)
{
	uint64_t now = p->w->thread.loop.now_ns;

	if (now - p->retired_ns < RETIRE_NS || !cluster_conn_yields(p->use))
		return false;
	p->retired_ns = now;
	return true;
}

static struct upstream_many *least_used(const struct pool *p)
{
	struct upstream_many *least = NULL;

	for (struct table_entry *e = table_next(&p->hosts, NULL); e; e = table_next(&p->hosts, e)) {
		struct pool_host *h = e->value;

		list_for(x, &h->roomy) {
			struct upstream_many *m = container_of(x, struct upstream_many, roomy);

			if (m->open && (!least || m->nstreams < least->nstreams))
				least = m;
		}
	}
	return least;
}

void pool_retire(void *worker, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);
	struct upstream_many *m = p ? least_used(p) : NULL;

	(void)worker;
	if (m && may_retire(p))
		retire(m);
}

void pool_yield(struct upstream *u)
{
	if (u->many->open && u->many->nstreams && !u->many->away && may_retire(u->home->pool))
		retire(u->many);
}

bool pool_open(struct pool_host *h, struct pick *p, bool many)
{
	bool ok;

	/* Counted from now on, so that the host does not go with an idle connection of its own. */
	h->nopen++;
	ok = cluster_conn_open(p) || (close_some_idle(h->pool) && cluster_conn_open(p)) ||
	     (many && h->nopen == h->ngone + 1 && cluster_conn_open_over(p));
	if (!ok)
		host_drop(h);
	return ok;
}

struct upstream *pool_take(struct pool_host *h)
{
	uint64_t now = h->pool->w->thread.loop.now_ns;
	struct upstream *u = NULL;

	/* Held, so that it does not go with one that is too old, which the timer is about to find. */
	h->nopen++;
	while (h->nidle && !u) {
		u = container_of(h->idle.next, struct upstream, idle);
		if (u->many) {
			u = NULL;
			break;
		}
		pool_forget(u);
		if (due_ns(u) <= now) {
			upstream_close(u);
			u = NULL;
		}
	}
	h->nopen--;
	return u;
}

uint32_t pool_streams_max(const struct pool_host *h)
{
	uint32_t most = h->rpc ? RPC_STREAMS_MAX : cluster_conf(h->pool->use)->pool.http2_max_streams;

	return h->streams_max && h->streams_max < most ? h->streams_max : most;
}

void pool_put(struct pool_host *h, struct upstream *u)
{
	struct loop *l = &h->pool->w->thread.loop;

	if (!cluster_conn_rests(h->pool->use)) {
		upstream_close(u);
		return;
	}
	if (h->nidle >= IDLE_MAX)
		close_idle(oldest(h));
	u->idle_ns = l->now_ns;
	list_add(&h->idle, &u->idle);
	h->nidle++;
	stat_set(&h->pool->w->http->stat.idle_upstreams, stat_get(&h->pool->w->http->stat.idle_upstreams) + 1);
	if (!timer_armed(&h->old) || h->old.due_ns > due_ns(u))
		timer_arm_at(l, &h->old, due_ns(u), close_old, h);
}

void pool_forget(struct upstream *u)
{
	struct pool_host *h = u->home;

	if (!list_linked(&u->idle))
		return;
	list_del(&u->idle);
	h->nidle--;
	stat_set(&h->pool->w->http->stat.idle_upstreams, stat_get(&h->pool->w->http->stat.idle_upstreams) - 1);
}

static void close_all(struct pool_host *h)
{
	unsigned n = h->nidle, open = h->nopen;

	/* The host goes with its last connection. */
	while (n--) {
		close_idle(oldest(h));
		if (!--open)
			return;
	}
}

static void pool_sweep(struct pool *p, bool all)
{
	for (struct table_entry *e = table_next(&p->hosts, NULL); e; e = table_next(&p->hosts, e)) {
		struct pool_host *h = e->value;

		if (all || h->key.settings != p->settings || !cluster_has(p->use, h->key.host))
			close_all(h);
	}
}

void pool_changed(void *worker, struct cluster_use *use)
{
	struct pool *p = cluster_pool(use);
	bool gone = cluster_gone(use);

	(void)worker;
	if (!p)
		return;
	if (!gone)
		p->settings = settings_of(cluster_conf(use));
	/* Held by one host more, so that the pool does not go under the sweep. */
	p->nhosts++;
	pool_sweep(p, gone);
	if (!--p->nhosts && gone)
		pool_free(p);
}

void pool_close_netns(struct worker *w, uint64_t netns)
{
	list_for(x, &w->http->pools) {
		struct pool *p = container_of(x, struct pool, node);

		p->nhosts++;
		for (struct table_entry *e = table_next(&p->hosts, NULL); e; e = table_next(&p->hosts, e)) {
			struct pool_host *h = e->value;

			if (h->key.netns == netns)
				close_all(h);
		}
		if (!--p->nhosts && cluster_gone(p->use))
			pool_free(p);
	}
}

void pool_drop_idle(struct worker *w)
{
	list_for(x, &w->http->pools) {
		struct pool *p = container_of(x, struct pool, node);

		p->nhosts++;
		pool_sweep(p, true);
		if (!--p->nhosts && cluster_gone(p->use))
			pool_free(p);
	}
}

void pool_close_idle(struct worker *w)
{
	list_for(x, &w->http->pools) {
		struct pool *p = container_of(x, struct pool, node);

		p->nhosts++;
		pool_sweep(p, true);
		if (!--p->nhosts)
			pool_free(p);
	}
}
