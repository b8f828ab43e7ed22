/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/facts_priv.h"

#include <errno.h>
#include <stdio.h>
#include "base/extensions.h"
#include "base/protocols.h"
#include "conf/cluster_rows.h"
#include "conf/route_rows.h"
#include "weft/str.h"

struct slice making_certificate(struct fact *f, struct slice cert, struct slice key)
{
	char *p = fact_alloc(f, cert.n + 1 + key.n);

	memcpy(p, cert.p, cert.n);
	p[cert.n] = '|';
	memcpy(p + cert.n + 1, key.p, key.n);
	return (struct slice){ p, cert.n + 1 + key.n };
}

const struct slice *making_certificates(struct fact *f, const struct conf_list *list)
{
	const struct cluster_certificate *c = list->v;
	struct slice *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		v[i] = making_certificate(f, c[i].cert, c[i].key);
	return v;
}

const struct status_range *making_statuses(struct fact *f, const struct conf_list *list)
{
	struct status_range *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		status_range_parse(((const struct slice *)list->v)[i], &v[i]);
	return v;
}

const struct name_value *making_subset(struct fact *f, struct pair_list l, size_t *n)
{
	l = fact_pairs(f, l.v, l.n);
	*n = l.n;
	return l.v;
}

static int make_host(struct making *m, const struct cluster_conf *c, size_t i, const struct conf_node *at)
{
	const struct cluster_endpoint *e = (const struct cluster_endpoint *)c->endpoints.v + i;
	struct fact_mark where = making_mark(m, at);
	struct host *h = host_new(c->name, &e->address.ip, e->address.port, &where);
	char shown[56], field[48];

	h->state = e->state;
	h->weight = e->weight;
	h->priority = e->priority;
	if (e->locality.region.n || e->locality.zone.n)
		h->locality = fact_locality(&h->fact, e->locality.region, e->locality.zone);
	h->metadata = fact_pairs(&h->fact, e->metadata.v, e->metadata.n);
	snprintf(field, sizeof(field), "endpoints[%zu].address", i);
	return making_keep(m, &h->fact, at, field, slice_str(conf_address_name(&e->address, shown)));
}

static void set_subsets(struct cluster_fact *f, const struct cluster_subsets *s)
{
	struct subset_keys *v = fact_alloc(&f->fact, s->keys.n * sizeof(*v));
	const struct conf_list *keys = s->keys.v;

	for (size_t i = 0; i < s->keys.n; i++)
		v[i] = (struct subset_keys){ making_slices(&f->fact, &keys[i]), keys[i].n };
	f->subsets = v;
	f->nsubsets = s->keys.n;
	f->fallback = s->fallback;
	f->subset_default = making_subset(&f->fact, s->dflt, &f->nsubset_default);
}

static void set_pool(struct cluster_fact *f, const struct cluster_pool *p)
{
	f->pool = (struct pool_limits){
		.max_connections = p->max_connections,
		.max_pending = p->max_pending,
		.max_requests = p->max_requests,
		.max_retries = p->max_retries,
		.max_requests_per_connection = p->max_requests_per_connection,
		.idle_ms = making_ms(p->idle_ns),
		.http2_max_streams = p->http2_max_streams,
		.ping_ms = making_ms(p->ping_ns),
		.ping_timeout_ms = making_ms(p->ping_timeout_ns),
	};
}

static void set_tls(struct cluster_fact *f, const struct cluster_tls_conf *t)
{
	const struct cluster_certificate *c = t->certificates.v;

	if (!t->line)
		return;
	f->tls = (struct cluster_tls){
		.enabled = true,
		.sni = fact_slice(&f->fact, t->sni),
		.ca = fact_slice(&f->fact, t->ca),
		.insecure = t->insecure,
		.kernel = t->kernel,
		.alpn = making_slices(&f->fact, &t->alpn),
		.nalpn = t->alpn.n,
		.sans = making_slices(&f->fact, &t->verify.sans),
		.nsans = t->verify.sans.n,
	};
	if (t->certificates.n)
		f->tls.certificate = making_certificate(&f->fact, c->cert, c->key);
}

static void set_health(struct cluster_fact *f, const struct cluster_health *h)
{
	if (!h->line || h->type == HEALTH_NONE)
		return;
	f->health = (struct health_check){
		.type = h->type,
		.tls = h->tls == HEALTH_TLS_TRUE || (h->tls == HEALTH_TLS_AUTO && f->tls.enabled && !h->port),
		.path = fact_slice(&f->fact, h->path),
		.host = fact_slice(&f->fact, h->host),
		.service = fact_slice(&f->fact, h->service),
		.port = h->port,
		.interval_ms = making_ms(h->interval_ns),
		.timeout_ms = making_ms(h->timeout_ns),
		.unhealthy = h->unhealthy,
		.healthy = h->healthy,
		.expect = making_statuses(&f->fact, &h->expect),
		.nexpect = h->expect.n,
	};
}

static void set_outlier(struct cluster_fact *f, const struct cluster_outlier *o)
{
	f->outlier = (struct outlier_detection){
		.enabled = o->line,
		.consecutive_5xx = o->consecutive_5xx,
		.consecutive_gateway = o->consecutive_gateway,
		.consecutive_local = o->consecutive_local,
		.interval_ms = making_ms(o->interval_ns),
		.base_ejection_ms = making_ms(o->base_ns),
		.max_ejection_ms = making_ms(o->max_ns),
		.max_ejection_percent = o->max_percent,
		.failure_percentage = o->failure_percentage,
		.failure_min_hosts = o->failure_min_hosts,
		.failure_min_requests = o->failure_min_requests,
	};
}

/* A host that speaks nothing else is offered nothing else. */
static void offer_http2(struct cluster_fact *f)
{
	static const struct slice h2[] = { SLICE_LIT("h2") };

	f->tls.alpn = h2;
	f->tls.nalpn = 1;
}

static void set_cluster(struct cluster_fact *f, const struct cluster_conf *c)
{
	f->lb = cluster_policy(c->balancer);
	f->prefer = c->locality.prefer;
	if (!slice_eq_str(c->protocol, "auto"))
		f->protocol = fact_slice(&f->fact, c->protocol);
	f->connect_ms = making_ms(c->connect_ns);
	f->panic_percent = c->panic_percent;
	f->slow_start_ms = making_ms(c->slow_start.window_ns);
	f->ring_size = c->ring_size;
	f->proxy_protocol = c->proxy_protocol;
	f->dns_host = fact_slice(&f->fact, c->discovery.host);
	f->dns_port = c->discovery.host.n ? c->discovery.port : 0;
	f->from_registry = fact_slice(&f->fact, c->discovery.registry);
	f->from_service = fact_slice(&f->fact, c->discovery.service);
	f->from_port = c->discovery.service.n ? c->discovery.port : 0;
	set_subsets(f, &c->subsets);
	set_pool(f, &c->pool);
	set_tls(f, &c->tls);
	if (f->tls.enabled && !f->tls.nalpn && slice_eq_str(c->protocol, "http2"))
		offer_http2(f);
	set_health(f, &c->health);
	set_outlier(f, &c->outlier);
}

/* Settings that would do nothing beside others. */
static int check_unused(struct making *m, const struct cluster_conf *c)
{
	const struct conf_node *health = conf_member(m->node, "healthCheck");

	if (cluster_policy(c->balancer) != LB_POLICY_RING_HASH && conf_member(m->node, "ringSize"))
		return making_error(m, m->node, "ringSize", "only for loadBalancer ring-hash");
	if (c->health.type == HEALTH_HEARTBEAT && !protocol_pings(c->protocol))
		return making_error(m, m->node, "healthCheck.type", "heartbeat wants `protocol` to be one that has heartbeats, such as bolt");
	if (c->health.line && c->health.type != HEALTH_HTTP &&
	    (conf_member(health, "path") || c->health.expect.n))
		return making_error(m, m->node, c->health.expect.n ? "healthCheck.expect" : "healthCheck.path",
				    "only for type http");
	if (c->health.service.n && c->health.type != HEALTH_GRPC)
		return making_error(m, m->node, "healthCheck.service", "only for type grpc");
	return 0;
}

static bool offers(const struct cluster_conf *c, struct slice protocol)
{
	const struct slice *v = c->tls.alpn.v;

	for (size_t i = 0; i < c->tls.alpn.n; i++)
		if (slice_eq(v[i], protocol))
			return true;
	return false;
}

static int check_http2(struct making *m, const struct cluster_conf *c)
{
	bool only = slice_eq_str(c->protocol, "http2"), h2 = offers(c, SLICE_LIT("h2"));

	if (only && c->tls.alpn.n && !h2)
		return making_error(m, m->node, "tls.alpn", "protocol http2 is agreed on as h2: want it among them");
	if (c->proxy_protocol && (only || h2 || protocol_rpc(c->protocol)))
		return making_error(m, m->node, "proxyProtocol", "a header names one client, and such a connection has many: "
								  "want protocol http, without h2 in tls.alpn");
	return 0;
}

/* What its balancer takes, by the balancer's own rows. */
static int set_balancer(struct making *m, struct cluster_fact *f, const struct cluster_conf *c)
{
	const struct lb_ops *ops = extension_find(EXTENSION_lb, c->balancer);
	struct settings_kind k = lb_settings(ops);
	struct slice text;

	if (making_settings(m, "loadBalancerSettings", c->balancer, &k, &text))
		return -EINVAL;
	if (f->lb == LB_POLICY_EXTENSION)
		f->balancer = fact_slice(&f->fact, c->balancer);
	f->balancer_settings = fact_slice(&f->fact, text);
	return 0;
}

int make_cluster(struct making *m, const void *element)
{
	const struct cluster_conf *c = element;
	struct fact_mark where = making_mark(m, m->node);
	struct cluster_fact *f;
	const struct conf_node *at = c->endpoints.n ? making_part(m, "endpoints", 0) : NULL;
	int err;

	if (c->discovery.host.n && c->endpoints.n)
		return making_error(m, m->node, "discovery", "by host: want this or endpoints, not both");
	if (c->health.tls == HEALTH_TLS_TRUE && !c->tls.line)
		return making_error(m, m->node, "healthCheck.tls", "true speaks TLS as the cluster does, and it has no tls");
	if (check_unused(m, c) || check_http2(m, c))
		return -EINVAL;
	f = (struct cluster_fact *)fact_new(FACT_CLUSTER, c->name, &where);
	set_cluster(f, c);
	err = making_keep(m, &f->fact, m->node, "name", c->name) ?: set_balancer(m, f, c) ?:
	      making_protocol_settings(m, &f->fact, c->protocol, &f->protocol_settings);
	if (err)
		return err;
	for (size_t i = 0; i < c->endpoints.n; i++, at = at->next) {
		if (make_host(m, c, i, at))
			err = -EINVAL;
	}
	return err;
}
