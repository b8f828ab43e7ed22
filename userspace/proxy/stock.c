/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/stock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/table.h"
#include "event/timer.h"
#include "net/addr.h"
#include "weft/log.h"

static const struct stock_times times = { .again_ns = 250 * MSEC, .look_ns = 10 * SEC, .unused_ns = 30 * SEC };

STAT_DEFINE(stock_stat, "stock", STOCK_STATS);

enum { V4, V6, FAMILIES };

/* Sockets of one pod and family. */
struct shelf {
	struct stock *stock;
	struct pod *pod;
	uint8_t family;
	unsigned n, want;                       /* there are; there should be */
	bool filled;                            /* some were put here since it ran out */
	unsigned least;                         /* there were, since the last look */
	unsigned asked;                         /* and have not come */
	uint64_t asked_ns, taken_ns;
	struct list waits;                      /* oldest first */
	unsigned nwaits;
	struct timer again, look;
	int fd[STOCK_MOST];
};

struct pod {
	uint64_t netns;
	bool kept;                              /* named since the last sweep */
	struct shelf shelf[FAMILIES];
};

struct stock_wait {
	struct list node;
	struct shelf *shelf;
	struct timer timer;
	uint64_t since_ns;
	stock_came_fn *fn;
	void *arg;
};

struct stock {
	struct stock_conf conf;
	struct table pods;                      /* by cookie */
	struct stock_stat stat;
};

static void kept(struct shelf *h, int n)
{
	_Atomic uint64_t *gauge = &h->stock->stat.kept;

	stat_set(gauge, stat_get(gauge) + (uint64_t)(int64_t)n);
}

static struct slice key_of(const uint64_t *netns)
{
	return (struct slice){ (const char *)netns, sizeof(*netns) };
}

static struct pod *pod_find(const struct stock *s, uint64_t netns)
{
	return table_get(&s->pods, key_of(&netns));
}

static struct shelf *shelf_for(const struct stock *s, uint64_t netns, const struct ip *to)
{
	struct pod *p = pod_find(s, netns);

	return p ? &p->shelf[addr_is_v4(to) ? V4 : V6] : NULL;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

/* While half of what there should be is there, or on its way, nothing is asked for: so what is comes in batches. */
static void refill(struct shelf *h)
{
	uint64_t now = h->stock->conf.loop->now_ns;
	unsigned want = h->want + h->nwaits, have;

	if (now - h->asked_ns >= h->stock->conf.times.again_ns)
		h->asked = 0;
	have = h->n + h->asked;
	if (have >= h->nwaits + (h->want + 1) / 2)
		return;
	h->asked += want - have;
	h->asked_ns = now;
	stat_add(&h->stock->stat.asked, want - have);
	h->stock->conf.ask(h->stock->conf.arg, h->pod->netns, h->family, want - have);
}

static void again(struct timer *t)
{
	struct shelf *h = t->arg;

	if (!h->nwaits)
		return;
	refill(h);
	timer_arm(h->stock->conf.loop, &h->again, h->stock->conf.times.again_ns, again, h);
}

void stock_ask_again(struct stock *s)
{
	for (struct table_entry *e = table_next(&s->pods, NULL); e; e = table_next(&s->pods, e)) {
		struct pod *p = e->value;

		for (int i = 0; i < FAMILIES; i++) {
			p->shelf[i].asked = 0;
			if (p->shelf[i].nwaits)
				refill(&p->shelf[i]);
		}
	}
}

/* ---- giving up ------------------------------------------------------------------------------------------------- */

static void close_above(struct shelf *h, unsigned most)
{
	while (h->n > most) {
		close(h->fd[--h->n]);
		kept(h, -1);
	}
}

/* More than half of them were never touched: half as many will do. */
static void look(struct timer *t)
{
	struct shelf *h = t->arg;
	struct stock_conf *c = &h->stock->conf;

	if (c->loop->now_ns - h->taken_ns >= c->times.unused_ns) {
		close_above(h, 0);
		h->want = STOCK_FEW;
		return;
	}
	if (h->want > STOCK_FEW && h->least > h->want / 2) {
		h->want /= 2;
		close_above(h, h->want);
	}
	h->least = h->n;
	timer_arm(c->loop, &h->look, c->times.look_ns, look, h);
}

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static void unlink_wait(struct stock_wait *w)
{
	struct shelf *h = w->shelf;

	list_del(&w->node);
	h->nwaits--;
	timer_disarm(h->stock->conf.loop, &w->timer);
	if (!h->nwaits)
		timer_disarm(h->stock->conf.loop, &h->again);
}

static void tell(struct stock_wait *w, int take_fd)
{
	stock_came_fn *fn = w->fn;
	void *arg = w->arg;
	uint64_t waited = w->shelf->stock->conf.loop->now_ns - w->since_ns;

	stat_add(&w->shelf->stock->stat.taken, take_fd >= 0);
	unlink_wait(w);
	free(w);
	fn(arg, take_fd, waited);
}

static void too_late(struct timer *t)
{
	struct stock_wait *w = t->arg;

	stat_add(&w->shelf->stock->stat.late, 1);
	tell(w, -ETIMEDOUT);
}

struct stock_wait *stock_wait(struct stock *s, uint64_t netns, const struct ip *to, uint32_t ms, stock_came_fn *fn, void *arg)
{
	struct shelf *h = shelf_for(s, netns, to);
	struct stock_wait *w = mem_alloc(sizeof(*w));

	assert_always(h && !h->n);
	*w = (struct stock_wait){ .shelf = h, .since_ns = s->conf.loop->now_ns, .fn = fn, .arg = arg };
	list_add_tail(&h->waits, &w->node);
	h->nwaits++;
	stat_add(&s->stat.waited, 1);
	if (ms)
		timer_arm(s->conf.loop, &w->timer, ms * MSEC, too_late, w);
	if (!timer_armed(&h->again))
		timer_arm(s->conf.loop, &h->again, s->conf.times.again_ns, again, h);
	refill(h);
	return w;
}

void stock_wait_end(struct stock_wait *w)
{
	if (!w)
		return;
	unlink_wait(w);
	free(w);
}

/* ---- sockets --------------------------------------------------------------------------------------------------- */

int stock_take(struct stock *s, uint64_t netns, const struct ip *to)
{
	struct shelf *h = shelf_for(s, netns, to);
	int fd;

	if (!h)
		return -ENETDOWN;
	h->taken_ns = s->conf.loop->now_ns;
	if (!h->n) {
		if (h->filled && h->want < STOCK_MOST)
			h->want *= 2;
		h->filled = false;
		return -EAGAIN;
	}
	fd = h->fd[--h->n];
	kept(h, -1);
	stat_add(&s->stat.taken, 1);
	if (h->n < h->least)
		h->least = h->n;
	refill(h);
	return fd;
}

static struct shelf *shelf_of_family(const struct stock *s, uint64_t netns, uint8_t family)
{
	struct pod *p = pod_find(s, netns);

	if (!p || (family != AF_INET && family != AF_INET6))
		return NULL;
	return &p->shelf[family == AF_INET ? V4 : V6];
}

void stock_put(struct stock *s, uint64_t netns, uint8_t family, int take_fd)
{
	struct shelf *h = shelf_of_family(s, netns, family);

	if (!h) {
		close(take_fd);
		return;
	}
	h->asked -= h->asked > 0;
	if (h->nwaits) {
		tell(container_of(h->waits.next, struct stock_wait, node), take_fd);
		return;
	}
	if (h->n >= STOCK_MOST) {
		close(take_fd);
		return;
	}
	h->fd[h->n++] = take_fd;
	kept(h, 1);
	h->filled = true;
	if (!timer_armed(&h->look))
		timer_arm(s->conf.loop, &h->look, s->conf.times.look_ns, look, h);
}

/* ---- pods ------------------------------------------------------------------------------------------------------ */

static void shelf_init(struct shelf *h, struct stock *s, struct pod *p, uint8_t family)
{
	h->stock = s;
	h->pod = p;
	h->family = family;
	h->want = STOCK_FEW;
	list_init(&h->waits);
}

static struct pod *pod_get(struct stock *s, uint64_t netns)
{
	struct pod *p = pod_find(s, netns);

	if (p)
		return p;
	p = mem_alloc(sizeof(*p));
	p->netns = netns;
	shelf_init(&p->shelf[V4], s, p, AF_INET);
	shelf_init(&p->shelf[V6], s, p, AF_INET6);
	table_put(&s->pods, key_of(&p->netns), p);
	return p;
}

void stock_add(struct stock *s, uint64_t netns)
{
	pod_get(s, netns);
}

void stock_keep(struct stock *s, uint64_t netns)
{
	pod_get(s, netns)->kept = true;
}

static void shelf_fini(struct shelf *h)
{
	while (h->nwaits)
		tell(container_of(h->waits.next, struct stock_wait, node), -ENETDOWN);
	close_above(h, 0);
	timer_disarm(h->stock->conf.loop, &h->look);
}

/* Is found by nobody any more before those who wait are told: they may ask again at once. */
static void pod_free(struct stock *s, struct pod *p)
{
	table_del(&s->pods, key_of(&p->netns));
	for (int i = 0; i < FAMILIES; i++)
		shelf_fini(&p->shelf[i]);
	free(p);
}

void stock_sweep(struct stock *s)
{
	for (struct table_entry *e = table_next(&s->pods, NULL); e; e = table_next(&s->pods, e)) {
		struct pod *p = e->value;
		uint64_t netns = p->netns;

		if (p->kept) {
			p->kept = false;
			continue;
		}
		pod_free(s, p);
		s->conf.gone(s->conf.arg, netns);
	}
}

bool stock_has(const struct stock *s, uint64_t netns)
{
	return pod_find(s, netns);
}

const struct stock_stat *stock_stats(const struct stock *s)
{
	return &s->stat;
}

struct stock *stock_new(const struct stock_conf *c)
{
	struct stock *s = mem_alloc(sizeof(*s));

	s->conf = *c;
	if (!c->times.again_ns)
		s->conf.times = times;
	table_init(&s->pods, 0);
	return s;
}

void stock_free(struct stock *s)
{
	if (!s)
		return;
	for (struct table_entry *e = table_next(&s->pods, NULL); e; e = table_next(&s->pods, e))
		pod_free(s, e->value);
	table_fini(&s->pods);
	free(s);
}
