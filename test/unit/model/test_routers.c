// SPDX-License-Identifier: Apache-2.0
/* Routers of snapshots: when they are shared, when made anew; and turns of weighted backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/matcher.h"
#include "model/routers.h"
#include "model/store.h"
#include "route_kit.h"

static struct fact *service_of(const char *name, const char *ip, const char *route)
{
	struct service_fact *s = facts_service(name, ip, 80, "c");

	if (route)
		facts_service_route(s, route);
	return &s->fact;
}

static struct snapshot *take(struct store *s, struct fact **facts, size_t n)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct registry_verdict v;

	for (size_t i = 0; i < n; i++)
		store_put(tx, facts[i]);
	if (!store_commit(tx, 1, &v))
		fail_msg("%s", v.refused[0].why);
	store_end(tx);
	return store_build(s, 0);
}

#define TAKE(s, ...)                                                                                                   \
	take(s, (struct fact *[]){ __VA_ARGS__ }, sizeof((struct fact *[]){ __VA_ARGS__ }) / sizeof(struct fact *))

static const struct router *router_at(const struct snapshot *s, const char *service)
{
	const struct fact *f = snapshot_fact(s, FACT_SERVICE, slice_str(service));

	assert_non_null(f);
	return snapshot_router(s, f);
}

static struct fact *route_named(const char *name, const char *host)
{
	struct route *r = facts_route(name, "c");

	((struct slice *)r->hosts)[0] = fact_slice(&r->fact, slice_str(host));
	return &r->fact;
}

static void test_shared(void **state)
{
	struct store *s = store_new();
	struct snapshot *a, *b, *c, *d;

	(void)state;
	a = TAKE(s, facts_cluster("c"), route_named("r1", "*"), route_named("r2", "*"), service_of("s1", "10.0.0.1", "r1"),
		 service_of("s2", "10.0.0.2", "r2"), service_of("s3", "10.0.0.3", NULL));
	assert_non_null(router_at(a, "s1"));
	assert_null(router_at(a, "s3"));
	assert_ptr_not_equal(router_at(a, "s1"), router_at(a, "s2"));
	/* Nothing of routes changed: not even the array is new. */
	b = TAKE(s, &facts_host("c", "10.1.0.1", 80)->fact);
	assert_ptr_equal(a->service_routers, b->service_routers);
	/* Another service: the others' are shared. */
	c = TAKE(s, service_of("s4", "10.0.0.4", "r1"));
	assert_ptr_equal(router_at(c, "s1"), router_at(a, "s1"));
	assert_non_null(router_at(c, "s4"));
	/* A changed route: its owners' are made anew. */
	d = TAKE(s, route_named("r1", "example.org"));
	assert_ptr_not_equal(router_at(d, "s1"), router_at(c, "s1"));
	assert_ptr_not_equal(router_at(d, "s4"), router_at(c, "s4"));
	assert_ptr_equal(router_at(d, "s2"), router_at(a, "s2"));
	assert_int_equal(stat_get(&store_stats(s)->routers_built), 5);
	snapshot_drop(a);
	snapshot_drop(c);
	assert_int_equal(store_bury(s), 2);
	assert_non_null(router_at(b, "s1"));
	snapshot_drop(b);
	snapshot_drop(d);
	store_bury(s);
	store_free(s);
}

static struct fact *listener_of(const char *name, uint16_t port, const char *route)
{
	struct listener *l = facts_listener(name, "127.0.0.1", port, "http");

	facts_listener_route(l, route);
	return &l->fact;
}

static const struct router *router_in(const struct snapshot *s, const char *listener)
{
	return snapshot_router(s, snapshot_fact(s, FACT_LISTENER, slice_str(listener)));
}

static void test_listeners(void **state)
{
	struct store *s = store_new();
	struct snapshot *a, *b, *c;

	(void)state;
	a = TAKE(s, facts_cluster("c"), route_named("r1", "*"), route_named("r2", "*"), listener_of("l1", 80, "r1"));
	b = TAKE(s, listener_of("l2", 81, "r2"), listener_of("l0", 79, "r1"));
	assert_ptr_equal(router_in(a, "l1"), router_in(b, "l1"));
	assert_non_null(router_in(b, "l0"));
	assert_ptr_not_equal(router_in(b, "l2"), router_in(b, "l0"));
	/* Other routes for the same listener. */
	c = TAKE(s, listener_of("l1", 80, "r2"));
	assert_ptr_not_equal(router_in(c, "l1"), router_in(b, "l1"));
	assert_ptr_equal(router_in(c, "l0"), router_in(b, "l0"));
	assert_ptr_equal(c->service_routers, a->service_routers);
	snapshot_drop(a);
	snapshot_drop(b);
	snapshot_drop(c);
	store_bury(s);
	store_free(s);
}

/* Slots are those of living routers, so that what a matcher keeps by them stays small. */
static void test_slots(void **state)
{
	struct store *s = store_new();
	struct snapshot *old = TAKE(s, facts_cluster("c"), route_named("r", "*"), service_of("s", "10.0.0.1", "r"));

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct snapshot *now = TAKE(s, route_named("r", i & 1 ? "a.org" : "b.org"));

		assert_ptr_not_equal(router_at(now, "s"), router_at(old, "s"));
		snapshot_drop(old);
		store_bury(s);
		assert_in_range(router_slot(router_at(now, "s")), 0, 1);
		old = now;
	}
	snapshot_drop(old);
	store_bury(s);
	store_free(s);
}

static struct route *weighted(const uint32_t *weights, size_t n)
{
	struct route *r = kit_route(&(struct kit_route){ "w", "*", { "", "path=/other" } });
	struct route_backend *v = fact_alloc(&r->fact, n * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		v[i].cluster = SLICE_LIT("c");
		v[i].weight = weights[i];
	}
	((struct route_rule *)r->rules)[0].backends = v;
	((struct route_rule *)r->rules)[0].nbackends = n;
	return r;
}

/* Of any `sum` requests in a row each backend gets exactly its weight. */
static void turns(const uint32_t *weights, size_t n)
{
	struct matcher *mt = matcher_new();
	const struct route *routes[] = { weighted(weights, n) };
	struct router *router = router_new(routes, 1, 3, 1);
	uint32_t got[8] = { 0 }, sum = 0;
	struct kit_request q;
	struct route_hit hit;
	struct arena a;

	arena_init(&a);
	kit_request(&a, "GET http://h/", &q);
	assert_true(router_match(router, mt, &q.m, q.identity, &hit));
	for (size_t i = 0; i < n; i++)
		sum += weights[i];
	for (unsigned round = 0; round < 5; round++) {
		memset(got, 0, sizeof(got));
		for (uint32_t i = 0; i < sum; i++) {
			const struct route_backend *b = router_backend(&hit, mt);

			assert_non_null(b);
			got[b - routes[0]->rules[0].backends]++;
		}
		for (size_t i = 0; i < n; i++)
			assert_int_equal(got[i], weights[i]);
	}
	if (!sum)
		assert_null(router_backend(&hit, mt));
	arena_fini(&a);
	router_drop(router);
	fact_drop((struct fact *)&routes[0]->fact);
	matcher_free(mt);
}

static void test_turns(void **state)
{
	(void)state;
	turns((uint32_t[]){ 90, 10 }, 2);
	turns((uint32_t[]){ 9, 1 }, 2);
	turns((uint32_t[]){ 1 }, 1);
	turns((uint32_t[]){ 0, 7, 0 }, 3);
	turns((uint32_t[]){ 0, 0 }, 2);
	turns((uint32_t[]){ 1, 1, 1 }, 3);
	turns((uint32_t[]){ 5, 0, 3, 2 }, 4);
	turns((uint32_t[]){ 1, 999 }, 2);
	turns((uint32_t[]){ 3, 5, 7, 11, 13, 17, 19, 23 }, 8);
}

/* 90 to 10 is spread, not nine in a row and then... one in any ten. */
static void test_turns_are_spread(void **state)
{
	struct matcher *mt = matcher_new();
	const struct route *routes[] = { weighted((uint32_t[]){ 90, 10 }, 2) };
	struct router *router = router_new(routes, 1, 0, 1);
	unsigned since = 0, rare = 0;
	struct kit_request q;
	struct route_hit hit;
	struct arena a;

	(void)state;
	arena_init(&a);
	kit_request(&a, "GET http://h/", &q);
	assert_true(router_match(router, mt, &q.m, q.identity, &hit));
	for (unsigned i = 0; i < 200; i++) {
		bool second = router_backend(&hit, mt) == &routes[0]->rules[0].backends[1];

		if (second && rare++)
			assert_int_equal(since, 9);
		since = second ? 0 : since + 1;
	}
	assert_int_equal(rare, 20);
	arena_fini(&a);
	router_drop(router);
	fact_drop((struct fact *)&routes[0]->fact);
	matcher_free(mt);
}

/* Another router in the same slot starts its own turns; a larger one finds room. */
static void test_turns_of_the_next_router(void **state)
{
	static const uint32_t few[] = { 1, 1 }, many[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	struct matcher *mt = matcher_new();
	struct kit_request q;
	struct route_hit hit;
	struct arena a;

	(void)state;
	arena_init(&a);
	kit_request(&a, "GET http://h/", &q);
	for (uint64_t serial = 1; serial < 10; serial++) {
		const struct route *routes[] = { weighted(serial & 1 ? few : many, serial & 1 ? 2 : 8) };
		struct router *router = router_new(routes, 1, 7, serial);
		unsigned got[8] = { 0 };

		assert_true(router_match(router, mt, &q.m, q.identity, &hit));
		for (unsigned i = 0; i < 8; i++)
			got[router_backend(&hit, mt) - routes[0]->rules[0].backends]++;
		assert_int_equal(got[0], serial & 1 ? 4 : 1);
		assert_int_equal(got[7], serial & 1 ? 0 : 1);
		router_drop(router);
		fact_drop((struct fact *)&routes[0]->fact);
	}
	arena_fini(&a);
	matcher_free(mt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared), cmocka_unit_test(test_listeners), cmocka_unit_test(test_slots), cmocka_unit_test(test_turns),
		cmocka_unit_test(test_turns_are_spread), cmocka_unit_test(test_turns_of_the_next_router),
	};

	return cmocka_run_group_tests_name("routers", tests, NULL, NULL);
}
