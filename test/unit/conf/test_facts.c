// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include "model/fact.h"

static void a_service_is_kept_whole(void **state)
{
	struct config *c = kit_config("services:\n"
				      "- name: web.default\n"
				      "  addresses: [10.96.0.10, \"2001:db8::1\"]\n"
				      "  ports:\n"
				      "  - {port: 80, target: 8080, name: http, appProtocol: http}\n"
				      "  - {port: 53, protocol: UDP, cluster: dns}\n"
				      "  cluster: web\n"
				      "  sessionAffinity: {type: ClientIP, timeout: 1h}\n"
				      "  routes: [a, b]\n"
				      "  failMode: closed\n");
	const struct service_fact *s = (const struct service_fact *)kit_find(c, FACT_SERVICE, "web.default");
	struct fact_mark m = fact_mark(&s->fact);
	char ip[46];

	(void)state;
	assert_true(slice_eq_str(s->name, "web.default"));
	assert_int_equal(m.line, 2);
	assert_true(slice_eq_str(m.file, "f"));
	assert_true(slice_eq_str(m.registry, "config"));
	assert_int_equal(s->naddrs, 2);
	assert_string_equal(ip_name(&s->addrs[0], ip), "10.96.0.10");
	assert_string_equal(ip_name(&s->addrs[1], ip), "2001:db8::1");
	assert_int_equal(s->nports, 2);
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].target, 8080);
	assert_int_equal(s->ports[0].proto, IPPROTO_TCP);
	assert_true(slice_eq_str(s->ports[0].name, "http"));
	assert_true(slice_eq_str(s->ports[0].app_protocol, "http"));
	assert_true(slice_eq_str(s->ports[0].cluster, "web"));
	assert_int_equal(s->ports[1].target, 0);
	assert_int_equal(s->ports[1].proto, IPPROTO_UDP);
	assert_true(slice_eq_str(s->ports[1].cluster, "dns"));
	assert_int_equal(s->affinity_s, 3600);
	assert_int_equal(s->nroutes, 2);
	assert_true(slice_eq_str(s->routes[1], "b"));
	assert_int_equal(s->fail, FAIL_CLOSED);
	config_free(c);
}

static void what_a_service_leaves_out(void **state)
{
	struct config *c = kit_config("services:\n- {name: s, addresses: [10.0.0.1], ports: [{port: 1}], cluster: c,\n"
				      "   sessionAffinity: {type: None}}\n"
				      "- {name: t, addresses: [10.0.0.2], ports: [{port: 1}], cluster: c,\n"
				      "   sessionAffinity: {type: ClientIP}}\n");
	const struct service_fact *s = (const struct service_fact *)kit_find(c, FACT_SERVICE, "s");

	(void)state;
	assert_int_equal(s->affinity_s, 0);
	assert_int_equal(s->nroutes, 0);
	assert_int_equal(s->fail, FAIL_OPEN);
	assert_int_equal(((const struct service_fact *)kit_find(c, FACT_SERVICE, "t"))->affinity_s, 10800);
	config_free(c);
}

static void a_cluster_and_its_hosts(void **state)
{
	struct config *c = kit_config("clusters:\n"
				      "- name: web\n"
				      "  loadBalancer: maglev\n"
				      "  locality: {prefer: zone}\n"
				      "  endpoints:\n"
				      "  - address: \"10.0.0.7:8080\"\n"
				      "    weight: 3\n"
				      "    priority: 2\n"
				      "    state: draining\n"
				      "    locality: {region: r, zone: z}\n"
				      "    metadata: {version: v1, build: 7}\n"
				      "  - {address: \"[2001:db8::7]:8080\"}\n"
				      "  - {address: 10.0.0.8}\n"
				      "  - {address: \"2001:db8::8\", weight: 0}\n"
				      "- {name: none}\n");
	const struct cluster_fact *k = (const struct cluster_fact *)kit_find(c, FACT_CLUSTER, "web");
	const struct host *h = (const struct host *)kit_find(c, FACT_HOST, "web|10.0.0.7|8080");

	(void)state;
	assert_int_equal(k->lb, LB_POLICY_MAGLEV);
	assert_int_equal(k->prefer, LOCALITY_ZONE);
	assert_int_equal(h->weight, 3);
	assert_int_equal(h->priority, 2);
	assert_int_equal(h->state, HOST_DRAINING);
	assert_true(slice_eq_str(h->locality->region, "r"));
	assert_int_equal(h->metadata.n, 2);
	assert_true(slice_eq_str(h->metadata.v[0].name, "build"));
	assert_int_equal(fact_mark(&h->fact).line, 6);
	h = (const struct host *)kit_find(c, FACT_HOST, "web|2001:db8::7|8080");
	assert_int_equal(h->weight, 1);
	assert_int_equal(h->state, HOST_READY);
	assert_int_equal(((const struct host *)kit_find(c, FACT_HOST, "web|10.0.0.8|0"))->port, 0);
	assert_int_equal(((const struct host *)kit_find(c, FACT_HOST, "web|2001:db8::8|0"))->weight, 0);
	k = (const struct cluster_fact *)kit_find(c, FACT_CLUSTER, "none");
	assert_int_equal(k->lb, LB_POLICY_LEAST_REQUEST);
	assert_int_equal(k->prefer, LOCALITY_ANY);
	config_free(c);
}

static void routes_and_workloads(void **state)
{
	struct config *c = kit_config("routes:\n"
				      "- {name: r, hosts: [a.b, \"*.c\"], rules: [{backends: [{cluster: x, weight: 90}, {cluster: y}]}]}\n"
				      "- {name: any, rules: [{backends: [{cluster: x}]}]}\n"
				      "workloads:\n"
				      "- {name: w, cgroup: /pods/w, identity: \"spiffe://t/w\", shortCircuit: {splice: never}}\n"
				      "- {name: v, cgroup: /pods/v, shortCircuit: {enabled: false}, connect: false}\n");
	const struct route *r = (const struct route *)kit_find(c, FACT_ROUTE, "r");
	const struct workload_fact *w = (const struct workload_fact *)kit_find(c, FACT_WORKLOAD, "w");

	(void)state;
	assert_int_equal(r->nhosts, 2);
	assert_true(slice_eq_str(r->hosts[1], "*.c"));
	assert_int_equal(r->rules->nbackends, 2);
	assert_int_equal(r->rules->backends[0].weight, 90);
	assert_int_equal(r->rules->backends[1].weight, 1);
	assert_true(slice_eq_str(r->rules->backends[1].cluster, "y"));
	r = (const struct route *)kit_find(c, FACT_ROUTE, "any");
	assert_int_equal(r->nhosts, 1);
	assert_true(slice_eq_str(r->hosts[0], "*"));
	assert_true(slice_eq_str(w->cgroup, "/pods/w"));
	assert_true(slice_eq_str(w->identity, "spiffe://t/w"));
	assert_int_equal(w->splice, SPLICE_NEVER);
	assert_false(w->paused);
	assert_false(w->exempt);
	w = (const struct workload_fact *)kit_find(c, FACT_WORKLOAD, "v");
	assert_int_equal(w->splice, SPLICE_MAYBE);
	assert_true(w->paused);
	assert_true(w->exempt);
	config_free(c);
}

#define SERVICE(rest) "services:\n- {name: s, addresses: [10.0.0.1], cluster: c, " rest "}\n"
#define CLUSTER(rest) "clusters:\n- name: c\n  " rest "\n"

static const struct bad bad[] = {
	{ "services: {}\n", "f:1: services: want a list, not a mapping" },
	{ "services: [web]\n", "f:1: services[0]: want a mapping, not web" },
	{ "services:\n- {}\n", "f:2: services[0]: name is missing\nf:2: services[0]: addresses is missing\n"
			       "f:2: services[0]: ports is missing" },
	{ SERVICE("ports: []"), "f:2: services[0].ports: want at least one port" },
	{ SERVICE("ports: [{}]"), "f:2: services[0].ports[0]: port is missing" },
	{ SERVICE("ports: [{port: 70000}]"),
	  "f:2: services[0].ports[0].port: 70000 is out of range, want a whole number from 1 to 65535" },
	{ SERVICE("ports: [{port: 0}]"),
	  "f:2: services[0].ports[0].port: 0 is out of range, want a whole number from 1 to 65535" },
	{ SERVICE("ports: [{port: http}]"), "f:2: services[0].ports[0].port: want a whole number from 1 to 65535, not http" },
	{ SERVICE("ports: [{port: 1, protocol: tcp}]"), "f:2: services[0].ports[0].protocol: want TCP or UDP, not tcp" },
	{ SERVICE("ports: [{port: 1, protocol: SCTP}]"), "f:2: services[0].ports[0].protocol: want TCP or UDP, not SCTP" },
	{ SERVICE("ports: [{port: 1}, {port: 1}]"), "f:2: services[0].addresses: 10.0.0.1:1 TCP is given twice, first in f:2" },
	{ SERVICE("ports: [{port: 1}], adresses: [10.0.0.2]"),
	  "f:2: services[0].adresses: no such field, did you mean addresses?" },
	{ SERVICE("ports: [{port: 1}], failMode: ajar"), "f:2: services[0].failMode: want open or closed, not ajar" },
	{ SERVICE("ports: [{port: 1}], sessionAffinity: {type: Cookie}"),
	  "f:2: services[0].sessionAffinity.type: want None or ClientIP, not Cookie" },
	{ SERVICE("ports: [{port: 1}], sessionAffinity: {type: ClientIP, timeout: 25h}"),
	  "f:2: services[0].sessionAffinity.timeout: 25h is out of range, want a duration such as 250ms, 10s or 1h from 1s to "
	  "24h" },
	{ "services:\n- {name: s, addresses: [10.0.0.1], ports: [{port: 1}]}\n",
	  "f:2: services[0].ports[0]: no cluster serves this port: want cluster here or in the service" },
	{ "services:\n- {name: s, addresses: [], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].addresses: want at least one address" },
	{ "services:\n- {name: s, addresses: [10.0.0.300], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].addresses[0]: want an IPv4 or IPv6 address, not 10.0.0.300" },
	{ "services:\n- {name: s, addresses: [10.0.0.0/24], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].addresses[0]: want an IPv4 or IPv6 address, not 10.0.0.0/24" },
	{ "services:\n- {name: s, addresses: [10.0.0.1, 10.0.0.1], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].addresses: 10.0.0.1:1 TCP is given twice, first in f:2" },
	{ "services:\n"
	  "- {name: a, addresses: [10.0.0.1], ports: [{port: 1}, {port: 2}], cluster: c}\n"
	  "- {name: b, addresses: [10.0.0.1], ports: [{port: 1, protocol: UDP}, {port: 2}], cluster: c}\n",
	  "f:3: services[1].addresses: 10.0.0.1:2 TCP is given twice, first in f:2" },
	{ "services:\n"
	  "- {name: a, addresses: [10.0.0.1], ports: [{port: 1}], cluster: c}\n"
	  "- {name: a, addresses: [10.0.0.2], ports: [{port: 1}], cluster: c}\n",
	  "f:3: services[1].name: a is given twice, first in f:2" },
	{ "services:\n- {name: \"a b\", addresses: [10.0.0.1], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].name: a name may not contain spaces, control characters or \"|\"" },
	{ "services:\n- {name: \"\", addresses: [10.0.0.1], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0]: name is empty" },
	{ "services:\n- {name: \"a\\0b\", addresses: [10.0.0.1], ports: [{port: 1}], cluster: c}\n",
	  "f:2: services[0].name: text may not contain a NUL\nf:2: services[0]: name is empty" },
	{ CLUSTER("endpoints: [{address: app.example}]"),
	  "f:3: clusters[0].endpoints[0].address: want IP:PORT (IPv6 as [IP]:PORT) or an IP (host names: discovery), not app.example" },
	{ CLUSTER("endpoints: [{address: \"10.0.0.1:70000\"}]"),
	  "f:3: clusters[0].endpoints[0].address: want IP:PORT (IPv6 as [IP]:PORT) or an IP (host names: discovery), not \"10.0.0.1:70000\"" },
	{ CLUSTER("endpoints: [{address: \"10.0.0.1:0\"}]"),
	  "f:3: clusters[0].endpoints[0].address: want IP:PORT (IPv6 as [IP]:PORT) or an IP (host names: discovery), not \"10.0.0.1:0\"" },
	{ CLUSTER("endpoints: [{address: \"[10.0.0.1]:1\"}]"),
	  "f:3: clusters[0].endpoints[0].address: want IP:PORT (IPv6 as [IP]:PORT) or an IP (host names: discovery), not \"[10.0.0.1]:1\"" },
	{ CLUSTER("endpoints:\n  - {address: \"10.0.0.1:1\"}\n  - {address: \"10.0.0.1:1\"}"),
	  "f:5: clusters[0].endpoints[1].address: 10.0.0.1:1 is given twice, first in f:4" },
	{ CLUSTER("endpoints: [{address: 10.0.0.1, weight: 65536}]"),
	  "f:3: clusters[0].endpoints[0].weight: 65536 is out of range, want a whole number from 0 to 65535" },
	{ CLUSTER("endpoints: [{address: 10.0.0.1, metadata: {a: {}}}]"),
	  "f:3: clusters[0].endpoints[0].metadata.a: want text, not a mapping" },
	{ CLUSTER("loadBalancer: fastest"),
	  "f:3: clusters[0].loadBalancer: want one of: least-request, round-robin, random, maglev, ring-hash, peak-ewma, "
	  "original-destination; not fastest" },
	{ CLUSTER("locality: {prefer: rack}"), "f:3: clusters[0].locality.prefer: want any, region or zone, not rack" },
	{ "workloads:\n- {name: w}\n", "f:2: workloads[0]: cgroup is missing" },
	{ "workloads:\n- {name: w, cgroup: pods}\n", "f:2: workloads[0].cgroup: want a path that begins with /" },
	{ "workloads:\n- {name: w, cgroup: /a/..b/../c}\n", "f:2: workloads[0].cgroup: want a path without .." },
	{ "workloads:\n- {name: w, cgroup: /a/..}\n", "f:2: workloads[0].cgroup: want a path without .." },
	{ "workloads:\n- {name: w, cgroup: /a, shortCircuit: {splice: always}}\n",
	  "f:2: workloads[0].shortCircuit.splice: want maybe or never, not always" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_config_says(bad[i].text, bad[i].says);
}

static void cgroup_names_may_begin_with_dots(void **state)
{
	(void)state;
	config_free(kit_config("workloads:\n- {name: w, cgroup: /a/..b}\n"));
}

/* An alias is as good as what it names, and marks stay where the alias stands. */
static void aliases_are_values(void **state)
{
	struct config *c = kit_config("clusters:\n"
				      "- name: a\n"
				      "  endpoints: &e\n"
				      "  - {address: \"10.0.0.1:1\"}\n"
				      "- name: b\n"
				      "  endpoints: *e\n");

	(void)state;
	kit_find(c, FACT_HOST, "a|10.0.0.1|1");
	kit_find(c, FACT_HOST, "b|10.0.0.1|1");
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_is_kept_whole),
		cmocka_unit_test(what_a_service_leaves_out),
		cmocka_unit_test(a_cluster_and_its_hosts),
		cmocka_unit_test(routes_and_workloads),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(cgroup_names_may_begin_with_dots),
		cmocka_unit_test(aliases_are_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
