/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/outlier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/fact.h"
#include "weft/log.h"
#include "weft/str.h"

STAT_DEFINE(outlier_stat, "outlier", OUTLIER_STATS);

/* ---- workers ------------------------------------------------------------------------------------------------ */

struct outlier_letter {
	struct letter letter;
	struct outlier *outlier;
	struct slice cluster;                   /* behind the struct */
	uint64_t key;
	uint32_t run[RUNS];
};

static void on_letter(struct letter *x);

static void tell(const struct clusters_conf *conf, const struct plan *p, const struct shared_host *h)
{
	struct slice name = p->cluster->name;
	struct outlier_letter *m = mem_alloc(sizeof(*m) + name.n);

	m->outlier = conf->up_arg;
	m->cluster = (struct slice){ memcpy(m + 1, name.p, name.n), name.n };
	m->key = h->key;
	mailbox_post(conf->up, &m->letter, on_letter);
}

/* Words that nobody writes while all is well. True: the last error of as many as it takes, or as many again. */
static bool count_run(struct shared_host *h, enum shared_run kind, bool error, uint32_t most)
{
	uint32_t n;

	if (!error) {
		if (atomic_load_explicit(&h->run[kind], memory_order_relaxed))
			atomic_store_explicit(&h->run[kind], 0, memory_order_relaxed);
		return false;
	}
	n = atomic_fetch_add_explicit(&h->run[kind], 1, memory_order_relaxed) + 1;
	return most && n % most == 0;
}

static void count_one(_Atomic uint32_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

void outlier_note(const struct clusters_conf *conf, const struct plan *p, struct shared_host *h, const struct lb_result *r)
{
	const struct outlier_detection *o = &p->cluster->conf->outlier;
	bool gateway = !r->ok && (!r->status || (r->status >= 502 && r->status <= 504));
	bool over;

	if (!o->enabled)
		return;
	count_one(&h->count[conf->worker].done);
	if (!r->ok)
		count_one(&h->count[conf->worker].failed);
	over = count_run(h, RUN_5XX, !r->ok, o->consecutive_5xx);
	over |= count_run(h, RUN_GATEWAY, gateway, o->consecutive_gateway);
	over |= count_run(h, RUN_LOCAL, !r->ok && !r->status, o->consecutive_local);
	if (over && conf->up)
		tell(conf, p, h);
}

/* ---- control thread ----------------------------------------------------------------------------------------- */

static void say(const struct shared_cluster *c, const struct shared_host *h, const char *what, uint64_t ms)
{
	char subject[64], ip[64];

	snprintf(subject, sizeof(subject), "%.*s", SLICE_ARG(c->name));
	if (ms)
		log_warn(subject, "host %s port %u is ejected for %llu ms: %s", ip_name(&h->addr.ip, ip), h->addr.port,
			 (unsigned long long)ms, what);
	else
		log_info(subject, "host %s port %u is back", ip_name(&h->addr.ip, ip), h->addr.port);
}

/*
 * One may always go where there are two: with few hosts a share of them is less than one. Hosts that a reload has taken
 * away, and that old connections still hold, are none of them.
 */
static bool may_eject(const struct shared_cluster *c)
{
	uint64_t hosts = 0, ejected = 0;

	for (struct table_entry *e = table_next(&c->hosts, NULL); e; e = table_next(&c->hosts, e)) {
		const struct shared_host *h = e->value;

		hosts += h->plan == c->plan;
		ejected += h->plan == c->plan && shared_host_state(h) & HOST_EJECTED;
	}
	return ejected ? (ejected + 1) * 100 <= hosts * c->outlier->max_ejection_percent : hosts > 1;
}

static bool eject(struct outlier *o, struct shared_cluster *c, struct shared_host *h, const char *why, uint64_t now_ns)
{
	const struct outlier_detection *conf = c->outlier;
	uint64_t ms, longest;

	if (shared_host_state(h) & HOST_EJECTED)
		return false;
	if (!may_eject(c)) {
		stat_add(&o->stat.ejections_refused, 1);
		return false;
	}
	h->times++;
	longest = conf->max_ejection_ms > conf->base_ejection_ms ? conf->max_ejection_ms : conf->base_ejection_ms;
	ms = (uint64_t)conf->base_ejection_ms * h->times;
	ms = ms > longest ? longest : ms ? ms : 1;
	h->until_ns = now_ns + ms * MSEC;
	shared_host_set(c, h, HOST_EJECTED, 0, now_ns);
	stat_set(&o->stat.ejected, stat_get(&o->stat.ejected) + 1);
	say(c, h, why, ms);
	if (o->told)
		o->told(o->arg, c, h, ms);
	return true;
}

static void take_back(struct outlier *o, struct shared_cluster *c, struct shared_host *h, uint64_t now_ns)
{
	for (int i = 0; i < RUNS; i++)
		atomic_store_explicit(&h->run[i], 0, memory_order_relaxed);
	shared_host_set(c, h, 0, HOST_EJECTED, now_ns);
	stat_add(&o->stat.returns, 1);
	say(c, h, NULL, 0);
	if (o->told)
		o->told(o->arg, c, h, 0);
}

static bool over(const struct shared_host *h, enum shared_run kind, uint32_t most)
{
	return most && atomic_load_explicit(&h->run[kind], memory_order_relaxed) >= most;
}

static void on_letter(struct letter *x)
{
	struct outlier_letter *m = container_of(x, struct outlier_letter, letter);
	struct shared_cluster *c = shared_cluster_find(m->outlier->shared, m->cluster);
	struct shared_host *h = c ? shared_host_find(c, m->key) : NULL;
	const struct outlier_detection *o = c ? c->outlier : NULL;

	/* Looked at again: a success of another worker may have come since. */
	if (h && o &&
	    (over(h, RUN_5XX, o->consecutive_5xx) || over(h, RUN_GATEWAY, o->consecutive_gateway) ||
	     over(h, RUN_LOCAL, o->consecutive_local)) &&
	    eject(m->outlier, c, h, "errors in a row", clock_ns()))
		stat_add(&m->outlier->stat.ejections_in_a_row, 1);
	free(m);
}

struct sums {
	uint64_t done, failed;
};

static struct sums fold(const struct outlier *o, const struct shared_host *h)
{
	struct sums s = { 0 };

	for (unsigned i = 0; i < o->shared->workers; i++) {
		s.done += atomic_load_explicit(&h->count[i].done, memory_order_relaxed);
		s.failed += atomic_load_explicit(&h->count[i].failed, memory_order_relaxed);
	}
	return s;
}

/* Since the last sweep. Words wrap, and so do the sums. */
static struct sums since(const struct outlier *o, const struct shared_host *h)
{
	struct sums s = fold(o, h);

	return (struct sums){ (uint32_t)(s.done - h->done), (uint32_t)(s.failed - h->failed) };
}

/* Once in an interval: who fails too often goes; who was well for one more interval is forgiven one ejection. */
static void judge(struct outlier *o, struct shared_cluster *c, uint64_t now_ns)
{
	const struct outlier_detection *conf = c->outlier;
	uint32_t enough = 0;

	for (struct table_entry *e = table_next(&c->hosts, NULL); e; e = table_next(&c->hosts, e)) {
		struct sums s = since(o, e->value);

		enough += s.done && s.done >= conf->failure_min_requests;
	}
	for (struct table_entry *e = table_next(&c->hosts, NULL); e; e = table_next(&c->hosts, e)) {
		struct shared_host *h = e->value;
		struct sums s = since(o, h), all = fold(o, h);
		bool bad = conf->failure_percentage && enough >= conf->failure_min_hosts && s.done &&
			   s.done >= conf->failure_min_requests && s.failed * 100 >= s.done * conf->failure_percentage;

		h->done = all.done;
		h->failed = all.failed;
		if (bad && eject(o, c, h, "too many failures", now_ns))
			stat_add(&o->stat.ejections_share, 1);
		else if (!bad && h->times && !(shared_host_state(h) & HOST_EJECTED))
			h->times--;
	}
}

static void sweep_cluster(struct outlier *o, struct shared_cluster *c, uint64_t now_ns)
{
	for (struct table_entry *e = c->ejected ? table_next(&c->hosts, NULL) : NULL; e; e = table_next(&c->hosts, e)) {
		struct shared_host *h = e->value;

		if (shared_host_state(h) & HOST_EJECTED && (now_ns >= h->until_ns || !c->outlier))
			take_back(o, c, h, now_ns);
	}
	if (!c->outlier || now_ns < c->sweep_ns)
		return;
	if (c->sweep_ns)
		judge(o, c, now_ns);
	c->sweep_ns = now_ns + c->outlier->interval_ms * MSEC;
}

void outlier_sweep(struct outlier *o, uint64_t now_ns)
{
	uint64_t ejected = 0;

	for (struct table_entry *e = table_next(&o->shared->clusters, NULL); e; e = table_next(&o->shared->clusters, e)) {
		struct shared_cluster *c = e->value;

		if (c->outlier || c->ejected)
			sweep_cluster(o, c, now_ns);
		ejected += c->ejected;
	}
	stat_set(&o->stat.ejected, ejected);
}

static void on_timer(struct timer *t)
{
	struct outlier *o = t->arg;

	outlier_sweep(o, o->loop->now_ns);
	timer_arm(o->loop, &o->timer, OUTLIER_FOLD_MS * MSEC, on_timer, o);
}

void outlier_start(struct outlier *o, struct loop *l, struct shared *s)
{
	o->loop = l;
	o->shared = s;
	timer_arm(l, &o->timer, OUTLIER_FOLD_MS * MSEC, on_timer, o);
}

void outlier_stop(struct outlier *o)
{
	if (o->loop)
		timer_disarm(o->loop, &o->timer);
	o->loop = NULL;
}
