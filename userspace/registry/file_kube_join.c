// SPDX-License-Identifier: Apache-2.0
/*
 * A Kubernetes Service and its slices, from whatever files, into facts: service "name.namespace",
 * and for each of its ports a cluster "name.namespace:port" whose hosts are the endpoints of the
 * slices' ports of that name.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/protocols.h"
#include "registry/file_priv.h"
#include "weft/log.h"
#include "weft/str.h"

/* ---- which objects belong together ----------------------------------------------------------- */

static struct kube_unit *unit_of(struct file_state *s, const struct kube_object *o)
{
	char key[320];
	struct slice k = {key, 0};
	struct kube_unit *u;

	k.n = (size_t)snprintf(key, sizeof(key), "%.*s.%.*s", SLICE_ARG(o->name),
			       SLICE_ARG(o->space));
	if (k.n >= sizeof(key))
		k.n = sizeof(key) - 1;
	u = table_get(&s->kube, k);
	if (u)
		return u;
	u = mem_alloc(sizeof(*u));
	unit_init(s, &u->unit, NULL);
	u->key = (struct slice){mem_dup(k.p, k.n), k.n};
	list_init(&u->services);
	list_init(&u->slices);
	table_put(&s->kube, u->key, u);
	return u;
}

void kube_unit_free(struct file_state *s, struct kube_unit *u)
{
	table_del(&s->kube, u->key);
	unit_fini(&u->unit);
	free((char *)u->key.p);
	free(u);
}

static void unlink_all(struct file *f)
{
	list_for(p, &f->objects) {
		struct kube_object *o = container_of(p, struct kube_object, of_file);

		list_del(&o->of_unit);
		o->unit->unit.touched = true;
	}
}

static void link_object(struct file *f, struct kube_object *o)
{
	o->file = f;
	o->unit = unit_of(f->state, o);
	o->unit->unit.touched = true;
	list_add_tail(o->kind == KUBE_SERVICE ? &o->unit->services : &o->unit->slices, &o->of_unit);
}

void kube_replace(struct file *f, struct kube_objects *take_objects)
{
	unlink_all(f);
	arena_fini(&f->arena);
	list_init(&f->objects);
	if (!take_objects)
		return;
	f->arena = take_objects->arena;
	arena_init(&take_objects->arena);
	list_for(p, &take_objects->list) {
		list_del(p);
		list_add_tail(&f->objects, p);
		link_object(f, container_of(p, struct kube_object, of_file));
	}
}

void kube_sweep(struct file_state *s)
{
	for (struct table_entry *e = table_next(&s->kube, NULL); e; e = table_next(&s->kube, e)) {
		struct kube_unit *u = e->value;

		if (list_empty(&u->services) && list_empty(&u->slices) && !u->unit.now.n &&
		    !u->unit.refusal && !u->unit.touched)
			kube_unit_free(s, u);
	}
}

/* ---- facts ----------------------------------------------------------------------------------- */

static struct fact_mark mark(const struct file_state *s, const struct kube_object *o, uint32_t line)
{
	return (struct fact_mark){s->r->name, slice_str(o->file->path), line};
}

/* "web.default:http", or by number where the port has no name. */
static struct slice cluster_name(const struct kube_unit *u, const struct kube_port *p, char *out,
				 size_t size)
{
	int n = p->name.n ? snprintf(out, size, "%.*s:%.*s", SLICE_ARG(u->key), SLICE_ARG(p->name))
			  : snprintf(out, size, "%.*s:%u", SLICE_ARG(u->key), p->port);

	return (struct slice){out, (size_t)n < size ? (size_t)n : size - 1};
}

static const struct kube_port *port_named(const struct kube_slice *slice,
					  const struct kube_port *want)
{
	for (size_t i = 0; i < slice->nports; i++) {
		const struct kube_port *p = &slice->ports[i];

		if (slice_eq(p->name, want->name) && p->proto == want->proto)
			return p;
	}
	return NULL;
}

struct hosts {
	struct file_state *s;
	struct slice cluster;
	/* address and port -> struct host: slices may overlap while they move */
	struct table by_address;
	VEC(struct host *) v;
};

static void add_host(struct hosts *hosts, const struct kube_object *o,
		     const struct kube_endpoint *e, uint16_t port)
{
	struct fact_mark at = mark(hosts->s, o, e->line);
	struct host *h = host_new(hosts->cluster, &e->ip, port, &at), *have;

	h->state = e->state;
	if (e->zone)
		h->locality = fact_locality(&h->fact, (struct slice){0}, *e->zone);
	if (e->node)
		h->metadata =
			fact_pairs(&h->fact, &(struct name_value){SLICE_LIT("node"), *e->node}, 1);
	have = table_get(&hosts->by_address, h->fact.key);
	if (!have) {
		table_put(&hosts->by_address, h->fact.key, h);
		vec_push(&hosts->v, h);
		return;
	}
	if (h->state == HOST_READY)
		have->state = HOST_READY;
	fact_drop(&h->fact);
}

static void put_hosts(struct file_state *s, struct kube_unit *u, const struct kube_port *p,
		      struct slice cluster)
{
	struct hosts hosts = {.s = s, .cluster = cluster};

	table_init(&hosts.by_address, 0);
	list_for(l, &u->slices) {
		const struct kube_slice *slice = container_of(l, struct kube_slice, object.of_unit);
		const struct kube_port *target = port_named(slice, p);

		for (size_t i = 0; target && i < slice->nendpoints; i++)
			add_host(&hosts, &slice->object, &slice->endpoints[i], target->port);
	}
	table_fini(&hosts.by_address);
	for (size_t i = 0; i < hosts.v.n; i++)
		unit_put(s, &u->unit, &hosts.v.v[i]->fact);
	vec_fini(&hosts.v);
}

/* Of what Kubernetes and meshes write there (KEP-3726; grpc and http2 are older), that which is HTTP/2 without TLS. */
static bool is_http2(struct slice app_protocol)
{
	static const char *const words[] = { "kubernetes.io/h2c", "h2c", "http2", "grpc" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_eq_str(app_protocol, words[i]))
			return true;
	return false;
}

static void put_cluster(struct file_state *s, struct kube_unit *u, const struct kube_service *from,
			const struct kube_port *p)
{
	struct fact_mark at = mark(s, &from->object, p->line);
	char name[512];
	struct slice cluster = cluster_name(u, p, name, sizeof(name));
	struct cluster_fact *c = (struct cluster_fact *)fact_new(FACT_CLUSTER, cluster, &at);

	c->prefer = from->prefer;
	if (is_http2(p->app_protocol))
		c->protocol = SLICE_LIT("http2");
	else if (protocol_rpc(p->app_protocol))
		c->protocol = fact_slice(&c->fact, p->app_protocol);
	unit_put(s, &u->unit, &c->fact);
	put_hosts(s, u, p, cluster);
}

static void put_service(struct file_state *s, struct kube_unit *u, const struct kube_service *from)
{
	struct fact_mark at = mark(s, &from->object, from->object.line);
	struct service_fact *f = (struct service_fact *)fact_new(FACT_SERVICE, u->key, &at);
	struct ip *addrs = fact_alloc(&f->fact, from->naddrs * sizeof(*addrs));
	struct service_port *ports = fact_alloc(&f->fact, from->nports * sizeof(*ports));
	char name[512];

	memcpy(addrs, from->addrs, from->naddrs * sizeof(*addrs));
	for (size_t i = 0; i < from->nports; i++) {
		const struct kube_port *p = &from->ports[i];

		ports[i] = (struct service_port){
			.port = p->port,
			.proto = p->proto,
			.name = fact_slice(&f->fact, p->name),
			.app_protocol = fact_slice(&f->fact, p->app_protocol),
			.cluster = fact_slice(&f->fact, cluster_name(u, p, name, sizeof(name))),
		};
	}
	f->addrs = addrs;
	f->naddrs = from->naddrs;
	f->ports = ports;
	f->nports = from->nports;
	f->affinity_s = from->affinity_s;
	unit_put(s, &u->unit, &f->fact);
}

void kube_emit(struct file_state *s, struct kube_unit *u)
{
	const struct kube_service *from;

	if (list_empty(&u->services)) {
		if (!list_empty(&u->slices))
			log_debug(s->r->name.p, "slices of %.*s: no such Service here",
				  SLICE_ARG(u->key));
		return;
	}
	from = container_of(u->services.next, struct kube_service, object.of_unit);
	if (u->services.next != u->services.prev) {
		const struct kube_object *again =
			container_of(u->services.prev, struct kube_object, of_unit);

		unit_refuse(&u->unit, "%s:%u: Service %.*s is given twice, first in %s:%u",
			    again->file->path, again->line, SLICE_ARG(u->key),
			    from->object.file->path, from->object.line);
		return;
	}
	put_service(s, u, from);
	for (size_t i = 0; i < from->nports; i++)
		put_cluster(s, u, from, &from->ports[i]);
}
