/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weft/conf.h"
#include "weft/registry.h"
#include "weft/str.h"

#define CLUSTERS 3
#define PORTS 3

static const struct fact_mark mark;
static const uint16_t service_ports[PORTS] = { 53, 80, 443 };
static const uint16_t host_ports[] = { 0, 7000, 7001 };

static bool chance(struct rand *r, uint32_t percent)
{
	return rand_below(r, 100) < percent;
}

static struct slice text(char *out, size_t size, const char *word, unsigned m, unsigned i)
{
	return (struct slice){ out, (size_t)snprintf(out, size, "%s%u-%u", word, m, i) };
}

static struct addr16 service_addr(unsigned m, unsigned i, unsigned which)
{
	struct addr16 v4 = { .b = { [10] = 0xff, [11] = 0xff, 10, (uint8_t)(96 + which), (uint8_t)m, (uint8_t)(i + 1) } };
	struct addr16 v6 = { .b = { 0xfd, 0, 0, 0x96, [14] = (uint8_t)m, [15] = (uint8_t)(i + 1) } };

	return which < 2 ? v4 : v6;
}

static void put_host(struct store_tx *tx, struct rand *r, struct slice cluster, unsigned i)
{
	struct addr16 a = world_host(chance(r, 40), i % WORLD_HOSTS);
	struct ip ip;
	struct host *h;

	memcpy(ip.b, a.b, sizeof(ip.b));
	h = host_new(cluster, &ip, host_ports[rand_below(r, 3)], &mark);
	h->weight = chance(r, 10) ? 0 : 1 + rand_below(r, 4);
	h->state = chance(r, 20) ? HOST_DRAINING : HOST_READY;
	h->priority = chance(r, 20);
	if (chance(r, 50))
		h->locality = fact_locality(&h->fact, SLICE_LIT("r1"), chance(r, 50) ? SLICE_LIT("z1") : SLICE_LIT("z2"));
	store_put(tx, &h->fact);
}

static void put_cluster(struct store_tx *tx, struct rand *r, unsigned m, unsigned i)
{
	char name[32];
	struct slice cluster = text(name, sizeof(name), "c", m, i);
	struct cluster_fact *c = (struct cluster_fact *)fact_new(FACT_CLUSTER, cluster, &mark);
	unsigned n = chance(r, 10) ? 0 : 1 + rand_below(r, 7);

	c->lb = rand_below(r, LB_POLICIES);
	c->prefer = chance(r, 30) ? LOCALITY_ZONE : LOCALITY_ANY;
	store_put(tx, &c->fact);
	for (unsigned k = 0; k < n; k++)
		put_host(tx, r, cluster, rand_below(r, WORLD_HOSTS));
}

static void put_ports(struct service_fact *f, struct rand *r, unsigned m)
{
	struct service_port *p = fact_alloc(&f->fact, 2 * PORTS * sizeof(*p));
	char name[32];

	f->ports = p;
	for (unsigned i = 0; i < 2 * PORTS; i++) {
		if (!chance(r, 90) && (i != 2 * PORTS - 1 || f->nports))
			continue;
		p[f->nports++] = (struct service_port){
			.port = service_ports[i / 2],
			.proto = i & 1 ? IPPROTO_UDP : IPPROTO_TCP,
			.target = chance(r, 30) ? host_ports[1 + rand_below(r, 2)] : 0,
			.cluster = fact_slice(&f->fact, text(name, sizeof(name), "c", m, rand_below(r, CLUSTERS))),
		};
	}
}

static void put_addrs(struct service_fact *f, struct rand *r, unsigned m, unsigned i)
{
	struct ip *v = fact_alloc(&f->fact, 3 * sizeof(*v));

	f->addrs = v;
	for (unsigned which = 0; which < 3; which++) {
		struct addr16 a = service_addr(m, i, which);

		if (!chance(r, 90) && (which != 2 || f->naddrs))
			continue;
		memcpy(v[f->naddrs++].b, a.b, sizeof(a.b));
	}
}

static void put_service(struct store_tx *tx, struct rand *r, unsigned m, unsigned i)
{
	char name[32];
	struct service_fact *f = (struct service_fact *)fact_new(FACT_SERVICE, text(name, sizeof(name), "s", m, i), &mark);

	put_addrs(f, r, m, i);
	put_ports(f, r, m);
	f->affinity_s = chance(r, 40) ? 1 + rand_below(r, 100) : 0;
	f->fail = chance(r, 50) ? FAIL_OPEN : FAIL_CLOSED;
	if (chance(r, 25)) {
		struct slice *route = fact_alloc(&f->fact, sizeof(*route));

		*route = SLICE_LIT("r");
		f->routes = route;
		f->nroutes = 1;
	}
	store_put(tx, &f->fact);
}

/* The addresses of a model's services are in three blocks of 8 bits each: a range in one of them, or all of it. */
static void put_listener(struct store_tx *tx, struct rand *r, unsigned m, unsigned i)
{
	static const uint8_t bits[] = { 120, 124, 128 };
	char name[32];
	struct listener *l = (struct listener *)fact_new(FACT_LISTENER, text(name, sizeof(name), "l", m, i), &mark);
	struct listener_range *v = fact_alloc(&l->fact, sizeof(*v));
	struct slice *route = fact_alloc(&l->fact, sizeof(*route));
	struct addr16 a = service_addr(m, rand_below(r, MODEL_SERVICES), i);

	memcpy(v->block.ip.b, a.b, sizeof(a.b));
	v->block.bits = bits[rand_below(r, 3)];
	ip_block_mask(&v->block);
	v->port = chance(r, 50) ? (chance(r, 50) ? 80 : 8000) : 0;
	*route = SLICE_LIT("r");
	l->protocol = SLICE_LIT("http");
	l->routes = route;
	l->ranges = v;
	l->nranges = l->nroutes = 1;
	l->socketless = true;
	l->capture = CAPTURE_EBPF;
	l->fail = chance(r, 50) ? FAIL_OPEN : FAIL_CLOSED;
	store_put(tx, &l->fact);
}

/* What every model leans on. */
static void put_common(struct store_tx *tx)
{
	static const char *const paths[] = { "/pod", "/exempt" };
	struct node *n = (struct node *)fact_new(FACT_NODE, slice_str(""), &mark);
	struct route *r = (struct route *)fact_new(FACT_ROUTE, slice_str("r"), &mark);
	struct route_rule *rule = fact_alloc(&r->fact, sizeof(*rule));
	struct route_backend *b = fact_alloc(&r->fact, sizeof(*b));
	struct slice *host = fact_alloc(&r->fact, sizeof(*host));

	n->name = fact_slice(&n->fact, SLICE_LIT("here"));
	n->locality = fact_locality(&n->fact, SLICE_LIT("r1"), SLICE_LIT("z1"));
	store_put(tx, &n->fact);
	*host = SLICE_LIT("*");
	*b = (struct route_backend){ .cluster = SLICE_LIT("c0-0"), .weight = 1 };
	rule->backends = b;
	rule->nbackends = 1;
	r->hosts = host;
	r->rules = rule;
	r->nhosts = r->nrules = 1;
	store_put(tx, &r->fact);
	for (unsigned i = 0; i < 2; i++) {
		struct workload_fact *w = (struct workload_fact *)fact_new(FACT_WORKLOAD, slice_str(paths[i] + 1), &mark);

		w->cgroup = fact_slice(&w->fact, slice_str(paths[i]));
		w->exempt = i;
		store_put(tx, &w->fact);
	}
}

static void del_hosts(struct store_tx *tx, unsigned m, unsigned i)
{
	char name[32], key[HOST_KEY_EXTRA + 32];
	struct slice cluster = text(name, sizeof(name), "c", m, i);

	for (unsigned k = 0; k < 2 * WORLD_HOSTS * 3; k++) {
		struct addr16 a = world_host(k & 1, k / 2 % WORLD_HOSTS);
		struct ip ip;

		memcpy(ip.b, a.b, sizeof(ip.b));
		store_del(tx, FACT_HOST, host_key(key, cluster, &ip, host_ports[k / 2 / WORLD_HOSTS]));
	}
}

void models_make(struct store *s, struct rand *r, unsigned nmodels)
{
	static uint64_t version;
	struct store_tx *tx = store_begin(s, SLICE_LIT("random"));
	struct registry_verdict v;
	char name[32];

	put_common(tx);
	for (unsigned m = 0; m < nmodels; m++) {
		for (unsigned i = 0; i < CLUSTERS; i++) {
			del_hosts(tx, m, i);
			put_cluster(tx, r, m, i);
		}
		for (unsigned i = 0; i < MODEL_SERVICES; i++) {
			if (chance(r, 5))
				store_del(tx, FACT_SERVICE, text(name, sizeof(name), "s", m, i));
			else
				put_service(tx, r, m, i);
		}
		for (unsigned i = 0; i < MODEL_LISTENERS; i++) {
			if (chance(r, 40))
				store_del(tx, FACT_LISTENER, text(name, sizeof(name), "l", m, i));
			else
				put_listener(tx, r, m, i);
		}
	}
	if (!store_commit(tx, ++version, &v)) {
		fprintf(stderr, "explain_property: a model was refused: %s\n", v.refused[0].why);
		exit(1);
	}
	store_end(tx);
}

struct dial_target model_target(struct rand *r, unsigned m)
{
	struct dial_target t = { .port = service_ports[rand_below(r, PORTS)] };

	if (chance(r, 4)) {
		t.addr = world_host(chance(r, 50), rand_below(r, WORLD_HOSTS));
		t.port = 7000;
		return t;
	}
	t.addr = service_addr(m, rand_below(r, MODEL_SERVICES), rand_below(r, 3));
	if (chance(r, 4))
		t.port = 8000;
	/* Next to the services, where only ranges are. */
	if (chance(r, 10))
		t.addr.b[15] = (uint8_t)(t.addr.b[15] + MODEL_SERVICES);
	return t;
}
