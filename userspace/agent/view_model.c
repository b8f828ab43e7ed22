/* SPDX-License-Identifier: Apache-2.0 */
/* /config /snapshot /services /clusters /registries /certificates: what registries said, joined with what the kernel counts. */
#include <netinet/in.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "base/arena.h"
#include "base/extensions.h"
#include "base/protocols.h"
#include "base/table.h"
#include "conf/dump.h"
#include "conf/settings.h"
#include "kern/read.h"
#include "model/dump.h"
#include "model/http_stat.h"
#include "model/notes.h"
#include "weft/str.h"

static json_t *text(struct slice s)
{
	return json_stringn(s.p ? s.p : "", s.n);
}

static json_t *ip_text(const struct ip *ip)
{
	char out[64];

	return json_string(ip_name(ip, out));
}

static json_t *mark_text(const struct fact *f)
{
	struct fact_mark m = fact_mark(f);
	char out[256];

	return dump_text(slice_str(fact_mark_name(&m, out, sizeof(out))));
}

void view_config(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	(void)rq;
	view_json(rs, config_dump(a->config));
}

void view_snapshot(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	(void)rq;
	if (!a->publish.now) {
		view_error(rs, 503, "there is no snapshot yet");
		return;
	}
	if (dump_snapshot(a->publish.now, DUMP_MARKS, view_write, rs))
		rs->status = 500;
}

/* ---- services ----------------------------------------------------------------------------------------------- */

/* What the kernel says of one port, summed over its address families. */
struct port_stat {
	struct service_stat stat;
	uint32_t backends, draining;
	const char *stale;
};

struct port_index {
	struct arena arena;
	struct table by_port;                   /* "name|port|proto" */
};

static struct slice port_key(struct arena *a, struct slice name, unsigned port, unsigned proto)
{
	return slice_str(arena_printf(a, "%.*s|%u|%u", SLICE_ARG(name), port, proto));
}

static bool index_service(void *arg, const struct read_service *s)
{
	struct port_index *x = arg;
	struct slice key = port_key(&x->arena, s->name, s->port, s->proto);
	struct port_stat *p = table_get(&x->by_port, key);

	if (!p) {
		p = ARENA_NEW(&x->arena, struct port_stat);
		table_put(&x->by_port, key, p);
	}
	p->stat.picked += s->stat.picked;
	p->stat.refused += s->stat.refused;
	p->stat.opened += s->stat.opened;
	p->stat.accelerated += s->stat.accelerated;
	p->stat.tx_bytes += s->stat.tx_bytes;
	p->stat.rx_bytes += s->stat.rx_bytes;
	p->backends += s->backends;
	p->draining += s->draining;
	p->stale = p->stale ? p->stale : s->stale;
	return true;
}

static const char *service_path(struct agent *a, const struct service_fact *s)
{
	struct kern_status k;

	kern_status(a->kern, &k);
	if (!k.attached)
		return "none";
	if (!s->nroutes)
		return "kernel";
	return s->fail == FAIL_OPEN ? "proxy, kernel while it is away" : "proxy, refused while it is away";
}

static size_t ready_hosts(const struct cluster *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nhosts; i++)
		n += c->hosts[i]->state == HOST_READY && c->hosts[i]->weight;
	return n;
}

static json_t *port_json(struct agent *a, struct port_index *x, const struct service_fact *s, const struct service_port *p)
{
	const struct cluster *c = snapshot_cluster(a->publish.now, p->cluster);
	const struct port_stat *k = table_get(&x->by_port, port_key(&x->arena, s->name, p->port, p->proto));
	json_t *o = json_pack("{si ss so so ss}", "port", p->port, "protocol", p->proto == IPPROTO_TCP ? "TCP" : "UDP", "name",
			      text(p->name), "cluster", text(p->cluster), "path", service_path(a, s));
	char words[NOTES_TEXT];

	if (c) {
		json_object_set_new(o, "algorithm", text(cluster_balancer(c->conf)));
		json_object_set_new(o, "hosts", json_integer(c->nhosts));
		json_object_set_new(o, "ready", json_integer(ready_hosts(c)));
	}
	if (notes_family(a->publish.now, s, p, words))
		json_object_set_new(o, "note", json_string(words));
	if (s->affinity_s)
		json_object_set_new(o, "affinitySeconds", json_integer(s->affinity_s));
	if (!k)
		return o;
	json_object_update_new(o, json_pack("{sI sI sI sI sI sI}", "picked", (json_int_t)k->stat.picked, "refused",
					    (json_int_t)k->stat.refused, "opened", (json_int_t)k->stat.opened, "accelerated",
					    (json_int_t)k->stat.accelerated, "txBytes", (json_int_t)k->stat.tx_bytes, "rxBytes",
					    (json_int_t)k->stat.rx_bytes));
	if (k->stale)
		json_object_set_new(o, "behind", json_string(k->stale));
	return o;
}

static json_t *service_json(struct agent *a, struct port_index *x, const struct service_fact *s)
{
	json_t *addrs = json_array(), *ports = json_array(), *routes = json_array();

	for (size_t i = 0; i < s->naddrs; i++)
		json_array_append_new(addrs, ip_text(&s->addrs[i]));
	for (size_t i = 0; i < s->nports; i++)
		json_array_append_new(ports, port_json(a, x, s, &s->ports[i]));
	for (size_t i = 0; i < s->nroutes; i++)
		json_array_append_new(routes, text(s->routes[i]));
	return json_pack("{so so so so ss so}", "name", text(s->name), "addresses", addrs, "ports", ports, "routes", routes,
			 "failMode", s->fail == FAIL_OPEN ? "open" : "closed", "source", mark_text(&s->fact));
}

void view_services(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct fact_set set = a->publish.now ? snapshot_facts(a->publish.now, FACT_SERVICE) : (struct fact_set){ 0 };
	json_t *list = json_array();
	struct port_index x;

	(void)rq;
	arena_init(&x.arena);
	table_init(&x.by_port, 0);
	read_services(a->kern, index_service, &x);
	for (size_t i = 0; i < set.n; i++)
		json_array_append_new(list, service_json(a, &x, (const struct service_fact *)set.v[i]));
	table_fini(&x.by_port);
	arena_fini(&x.arena);
	view_json(rs, json_pack("{so}", "services", list));
}

/* ---- clusters ----------------------------------------------------------------------------------------------- */

/* What is known of it beside the registry's word. */
static void host_well(const struct agent *a, const struct host *h, json_t *o)
{
	const char *health = health_words(&a->health, h->fact.key);
	bool ejected = overlay_get(&a->states.overlay, h->fact.key) & HOST_EJECTED;
	char words[256];

	snprintf(words, sizeof(words), "%s%s%s", ejected ? "ejected" : "", ejected && health ? "; " : "", health ? health : "");
	if (words[0])
		json_object_set_new(o, "health", dump_text(slice_str(words)));
	if (ejected)
		json_object_set_new(o, "ejected", json_true());
}

static json_int_t count_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* errors: those of the host, not of its clients. */
static void host_counts(const struct agent *a, const struct host *h, json_t *o)
{
	json_t *counts = json_object();
	json_int_t answered;

	view_counts(a, &host_stat_desc, h->fact.key, counts);
	if (json_object_size(counts)) {
		answered = count_of(counts, "answered");
		json_object_set_new(counts, "errors", json_integer(count_of(counts, "answers_5xx") + count_of(counts, "connect_failed") +
								   count_of(counts, "closed") + count_of(counts, "malformed") +
								   count_of(counts, "late")));
		json_object_set_new(counts, "mean_us", json_integer(answered ? count_of(counts, "answer_us") / answered : 0));
		json_object_set(o, "counts", counts);
	}
	json_decref(counts);
}

static json_t *host_json(const struct agent *a, const struct host *h)
{
	json_t *o;

	char ip[64], address[80];

	ip_name(&h->ip, ip);
	if (h->port)
		snprintf(address, sizeof(address), strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, h->port);
	else
		snprintf(address, sizeof(address), "%s", ip);
	o = json_pack("{ss ss si si so so so}", "address", address, "state", h->state == HOST_READY ? "ready" : "draining",
		      "weight", (int)h->weight, "priority", (int)h->priority, "region", text(h->locality->region), "zone",
		      text(h->locality->zone), "source", mark_text(&h->fact));
	host_well(a, h, o);
	host_counts(a, h, o);
	return o;
}

/* What of it others give: a name's addresses, a service's hosts, or the cluster itself. */
static void cluster_origin(const struct agent *a, const struct cluster *c, json_t *o)
{
	const char *dns = dns_words(&a->dns, c->name);
	char why[320];
	uint16_t port;

	if (c->conf->absent)
		json_object_set_new(o, "absent", json_true());
	if (dns)
		json_object_set_new(o, "dns", json_pack("{so ss}", "host", text(c->conf->dns_host), "state", dns));
	if (!c->conf->from_service.n)
		return;
	if (discovery_find(a->publish.now, c->conf, &port, why, sizeof(why)))
		snprintf(why, sizeof(why), "%zu hosts", c->nhosts);
	json_object_set_new(o, "discovery", json_pack("{so so si so}", "registry", text(c->conf->from_registry), "service",
						      text(c->conf->from_service), "port", c->conf->from_port, "state",
						      dump_text(slice_str(why))));
}

static json_t *cluster_json(const struct agent *a, const struct cluster *c)
{
	static const char *const prefer[] = { "any", "region", "zone" };
	json_t *hosts = json_array(), *o;
	struct settings_kind balancer, protocol;

	for (size_t i = 0; i < c->nhosts; i++)
		json_array_append_new(hosts, host_json(a, c->hosts[i]));
	o = json_pack("{so so ss si so so}", "name", text(c->name), "loadBalancer", text(cluster_balancer(c->conf)), "prefer",
		      prefer[c->conf->prefer], "generation", (int)c->generation, "source", mark_text(&c->conf->fact), "hosts",
		      hosts);
	balancer = lb_settings(extension_find(EXTENSION_lb, cluster_balancer(c->conf)));
	protocol = proto_settings(protocol_rpc(c->conf->protocol));
	view_settings(o, "loadBalancerSettings", &balancer, c->conf->balancer_settings);
	view_settings(o, "protocolSettings", &protocol, c->conf->protocol_settings);
	view_counts_member(a, &cluster_http_stat_desc, c->name, o);
	cluster_origin(a, c, o);
	return o;
}

void view_clusters(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct fact_set set = a->publish.now ? snapshot_facts(a->publish.now, FACT_CLUSTER) : (struct fact_set){ 0 };
	json_t *list = json_array();

	(void)rq;
	for (size_t i = 0; i < set.n; i++)
		json_array_append_new(list, cluster_json(a, snapshot_cluster(a->publish.now, set.v[i]->key)));
	view_json(rs, json_pack("{so}", "clusters", list));
}

/* ---- registries --------------------------------------------------------------------------------------------- */

void view_certificates(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	(void)rq;
	view_json(rs, secrets_json(&a->secrets));
}
