// SPDX-License-Identifier: Apache-2.0
/* What snapshots share, what they keep, and what the store does for one change among many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/diff.h"
#include "model/store.h"

static struct snapshot *take(struct store *s, struct fact **facts, size_t n, const char *del_host)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct registry_verdict v;
	struct snapshot *snap;

	for (size_t i = 0; i < n; i++)
		store_put(tx, facts[i]);
	if (del_host)
		store_del(tx, FACT_HOST, slice_str(del_host));
	assert_true(store_commit(tx, 1, &v));
	snap = store_build(s, 0);
	assert_int_equal(v.snapshot, snapshot_number(snap));
	store_end(tx);
	return snap;
}

#define TAKE(s, ...)                                                                                                   \
	take(s, (struct fact *[]){ __VA_ARGS__ }, sizeof((struct fact *[]){ __VA_ARGS__ }) / sizeof(struct fact *), NULL)

static uint64_t built(const struct store *s)
{
	return stat_get(&store_stats(s)->clusters_built);
}

static void test_empty(void **state)
{
	struct store *s = store_new();
	struct snapshot *a, *b;

	(void)state;
	assert_true(store_dirty(s));
	a = store_build(s, 0);
	assert_false(store_dirty(s));
	assert_int_equal(snapshot_number(a), 1);
	assert_int_equal(snapshot_facts(a, FACT_SERVICE).n, 0);
	assert_null(snapshot_cluster(a, SLICE_LIT("web")));
	assert_null(snapshot_fact(a, FACT_HOST, SLICE_LIT("web|10.0.0.1|80")));
	assert_int_equal(snapshot_slots(a, FACT_HOST), 0);
	b = store_build(s, 40);
	assert_int_equal(store_number(s), 40);
	assert_ptr_equal(a->clusters, b->clusters);
	snapshot_drop(a);
	snapshot_drop(b);
	assert_int_equal(store_bury(s), 2);
	store_free(s);
	store_free(NULL);
}

static void test_sharing(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = TAKE(s, facts_cluster("web"), facts_cluster("db"), &facts_host("web", "10.0.0.1", 80)->fact,
				  &facts_host("web", "10.0.0.2", 80)->fact, &facts_host("db", "10.0.0.3", 5432)->fact,
				  &facts_service("svc", "10.96.0.1", 80, "web")->fact);
	const struct cluster *web = snapshot_cluster(a, SLICE_LIT("web")), *now;
	struct host *heavy = facts_host("web", "10.0.0.2", 80);
	uint64_t before = built(s);
	struct snapshot *b;

	(void)state;
	heavy->weight = 2;
	b = TAKE(s, &heavy->fact);
	now = snapshot_cluster(b, SLICE_LIT("web"));
	assert_int_equal(built(s), before + 1);
	assert_ptr_equal(a->facts[FACT_SERVICE], b->facts[FACT_SERVICE]);
	assert_ptr_equal(a->facts[FACT_CLUSTER], b->facts[FACT_CLUSTER]);
	assert_ptr_equal(snapshot_cluster(a, SLICE_LIT("db")), snapshot_cluster(b, SLICE_LIT("db")));
	assert_ptr_not_equal(now, web);
	assert_ptr_equal(now->hosts[0], web->hosts[0]);
	assert_ptr_not_equal(now->hosts[1], web->hosts[1]);
	assert_int_equal(now->hosts[1]->fact.slot, web->hosts[1]->fact.slot);
	assert_int_equal(web->hosts[1]->weight, 1);
	assert_int_equal(now->hosts[1]->weight, 2);
	assert_int_equal(web->generation, 1);
	assert_int_equal(now->generation, 2);
	snapshot_drop(a);
	assert_int_equal(store_bury(s), 1);
	assert_int_equal(now->hosts[0]->fact.refs, 1);
	assert_int_equal(now->nhosts, 2);
	snapshot_drop(b);
	store_free(s);
}

static void test_settings_of_a_cluster(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = TAKE(s, facts_cluster("web"), &facts_host("web", "10.0.0.1", 80)->fact), *b;
	struct fact *f = facts_cluster("web");

	(void)state;
	((struct cluster_fact *)f)->lb = LB_POLICY_MAGLEV;
	b = TAKE(s, f);
	assert_int_equal(snapshot_cluster(a, SLICE_LIT("web"))->conf->lb, LB_POLICY_LEAST_REQUEST);
	assert_int_equal(snapshot_cluster(b, SLICE_LIT("web"))->conf->lb, LB_POLICY_MAGLEV);
	assert_ptr_equal(snapshot_cluster(b, SLICE_LIT("web"))->hosts[0], snapshot_cluster(a, SLICE_LIT("web"))->hosts[0]);
	assert_int_equal(snapshot_cluster(b, SLICE_LIT("web"))->slot, snapshot_cluster(a, SLICE_LIT("web"))->slot);
	snapshot_drop(a);
	snapshot_drop(b);
	store_free(s);
}

/* A host's number waits while a snapshot knows it, and is the next one's after that. */
static void test_slots(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = TAKE(s, facts_cluster("web"), &facts_host("web", "10.0.0.1", 80)->fact), *b, *c, *d;
	uint32_t slot = snapshot_fact(a, FACT_HOST, SLICE_LIT("web|10.0.0.1|80"))->slot;

	(void)state;
	b = take(s, (struct fact *[]){ &facts_host("web", "10.0.0.2", 80)->fact }, 1, "web|10.0.0.1|80");
	assert_int_not_equal(snapshot_fact(b, FACT_HOST, SLICE_LIT("web|10.0.0.2|80"))->slot, slot);
	c = TAKE(s, &facts_host("web", "10.0.0.1", 80)->fact);
	assert_int_equal(snapshot_fact(c, FACT_HOST, SLICE_LIT("web|10.0.0.1|80"))->slot, slot);
	snapshot_drop(c);
	snapshot_drop(a);
	store_bury(s);
	c = take(s, NULL, 0, "web|10.0.0.1|80");
	store_bury(s);
	d = TAKE(s, &facts_host("web", "10.0.0.3", 80)->fact);
	assert_int_equal(snapshot_fact(d, FACT_HOST, SLICE_LIT("web|10.0.0.3|80"))->slot, slot);
	assert_int_equal(snapshot_slots(d, FACT_HOST), 2);
	snapshot_drop(b);
	snapshot_drop(c);
	snapshot_drop(d);
	store_free(s);
}

static void test_hold(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = TAKE(s, facts_cluster("web"));

	(void)state;
	assert_ptr_equal(snapshot_hold(a), a);
	snapshot_drop(a);
	assert_int_equal(store_bury(s), 0);
	assert_int_equal(snapshot_number(a), 1);
	snapshot_drop(a);
	snapshot_drop(NULL);
	assert_int_equal(store_bury(s), 1);
	assert_int_equal(stat_get(&store_stats(s)->snapshots_buried), 1);
	store_free(s);
}

/* A fact that somebody keeps outlives the store. */
static void test_fact_outlives_store(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = TAKE(s, facts_cluster("web"));
	struct fact *f = fact_hold(snapshot_fact(a, FACT_CLUSTER, SLICE_LIT("web")));

	(void)state;
	snapshot_drop(a);
	store_free(s);
	assert_int_equal(fact_mark(f).line, 1);
	fact_drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty), cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_settings_of_a_cluster), cmocka_unit_test(test_slots),
		cmocka_unit_test(test_hold), cmocka_unit_test(test_fact_outlives_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
