// SPDX-License-Identifier: Apache-2.0
/* The rules: what is refused, in whose name and with which words, and that nothing of it remains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/store.h"

struct fixture {
	struct store *store;
	struct store_tx *tx;                    /* open, or committed and not yet ended */
	struct registry_verdict v;
};

static void begin(struct fixture *x, const char *registry)
{
	store_end(x->tx);
	x->tx = store_begin(x->store, slice_str(registry));
}

static bool commit(struct fixture *x)
{
	return store_commit(x->tx, 5, &x->v);
}

#define PUT(x, f) store_put((x)->tx, (struct fact *)(f))

/* cluster web with a host, route and service on it, policy, workload. */
static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->store = store_new();
	begin(x, "test");
	PUT(x, facts_policy("only", "svc"));
	PUT(x, facts_workload("client", "/pods/client"));
	PUT(x, facts_service("svc", "10.96.0.1", 80, "web"));
	PUT(x, facts_route("r", "web"));
	PUT(x, facts_host("web", "10.0.0.1", 8080));
	PUT(x, facts_cluster("web"));
	assert_true(commit(x));
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	store_end(x->tx);
	store_free(x->store);
	free(x);
	return 0;
}

static bool has(struct fixture *x, enum fact_kind kind, const char *key)
{
	return store_fact(x->store, kind, slice_str(key));
}

/* The open transaction is refused once, for this fact and with these words. */
static void refused(struct fixture *x, enum fact_kind kind, const char *key, const char *why)
{
	uint64_t before = stat_get(&store_stats(x->store)->facts);

	assert_false(commit(x));
	assert_int_equal(x->v.snapshot, 0);
	assert_int_equal(x->v.version, 5);
	assert_int_equal(x->v.nrefused, 1);
	if (strcmp(x->v.refused[0].why, why))
		print_error("why: %s\n", x->v.refused[0].why);
	assert_int_equal(x->v.refused[0].kind, kind);
	assert_true(slice_eq_str(x->v.refused[0].key, key));
	assert_string_equal(x->v.refused[0].why, why);
	assert_int_equal(stat_get(&store_stats(x->store)->facts), before);
}

static void test_taken(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(x->v.snapshot, 1);
	assert_int_equal(x->v.nrefused, 0);
	assert_int_equal(stat_get(&store_stats(x->store)->facts), 6);
	assert_true(has(x, FACT_HOST, "web|10.0.0.1|8080"));
	assert_true(has(x, FACT_SERVICE, "svc"));
	assert_false(has(x, FACT_SERVICE, "web"));
	assert_false(has(x, FACT_HOST, "web"));
	assert_false(has(x, FACT_HOST, ""));
}

static void test_same_again(void **state)
{
	struct fixture *x = *state;
	const struct fact *was = store_fact(x->store, FACT_SERVICE, SLICE_LIT("svc"));
	struct snapshot *s = store_build(x->store, 0);
	struct service_fact *again = facts_service("svc", "10.96.0.1", 80, "web");

	again->fact.line = 77;
	begin(x, "test");
	PUT(x, again);
	assert_true(commit(x));
	assert_int_equal(x->v.snapshot, 1);
	assert_false(store_dirty(x->store));
	assert_ptr_equal(store_fact(x->store, FACT_SERVICE, SLICE_LIT("svc")), was);
	assert_int_equal(fact_mark(was).line, 77);
	snapshot_drop(s);
}

static void test_last_of_a_key_counts(void **state)
{
	struct fixture *x = *state;
	const struct cluster_fact *c;

	begin(x, "test");
	for (int i = 0; i < 4; i++) {
		struct fact *f = facts_cluster("db");

		((struct cluster_fact *)f)->lb = i;
		PUT(x, f);
		store_del(x->tx, FACT_CLUSTER, SLICE_LIT("api"));
		PUT(x, facts_cluster("api"));
		store_del(x->tx, FACT_CLUSTER, SLICE_LIT("gone"));
	}
	PUT(x, facts_cluster("gone"));
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("gone"));
	assert_true(commit(x));
	c = (const struct cluster_fact *)store_fact(x->store, FACT_CLUSTER, SLICE_LIT("db"));
	assert_int_equal(c->lb, LB_POLICY_MAGLEV);
	assert_true(has(x, FACT_CLUSTER, "api"));
	assert_false(has(x, FACT_CLUSTER, "gone"));
}

static void test_unknown_names(void **state)
{
	struct fixture *x = *state;
	struct service_fact *s;

	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.2", 80, "nope"));
	refused(x, FACT_SERVICE, "b",
		"ports[0].cluster: no cluster \"nope\": nobody has given one of that name");
	assert_int_equal(x->v.refused[0].mark.line, 4);
	assert_true(slice_eq_str(x->v.refused[0].mark.file, "all.yaml"));
	begin(x, "test");
	PUT(x, facts_host("nope", "10.0.0.9", 80));
	refused(x, FACT_HOST, "nope|10.0.0.9|80",
		"cluster: no cluster \"nope\": nobody has given one of that name");
	begin(x, "test");
	PUT(x, facts_route("b", "nope"));
	refused(x, FACT_ROUTE, "b",
		"rules[0].backends[0].cluster: no cluster \"nope\": nobody has given one of that name");
	begin(x, "test");
	PUT(x, facts_policy("b", "nope"));
	refused(x, FACT_POLICY, "b",
		"service: no service \"nope\": nobody has given one of that name");
	begin(x, "test");
	s = facts_service("b", "10.96.0.2", 80, "");
	facts_service_route(s, "nope");
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "routes[0]: no route \"nope\": nobody has given one of that name");
}

static void test_nothing_of_a_refused_one_remains(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	PUT(x, facts_cluster("db"));
	PUT(x, facts_host("db", "10.0.0.2", 5432));
	PUT(x, facts_workload("w", "/pods/w"));
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	PUT(x, facts_route("b", "nope"));
	assert_false(commit(x));
	assert_false(has(x, FACT_CLUSTER, "db"));
	assert_false(has(x, FACT_WORKLOAD, "w"));
	assert_true(has(x, FACT_POLICY, "only"));
}

static void test_deleting_what_is_named(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	refused(x, FACT_SERVICE, "svc", "cannot be deleted: policy only (test all.yaml:5) still names it");
	assert_int_equal(x->v.refused[0].mark.line, 4);
	begin(x, "test");
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	store_del(x->tx, FACT_ROUTE, SLICE_LIT("r"));
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("web"));
	refused(x, FACT_CLUSTER, "web", "cannot be deleted: host web|10.0.0.1|8080 (test all.yaml:2) still names it");
	begin(x, "test");
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("web"));
	PUT(x, facts_host("web", "10.0.0.1", 8080));
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	store_del(x->tx, FACT_ROUTE, SLICE_LIT("r"));
	refused(x, FACT_HOST, "web|10.0.0.1|8080",
		"cluster: no cluster \"web\": nobody has given one of that name");
	begin(x, "test");
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("web"));
	store_del(x->tx, FACT_HOST, SLICE_LIT("web|10.0.0.1|8080"));
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	store_del(x->tx, FACT_ROUTE, SLICE_LIT("r"));
	store_del(x->tx, FACT_WORKLOAD, SLICE_LIT("client"));
	assert_true(commit(x));
	assert_int_equal(stat_get(&store_stats(x->store)->facts), 0);
}

static void test_a_name_moves_in_one_transaction(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	PUT(x, facts_cluster("new"));
	PUT(x, facts_service("svc", "10.96.0.1", 80, "new"));
	PUT(x, facts_route("r", "new"));
	store_del(x->tx, FACT_HOST, SLICE_LIT("web|10.0.0.1|8080"));
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("web"));
	assert_true(commit(x));
	begin(x, "test");
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("new"));
	assert_false(commit(x));
}

static void test_owner(void **state)
{
	struct fixture *x = *state;

	begin(x, "k8s");
	PUT(x, facts_cluster("web"));
	refused(x, FACT_CLUSTER, "web",
		"given by another registry already (test all.yaml:1); only that one may change it");
	assert_true(slice_eq_str(x->v.refused[0].mark.registry, "k8s"));
	begin(x, "k8s");
	store_del(x->tx, FACT_WORKLOAD, SLICE_LIT("client"));
	refused(x, FACT_WORKLOAD, "client",
		"given by another registry already (test all.yaml:6); only that one may change it");
	begin(x, "k8s");
	PUT(x, facts_host("web", "10.0.0.2", 8080));
	assert_true(commit(x));
	begin(x, "");
	store_del(x->tx, FACT_HOST, SLICE_LIT("web|10.0.0.2|8080"));
	PUT(x, facts_cluster("web"));
	assert_true(commit(x));
}

static void test_addresses_are_one_service_s(void **state)
{
	struct fixture *x = *state;
	struct service_fact *udp = facts_service("udp", "10.96.0.1", 80, "web");

	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.1", 80, "web"));
	refused(x, FACT_SERVICE, "b",
		"address 10.96.0.1 port 80 TCP is that of service svc (test all.yaml:4) already");
	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.2", 80, "web"));
	PUT(x, facts_service("c", "10.96.0.2", 80, "web"));
	refused(x, FACT_SERVICE, "c", "address 10.96.0.2 port 80 TCP is that of service b (test all.yaml:4) already");
	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.1", 81, "web"));
	((struct service_port *)udp->ports)->proto = IPPROTO_UDP;
	PUT(x, udp);
	assert_true(commit(x));
	/* Two swap their addresses; svc keeps its own. */
	begin(x, "test");
	PUT(x, facts_service("svc", "10.96.0.1", 81, "web"));
	PUT(x, facts_service("b", "10.96.0.1", 80, "web"));
	assert_true(commit(x));
	begin(x, "test");
	PUT(x, facts_service("c", "10.96.0.1", 80, "web"));
	refused(x, FACT_SERVICE, "c", "address 10.96.0.1 port 80 TCP is that of service b (test all.yaml:4) already");
	begin(x, "test");
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("b"));
	PUT(x, facts_service("c", "10.96.0.1", 80, "web"));
	assert_true(commit(x));
}

static void test_cgroups_are_one_workload_s(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	PUT(x, facts_workload("b", "pods/client/"));
	refused(x, FACT_WORKLOAD, "b", "cgroup pods/client is that of workload client (test all.yaml:6) already");
	begin(x, "test");
	PUT(x, facts_workload("b", "/pods/../b"));
	refused(x, FACT_WORKLOAD, "b", "cgroup /pods/../b: must not contain \"..\"");
	begin(x, "test");
	PUT(x, facts_workload("b", ""));
	refused(x, FACT_WORKLOAD, "b", "cgroup: missing; a path below the captured cgroup");
	begin(x, "test");
	PUT(x, facts_workload("b", "/pods/..b"));
	assert_true(commit(x));
}

static void put_service_at(struct fixture *x, const char *ip)
{
	begin(x, "test");
	PUT(x, facts_service("b", ip, 80, "web"));
}

static void test_bad_services(void **state)
{
	struct fixture *x = *state;
	struct service_fact *s = facts_service("b", "10.96.0.2", 80, "web");

	put_service_at(x, "0.0.0.0");
	refused(x, FACT_SERVICE, "b", "address 0.0.0.0 is unspecified; a unicast address is needed");
	put_service_at(x, "::");
	refused(x, FACT_SERVICE, "b", "address :: is unspecified; a unicast address is needed");
	put_service_at(x, "224.0.0.1");
	refused(x, FACT_SERVICE, "b", "address 224.0.0.1 is a multicast address; a unicast address is needed");
	put_service_at(x, "ff02::1");
	refused(x, FACT_SERVICE, "b", "address ff02::1 is a multicast address; a unicast address is needed");
	put_service_at(x, "255.255.255.255");
	refused(x, FACT_SERVICE, "b", "address 255.255.255.255 is the broadcast address; a unicast address is needed");
	put_service_at(x, "127.0.0.2");
	assert_true(commit(x));
	begin(x, "test");
	s->naddrs = 0;
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "no address; give at least one");
	begin(x, "test");
	s = facts_service("b", "10.96.0.2", 80, "web");
	s->nports = 0;
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "no port; give at least one");
	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.2", 0, "web"));
	refused(x, FACT_SERVICE, "b", "ports[0].port 0: 1 to 65535");
	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.2", 80, ""));
	refused(x, FACT_SERVICE, "b", "ports[0].cluster: missing; a service without routes needs one for each port");
	begin(x, "test");
	s = facts_service("b", "10.96.0.2", 80, "");
	facts_service_route(s, "r");
	PUT(x, s);
	assert_true(commit(x));
	begin(x, "test");
	s = facts_service("b", "10.96.0.2", 80, "web");
	s->affinity_s = AFFINITY_S_MAX + 1;
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "affinity_s 86401: at most 86400");
	begin(x, "test");
	s = facts_service("b", "10.96.0.2", 80, "web");
	((struct service_port *)s->ports)->proto = 7;
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "ports[0].proto 7: not a known value");
}

static void test_listed_twice(void **state)
{
	struct fixture *x = *state;
	struct service_fact *s = facts_service("b", "10.96.0.2", 80, "web");
	struct ip *two = fact_alloc(&s->fact, 2 * sizeof(*two));

	two[0] = two[1] = s->addrs[0];
	s->addrs = two;
	s->naddrs = 2;
	begin(x, "test");
	PUT(x, s);
	refused(x, FACT_SERVICE, "b", "address 10.96.0.2 port 80 TCP is listed twice");
}

static void test_bad_hosts(void **state)
{
	struct fixture *x = *state;
	struct host *h = facts_host("web", "10.0.0.2", 80);
	struct fact_mark mark = facts_mark("test", "all.yaml", 2);

	h->weight = WEIGHT_MAX + 1;
	begin(x, "test");
	PUT(x, h);
	refused(x, FACT_HOST, "web|10.0.0.2|80", "weight 65536: at most 65535");
	h = facts_host("web", "10.0.0.2", 80);
	h->priority = 256;
	begin(x, "test");
	PUT(x, h);
	refused(x, FACT_HOST, "web|10.0.0.2|80", "priority 256: at most 255");
	begin(x, "test");
	PUT(x, facts_host("web", "0.0.0.0", 80));
	refused(x, FACT_HOST, "web|0.0.0.0|80", "address 0.0.0.0 is unspecified; a unicast address is needed");
	h = (struct host *)fact_new(FACT_HOST, SLICE_LIT("web|10.0.0.02|80"), &mark);
	h->cluster = fact_slice(&h->fact, SLICE_LIT("web"));
	h->ip = facts_ip("10.0.0.2");
	h->port = 80;
	begin(x, "test");
	PUT(x, h);
	refused(x, FACT_HOST, "web|10.0.0.02|80", "the key of this host is web|10.0.0.2|80");
	begin(x, "test");
	PUT(x, facts_host("web", "10.0.0.2", 0));
	assert_true(commit(x));
}

static void test_bad_names(void **state)
{
	struct fixture *x = *state;
	char name[600];

	memset(name, 'n', sizeof(name));
	name[513] = '\0';
	begin(x, "test");
	PUT(x, facts_cluster(name));
	refused(x, FACT_CLUSTER, name, "a name of 513 bytes; it has 1 to 512");
	begin(x, "test");
	PUT(x, facts_cluster(""));
	refused(x, FACT_CLUSTER, "", "a name of 0 bytes; it has 1 to 512");
	begin(x, "test");
	PUT(x, facts_cluster("a\nb"));
	refused(x, FACT_CLUSTER, "a\nb", "name: must be UTF-8 without control characters");
	begin(x, "test");
	PUT(x, facts_named(FACT_NODE, "me", 1));
	refused(x, FACT_NODE, "me", "a node has the empty key: there is one");
	begin(x, "test");
	PUT(x, facts_workload("b", "/pods/\xff"));
	refused(x, FACT_WORKLOAD, "b", "cgroup: must be UTF-8 without control characters");
	begin(x, "test");
	name[512] = '\0';
	PUT(x, facts_cluster(name));
	PUT(x, facts_named(FACT_NODE, "", 1));
	assert_true(commit(x));
}

/* Checks speak TLS with the settings of the cluster, which must be there; plainly they may ask whomever. */
static void test_checks_of_tls_hosts(void **state)
{
	struct fixture *x = *state;

	for (int way = 0; way < 4; way++) {
		struct cluster_fact *c = (struct cluster_fact *)facts_cluster("secure");

		c->tls.enabled = way & 1;
		c->health = (struct health_check){ .type = HEALTH_HTTP, .tls = way & 2, .interval_ms = 1, .timeout_ms = 1,
						   .healthy = 1, .unhealthy = 1 };
		c->health.path = fact_slice(&c->fact, SLICE_LIT("/"));
		begin(x, "test");
		PUT(x, c);
		if (way != 2)
			assert_true(commit(x));
		else
			refused(x, FACT_CLUSTER, "secure", "health.tls: the cluster has no tls, whose settings it would use");
	}
}

static void test_bad_routes_and_policies(void **state)
{
	struct fixture *x = *state;
	struct route *r = facts_route("b", "web");

	r->nhosts = 0;
	begin(x, "test");
	PUT(x, r);
	refused(x, FACT_ROUTE, "b", "no hosts; name at least one, \"*\" is any");
	r = facts_route("b", "web");
	r->nrules = 0;
	begin(x, "test");
	PUT(x, r);
	refused(x, FACT_ROUTE, "b", "no rules; give at least one");
	begin(x, "test");
	PUT(x, facts_policy("b", ""));
	refused(x, FACT_POLICY, "b", "service: missing; a policy is for one service");
}

static void test_too_large(void **state)
{
	struct fixture *x = *state;
	struct workload_fact *w = facts_workload("b", "/pods/b");
	size_t n = FACT_BYTES_MAX;
	char *text = malloc(n);

	memset(text, 'i', n);
	w->identity = fact_slice(&w->fact, (struct slice){ text, n });
	free(text);
	begin(x, "test");
	PUT(x, w);
	refused(x, FACT_WORKLOAD, "b", "1048629 bytes in all: at most 1048576");
}

static void test_all_that_is_wrong_is_said(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	PUT(x, facts_service("b", "10.96.0.2", 80, "nope"));
	PUT(x, facts_route("c", "nope"));
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	assert_false(commit(x));
	assert_int_equal(x->v.nrefused, 3);
	assert_int_equal(x->v.refused[0].kind, FACT_ROUTE);
	assert_true(slice_eq_str(x->v.refused[1].key, "b"));
	assert_true(slice_eq_str(x->v.refused[2].key, "svc"));
}

/* Cluster names may begin each other, and may hold the bar that ends them in a host's key. */
static void test_names_that_begin_each_other(void **state)
{
	static const char *const names[] = { "a", "a-b", "a|b", "a|b|c", "a.b" };
	struct fixture *x = *state;
	struct snapshot *s;

	begin(x, "test");
	for (int i = 0; i < 5; i++) {
		PUT(x, facts_cluster(names[i]));
		PUT(x, facts_host(names[i], "fe80::1", 80));
		PUT(x, facts_host(names[i], "10.0.0.1", 80));
	}
	assert_true(commit(x));
	s = store_build(x->store, 0);
	for (int i = 0; i < 5; i++) {
		const struct cluster *c = snapshot_cluster(s, slice_str(names[i]));

		assert_int_equal(c->nhosts, 2);
		for (int k = 0; k < 2; k++) {
			assert_true(slice_eq_str(c->hosts[k]->cluster, names[i]));
			assert_ptr_equal(snapshot_fact(s, FACT_HOST, c->hosts[k]->fact.key), c->hosts[k]);
		}
	}
	snapshot_drop(s);
}

/* Two transactions are open on the same key; the second to commit meets what the first made. */
static void test_interleaved(void **state)
{
	struct fixture *x = *state;
	struct store_tx *other = store_begin(x->store, SLICE_LIT("test"));
	const struct fact *was = store_fact(x->store, FACT_WORKLOAD, SLICE_LIT("client"));
	struct registry_verdict v;
	uint32_t slot = was->slot;

	store_put(other, &facts_workload("client", "/pods/client")->fact);
	begin(x, "test");
	store_del(x->tx, FACT_WORKLOAD, SLICE_LIT("client"));
	PUT(x, facts_workload("second", "/pods/second"));
	assert_true(commit(x));
	assert_false(has(x, FACT_WORKLOAD, "client"));
	assert_true(store_commit(other, 6, &v));
	assert_ptr_equal(store_fact(x->store, FACT_WORKLOAD, SLICE_LIT("client")), was);
	assert_int_equal(was->slot, slot);
	assert_int_not_equal(store_fact(x->store, FACT_WORKLOAD, SLICE_LIT("second"))->slot, slot);
	store_end(other);
	/* And once more after that: its number is free again when nobody knows it. */
	begin(x, "test");
	store_del(x->tx, FACT_WORKLOAD, SLICE_LIT("client"));
	assert_true(commit(x));
	begin(x, "test");
	PUT(x, facts_workload("third", "/pods/third"));
	assert_true(commit(x));
	assert_int_equal(store_fact(x->store, FACT_WORKLOAD, SLICE_LIT("third"))->slot, slot);
}

/* What it lacked comes by another transaction; it may grow in between. */
static void test_committed_again(void **state)
{
	struct fixture *x = *state;
	struct store_tx *other;
	struct registry_verdict v;

	begin(x, "test");
	for (char i = '0'; i < '5'; i++) {
		char ip[] = "10.96.0.2";

		ip[8] = i + 2;
		PUT(x, facts_service("b", ip, 80, "db"));
	}
	PUT(x, facts_workload("client", "/pods/client"));
	refused(x, FACT_SERVICE, "b",
		"ports[0].cluster: no cluster \"db\": nobody has given one of that name");
	refused(x, FACT_SERVICE, "b",
		"ports[0].cluster: no cluster \"db\": nobody has given one of that name");
	other = store_begin(x->store, SLICE_LIT("test"));
	store_put(other, facts_cluster("db"));
	store_del(other, FACT_WORKLOAD, SLICE_LIT("client"));
	assert_true(store_commit(other, 1, &v));
	store_end(other);
	PUT(x, facts_service("b", "10.96.0.9", 80, "db"));
	assert_true(commit(x));
	assert_true(has(x, FACT_WORKLOAD, "client"));
	assert_int_equal(((const struct service_fact *)store_fact(x->store, FACT_SERVICE, SLICE_LIT("b")))->addrs->b[15], 9);
}

/* Addresses that another registry found for a cluster's name go with the cluster; other hosts keep it. */
static void test_addresses_of_a_name_go_along(void **state)
{
	struct fixture *x = *state;
	struct cluster_fact *c = (struct cluster_fact *)facts_cluster("named");

	c->dns_host = fact_slice(&c->fact, SLICE_LIT("named.example"));
	c->dns_port = 80;
	begin(x, "test");
	PUT(x, c);
	assert_true(commit(x));
	begin(x, "dns");
	PUT(x, facts_host("named", "10.0.0.7", 80));
	PUT(x, facts_host("web", "10.0.0.8", 80));
	assert_true(commit(x));
	begin(x, "third");
	store_del(x->tx, FACT_HOST, SLICE_LIT("named|10.0.0.7|80"));
	assert_false(commit(x));
	begin(x, "test");
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("named"));
	assert_true(commit(x));
	assert_false(has(x, FACT_CLUSTER, "named"));
	assert_false(has(x, FACT_HOST, "named|10.0.0.7|80"));
	begin(x, "test");
	store_del(x->tx, FACT_HOST, SLICE_LIT("web|10.0.0.1|8080"));
	store_del(x->tx, FACT_SERVICE, SLICE_LIT("svc"));
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	store_del(x->tx, FACT_ROUTE, SLICE_LIT("r"));
	store_del(x->tx, FACT_CLUSTER, SLICE_LIT("web"));
	assert_false(commit(x));
	assert_true(has(x, FACT_HOST, "web|10.0.0.8|80"));
}

static void test_abandoned(void **state)
{
	struct fixture *x = *state;

	begin(x, "test");
	PUT(x, facts_cluster("db"));
	store_del(x->tx, FACT_POLICY, SLICE_LIT("only"));
	store_end(x->tx);
	x->tx = NULL;
	assert_false(has(x, FACT_CLUSTER, "db"));
	assert_true(has(x, FACT_POLICY, "only"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_taken),
		T(test_same_again),
		T(test_last_of_a_key_counts),
		T(test_unknown_names),
		T(test_nothing_of_a_refused_one_remains),
		T(test_deleting_what_is_named),
		T(test_a_name_moves_in_one_transaction),
		T(test_owner),
		T(test_addresses_are_one_service_s),
		T(test_cgroups_are_one_workload_s),
		T(test_bad_services),
		T(test_listed_twice),
		T(test_bad_hosts),
		T(test_bad_names),
		T(test_checks_of_tls_hosts), T(test_bad_routes_and_policies),
		T(test_too_large),
		T(test_all_that_is_wrong_is_said),
		T(test_names_that_begin_each_other),
		T(test_interleaved),
		T(test_committed_again),
		T(test_addresses_of_a_name_go_along), T(test_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
