/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/plan.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/magic.h"
#include "base/mem.h"
#include "model/part.h"
#include "proxy/plan_sets.h"
#include "proxy/wanted.h"
#include "weft/log.h"
#include "weft/str.h"

struct plans {
	struct shared *shared;
	const struct locality *here;            /* of the snapshot; NULL: unknown */
	uint32_t n;
	struct plan *plan[];                    /* by slot; NULL: no cluster */
};

uint64_t plan_key(const struct net_addr *a)
{
	uint16_t port = htons(a->port);
	char b[18];

	memcpy(b, a->ip.b, 16);
	memcpy(b + 16, &port, 2);
	return hash_bytes((struct slice){ b, sizeof(b) }, HASH_STABLE);
}

static int host_cmp(const void *pa, const void *pb)
{
	const struct plan_host *a = pa, *b = pb;

	if (a->host->priority != b->host->priority)
		return a->host->priority < b->host->priority ? -1 : 1;
	return (a->key > b->key) - (a->key < b->key);
}

static const struct lb_ops *ops_find(const struct lb_ops *const *lbs, struct slice name)
{
	while (*lbs && !slice_eq_str(name, (*lbs)->name))
		lbs++;
	return *lbs;
}

static const struct lb_ops *least_request(const struct lb_ops *const *lbs)
{
	const struct lb_ops *ops = ops_find(lbs, slice_str(lb_policy_names[LB_POLICY_LEAST_REQUEST]));

	assert_always(ops);
	return ops;
}

/* A name that nobody here has comes from a registry: the agent takes none from a file. */
static const struct lb_ops *ops_of(const struct lb_ops *const *lbs, const struct cluster *c)
{
	const struct lb_ops *ops = ops_find(lbs, cluster_balancer(c->conf));

	if (ops)
		return ops;
	log_error("cluster", "%.*s: there is no load balancer %.*s: least-request is used", SLICE_ARG(c->name),
		  SLICE_ARG(cluster_balancer(c->conf)));
	return least_request(lbs);
}

static void plan_balancer(struct plan *p, const struct lb_ops *const *lbs)
{
	const struct cluster_fact *conf = p->cluster->conf;
	struct settings_kind k;
	struct err e = { 0 };

	p->ops = ops_of(lbs, p->cluster);
	p->lb_conf = conf;
	k = lb_settings(p->ops);
	if (!k.rows)
		return;
	p->settings = settings_new(&k, conf->balancer_settings, &e);
	if (p->settings) {
		p->lb_conf = settings_conf(p->settings);
		return;
	}
	log_error("cluster", "%.*s: settings of load balancer %s: %s: least-request is used", SLICE_ARG(p->cluster->name),
		  p->ops->name, err_text(&e));
	p->ops = least_request(lbs);
}

static void plan_settings(struct plan *p, const struct shared *n)
{
	const struct cluster_fact *conf = p->cluster->conf;
	const uint32_t max[LIMITS] = { conf->pool.max_connections, conf->pool.max_pending, conf->pool.max_requests,
				       conf->pool.max_retries };

	for (int i = 0; i < LIMITS; i++)
		limit_set(&p->shared->limit[i], max[i], n->workers);
	p->shared->outlier = conf->outlier.enabled ? &conf->outlier : NULL;
}

static struct plan *plan_new(struct shared *n, const struct cluster *c, const struct locality *here,
			     const struct lb_ops *const *lbs, const struct wants *wants, uint64_t now_ns)
{
	struct plan *p = mem_alloc(sizeof(*p) + c->nhosts * sizeof(p->hosts[0]));
	uint32_t near = 0;

	p->cluster = c;
	plan_balancer(p, lbs);
	p->shared = shared_cluster_hold(n, c->name);
	p->shared->plan++;
	for (size_t i = 0; i < c->nhosts; i++) {
		const struct host *h = c->hosts[i];
		struct net_addr a = { h->ip, h->port };
		struct plan_host *ph = &p->hosts[p->n];

		if (h->state != HOST_READY || !h->weight)
			continue;
		ph->host = h;
		ph->key = plan_key(&a);
		ph->shared = shared_host_hold(n, p->shared, ph->key, &a, now_ns);
		ph->shared->plan = p->shared->plan;
		ph->near = part_near(here, h, c->conf->prefer);
		near += ph->near;
		p->n++;
	}
	p->places = near && near < p->n;
	p->shared->seen = true;
	qsort(p->hosts, p->n, sizeof(p->hosts[0]), host_cmp);
	plan_settings(p, n);
	p->wanted = wants->hash;
	plan_sets_make(p, wants);
	return p;
}

static void plan_drop(struct plan *p, struct shared *n)
{
	if (!p)
		return;
	assert_always(p->refs);
	if (--p->refs)
		return;
	/* It may be the last one to know the settings that the sweeps read. */
	if (p->shared->outlier == &p->cluster->conf->outlier)
		p->shared->outlier = NULL;
	for (uint32_t i = 0; i < p->n; i++)
		shared_host_drop(p->shared, p->hosts[i].shared);
	shared_cluster_drop(n, p->shared);
	for (struct table_entry *e = table_next(&p->subsets, NULL); e; e = table_next(&p->subsets, e))
		plan_sets_free(e->value);
	table_fini(&p->subsets);
	plan_sets_free(p->whole);
	settings_free(p->settings);
	free(p);
}

static void plans_free(void *annex)
{
	struct plans *all = annex;

	for (uint32_t i = 0; i < all->n; i++)
		plan_drop(all->plan[i], all->shared);
	free(all);
}

static const struct locality *place_of(const struct snapshot *s)
{
	const struct fact *f = snapshot_fact(s, FACT_NODE, (struct slice){ 0 });

	return f ? ((const struct node *)f)->locality : NULL;
}

static bool locality_same(const struct locality *a, const struct locality *b)
{
	return a == b || (a && b && slice_eq(a->region, b->region) && slice_eq(a->zone, b->zone));
}

/* A plan stays as long as its cluster does, unless this node has moved, or other undeclared subsets are named. */
static struct plan *plan_of(const struct plans *old, const struct cluster *c, const struct wants *wants, bool moved)
{
	struct plan *p = old && c->slot < old->n ? old->plan[c->slot] : NULL;

	return p && !moved && p->cluster == c && p->wanted == wants->hash ? p : NULL;
}

void plans_attach(struct snapshot *s, const struct snapshot *before, struct shared *n, const struct lb_ops *const *lbs,
		  uint64_t now_ns)
{
	const struct plans *old = before ? before->annex[SNAPSHOT_PLANS].p : NULL;
	struct cluster_set set = snapshot_clusters(s);
	uint32_t slots = snapshot_slots(s, FACT_CLUSTER);
	struct plans *all = mem_alloc(sizeof(*all) + slots * sizeof(all->plan[0]));

	*all = (struct plans){ .shared = n, .here = place_of(s), .n = slots };
	bool moved = old && !locality_same(old->here, all->here);
	struct wanted wanted;

	wanted_init(&wanted, s);
	for (size_t i = 0; i < set.n; i++) {
		const struct cluster *c = set.v[i];
		const struct wants *wants = wanted_of(&wanted, c->name);
		struct plan *p = plan_of(old, c, wants, moved);

		if (c->conf->absent)
			continue;
		if (!p)
			p = plan_new(n, c, all->here, lbs, wants, now_ns);
		p->refs++;
		all->plan[c->slot] = p;
	}
	wanted_fini(&wanted);
	s->annex[SNAPSHOT_PLANS] = (struct snapshot_annex){ all, plans_free };
}

struct plan *plan_alone(struct shared *n, const struct snapshot *s, const struct cluster *c, const struct lb_ops *const *lbs,
			const struct wants *wants, uint64_t now_ns)
{
	struct plan *p = plan_new(n, c, place_of(s), lbs, wants, now_ns);

	p->refs = 1;
	return p;
}

void plan_alone_free(struct plan *p, struct shared *n)
{
	plan_drop(p, n);
}

const struct plan *plans_find(const struct snapshot *s, struct slice cluster)
{
	const struct plans *all = s->annex[SNAPSHOT_PLANS].p;
	const struct cluster *c = snapshot_cluster(s, cluster);

	return c && all ? all->plan[c->slot] : NULL;
}
