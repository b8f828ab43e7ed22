// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include "base/extensions.h"

#include <stdio.h>

extern const struct filter_ops filter_local_rate_limit, filter_fault, filter_mirror;

static const struct route *route(const struct config *c, const char *name)
{
	return (const struct route *)kit_find(c, FACT_ROUTE, name);
}

static void assert_text(const struct text_match *t, enum text_match_type type, const char *name, const char *value)
{
	assert_int_equal(t->type, type);
	assert_true(slice_eq_str(t->name, name));
	assert_true(slice_eq_str(t->value, value));
}

static void conditions(void **state)
{
	struct config *c = kit_config("routes:\n"
				      "- name: orders\n"
				      "  hosts: [\"*\"]\n"
				      "  rules:\n"
				      "  - matches:\n"
				      "    - path: {type: PathPrefix, value: /v2}\n"
				      "      method: GET\n"
				      "      headers: [{name: x-user, type: Exact, value: bob}, {name: x-n, type: Range, low: -3, high: 9000000000}]\n"
				      "      queryParams: [{name: debug, value: \"1\"}]\n"
				      "      cookies: [{name: group, value: canary}, {name: old, type: Absent}]\n"
				      "      identities: [\"spiffe://t/a\"]\n"
				      "    - service: {type: Exact, value: \"com.example.OrderService:1.0\"}\n"
				      "      rpcMethod: {type: Prefix, value: create}\n"
				      "    - path: {value: /x}\n"
				      "    backends: [{cluster: a}]\n");
	const struct route_rule *r = route(c, "orders")->rules;
	const struct route_match *m = r->matches;

	(void)state;
	assert_int_equal(r->nmatches, 3);
	assert_text(&m->path, TEXT_PREFIX, "", "/v2");
	assert_true(slice_eq_str(m->method, "GET"));
	assert_text(&m->headers[0], TEXT_EXACT, "x-user", "bob");
	assert_text(&m->headers[1], TEXT_RANGE, "x-n", "");
	assert_int_equal(m->headers[1].low * 10 + m->headers[1].high, 8999999970ll);
	assert_text(&m->params[0], TEXT_EXACT, "debug", "1");
	assert_text(&m->cookies[1], TEXT_ABSENT, "old", "");
	assert_int_equal(m->nidentities, 1);
	assert_int_equal(m->service.type, TEXT_ANY);
	assert_int_equal(m[1].path.type, TEXT_ANY);
	assert_text(&m[1].service, TEXT_EXACT, "", "com.example.OrderService:1.0");
	assert_text(&m[1].rpc_method, TEXT_PREFIX, "", "create");
	assert_text(&m[2].path, TEXT_PREFIX, "", "/x");
	config_free(c);
}

static void what_is_done(void **state)
{
	struct config *c = kit_config(
		"routes:\n"
		"- name: r\n"
		"  rules:\n"
		"  - matches: [{path: {value: /a}}]\n"
		"    filters:\n"
		"    - {type: RequestHeaderModifier, set: [{name: x-mesh, value: weft}], add: [], remove: [x-debug]}\n"
		"    - {type: ResponseHeaderModifier, add: [{name: x-a, value: \"1\"}]}\n"
		"    - {type: RequestHeaderModifier, add: [{name: x-b, value: \"2\"}]}\n"
		"    - {type: URLRewrite, hostname: b.example, path: {type: ReplacePrefixMatch, value: /}}\n"
		"    backends:\n"
		"    - {cluster: orders, weight: 90, subset: {version: v1, a: b}}\n"
		"    - {cluster: orders, weight: 10}\n"
		"    timeouts: {request: 10s, backendRequest: 2s, idle: 300s}\n"
		"    retry: {attempts: 2, on: [connect-failure, 5xx], codes: [503, 520-530], backoff: 50ms, maxBackoff: 1s,\n"
		"            budget: {percent: 30, minPerSecond: 5}}\n"
		"    hash: [{header: x-session}, {cookie: {name: sid, ttl: 1h, path: /a, sameSite: None, httpOnly: false}, terminal: true}, {sourceIP: true}, {queryParam: q}]\n"
		"    upgrades: [connect]\n"
		"  - filters: [{type: RequestRedirect, scheme: https, port: 8443, statusCode: 308,\n"
		"               path: {type: ReplaceFullPath, value: /new}}]\n"
		"  - filters: [{type: DirectResponse, status: 418, body: \"tea\\n\"}]\n"
		"  - {filters: [{type: URLRewrite, path: {type: ReplaceRegularExpression, pattern: \"^/(.)\", value: /$1}}],\n"
		"     backends: [{cluster: a}], retry: {attempts: 1, on: [cancelled], grpcStatus: [unavailable, internal]}}\n");
	const struct route_rule *r = route(c, "r")->rules;

	(void)state;
	assert_int_equal(r->nrequest_headers, 3);
	assert_int_equal(r->request_headers[0].op, HEADER_REMOVE);
	assert_int_equal(r->request_headers[1].op, HEADER_SET);
	assert_true(slice_eq_str(r->request_headers[2].name, "x-b"));
	assert_int_equal(r->nresponse_headers, 1);
	assert_true(slice_eq_str(r->rewrite_host, "b.example"));
	assert_int_equal(r->rewrite, PATH_PREFIX);
	assert_true(slice_eq_str(r->rewrite_path, "/"));
	assert_int_equal(r->backends[0].nsubset, 2);
	assert_true(slice_eq_str(r->backends[0].subset[0].name, "a"));
	assert_int_equal(r->timeout_ms, 10000);
	assert_int_equal(r->try_timeout_ms, 2000);
	assert_int_equal(r->idle_ms, 300000);
	assert_int_equal(r->retries, 2);
	assert_int_equal(r->retry_on, 1u << RETRY_ON_CONNECT_FAILURE | 1u << RETRY_ON_5XX | 1u << RETRY_ON_RETRIABLE_CODES);
	assert_int_equal(r->nretry_codes, 2);
	assert_int_equal(r->retry_codes[1].low + r->retry_codes[1].high, 1050);
	assert_int_equal(r->backoff_ms + r->max_backoff_ms, 1050);
	assert_int_equal(r->budget_percent + r->budget_min, 35);
	assert_int_equal(r->nhash, 4);
	assert_int_equal(r->hash[1].kind, HASH_COOKIE);
	assert_int_equal(r->hash[1].ttl_s, 3600);
	assert_true(r->hash[1].terminal && !r->hash[1].http_only && !r->hash[1].session);
	assert_int_equal(r->hash[1].same_site, SAME_SITE_NONE);
	assert_int_equal(r->hash[1].secure, COOKIE_SECURE_TLS);
	assert_true(slice_eq_str(r->hash[1].path, "/a"));
	assert_int_equal(r->hash[2].kind, HASH_SOURCE_IP);
	assert_int_equal(r->hash[3].kind, HASH_PARAM);
	assert_int_equal(r->upgrades, UPGRADE_CONNECT);
	assert_int_equal(r[1].redirect_status, 308);
	assert_int_equal(r[1].redirect_port, 8443);
	assert_true(slice_eq_str(r[1].redirect_scheme, "https"));
	assert_int_equal(r[1].redirect_change, PATH_FULL);
	assert_int_equal(r[2].direct_status, 418);
	assert_true(slice_eq_str(r[2].direct_body, "tea\n"));
	assert_int_equal(r[3].rewrite, PATH_REGEX);
	assert_true(slice_eq_str(r[3].rewrite_regex, "^/(.)"));
	assert_int_equal(r[3].retry_on, 1u << RETRY_ON_CANCELLED | 1u << RETRY_ON_INTERNAL | 1u << RETRY_ON_UNAVAILABLE);
	config_free(c);
}

static void what_is_left_out(void **state)
{
	struct config *c = kit_config("routes:\n- name: r\n  rules:\n  - {backends: [{cluster: a}]}\n"
				      "  - {backends: [{cluster: a}], retry: {attempts: 1}, upgrades: []}\n");
	const struct route_rule *r = route(c, "r")->rules;

	(void)state;
	assert_int_equal(r->timeout_ms + r->try_timeout_ms + r->retries + r->retry_on, 0);
	assert_int_equal(r->idle_ms, 300000);
	assert_int_equal(r->backoff_ms, 25);
	assert_int_equal(r->max_backoff_ms, 250);
	assert_int_equal(r->budget_percent, 20);
	assert_int_equal(r->budget_min, 10);
	assert_int_equal(r->upgrades, UPGRADE_WEBSOCKET);
	assert_int_equal(r->rewrite, PATH_KEEP);
	assert_int_equal(r[1].upgrades, 0);
	assert_int_equal(r[1].retry_on, 1u << RETRY_ON_CONNECT_FAILURE | 1u << RETRY_ON_REFUSED_STREAM |
						1u << RETRY_ON_RESET_BEFORE_REQUEST);
	config_free(c);
}

#define RULE(rest) "routes:\n- name: r\n  rules:\n  - " rest "\n"
#define MATCH(rest) RULE("{matches: [" rest "], backends: [{cluster: c}]}")
#define AT "f:4: routes[0].rules[0]"

static const struct bad bad[] = {
	{ "routes:\n- {name: r, rules: []}\n", "f:2: routes[0].rules: want at least one rule" },
	{ "routes:\n- {name: r}\n", "f:2: routes[0]: rules is missing" },
	{ "routes:\n- {name: r, hosts: [\"a.*\"], rules: [{backends: [{cluster: c}]}]}\n",
	  "f:2: routes[0].hosts[0]: want a host name such as a.example, *.example or *, perhaps with :PORT" },
	{ RULE("{}"), AT ": want one of backends, a RequestRedirect and a DirectResponse" },
	{ RULE("{backends: []}"), AT ": want one of backends, a RequestRedirect and a DirectResponse" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: DirectResponse, status: 200}]}"),
	  AT ": want one of backends, a RequestRedirect and a DirectResponse" },
	{ RULE("{backends: [{weight: 1}]}"), AT ".backends[0]: cluster is missing" },
	{ RULE("{backend: [{cluster: c}]}"), AT ".backend: no such field, did you mean backends?" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: Fault, delay: {}}]}"),
	  AT ".filters[0].delay: percent is missing\n" AT ".filters[0].delay: fixed is missing" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: Fault}]}"), AT ".filters[0]: want delay, abort or both" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: local-rate-limit}]}"), AT ".filters[0]: requests is missing" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: local-rate-limit, requests: 1}, {type: local-rate-limit, requests: 2}]}"),
	  AT ".filters[1]: local-rate-limit is given twice" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: RequestMirror}]}"),
	  AT ".filters[0]: cluster is missing" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: UrlRewrite}]}"),
	  AT ".filters[0].type: want one of: RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect, "
	     "DirectResponse, local-rate-limit, Fault, RequestMirror; not UrlRewrite (did you mean URLRewrite?)" },
	{ RULE("{matches: [{path: {type: Exact, value: /a}}], backends: [{cluster: c}], "
	       "filters: [{type: URLRewrite, path: {type: ReplacePrefixMatch, value: /}}]}"),
	  AT ": filters: ReplacePrefixMatch: paths of the matches must be of type PathPrefix" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: URLRewrite, path: {type: ReplaceFullPath, value: x}}]}"),
	  AT ".filters[0]: path.value: want a path that begins with /" },
	{ RULE("{filters: [{type: RequestRedirect, statusCode: 304}]}"),
	  AT ".filters[0]: statusCode: want 301, 302, 303, 307 or 308" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: RequestHeaderModifier, remove: [Host]}]}"),
	  AT ".filters[0].remove[0]: Host frames or addresses the message and cannot be changed so" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: RequestHeaderModifier, set: [{name: \"a b\"}]}]}"),
	  AT ".filters[0].set[0].name: want a name of letters, digits and !#$%&'*+-.^_`|~" },
	{ RULE("{backends: [{cluster: c}], filters: [{type: RequestHeaderModifier, set: [{name: a, value: \"b\\r\\n\"}]}]}"),
	  AT ".filters[0].set[0].value: want a value without control characters" },
	{ MATCH("{path: {value: v2}}"), AT ".matches[0].path: value: want a path that begins with /" },
	{ MATCH("{path: {type: Prefix, value: /}}"),
	  AT ".matches[0].path.type: want PathPrefix, Exact or RegularExpression, not Prefix" },
	{ MATCH("{headers: [{name: a, type: Range, low: 5, high: 5}]}"),
	  AT ".matches[0].headers[0]: want low and high, and low less than high" },
	{ MATCH("{headers: [{name: a, type: Range, low: -1, high: -1}]}"),
	  AT ".matches[0].headers[0]: want low and high, and low less than high" },
	{ MATCH("{headers: [{name: a, type: Range, low: -9223372036854775809, high: 1}]}"),
	  AT ".matches[0].headers[0].low: -9223372036854775809 is out of range, want a whole number of 64 bits" },
	{ MATCH("{headers: [{name: a, type: Range, low: 1.5, high: 2}]}"),
	  AT ".matches[0].headers[0].low: want a whole number of 64 bits, not 1.5" },
	{ MATCH("{headers: [{name: a, value: x, low: 5}]}"), AT ".matches[0].headers[0]: low and high are for type Range only" },
	{ MATCH("{headers: [{name: a, type: Present, value: x}]}"), AT ".matches[0].headers[0]: value: this type has none" },
	{ MATCH("{cookies: [{name: a, type: Prefix}]}"), AT ".matches[0].cookies[0]: value is missing" },
	{ MATCH("{method: \"GE T\"}"), AT ".matches[0].method: want a name of letters, digits and !#$%&'*+-.^_`|~" },
	{ RULE("{backends: [{cluster: c}], timeouts: {request: 1s, backendRequest: 2s}}"),
	  AT ": timeouts.backendRequest: want at most the request's" },
	{ RULE("{backends: [{cluster: c}], timeouts: {request: 1}}"),
	  AT ".timeouts.request: want a duration such as 250ms, 10s or 1h from 0s to 1000h, not 1" },
	{ RULE("{backends: [{cluster: c}], retry: {attempts: 101}}"),
	  AT ".retry.attempts: 101 is out of range, want a whole number from 0 to 100" },
	{ RULE("{backends: [{cluster: c}], retry: {on: [timeout]}}"),
	  AT ".retry.on[0]: want connect-failure, refused-stream, reset, reset-before-request, 5xx, gateway-error, "
	     "retriable-4xx, retriable-status-codes, cancelled, deadline-exceeded, internal, resource-exhausted or unavailable, not timeout" },
	{ RULE("{backends: [{cluster: c}], retry: {codes: [600]}}"),
	  AT ".retry.codes[0]: want a status such as 503, or a range such as 500-599" },
	{ RULE("{backends: [{cluster: c}], retry: {on: [5xx]}}"), AT ": retry.attempts: want at least 1 beside on, codes and grpcStatus" },
	{ RULE("{backends: [{cluster: c}], retry: {attempts: 1, on: [retriable-status-codes]}}"),
	  AT ": retry.codes: retriable-status-codes wants some" },
	{ RULE("{filters: [{type: DirectResponse, status: 200}], hash: [{sourceIP: true}]}"),
	  AT ": retry, hash and timeouts: only for rules with backends" },
	{ RULE("{filters: [{type: DirectResponse, status: 200}, {type: ResponseHeaderModifier, remove: [a]}]}"),
	  AT ": filters: a rule with RequestRedirect or DirectResponse has no backend whose messages others could change" },
	{ RULE("{backends: [{cluster: c}], retry: {backoff: 1s}}"), AT ": retry.backoff: want at most maxBackoff" },
	{ RULE("{backends: [{cluster: c}], retry: {grpcStatus: [not-found]}}"),
	  AT ".retry.grpcStatus[0]: want cancelled, deadline-exceeded, internal, resource-exhausted or unavailable, not not-found" },
	{ RULE("{backends: [{cluster: c}], hash: [{cookie: {name: a, ttl: 1s, lifetimeType: Session}}]}"),
	  AT ".hash[0].cookie: ttl: a cookie whose lifetimeType is Session has none" },
	{ RULE("{backends: [{cluster: c}], hash: [{cookie: {name: a, ttl: 1s, sameSite: None, secure: false}}]}"),
	  AT ".hash[0].cookie: sameSite: browsers take None with secure only" },
	{ RULE("{backends: [{cluster: c}], hash: [{cookie: {name: a, sameSite: lax}}]}"),
	  AT ".hash[0].cookie.sameSite: want unset, Lax, Strict or None, not lax" },
	{ RULE("{backends: [{cluster: c}], hash: [{cookie: {name: a, path: a}}]}"),
	  AT ".hash[0].cookie.path: want a path that begins with /, without spaces and semicolons" },
	{ RULE("{backends: [{cluster: c}], hash: [{cookie: {name: a, path: \"/a; x\"}}]}"),
	  AT ".hash[0].cookie.path: want a path that begins with /, without spaces and semicolons" },
	{ RULE("{backends: [{cluster: c}], hash: [{}]}"), AT ".hash[0]: want one of header, cookie, queryParam and sourceIP" },
	{ RULE("{backends: [{cluster: c}], hash: [{header: a, sourceIP: true}]}"),
	  AT ".hash[0]: want one of header, cookie, queryParam and sourceIP" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B}}"), AT ": rpc: want service and method" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a..B, method: m}}"),
	  AT ".rpc.service: want a name as Java has it, such as com.x.Orders or find" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B, method: 1m}}"),
	  AT ".rpc.method: want a name as Java has it, such as com.x.Orders or find" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B, method: m, arguments: [{type: java.util.List<a.B>}]}}"),
	  AT ".rpc.arguments[0].type: want a type as Java has it, such as int, java.lang.String or long[], without <>" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B, method: m, arguments: [{name: x}]}}"), AT ".rpc.arguments[0]: type is missing" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B, method: m, arguments: [{name: x, type: int}, {type: int}, {name: x, type: long}]}}"),
	  AT ": rpc.arguments: x is given twice" },
	{ RULE("{backends: [{cluster: c}], rpc: {service: a.B, method: m, bodyBytes: 2MiB}}"),
	  AT ".rpc.bodyBytes: 2MiB is out of range, want a size such as 64KiB or 1MiB from 1KiB to 1MiB" },
	{ RULE("{filters: [{type: DirectResponse, status: 200}], rpc: {service: a.B, method: m}}"),
	  AT ": rpc: only for rules with backends" },
};

static const char of_http[] = "clusters:\n"
			      "- {name: d, protocol: http2}\n"
			      "routes:\n"
			      "- name: r\n"
			      "  rules:\n"
			      "  - rpc: {service: a.B, method: m}\n"
			      "    backends:\n"
			      "    - {cluster: c}\n"
			      "    - {cluster: d}\n";

static void a_method_that_is_called(void **state)
{
	struct config *c = kit_config("routes: [{name: r, rules: [{backends: [{cluster: c}], rpc: {service: a.B_1, version: \"1.0\", group: g, "
				      "method: m$x, arguments: [{name: z, type: int}, {type: \"a.C[][]\"}]}}, {backends: [{cluster: c}]}, "
				      "{backends: [{cluster: c}], rpc: {service: a, method: b, bodyBytes: 1MiB}}]}]\n");
	const struct route_rule *r = route(c, "r")->rules;

	(void)state;
	assert_true(slice_eq_str(r->rpc_service, "a.B_1") && slice_eq_str(r->rpc_version, "1.0") && slice_eq_str(r->rpc_group, "g"));
	assert_true(slice_eq_str(r->rpc_method, "m$x") && r->nrpc_arguments == 2);
	assert_true(slice_eq_str(r->rpc_arguments[0].name, "z") && slice_eq_str(r->rpc_arguments[0].value, "int"));
	assert_true(!r->rpc_arguments[1].name.n && slice_eq_str(r->rpc_arguments[1].value, "a.C[][]"));
	assert_true(!r[1].rpc_method.n && !r[1].nrpc_arguments && !r[1].rpc_body_max);
	assert_true(r[0].rpc_body_max == 60 << 10 && r[2].rpc_body_max == 1 << 20);
	config_free(c);
	kit_config_says(of_http, "f:9: routes[0].rules[0].backends[1].cluster: rpc wants a cluster whose protocol is bolt or dubbo");
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_config_says(bad[i].text, bad[i].says);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions),
		cmocka_unit_test(what_is_done),
		cmocka_unit_test(what_is_left_out),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_method_that_is_called),
	};

	extension_add(EXTENSION_filter, &filter_local_rate_limit);
	extension_add(EXTENSION_filter, &filter_fault);
	extension_add(EXTENSION_filter, &filter_mirror);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
