// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <netinet/in.h>
#include <stdio.h>
#include "model/fact.h"

/* As kubectl prints them, with much that is not for us. */
#define SERVICE                                                                                                        \
	"apiVersion: v1\n"                                                                                             \
	"kind: Service\n"                                                                                              \
	"metadata:\n"                                                                                                  \
	"  annotations: {a: b}\n"                                                                                      \
	"  creationTimestamp: \"2026-01-01T00:00:00Z\"\n"                                                              \
	"  name: web\n"                                                                                                \
	"  namespace: shop\n"                                                                                          \
	"spec:\n"                                                                                                      \
	"  clusterIP: 10.96.0.10\n"                                                                                    \
	"  clusterIPs: [10.96.0.10, \"fd00::10\"]\n"                                                                   \
	"  internalTrafficPolicy: Cluster\n"                                                                           \
	"  ipFamilies: [IPv4, IPv6]\n"                                                                                 \
	"  ports:\n"                                                                                                   \
	"  - {name: http, port: 80, protocol: TCP, targetPort: web, appProtocol: http, nodePort: 30080}\n"             \
	"  - {name: dns, port: 53, protocol: UDP, targetPort: 5353}\n"                                                 \
	"  - {name: sctp, port: 9, protocol: SCTP}\n"                                                                  \
	"  selector: {app: web}\n"                                                                                     \
	"  sessionAffinity: ClientIP\n"                                                                                \
	"  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}\n"                                                 \
	"  trafficDistribution: PreferClose\n"                                                                         \
	"  type: ClusterIP\n"                                                                                          \
	"status: {loadBalancer: {}}\n"
#define SLICE(name, endpoints)                                                                                         \
	"apiVersion: discovery.k8s.io/v1\n"                                                                            \
	"kind: EndpointSlice\n"                                                                                        \
	"metadata:\n"                                                                                                  \
	"  labels: {kubernetes.io/service-name: web, other: label}\n"                                                  \
	"  name: " name "\n"                                                                                           \
	"  namespace: shop\n"                                                                                          \
	"addressType: IPv4\n"                                                                                          \
	"endpoints:\n" endpoints "ports:\n"                                                                            \
	"- {name: http, port: 8080, protocol: TCP}\n"                                                                  \
	"- {name: dns, port: 5353, protocol: UDP}\n"
#define READY(ip) "- {addresses: [" ip "], conditions: {ready: true, serving: true, terminating: false}, nodeName: n1, zone: z1}\n"

static bool has_host(struct world *w, const char *key)
{
	return world_has(w, FACT_HOST, key);
}

static void a_service_and_its_slices_become_facts(void **state)
{
	struct world *w = *state;
	const struct service_fact *s;
	const struct host *h;
	struct fact_mark m;
	char ip[46];

	world_write(w, "service.yaml", SERVICE);
	world_write(w, "slices.yaml", SLICE("web-1", READY("10.0.0.1")) "---\n" SLICE("web-2", READY("10.0.0.2")));
	world_start(w, NULL);
	assert_string_equal(world_health(w), "");
	s = (const struct service_fact *)world_fact(w, FACT_SERVICE, "web.shop");
	assert_int_equal(s->naddrs, 2);
	assert_string_equal(ip_name(&s->addrs[1], ip), "fd00::10");
	assert_int_equal(s->nports, 2);
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].target, 0);
	assert_int_equal(s->ports[0].proto, IPPROTO_TCP);
	assert_true(slice_eq_str(s->ports[0].name, "http"));
	assert_true(slice_eq_str(s->ports[0].app_protocol, "http"));
	assert_true(slice_eq_str(s->ports[0].cluster, "web.shop:http"));
	assert_int_equal(s->ports[1].proto, IPPROTO_UDP);
	assert_true(slice_eq_str(s->ports[1].cluster, "web.shop:dns"));
	assert_int_equal(s->affinity_s, 600);
	assert_int_equal(s->nroutes, 0);
	m = fact_mark(&s->fact);
	assert_true(slice_eq_str(m.file, world_file(w, "service.yaml")));
	assert_int_equal(((const struct cluster_fact *)world_fact(w, FACT_CLUSTER, "web.shop:http"))->prefer, LOCALITY_ZONE);
	h = (const struct host *)world_fact(w, FACT_HOST, "web.shop:http|10.0.0.1|8080");
	assert_int_equal(h->state, HOST_READY);
	assert_int_equal(h->weight, 1);
	assert_true(slice_eq_str(h->locality->zone, "z1"));
	assert_int_equal(h->metadata.n, 1);
	assert_true(slice_eq_str(h->metadata.v[0].name, "node"));
	assert_true(slice_eq_str(h->metadata.v[0].value, "n1"));
	m = fact_mark(world_fact(w, FACT_HOST, "web.shop:dns|10.0.0.2|5353"));
	assert_true(slice_eq_str(m.file, world_file(w, "slices.yaml")));
	assert_int_equal(m.line, 22);
}

static const struct cluster_fact *cluster(struct world *w, const char *name)
{
	return (const struct cluster_fact *)world_fact(w, FACT_CLUSTER, name);
}

static void the_app_protocol_says_what_endpoints_speak(void **state)
{
	struct world *w = *state;

	world_write(w, "calls.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: calls, namespace: shop}\nspec:\n"
				     "  clusterIP: 10.96.0.11\n  ports:\n"
				     "  - {name: a, port: 1, appProtocol: kubernetes.io/h2c}\n"
				     "  - {name: b, port: 2, appProtocol: grpc}\n"
				     "  - {name: c, port: 3, appProtocol: kubernetes.io/ws}\n"
				     "  - {name: d, port: 4}\n");
	world_start(w, NULL);
	assert_true(slice_eq_str(cluster(w, "calls.shop:a")->protocol, "http2"));
	assert_true(slice_eq_str(cluster(w, "calls.shop:b")->protocol, "http2"));
	assert_int_equal(cluster(w, "calls.shop:c")->protocol.n, 0);
	assert_int_equal(cluster(w, "calls.shop:d")->protocol.n, 0);
}

static void endpoints_follow_their_conditions(void **state)
{
	struct world *w = *state;

	world_write(w, "web.yaml", SERVICE "---\n" SLICE("web-1",
		"- {addresses: [10.0.0.1]}\n"
		"- {addresses: [10.0.0.2], conditions: {}}\n"
		"- {addresses: [10.0.0.3], conditions: {ready: null}}\n"
		"- {addresses: [10.0.0.4], conditions: {ready: false}}\n"
		"- {addresses: [10.0.0.5], conditions: {ready: false, serving: false, terminating: true}}\n"
		"- {addresses: [10.0.0.6], conditions: {ready: false, serving: true, terminating: true}}\n"
		"- {addresses: [10.0.0.7, 10.0.0.8]}\n"));
	world_start(w, NULL);
	for (int i = 1; i < 9; i++) {
		static const char expect[] = " rrr__dr_";
		const struct fact *f;
		char key[64];

		sprintf(key, "web.shop:http|10.0.0.%d|8080", i);
		f = store_fact(w->store, FACT_HOST, slice_str(key));
		assert_int_equal(expect[i], !f ? '_' : ((const struct host *)f)->state == HOST_READY ? 'r' : 'd');
	}
}

static void ports_without_names_go_by_number(void **state)
{
	struct world *w = *state;

	world_write(w, "a.json", "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": ["
				 "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"one\"},"
				 " \"spec\": {\"clusterIP\": \"10.96.0.1\", \"ports\": [{\"port\": 80, \"targetPort\": 8080}]}},"
				 "{\"apiVersion\": \"discovery.k8s.io/v1\", \"kind\": \"EndpointSlice\","
				 " \"metadata\": {\"name\": \"one-x\", \"labels\": {\"kubernetes.io/service-name\": \"one\"}},"
				 " \"addressType\": \"IPv4\", \"endpoints\": [{\"addresses\": [\"10.0.0.1\"]}],"
				 " \"ports\": [{\"name\": \"\", \"port\": 8080, \"protocol\": \"TCP\"}]}]}");
	world_start(w, NULL);
	assert_string_equal(world_health(w), "");
	assert_true(world_has(w, FACT_SERVICE, "one.default"));
	assert_true(has_host(w, "one.default:80|10.0.0.1|8080"));
	assert_int_equal(((const struct service_fact *)world_fact(w, FACT_SERVICE, "one.default"))->affinity_s, 0);
}

static void typed_lists_are_lists(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", "apiVersion: v1\nkind: ServiceList\nitems:\n"
				 "- metadata: {name: a}\n  spec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}\n"
				 "- metadata: {name: b}\n  spec: {clusterIP: 10.96.0.2, ports: [{port: 1}]}\n");
	world_write(w, "b.yaml", "apiVersion: v1\nkind: List\nitems: []\n---\napiVersion: v1\nkind: List\nitems:\n");
	world_start(w, NULL);
	assert_string_equal(world_health(w), "");
	assert_true(world_has(w, FACT_SERVICE, "a.default"));
	assert_true(world_has(w, FACT_SERVICE, "b.default"));
}

/* Slices of one service, their Service, and a native file, in any order and each in a file of its own. */
static void the_order_of_files_does_not_matter(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_rename(w, "1.yaml", SLICE("web-1", READY("10.0.0.1")));
	world_settle(w);
	assert_int_equal(world_count(w, FACT_CLUSTER), 0);
	assert_string_equal(world_health(w), "");
	world_rename(w, "2.yaml", SERVICE);
	world_until(w, has_host(w, "web.shop:http|10.0.0.1|8080"));
	world_rename(w, "3.yaml", SLICE("web-2", READY("10.0.0.2")));
	world_until(w, has_host(w, "web.shop:http|10.0.0.2|8080"));
	world_remove(w, "1.yaml");
	world_until(w, !has_host(w, "web.shop:http|10.0.0.1|8080"));
	assert_true(has_host(w, "web.shop:dns|10.0.0.2|5353"));
	world_remove(w, "2.yaml");
	world_until(w, !world_has(w, FACT_SERVICE, "web.shop"));
	assert_int_equal(world_count(w, FACT_CLUSTER), 0);
	assert_false(has_host(w, "web.shop:dns|10.0.0.2|5353"));
	world_rename(w, "4.yaml", SERVICE);
	world_until(w, has_host(w, "web.shop:http|10.0.0.2|8080"));
	assert_string_equal(world_health(w), "");
}

/* While a slice is split, an endpoint may stand in both: the one that is ready counts. */
static void overlapping_slices_are_merged(void **state)
{
	struct world *w = *state;
	const struct host *h;

	world_write(w, "web.yaml", SERVICE "---\n" SLICE("web-1", "- {addresses: [10.0.0.1], conditions: {ready: false, serving: "
								   "true, terminating: true}}\n") "---\n" SLICE("web-2", READY("10.0.0.1")));
	world_start(w, NULL);
	h = (const struct host *)world_fact(w, FACT_HOST, "web.shop:http|10.0.0.1|8080");
	assert_int_equal(h->state, HOST_READY);
	assert_string_equal(world_health(w), "");
}

static void one_endpoint_changes_one_cluster(void **state)
{
	struct world *w = *state;
	const struct cluster *before, *after;
	struct snapshot *one, *two;

	world_write(w, "service.yaml", SERVICE "---\napiVersion: v1\nkind: Service\nmetadata: {name: calm}\n"
					      "spec: {clusterIP: 10.96.1.1, ports: [{port: 80}]}\n");
	world_write(w, "slice.yaml", SLICE("web-1", READY("10.0.0.1")));
	world_start(w, NULL);
	one = store_build(w->store, 0);
	before = snapshot_cluster(one, SLICE_LIT("calm.default:80"));
	assert_non_null(before);
	world_rename(w, "slice.yaml", SLICE("web-1", READY("10.0.0.1") READY("10.0.0.2")));
	world_until(w, has_host(w, "web.shop:http|10.0.0.2|8080"));
	two = store_build(w->store, 0);
	after = snapshot_cluster(two, SLICE_LIT("calm.default:80"));
	assert_ptr_equal(before, after);
	assert_ptr_equal(snapshot_fact(one, FACT_SERVICE, SLICE_LIT("web.shop")),
			 snapshot_fact(two, FACT_SERVICE, SLICE_LIT("web.shop")));
	assert_ptr_not_equal(snapshot_cluster(one, SLICE_LIT("web.shop:http")),
			     snapshot_cluster(two, SLICE_LIT("web.shop:http")));
	snapshot_drop(one);
	snapshot_drop(two);
	store_bury(w->store);
}

static void what_is_not_for_us_is_passed_over(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: headless}\n"
				 "spec: {clusterIP: None, ports: [{port: 80}]}\n"
				 "---\napiVersion: v1\nkind: Service\nmetadata: {name: outside}\n"
				 "spec: {type: ExternalName, externalName: example.org}\n"
				 "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n"
				 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: mine}\n"
				 "addressType: IPv4\nendpoints: []\nports: []\n"
				 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
				 "metadata: {name: names, labels: {kubernetes.io/service-name: web}}\n"
				 "addressType: FQDN\nendpoints: [{addresses: [example.org]}]\nports: []\n"
				 "---\nclusters: [{name: native}]\n");
	world_start(w, NULL);
	assert_string_equal(world_health(w), "");
	assert_int_equal(world_count(w, FACT_SERVICE), 0);
	assert_true(world_has(w, FACT_CLUSTER, "native"));
}

static void what_is_wrong_is_said(void **state)
{
#define OBJECT(spec) "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: " spec "\n"
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ OBJECT("{ports: [{port: 80}]}"),
		  "DIR/x.yaml:4: spec.clusterIP is missing: no API server is here to choose one" },
		{ OBJECT("{clusterIP: web, ports: [{port: 80}]}"),
		  "DIR/x.yaml:4: spec.clusterIP: want an IPv4 or IPv6 address, not web" },
		{ OBJECT("{clusterIP: 10.96.0.1}"), "DIR/x.yaml:4: spec.ports: want at least one TCP or UDP port" },
		{ OBJECT("{clusterIP: 10.96.0.1, ports: [{port: 70000}]}"),
		  "DIR/x.yaml:4: spec.ports[0].port: 70000 is out of range, want a whole number from 1 to 65535" },
		{ OBJECT("{clusterIP: 10.96.0.1, ports: [{port: 1, protocol: ICMP}]}"),
		  "DIR/x.yaml:4: spec.ports[0].protocol: want TCP, UDP or SCTP, not ICMP" },
		{ OBJECT("{clusterIP: 10.96.0.1, ports: [{port: 1}, {port: 1}]}"),
		  "DIR/x.yaml:4: cluster a.default:1 is given by Service a.default already" },
		{ "apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {clusterIP: 10.96.0.1}\n",
		  "DIR/x.yaml:3: metadata: name is missing" },
		{ "apiVersion: v1\nkind: Service\n",
		  "DIR/x.yaml:1: metadata is missing (and 1 more)" },
		{ "apiVersion: v2\nkind: Service\n", "DIR/x.yaml:1: apiVersion: want v1 for Service, not v2" },
		{ "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\n",
		  "DIR/x.yaml:1: apiVersion: want discovery.k8s.io/v1 for EndpointSlice, not discovery.k8s.io/v1beta1" },
		{ "apiVersion: v1\nkind: List\nitems: {}\n", "DIR/x.yaml:3: items: want a list" },
		{ "apiVersion: v1\nkind: List\nitems: [x]\n", "DIR/x.yaml:3: items: want Kubernetes objects" },
		{ "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		  "metadata: {name: m, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"
		  "endpoints: [{addresses: [10.0.0.300]}]\nports: []\n",
		  "DIR/x.yaml:5: endpoints[0].addresses[0]: want an IPv4 or IPv6 address, not 10.0.0.300" },
		{ OBJECT("{clusterIP: 10.96.0.1, ports: [{port: 1}]}") "---\n"
		  "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec:\n  ports: [{port: 1}]\n  clusterIPs:\n  - 10.96.0.2\n  - web\n",
		  "DIR/x.yaml:11: spec.clusterIP: want an IPv4 or IPv6 address, not web" },
		{ SERVICE "---\n" SERVICE, "DIR/x.yaml:24: Service web.shop is given twice, first in DIR/x.yaml:1" },
	};
	struct world *w = *state;

	world_write(w, "good.yaml", "clusters: [{name: good}]\n");
	world_start(w, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		world_rename(w, "x.yaml", bad[i].text);
		world_until(w, !strcmp(world_health(w), bad[i].says));
		world_remove(w, "x.yaml");
		world_until(w, !*world_health(w));
	}
	world_rename(w, "x.yaml", SERVICE);
	world_until(w, world_has(w, FACT_SERVICE, "web.shop"));
}

/* Of one Service that cannot be taken, the others of its file know nothing. */
static void a_refused_service_is_refused_alone(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}\n"
				 "---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}\n"
				 "---\napiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {clusterIP: 10.96.0.3, ports: [{port: 1}]}\n");
	world_start(w, NULL);
	assert_true(world_has(w, FACT_SERVICE, "a.default"));
	assert_false(world_has(w, FACT_SERVICE, "b.default"));
	assert_true(world_has(w, FACT_SERVICE, "c.default"));
	assert_string_equal(world_health(w), "DIR/a.yaml:6: service b.default: address 10.96.0.1 port 1 TCP is that of service "
					     "a.default (files DIR/a.yaml:1) already");
}

static void a_bad_manifest_keeps_what_its_file_gave(void **state)
{
	struct world *w = *state;

	world_write(w, "service.yaml", SERVICE);
	world_write(w, "slice.yaml", SLICE("web-1", READY("10.0.0.1")));
	world_start(w, NULL);
	world_rename(w, "slice.yaml", SLICE("web-1", READY("10.0.0.2")) "---\nkind: [\n");
	world_until(w, *world_health(w));
	assert_true(has_host(w, "web.shop:http|10.0.0.1|8080"));
	assert_false(has_host(w, "web.shop:http|10.0.0.2|8080"));
	world_rename(w, "slice.yaml", SLICE("web-1", READY("10.0.0.3")));
	world_until(w, has_host(w, "web.shop:http|10.0.0.3|8080"));
	assert_string_equal(world_health(w), "");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_service_and_its_slices_become_facts),
		CASE(the_app_protocol_says_what_endpoints_speak),
		CASE(endpoints_follow_their_conditions),
		CASE(ports_without_names_go_by_number),
		CASE(typed_lists_are_lists),
		CASE(the_order_of_files_does_not_matter),
		CASE(overlapping_slices_are_merged),
		CASE(one_endpoint_changes_one_cluster),
		CASE(what_is_not_for_us_is_passed_over),
		CASE(what_is_wrong_is_said),
		CASE(a_refused_service_is_refused_alone),
		CASE(a_bad_manifest_keeps_what_its_file_gave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
