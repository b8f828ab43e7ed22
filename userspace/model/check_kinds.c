/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind's own rules, but those of routes (check_route.c): what a fact must say, whatever others say. */
#include <netinet/in.h>
#include <stdio.h>
#include "base/http_name.h"
#include "base/protocols.h"
#include "model/check_kinds.h"
#include "model/fact.h"
#include "weft/str.h"

static void address_check(struct store_tx *tx, const struct op *op, const char *what, const struct ip *ip)
{
	static const uint8_t zero[16], all[4] = { 255, 255, 255, 255 };
	bool v4 = ip_is_v4(ip);
	const uint8_t *b = v4 ? ip->b + 12 : ip->b;
	const char *kind = NULL;
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(b, zero, v4 ? 4 : 16))
		kind = "unspecified";
	else if (v4 ? (b[0] & 0xf0) == 0xe0 : b[0] == 0xff)
		kind = "a multicast address";
	else if (v4 && !memcmp(b, all, 4))
		kind = "the broadcast address";
	if (kind)
		tx_refuse(tx, op, "%s %s is %s; a unicast address is needed", what, ip_name(ip, text), kind);
}

static void host_check(struct store_tx *tx, const struct op *op)
{
	address_check(tx, op, "address", &((const struct host *)op->fact)->ip);
}

static void service_check(struct store_tx *tx, const struct op *op)
{
	const struct service_fact *s = (const struct service_fact *)op->fact;

	if (!s->naddrs)
		tx_refuse(tx, op, "no address; give at least one");
	if (!s->nports)
		tx_refuse(tx, op, "no port; give at least one");
	for (size_t i = 0; i < s->naddrs; i++)
		address_check(tx, op, "address", &s->addrs[i]);
	for (size_t i = 0; i < s->nports; i++) {
		if (!s->ports[i].port)
			tx_refuse(tx, op, "ports[%zu].port 0: 1 to 65535", i);
		else if (!s->ports[i].cluster.n && !s->nroutes)
			tx_refuse(tx, op, "ports[%zu].cluster: missing; a service without routes needs one for each port", i);
	}
}

static void policy_check(struct store_tx *tx, const struct op *op)
{
	if (!((const struct policy_fact *)op->fact)->service.n)
		tx_refuse(tx, op, "service: missing; a policy is for one service");
}

/* Whether one of the path's parts is "..". */
static bool climbs(struct slice path)
{
	size_t from = 0;

	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (slice_eq_str((struct slice){ path.p + from, i - from }, ".."))
			return true;
		from = i + 1;
	}
	return false;
}

static void workload_check(struct store_tx *tx, const struct op *op)
{
	struct slice path = ((const struct workload_fact *)op->fact)->cgroup;

	if (!path.n)
		tx_refuse(tx, op, "cgroup: missing; a path below the captured cgroup");
	else if (climbs(path))
		tx_refuse(tx, op, "cgroup %.*s: must not contain \"..\"", SLICE_ARG(path));
}

/* ---- secrets, clusters --------------------------------------------------------------------------------------- */

static void secret_check(struct store_tx *tx, const struct op *op)
{
	if (!((const struct secret *)op->fact)->certificate.n)
		tx_refuse(tx, op, "certificate: missing; a chain, or the certificates of CAs");
}

static void subsets_check(struct store_tx *tx, const struct op *op, const struct cluster_fact *c)
{
	for (size_t i = 0; i < c->nsubsets; i++) {
		if (!c->subsets[i].nnames)
			tx_refuse(tx, op, "subsets[%zu]: no key; name at least one of the hosts' metadata", i);
	}
	check_sorted(tx, op, "subset_default", c->subset_default, c->nsubset_default);
	if (c->fallback == SUBSET_DEFAULT && !c->nsubset_default)
		tx_refuse(tx, op, "subset_default: missing; fallback default needs one");
}

static void health_check(struct store_tx *tx, const struct op *op, const struct health_check *h, bool tls, struct slice protocol)
{
	if (h->type == HEALTH_NONE)
		return;
	if (!h->interval_ms || !h->timeout_ms)
		tx_refuse(tx, op, "health: interval_ms and timeout_ms are at least 1");
	if (!h->healthy || !h->unhealthy)
		tx_refuse(tx, op, "health: healthy and unhealthy are at least 1");
	if (h->type == HEALTH_HTTP && !http_is_path(h->path))
		tx_refuse(tx, op, "health.path %.*s: must begin with /, without spaces", SLICE_ARG(h->path));
	if (h->type == HEALTH_HEARTBEAT && !protocol_pings(protocol))
		tx_refuse(tx, op, "health.type: heartbeat needs a protocol that has one, not \"%.*s\"", SLICE_ARG(protocol));
	if (h->service.n > HEALTH_SERVICE_MAX)
		tx_refuse(tx, op, "health.service: %zu bytes, at most %u", h->service.n, HEALTH_SERVICE_MAX);
	if (h->tls && !tls)
		tx_refuse(tx, op, "health.tls: the cluster has no tls, whose settings it would use");
	check_statuses(tx, op, "health.expect", h->expect, h->nexpect);
}

/* Each is sent behind a byte that says its length. */
static void alpn_check(struct store_tx *tx, const struct op *op, const struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!v[i].n || v[i].n > 255)
			tx_refuse(tx, op, "tls.alpn[%zu]: a name of %zu bytes; it has 1 to 255", i, v[i].n);
	}
}

static void cluster_check(struct store_tx *tx, const struct op *op)
{
	const struct cluster_fact *c = (const struct cluster_fact *)op->fact;

	if (!c->connect_ms)
		tx_refuse(tx, op, "connect_ms 0: at least 1");
	if (c->dns_host.n && !c->dns_port)
		tx_refuse(tx, op, "dns_port 0: 1 to 65535");
	if (!c->from_registry.n != !c->from_service.n || (c->from_service.n && c->dns_host.n))
		tx_refuse(tx, op, "from_registry and from_service: both or none, and no dns_host beside them");
	if (!c->ring_size)
		tx_refuse(tx, op, "ring_size 0: at least 1");
	if (c->outlier.enabled && (!c->outlier.interval_ms || !c->outlier.base_ejection_ms))
		tx_refuse(tx, op, "outlier: interval_ms and base_ejection_ms are at least 1");
	if (c->tls.insecure && (c->tls.ca.n || c->tls.nsans))
		tx_refuse(tx, op, "tls.insecure: verifies nothing; without ca and sans");
	alpn_check(tx, op, c->tls.alpn, c->tls.nalpn);
	subsets_check(tx, op, c);
	health_check(tx, op, &c->health, c->tls.enabled, c->protocol);
}

/* ---- listeners ------------------------------------------------------------------------------------------------ */

static bool streams(const struct listener *l)
{
	return slice_eq_str(l->protocol, "tcp") || slice_eq_str(l->protocol, "udp");
}

static void listener_tls_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	const struct listener_tls *t = &l->tls;

	if (t->mode == TLS_OFF)
		return;
	if (slice_eq_str(l->protocol, "udp"))
		tx_refuse(tx, op, "tls: not over udp");
	if (!t->ncertificates)
		tx_refuse(tx, op, "tls.certificates: missing; name at least one");
	if (!t->client_ca.n && (t->require_client || t->nsans))
		tx_refuse(tx, op, "tls.client_ca: missing; clients' certificates are held against it");
	if (t->min_version != 0x0303 && t->min_version != 0x0304)
		tx_refuse(tx, op, "tls.min_version %u: 771 (TLS 1.2) or 772 (TLS 1.3)", t->min_version);
}

/* What is chosen must be understood. */
static void listener_alpn_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	const struct listener_tls *t = &l->tls;
	bool http = !slice_eq_str(l->protocol, "http-proxy");

	alpn_check(tx, op, t->alpn, t->nalpn);
	for (size_t i = 0; !streams(l) && i < t->nalpn; i++) {
		if (!slice_eq_str(t->alpn[i], "http/1.1") && !(http && slice_eq_str(t->alpn[i], "h2")) && !protocol_alpn(t->alpn[i]))
			tx_refuse(tx, op, "tls.alpn[%zu] %.*s: http/1.1, for http also h2, or a protocol's own", i,
				  SLICE_ARG(t->alpn[i]));
	}
}

static void snis_check(struct store_tx *tx, const struct op *op, const struct listener *l, size_t rule)
{
	const struct stream_rule *r = &l->rules[rule];

	if (r->nsnis && slice_eq_str(l->protocol, "udp"))
		tx_refuse(tx, op, "rules[%zu].snis: not over udp", rule);
	for (size_t i = 0; i < r->nsnis; i++) {
		if (!http_is_server_name(r->snis[i]))
			tx_refuse(tx, op, "rules[%zu].snis[%zu] \"%.*s\": a name such as a.example or *.example", rule, i,
				  SLICE_ARG(r->snis[i]));
	}
}

static void stream_rules_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	char path[48];

	if (!streams(l) && l->nrules)
		tx_refuse(tx, op, "rules: for tcp and udp only; other protocols have routes");
	if (streams(l) && l->nroutes)
		tx_refuse(tx, op, "routes: not for tcp and udp, which have rules");
	if (streams(l) && !l->nrules)
		tx_refuse(tx, op, "no rules; give at least one");
	for (size_t i = 0; i < l->nrules; i++) {
		if (!l->rules[i].nbackends)
			tx_refuse(tx, op, "rules[%zu]: no backends; name at least one cluster", i);
		snprintf(path, sizeof(path), "rules[%zu].", i);
		check_backends(tx, op, path, l->rules[i].backends, l->rules[i].nbackends);
		snis_check(tx, op, l, i);
	}
}

/* A protocol that nobody speaks would have a socket that nobody serves. */
static void protocol_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	static const char *const known[] = { "http", "http-proxy", "tcp", "udp", "auto" };
	bool ok = protocol_rpc(l->protocol), routed = !streams(l) && !slice_eq_str(l->protocol, "http-proxy");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ok |= slice_eq_str(l->protocol, known[i]);
	if (!ok)
		tx_refuse(tx, op, "protocol \"%.*s\": http, http-proxy, tcp, udp, auto or one of RPC", SLICE_ARG(l->protocol));
	for (size_t i = 0; i < l->ndetect; i++)
		if (!slice_eq_str(l->detect[i], "http") && !protocol_rpc(l->detect[i]))
			tx_refuse(tx, op, "detect[%zu] \"%.*s\": http or one of RPC", i, SLICE_ARG(l->detect[i]));
	if (l->ndetect && (!routed || slice_eq_str(l->protocol, "auto")))
		tx_refuse(tx, op, "detect: beside http or a protocol of RPC");
	if (l->socketless && (slice_eq_str(l->protocol, "http-proxy") || slice_eq_str(l->protocol, "udp")))
		tx_refuse(tx, op, "socketless: not for http-proxy and udp, which do not take what another listener accepted");
	if (routed && !l->nroutes)
		tx_refuse(tx, op, "no routes; want at least one");
	if (slice_eq_str(l->protocol, "http-proxy") && l->nroutes)
		tx_refuse(tx, op, "routes: not for http-proxy; a request's service has them");
}

static void age_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	if (streams(l) && (l->age_ms || l->grace_ms || l->max_conn_requests))
		tx_refuse(tx, op, "age_ms, grace_ms and max_conn_requests: not for tcp and udp");
	else if (l->grace_ms && !l->age_ms)
		tx_refuse(tx, op, "grace_ms: behind age_ms, which is 0");
}

static void ranges_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	if (!l->nranges != (l->capture != CAPTURE_EBPF))
		tx_refuse(tx, op, "ranges: of a listener without a socket they go with capture ebpf");
	if (l->nserves && l->nranges)
		tx_refuse(tx, op, "ranges: not beside serves");
	for (size_t i = 0; i < l->nranges; i++) {
		struct ip_block b = l->ranges[i].block;

		ip_block_mask(&b);
		if (memcmp(&b.ip, &l->ranges[i].block.ip, sizeof(b.ip)))
			tx_refuse(tx, op, "ranges[%zu].block: bits behind its length must be zero", i);
	}
}

static void socketless_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	if (l->port || l->netns || l->dispatch)
		tx_refuse(tx, op, "socketless: without port, netns and dispatch, which are a socket's");
	if (!l->nserves && !l->nranges)
		tx_refuse(tx, op, "no serves; a listener without a socket needs destinations");
	ranges_check(tx, op, l);
	for (size_t i = 0; i < l->nserves; i++) {
		address_check(tx, op, "serves", &l->serves[i].ip);
		if (!l->serves[i].port)
			tx_refuse(tx, op, "serves[%zu].port 0: 1 to 65535", i);
	}
}

static void socket_check(struct store_tx *tx, const struct op *op, const struct listener *l)
{
	if (!l->port)
		tx_refuse(tx, op, "port 0: 1 to 65535");
	if (l->nserves || l->nranges)
		tx_refuse(tx, op, "%s: for a listener without a socket only", l->nserves ? "serves" : "ranges");
	if (l->dispatch && l->capture == CAPTURE_NONE)
		tx_refuse(tx, op, "dispatch: needs a capture, which finds what clients dialled");
	if (l->dispatch && (l->protocol.n || l->tls.mode || l->nroutes || l->nrules))
		tx_refuse(tx, op, "dispatch: protocol, tls, routes and rules are those of the listeners it accepts for");
}

static void listener_check(struct store_tx *tx, const struct op *op)
{
	const struct listener *l = (const struct listener *)op->fact;

	if (l->socketless)
		socketless_check(tx, op, l);
	else
		socket_check(tx, op, l);
	if (!l->dispatch)
		protocol_check(tx, op, l);
	if (slice_eq_str(l->protocol, "udp") && (l->capture == CAPTURE_REDIRECT || l->capture == CAPTURE_EBPF))
		tx_refuse(tx, op, "capture: none or tproxy over udp");
	else if (l->capture == CAPTURE_EBPF && !l->socketless && !l->dispatch)
		tx_refuse(tx, op, "capture ebpf: without a socket, or with dispatch");
	if (slice_eq_str(l->protocol, "udp") && l->proxy_header)
		tx_refuse(tx, op, "proxy_header: not over udp");
	if (!l->head_ms)
		tx_refuse(tx, op, "head_ms 0: at least 1");
	if (l->max_head_bytes < HEAD_BYTES_MIN)
		tx_refuse(tx, op, "max_head_bytes %u: at least %u", l->max_head_bytes, HEAD_BYTES_MIN);
	else if (!l->max_headers || l->max_target_bytes < TARGET_BYTES_MIN || l->max_target_bytes > l->max_head_bytes)
		tx_refuse(tx, op, "max_headers %u: at least 1; max_target_bytes %u: %u to max_head_bytes", l->max_headers,
			  l->max_target_bytes, TARGET_BYTES_MIN);
	listener_tls_check(tx, op, l);
	listener_alpn_check(tx, op, l);
	age_check(tx, op, l);
	stream_rules_check(tx, op, l);
}

check_fn *const check_kinds[FACT_KINDS] = {
	[FACT_SECRET] = secret_check,	  [FACT_CLUSTER] = cluster_check, [FACT_HOST] = host_check,
	[FACT_ROUTE] = check_route,	  [FACT_LISTENER] = listener_check, [FACT_SERVICE] = service_check,
	[FACT_POLICY] = policy_check, [FACT_WORKLOAD] = workload_check,
};
