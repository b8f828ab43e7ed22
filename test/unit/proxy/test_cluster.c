// SPDX-License-Identifier: Apache-2.0
/* Picks: subsets, priorities, places, panic, tried hosts, draining, changes under way, names that come and go. */
#include <errno.h>
#include "kit.h"
#include "proxy/cluster_priv.h"
#include "proxy/cluster_set.h"
#include "proxy/cluster_view.h"
#include "proxy/plan_sets.h"

#define ROUNDS 1000

static void count(struct kit *k, const struct route_backend *b, unsigned times, unsigned *got)
{
	struct cluster_ask ask = { .backend = b, .lb.now_ns = k->now_ns };
	struct pick p;

	memset(got, 0, 256 * sizeof(*got));
	for (unsigned i = 0; i < times; i++) {
		assert_int_equal(cluster_pick(k->clusters[0], &ask, CLUSTER_REQUEST, &p), 0);
		got[kit_last(p.host)]++;
		kit_ok(k, &p);
	}
}

static void set_state(struct kit *k, const char *cluster, unsigned last, uint32_t set, uint32_t clear)
{
	struct shared_cluster *c = shared_cluster_find(&k->shared, slice_str(cluster));
	struct net_addr a = { .port = 80 };
	char ip[32];

	snprintf(ip, sizeof(ip), "10.0.0.%u", last);
	a.ip = facts_ip(ip);
	assert_true(shared_host_set(c, shared_host_find(c, plan_key(&a)), set, clear, k->now_ns));
}

static void test_names(void **state)
{
	struct pick p;
	struct kit k;

	(void)state;
	kit_init(&k);
	assert_int_equal(kit_pick(&k, 0, "web", &p), -ENOENT);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_ROUND_ROBIN));
	kit_commit(&k);
	assert_int_equal(kit_pick(&k, 0, "web", &p), -EHOSTUNREACH);
	assert_int_equal(kit_pick(&k, 0, "other", &p), -ENOENT);
	kit_begin(&k);
	kit_hosts(&k, "web", 1, 1);
	kit_commit(&k);
	assert_int_equal(kit_pick(&k, 0, "web", &p), 1);
	assert_int_equal(p.addr.port, 80);
	kit_ok(&k, &p);
	kit_fini(&k);
}

/* A host that leaves while it is used; a cluster that goes while it is used, and comes back. */
static void test_changes_under_way(void **state)
{
	struct pick a, b, c;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_ROUND_ROBIN));
	kit_hosts(&k, "web", 1, 2);
	kit_commit(&k);
	assert_true(kit_pick(&k, 0, "web", &a) > 0);
	assert_true(kit_pick(&k, 0, "web", &b) > 0);
	assert_true(cluster_conn_open(&a));
	kit_begin(&k);
	store_del(k.tx, FACT_HOST, a.host->fact.key);
	kit_commit(&k);
	assert_false(cluster_has(a.use, a.key));
	assert_true(cluster_has(b.use, b.key));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(kit_pick(&k, 0, "web", &c), kit_last(b.host));
		kit_ok(&k, &c);
	}
	assert_int_equal(a.host->port, 80);     /* still there to be read */
	kit_begin(&k);
	store_del(k.tx, FACT_HOST, b.host->fact.key);
	store_del(k.tx, FACT_CLUSTER, SLICE_LIT("web"));
	kit_commit(&k);
	assert_true(cluster_gone(b.use));
	assert_int_equal(kit_pick(&k, 1, "web", &c), -ENOENT);
	kit_ok(&k, &b);
	cluster_conn_closed(a.use, a.key);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_RANDOM));
	kit_hosts(&k, "web", 7, 1);
	kit_commit(&k);
	assert_false(cluster_gone(a.use));
	assert_int_equal(kit_pick(&k, 0, "web", &c), 7);
	assert_ptr_equal(c.use, a.use);
	kit_ok(&k, &a);
	kit_ok(&k, &c);
	kit_fini(&k);
}

/* An unchanged cluster keeps its view and no old snapshot; the numbers of a changed one stay. */
static void test_carried_over(void **state)
{
	struct pick p[6];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_LEAST_REQUEST));
	kit_put(&k, kit_cluster("other", LB_POLICY_RANDOM));
	kit_hosts(&k, "web", 1, 2);
	kit_commit(&k);
	for (int i = 0; i < 3; i++)
		assert_true(kit_pick(&k, 0, "web", &p[i]) > 0);
	kit_begin(&k);
	kit_hosts(&k, "other", 9, 1);
	kit_commit(&k);
	assert_int_equal(stat_get(&clusters_stat(k.clusters[0])->rebuilds), 1);
	assert_int_equal(stat_get(&store_stats(k.store)->snapshots_buried), 1);
	kit_begin(&k);
	kit_hosts(&k, "web", 3, 1);
	kit_commit(&k);
	assert_int_equal(stat_get(&clusters_stat(k.clusters[0])->rebuilds), 2);
	/* Three are under way on the first two: the new one is the idle one, and so chosen whenever it is looked at. */
	unsigned third = 0;
	for (int i = 3; i < 6; i++)
		third += kit_pick(&k, 0, "web", &p[i]) == 3;
	assert_true(third >= 1);
	for (int i = 0; i < 6; i++)
		kit_ok(&k, &p[i]);
	kit_fini(&k);
}

static void test_subsets(void **state)
{
	struct name_value v2 = { SLICE_LIT("version"), SLICE_LIT("v2") }, v9 = { SLICE_LIT("version"), SLICE_LIT("v9") };
	struct route_backend b = kit_backend("web");
	static const enum subset_fallback falls[] = { SUBSET_NONE, SUBSET_ANY, SUBSET_DEFAULT };
	unsigned got[256];

	(void)state;
	for (int f = 0; f < 3; f++) {
		struct cluster_fact *c = kit_cluster("web", LB_POLICY_ROUND_ROBIN);
		struct subset_keys *keys = fact_alloc(&c->fact, sizeof(*keys));
		struct slice *name = fact_alloc(&c->fact, sizeof(*name));
		struct name_value *dflt = fact_alloc(&c->fact, sizeof(*dflt));
		struct cluster_ask ask = { .backend = &b };
		struct pick p;
		struct kit k;

		kit_init(&k);
		kit_begin(&k);
		*name = SLICE_LIT("version");
		*keys = (struct subset_keys){ name, 1 };
		*dflt = (struct name_value){ SLICE_LIT("version"), SLICE_LIT("v1") };
		c->subsets = keys;
		c->nsubsets = 1;
		c->fallback = falls[f];
		if (falls[f] == SUBSET_DEFAULT) {
			c->subset_default = dflt;
			c->nsubset_default = 1;
		}
		kit_put(&k, c);
		for (unsigned i = 1; i <= 6; i++) {
			struct host *h = kit_host("web", i, 80);

			kit_metadata(h, "version", i <= 2 ? "v1" : "v2");
			kit_put(&k, h);
		}
		kit_commit(&k);
		b.subset = &v2;
		b.nsubset = 1;
		count(&k, &b, 40, got);
		assert_true(got[1] + got[2] == 0 && got[3] == 10 && got[6] == 10);
		b.subset = &v9;
		ask.lb.now_ns = k.now_ns;
		if (falls[f] == SUBSET_NONE) {
			assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), -EHOSTUNREACH);
		} else {
			count(&k, &b, 60, got);
			assert_int_equal(got[1], falls[f] == SUBSET_ANY ? 10 : 30);
			assert_int_equal(got[4], falls[f] == SUBSET_ANY ? 10 : 0);
		}
		b.nsubset = 0;
		count(&k, &b, 60, got);
		assert_int_equal(got[1], 10);
		assert_int_equal(got[4], 10);
		kit_fini(&k);
	}
}

static const struct plan_sets *named_set(struct kit *k, unsigned w, const struct name_value *want)
{
	struct route_backend b = kit_backend("web");
	struct cluster_ask ask = { .backend = &b, .lb = { .now_ns = k->now_ns, .has_hash = true, .hash = 5 } };
	struct pick p;

	b.subset = want;
	b.nsubset = 1;
	assert_int_equal(cluster_pick(k->clusters[w], &ask, CLUSTER_REQUEST, &p), 0);
	assert_int_equal(kit_last(p.host) <= 3, slice_eq_str(want->value, "v1"));
	kit_ok(k, &p);
	return plan_sets_find(plans_find(k->now, SLICE_LIT("web")), plan_want_hash(want, 1), want, 1);
}

/* Subsets of web that this worker put together by itself. */
static unsigned own_subsets(struct kit *k, unsigned w)
{
	const struct view *v = use_find(k->clusters[w], SLICE_LIT("web"))->view;
	unsigned n = 0;

	for (size_t i = 0; i < v->subsets.n; i++)
		n += v->subsets.v[i]->own != NULL;
	return n;
}

static void put_named(struct kit *k, const char *route, const struct name_value *want)
{
	struct route *r = facts_route(route, "web");
	struct route_backend *b = (struct route_backend *)r->rules[0].backends;

	b->subset = fact_pairs(&r->fact, want, 1).v;
	b->nsubset = 1;
	kit_put(k, r);
}

/* A cluster that declares none: the plan has what routes name, one table for all workers, and changes with them. */
static void test_subsets_that_routes_name(void **state)
{
	const struct name_value v1 = { SLICE_LIT("version"), SLICE_LIT("v1") }, v2 = { SLICE_LIT("version"), SLICE_LIT("v2") };
	const struct plan *plan;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_MAGLEV));
	for (unsigned i = 1; i <= 6; i++) {
		struct host *h = kit_host("web", i, 80);

		kit_metadata(h, "version", i <= 3 ? "v1" : "v2");
		kit_put(&k, h);
	}
	put_named(&k, "a", &v1);
	put_named(&k, "b", &v1);
	kit_commit(&k);
	plan = plans_find(k.now, SLICE_LIT("web"));
	assert_int_equal(plan->subsets.n, 1);
	for (unsigned w = 0; w < KIT_WORKERS; w++)
		assert_non_null(named_set(&k, w, &v1));
	assert_int_equal(own_subsets(&k, 0), 0);
	/* Another snapshot with the same names: the same plan. */
	kit_begin(&k);
	kit_put(&k, kit_cluster("other", LB_POLICY_RANDOM));
	kit_commit(&k);
	assert_ptr_equal(plans_find(k.now, SLICE_LIT("web")), plan);
	/* One name more. */
	kit_begin(&k);
	put_named(&k, "b", &v2);
	kit_commit(&k);
	assert_ptr_not_equal(plans_find(k.now, SLICE_LIT("web")), plan);
	for (unsigned w = 0; w < KIT_WORKERS; w++) {
		assert_non_null(named_set(&k, w, &v1));
		assert_non_null(named_set(&k, w, &v2));
		assert_int_equal(own_subsets(&k, w), 0);
	}
	/* Named no more, and a request that began before: still its own hosts. */
	kit_begin(&k);
	put_named(&k, "b", &v1);
	kit_commit(&k);
	assert_null(named_set(&k, 1, &v2));
	assert_int_equal(own_subsets(&k, 1), 1);
	kit_fini(&k);
}

static void priorities(struct kit *k, uint32_t panic)
{
	struct cluster_fact *c = kit_cluster("web", LB_POLICY_RANDOM);

	c->panic_percent = panic;
	kit_init(k);
	kit_begin(k);
	kit_put(k, c);
	for (unsigned i = 1; i <= 20; i++) {
		struct host *h = kit_host("web", i, 80);

		h->priority = i > 10 ? 5 : 0;
		kit_put(k, h);
	}
	kit_commit(k);
}

static unsigned sum(const unsigned *got, unsigned first, unsigned last)
{
	unsigned n = 0;

	for (unsigned i = first; i <= last; i++)
		n += got[i];
	return n;
}

static void test_priorities(void **state)
{
	struct route_backend b = kit_backend("web");
	unsigned got[256];
	struct kit k;

	(void)state;
	priorities(&k, 50);
	count(&k, &b, ROUNDS, got);
	assert_int_equal(sum(got, 1, 10), ROUNDS);
	/* 8 of 10: 112 %, all stays. 5 of 10: 70 %, three tenths spill. None: all. */
	set_state(&k, "web", 1, HOST_UNHEALTHY, 0);
	set_state(&k, "web", 2, HOST_EJECTED, 0);
	count(&k, &b, ROUNDS, got);
	assert_int_equal(sum(got, 3, 10), ROUNDS);
	for (unsigned i = 3; i <= 5; i++)
		set_state(&k, "web", i, HOST_UNHEALTHY, 0);
	count(&k, &b, ROUNDS, got);
	assert_in_range(sum(got, 6, 10), 640, 760);
	assert_int_equal(sum(got, 1, 10) + sum(got, 11, 20), ROUNDS);
	assert_int_equal(sum(got, 1, 5), 0);
	for (unsigned i = 6; i <= 10; i++)
		set_state(&k, "web", i, HOST_UNHEALTHY, 0);
	count(&k, &b, ROUNDS, got);
	assert_int_equal(sum(got, 11, 20), ROUNDS);
	set_state(&k, "web", 4, 0, HOST_UNHEALTHY);
	count(&k, &b, ROUNDS, got);
	assert_in_range(got[4], 100, 180);
	kit_fini(&k);
}

static void test_panic(void **state)
{
	struct route_backend b = kit_backend("web");
	unsigned got[256];
	struct pick p;
	struct kit k;

	(void)state;
	priorities(&k, 50);
	for (unsigned i = 1; i <= 20; i++)
		if (i % 10 > 2)
			set_state(&k, "web", i, HOST_UNHEALTHY, 0);
	/* Each level has 3 of 10: 84 % together, below the threshold: health is not looked at. */
	count(&k, &b, 20 * ROUNDS, got);
	for (unsigned i = 1; i <= 20; i++)
		assert_true(got[i] > 600);
	assert_int_equal(stat_get(&clusters_stat(k.clusters[0])->panics), 20 * ROUNDS);
	kit_fini(&k);

	priorities(&k, 0);
	for (unsigned i = 1; i <= 20; i++)
		if (i != 13)
			set_state(&k, "web", i, HOST_UNHEALTHY, 0);
	count(&k, &b, ROUNDS, got);
	assert_int_equal(got[13], ROUNDS);
	set_state(&k, "web", 13, HOST_EJECTED, 0);
	assert_int_equal(kit_pick(&k, 0, "web", &p), -EHOSTUNREACH);
	kit_fini(&k);
}

static void test_places(void **state)
{
	struct route_backend b = kit_backend("web");
	struct node *n = (struct node *)facts_named(FACT_NODE, "", 1);
	unsigned got[256];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	n->locality = fact_locality(&n->fact, SLICE_LIT("r1"), SLICE_LIT("z1"));
	kit_put(&k, n);
	for (int prefer = LOCALITY_ANY; prefer <= LOCALITY_ZONE; prefer++) {
		static const char *const names[] = { "any", "region", "zone" };
		struct cluster_fact *c = kit_cluster(names[prefer], LB_POLICY_ROUND_ROBIN);

		c->prefer = prefer;
		kit_put(&k, c);
		for (unsigned i = 1; i <= 6; i++) {
			struct host *h = kit_host(names[prefer], i, 80);

			h->locality = fact_locality(&h->fact, i <= 4 ? SLICE_LIT("r1") : SLICE_LIT("r2"),
						    i <= 2 ? SLICE_LIT("z1") : SLICE_LIT("z2"));
			kit_put(&k, h);
		}
	}
	kit_commit(&k);
	count(&k, &b, 0, got);
	b = kit_backend("any");
	count(&k, &b, 60, got);
	assert_int_equal(got[6], 10);
	b = kit_backend("region");
	count(&k, &b, 60, got);
	assert_int_equal(sum(got, 1, 4), 60);
	b = kit_backend("zone");
	count(&k, &b, 60, got);
	assert_int_equal(got[1], 30);
	assert_int_equal(got[2], 30);
	set_state(&k, "zone", 1, HOST_UNHEALTHY, 0);
	count(&k, &b, 60, got);
	assert_int_equal(got[2], 60);
	set_state(&k, "zone", 2, HOST_UNHEALTHY, 0);
	count(&k, &b, 60, got);
	assert_int_equal(sum(got, 3, 6), 60);
	kit_fini(&k);
}

static void test_tried(void **state)
{
	struct route_backend b = kit_backend("web");
	struct kit k;

	(void)state;
	priorities(&k, 50);
	for (int round = 0; round < 50; round++) {
		struct cluster_ask ask = { .backend = &b, .lb.now_ns = k.now_ns };
		struct pick p;

		for (; ask.ntried < CLUSTER_TRIED_MAX; ask.ntried++) {
			assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), 0);
			for (uint32_t i = 0; i < ask.ntried; i++)
				assert_true(ask.tried[i] != p.key);
			ask.tried[ask.ntried] = p.key;
			kit_ok(&k, &p);
		}
	}
	kit_fini(&k);
	/* The only one is given again. */
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_MAGLEV));
	kit_hosts(&k, "web", 1, 1);
	kit_commit(&k);
	struct cluster_ask ask = { .backend = &b, .lb.now_ns = k.now_ns };
	struct pick p;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), 0);
		ask.tried[ask.ntried++] = p.key;
		kit_ok(&k, &p);
	}
	kit_fini(&k);
}

static void test_draining_and_weightless(void **state)
{
	struct route_backend b = kit_backend("web");
	struct host *h;
	unsigned got[256];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_ROUND_ROBIN));
	kit_hosts(&k, "web", 1, 2);
	h = kit_host("web", 3, 80);
	h->state = HOST_DRAINING;
	kit_put(&k, h);
	h = kit_host("web", 4, 80);
	h->weight = 0;
	kit_put(&k, h);
	h = kit_host("web", 5, 80);
	h->weight = 3;
	kit_put(&k, h);
	kit_commit(&k);
	count(&k, &b, 50, got);
	assert_int_equal(got[1], 10);
	assert_int_equal(got[5], 30);
	assert_int_equal(got[3] + got[4], 0);
	kit_fini(&k);
}

static void test_slow_start(void **state)
{
	struct route_backend b = kit_backend("web");
	struct cluster_fact *c = kit_cluster("web", LB_POLICY_ROUND_ROBIN);
	unsigned got[256];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	c->slow_start_ms = 10000;
	kit_put(&k, c);
	kit_hosts(&k, "web", 1, 4);
	kit_commit(&k);
	count(&k, &b, 400, got);
	assert_int_equal(got[4], 100);
	kit_begin(&k);
	kit_hosts(&k, "web", 5, 1);
	kit_commit(&k);
	count(&k, &b, 4100, got);
	assert_in_range(got[5], 50, 160);
	k.now_ns += 5 * SEC;
	count(&k, &b, 4550, got);
	assert_in_range(got[5], 400, 700);
	k.now_ns += 6 * SEC;
	count(&k, &b, 5000, got);
	assert_int_equal(got[5], 1000);
	/* Who comes back begins again. */
	set_state(&k, "web", 2, HOST_UNHEALTHY, 0);
	count(&k, &b, 400, got);
	assert_int_equal(got[2], 0);
	set_state(&k, "web", 2, 0, HOST_UNHEALTHY);
	count(&k, &b, 4100, got);
	assert_in_range(got[2], 50, 160);
	kit_fini(&k);
}

static void test_original_destination(void **state)
{
	struct route_backend b = kit_backend("any"), some = kit_backend("some");
	struct net_addr a = { facts_ip("192.0.2.7"), 8443 };
	struct cluster_ask ask = { .backend = &b, .lb.original = &a };
	struct pick p, q;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	kit_put(&k, kit_cluster("any", LB_POLICY_ORIGINAL_DESTINATION));
	kit_put(&k, kit_cluster("some", LB_POLICY_ORIGINAL_DESTINATION));
	kit_hosts(&k, "some", 1, 3);
	kit_commit(&k);
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_CONNECTION, &p), 0);
	assert_int_equal(p.addr.port, 8443);
	assert_memory_equal(&p.addr.ip, &a.ip, sizeof(a.ip));
	/* Nobody outside knows by which number. */
	assert_true(p.key != plan_key(&a));
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &q), 0);
	assert_ptr_equal(p.host, q.host);
	assert_true(cluster_conn_open(&q));
	/* Many others: those that nobody uses make room. */
	for (unsigned i = 0; i < 10000; i++) {
		struct pick r;

		a.port = 1 + i;
		assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &r), 0);
		kit_ok(&k, &r);
	}
	cluster_conn_closed(q.use, q.key);
	kit_ok(&k, &p);
	kit_ok(&k, &q);
	ask.lb.original = NULL;
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), -EHOSTUNREACH);
	ask.backend = &some;
	ask.lb.original = &a;
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), -EHOSTUNREACH);
	a = (struct net_addr){ facts_ip("10.0.0.2"), 80 };
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), 0);
	assert_int_equal(kit_last(p.host), 2);
	kit_ok(&k, &p);
	kit_fini(&k);
}

/* No limit of the cluster's: nobody may wait for it, and be given a place of which nothing comes. */
static void test_original_destinations_are_bounded(void **state)
{
	static struct pick all[4096];
	struct route_backend b = kit_backend("any");
	struct net_addr a = { facts_ip("192.0.2.7"), 0 };
	struct cluster_ask ask = { .backend = &b, .lb.original = &a };
	struct cluster_fact *c = kit_cluster("any", LB_POLICY_ORIGINAL_DESTINATION);
	struct pick p;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_begin(&k);
	c->pool.max_requests = 0;
	kit_put(&k, c);
	kit_commit(&k);
	for (unsigned i = 0; i < 4096; i++) {
		a.port = 1 + i;
		assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &all[i]), 0);
	}
	a.port = 5000;
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p), -ENOSPC);
	assert_int_equal(stat_get(&clusters_stat(k.clusters[0])->overflows), 1);
	kit_ok(&k, &all[17]);
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &all[17]), 0);
	for (unsigned i = 0; i < 4096; i++)
		kit_ok(&k, &all[i]);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_changes_under_way),
		cmocka_unit_test(test_carried_over), cmocka_unit_test(test_subsets),
		cmocka_unit_test(test_subsets_that_routes_name),
		cmocka_unit_test(test_priorities),  cmocka_unit_test(test_panic),
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_tried),
		cmocka_unit_test(test_draining_and_weightless), cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_original_destination),
		cmocka_unit_test(test_original_destinations_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
