/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for a place under maxRequests, first come first served on each worker. A place that this worker frees
 * goes to them at once; for those that other workers free it asks every 10 ms.
 */
#include <errno.h>

#include "base/clock.h"
#include "proxy/cluster_priv.h"

#define POLL_NS (10 * MSEC)

static void finish(struct cluster_wait *w, int err)
{
	struct cluster_use *u = w->use;

	list_del(&w->node);
	if (list_empty(&u->waiters))
		list_del(&u->queued);
	w->granted = !err;
	if (err)
		w->use = NULL;
	else
		u->refs++;
	limit_give(use_limit(u, LIMIT_PENDING), &u->share[LIMIT_PENDING]);
	w->fn(w, err);
	use_drop(u);
}

static struct cluster_wait *first(struct cluster_use *u)
{
	return list_empty(&u->waiters) ? NULL : container_of(u->waiters.next, struct cluster_wait, node);
}

static void serve(struct cluster_use *u, uint64_t now_ns)
{
	struct cluster_wait *w;

	while ((w = first(u)) && limit_take(use_limit(u, LIMIT_REQUESTS), &u->share[LIMIT_REQUESTS]))
		finish(w, 0);
	while ((w = first(u)) && w->due_ns <= now_ns) {
		stat_add(&u->cs->stat.wait_timeouts, 1);
		finish(w, -ETIMEDOUT);
	}
}

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
		if (!list_empty(&u->waiters) && !list_linked(&u->queued))
			list_add_tail(&cs->queued, &u->queued);
		use_drop(u);
	}
	if (!list_empty(&cs->queued))
		timer_arm(cs->conf.loop, &cs->poll, POLL_NS, poll_queue, cs);
}

static void poll_queue(struct timer *t)
{
	serve_all(t->arg);
}

static void wake(struct loop_deferred *d)
{
	serve_all(container_of(d, struct clusters, wake));
}

void cluster_wake(struct clusters *cs)
{
	loop_defer(cs->conf.loop, &cs->wake, wake);
}

int cluster_wait_begin(struct clusters *cs, struct slice cluster, struct cluster_wait *w,
		       void (*fn)(struct cluster_wait *w, int err))
{
	struct cluster_use *u = use_find(cs, cluster);

	if (!u)
		return -ENOENT;
	if (!use_take(u, LIMIT_PENDING))
		return -EBUSY;
	*w = (struct cluster_wait){ .use = u, .fn = fn, .due_ns = cs->conf.loop->now_ns + CLUSTER_WAIT_MS * MSEC };
	if (list_empty(&u->waiters))
		list_add_tail(&cs->queued, &u->queued);
	list_add_tail(&u->waiters, &w->node);
	if (!timer_armed(&cs->poll))
		timer_arm(cs->conf.loop, &cs->poll, POLL_NS, poll_queue, cs);
	stat_add(&cs->stat.waits, 1);
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
	list_del(&w->node);
	if (list_empty(&u->waiters))
		list_del(&u->queued);
	use_give(u, LIMIT_PENDING);
}
