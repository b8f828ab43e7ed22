/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts for tests: by hand in one line each, and random ones filled through the rows of model/field.h. A source gives
 * random numbers from a seed, or from bytes that a fuzzer chose.
 */
#pragma once
#include <netinet/in.h>
#include <string.h>
#include "base/magic.h"
#include "base/rand.h"
#include "model/fact.h"
#include "model/field.h"
#include "weft/str.h"

/* ---- by hand ------------------------------------------------------------------------------------------------ */

static inline struct fact_mark facts_mark(const char *registry, const char *file, uint32_t line)
{
	return (struct fact_mark){ slice_str(registry), slice_str(file), line };
}

static inline struct ip facts_ip(const char *text)
{
	struct ip ip;

	assert_always(!ip_parse(slice_str(text), &ip));
	return ip;
}

static inline struct fact *facts_named(enum fact_kind kind, const char *name, uint32_t line)
{
	struct fact_mark mark = facts_mark("test", "all.yaml", line);

	return fact_new(kind, slice_str(name), &mark);
}

static inline struct fact *facts_cluster(const char *name)
{
	return facts_named(FACT_CLUSTER, name, 1);
}

static inline struct host *facts_host(const char *cluster, const char *ip, uint16_t port)
{
	struct fact_mark mark = facts_mark("test", "all.yaml", 2);
	struct ip at = facts_ip(ip);

	return host_new(slice_str(cluster), &at, port, &mark);
}

static inline struct route *facts_route(const char *name, const char *cluster)
{
	struct fact *f = facts_named(FACT_ROUTE, name, 3);
	struct route *r = (struct route *)f;
	struct slice *hosts = fact_alloc(f, sizeof(*hosts));
	struct route_backend *backend = fact_alloc(f, sizeof(*backend));
	struct route_rule *rule = fact_alloc(f, sizeof(*rule));

	*hosts = SLICE_LIT("*");
	backend->cluster = fact_slice(f, slice_str(cluster));
	backend->weight = 1;
	rule->backends = backend;
	rule->nbackends = 1;
	r->hosts = hosts;
	r->rules = rule;
	r->nhosts = r->nrules = 1;
	return r;
}

static inline struct service_fact *facts_service(const char *name, const char *ip, uint16_t port, const char *cluster)
{
	struct fact *f = facts_named(FACT_SERVICE, name, 4);
	struct service_fact *s = (struct service_fact *)f;
	struct ip *addr = fact_alloc(f, sizeof(*addr));
	struct service_port *p = fact_alloc(f, sizeof(*p));

	*addr = facts_ip(ip);
	p->port = port;
	p->proto = IPPROTO_TCP;
	p->cluster = fact_slice(f, slice_str(cluster));
	s->addrs = addr;
	s->ports = p;
	s->naddrs = s->nports = 1;
	return s;
}

static inline struct secret *facts_secret(const char *name)
{
	struct secret *s = (struct secret *)facts_named(FACT_SECRET, name, 8);

	s->certificate = fact_slice(&s->fact, SLICE_LIT("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"));
	return s;
}

static inline void facts_listener_route(struct listener *l, const char *route)
{
	struct slice *r = fact_alloc(&l->fact, sizeof(*r));

	*r = fact_slice(&l->fact, slice_str(route));
	l->routes = r;
	l->nroutes = 1;
}

static inline struct listener *facts_listener(const char *name, const char *ip, uint16_t port, const char *protocol)
{
	struct listener *l = (struct listener *)facts_named(FACT_LISTENER, name, 7);

	l->ip = facts_ip(ip);
	l->port = port;
	l->protocol = fact_slice(&l->fact, slice_str(protocol));
	return l;
}

/* Destinations ip:port of a listener without a socket. */
static inline void facts_listener_serves(struct listener *l, const char *ip, uint16_t port)
{
	struct destination *d = fact_alloc(&l->fact, sizeof(*d));

	*d = (struct destination){ facts_ip(ip), port };
	l->serves = d;
	l->nserves = 1;
	l->socketless = true;
	l->port = 0;
}

static inline void facts_service_route(struct service_fact *s, const char *route)
{
	struct slice *r = fact_alloc(&s->fact, sizeof(*r));

	*r = fact_slice(&s->fact, slice_str(route));
	s->routes = r;
	s->nroutes = 1;
}

static inline struct policy_fact *facts_policy(const char *name, const char *service)
{
	struct policy_fact *p = (struct policy_fact *)facts_named(FACT_POLICY, name, 5);

	p->service = fact_slice(&p->fact, slice_str(service));
	return p;
}

static inline struct workload_fact *facts_workload(const char *name, const char *cgroup)
{
	struct workload_fact *w = (struct workload_fact *)facts_named(FACT_WORKLOAD, name, 6);

	w->cgroup = fact_slice(&w->fact, slice_str(cgroup));
	return w;
}

/* ---- random ------------------------------------------------------------------------------------------------- */

struct source {
	struct rand rand;
	const uint8_t *p;                       /* NULL: rand */
	size_t n;
};

static inline uint32_t source_below(struct source *s, uint32_t n)
{
	uint32_t v = 0;

	if (!s->p)
		return rand_below(&s->rand, n);
	for (size_t i = 0; i < 4 && (n - 1) >> (8 * i) && s->n; i++, s->n--)
		v = v << 8 | *s->p++;
	return v % n;
}

static inline struct slice source_word(struct source *s)
{
	static const char *const words[] = { "", "a", "web", "orders", "spiffe://cluster.local/ns/default/sa/web", "h\xc3\xbc" };

	return slice_str(words[source_below(s, sizeof(words) / sizeof(words[0]))]);
}

static inline void facts_fill(struct source *s, struct fact *f, const struct shape *shape, void *object);

static inline void facts_fill_field(struct source *s, struct fact *f, const struct field *row, void *object)
{
	char *at = (char *)object + row->off;
	struct name_value pairs[3];
	struct pair_list list;
	size_t n;
	char *v;

	switch ((enum field_type)row->type) {
	case FIELD_UINT:
		field_set_uint(row, object, source_below(s, row->max > UINT32_MAX ? UINT32_MAX : row->max) +
						    ((uint64_t)source_below(s, 2) << (row->size == 8 ? 40 : 0)));
		break;
	case FIELD_BOOL:
		field_set_uint(row, object, source_below(s, 2));
		break;
	case FIELD_ENUM:
		do {
			n = source_below(s, row->max + 1);
		} while (!row->names[n] && (!s->p || s->n));
		for (size_t i = 0; !row->names[n]; i++)
			n = i;
		field_set_uint(row, object, n);
		break;
	case FIELD_SLICE:
		*(struct slice *)at = fact_slice(f, source_word(s));
		break;
	case FIELD_IP:
		for (size_t i = 0; i < sizeof(struct ip); i++)
			at[i] = source_below(s, 256);
		break;
	case FIELD_LOCALITY: {
		struct slice region = source_word(s);

		*(const struct locality **)at = fact_locality(f, region, source_word(s));
		break;
	}
	case FIELD_PAIRS:
		n = source_below(s, 4);
		for (size_t i = 0; i < n; i++) {
			pairs[i].name = source_word(s);
			pairs[i].value = source_word(s);
		}
		list = fact_pairs(f, pairs, n);
		field_set_list(row, object, list.v, list.n);
		break;
	case FIELD_LIST:
		n = source_below(s, 4);
		v = n ? fact_alloc(f, n * row->of->size) : NULL;
		for (size_t i = 0; i < n; i++)
			facts_fill(s, f, row->of, v + i * row->of->size);
		field_set_list(row, object, v, n);
		break;
	}
}

static inline void facts_fill(struct source *s, struct fact *f, const struct shape *shape, void *object)
{
	shape_for(row, shape)
		facts_fill_field(s, f, row, object);
}

/* Every field random, references too: well-formed for the wire, hardly ever for the store. */
static inline struct fact *facts_random(struct source *s, enum fact_kind kind)
{
	struct fact_mark mark = { .registry = source_word(s), .file = source_word(s) };
	struct fact *f;

	mark.line = source_below(s, 1000);
	f = fact_new(kind, source_word(s), &mark);
	facts_fill(s, f, &fact_shapes[kind], f);
	return f;
}
