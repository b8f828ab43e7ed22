// SPDX-License-Identifier: Apache-2.0
/*
 * Elements of services, clusters, routes and workloads -> facts, one at a time through one small
 * arena.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/table.h"
#include "base/vec.h"
#include "conf/errors.h"
#include "conf/fact_rows.h"
#include "conf/reader.h"
#include "weft/registry.h"
#include "weft/str.h"

struct making {
	struct conf_reader r; /* the caller's, with an arena of ours */
	struct slice registry;
	const struct conf_node *node; /* element under way */
	struct arena arena;
	struct table keys[FACT_KINDS]; /* key -> fact */
	struct table frontends;	       /* address, port, protocol -> service fact */
	VEC(struct fact *) facts;
};

typedef int make_fn(struct making *m, const void *element);

/*
 * at: a node of the element; where conf.d went over the main file, its parts may lie in several
 * files.
 */
static struct fact_mark mark(const struct making *m, const struct conf_node *at)
{
	return (struct fact_mark){m->registry, reader_file(&m->r, at), at->line};
}

/* Element i of a list of the element. */
static const struct conf_node *part(const struct making *m, const char *list, size_t i)
{
	const struct conf_node *n = conf_member(m->node, list)->first;

	while (i--)
		n = n->next;
	return n;
}

static int error_in(struct making *m, const struct conf_node *at, const char *field,
		    const char *words)
{
	size_t before = reader_enter(&m->r, field);
	int err = conf_error(&m->r, at, "%s", words);

	reader_leave(&m->r, before);
	return err;
}

/* A name, address or port that stands in the file twice. */
static int taken(struct making *m, const struct conf_node *at, const char *field, const char *what,
		 const struct fact *by)
{
	struct fact_mark first = fact_mark(by);
	char words[512];

	snprintf(words, sizeof(words), "%s is given twice, first in %.*s:%u", what,
		 SLICE_ARG(first.file), first.line);
	return error_in(m, at, field, words);
}

/* Keeps take_f when its key is new. */
static int keep(struct making *m, struct fact *take_f, const struct conf_node *at,
		const char *field, struct slice shown)
{
	const struct fact *first = table_get(&m->keys[take_f->kind], take_f->key);
	char what[128];
	int err;

	if (!first) {
		table_put(&m->keys[take_f->kind], take_f->key, take_f);
		vec_push(&m->facts, take_f);
		return 0;
	}
	err = taken(m, at, field, errors_show(shown, what, sizeof(what)), first);
	fact_drop(take_f);
	return err;
}

static const struct slice *slices(struct fact *f, const struct conf_list *list)
{
	struct slice *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		v[i] = fact_slice(f, ((const struct slice *)list->v)[i]);
	return v;
}

/* ---- clusters -------------------------------------------------------------------------------- */

static int make_host(struct making *m, const struct fact_cluster *c, size_t i,
		     const struct conf_node *at)
{
	const struct fact_endpoint *e = (const struct fact_endpoint *)c->endpoints.v + i;
	struct fact_mark where = mark(m, at);
	struct host *h = host_new(c->name, &e->address.ip, e->address.port, &where);
	char shown[56], field[48];

	h->state = e->state;
	h->weight = e->weight;
	h->priority = e->priority;
	if (e->locality.region.n || e->locality.zone.n)
		h->locality = fact_locality(&h->fact, e->locality.region, e->locality.zone);
	h->metadata = fact_pairs(&h->fact, e->metadata.v, e->metadata.n);
	snprintf(field, sizeof(field), "endpoints[%zu].address", i);
	return keep(m, &h->fact, at, field, slice_str(conf_address_name(&e->address, shown)));
}

static int make_cluster(struct making *m, const void *element)
{
	const struct fact_cluster *c = element;
	struct fact_mark where = mark(m, m->node);
	struct cluster_fact *f = (struct cluster_fact *)fact_new(FACT_CLUSTER, c->name, &where);
	const struct conf_node *at = c->endpoints.n ? part(m, "endpoints", 0) : NULL;
	int err;

	f->lb = c->lb;
	f->prefer = c->locality.prefer;
	err = keep(m, &f->fact, m->node, "name", c->name);
	if (err)
		return err;
	for (size_t i = 0; i < c->endpoints.n; i++, at = at->next) {
		if (make_host(m, c, i, at))
			err = -EINVAL;
	}
	return err;
}

/* ---- services -------------------------------------------------------------------------------- */

static int check_port(struct making *m, const struct fact_service *s, size_t i)
{
	const struct fact_port *p = (const struct fact_port *)s->ports.v + i;
	char field[32];

	snprintf(field, sizeof(field), "ports[%zu]", i);
	if (!p->cluster.n && !s->cluster.n && !s->routes.n)
		return error_in(m, part(m, "ports", i), field,
				"no cluster serves this port: want cluster here or in the service");
	return 0;
}

static int check_service(struct making *m, const struct fact_service *s)
{
	int err = 0;

	if (!s->addresses.n)
		err = error_in(m, m->node, "addresses", "want at least one address");
	if (!s->ports.n)
		err = error_in(m, m->node, "ports", "want at least one port");
	for (size_t i = 0; i < s->ports.n; i++) {
		if (check_port(m, s, i))
			err = -EINVAL;
	}
	return err;
}

/* No address and port may lead to two places, in one service or in two. */
static int claim(struct making *m, const struct service_fact *f, size_t a, size_t p)
{
	struct {
		struct ip ip;
		uint16_t port;
		uint8_t proto;
	} __attribute__((packed)) key = {f->addrs[a], f->ports[p].port, f->ports[p].proto};
	struct slice k = {(const char *)&key, sizeof(key)};
	struct conf_address shown = {key.ip, key.port};
	const struct fact *first = table_get(&m->frontends, k);
	char what[80], name[56];

	if (!first) {
		table_put(&m->frontends, k, (void *)&f->fact);
		return 0;
	}
	snprintf(what, sizeof(what), "%s %s", conf_address_name(&shown, name),
		 key.proto == IPPROTO_UDP ? "UDP" : "TCP");
	return taken(m, m->node, "addresses", what, first);
}

static int claim_all(struct making *m, const struct service_fact *f)
{
	for (size_t a = 0; a < f->naddrs; a++) {
		for (size_t p = 0; p < f->nports; p++) {
			if (claim(m, f, a, p))
				return -EINVAL;
		}
	}
	return 0;
}

static const struct service_port *ports(struct fact *f, const struct fact_service *s)
{
	struct service_port *v = fact_alloc(f, s->ports.n * sizeof(*v));

	for (size_t i = 0; i < s->ports.n; i++) {
		const struct fact_port *p = (const struct fact_port *)s->ports.v + i;

		v[i] = (struct service_port){
			.port = p->port,
			.target = p->target,
			.proto = p->protocol ? IPPROTO_UDP : IPPROTO_TCP,
			.name = fact_slice(f, p->name),
			.app_protocol = fact_slice(f, p->app_protocol),
			.cluster = fact_slice(f, p->cluster.n ? p->cluster : s->cluster),
		};
	}
	return v;
}

static int make_service(struct making *m, const void *element)
{
	const struct fact_service *s = element;
	struct fact_mark where = mark(m, m->node);
	struct service_fact *f;
	struct ip *addrs;

	if (check_service(m, s))
		return -EINVAL;
	f = (struct service_fact *)fact_new(FACT_SERVICE, s->name, &where);
	addrs = fact_alloc(&f->fact, s->addresses.n * sizeof(*addrs));
	memcpy(addrs, s->addresses.v, s->addresses.n * sizeof(*addrs));
	f->addrs = addrs;
	f->naddrs = s->addresses.n;
	f->ports = ports(&f->fact, s);
	f->nports = s->ports.n;
	f->routes = slices(&f->fact, &s->routes);
	f->nroutes = s->routes.n;
	f->affinity_s =
		s->affinity.type == AFFINITY_NONE ? 0 : s->affinity.timeout_ns / 1000000000u;
	f->fail = s->fail;
	return keep(m, &f->fact, m->node, "name", s->name) ?: claim_all(m, f);
}

/* ---- routes, workloads ----------------------------------------------------------------------- */

static const struct route_backend *backends(struct fact *f, const struct conf_list *list)
{
	struct route_backend *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++) {
		const struct fact_backend *b = (const struct fact_backend *)list->v + i;

		v[i] = (struct route_backend){.cluster = fact_slice(f, b->cluster), .weight = b->weight};
	}
	return v;
}

static int make_route(struct making *m, const void *element)
{
	const struct fact_route *r = element;
	const struct fact_rule *rule = r->rules.v;
	static const struct slice any = {"*", 1};
	const struct conf_list hosts = r->hosts.n ? r->hosts : (struct conf_list){(void *)&any, 1};
	struct fact_mark where = mark(m, m->node);
	struct route_rule *made;
	struct route *f;

	if (r->rules.n != 1)
		return error_in(
			m, m->node, "rules",
			"want one rule: a rule takes every request, none would reach others");
	if (!rule->backends.n)
		return error_in(m, part(m, "rules", 0), "rules[0].backends",
				"want at least one backend");
	f = (struct route *)fact_new(FACT_ROUTE, r->name, &where);
	f->hosts = slices(&f->fact, &hosts);
	f->nhosts = hosts.n;
	made = fact_alloc(&f->fact, sizeof(*made));
	made->backends = backends(&f->fact, &rule->backends);
	made->nbackends = rule->backends.n;
	f->rules = made;
	f->nrules = 1;
	return keep(m, &f->fact, m->node, "name", r->name);
}

static int make_workload(struct making *m, const void *element)
{
	const struct fact_workload *w = element;
	struct fact_mark where = mark(m, m->node);
	struct workload_fact *f = (struct workload_fact *)fact_new(FACT_WORKLOAD, w->name, &where);

	f->cgroup = fact_slice(&f->fact, w->cgroup);
	f->identity = fact_slice(&f->fact, w->identity);
	f->splice = w->short_circuit.splice;
	f->paused = !w->short_circuit.enabled;
	f->exempt = !w->connect;
	return keep(m, &f->fact, m->node, "name", w->name);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const struct list_kind {
	const char *name;
	const struct conf_item *rows;
	size_t size;
	make_fn *make;
} lists[] = {
	{"clusters", fact_cluster_rows, sizeof(struct fact_cluster), make_cluster},
	{"routes", fact_route_rows, sizeof(struct fact_route), make_route},
	{"services", fact_service_rows, sizeof(struct fact_service), make_service},
	{"workloads", fact_workload_rows, sizeof(struct fact_workload), make_workload},
};

static int make_element(struct making *m, const struct list_kind *k, const struct conf_node *n)
{
	void *element = arena_alloc(&m->arena, k->size);
	int err;

	m->node = n;
	err = conf_decode(&m->r, k->rows, n, element) ?: k->make(m, element);
	arena_reset(&m->arena);
	return err;
}

static int make_list(struct making *m, const struct list_kind *k, const struct conf_node *list)
{
	size_t before = reader_enter(&m->r, k->name), i = 0;
	char what[64];
	int err = 0;

	if (list->kind != CONF_SEQUENCE)
		err = conf_error(&m->r, list, "want a list, not %s",
				 reader_what(list, what, sizeof(what)));
	for (const struct conf_node *n = err ? NULL : list->first; n; n = n->next) {
		size_t at = reader_enter_at(&m->r, i++);

		if (make_element(m, k, n))
			err = -EINVAL;
		reader_leave(&m->r, at);
	}
	reader_leave(&m->r, before);
	return err;
}

static void making_init(struct making *m, struct conf_reader *r, struct slice registry)
{
	*m = (struct making){.r = *r, .registry = registry};
	arena_init(&m->arena);
	m->r.arena = &m->arena;
	for (int k = 0; k < FACT_KINDS; k++)
		table_init(&m->keys[k], 0);
	table_init(&m->frontends, TABLE_COPY_KEYS);
}

static void making_fini(struct making *m)
{
	for (int k = 0; k < FACT_KINDS; k++)
		table_fini(&m->keys[k]);
	table_fini(&m->frontends);
	vec_fini(&m->facts);
	arena_fini(&m->arena);
}

int conf_facts(struct conf_reader *r, const struct conf_node *root, struct slice registry,
	       void (*put)(void *arg, struct fact *take_fact), void *arg)
{
	struct making m;
	int err = 0;

	making_init(&m, r, registry);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct conf_node *list = conf_member(root, lists[i].name);

		if (list && list->kind != CONF_NULL && make_list(&m, &lists[i], list))
			err = -EINVAL;
	}
	for (size_t i = 0; i < m.facts.n; i++) {
		if (err)
			fact_drop(m.facts.v[i]);
		else
			put(arg, m.facts.v[i]);
	}
	making_fini(&m);
	return err;
}
