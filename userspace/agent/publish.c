/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/publish.h"

#include <malloc.h>
#include <stdio.h>

#include "agent/doors.h"
#include "base/clock.h"
#include "kern/kern.h"
#include "weft/log.h"
#include "weft/str.h"

#define LARGE_CHANGE 1000                       /* clusters: reading so many leaves free memory that is worth giving back */
#define TRIM_NS (1 * SEC)                       /* later: by then the transaction has ended and the proxy has been fed */

STAT_DEFINE(publish_stat, "publish", PUBLISH_STATS);

void publish_init(struct publish *p, struct loop *l, struct store *s, struct kern *k, struct child *c, struct doors *d)
{
	*p = (struct publish){ .loop = l, .store = s, .kern = k, .child = c, .doors = d };
}

void publish_fini(struct publish *p)
{
	if (!p->store)
		return;
	timer_disarm(p->loop, &p->trim);
	snapshot_drop(p->now);
	store_bury(p->store);
	p->store = NULL;
}

static void to_kernel(struct publish *p, const struct diff *d)
{
	uint64_t t = clock_ns();
	struct err e = { 0 };
	/* After a failure the maps' state is not that of d->old: everything is compared. */
	bool whole = p->kernel_error[0] || !d->old;

	p->kernel_error[0] = '\0';
	if (kern_sync(p->kern, p->now, whole ? NULL : d, &e)) {
		stat_add(&p->stat.kernel_errors, 1);
		snprintf(p->kernel_error, sizeof(p->kernel_error), "%s", err_text(&e));
		log_error("kernel", "snapshot %llu: %s", (unsigned long long)p->now->number, err_text(&e));
	}
	stat_set(&p->stat.kernel_us, (clock_ns() - t) / 1000);
}

void publish_kernel(struct publish *p, const struct diff *d)
{
	to_kernel(p, d);
}

static void trim(struct timer *t)
{
	(void)t;
	malloc_trim(0);
}

/* What the kernel does instead of what a cluster asks for; once for each change of its settings. */
static void say_instead(const struct diff *d)
{
	for (size_t i = 0; i < d->clusters.n; i++) {
		const struct cluster *now = d->clusters.v[i].now, *old = d->clusters.v[i].old;
		enum lb_policy lb = now ? now->conf->lb : LB_POLICY_LEAST_REQUEST;
		char name[128];

		if (!lb_kernel_words[lb] || (old && slice_eq(cluster_balancer(old->conf), cluster_balancer(now->conf))))
			continue;
		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(now->name));
		log_info(name, "loadBalancer %.*s is the proxy's; for services without routes %s in the kernel",
			 SLICE_ARG(cluster_balancer(now->conf)), lb_kernel_words[lb]);
	}
}

/* A cluster that somebody names and nobody has given, and the end of that. */
static void say_absent(const struct diff *d)
{
	for (size_t i = 0; i < d->clusters.n; i++) {
		const struct cluster *now = d->clusters.v[i].now, *old = d->clusters.v[i].old;
		bool absent = now && now->conf->absent, was = old && old->conf->absent;
		struct fact_mark by;
		char name[128];

		if (absent == was)
			continue;
		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(now ? now->name : old->name));
		if (!now)
			log_info(name, "nobody names this cluster any more");
		else if (!absent)
			log_info(name, "this cluster is here, with %zu hosts", now->nhosts);
		if (!absent)
			continue;
		by = fact_mark(&now->conf->fact);
		log_warn(name, "no registry has given this cluster, which %.*s:%u names: its requests are answered 503 (NC)",
			 SLICE_ARG(by.file), by.line);
	}
}

void publish_now(struct publish *p)
{
	struct snapshot *old = p->now;
	uint64_t t = clock_ns();
	struct diff d;
	bool large;

	p->now = store_build(p->store, 0);
	diff_init(&d, old, p->now);
	stat_set(&p->stat.build_us, (clock_ns() - t) / 1000);
	to_kernel(p, &d);
	doors_sync(p->doors, p->now);
	child_feed(p->child, &d);
	say_instead(&d);
	say_absent(&d);
	log_debug("publish", "snapshot %llu: %zu clusters changed, %zu services", (unsigned long long)p->now->number,
		  d.clusters.n, d.facts[FACT_SERVICE].n);
	if (p->published)
		p->published(p->arg, &d);
	large = d.clusters.n >= LARGE_CHANGE;
	diff_fini(&d);
	snapshot_drop(old);
	store_bury(p->store);
	if (large)
		timer_arm(p->loop, &p->trim, TRIM_NS, trim, p);
	stat_add(&p->stat.runs, 1);
	stat_set(&p->stat.snapshot, p->now->number);
}

static void soon(struct loop_deferred *d)
{
	struct publish *p = container_of(d, struct publish, soon);

	p->waiting = false;
	if (!p->now || store_dirty(p->store))
		publish_now(p);
}

void publish_soon(struct publish *p)
{
	if (p->waiting)
		return;
	p->waiting = true;
	loop_defer(p->loop, &p->soon, soon);
}
