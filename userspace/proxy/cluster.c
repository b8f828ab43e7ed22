/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/addr.h"
#include "net/sock.h"
#include "proxy/cluster_priv.h"
#include "proxy/host_count.h"
#include "proxy/outlier.h"
#include "weft/str.h"

STAT_DEFINE(cluster_stat, "cluster", CLUSTER_STATS);

/* ---- versions ----------------------------------------------------------------------------------------------- */

static void view_end(struct cluster_use *u, struct view *v)
{
	v->current = false;
	if (!v->users)
		view_free(v, &u->cells);
}

static void use_update(struct cluster_use *u, const struct plan *plan)
{
	struct clusters *cs = u->cs;
	uint64_t t = clock_ns();
	struct view *old = u->view;

	u->view = view_new(plan, hold_use(cs->conf.adoption), old, &u->cells, &cs->rng, t);
	if (old) {
		for (int i = 0; i < LIMITS; i++)
			limit_return(&plan->shared->limit[i], &u->share[i]);
		view_end(u, old);
	}
	stat_add(&cs->stat.rebuilds, 1);
	stat_add(&cs->stat.rebuild_us, (clock_ns() - t) / 1000);
}

static void use_end(struct cluster_use *u)
{
	assert_always(list_empty(&u->waiters) && list_empty(&u->conn_waiters));
	for (int i = 0; i < LIMITS; i++)
		limit_return(use_limit(u, i), &u->share[i]);
	made_fini(u);
	view_end(u, u->view);
	assert_always(!u->cells.n);
	table_fini(&u->cells);
	table_del(&u->cs->uses, u->name);
	stat_set(&u->cs->stat.uses, u->cs->uses.n);
	free((char *)u->name.p);
	free(u);
}

static struct cluster_use *use_new(struct clusters *cs, struct slice name)
{
	struct hold *h = cs->conf.adoption->cur;
	const struct plan *plan = h ? plans_find(h->snap, name) : NULL;
	struct cluster_use *u;

	if (!plan)
		return NULL;
	u = mem_alloc(sizeof(*u));
	u->cs = cs;
	u->name = (struct slice){ mem_dup(name.p, name.n), name.n };
	table_init(&u->cells, 0);
	table_init(&u->made, 0);
	list_init(&u->waiters);
	list_init(&u->conn_waiters);
	use_update(u, plan);
	table_put(&cs->uses, u->name, u);
	stat_set(&cs->stat.uses, cs->uses.n);
	return u;
}

struct cluster_use *use_find(struct clusters *cs, struct slice name)
{
	struct cluster_use *u = table_get(&cs->uses, name);

	return u ? u : use_new(cs, name);
}

void use_drop(struct cluster_use *u)
{
	assert_always(u->refs);
	if (!--u->refs && u->gone && !u->pool)
		use_end(u);
}

static void use_adopt(struct cluster_use *u, const struct snapshot *now)
{
	const struct plan *plan = plans_find(now, u->name);
	bool was_gone = u->gone;

	u->gone = !plan;
	if (plan == u->view->plan) {
		struct hold *h = u->view->hold;

		u->view->hold = hold_use(u->cs->conf.adoption);
		hold_drop(h);
		return;
	}
	if (plan)
		use_update(u, plan);
	if ((plan || !was_gone) && u->cs->conf.changed)
		u->cs->conf.changed(u->cs->conf.arg, u);
}

void clusters_adopt(struct clusters *cs)
{
	const struct snapshot *now = cs->conf.adoption->cur->snap;
	VEC(struct cluster_use *) all = { 0 };

	/* What is told of a change may end uses and begin others. */
	for (struct table_entry *e = table_next(&cs->uses, NULL); e; e = table_next(&cs->uses, e)) {
		struct cluster_use *u = e->value;

		u->refs++;
		vec_push(&all, u);
	}
	for (size_t i = 0; i < all.n; i++) {
		use_adopt(all.v[i], now);
		use_drop(all.v[i]);
	}
	vec_fini(&all);
}

/* ---- credits ------------------------------------------------------------------------------------------------ */

bool use_take(struct cluster_use *u, enum limit_kind k)
{
	if (!limit_take(use_limit(u, k), &u->share[k])) {
		stat_add(&u->cs->stat.overflows, 1);
		return false;
	}
	u->refs++;
	return true;
}

void use_give(struct cluster_use *u, enum limit_kind k)
{
	limit_give(use_limit(u, k), &u->share[k]);
	if (k == LIMIT_CONNECTIONS)
		cluster_conn_freed(u);
	else if (!list_empty(&u->waiters))
		cluster_wake(u->cs);
	use_drop(u);
}

/* ---- picking ------------------------------------------------------------------------------------------------ */

/*
 * The client dialled the listener itself, and so would we, again and again. What tproxy has sent here looks the same, but
 * is not this machine's, or not this port's.
 */
static bool is_circle(const struct cluster_ask *ask)
{
	const struct listener *l = ask->listener;
	const struct net_addr *a = ask->lb.original;

	if (!l || !a || !addr_eq(a, ask->local))
		return false;
	return l->capture != CAPTURE_TPROXY || (a->port == l->port && sock_is_here(&a->ip));
}

static int choose(struct cluster_use *u, const struct cluster_ask *ask, struct pick *out)
{
	struct view *v = u->view;

	if (v->plan->cluster->conf->lb == LB_POLICY_ORIGINAL_DESTINATION && is_circle(ask))
		return -EHOSTUNREACH;
	if (v->plan->cluster->conf->lb == LB_POLICY_ORIGINAL_DESTINATION && !v->plan->cluster->nhosts)
		return made_pick(u, ask->lb.original, out);
	if (!view_pick(v, ask, &u->cs->rng, out))
		return -EHOSTUNREACH;
	if (out->balance->lb.panic)
		stat_add(&u->cs->stat.panics, 1);
	out->host = out->balance->hosts->hosts[out->index].host;
	out->key = out->balance->hosts->hosts[out->index].key;
	out->cell = container_of(out->balance->cells[out->index], struct cell, lb);
	out->addr = (struct net_addr){ out->host->ip, out->host->port };
	if (!out->addr.port && ask->lb.original)
		out->addr.port = ask->lb.original->port;
	return out->addr.port ? 0 : -EHOSTUNREACH;
}

/* For one that is relayed: the place of a connection that is idle here is as good as a free one. */
static bool take_connection(struct cluster_use *u)
{
	const struct clusters_conf *c = &u->cs->conf;
	bool ok;

	if (cluster_conn_waits(u))
		return false;
	if (use_take(u, LIMIT_CONNECTIONS))
		return true;
	if (!c->rests || !c->rests(c->arg, u))
		return false;
	u->refs++;
	c->close_rest(c->arg, u);
	ok = use_take(u, LIMIT_CONNECTIONS);
	use_drop(u);
	return ok;
}

/* A place that was waited for is used; else nobody who waits is overtaken. */
static bool take_credit(struct cluster_use *u, const struct cluster_ask *ask, enum cluster_take take)
{
	struct cluster_wait *w = ask->wait;

	if (take == CLUSTER_CONNECTION)
		return take_connection(u);
	if (w && w->granted && w->use == u) {
		w->use = NULL;
		w->granted = false;
		return true;
	}
	if (list_empty(&u->waiters))
		return use_take(u, LIMIT_REQUESTS);
	stat_add(&u->cs->stat.overflows, 1);
	return false;
}

static enum limit_kind kind_of(uint8_t take)
{
	return take == CLUSTER_CONNECTION ? LIMIT_CONNECTIONS : LIMIT_REQUESTS;
}

/* Hosts that original-destination makes are as many as clients like: they count for their cluster alone. */
static void count_host(const struct cluster_use *u, struct pick *p)
{
	if (!p->cell->shared)
		return;
	p->stat = host_count(u->view->plan->shared, p->cell->shared, u->cs->conf.worker);
	if (p->stat)
		host_count_begin(p->stat);
	else
		stat_add(&u->cs->stat.uncounted, 1);
}

int cluster_pick(struct clusters *cs, const struct cluster_ask *ask, enum cluster_take take, struct pick *out)
{
	struct cluster_use *u = use_find(cs, ask->backend->cluster);
	int err;

	*out = (struct pick){ .take = take };
	if (!u) {
		stat_add(&cs->stat.no_cluster, 1);
		return -ENOENT;
	}
	if (!take_credit(u, ask, take))
		return -EBUSY;
	view_refresh(u->view, ask->lb.now_ns);
	err = choose(u, ask, out);
	if (err) {
		stat_add(err == -EHOSTUNREACH ? &cs->stat.no_host : &cs->stat.overflows, 1);
		*out = (struct pick){ 0 };
		use_give(u, kind_of(take));
		return err;
	}
	out->use = u;
	out->view = u->view;
	count_host(u, out);
	out->view->users++;
	out->cell->lb.active++;
	stat_add(&cs->stat.picks, 1);
	return 0;
}

/* ---- the end of a request ----------------------------------------------------------------------------------- */

/* Up at once; down as time goes by, by a first-order filter of LB_DECAY_NS. */
static void note_time(struct lb_cell *c, const struct lb_result *r)
{
	double took = (double)r->took_ns, dt = r->now_ns > c->ewma_at_ns ? (double)(r->now_ns - c->ewma_at_ns) : 0;

	if (!c->ewma_at_ns || took > c->ewma_ns)
		c->ewma_ns = took;
	else
		c->ewma_ns += (took - c->ewma_ns) * dt / (dt + (double)LB_DECAY_NS);
	c->ewma_at_ns = r->now_ns;
}

static void note(struct pick *p, const struct lb_result *r)
{
	struct lb_cell *c = &p->cell->lb;

	c->active--;
	c->done += r != NULL;
	c->failed += r && !r->ok;
	if (r && r->took_ns)
		note_time(c, r);
	if (r && p->cell->shared)
		outlier_note(&p->use->cs->conf, p->view->plan, p->cell->shared, r);
	if (r && p->balance && p->balance->lb.ops->done)
		p->balance->lb.ops->done(&p->balance->lb, p->index, r);
}

void pick_done(struct pick *p, const struct lb_result *r)
{
	struct cluster_use *u = p->use;
	struct view *v = p->view;
	struct cell *c = p->cell;
	enum limit_kind kind = kind_of(p->take);
	bool made = !p->balance;

	note(p, r);
	if (p->stat)
		host_count_end(p->stat, r);
	*p = (struct pick){ 0 };
	if (!--v->users && !v->current)
		view_free(v, &u->cells);
	else if (!made)
		cell_forget(&u->cells, c);
	use_give(u, kind);
}

void pick_undo(struct pick *p)
{
	if (p->stat)
		stat_add(&p->stat->requests, (uint64_t)-1);
	pick_done(p, NULL);
}

void pick_flag(const struct pick *p, enum stream_flag f)
{
	if (p->stat)
		host_count_flag(p->stat, f);
}

/* ---- connections -------------------------------------------------------------------------------------------- */

static struct host_stat *stat_of(const struct cluster_use *u, const struct cell *c)
{
	return c && c->shared ? host_count(u->view->plan->shared, c->shared, u->cs->conf.worker) : NULL;
}

struct host_stat *cluster_host_stat(const struct cluster_use *use, uint64_t host_key)
{
	return stat_of(use, cell_find(&use->cells, host_key));
}

/* Set, not counted: a host that comes back has a new row, and connections from before. */
static void count_conns(const struct cluster_use *u, const struct cell *c)
{
	struct host_stat *s = stat_of(u, c);

	if (s)
		stat_set(&s->connections, c->lb.conns);
}

static bool conn_counted(struct pick *p)
{
	p->use->refs++;
	p->cell->lb.conns++;
	count_conns(p->use, p->cell);
	return true;
}

bool cluster_conn_open(struct pick *p)
{
	struct cluster_use *u = p->use;

	return limit_take(use_limit(u, LIMIT_CONNECTIONS), &u->share[LIMIT_CONNECTIONS]) && conn_counted(p);
}

bool cluster_conn_open_over(struct pick *p)
{
	struct cluster_use *u = p->use;

	if (!cluster_conn_overdue(u))
		return false;
	limit_take_over(use_limit(u, LIMIT_CONNECTIONS), &u->share[LIMIT_CONNECTIONS]);
	stat_add(&u->cs->stat.over_limit, 1);
	return conn_counted(p);
}

void cluster_conn_closed(struct cluster_use *use, uint64_t host_key)
{
	struct cell *c = cell_find(&use->cells, host_key), *made = c ? NULL : made_cell(use, host_key);

	assert_always(c || made);
	(c ? c : made)->lb.conns--;
	count_conns(use, c ? c : made);
	if (c)
		cell_forget(&use->cells, c);
	use_give(use, LIMIT_CONNECTIONS);
}

/* ---- the rest ----------------------------------------------------------------------------------------------- */

const struct cluster_fact *cluster_conf(const struct cluster_use *use)
{
	return use->view->plan->cluster->conf;
}

void *cluster_pool(struct cluster_use *use)
{
	return use->pool;
}

void cluster_set_pool(struct cluster_use *use, void *pool)
{
	use->refs++;
	use->pool = pool;
	use_drop(use);
}

bool cluster_gone(const struct cluster_use *use)
{
	return use->gone;
}

bool cluster_has(const struct cluster_use *use, uint64_t host_key)
{
	const struct cell *c = use->gone ? NULL : cell_find(&use->cells, host_key);

	if (!c)
		return !use->gone && made_cell(use, host_key);
	for (uint32_t i = 0; c->refs && i < use->view->plan->n; i++)
		if (use->view->cells[i] == c)
			return true;
	return false;
}

bool cluster_retry_begin(struct cluster_use *use, uint32_t budget_percent, uint32_t budget_min, uint64_t now_ns)
{
	uint64_t active = use->share[LIMIT_REQUESTS].used;
	bool ok = limit_take(use_limit(use, LIMIT_RETRIES), &use->share[LIMIT_RETRIES]);

	if (ok && (use->retries + 1ull) * 100 > active * budget_percent &&
	    !limit_rate_take(&use->view->plan->shared->retries, budget_min, now_ns)) {
		limit_give(use_limit(use, LIMIT_RETRIES), &use->share[LIMIT_RETRIES]);
		ok = false;
	}
	stat_add(ok ? &use->cs->stat.retries : &use->cs->stat.retry_overflows, 1);
	use->retries += ok;
	use->refs += ok;
	return ok;
}

void cluster_retry_end(struct cluster_use *use)
{
	use->retries--;
	use_give(use, LIMIT_RETRIES);
}

const struct cluster_stat *clusters_stat(const struct clusters *cs)
{
	return &cs->stat;
}

struct clusters *clusters_new(const struct clusters_conf *conf)
{
	struct clusters *cs = mem_alloc(sizeof(*cs));

	cs->magic = clusters_MAGIC;
	cs->conf = *conf;
	cs->rng = conf->seed;
	table_init(&cs->uses, 0);
	list_init(&cs->queued);
	return cs;
}

void clusters_free(struct clusters *cs)
{
	struct table_entry *e;

	if (!cs)
		return;
	timer_disarm(cs->conf.loop, &cs->poll);
	list_del(&cs->wake.node);
	while ((e = table_next(&cs->uses, NULL))) {
		struct cluster_use *u = e->value;

		assert_always(!u->refs && !u->pool);
		use_end(u);
	}
	table_fini(&cs->uses);
	cs->magic = 0;
	free(cs);
}
