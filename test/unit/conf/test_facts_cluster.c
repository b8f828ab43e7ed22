// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include "base/extensions.h"
#include "model/fact.h"

static const struct cluster_fact *cluster(const struct config *c, const char *name)
{
	return (const struct cluster_fact *)kit_find(c, FACT_CLUSTER, name);
}

static void what_is_left_out_is_what_fact_new_gives(void **state)
{
	struct config *c = kit_config("clusters: [{name: a}]\n");
	struct fact_mark none = { 0 };
	struct fact *plain = fact_new(FACT_CLUSTER, SLICE_LIT("a"), &none);

	(void)state;
	assert_true(fact_equal(plain, &cluster(c, "a")->fact));
	fact_drop(plain);
	config_free(c);
}

static void everything_of_a_cluster(void **state)
{
	struct config *c = kit_config(
		"clusters:\n"
		"- name: orders\n"
		"  protocol: http\n"
		"  loadBalancer: ring-hash\n"
		"  ringSize: 4096\n"
		"  discovery: {type: dns, host: orders.example, port: 80}\n"
		"  subsets: {keys: [[version], [version, zone]], fallback: default, default: {version: v1}}\n"
		"  connectTimeout: 2s\n"
		"  connectionPool: {maxConnections: 1, maxPending: 2, maxRequests: 3, maxRetries: 4, maxRequestsPerConnection: 5,\n"
		"                   idleTimeout: 6s, http2MaxStreams: 7}\n"
		"  healthCheck: {type: http, path: /healthz, host: h, port: 9, interval: 5s, timeout: 500ms, unhealthyThreshold: 4,\n"
		"                healthyThreshold: 1, expect: [200-299, 418]}\n"
		"  outlierDetection: {consecutive5xx: 7, consecutiveGateway: 1, consecutiveLocal: 2, interval: 1s, baseEjection: 3s,\n"
		"                     maxEjection: 4s, maxEjectionPercent: 50, failurePercentage: 85, failureMinHosts: 2,\n"
		"                     failureMinRequests: 9}\n"
		"  panicThreshold: 25\n"
		"  slowStart: {window: 30s}\n"
		"  locality: {prefer: zone}\n"
		"  proxyProtocol: true\n"
		"  tls: {sni: orders.example, trustedCA: /ca.crt, certificates: [{cert: /c, key: /k}], alpn: [http/1.1],\n"
		"        verify: {san: [\"spiffe://t/orders\"]}}\n"
		"- {name: b, tls: {insecure: true, kernel: auto}, healthCheck: {type: tcp}, outlierDetection: {}}\n"
		"- {name: two, protocol: http2, tls: {}, connectionPool: {pingInterval: 3s, pingTimeout: 4s}}\n"
		"- {name: plain, protocol: http2}\n");
	const struct cluster_fact *k = cluster(c, "orders");

	(void)state;
	assert_true(slice_eq_str(k->protocol, "http"));
	assert_int_equal(k->lb, LB_POLICY_RING_HASH);
	assert_int_equal(k->ring_size, 4096);
	assert_true(slice_eq_str(k->dns_host, "orders.example"));
	assert_int_equal(k->dns_port, 80);
	assert_int_equal(k->nsubsets, 2);
	assert_int_equal(k->subsets[1].nnames, 2);
	assert_true(slice_eq_str(k->subsets[1].names[1], "zone"));
	assert_int_equal(k->fallback, SUBSET_DEFAULT);
	assert_int_equal(k->nsubset_default, 1);
	assert_int_equal(k->connect_ms, 2000);
	assert_int_equal(k->pool.max_connections, 1);
	assert_int_equal(k->pool.max_pending, 2);
	assert_int_equal(k->pool.max_requests, 3);
	assert_int_equal(k->pool.max_retries, 4);
	assert_int_equal(k->pool.max_requests_per_connection, 5);
	assert_int_equal(k->pool.idle_ms, 6000);
	assert_int_equal(k->pool.http2_max_streams, 7);
	assert_int_equal(k->health.type, HEALTH_HTTP);
	assert_true(slice_eq_str(k->health.path, "/healthz"));
	assert_int_equal(k->health.port, 9);
	assert_false(k->health.tls);
	assert_int_equal(k->health.interval_ms + k->health.timeout_ms, 5500);
	assert_int_equal(k->health.nexpect, 2);
	assert_int_equal(k->health.expect[1].low, 418);
	assert_true(k->outlier.enabled);
	assert_int_equal(k->outlier.consecutive_5xx, 7);
	assert_int_equal(k->outlier.base_ejection_ms, 3000);
	assert_int_equal(k->outlier.failure_percentage, 85);
	assert_int_equal(k->panic_percent, 25);
	assert_int_equal(k->slow_start_ms, 30000);
	assert_true(k->proxy_protocol && k->tls.enabled && !k->tls.insecure && !k->tls.kernel);
	assert_true(slice_eq_str(k->tls.certificate, "/c|/k"));
	assert_true(slice_eq_str(k->tls.ca, "/ca.crt"));
	assert_int_equal(k->tls.nalpn + k->tls.nsans, 2);
	k = cluster(c, "b");
	assert_true(k->tls.enabled && k->tls.insecure && k->tls.kernel && k->outlier.enabled);
	assert_int_equal(k->outlier.consecutive_5xx, 5);
	assert_int_equal(k->health.type, HEALTH_TCP);
	assert_true(k->health.tls);
	assert_int_equal(k->tls.nalpn, 0);
	assert_int_equal(k->pool.ping_ms + k->pool.ping_timeout_ms, 30000);
	k = cluster(c, "two");
	assert_true(slice_eq_str(k->protocol, "http2"));
	assert_true(k->tls.nalpn == 1 && slice_eq_str(k->tls.alpn[0], "h2"));
	assert_int_equal(k->pool.ping_ms, 3000);
	assert_int_equal(k->pool.ping_timeout_ms, 4000);
	k = cluster(c, "plain");
	assert_true(slice_eq_str(k->protocol, "http2") && !k->tls.enabled);
	config_free(c);
}

#define CLUSTER(rest) "clusters:\n- name: c\n  " rest "\n"

static const struct bad bad[] = {
	{ CLUSTER("discovery: {type: dns, host: a}"),
	  "f:3: clusters[0].discovery: want host and port, or registry and service" },
	{ CLUSTER("discovery: {type: srv, host: a, port: 1}"),
	  "f:3: clusters[0].discovery.type: want auto, dns or registry, not srv" },
	{ CLUSTER("discovery: {type: dns, host: a, port: 1}\n  endpoints: [{address: 10.0.0.1}]"),
	  "f:2: clusters[0].discovery: by host: want this or endpoints, not both" },
	{ CLUSTER("discovery: {registry: k8s, service: a, port: 80}"),
	  "f:3: clusters[0].discovery.registry: want the name of one of `registries` (there are none), not k8s" },
	{ CLUSTER("discovery: {service: a, port: 80}"), "f:3: clusters[0].discovery: want registry and service, and no host" },
	{ CLUSTER("discovery: {type: registry, host: a, port: 80}"),
	  "f:3: clusters[0].discovery: want registry and service, and no host" },
	{ CLUSTER("discovery: {type: dns, registry: k8s, service: a}"),
	  "f:3: clusters[0].discovery: want host and port, or registry and service" },
	{ CLUSTER("subsets: {keys: [version]}"), "f:3: clusters[0].subsets.keys[0]: want a list, not version" },
	{ CLUSTER("subsets: {keys: [[]]}"), "f:3: clusters[0].subsets: keys: want at least one name in each list" },
	{ CLUSTER("subsets: {fallback: default}"), "f:3: clusters[0].subsets: default: fallback default wants one" },
	{ CLUSTER("ringSize: 4096"), "f:2: clusters[0].ringSize: only for loadBalancer ring-hash" },
	{ CLUSTER("healthCheck: {type: tcp, path: /x}"), "f:2: clusters[0].healthCheck.path: only for type http" },
	{ CLUSTER("healthCheck: {type: tcp, expect: [\"200\"]}"), "f:2: clusters[0].healthCheck.expect: only for type http" },
	{ CLUSTER("connectTimeout: 0s"),
	  "f:3: clusters[0].connectTimeout: 0s is out of range, want a duration such as 250ms, 10s or 1h from 1ms to 1000h" },
	{ CLUSTER("connectionPool: {maxConnections: -1}"),
	  "f:3: clusters[0].connectionPool.maxConnections: -1 is out of range, want a whole number from 0 to 4294967295" },
	{ CLUSTER("healthCheck: {path: /}"), "f:3: clusters[0].healthCheck: type is missing" },
	{ CLUSTER("healthCheck: {type: bolt}"), "f:3: clusters[0].healthCheck.type: want none, tcp, http, grpc or heartbeat, not bolt" },
	{ CLUSTER("healthCheck: {type: http, service: shop}"), "f:2: clusters[0].healthCheck.service: only for type grpc" },
	{ CLUSTER("healthCheck: {type: tcp, tls: true}"),
	  "f:2: clusters[0].healthCheck.tls: true speaks TLS as the cluster does, and it has no tls" },
	{ CLUSTER("healthCheck: {type: tcp, tls: sure}"), "f:3: clusters[0].healthCheck.tls: want auto, true or false, not sure" },
	{ CLUSTER("healthCheck: {type: http, path: healthz}"),
	  "f:3: clusters[0].healthCheck.path: want a path that begins with /, without spaces" },
	{ CLUSTER("healthCheck: {type: http, expect: [2xx]}"),
	  "f:3: clusters[0].healthCheck.expect[0]: want a status such as 503, or a range such as 500-599" },
	{ CLUSTER("outlierDetection: {maxEjectionPercent: 101}"),
	  "f:3: clusters[0].outlierDetection.maxEjectionPercent: 101 is out of range, want a whole number from 0 to 100" },
	{ CLUSTER("panicThreshold: 50%"), "f:3: clusters[0].panicThreshold: want a whole number from 0 to 100, not 50%" },
	{ CLUSTER("protocol: grpc"), "f:3: clusters[0].protocol: want one of: auto, http, http2; not grpc" },
	{ CLUSTER("protocol: http2\n  tls: {alpn: [http/1.1]}"),
	  "f:2: clusters[0].tls.alpn: protocol http2 is agreed on as h2: want it among them" },
	{ CLUSTER("protocol: http2\n  proxyProtocol: true"),
	  "f:2: clusters[0].proxyProtocol: a header names one client, and such a connection has many: want protocol http, "
	  "without h2 in tls.alpn" },
	{ CLUSTER("proxyProtocol: true\n  tls: {alpn: [h2]}"),
	  "f:2: clusters[0].proxyProtocol: a header names one client, and such a connection has many: want protocol http, "
	  "without h2 in tls.alpn" },
	{ CLUSTER("tls: {trustedCA: ca.crt}"),
	  "f:3: clusters[0].tls.trustedCA: want a path that begins with /, without \"|\"" },
	{ CLUSTER("tls: {insecure: true, trustedCA: /ca.crt}"),
	  "f:3: clusters[0].tls: insecure verifies nothing: want it without trustedCA and verify" },
	{ CLUSTER("tls: {certificates: [{cert: /a, key: /b}, {cert: /c, key: /d}]}"),
	  "f:3: clusters[0].tls: certificates: want at most one" },
	{ CLUSTER("tls: {certificates: [{cert: /a}]}"), "f:3: clusters[0].tls.certificates[0]: key is missing" },
	{ CLUSTER("outlierDetections: {}"), "f:3: clusters[0].outlierDetections: no such field, did you mean outlierDetection?" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_config_says(bad[i].text, bad[i].says);
}

struct turn_conf {
	uint32_t every;
	bool odd;
};

static void settings_of_what_it_names(void **state)
{
	static const struct conf_item rows[] = {
		CONF_ITEM(struct turn_conf, every, "every", INT, .required = true, .min = 2, .max = 9, .help = "n"),
		CONF_ITEM(struct turn_conf, odd, "odd", BOOL, .help = "b"),
		CONF_END
	};
	static const struct lb_ops turn = { .name = "turn", .conf = rows, .conf_size = sizeof(struct turn_conf) };
	static const struct proto_ops talk = { .name = "talk", .flags = PROTO_RPC, .conf = rows, .conf_size = sizeof(struct turn_conf) };
	static const struct bad bad[] = {
		{ CLUSTER("loadBalancer: turn"), "f:2: clusters[0].loadBalancerSettings: every is missing" },
		{ CLUSTER("loadBalancer: turn\n  loadBalancerSettings: {every: 1}"),
		  "f:4: clusters[0].loadBalancerSettings.every: 1 is out of range, want a whole number from 2 to 9" },
		{ CLUSTER("loadBalancer: random\n  loadBalancerSettings: {}"), "f:4: clusters[0].loadBalancerSettings: random takes no settings" },
		{ CLUSTER("protocol: talk"), "f:2: clusters[0].protocolSettings: every is missing" },
		{ CLUSTER("protocol: http\n  protocolSettings: {every: 2}"), "f:4: clusters[0].protocolSettings: http takes no settings" },
		{ CLUSTER("loadBalancer: extension"), "f:3: clusters[0].loadBalancer: want one of: least-request, round-robin, random, maglev, "
						       "ring-hash, peak-ewma, original-destination, turn; not extension" },
	};
	struct config *c;
	const struct cluster_fact *f;

	(void)state;
	extension_add(EXTENSION_lb, &turn);
	extension_add(EXTENSION_proto, &talk);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_config_says(bad[i].text, bad[i].says);
	c = kit_config("clusters:\n- {name: a, loadBalancer: turn, loadBalancerSettings: {odd: true, every: 3}, protocol: talk,\n"
		       "   protocolSettings: {every: 4}}\n");
	f = cluster(c, "a");
	assert_int_equal(f->lb, LB_POLICY_EXTENSION);
	assert_true(slice_eq_str(cluster_balancer(f), "turn"));
	assert_true(slice_eq_str(f->balancer_settings, "{\"every\":3,\"odd\":true}"));
	assert_true(slice_eq_str(f->protocol_settings, "{\"every\":4}"));
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_out_is_what_fact_new_gives),
		cmocka_unit_test(everything_of_a_cluster),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(settings_of_what_it_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
