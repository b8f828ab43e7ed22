/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/facts_priv.h"

#include <errno.h>
#include <stdio.h>
#include "base/protocols.h"
#include "conf/extension_rows.h"
#include "conf/listener_rows.h"
#include "weft/str.h"

static bool is(const struct listener_conf *c, enum listener_kind kind)
{
	return listener_kind(c->protocol) == kind;
}

static bool streams(const struct listener_conf *c)
{
	return is(c, LISTENER_TCP) || is(c, LISTENER_UDP);
}

static const struct ip_block *blocks(struct fact *f, const struct conf_list *list)
{
	struct ip_block *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		ip_block_parse(((const struct slice *)list->v)[i], &v[i]);
	return v;
}

/* ---- what rows cannot say ------------------------------------------------------------------------------------- */

static bool names(const struct conf_list *list, const char *name)
{
	const struct slice *v = list->v;

	for (size_t i = 0; i < list->n; i++)
		if (slice_eq_str(v[i], name))
			return true;
	return false;
}

/* Some of its connections may be. */
static bool speaks_http(const struct listener_conf *c)
{
	bool told = names(&c->detect, "http") || names(&c->tls.alpn, "h2") || names(&c->tls.alpn, "http/1.1");

	return is(c, LISTENER_HTTP) || is(c, LISTENER_AUTO) || (is(c, LISTENER_RPC) && told);
}

/* What is chosen must be understood. */
static bool offers_other(const struct listener_conf *c)
{
	const struct slice *v = c->tls.alpn.v;

	for (size_t i = 0; !streams(c) && i < c->tls.alpn.n; i++) {
		bool http = speaks_http(c) && (slice_eq_str(v[i], "h2") || slice_eq_str(v[i], "http/1.1"));
		bool one = is(c, LISTENER_HTTP_PROXY) && slice_eq_str(v[i], "http/1.1");

		if (!http && !one && !protocol_alpn(v[i]))
			return true;
	}
	return false;
}

#define ON(protocol) (1u << LISTENER_##protocol)
#define NO_HTTP (ON(TCP) | ON(UDP) | ON(RPC))

/* Settings that these protocols do not have: given, they would do nothing. field: of the listener, or "mapping.field". */
static const struct {
	const char *mapping, *field;
	unsigned on;
	const char *words;
} unused[] = {
	{ NULL, "xff", NO_HTTP, "only for http and http-proxy" },
	{ NULL, "forwarded", NO_HTTP, "only for http and http-proxy" },
	{ NULL, "mergeSlashes", NO_HTTP | ON(HTTP_PROXY), "only for http, whose routes look at paths" },
	{ NULL, "escapedSlashes", NO_HTTP, "only for http and http-proxy" },
	{ NULL, "grpcWeb", NO_HTTP, "only for http and http-proxy" },
	{ NULL, "requestID", NO_HTTP, "only for http and http-proxy" },
	{ NULL, "filters", ON(TCP) | ON(UDP), "not for tcp and udp, which have no requests" },
	{ NULL, "trusted", ON(UDP), "not for udp" },
	{ NULL, "routes", ON(HTTP_PROXY), "not for http-proxy: the service that a request names has them" },
	{ "timeouts", "head", ON(UDP), "not for udp" },
	{ "limits", "headBytes", ON(TCP) | ON(UDP), "not for tcp and udp" },
	{ "limits", "headers", ON(TCP) | ON(UDP), "not for tcp and udp" },
	{ "limits", "targetBytes", NO_HTTP, "only for http and http-proxy" },
};

/* NULL: it reads none. */
static const struct listener_proxy *proxy_header(const struct listener_conf *c)
{
	const struct listener_filter *v = c->net_filters.v;

	return c->net_filters.n && extension_is_proxy_protocol(&v[0]) ? v[0].type.conf : NULL;
}

static int check_net_filters(struct making *m, const struct listener_conf *c)
{
	const struct listener_filter *v = c->net_filters.v;

	for (size_t i = 1; i < c->net_filters.n; i++)
		if (extension_is_proxy_protocol(&v[i]))
			return making_error(m, m->node, "netFilters", proxy_header(c) ? "proxy-protocol is given twice" :
					    "proxy-protocol comes first: its header is what a connection begins with");
	if (c->net_filters.n > NET_FILTERS_MAX)
		return making_error(m, m->node, "netFilters", "want at most 8");
	return 0;
}

static int check_unused(struct making *m, const struct listener_conf *c)
{
	unsigned kind = 1u << (is(c, LISTENER_RPC) && speaks_http(c) ? LISTENER_AUTO : listener_kind(c->protocol));
	char path[64];

	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
		const struct conf_node *in = unused[i].mapping ? conf_member(m->node, unused[i].mapping) : m->node;

		if (!(unused[i].on & kind) || !in || !conf_member(in, unused[i].field))
			continue;
		snprintf(path, sizeof(path), "%s%s%s", unused[i].mapping ? unused[i].mapping : "", unused[i].mapping ? "." : "",
			 unused[i].field);
		return making_error(m, m->node, path, unused[i].words);
	}
	if (is(c, LISTENER_TCP) && c->trusted.n && !proxy_header(c))
		return making_error(m, m->node, "trusted", "tcp believes PROXY headers only: want netFilters with proxy-protocol");
	return 0;
}

/* Its socket's address, or what connect() sends to it. */
static int check_place(struct making *m, const struct listener_conf *c)
{
	static const char *const captured[] = { "destinations", "ports", "failMode" };

	if (c->capture != CAPTURE_EBPF) {
		for (size_t i = 0; i < sizeof(captured) / sizeof(captured[0]); i++)
			if (conf_member(m->node, captured[i]))
				return making_error(m, m->node, captured[i], "only with capture ebpf");
		return conf_member(m->node, "address") ? 0 : conf_error(&m->r, m->node, "address is missing");
	}
	if (is(c, LISTENER_UDP) || is(c, LISTENER_HTTP_PROXY))
		return making_error(m, m->node, "capture", is(c, LISTENER_UDP) ? "ebpf is for TCP alone; for udp want tproxy" :
				    "not for http-proxy, which clients dial themselves");
	if (conf_member(m->node, "address"))
		return making_error(m, m->node, "address", "not with capture ebpf: want destinations, to which its clients connect");
	return c->destinations.n ? 0 : making_error(m, m->node, "destinations", "capture ebpf wants at least one");
}

static int check_listener(struct making *m, const struct listener_conf *c)
{
	bool routed = conf_member(m->node, "routes");

	if (check_place(m, c))
		return -EINVAL;
	if (streams(c) && routed)
		return making_error(m, m->node, "routes", "not for tcp and udp: want rules");
	if (streams(c) && !c->rules.n)
		return making_error(m, m->node, "rules", "tcp and udp want at least one rule");
	if (!streams(c) && c->rules.n)
		return making_error(m, m->node, "rules", "only for tcp and udp: want routes");
	if (c->detect.n && !is(c, LISTENER_HTTP) && !is(c, LISTENER_RPC))
		return making_error(m, m->node, "detect", "only beside http or an RPC protocol; auto takes all");
	if (!streams(c) && !is(c, LISTENER_HTTP_PROXY) && !routed)
		return making_error(m, m->node, "routes", "want at least one route; only http-proxy, tcp and udp go without");
	if (is(c, LISTENER_UDP) && c->tls.line)
		return making_error(m, m->node, "tls", "not for udp");
	if (is(c, LISTENER_UDP) && c->net_filters.n)
		return making_error(m, m->node, "netFilters", "not for udp");
	if (check_net_filters(m, c))
		return -EINVAL;
	if (c->capture == CAPTURE_REDIRECT && is(c, LISTENER_UDP))
		return making_error(m, m->node, "capture", "redirect is for TCP alone; for udp want tproxy");
	if (offers_other(c))
		return making_error(m, m->node, "tls.alpn", "want h2 (but for http-proxy), http/1.1 or the name that a protocol has there");
	if (streams(c) && (c->timeouts.age_ns || c->timeouts.grace_ns))
		return making_error(m, m->node, "timeouts", "connectionAge and connectionGrace are not for tcp and udp");
	if (streams(c) && c->limits.connection_requests)
		return making_error(m, m->node, "limits.connectionRequests", "not for tcp and udp");
	if (c->timeouts.grace_ns && !c->timeouts.age_ns)
		return making_error(m, m->node, "timeouts.connectionGrace", "want connectionAge, behind which it begins");
	if (!is(c, LISTENER_RPC) && c->limits.target_bytes > c->limits.head_bytes)
		return making_error(m, m->node, "limits.targetBytes", "want at most headBytes");
	return check_unused(m, c);
}

/* ---- routes: names, or routes of its own ------------------------------------------------------------------------ */

/* Its name is the listener's and its place there. */
static int inline_route(struct making *m, const struct listener_conf *c, size_t i, const struct conf_node *n,
			struct slice *name, struct fact *f)
{
	struct route_conf route = { 0 };
	char text[300];

	snprintf(text, sizeof(text), "%.*s.%zu", SLICE_ARG(c->name), i);
	*name = fact_slice(f, slice_str(text));
	return conf_decode(&m->r, route_inline_rows, n, &route) ?: make_route_named(m, *name, n, &route);
}

static int set_routes(struct making *m, const struct listener_conf *c, struct listener *f)
{
	const struct conf_node *list = conf_member(m->node, "routes");
	size_t before = reader_enter(&m->r, "routes"), i = 0;
	struct slice *v = list ? fact_alloc(&f->fact, list->n * sizeof(*v)) : NULL;
	char what[64];
	int err = 0;

	if (list && list->kind != CONF_SEQUENCE)
		err = conf_error(&m->r, list, "want a list, not %s", reader_what(list, what, sizeof(what)));
	for (const struct conf_node *n = list && !err ? list->first : NULL; n; n = n->next, i++) {
		size_t at = reader_enter_at(&m->r, i);

		if (n->kind == CONF_SCALAR && n->text.n)
			v[i] = fact_slice(&f->fact, n->text);
		else if (inline_route(m, c, i, n, &v[i], &f->fact))
			err = -EINVAL;
		reader_leave(&m->r, at);
	}
	reader_leave(&m->r, before);
	f->routes = v;
	f->nroutes = i;
	return err;
}

/* ---- the fact --------------------------------------------------------------------------------------------------- */

static void set_tls(struct listener *f, const struct listener_tls_conf *t)
{
	if (!t->line)
		return;
	f->tls = (struct listener_tls){
		.mode = t->mode + 1,
		.certificates = making_certificates(&f->fact, &t->certificates),
		.ncertificates = t->certificates.n,
		.client_ca = fact_slice(&f->fact, t->client_ca),
		.require_client = t->require_client,
		.sans = making_slices(&f->fact, &t->sans),
		.nsans = t->sans.n,
		.alpn = making_slices(&f->fact, &t->alpn),
		.nalpn = t->alpn.n,
		.min_version = t->min_version ? 0x0304 : 0x0303,
		.kernel = t->kernel,
	};
}

static void set_rules(struct listener *f, const struct conf_list *list)
{
	struct stream_rule *v = fact_alloc(&f->fact, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++) {
		const struct listener_rule *r = (const struct listener_rule *)list->v + i;

		v[i] = (struct stream_rule){
			.sources = blocks(&f->fact, &r->sources),
			.destinations = blocks(&f->fact, &r->destinations),
			.nsources = r->sources.n,
			.ndestinations = r->destinations.n,
			.port = r->port,
			.snis = making_slices(&f->fact, &r->snis),
			.nsnis = r->snis.n,
			.backends = making_backends(&f->fact, &r->backends),
			.nbackends = r->backends.n,
		};
	}
	f->rules = v;
	f->nrules = list->n;
}

/* Each destination with each port. */
static void set_ranges(struct listener *f, const struct listener_conf *c)
{
	size_t nports = c->ports.n ? c->ports.n : 1, n = 0;
	const struct ip_block *to = blocks(&f->fact, &c->destinations);
	struct listener_range *v = fact_alloc(&f->fact, c->destinations.n * nports * sizeof(*v));

	for (size_t i = 0; i < c->destinations.n; i++)
		for (size_t k = 0; k < nports; k++)
			v[n++] = (struct listener_range){ to[i], c->ports.n ? ((const uint16_t *)c->ports.v)[k] : 0 };
	f->socketless = true;
	f->ranges = v;
	f->nranges = n;
	f->fail = c->fail;
}

static void set_listener(struct listener *f, const struct listener_conf *c)
{
	const struct listener_proxy *header = proxy_header(c);

	f->ip = c->address.ip;
	f->port = c->address.port;
	f->protocol = fact_slice(&f->fact, c->protocol);
	f->detect = making_slices(&f->fact, &c->detect);
	f->ndetect = c->detect.n;
	f->capture = c->capture;
	if (c->capture == CAPTURE_EBPF)
		set_ranges(f, c);
	if (header)
		f->proxy_header = header->required ? PROXY_HEADER_REQUIRED : PROXY_HEADER_OPTIONAL;
	f->trusted = blocks(&f->fact, &c->trusted);
	f->ntrusted = c->trusted.n;
	f->xff = c->xff;
	f->forwarded = c->forwarded;
	f->merge_slashes = c->merge_slashes;
	f->grpc_web = c->grpc_web;
	f->reject_escaped_slashes = c->escaped_slashes;
	f->request_id = c->request_id;
	f->idle_ms = making_ms(c->timeouts.idle_ns);
	f->head_ms = making_ms(c->timeouts.head_ns);
	f->max_head_bytes = (uint32_t)c->limits.head_bytes;
	f->max_headers = c->limits.headers;
	f->max_target_bytes = (uint32_t)(c->limits.target_bytes < c->limits.head_bytes ? c->limits.target_bytes : c->limits.head_bytes);
	f->max_connections = c->limits.connections;
	f->age_ms = making_ms(c->timeouts.age_ns);
	f->grace_ms = making_ms(c->timeouts.grace_ns);
	f->max_conn_requests = c->limits.connection_requests;
	set_tls(f, &c->tls);
	set_rules(f, &c->rules);
}

struct place {
	struct ip ip;
	uint16_t port;
	uint8_t udp;
	uint8_t range;                          /* bits of a block, plus 1; 0: an address */
} __attribute__((packed));

static int claim_place(struct making *m, const struct listener *f, const struct place *key, const char *field, const char *shown)
{
	struct slice k = { (const char *)key, sizeof(*key) };
	const struct fact *first = table_get(&m->bound, k);

	if (first)
		return making_taken(m, m->node, field, shown, first);
	table_put(&m->bound, k, (void *)&f->fact);
	return 0;
}

/* No address and port may be listened on twice, and no range captured twice. */
static int claim(struct making *m, const struct listener *f, bool udp)
{
	struct conf_address at = { f->ip, f->port };
	char name[64], shown[80];
	int err = 0;

	if (!f->socketless)
		return claim_place(m, f, &(struct place){ f->ip, f->port, udp, 0 }, "address", conf_address_name(&at, name));
	for (size_t i = 0; i < f->nranges && !err; i++) {
		const struct listener_range *r = &f->ranges[i];

		snprintf(shown, sizeof(shown), r->port ? "%s port %u" : "%s", ip_block_name(&r->block, name), r->port);
		err = claim_place(m, f, &(struct place){ r->block.ip, r->port, false, (uint8_t)(r->block.bits + 1) }, "destinations",
				  shown);
	}
	return err;
}

int make_listener(struct making *m, const void *element)
{
	const struct listener_conf *c = element;
	struct fact_mark where = making_mark(m, m->node);
	struct listener *f;
	int err;

	if (check_listener(m, c))
		return -EINVAL;
	f = (struct listener *)fact_new(FACT_LISTENER, c->name, &where);
	set_listener(f, c);
	err = making_extensions(m, &f->fact, EXTENSION_NET, m->node, &c->net_filters, &f->net_filters, &f->nnet_filters);
	err = making_extensions(m, &f->fact, EXTENSION_OF_LISTENER, m->node, &c->filters, &f->filters, &f->nfilters) ?: err;
	err = set_routes(m, c, f) ?: err;
	err = making_protocol_settings(m, &f->fact, c->protocol, &f->protocol_settings) ?: err;
	return making_keep(m, &f->fact, m->node, "name", c->name) ?: claim(m, f, is(c, LISTENER_UDP)) ?: err;
}
