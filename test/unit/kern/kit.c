/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include <netinet/in.h>
#include <string.h>

static const struct fact_mark no_mark;

void kit_init(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	k->store = store_new();
}

void kit_fini(struct kit *k)
{
	store_end(k->tx);
	snapshot_drop(k->prev);
	snapshot_drop(k->snap);
	store_bury(k->store);
	store_free(k->store);
}

static struct store_tx *tx(struct kit *k)
{
	if (!k->tx)
		k->tx = store_begin(k->store, slice_str("kit"));
	return k->tx;
}

struct ip kit_ip(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(slice_str(text), &ip), 0);
	return ip;
}

void kit_node(struct kit *k, const char *region, const char *zone)
{
	struct node *n = (struct node *)fact_new(FACT_NODE, slice_str(""), &no_mark);

	n->name = fact_slice(&n->fact, slice_str("node"));
	n->locality = fact_locality(&n->fact, slice_str(region), slice_str(zone));
	store_put(tx(k), &n->fact);
}

void kit_cluster(struct kit *k, const char *name, enum lb_policy lb, enum locality_prefer prefer)
{
	struct cluster_fact *c = (struct cluster_fact *)fact_new(FACT_CLUSTER, slice_str(name), &no_mark);

	c->lb = lb;
	c->prefer = prefer;
	store_put(tx(k), &c->fact);
}

void kit_panic(struct kit *k, const char *name, uint32_t percent)
{
	struct cluster_fact *c = (struct cluster_fact *)fact_new(FACT_CLUSTER, slice_str(name), &no_mark);

	c->lb = LB_POLICY_RANDOM;
	c->panic_percent = percent;
	store_put(tx(k), &c->fact);
}

void kit_host(struct kit *k, const char *cluster, const struct kit_host *h)
{
	struct ip ip = kit_ip(h->ip);
	struct host *x = host_new(slice_str(cluster), &ip, h->port, &no_mark);

	x->weight = h->weight;
	x->state = h->state;
	x->priority = h->priority;
	if (h->region || h->zone)
		x->locality = fact_locality(&x->fact, slice_str(h->region), slice_str(h->zone));
	store_put(tx(k), &x->fact);
}

void kit_host_del(struct kit *k, const char *cluster, const char *ip_text, uint16_t port)
{
	struct ip ip = kit_ip(ip_text);
	char key[512];

	store_del(tx(k), FACT_HOST, host_key(key, slice_str(cluster), &ip, port));
}

void kit_service(struct kit *k, const struct kit_service *s)
{
	struct service_fact *f = (struct service_fact *)fact_new(FACT_SERVICE, slice_str(s->name), &no_mark);
	struct service_port *p = fact_alloc(&f->fact, sizeof(*p));
	size_t n = 0;

	while (n < 4 && s->addrs[n])
		n++;
	struct ip *ips = n ? fact_alloc(&f->fact, n * sizeof(*ips)) : NULL;

	for (size_t i = 0; i < n; i++)
		ips[i] = kit_ip(s->addrs[i]);
	*p = (struct service_port){ .port = s->port, .target = s->target, .proto = s->proto ? s->proto : IPPROTO_TCP,
				    .cluster = fact_slice(&f->fact, slice_str(s->cluster)) };
	f->addrs = ips;
	f->naddrs = n;
	f->ports = p;
	f->nports = 1;
	f->affinity_s = s->affinity_s;
	f->fail = s->fail;
	if (s->route) {
		struct slice *r = fact_alloc(&f->fact, sizeof(*r));

		*r = fact_slice(&f->fact, slice_str(s->route));
		f->routes = r;
		f->nroutes = 1;
	}
	store_put(tx(k), &f->fact);
}

void kit_route(struct kit *k, const char *name, const char *cluster)
{
	struct route *r = (struct route *)fact_new(FACT_ROUTE, slice_str(name), &no_mark);
	struct route_backend *b = fact_alloc(&r->fact, sizeof(*b));
	struct route_rule *rule = fact_alloc(&r->fact, sizeof(*rule));
	struct slice *host = fact_alloc(&r->fact, sizeof(*host));

	*host = fact_slice(&r->fact, slice_str("*"));
	*b = (struct route_backend){ .cluster = fact_slice(&r->fact, slice_str(cluster)), .weight = 1 };
	rule->backends = b;
	rule->nbackends = 1;
	r->hosts = host;
	r->rules = rule;
	r->nhosts = r->nrules = 1;
	store_put(tx(k), &r->fact);
}

void kit_workload(struct kit *k, const char *name, const char *cgroup, enum splice_use splice)
{
	struct workload_fact *w = (struct workload_fact *)fact_new(FACT_WORKLOAD, slice_str(name), &no_mark);

	w->cgroup = fact_slice(&w->fact, slice_str(cgroup));
	w->splice = splice;
	store_put(tx(k), &w->fact);
}

void kit_del(struct kit *k, enum fact_kind kind, const char *key)
{
	store_del(tx(k), kind, slice_str(key));
}

void kit_put(struct kit *k, struct fact *take_f)
{
	store_put(tx(k), take_f);
}

bool kit_commit(struct kit *k)
{
	struct registry_verdict v;
	bool taken = store_commit(tx(k), ++k->version, &v);

	store_end(k->tx);
	k->tx = NULL;
	if (!taken)
		return false;
	snapshot_drop(k->prev);
	k->prev = k->snap;
	k->snap = store_build(k->store, 0);
	store_bury(k->store);
	return true;
}
