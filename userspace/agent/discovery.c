/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/discovery.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "weft/log.h"
#include "weft/str.h"

#define WHY_BYTES 320

STAT_DEFINE(discovery_stat, "discovery", DISCOVERY_STATS);

/* What it was given for: unlike it, it is looked at again. */
struct asked {
	struct slice cluster;                   /* own */
	uint64_t own, source;                   /* generations; source 0: there was none */
	uint16_t port;
	char why[WHY_BYTES];                    /* "": it has its service */
};

/* ---- whose hosts --------------------------------------------------------------------------------------------- */

static const struct service_port *port_of(const struct service_fact *s, uint16_t port)
{
	if (!port)
		return s->nports == 1 ? &s->ports[0] : NULL;
	for (size_t i = 0; i < s->nports; i++) {
		if (s->ports[i].port == port)
			return &s->ports[i];
	}
	return NULL;
}

const struct cluster *discovery_find(const struct snapshot *s, const struct cluster_fact *c, uint16_t *port, char *why,
				     size_t size)
{
	const struct fact *f = snapshot_fact(s, FACT_SERVICE, c->from_service);
	const struct service_fact *service = (const struct service_fact *)f;
	const struct service_port *p = f ? port_of(service, c->from_port) : NULL;
	const struct cluster *from = p && p->cluster.n ? snapshot_cluster(s, p->cluster) : NULL;

	why[0] = '\0';
	if (!f || !slice_eq(f->place->registry, c->from_registry))
		snprintf(why, size, "registry %.*s has no service %.*s", SLICE_ARG(c->from_registry), SLICE_ARG(c->from_service));
	else if (!p && c->from_port)
		snprintf(why, size, "service %.*s has no port %u", SLICE_ARG(c->from_service), c->from_port);
	else if (!p)
		snprintf(why, size, "service %.*s has %zu ports: want discovery.port", SLICE_ARG(c->from_service), service->nports);
	else if (!from)
		snprintf(why, size, "port %u of service %.*s has no cluster of its own", p->port, SLICE_ARG(c->from_service));
	else if (from->conf->from_service.n || from->conf->absent)
		/* Two of them could give each other what neither has from elsewhere. */
		snprintf(why, size, "cluster %.*s of service %.*s has no hosts of its own", SLICE_ARG(from->name),
			 SLICE_ARG(c->from_service));
	if (why[0])
		return NULL;
	*port = p->target ? p->target : p->port;
	return from;
}

/* ---- one cluster --------------------------------------------------------------------------------------------- */

struct giving {
	struct discovery *d;
	const struct cluster *to, *from;        /* from NULL: no hosts */
	uint16_t port;
	bool *open;                             /* the transaction, begun with the first change */
};

static void begin(const struct giving *g)
{
	if (!*g->open)
		hub_sink.begin(&g->d->source);
	*g->open = true;
}

static bool is_ours(const struct fact *f)
{
	return slice_eq_str(f->place->registry, DISCOVERY_REGISTRY);
}

static const struct host *host_of(const struct cluster *c, struct slice key)
{
	for (size_t low = 0, high = c->nhosts; low < high;) {
		size_t mid = low + (high - low) / 2;
		int d = slice_cmp(c->hosts[mid]->fact.key, key);

		if (!d)
			return c->hosts[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static struct host *host_copy(const struct giving *g, const struct host *from)
{
	struct fact_mark of = fact_mark(&from->fact), mark = { SLICE_LIT(DISCOVERY_REGISTRY), of.file, of.line };
	struct host *h = host_new(g->to->name, &from->ip, from->port ? from->port : g->port, &mark);

	h->state = from->state;
	h->weight = from->weight;
	h->priority = from->priority;
	h->locality = fact_locality(&h->fact, from->locality->region, from->locality->zone);
	h->metadata = fact_pairs(&h->fact, from->metadata.v, from->metadata.n);
	return h;
}

/* A host that another gives to this cluster stays that one's. */
static void give_host(const struct giving *g, const struct host *from, struct table *given)
{
	struct host *h = host_copy(g, from);
	const struct host *now = host_of(g->to, h->fact.key);

	if (now && (!is_ours(&now->fact) || fact_equal(&now->fact, &h->fact))) {
		table_put(given, now->fact.key, (void *)now);
		fact_drop(&h->fact);
		return;
	}
	begin(g);
	if (now)
		table_put(given, now->fact.key, (void *)now);
	hub_sink.put(&g->d->source, &h->fact);
}

static void give(const struct giving *g)
{
	struct table given;

	table_init(&given, 0);
	for (size_t i = 0; g->from && i < g->from->nhosts; i++)
		give_host(g, g->from->hosts[i], &given);
	for (size_t i = 0; i < g->to->nhosts; i++) {
		const struct fact *f = &g->to->hosts[i]->fact;

		if (!is_ours(f) || table_get(&given, f->key))
			continue;
		begin(g);
		hub_sink.del(&g->d->source, FACT_HOST, f->key);
	}
	table_fini(&given);
}

static void say(struct asked *a, const char *why)
{
	char name[128];

	if (!strcmp(a->why, why))
		return;
	snprintf(name, sizeof(name), "%.*s", SLICE_ARG(a->cluster));
	if (why[0])
		log_warn(name, "discovery: %s; the cluster has no hosts until it has", why);
	else
		log_info(name, "discovery: its service is here");
	snprintf(a->why, sizeof(a->why), "%s", why);
}

static void look(struct discovery *d, const struct snapshot *now, struct asked *a, bool *open)
{
	const struct cluster *to = snapshot_cluster(now, a->cluster);
	struct giving g = { .d = d, .to = to, .open = open };
	char why[WHY_BYTES];

	g.from = discovery_find(now, to->conf, &g.port, why, sizeof(why));
	say(a, why);
	if (a->own == to->generation && a->source == (g.from ? g.from->generation : 0) && a->port == g.port)
		return;
	a->own = to->generation;
	a->source = g.from ? g.from->generation : 0;
	a->port = g.port;
	give(&g);
}

/* ---- which clusters ------------------------------------------------------------------------------------------ */

static void asked_free(struct asked *a)
{
	free((char *)a->cluster.p);
	free(a);
}

/* A cluster that asks no more gives back what it was given; one that is gone took it along. */
static void note(struct discovery *d, const struct cluster_change *change, bool *open)
{
	const struct cluster *c = change->now;
	struct slice name = c ? c->name : change->old->name;
	bool asks = c && c->conf->from_service.n;
	struct asked *a = table_get(&d->asking, name);

	if (asks && !a) {
		a = mem_alloc(sizeof(*a));
		a->cluster = (struct slice){ mem_dup(name.p, name.n), name.n };
		table_put(&d->asking, a->cluster, a);
	}
	if (asks || !a)
		return;
	if (c)
		give(&(struct giving){ .d = d, .to = c, .open = open });
	asked_free(table_del(&d->asking, a->cluster));
}

void discovery_update(struct discovery *d, const struct diff *diff)
{
	bool open = false;
	size_t waiting = 0;

	for (size_t i = 0; i < diff->clusters.n; i++)
		note(d, &diff->clusters.v[i], &open);
	for (struct table_entry *e = table_next(&d->asking, NULL); e; e = table_next(&d->asking, e)) {
		struct asked *a = e->value;

		look(d, diff->now, a, &open);
		waiting += a->why[0] != '\0';
	}
	stat_set(&d->stat.clusters, d->asking.n);
	stat_set(&d->stat.waiting, waiting);
	if (!open)
		return;
	hub_sink.commit(&d->source, ++d->version);
	stat_add(&d->stat.changes, 1);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

void discovery_init(struct discovery *d, struct hub *h)
{
	*d = (struct discovery){ 0 };
	table_init(&d->asking, 0);
	hub_add(h, &d->source, DISCOVERY_REGISTRY, DISCOVERY_REGISTRY, NULL);
	d->source.synced = true;
	hub_sink.synced(&d->source);
}

void discovery_fini(struct discovery *d)
{
	struct table_entry *e;

	if (!d->source.hub)
		return;
	while ((e = table_next(&d->asking, NULL)))
		asked_free(table_del(&d->asking, e->key));
	table_fini(&d->asking);
	hub_remove(&d->source);
	d->source.hub = NULL;
}
