// SPDX-License-Identifier: Apache-2.0
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

static struct snapshot *commit(struct store *s, struct store_tx *tx)
{
	struct registry_verdict v;

	assert_true(store_commit(tx, 1, &v));
	store_end(tx);
	return store_build(s, 0);
}

static struct snapshot *first(struct store *s)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));

	store_put(tx, facts_cluster("a"));
	store_put(tx, facts_cluster("b"));
	store_put(tx, facts_cluster("c"));
	store_put(tx, &facts_host("b", "10.0.0.1", 80)->fact);
	store_put(tx, &facts_host("b", "10.0.0.2", 80)->fact);
	store_put(tx, &facts_host("c", "10.0.0.3", 80)->fact);
	store_put(tx, &facts_service("s", "10.96.0.1", 80, "b")->fact);
	store_put(tx, &facts_service("t", "10.96.0.2", 80, "b")->fact);
	return commit(s, tx);
}

static void is(struct fact_change c, const char *key, bool old, bool now)
{
	const struct fact *f = c.now ? c.now : c.old;

	assert_true(slice_eq_str(f->key, key));
	assert_int_equal(c.old != NULL, old);
	assert_int_equal(c.now != NULL, now);
	assert_true(c.old != c.now);
}

static void test_from_nothing(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = first(s);
	struct diff d;

	(void)state;
	diff_init(&d, NULL, a);
	assert_false(diff_empty(&d));
	assert_int_equal(d.facts[FACT_CLUSTER].n, 3);
	assert_int_equal(d.clusters.n, 3);
	assert_int_equal(d.facts[FACT_HOST].n, 3);
	is(d.facts[FACT_HOST].v[0], "b|10.0.0.1|80", false, true);
	is(d.facts[FACT_SERVICE].v[1], "t", false, true);
	assert_null(d.clusters.v[0].old);
	diff_fini(&d);
	snapshot_drop(a);
	store_free(s);
}

static void test_changes(void **state)
{
	struct store *s = store_new();
	struct snapshot *a = first(s), *b;
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct host *h = facts_host("b", "10.0.0.2", 80);
	struct diff d;

	(void)state;
	h->state = HOST_DRAINING;
	store_put(tx, &h->fact);
	store_put(tx, &facts_host("b", "10.0.0.0", 80)->fact);
	store_del(tx, FACT_HOST, SLICE_LIT("b|10.0.0.1|80"));
	store_del(tx, FACT_HOST, SLICE_LIT("c|10.0.0.3|80"));
	store_del(tx, FACT_CLUSTER, SLICE_LIT("c"));
	store_put(tx, facts_cluster("aa"));
	store_put(tx, &facts_service("s", "10.96.0.1", 80, "b")->fact);
	store_put(tx, &facts_service("t", "10.96.0.2", 81, "b")->fact);
	b = commit(s, tx);
	diff_init(&d, a, b);
	assert_int_equal(d.facts[FACT_SERVICE].n, 1);
	is(d.facts[FACT_SERVICE].v[0], "t", true, true);
	assert_int_equal(d.facts[FACT_CLUSTER].n, 2);
	is(d.facts[FACT_CLUSTER].v[0], "aa", false, true);
	is(d.facts[FACT_CLUSTER].v[1], "c", true, false);
	assert_int_equal(d.clusters.n, 3);
	assert_int_equal(d.clusters.v[1].now->nhosts, 2);
	assert_null(d.clusters.v[2].now);
	assert_int_equal(d.facts[FACT_HOST].n, 4);
	is(d.facts[FACT_HOST].v[0], "b|10.0.0.0|80", false, true);
	is(d.facts[FACT_HOST].v[1], "b|10.0.0.1|80", true, false);
	is(d.facts[FACT_HOST].v[2], "b|10.0.0.2|80", true, true);
	is(d.facts[FACT_HOST].v[3], "c|10.0.0.3|80", true, false);
	diff_fini(&d);
	diff_init(&d, b, b);
	assert_true(diff_empty(&d));
	assert_int_equal(d.looked_at, 0);
	diff_fini(&d);
	snapshot_drop(a);
	snapshot_drop(b);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_from_nothing), cmocka_unit_test(test_changes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
