// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include "base/extensions.h"
#include "conf/listener_rows.h"
#include "model/fact.h"

extern const struct filter_ops filter_local_rate_limit, filter_fault, filter_mirror;

static const struct listener *listener(const struct config *c, const char *name)
{
	return (const struct listener *)kit_find(c, FACT_LISTENER, name);
}

static void the_smallest_useful_file(void **state)
{
	struct config *c = kit_config("listeners:\n"
				      "- name: web\n"
				      "  address: 127.0.0.1:8080\n"
				      "  protocol: http\n"
				      "  routes:\n"
				      "  - rules: [{backends: [{cluster: app}]}]\n"
				      "clusters:\n"
				      "- name: app\n"
				      "  endpoints: [{address: \"127.0.0.1:9001\"}, {address: \"127.0.0.1:9002\"}]\n");
	const struct listener *l = listener(c, "web");
	const struct route *r = (const struct route *)kit_find(c, FACT_ROUTE, "web.0");
	struct fact_mark none = { 0 };
	struct fact *plain = fact_new(FACT_LISTENER, SLICE_LIT("web"), &none);
	char ip[46];

	(void)state;
	assert_string_equal(ip_name(&l->ip, ip), "127.0.0.1");
	assert_int_equal(l->port, 8080);
	assert_true(slice_eq_str(l->protocol, "http"));
	assert_int_equal(l->nroutes, 1);
	assert_true(slice_eq_str(l->routes[0], "web.0"));
	assert_true(slice_eq_str(r->hosts[0], "*"));
	assert_true(slice_eq_str(r->rules->backends->cluster, "app"));
	assert_int_equal(fact_mark(&r->fact).line, 6);
	assert_int_equal(l->tls.mode, TLS_OFF);
	/* What a file leaves out is what fact_new() gives. */
	((struct listener *)plain)->ip = l->ip;
	((struct listener *)plain)->port = l->port;
	((struct listener *)plain)->protocol = l->protocol;
	((struct listener *)plain)->routes = l->routes;
	((struct listener *)plain)->nroutes = 1;
	assert_true(fact_equal(plain, &l->fact));
	fact_drop(plain);
	config_free(c);
}

static void everything_of_a_listener(void **state)
{
	struct config *c = kit_config(
		"routes: [{name: r, rules: [{backends: [{cluster: a}]}]}]\n"
		"listeners:\n"
		"- name: l\n"
		"  address: \"[::]:443\"\n"
		"  protocol: http\n"
		"  capture: redirect\n"
		"  tls: {mode: permissive, certificates: [{cert: /a.crt, key: /a.key}, {cert: /b.crt, key: /b.key}], clientCA: /ca.crt,\n"
		"        requireClientCertificate: true, sans: [\"spiffe://t/a\"], alpn: [http/1.1], minVersion: \"1.3\", kernel: auto}\n"
		"  netFilters: [{type: proxy-protocol, required: false}]\n"
		"  trusted: [10.0.0.0/8, \"2001:db8::/32\"]\n"
		"  routes: [r, {hosts: [a.example], rules: [{filters: [{type: DirectResponse, status: 204}]}]}]\n"
		"  xff: append\n"
		"  forwarded: both\n"
		"  mergeSlashes: true\n"
		"  escapedSlashes: reject\n"
		"  requestID: false\n"
		"  grpcWeb: true\n"
		"  timeouts: {idle: 5s, head: 1500us, connectionAge: 30m, connectionGrace: 9s}\n"
		"  limits: {headBytes: 8KiB, headers: 20, targetBytes: 1KiB, connections: 7, connectionRequests: 8}\n");
	const struct listener *l = listener(c, "l");

	(void)state;
	assert_int_equal(l->capture, CAPTURE_REDIRECT);
	assert_int_equal(l->proxy_header, PROXY_HEADER_OPTIONAL);
	assert_int_equal(l->ntrusted, 2);
	assert_int_equal(l->trusted[0].bits, 104);
	assert_int_equal(l->trusted[1].bits, 32);
	assert_int_equal(l->tls.mode, TLS_PERMISSIVE);
	assert_int_equal(l->tls.ncertificates, 2);
	assert_true(slice_eq_str(l->tls.certificates[1], "/b.crt|/b.key"));
	assert_true(slice_eq_str(l->tls.client_ca, "/ca.crt"));
	assert_true(l->tls.require_client);
	assert_int_equal(l->tls.nsans + l->tls.nalpn, 2);
	assert_int_equal(l->tls.min_version, 0x0304);
	assert_true(l->tls.kernel);
	assert_int_equal(l->nroutes, 2);
	assert_true(slice_eq_str(l->routes[0], "r"));
	assert_true(slice_eq_str(l->routes[1], "l.1"));
	assert_int_equal(l->xff, XFF_APPEND);
	assert_int_equal(l->forwarded, FORWARDED_BOTH);
	assert_true(l->merge_slashes && l->reject_escaped_slashes && !l->request_id && l->grpc_web);
	assert_int_equal(l->idle_ms, 5000);
	assert_int_equal(l->head_ms, 2);
	assert_int_equal(l->max_head_bytes, 8192);
	assert_int_equal(l->max_headers, 20);
	assert_int_equal(l->max_target_bytes, 1024);
	assert_int_equal(l->max_connections, 7);
	assert_int_equal(l->age_ms, 1800000);
	assert_int_equal(l->grace_ms, 9000);
	assert_int_equal(l->max_conn_requests, 8);
	config_free(c);
}

static void rules_of_streams(void **state)
{
	struct config *c = kit_config("listeners:\n"
				      "- {name: t, address: \"0.0.0.0:5432\", protocol: tcp, rules: [{sources: [10.0.0.0/8], destinations: [\"::1\"],\n"
				      "   port: 5432, snis: [\"*.example\"], backends: [{cluster: a, weight: 2}, {cluster: b}]}, {backends: [{cluster: c}]}]}\n"
				      "- {name: u, address: \"0.0.0.0:5432\", protocol: udp, rules: [{backends: [{cluster: d}]}]}\n");
	const struct stream_rule *r = listener(c, "t")->rules;

	(void)state;
	assert_int_equal(listener(c, "t")->nrules, 2);
	assert_int_equal(r->nsources + r->ndestinations + r->nsnis, 3);
	assert_int_equal(r->destinations[0].bits, 128);
	assert_int_equal(r->port, 5432);
	assert_int_equal(r->backends[0].weight, 2);
	assert_int_equal(r[1].nsources, 0);
	assert_int_equal(listener(c, "u")->nrules, 1);
	config_free(c);
}

static void blocks(void **state)
{
	static const struct {
		const char *text, *ip;
		uint8_t bits;
	} good[] = {
		{ "10.1.2.3/8", "10.0.0.0", 104 }, { "10.1.2.3", "10.1.2.3", 128 }, { "0.0.0.0/0", "0.0.0.0", 96 },
		{ "2001:db8:ffff::1/33", "2001:db8:8000::", 33 }, { "::/0", "::", 0 }, { "10.1.2.3/31", "10.1.2.2", 127 },
	};
	static const char *const wrong[] = { "", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "/8", "a/8", "10.0.0.0/-1" };
	struct ip_block b;
	char ip[46];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ip_block_parse(slice_str(good[i].text), &b), 0);
		assert_string_equal(ip_name(&b.ip, ip), good[i].ip);
		assert_int_equal(b.bits, good[i].bits);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(ip_block_parse(slice_str(wrong[i]), &b));
}

static void assert_range(const struct listener *l, size_t i, const char *block, uint16_t port)
{
	char text[64];

	assert_string_equal(ip_block_name(&l->ranges[i].block, text), block);
	assert_int_equal(l->ranges[i].port, port);
}

static void captured_ranges(void **state)
{
	struct config *c = kit_config("listeners:\n"
				      "- {name: all, protocol: tcp, capture: ebpf, destinations: [10.99.3.4/16, \"fd00:99::/64\", 10.1.1.1],\n"
				      "   rules: [{backends: [{cluster: a}]}]}\n"
				      "- {name: web, capture: ebpf, destinations: [0.0.0.0/0, \"::/0\"], ports: [80, 8080], failMode: closed,\n"
				      "   routes: [{rules: [{backends: [{cluster: a}]}]}]}\n"
				      "clusters: [{name: a, loadBalancer: original-destination}]\n");
	const struct listener *l = listener(c, "all");

	(void)state;
	assert_int_equal(l->capture, CAPTURE_EBPF);
	assert_true(l->socketless && !l->port && l->fail == FAIL_OPEN);
	assert_int_equal(l->nranges, 3);
	assert_range(l, 0, "10.99.0.0/16", 0);
	assert_range(l, 1, "fd00:99::/64", 0);
	assert_range(l, 2, "10.1.1.1/32", 0);
	l = listener(c, "web");
	assert_int_equal(l->fail, FAIL_CLOSED);
	assert_int_equal(l->nranges, 4);
	assert_range(l, 0, "0.0.0.0/0", 80);
	assert_range(l, 1, "0.0.0.0/0", 8080);
	assert_range(l, 2, "::/0", 80);
	assert_range(l, 3, "::/0", 8080);
	config_free(c);
}

static void access_logs(void **state)
{
	struct config *c = kit_config("telemetry: {accessLog: [{path: /var/log/a.log, format: json}, {path: /dev/stdout}]}\n");
	const struct config_access_log *v = c->telemetry.access_log.v;

	(void)state;
	assert_int_equal(c->telemetry.access_log.n, 2);
	assert_int_equal(v[0].format, CONFIG_LOG_JSON);
	assert_true(slice_eq_str(v[1].path, "/dev/stdout"));
	assert_int_equal(v[1].format, CONFIG_LOG_TEXT);
	config_free(c);
}

#define LISTENER(rest) "listeners:\n- name: l\n  address: \"127.0.0.1:80\"\n  " rest "\n"
#define CAPTURING(rest) "listeners:\n- name: l\n  capture: ebpf\n  " rest "\n"
#define ROUTED(rest) LISTENER("routes: [r]\n  " rest)

static const struct bad bad[] = {
	{ "listeners:\n- {name: l}\n", "f:2: listeners[0]: address is missing" },
	{ "listeners:\n- {name: l, address: 127.0.0.1, routes: [r]}\n",
	  "f:2: listeners[0].address: want IP:PORT (IPv6 as [IP]:PORT), not 127.0.0.1" },
	{ LISTENER("protocol: bold"), "f:4: listeners[0].protocol: want one of: http, http-proxy, tcp, udp, auto; not bold" },
	{ LISTENER("xff: keep"), "f:2: listeners[0].routes: want at least one route; only http-proxy, tcp and udp go without" },
	{ LISTENER("routes: r"), "f:4: listeners[0].routes: want a list, not r" },
	{ LISTENER("routes: [{hosts: [a]}]"), "f:4: listeners[0].routes[0]: rules is missing" },
	{ LISTENER("routes: [{name: a, rules: []}]"), "f:4: listeners[0].routes[0].name: no such field, want one of: hosts, rules" },
	{ LISTENER("routes: [[]]"), "f:4: listeners[0].routes[0]: want a mapping, not a list" },
	{ LISTENER("protocol: http-proxy\n  routes: []"),
	  "f:2: listeners[0].routes: not for http-proxy: the service that a request names has them" },
	{ LISTENER("protocol: http-proxy\n  mergeSlashes: true"),
	  "f:2: listeners[0].mergeSlashes: only for http, whose routes look at paths" },
	{ LISTENER("protocol: tcp\n  rules: [{backends: [{cluster: c}]}]\n  xff: append"),
	  "f:2: listeners[0].xff: only for http and http-proxy" },
	{ LISTENER("protocol: tcp\n  rules: [{backends: [{cluster: c}]}]\n  grpcWeb: true"),
	  "f:2: listeners[0].grpcWeb: only for http and http-proxy" },
	{ LISTENER("protocol: tcp\n  rules: [{backends: [{cluster: c}]}]\n  limits: {headers: 1}"),
	  "f:2: listeners[0].limits.headers: not for tcp and udp" },
	{ LISTENER("protocol: tcp\n  rules: [{backends: [{cluster: c}]}]\n  trusted: [10.0.0.0/8]"),
	  "f:2: listeners[0].trusted: tcp believes PROXY headers only: want netFilters with proxy-protocol" },
	{ LISTENER("protocol: udp\n  rules: [{backends: [{cluster: c}]}]\n  timeouts: {head: 1s}"),
	  "f:2: listeners[0].timeouts.head: not for udp" },
	{ LISTENER("protocol: tcp"), "f:2: listeners[0].rules: tcp and udp want at least one rule" },
	{ ROUTED("protocol: tcp"), "f:2: listeners[0].routes: not for tcp and udp: want rules" },
	{ ROUTED("rules: [{backends: [{cluster: c}]}]"), "f:2: listeners[0].rules: only for tcp and udp: want routes" },
	{ LISTENER("protocol: tcp\n  rules: [{backends: []}]"), "f:5: listeners[0].rules[0]: backends: want at least one" },
	{ LISTENER("protocol: tcp\n  rules: [{snis: [\"a.*\"], backends: [{cluster: c}]}]"),
	  "f:5: listeners[0].rules[0].snis[0]: want a name such as a.example or *.example" },
	{ LISTENER("protocol: tcp\n  rules: [{sources: [10.0.0.0/40], backends: [{cluster: c}]}]"),
	  "f:5: listeners[0].rules[0].sources[0]: want an address or a block such as 10.0.0.0/8 or 2001:db8::/32" },
	{ LISTENER("protocol: udp\n  rules: [{backends: [{cluster: c}]}]\n  netFilters: [{type: proxy-protocol}]"),
	  "f:2: listeners[0].netFilters: not for udp" },
	{ LISTENER("protocol: udp\n  rules: [{backends: [{cluster: c}]}]\n  capture: redirect"),
	  "f:2: listeners[0].capture: redirect is for TCP alone; for udp want tproxy" },
	{ ROUTED("capture: ebpf"),
	  "f:2: listeners[0].address: not with capture ebpf: want destinations, to which its clients connect" },
	{ CAPTURING("routes: [r]"), "f:2: listeners[0].destinations: capture ebpf wants at least one" },
	{ CAPTURING("routes: [r]\n  destinations: []"), "f:2: listeners[0].destinations: capture ebpf wants at least one" },
	{ CAPTURING("routes: [r]\n  destinations: [10.0.0.0/40]"),
	  "f:5: listeners[0].destinations[0]: want an address or a block such as 10.0.0.0/8 or 2001:db8::/32" },
	{ CAPTURING("routes: [r]\n  destinations: [10.0.0.0/8]\n  ports: [0]"),
	  "f:6: listeners[0].ports[0]: 0 is out of range, want a whole number from 1 to 65535" },
	{ CAPTURING("routes: [r]\n  destinations: [10.0.0.0/8]\n  failMode: never"),
	  "f:6: listeners[0].failMode: want open or closed, not never" },
	{ CAPTURING("protocol: udp\n  rules: [{backends: [{cluster: c}]}]\n  destinations: [10.0.0.0/8]"),
	  "f:2: listeners[0].capture: ebpf is for TCP alone; for udp want tproxy" },
	{ CAPTURING("protocol: http-proxy\n  destinations: [10.0.0.0/8]"),
	  "f:2: listeners[0].capture: not for http-proxy, which clients dial themselves" },
	{ CAPTURING("routes: [r]\n  destinations: [10.0.0.0/8, 10.1.2.3/8]"),
	  "f:2: listeners[0].destinations: 10.0.0.0/8 is given twice, first in f:2" },
	{ "listeners:\n- {name: a, capture: ebpf, destinations: [10.0.0.0/8], ports: [80, 81], routes: [r]}\n"
	  "- {name: b, capture: ebpf, destinations: [10.9.0.0/16, 10.0.0.0/8], ports: [81], routes: [r]}\n",
	  "f:3: listeners[1].destinations: 10.0.0.0/8 port 81 is given twice, first in f:2" },
	{ ROUTED("destinations: [10.0.0.0/8]"), "f:2: listeners[0].destinations: only with capture ebpf" },
	{ ROUTED("capture: tproxy\n  ports: [80]"), "f:2: listeners[0].ports: only with capture ebpf" },
	{ ROUTED("failMode: open"), "f:2: listeners[0].failMode: only with capture ebpf" },
	{ ROUTED("netFilters: [{type: waf}]"), "f:5: listeners[0].netFilters[0].type: want one of: proxy-protocol; not waf" },
	{ ROUTED("tls: {}"), "f:5: listeners[0].tls: certificates is missing" },
	{ ROUTED("tls: {certificates: []}"), "f:5: listeners[0].tls: certificates: want at least one" },
	{ ROUTED("tls: {certificates: [{cert: a, key: /b}]}"),
	  "f:5: listeners[0].tls.certificates[0].cert: want a path that begins with /, without \"|\"" },
	{ ROUTED("tls: {certificates: [{cert: /a, key: /b}], requireClientCertificate: true}"),
	  "f:5: listeners[0].tls: clientCA is missing: clients' certificates are held against it" },
	{ ROUTED("tls: {certificates: [{cert: /a, key: /b}], alpn: [h2, http/1.0]}"),
	  "f:2: listeners[0].tls.alpn: want h2 (but for http-proxy), http/1.1 or the name that a protocol has there" },
	{ ROUTED("tls: {mode: off, certificates: []}"), "f:5: listeners[0].tls.mode: want strict or permissive, not off" },
	{ ROUTED("filters: [{type: limit}]"), "f:5: listeners[0].filters[0].type: want one of: local-rate-limit, Fault, RequestMirror; not limit" },
	{ ROUTED("filters: [{type: Fault}, {type: local-rate-limit, request: 1}]"),
	  "f:5: listeners[0].filters[1].request: no such field, did you mean requests?" },
	{ ROUTED("filters: [{type: Fault}, {type: local-rate-limit, burst: 1}]"),
	  "f:5: listeners[0].filters[1]: burst: want requests beside it" },
	{ ROUTED("filters: [{type: Fault}, {type: Fault}]"), "f:5: listeners[0].filters[1]: Fault is given twice" },
	{ ROUTED("netFilters: [{type: proxy-protocol}, {type: proxy-protocol}]"),
	  "f:2: listeners[0].netFilters: proxy-protocol is given twice" },
	{ ROUTED("netFilters: [{type: tap}]"), "f:5: listeners[0].netFilters[0].type: want one of: proxy-protocol; not tap" },
	{ ROUTED("limits: {headBytes: 100}"),
	  "f:5: listeners[0].limits.headBytes: 100 is out of range, want a size such as 64KiB or 1MiB from 1KiB to 1MiB" },
	{ ROUTED("limits: {headBytes: 2KiB, targetBytes: 4KiB}"),
	  "f:2: listeners[0].limits.targetBytes: want at most headBytes" },
	{ ROUTED("timeouts: {head: 0s}"),
	  "f:5: listeners[0].timeouts.head: 0s is out of range, want a duration such as 250ms, 10s or 1h from 1ms to 1000h" },
	{ "listeners:\n- {name: a, address: \"127.0.0.1:1\", routes: [r]}\n- {name: b, address: \"127.0.0.1:1\", routes: [r]}\n",
	  "f:3: listeners[1].address: 127.0.0.1:1 is given twice, first in f:2" },
	{ "listeners:\n- {name: a, address: \"127.0.0.1:1\", routes: [r]}\n- {name: a, address: \"127.0.0.1:2\", routes: [r]}\n",
	  "f:3: listeners[1].name: a is given twice, first in f:2" },
	{ "telemetry: {accessLog: [{path: a.log}]}\n", "f:1: telemetry.accessLog[0].path: want a path that begins with /" },
	{ "telemetry: {accessLog: [{path: /1}, {path: /2}, {path: /3}, {path: /4}, {path: /5}, {path: /6}, {path: /7}, {path: /8}, {path: /9}]}\n",
	  "f:1: telemetry: accessLog: want at most 8" },
	{ "telemetry: {accessLog: [{path: /a.log, format: xml}]}\n", "f:1: telemetry.accessLog[0].format: want text or json, not xml" },
	{ "telemetry: {tracing: {}}\n", "f:1: telemetry.tracing: traces are not part of this release" },
};

/* What HTTP alone has is no bound of theirs. */
static void an_rpc_protocol(void **state)
{
	static const struct proto_ops call = { .name = "call", .flags = PROTO_RPC };
	struct config *c;
	const struct listener *l;

	(void)state;
	extension_add(EXTENSION_proto, &call);
	c = kit_config("listeners:\n"
		       "- {name: calls, address: \"127.0.0.1:1\", protocol: call, detect: [http], limits: {headBytes: 8KiB, targetBytes: 8KiB}, routes: [{rules: "
		       "[{backends: [{cluster: a}]}]}]}\n"
		       "- {name: only, address: \"127.0.0.1:2\", protocol: call, limits: {headBytes: 8KiB}, routes: [{rules: [{backends: "
		       "[{cluster: a}]}]}]}\n"
		       "clusters: [{name: a, protocol: call}]\n");
	l = listener(c, "calls");
	assert_true(slice_eq_str(l->protocol, "call"));
	assert_int_equal(l->ndetect, 1);
	l = listener(c, "only");
	assert_int_equal(l->max_head_bytes, 8192);
	assert_int_equal(l->max_target_bytes, 8192);
	config_free(c);
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
		cmocka_unit_test(the_smallest_useful_file),
		cmocka_unit_test(everything_of_a_listener),
		cmocka_unit_test(rules_of_streams),
		cmocka_unit_test(blocks),
		cmocka_unit_test(captured_ranges),
		cmocka_unit_test(access_logs),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(an_rpc_protocol),
	};

	extension_add(EXTENSION_filter, &filter_local_rate_limit);
	extension_add(EXTENSION_filter, &filter_fault);
	extension_add(EXTENSION_filter, &filter_mirror);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
