/* SPDX-License-Identifier: Apache-2.0 */
#include "model/field.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "base/magic.h"

const char *const lb_policy_names[LB_POLICIES + 1] = { "least-request", "round-robin", "random", "maglev",
							"ring-hash", "peak-ewma", "original-destination", "extension", NULL };
const char *const lb_kernel_words[LB_POLICIES] = {
	[LB_POLICY_RING_HASH] = "maglev is used",
	[LB_POLICY_PEAK_EWMA] = "least-request is used",
	[LB_POLICY_ORIGINAL_DESTINATION] = "connections are refused",
	[LB_POLICY_EXTENSION] = "least-request is used",
};

struct slice cluster_balancer(const struct cluster_fact *c)
{
	return c->lb == LB_POLICY_EXTENSION ? c->balancer : (struct slice){ lb_policy_names[c->lb], strlen(lb_policy_names[c->lb]) };
}

static const char *const prefer_names[] = { "any", "region", "zone" };
static const char *const host_state_names[] = { "ready", "draining" };
static const char *const fail_names[] = { "open", "closed" };
static const char *const splice_names[] = { "maybe", "never" };
static const char *const proto_names[] = { [IPPROTO_TCP] = "TCP", [IPPROTO_UDP] = "UDP" };
static const char *const health_names[] = { "none", "tcp", "http", "grpc", "heartbeat" };
static const char *const fallback_names[] = { "none", "any", "default" };
static const char *const text_names[] = { "any", "exact", "prefix", "regex", "present", "absent", "suffix", "contains", "range" };
static const char *const header_op_names[] = { "set", "add", "remove" };
static const char *const change_names[] = { "keep", "prefix", "full", "regex" };
static const char *const hash_names[] = { "header", "cookie", "source-ip", "param" };
static const char *const secure_names[] = { "tls", "always", "never" };
static const char *const same_site_names[] = { "unsaid", "lax", "strict", "none" };
static const char *const upgrade_names[] = { "websocket", "connect" };
static const char *const tls_names[] = { "off", "strict", "permissive" };
static const char *const capture_names[] = { "none", "ebpf", "redirect", "tproxy" };
static const char *const proxy_header_names[] = { "off", "required", "optional" };
static const char *const xff_names[] = { "keep", "append", "set" };
static const char *const forwarded_names[] = { "x-forwarded", "forwarded", "both" };
#define RETRY_ON_NAME_(NAME, word) word,
const char *const retry_on_names[RETRY_ON_COUNT + 1] = { RETRY_ONS(RETRY_ON_NAME_) NULL };
#undef RETRY_ON_NAME_

#define ROWS(a) .v = (a), .n = sizeof(a) / sizeof((a)[0])
#define MEMBER(T, m) .name = #m, .off = offsetof(struct T, m), .ref = FIELD_NO_REF
#define SIZED(T, m) .size = sizeof(((struct T *)0)->m)

#define UINT(T, m, most) { MEMBER(T, m), SIZED(T, m), .type = FIELD_UINT, .max = (most) }
#define DFLT(T, m, most, value) { MEMBER(T, m), SIZED(T, m), .type = FIELD_UINT, .max = (most), .dflt = (value) }
#define BITS(T, m, words, n)                                                                                           \
	{ MEMBER(T, m), SIZED(T, m), .type = FIELD_UINT, .names = (words), .max = (1u << (n)) - 1 }
#define BOOL(T, m) { MEMBER(T, m), .size = 1, .type = FIELD_BOOL, .max = 1 }
#define TRUE(T, m) { MEMBER(T, m), .size = 1, .type = FIELD_BOOL, .max = 1, .dflt = 1 }
#define ENUM(T, m, words)                                                                                              \
	{ MEMBER(T, m), SIZED(T, m), .type = FIELD_ENUM, .names = (words), .max = sizeof(words) / sizeof((words)[0]) - 1 }
#define SLICE(T, m) { MEMBER(T, m), .type = FIELD_SLICE }
#define LINES(T, m) { MEMBER(T, m), .type = FIELD_SLICE, .flags = FIELD_MULTILINE }
#define SECRET(T, m) { MEMBER(T, m), .type = FIELD_SLICE, .flags = FIELD_MULTILINE | FIELD_HIDDEN }
#define REF(T, m, kind) { .name = #m, .off = offsetof(struct T, m), .type = FIELD_SLICE, .ref = FACT_##kind }
#define MAYBE(T, m, kind)                                                                                              \
	{ .name = #m, .off = offsetof(struct T, m), .type = FIELD_SLICE, .flags = FIELD_OPTIONAL, .ref = FACT_##kind }
#define IP(T, m) { MEMBER(T, m), .type = FIELD_IP }
#define LOCALITY(T, m) { MEMBER(T, m), .type = FIELD_LOCALITY }
#define PAIRS(T, m) { MEMBER(T, m), .type = FIELD_PAIRS, .of = &pair_shape }
#define LIST(T, m, shape) { MEMBER(T, m), .type = FIELD_LIST, .n_off = offsetof(struct T, n##m), .of = &(shape) }
/* Of a struct inside. */
#define LIST_IN(T, in, m, shape)                                                                                       \
	{ MEMBER(T, in.m), .type = FIELD_LIST, .n_off = offsetof(struct T, in.n##m), .of = &(shape) }
/* struct text_match */
#define TEXT(T, m)                                                                                                     \
	ENUM(T, m.type, text_names), SLICE(T, m.name), SLICE(T, m.value), UINT(T, m.low, UINT64_MAX),                  \
		UINT(T, m.high, UINT64_MAX)

/* ---- elements of lists -------------------------------------------------------------------------------------- */

static const struct field pair_rows[] = { SLICE(name_value, name), SLICE(name_value, value) };
const struct shape pair_shape = { sizeof(struct name_value), 8, -1, ROWS(pair_rows) };

static const struct field text_rows[] = { { .type = FIELD_SLICE, .ref = FIELD_NO_REF } };
static const struct shape text_shape = { sizeof(struct slice), 4, -1, ROWS(text_rows) };

static const struct field route_name_rows[] = { { .type = FIELD_SLICE, .ref = FACT_ROUTE } };
static const struct shape route_name_shape = { sizeof(struct slice), 4, -1, ROWS(route_name_rows) };

static const struct field ip_rows[] = { { .type = FIELD_IP, .ref = FIELD_NO_REF } };
static const struct shape ip_shape = { sizeof(struct ip), 16, -1, ROWS(ip_rows) };

static const struct field secret_name_rows[] = { { .type = FIELD_SLICE, .ref = FACT_SECRET } };
static const struct shape secret_name_shape = { sizeof(struct slice), 4, -1, ROWS(secret_name_rows) };

static const struct field block_rows[] = { IP(ip_block, ip), UINT(ip_block, bits, 128) };
static const struct shape block_shape = { sizeof(struct ip_block), 17, -1, ROWS(block_rows) };

static const struct field destination_rows[] = { IP(destination, ip), UINT(destination, port, UINT16_MAX) };
static const struct shape destination_shape = { sizeof(struct destination), 18, -1, ROWS(destination_rows) };

static const struct field range_rows[] = {
	IP(listener_range, block.ip),
	UINT(listener_range, block.bits, 128),
	UINT(listener_range, port, UINT16_MAX),
};
static const struct shape range_shape = { sizeof(struct listener_range), 19, -1, ROWS(range_rows) };

static const struct field status_rows[] = { UINT(status_range, low, 599), UINT(status_range, high, 599) };
static const struct shape status_shape = { sizeof(struct status_range), 4, -1, ROWS(status_rows) };

static const struct field backend_rows[] = {
	REF(route_backend, cluster, CLUSTER),
	UINT(route_backend, weight, BACKEND_WEIGHT_MAX),
	LIST(route_backend, subset, pair_shape),
};
static const struct shape backend_shape = { sizeof(struct route_backend), 12, -1, ROWS(backend_rows) };

static const struct field subset_keys_rows[] = { LIST(subset_keys, names, text_shape) };
static const struct shape subset_keys_shape = { sizeof(struct subset_keys), 4, -1, ROWS(subset_keys_rows) };

static const struct field text_match_rows[] = {
	ENUM(text_match, type, text_names), SLICE(text_match, name),	       SLICE(text_match, value),
	UINT(text_match, low, UINT64_MAX),  UINT(text_match, high, UINT64_MAX),
};
static const struct shape text_match_shape = { sizeof(struct text_match), 25, -1, ROWS(text_match_rows) };

static const struct field match_rows[] = {
	TEXT(route_match, path),
	SLICE(route_match, method),
	LIST(route_match, headers, text_match_shape),
	LIST(route_match, params, text_match_shape),
	LIST(route_match, cookies, text_match_shape),
	TEXT(route_match, service),
	TEXT(route_match, rpc_method),
	LIST(route_match, identities, text_shape),
};
static const struct shape match_shape = { sizeof(struct route_match), 95, -1, ROWS(match_rows) };

static const struct field header_change_rows[] = {
	ENUM(header_change, op, header_op_names),
	SLICE(header_change, name),
	SLICE(header_change, value),
};
static const struct shape header_change_shape = { sizeof(struct header_change), 9, -1, ROWS(header_change_rows) };

static const struct field hash_rows[] = {
	ENUM(hash_policy, kind, hash_names),
	SLICE(hash_policy, name),
	UINT(hash_policy, ttl_s, UINT32_MAX),
	BOOL(hash_policy, session),
	BOOL(hash_policy, http_only),
	ENUM(hash_policy, secure, secure_names),
	ENUM(hash_policy, same_site, same_site_names),
	SLICE(hash_policy, path),
	BOOL(hash_policy, terminal),
};
static const struct shape hash_shape = { sizeof(struct hash_policy), 18, -1, ROWS(hash_rows) };

static const struct field cluster_name_rows[] = { { .type = FIELD_SLICE, .ref = FACT_CLUSTER } };
static const struct shape cluster_name_shape = { sizeof(struct slice), 4, -1, ROWS(cluster_name_rows) };

static const struct field extension_rows[] = {
	SLICE(extension_use, type),
	LINES(extension_use, settings),
	LIST(extension_use, clusters, cluster_name_shape),
};
static const struct shape extension_shape = { sizeof(struct extension_use), 12, -1, ROWS(extension_rows) };

static const struct field route_rule_rows[] = {
	LIST(route_rule, matches, match_shape),
	LIST(route_rule, filters, extension_shape),
	LIST(route_rule, request_headers, header_change_shape),
	LIST(route_rule, response_headers, header_change_shape),
	SLICE(route_rule, rewrite_host),
	ENUM(route_rule, rewrite, change_names),
	SLICE(route_rule, rewrite_regex),
	SLICE(route_rule, rewrite_path),
	UINT(route_rule, redirect_status, 399),
	SLICE(route_rule, redirect_scheme),
	SLICE(route_rule, redirect_host),
	SLICE(route_rule, redirect_path),
	UINT(route_rule, redirect_port, UINT16_MAX),
	ENUM(route_rule, redirect_change, change_names),
	UINT(route_rule, direct_status, 599),
	LINES(route_rule, direct_body),
	LIST(route_rule, backends, backend_shape),
	UINT(route_rule, timeout_ms, UINT32_MAX),
	UINT(route_rule, try_timeout_ms, UINT32_MAX),
	UINT(route_rule, idle_ms, UINT32_MAX),
	UINT(route_rule, retries, RETRIES_MAX),
	BITS(route_rule, retry_on, retry_on_names, RETRY_ON_COUNT),
	LIST(route_rule, retry_codes, status_shape),
	UINT(route_rule, backoff_ms, UINT32_MAX),
	UINT(route_rule, max_backoff_ms, UINT32_MAX),
	UINT(route_rule, budget_percent, 100),
	UINT(route_rule, budget_min, UINT32_MAX),
	LIST(route_rule, hash, hash_shape),
	BITS(route_rule, upgrades, upgrade_names, 2),
	SLICE(route_rule, rpc_service),
	SLICE(route_rule, rpc_version),
	SLICE(route_rule, rpc_group),
	SLICE(route_rule, rpc_method),
	LIST(route_rule, rpc_arguments, pair_shape),
	UINT(route_rule, rpc_body_max, RPC_BODY_MOST),
};
static const struct shape route_rule_shape = { sizeof(struct route_rule), 125, -1, ROWS(route_rule_rows) };

static const struct field stream_rule_rows[] = {
	LIST(stream_rule, sources, block_shape),
	LIST(stream_rule, destinations, block_shape),
	UINT(stream_rule, port, UINT16_MAX),
	LIST(stream_rule, snis, text_shape),
	LIST(stream_rule, backends, backend_shape),
};
static const struct shape stream_rule_shape = { sizeof(struct stream_rule), 18, -1, ROWS(stream_rule_rows) };

static const struct field port_rows[] = {
	UINT(service_port, port, UINT16_MAX),
	UINT(service_port, target, UINT16_MAX),
	ENUM(service_port, proto, proto_names),
	SLICE(service_port, name),
	SLICE(service_port, app_protocol),
	REF(service_port, cluster, CLUSTER),
};
static const struct shape port_shape = { sizeof(struct service_port), 17, -1, ROWS(port_rows) };

static const struct field rule_rows[] = {
	BOOL(policy_rule, allow),
	LIST(policy_rule, identities, text_shape),
};
static const struct shape rule_shape = { sizeof(struct policy_rule), 5, -1, ROWS(rule_rows) };

/* ---- facts -------------------------------------------------------------------------------------------------- */

static const struct field node_rows[] = {
	SLICE(node, name),
	LOCALITY(node, locality),
	PAIRS(node, labels),
};

static const struct field secret_rows[] = {
	SECRET(secret, certificate),
	SECRET(secret, private_key),
};

static const struct field cluster_fact_rows[] = {
	{ MEMBER(cluster_fact, lb), SIZED(cluster_fact, lb), .type = FIELD_ENUM, .names = lb_policy_names, .max = LB_POLICIES - 1 },
	SLICE(cluster_fact, balancer),
	SLICE(cluster_fact, balancer_settings),
	ENUM(cluster_fact, prefer, prefer_names),
	SLICE(cluster_fact, protocol),
	SLICE(cluster_fact, protocol_settings),
	DFLT(cluster_fact, connect_ms, UINT32_MAX, 1000),
	DFLT(cluster_fact, panic_percent, 100, 50),
	UINT(cluster_fact, slow_start_ms, UINT32_MAX),
	DFLT(cluster_fact, ring_size, RING_SIZE_MAX, 1024),
	ENUM(cluster_fact, fallback, fallback_names),
	BOOL(cluster_fact, proxy_protocol),
	SLICE(cluster_fact, dns_host),
	UINT(cluster_fact, dns_port, UINT16_MAX),
	BOOL(cluster_fact, absent),
	SLICE(cluster_fact, from_registry),
	SLICE(cluster_fact, from_service),
	UINT(cluster_fact, from_port, UINT16_MAX),
	LIST(cluster_fact, subsets, subset_keys_shape),
	LIST(cluster_fact, subset_default, pair_shape),
	DFLT(cluster_fact, pool.max_connections, UINT32_MAX, 1024),
	DFLT(cluster_fact, pool.max_pending, UINT32_MAX, 1024),
	DFLT(cluster_fact, pool.max_requests, UINT32_MAX, 1024),
	DFLT(cluster_fact, pool.max_retries, UINT32_MAX, 3),
	UINT(cluster_fact, pool.max_requests_per_connection, UINT32_MAX),
	DFLT(cluster_fact, pool.idle_ms, UINT32_MAX, 60000),
	DFLT(cluster_fact, pool.http2_max_streams, UINT32_MAX, 100),
	DFLT(cluster_fact, pool.ping_ms, UINT32_MAX, 10000),
	DFLT(cluster_fact, pool.ping_timeout_ms, UINT32_MAX, 20000),
	BOOL(cluster_fact, tls.enabled),
	SLICE(cluster_fact, tls.sni),
	MAYBE(cluster_fact, tls.ca, SECRET),
	MAYBE(cluster_fact, tls.certificate, SECRET),
	BOOL(cluster_fact, tls.insecure),
	BOOL(cluster_fact, tls.kernel),
	LIST_IN(cluster_fact, tls, alpn, text_shape),
	LIST_IN(cluster_fact, tls, sans, text_shape),
	ENUM(cluster_fact, health.type, health_names),
	BOOL(cluster_fact, health.tls),
	SLICE(cluster_fact, health.path),
	SLICE(cluster_fact, health.host),
	SLICE(cluster_fact, health.service),
	UINT(cluster_fact, health.port, UINT16_MAX),
	DFLT(cluster_fact, health.interval_ms, UINT32_MAX, 10000),
	DFLT(cluster_fact, health.timeout_ms, UINT32_MAX, 1000),
	DFLT(cluster_fact, health.unhealthy, UINT32_MAX, 3),
	DFLT(cluster_fact, health.healthy, UINT32_MAX, 2),
	LIST_IN(cluster_fact, health, expect, status_shape),
	BOOL(cluster_fact, outlier.enabled),
	DFLT(cluster_fact, outlier.consecutive_5xx, UINT32_MAX, 5),
	UINT(cluster_fact, outlier.consecutive_gateway, UINT32_MAX),
	DFLT(cluster_fact, outlier.consecutive_local, UINT32_MAX, 5),
	DFLT(cluster_fact, outlier.interval_ms, UINT32_MAX, 10000),
	DFLT(cluster_fact, outlier.base_ejection_ms, UINT32_MAX, 30000),
	DFLT(cluster_fact, outlier.max_ejection_ms, UINT32_MAX, 300000),
	DFLT(cluster_fact, outlier.max_ejection_percent, 100, 10),
	UINT(cluster_fact, outlier.failure_percentage, 100),
	DFLT(cluster_fact, outlier.failure_min_hosts, UINT32_MAX, 5),
	DFLT(cluster_fact, outlier.failure_min_requests, UINT32_MAX, 50),
};

static const struct field host_rows[] = {
	REF(host, cluster, CLUSTER),
	IP(host, ip),
	UINT(host, port, UINT16_MAX),
	ENUM(host, state, host_state_names),
	UINT(host, weight, WEIGHT_MAX),
	UINT(host, priority, PRIORITY_MAX),
	LOCALITY(host, locality),
	PAIRS(host, metadata),
};

static const struct field route_rows[] = {
	LIST(route, hosts, text_shape),
	LIST(route, rules, route_rule_shape),
};

static const struct field listener_rows[] = {
	UINT(listener, netns, UINT64_MAX),
	IP(listener, ip),
	UINT(listener, port, UINT16_MAX),
	BOOL(listener, socketless),
	BOOL(listener, dispatch),
	LIST(listener, serves, destination_shape),
	LIST(listener, ranges, range_shape),
	ENUM(listener, fail, fail_names),
	SLICE(listener, protocol),
	SLICE(listener, protocol_settings),
	LIST(listener, detect, text_shape),
	ENUM(listener, capture, capture_names),
	ENUM(listener, proxy_header, proxy_header_names),
	LIST(listener, net_filters, extension_shape),
	LIST(listener, filters, extension_shape),
	LIST(listener, trusted, block_shape),
	ENUM(listener, tls.mode, tls_names),
	LIST_IN(listener, tls, certificates, secret_name_shape),
	MAYBE(listener, tls.client_ca, SECRET),
	BOOL(listener, tls.require_client),
	LIST_IN(listener, tls, sans, text_shape),
	LIST_IN(listener, tls, alpn, text_shape),
	DFLT(listener, tls.min_version, 0x0304, 0x0303),
	BOOL(listener, tls.kernel),
	LIST(listener, routes, route_name_shape),
	LIST(listener, rules, stream_rule_shape),
	ENUM(listener, xff, xff_names),
	ENUM(listener, forwarded, forwarded_names),
	BOOL(listener, merge_slashes),
	BOOL(listener, grpc_web),
	BOOL(listener, reject_escaped_slashes),
	TRUE(listener, request_id),
	DFLT(listener, idle_ms, UINT32_MAX, 3600000),
	DFLT(listener, head_ms, UINT32_MAX, 10000),
	DFLT(listener, max_head_bytes, HEAD_BYTES_MAX, 65536),
	DFLT(listener, max_headers, HEADERS_MAX, 100),
	DFLT(listener, max_target_bytes, HEAD_BYTES_MAX, 16384),
	UINT(listener, max_connections, UINT32_MAX),
	UINT(listener, age_ms, UINT32_MAX),
	UINT(listener, grace_ms, UINT32_MAX),
	UINT(listener, max_conn_requests, UINT32_MAX),
};

static const struct field service_fact_rows[] = {
	LIST(service_fact, addrs, ip_shape),
	LIST(service_fact, ports, port_shape),
	LIST(service_fact, routes, route_name_shape),
	UINT(service_fact, affinity_s, AFFINITY_S_MAX),
	ENUM(service_fact, fail, fail_names),
};

static const struct field policy_fact_rows[] = {
	REF(policy_fact, service, SERVICE),
	LIST(policy_fact, rules, rule_shape),
};

static const struct field workload_fact_rows[] = {
	SLICE(workload_fact, cgroup),
	SLICE(workload_fact, identity),
	ENUM(workload_fact, splice, splice_names),
	BOOL(workload_fact, paused),
	BOOL(workload_fact, exempt),
};

#define NAMED(T) offsetof(struct T, name)
const struct shape fact_shapes[FACT_KINDS] = {
	[FACT_NODE] = { sizeof(struct node), 0, -1, ROWS(node_rows) },
	[FACT_SECRET] = { sizeof(struct secret), 0, NAMED(secret), ROWS(secret_rows) },
	[FACT_CLUSTER] = { sizeof(struct cluster_fact), 0, NAMED(cluster_fact), ROWS(cluster_fact_rows) },
	[FACT_HOST] = { sizeof(struct host), 0, -1, ROWS(host_rows) },
	[FACT_ROUTE] = { sizeof(struct route), 0, NAMED(route), ROWS(route_rows) },
	[FACT_LISTENER] = { sizeof(struct listener), 0, NAMED(listener), ROWS(listener_rows) },
	[FACT_SERVICE] = { sizeof(struct service_fact), 0, NAMED(service_fact), ROWS(service_fact_rows) },
	[FACT_POLICY] = { sizeof(struct policy_fact), 0, NAMED(policy_fact), ROWS(policy_fact_rows) },
	[FACT_WORKLOAD] = { sizeof(struct workload_fact), 0, NAMED(workload_fact), ROWS(workload_fact_rows) },
};

uint64_t field_uint(const struct field *f, const void *object)
{
	const void *p = field_at(f, object);

	switch (f->size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	case 4:
		return *(const uint32_t *)p;
	default:
		assert_always(f->size == 8);
		return *(const uint64_t *)p;
	}
}

void field_set_uint(const struct field *f, void *object, uint64_t value)
{
	void *p = (char *)object + f->off;

	switch (f->size) {
	case 1:
		*(uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)value;
		break;
	default:
		assert_always(f->size == 8);
		*(uint64_t *)p = value;
	}
}

/* memcpy: a list's pointer has its element's type, which is not ours to name here. */
struct field_list field_list(const struct field *f, const void *object)
{
	struct field_list l = { NULL, 0, f->of };

	if (f->type == FIELD_PAIRS) {
		const struct pair_list *pairs = field_at(f, object);

		l.v = pairs->v;
		l.n = pairs->n;
		return l;
	}
	memcpy(&l.v, field_at(f, object), sizeof(l.v));
	memcpy(&l.n, (const char *)object + f->n_off, sizeof(l.n));
	return l;
}

void field_set_list(const struct field *f, void *object, const void *v, size_t n)
{
	if (f->type == FIELD_PAIRS) {
		*(struct pair_list *)((char *)object + f->off) = (struct pair_list){ v, n };
		return;
	}
	memcpy((char *)object + f->off, &v, sizeof(v));
	memcpy((char *)object + f->n_off, &n, sizeof(n));
}

static void walk(const struct shape *shape, const void *object, const struct field_spot *up, field_fn *fn, void *arg)
{
	shape_for(f, shape) {
		struct field_list l;

		if (f->type != FIELD_LIST && f->type != FIELD_PAIRS) {
			fn(arg, f, object, up);
			continue;
		}
		l = field_list(f, object);
		for (size_t i = 0; i < l.n; i++)
			walk(l.of, list_at(&l, i), &(struct field_spot){ up, f, i }, fn, arg);
	}
}

void field_walk(const struct shape *shape, const void *object, field_fn *fn, void *arg)
{
	walk(shape, object, NULL, fn, arg);
}

static size_t spot_path(const struct field_spot *s, char *out, size_t size)
{
	size_t n = s->up ? spot_path(s->up, out, size) : 0;

	if (n >= size)
		return n;
	return n + snprintf(out + n, size - n, "%s%s[%zu]", n ? "." : "", s->list->name, s->i);
}

const char *field_path(const struct field *f, const struct field_spot *up, char *out, size_t size)
{
	size_t n = up ? spot_path(up, out, size) : 0;

	if (f->name && n < size)
		snprintf(out + n, size - n, "%s%s", n ? "." : "", f->name);
	return out;
}
