// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include "example.h"
#include "lib/facts.h"
#include "model/dump.h"
#include "model/store.h"
#include "weft/buf.h"

static void dumps_to(const struct fact *f, unsigned flags, const char *want)
{
	json_t *j = dump_fact(f, flags);
	char *s = json_dumps(j, JSON_COMPACT);

	assert_string_equal(s, want);
	free(s);
	json_decref(j);
}

static void test_facts(void **state)
{
	struct service_fact *s = facts_service("svc", "10.96.0.1", 80, "web");
	struct host *h = facts_host("web", "10.0.0.1", 8080);
	const struct name_value v[] = { { SLICE_LIT("version"), SLICE_LIT("v1") } };
	struct workload_fact *w = facts_workload("w", "/pods/w");

	(void)state;
	facts_service_route(s, "r");
	dumps_to(&s->fact, DUMP_MARKS | DUMP_SLOTS,
		 "{\"name\":\"svc\",\"addrs\":[\"10.96.0.1\"],\"ports\":[{\"port\":80,\"target\":0,\"proto\":\"TCP\","
		 "\"cluster\":\"web\"}],\"routes\":[\"r\"],\"affinity_s\":0,\"fail\":\"open\",\"registry\":\"test\","
		 "\"mark\":\"all.yaml:4\"}");
	h->locality = fact_locality(&h->fact, SLICE_LIT("eu"), (struct slice){ NULL, 0 });
	h->metadata = fact_pairs(&h->fact, v, 1);
	dumps_to(&h->fact, 0,
		 "{\"cluster\":\"web\",\"ip\":\"10.0.0.1\",\"port\":8080,\"state\":\"ready\",\"weight\":1,\"priority\":0,"
		 "\"locality\":{\"region\":\"eu\"},\"metadata\":{\"version\":\"v1\"}}");
	w->paused = true;
	dumps_to(&w->fact, 0,
		 "{\"name\":\"w\",\"cgroup\":\"/pods/w\",\"splice\":\"maybe\",\"paused\":true,\"exempt\":false}");
	fact_drop(&s->fact);
	fact_drop(&h->fact);
	fact_drop(&w->fact);
}

/* The example of docs/model.md. */
static void test_example(void **state)
{
	struct service_fact *s = facts_service("web.default", "10.96.0.10", 80, "web");
	char *want = example_block("json");
	struct fact_place *place = (struct fact_place *)s->fact.place;

	(void)state;
	((struct service_port *)s->ports)->target = 8080;
	*place = (struct fact_place){ SLICE_LIT("files"), SLICE_LIT("web.yaml") };
	s->fact.line = 3;
	want[strcspn(want, "\n")] = '\0';
	dumps_to(&s->fact, DUMP_MARKS, want);
	free(want);
	fact_drop(&s->fact);
}

/* A file may have any name. */
static void test_odd_mark(void **state)
{
	struct fact_mark mark = facts_mark("files", "caf\xe9.yaml", 0);
	struct fact *f = fact_new(FACT_ROUTE, SLICE_LIT("r"), &mark);

	(void)state;
	dumps_to(f, DUMP_MARKS, "{\"name\":\"r\",\"registry\":\"files\",\"mark\":\"caf?.yaml\"}");
	fact_drop(f);
}

/* Structs inside are objects, bits are words, subsets are objects, and nothing of a key can be read. */
static void test_shapes(void **state)
{
	struct secret *k = facts_secret("a|b");
	struct route *r = facts_route("r", "web");
	struct route_rule *rule = (struct route_rule *)r->rules;
	const struct name_value v1 = { SLICE_LIT("version"), SLICE_LIT("v1") };
	struct fact *c = facts_cluster("c");
	json_t *j = dump_fact(c, 0), *whole;

	(void)state;
	k->private_key = SLICE_LIT("-----BEGIN PRIVATE KEY-----\nsecret\n");
	dumps_to(&k->fact, 0, "{\"name\":\"a|b\",\"certificate\":\"59 bytes\",\"private_key\":\"35 bytes\"}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(j, "health"), "type")), "none");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "pool"), "max_requests")), 1024);
	json_decref(j);
	rule->retry_on = 1u << RETRY_ON_RESET | 1u << RETRY_ON_5XX;
	((struct route_backend *)rule->backends)->subset = &v1;
	((struct route_backend *)rule->backends)->nsubset = 1;
	whole = dump_fact(&r->fact, 0);
	j = json_array_get(json_object_get(whole, "rules"), 0);
	assert_int_equal(json_array_size(json_object_get(j, "retry_on")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "retry_on"), 1)), "5xx");
	j = json_object_get(json_array_get(json_object_get(j, "backends"), 0), "subset");
	assert_string_equal(json_string_value(json_object_get(j, "version")), "v1");
	json_decref(whole);
	fact_drop(&k->fact);
	fact_drop(&r->fact);
	fact_drop(c);
}

static int collect(void *arg, struct slice piece)
{
	return buf_add(arg, piece.p, piece.n);
}

static int full(void *arg, struct slice piece)
{
	(void)piece;
	return --*(int *)arg ? 0 : -ENOSPC;
}

static struct snapshot *small(struct store *s)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct registry_verdict v;

	store_put(tx, facts_cluster("db"));
	store_put(tx, facts_cluster("web"));
	store_put(tx, &facts_host("web", "10.0.0.1", 80)->fact);
	store_put(tx, &facts_host("web", "10.0.0.2", 80)->fact);
	store_put(tx, &facts_service("svc", "10.96.0.1", 80, "web")->fact);
	store_put(tx, facts_named(FACT_NODE, "", 1));
	assert_true(store_commit(tx, 1, &v));
	store_end(tx);
	return store_build(s, 7);
}

static void test_snapshot(void **state)
{
	struct store *s = store_new();
	struct snapshot *snap = small(s);
	const json_t *clusters;
	struct buf b;
	struct slice text;
	json_t *j;

	(void)state;
	buf_init(&b);
	assert_int_equal(dump_snapshot(snap, DUMP_SLOTS, collect, &b), 0);
	text = buf_pull(&b, b.len);
	j = json_loadb(text.p, text.n, 0, NULL);
	assert_non_null(j);
	assert_int_equal(json_integer_value(json_object_get(j, "snapshot")), 7);
	assert_true(json_is_object(json_object_get(j, "node")));
	clusters = json_object_get(j, "clusters");
	assert_int_equal(json_array_size(clusters), 2);
	assert_int_equal(json_array_size(json_object_get(json_array_get(clusters, 0), "hosts")), 0);
	assert_int_equal(json_array_size(json_object_get(json_array_get(clusters, 1), "hosts")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "services")), 1);
	assert_int_equal(json_array_size(json_object_get(j, "policies")), 0);
	json_decref(j);
	buf_fini(&b);
	snapshot_drop(snap);
	store_free(s);
}

/* Whatever piece the receiver refuses, that is what comes back. */
static void test_receiver_full(void **state)
{
	struct store *s = store_new();
	struct snapshot *snap = small(s);
	int at = 0, left, err;

	(void)state;
	do {
		left = ++at;
		err = dump_snapshot(snap, 0, full, &left);
		assert_true(err == -ENOSPC || !err);
	} while (err);
	assert_in_range(at, 20, 60);
	snapshot_drop(snap);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_odd_mark),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_receiver_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
