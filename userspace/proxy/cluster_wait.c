/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait, first come first served.
 *
 * Under maxRequests: on each worker by itself. A place that this worker frees goes to them at once; for those that other
 * workers free it asks every 10 ms.
 *
 * Under maxConnections: whoever waits longest on any worker. Each worker shows when the time of its first one is over, and
 * serves it only when nobody's is over earlier. Idle connections of other workers are places, too: who begins to wait has
 * them told, each of them closes one if one more is asked for, and tells in turn that there is a place. What is told in
 * vain, as somebody was quicker, is told again every 10 ms. A connection that carries many requests may never be idle: after
 * 20 ms one of them takes no more, and ends with those that it has. Those may last: after 100 ms who has none on his worker
 * gets one over the limit.
 */
#include <errno.h>

#include "base/clock.h"
#include "proxy/cluster_priv.h"

#define POLL_NS (10 * MSEC)
#define YIELD_NS (20 * MSEC)                    /* that many requests have a connection for before others wait in earnest */

static struct list *queue_of(struct cluster_use *u, enum limit_kind k)
{
	return k == LIMIT_CONNECTIONS ? &u->conn_waiters : &u->waiters;
}

static struct cluster_wait *first(struct list *queue)
{
	return list_empty(queue) ? NULL : container_of(queue->next, struct cluster_wait, node);
}

static bool nobody(const struct cluster_use *u)
{
	return list_empty(&u->waiters) && list_empty(&u->conn_waiters);
}

static struct shared_cluster *shared_of(const struct cluster_use *u)
{
	return u->view->plan->shared;
}

/* ---- for a connection: among workers ------------------------------------------------------------------------ */

static void show_first(struct cluster_use *u)
{
	const struct cluster_wait *w = first(&u->conn_waiters);

	atomic_store_explicit(&shared_of(u)->due_ns[u->cs->conf.worker], w ? w->due_ns : 0, memory_order_relaxed);
}

/* A worker that stands still must not hold up the others: one whose time is over does not count. */
static bool is_next(struct cluster_use *u)
{
	const struct shared_cluster *c = shared_of(u);
	const struct cluster_wait *w = first(&u->conn_waiters);

	for (unsigned i = 0; i < c->all->workers; i++) {
		uint64_t due = atomic_load_explicit(&c->due_ns[i], memory_order_relaxed);

		if (i != u->cs->conf.worker && due > u->cs->conf.loop->now_ns && (!w || due < w->due_ns))
			return false;
	}
	return w;
}

static bool take_asked(struct shared_cluster *c)
{
	uint32_t n = atomic_load_explicit(&c->asked, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak_explicit(&c->asked, &n, n - 1, memory_order_relaxed, memory_order_relaxed))
			return true;
	return false;
}

static void tell(const struct cluster_use *u)
{
	const struct clusters_conf *c = &u->cs->conf;

	if (c->tell && shared_of(u)->all->workers > 1)
		c->tell(c->arg, u->name);
}

static bool rests(struct cluster_use *u)
{
	const struct clusters_conf *c = &u->cs->conf;

	return c->rests && c->rests(c->arg, u);
}

static bool has_room(struct cluster_use *u)
{
	const struct clusters_conf *c = &u->cs->conf;

	return c->has_room && c->has_room(c->arg, u);
}

/* Room on a connection that carries many is nobody's place: who waits longer elsewhere has nothing from it. */
static bool may_serve(struct cluster_use *u)
{
	if (has_room(u))
		return true;
	return is_next(u) && (limit_left(use_limit(u, LIMIT_CONNECTIONS), &u->share[LIMIT_CONNECTIONS]) || rests(u));
}

static void count_in(struct cluster_use *u)
{
	struct shared_cluster *c = shared_of(u);

	atomic_fetch_add_explicit(&c->waiting, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->asked, 1, memory_order_relaxed);
	show_first(u);
}

static void count_out(struct cluster_use *u)
{
	struct shared_cluster *c = shared_of(u);

	show_first(u);
	if (atomic_fetch_sub_explicit(&c->waiting, 1, memory_order_relaxed) == 1)
		atomic_store_explicit(&c->asked, 0, memory_order_relaxed);
}

bool cluster_conn_waits(const struct cluster_use *u)
{
	return !u->serving && atomic_load_explicit(&shared_of(u)->waiting, memory_order_relaxed);
}

bool cluster_conn_rests(struct cluster_use *u)
{
	if (!cluster_conn_waits(u))
		return true;
	if (!is_next(u))
		return !take_asked(shared_of(u));
	cluster_wake(u->cs);
	return true;
}

/* The one who waits longest elsewhere. Its time is over in `due` and began CLUSTER_WAIT_MS before. */
static bool waits_long(const struct cluster_use *u)
{
	const struct shared_cluster *c = shared_of(u);
	uint64_t now = u->cs->conf.loop->now_ns;

	for (unsigned i = 0; i < c->all->workers; i++) {
		uint64_t due = atomic_load_explicit(&c->due_ns[i], memory_order_relaxed);

		if (i != u->cs->conf.worker && due > now && due + YIELD_NS <= now + CLUSTER_WAIT_MS * MSEC)
			return true;
	}
	return false;
}

bool cluster_conn_yields(struct cluster_use *u)
{
	if (!cluster_conn_waits(u) || is_next(u) || !waits_long(u) || !take_asked(shared_of(u)))
		return false;
	stat_add(&u->cs->stat.yields, 1);
	return true;
}

void cluster_conn_room(struct cluster_use *u)
{
	if (!list_empty(&u->conn_waiters))
		cluster_wake(u->cs);
}

void cluster_conn_freed(struct cluster_use *u)
{
	if (!atomic_load_explicit(&shared_of(u)->waiting, memory_order_relaxed))
		return;
	if (is_next(u))
		cluster_wake(u->cs);
	else
		tell(u);
}

void cluster_conn_look(struct clusters *cs, struct slice cluster)
{
	struct cluster_use *u = table_get(&cs->uses, cluster);

	if (!u)
		return;
	u->refs++;
	limit_return(use_limit(u, LIMIT_CONNECTIONS), &u->share[LIMIT_CONNECTIONS]);
	if (is_next(u))
		cluster_wake(cs);
	else if (!rests(u) && cs->conf.retire)
		cs->conf.retire(cs->conf.arg, u);
	else if (rests(u) && take_asked(shared_of(u)))
		cs->conf.close_rest(cs->conf.arg, u);
	use_drop(u);
}

/* ---- a wait's end ------------------------------------------------------------------------------------------- */

static void leave(struct cluster_use *u, struct cluster_wait *w)
{
	list_del(&w->node);
	if (nobody(u))
		list_del(&u->queued);
	if (w->kind == LIMIT_CONNECTIONS)
		count_out(u);
	limit_give(use_limit(u, LIMIT_PENDING), &u->share[LIMIT_PENDING]);
}

static void finish(struct cluster_wait *w, int err)
{
	struct cluster_use *u = w->use;

	leave(u, w);
	w->granted = !err && w->kind == LIMIT_REQUESTS;
	if (w->granted)
		u->refs++;
	else
		w->use = NULL;
	w->fn(w, err);
	use_drop(u);
}

static void serve_requests(struct cluster_use *u)
{
	struct cluster_wait *w;

	while ((w = first(&u->waiters)) && limit_take(use_limit(u, LIMIT_REQUESTS), &u->share[LIMIT_REQUESTS]))
		finish(w, 0);
}

/* Others' connections are to end for him, but what they carry lasts. */
static bool overdue(const struct cluster_use *u, const struct cluster_wait *w)
{
	return w->lonely && u->cs->conf.loop->now_ns + (CLUSTER_WAIT_MS - CLUSTER_OVER_MS) * MSEC >= w->due_ns;
}

bool cluster_conn_overdue(const struct cluster_use *u)
{
	return u->serving && overdue(u, u->serving);
}

static void serve_connections(struct cluster_use *u)
{
	struct cluster_wait *w;

	while ((w = first(&u->conn_waiters)) && (may_serve(u) || overdue(u, w))) {
		u->serving = w;
		finish(w, 0);
		u->serving = NULL;
		if (first(&u->conn_waiters) == w)
			return;
	}
}

static void expire(struct cluster_use *u, struct list *queue, uint64_t now_ns)
{
	struct cluster_wait *w;

	while ((w = first(queue)) && w->due_ns <= now_ns) {
		stat_add(&u->cs->stat.wait_timeouts, 1);
		finish(w, -ETIMEDOUT);
	}
}

static void serve(struct cluster_use *u, uint64_t now_ns)
{
	serve_requests(u);
	serve_connections(u);
	expire(u, &u->waiters, now_ns);
	expire(u, &u->conn_waiters, now_ns);
}

/* ---- all queues of a worker --------------------------------------------------------------------------------- */

static void poll_queue(struct timer *t);

static void serve_all(struct clusters *cs)
{
	struct list now;

	/* Callbacks may end any use, and any wait; the one that is served is kept. */
	list_init(&now);
	while (!list_empty(&cs->queued)) {
		struct list *p = cs->queued.next;

		list_del(p);
		list_add_tail(&now, p);
	}
	while (!list_empty(&now)) {
		struct cluster_use *u = container_of(now.next, struct cluster_use, queued);

		list_del(&u->queued);
		u->refs++;
		serve(u, cs->conf.loop->now_ns);
		if (!nobody(u) && !list_linked(&u->queued))
			list_add_tail(&cs->queued, &u->queued);
		use_drop(u);
	}
	if (!list_empty(&cs->queued))
		timer_arm(cs->conf.loop, &cs->poll, POLL_NS, poll_queue, cs);
}

/* Of those who go on waiting for a connection, the one who is next asks again. */
static void tell_again(struct clusters *cs)
{
	list_for(x, &cs->queued) {
		struct cluster_use *u = container_of(x, struct cluster_use, queued);
		uint32_t none = 0;

		if (!is_next(u))
			continue;
		atomic_compare_exchange_strong_explicit(&shared_of(u)->asked, &none, 1, memory_order_relaxed, memory_order_relaxed);
		tell(u);
	}
}

static void poll_queue(struct timer *t)
{
	struct clusters *cs = t->arg;

	serve_all(cs);
	tell_again(cs);
}

static void wake(struct loop_deferred *d)
{
	serve_all(container_of(d, struct clusters, wake));
}

void cluster_wake(struct clusters *cs)
{
	loop_defer(cs->conf.loop, &cs->wake, wake);
}

/* ---- for streams -------------------------------------------------------------------------------------------- */

/* Who was called back and did not get what was there stays the first. */
static void enter(struct cluster_use *u, struct cluster_wait *w)
{
	struct clusters *cs = u->cs;

	if (nobody(u))
		list_add_tail(&cs->queued, &u->queued);
	if (u->serving == w)
		list_add(queue_of(u, w->kind), &w->node);
	else
		list_add_tail(queue_of(u, w->kind), &w->node);
	if (!timer_armed(&cs->poll))
		timer_arm(cs->conf.loop, &cs->poll, POLL_NS, poll_queue, cs);
}

int cluster_wait_begin(struct clusters *cs, struct slice cluster, struct cluster_wait *w, enum limit_kind kind,
		       void (*fn)(struct cluster_wait *w, int err))
{
	struct cluster_use *u = use_find(cs, cluster);
	bool again;

	if (!u)
		return -ENOENT;
	if (!use_take(u, LIMIT_PENDING))
		return -EBUSY;
	again = u->serving == w;
	*w = (struct cluster_wait){ .use = u, .fn = fn, .kind = (uint8_t)kind,
				    .due_ns = again ? w->due_ns : cs->conf.loop->now_ns + CLUSTER_WAIT_MS * MSEC };
	enter(u, w);
	stat_add(&cs->stat.waits, !again);
	if (kind != LIMIT_CONNECTIONS)
		return 0;
	stat_add(&cs->stat.overflows, !again);
	count_in(u);
	tell(u);
	return 0;
}

void cluster_wait_end(struct cluster_wait *w)
{
	struct cluster_use *u = w->use;

	if (!u)
		return;
	w->use = NULL;
	if (w->granted) {
		w->granted = false;
		use_give(u, LIMIT_REQUESTS);
		return;
	}
	leave(u, w);
	if (!nobody(u))
		cluster_wake(u->cs);
	use_drop(u);
}
