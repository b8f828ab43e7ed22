// SPDX-License-Identifier: Apache-2.0
/*
 * Kubernetes manifests -> objects. Only Service and EndpointSlice are read, and of them only what
 * balancing needs; the rest of a manifest is somebody else's vocabulary and passed over. Field
 * meanings: Kubernetes API reference, core/v1 and discovery.k8s.io/v1.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include "registry/file_priv.h"
#include "weft/log.h"
#include "weft/str.h"

#define SERVICE_LABEL "kubernetes.io/service-name"

struct meta {
	struct slice name, space;
	struct pair_list labels;
};

static const struct conf_item meta_rows[] = {
	CONF_ITEM(struct meta, name, "name", STRING, .required = true, .max = 253),
	CONF_ITEM(struct meta, space, "namespace", STRING, .dflt = "default", .max = 63),
	CONF_ITEM(struct meta, labels, "labels", MAP),
	CONF_END
};

enum { TCP, UDP, SCTP };
static const char *const protocol_names[] = { "TCP", "UDP", "SCTP", NULL };
static const char *const affinity_names[] = { "None", "ClientIP", NULL };

/* ---- Service --------------------------------------------------------------------------------- */

struct service_port_in {
	uint32_t line;
	struct slice name, app_protocol;
	uint16_t port;
	uint8_t protocol;
};

struct service_in {
	uint32_t line;
	struct meta meta;
	struct service_spec {
		struct slice type, cluster_ip, distribution;
		struct conf_list cluster_ips;   /* of struct slice */
		struct conf_list ports;         /* of struct service_port_in */
		uint8_t affinity;
		struct affinity_config {
			struct client_ip {
				uint32_t timeout_s;
			} client_ip;
		} affinity_config;
	} spec;
};

static const struct conf_item service_port_rows[] = {
	CONF_LINE_ITEM(struct service_port_in, line),
	CONF_ITEM(struct service_port_in, name, "name", STRING, .max = 63),
	CONF_ITEM(struct service_port_in, app_protocol, "appProtocol", STRING, .max = 253),
	CONF_ITEM(struct service_port_in, port, "port", INT, .required = true, .min = 1, .max = 65535),
	CONF_ITEM(struct service_port_in, protocol, "protocol", ENUM, .names = protocol_names, .dflt = "TCP"),
	CONF_END
};

static const struct conf_item client_ip_rows[] = {
	CONF_ITEM(struct client_ip, timeout_s, "timeoutSeconds", INT, .min = 1, .max = AFFINITY_S_MAX, .dflt = "10800"),
	CONF_END
};

static const struct conf_item affinity_config_rows[] = {
	CONF_ITEM(struct affinity_config, client_ip, "clientIP", STRUCT, .rows = client_ip_rows),
	CONF_END
};

static const struct conf_item service_spec_rows[] = {
	CONF_ITEM(struct service_spec, type, "type", STRING, .dflt = "ClusterIP"),
	CONF_ITEM(struct service_spec, cluster_ip, "clusterIP", STRING),
	CONF_ITEMS(struct service_spec, cluster_ips, "clusterIPs", STRING, struct slice),
	CONF_ITEMS(struct service_spec, ports, "ports", STRUCT, struct service_port_in, .rows = service_port_rows),
	CONF_ITEM(struct service_spec, affinity, "sessionAffinity", ENUM, .names = affinity_names, .dflt = "None"),
	CONF_ITEM(struct service_spec, affinity_config, "sessionAffinityConfig", STRUCT, .rows = affinity_config_rows),
	CONF_ITEM(struct service_spec, distribution, "trafficDistribution", STRING),
	CONF_END
};

static const struct conf_item service_rows[] = {
	CONF_LINE_ITEM(struct service_in, line),
	CONF_ITEM(struct service_in, meta, "metadata", STRUCT, .rows = meta_rows, .required = true),
	CONF_ITEM(struct service_in, spec, "spec", STRUCT, .rows = service_spec_rows, .required = true),
	CONF_END
};

/* ---- EndpointSlice --------------------------------------------------------------------------- */

struct slice_port_in {
	struct slice name;
	uint16_t port;
	uint8_t protocol;
};

struct endpoint_in {
	uint32_t line;
	struct conf_list addresses;             /* of struct ip */
	struct conditions {
		bool ready, serving, terminating;
	} conditions;
	struct slice zone, node;
};

struct slice_in {
	uint32_t line;
	struct meta meta;
	struct slice address_type;
	struct conf_list endpoints;             /* of struct endpoint_in */
	struct conf_list ports;                 /* of struct slice_port_in */
};

static const struct conf_item slice_port_rows[] = {
	CONF_ITEM(struct slice_port_in, name, "name", STRING, .max = 63),
	CONF_ITEM(struct slice_port_in, port, "port", INT, .min = 1, .max = 65535),
	CONF_ITEM(struct slice_port_in, protocol, "protocol", ENUM, .names = protocol_names, .dflt = "TCP"),
	CONF_END
};

/* Left out means ready; a terminating one is no longer ready, and may still be serving. */
static const struct conf_item conditions_rows[] = {
	CONF_ITEM(struct conditions, ready, "ready", BOOL, .dflt = "true"),
	CONF_ITEM(struct conditions, serving, "serving", BOOL, .dflt = "false"),
	CONF_ITEM(struct conditions, terminating, "terminating", BOOL, .dflt = "false"),
	CONF_END
};

static const struct conf_item endpoint_rows[] = {
	CONF_LINE_ITEM(struct endpoint_in, line),
	CONF_ITEMS(struct endpoint_in, addresses, "addresses", IP, struct ip, .required = true),
	CONF_ITEM(struct endpoint_in, conditions, "conditions", STRUCT, .rows = conditions_rows),
	CONF_ITEM(struct endpoint_in, zone, "zone", STRING, .max = 253),
	CONF_ITEM(struct endpoint_in, node, "nodeName", STRING, .max = 253),
	CONF_END
};

static const struct conf_item slice_rows[] = {
	CONF_LINE_ITEM(struct slice_in, line),
	CONF_ITEM(struct slice_in, meta, "metadata", STRUCT, .rows = meta_rows, .required = true),
	CONF_ITEM(struct slice_in, address_type, "addressType", STRING, .required = true),
	CONF_ITEMS(struct slice_in, endpoints, "endpoints", STRUCT, struct endpoint_in, .rows = endpoint_rows),
	CONF_ITEMS(struct slice_in, ports, "ports", STRUCT, struct slice_port_in, .rows = slice_port_rows),
	CONF_END
};

/* ---- making objects -------------------------------------------------------------------------- */

struct parsing {
	struct conf_reader *r;
	struct kube_objects *objects;
	struct arena *arena;                    /* theirs */
	const struct conf_node *node;           /* object under way */
};

/* what: "Deployment", "headless Service"; counted, so that it can be said once for the file. */
static int pass_over(struct parsing *p, struct slice what)
{
	struct kube_objects *o = p->objects;

	log_debug("kubernetes", "%.*s:%u: %.*s is passed over", SLICE_ARG(p->r->file), p->node->line, SLICE_ARG(what));
	for (size_t i = 0; i < o->passed.n; i++) {
		if (slice_eq(o->passed.v[i].what, what)) {
			o->passed.v[i].n++;
			return 0;
		}
	}
	vec_push(&o->passed, (struct kube_passed){ arena_slice(p->arena, what), 1 });
	return 0;
}

/* Where a field is, or its nearest parent that is there. */
static const struct conf_node *field(const struct parsing *p, const char *name)
{
	const struct conf_node *spec = conf_member(p->node, "spec"), *n = conf_member(spec, name);

	return n ? n : spec ? spec : p->node;
}

static void object_add(struct parsing *p, struct kube_object *o, enum kube_kind kind, struct slice space,
		       struct slice name, uint32_t line)
{
	o->kind = kind;
	o->line = line;
	o->space = arena_slice(p->arena, space);
	o->name = arena_slice(p->arena, name);
	list_add_tail(&p->objects->list, &o->of_file);
}

static uint8_t ip_proto(uint8_t protocol)
{
	return protocol == UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static int set_addresses(struct parsing *p, struct kube_service *to, const struct service_spec *spec)
{
	const struct conf_list one = { (void *)&spec->cluster_ip, 1 }, *all = spec->cluster_ips.n ? &spec->cluster_ips : &one;
	struct ip *v = ARENA_NEWN(p->arena, struct ip, all->n);

	for (size_t i = 0; i < all->n; i++) {
		struct slice text = ((const struct slice *)all->v)[i];

		if (ip_parse(text, &v[i]))
			return conf_error(p->r, field(p, spec->cluster_ips.n ? "clusterIPs" : "clusterIP"), "spec.clusterIP: want an IPv4 or IPv6 address, not %.*s",
					  SLICE_ARG(text));
	}
	to->addrs = v;
	to->naddrs = all->n;
	return 0;
}

static void set_ports(struct parsing *p, struct kube_service *to, const struct conf_list *ports)
{
	struct kube_port *v = ARENA_NEWN(p->arena, struct kube_port, ports->n);

	for (size_t i = 0; i < ports->n; i++) {
		const struct service_port_in *in = (const struct service_port_in *)ports->v + i;

		if (in->protocol == SCTP)
			continue;
		v[to->nports++] = (struct kube_port){ arena_slice(p->arena, in->name),
						      arena_slice(p->arena, in->app_protocol), in->port,
						      ip_proto(in->protocol), in->line };
	}
	to->ports = v;
}

static int make_service(struct parsing *p, const struct service_in *in)
{
	const struct service_spec *spec = &in->spec;
	struct kube_service *to;

	if (slice_eq_str(spec->type, "ExternalName"))
		return pass_over(p, SLICE_LIT("ExternalName Service"));
	if (slice_eq_str(spec->cluster_ip, "None"))
		return pass_over(p, SLICE_LIT("headless Service"));
	if (!spec->cluster_ip.n && !spec->cluster_ips.n)
		return conf_error(p->r, field(p, "clusterIP"), "spec.clusterIP is missing: no API server is here to choose one");
	to = ARENA_NEW(p->arena, struct kube_service);
	if (set_addresses(p, to, spec))
		return -EINVAL;
	set_ports(p, to, &spec->ports);
	if (!to->nports)
		return conf_error(p->r, field(p, "ports"), "spec.ports: want at least one TCP or UDP port");
	to->affinity_s = spec->affinity ? spec->affinity_config.client_ip.timeout_s : 0;
	if (slice_eq_str(spec->distribution, "PreferClose") || slice_eq_str(spec->distribution, "PreferSameZone"))
		to->prefer = LOCALITY_ZONE;
	object_add(p, &to->object, KUBE_SERVICE, in->meta.space, in->meta.name, in->line);
	return 0;
}

static const struct slice *shared(struct parsing *p, struct slice s)
{
	struct slice *have;

	if (!s.n)
		return NULL;
	have = table_get(&p->objects->words, s);
	if (!have) {
		have = ARENA_NEW(p->arena, struct slice);
		*have = arena_slice(p->arena, s);
		table_put(&p->objects->words, *have, have);
	}
	return have;
}

static void set_endpoints(struct parsing *p, struct kube_slice *to, const struct conf_list *list)
{
	struct kube_endpoint *v = ARENA_NEWN(p->arena, struct kube_endpoint, list->n);

	for (size_t i = 0; i < list->n; i++) {
		const struct endpoint_in *in = (const struct endpoint_in *)list->v + i;
		bool ready = in->conditions.ready && !in->conditions.terminating;

		if (!in->addresses.n || (!ready && !(in->conditions.serving && in->conditions.terminating)))
			continue;
		/* Several addresses of one endpoint are the same server; the first will do. */
		v[to->nendpoints++] = (struct kube_endpoint){
			.ip = *(const struct ip *)in->addresses.v,
			.zone = shared(p, in->zone),
			.node = shared(p, in->node),
			.line = in->line,
			.state = ready ? HOST_READY : HOST_DRAINING,
		};
	}
	to->endpoints = v;
}

static void set_slice_ports(struct parsing *p, struct kube_slice *to, const struct conf_list *ports)
{
	struct kube_port *v = ARENA_NEWN(p->arena, struct kube_port, ports->n);

	for (size_t i = 0; i < ports->n; i++) {
		const struct slice_port_in *in = (const struct slice_port_in *)ports->v + i;

		if (in->protocol != SCTP && in->port)
			v[to->nports++] = (struct kube_port){ .name = arena_slice(p->arena, in->name),
							      .port = in->port,
							      .proto = ip_proto(in->protocol) };
	}
	to->ports = v;
}

static struct slice service_label(const struct pair_list *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		if (slice_eq_str(labels->v[i].name, SERVICE_LABEL))
			return labels->v[i].value;
	}
	return (struct slice){ 0 };
}

static int make_slice(struct parsing *p, const struct slice_in *in)
{
	struct slice service = service_label(&in->meta.labels);
	struct kube_slice *to;

	if (!service.n)
		return pass_over(p, SLICE_LIT("EndpointSlice without label " SERVICE_LABEL));
	to = ARENA_NEW(p->arena, struct kube_slice);
	set_endpoints(p, to, &in->endpoints);
	set_slice_ports(p, to, &in->ports);
	object_add(p, &to->object, KUBE_SLICE, in->meta.space, service, in->line);
	return 0;
}

/* ---- documents ------------------------------------------------------------------------------- */

static int parse_service(struct parsing *p, const struct conf_node *n)
{
	struct service_in in = { 0 };

	return conf_decode(p->r, service_rows, n, &in) ?: make_service(p, &in);
}

static int parse_slice(struct parsing *p, const struct conf_node *n)
{
	struct slice_in in = { 0 };
	struct slice type = conf_text(conf_member(n, "addressType"));

	/* Its addresses are names, which would be wrong as addresses. */
	if (slice_eq_str(type, "FQDN"))
		return pass_over(p, SLICE_LIT("EndpointSlice of host names"));
	return conf_decode(p->r, slice_rows, n, &in) ?: make_slice(p, &in);
}

static int parse_object(struct parsing *p, const struct conf_node *n, struct slice kind)
{
	struct slice version = conf_text(conf_member(n, "apiVersion"));
	bool service = slice_eq_str(kind, "Service");
	const char *want = service ? "v1" : "discovery.k8s.io/v1";

	p->node = n;
	if (!service && !slice_eq_str(kind, "EndpointSlice"))
		return pass_over(p, kind.n ? kind : SLICE_LIT("object without kind"));
	if (version.n && !slice_eq_str(version, want))
		return conf_error(p->r, conf_member(n, "apiVersion"), "apiVersion: want %s for %.*s, not %.*s", want, SLICE_ARG(kind),
				  SLICE_ARG(version));
	return service ? parse_service(p, n) : parse_slice(p, n);
}

/* kind: what an item is that does not say so itself, as in a ServiceList. */
static int parse_any(struct parsing *p, const struct conf_node *n, struct slice kind)
{
	static const struct slice list = { "List", 4 };
	struct slice own = conf_text(conf_member(n, "kind"));
	const struct conf_node *items = conf_member(n, "items");
	int err = 0;

	if (own.n)
		kind = own;
	if (kind.n < list.n || !slice_eq((struct slice){ kind.p + kind.n - list.n, list.n }, list))
		return parse_object(p, n, kind);
	if (items && items->kind == CONF_NULL)
		return 0;
	if (!items || items->kind != CONF_SEQUENCE)
		return conf_error(p->r, items ? items : n, "items: want a list");
	kind.n -= list.n;
	for (const struct conf_node *item = items->first; item; item = item->next) {
		if (item->kind != CONF_MAPPING)
			err = conf_error(p->r, item, "items: want Kubernetes objects");
		else if (parse_any(p, item, kind))
			err = -EINVAL;
	}
	return err;
}

bool kube_is(const struct conf_node *root)
{
	return conf_member(root, "kind") && conf_member(root, "apiVersion");
}

void kube_objects_init(struct kube_objects *o)
{
	arena_init(&o->arena);
	list_init(&o->list);
	table_init(&o->words, 0);
}

char *kube_passed_words(const struct kube_objects *o)
{
	char *words = NULL;

	for (size_t i = 0; i < o->passed.n; i++) {
		char *longer = mem_printf("%s%s%u %.*s", words ? words : "", words ? ", " : "", o->passed.v[i].n,
					  SLICE_ARG(o->passed.v[i].what));

		free(words);
		words = longer;
	}
	return words;
}

void kube_objects_fini(struct kube_objects *o)
{
	vec_fini(&o->passed);
	table_fini(&o->words);
	arena_fini(&o->arena);
}

int kube_parse(struct conf_reader *r, const struct conf_node *root, struct kube_objects *objects)
{
	struct conf_reader loose = *r;
	struct parsing p = { .r = &loose, .objects = objects, .arena = &objects->arena };

	loose.flags |= CONF_UNKNOWN_OK;
	return parse_any(&p, root, (struct slice){ 0 });
}
