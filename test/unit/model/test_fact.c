// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include "lib/facts.h"
#include "model/home.h"

#define KINDS_FOR(k) for (int k = 0; k < FACT_KINDS; k++)

static void assert_slice(struct slice s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void test_new(void **state)
{
	struct fact_mark mark = facts_mark("files", "web.yaml", 12);
	struct fact *f = fact_new(FACT_CLUSTER, SLICE_LIT("web"), &mark);

	(void)state;
	assert_int_equal(f->refs, 1);
	assert_int_equal(f->slot, FACT_NO_SLOT);
	assert_slice(((struct cluster_fact *)f)->name, "web");
	assert_slice(fact_mark(f).registry, "files");
	assert_slice(fact_mark(f).file, "web.yaml");
	assert_int_equal(fact_mark(f).line, 12);
	assert_ptr_equal(fact_hold(f), f);
	fact_drop(f);
	fact_drop(f);
	fact_drop(NULL);
}

static void test_memory(void **state)
{
	struct fact *f = facts_named(FACT_WORKLOAD, "web.default", 1);
	char *parts[64];

	(void)state;
	assert_ptr_equal(fact_slice(f, SLICE_LIT("web")).p, f->key.p);
	assert_int_equal(fact_slice(f, (struct slice){ NULL, 0 }).n, 0);
	for (size_t i = 0; i < 64; i++) {
		parts[i] = fact_alloc(f, i * 37);
		assert_int_equal((uintptr_t)parts[i] % 16, 0);
		for (size_t b = 0; b < i * 37; b++)
			assert_int_equal(parts[i][b], 0);
		memset(parts[i], (int)i, i * 37);
	}
	for (size_t i = 1; i < 64; i++) {
		assert_int_equal(parts[i][0], i);
		assert_int_equal(parts[i][i * 37 - 1], i);
	}
	assert_slice(f->key, "web.default");
	fact_drop(f);
}

static void test_pairs(void **state)
{
	struct fact *f = facts_named(FACT_NODE, "", 1);
	const struct name_value v[] = {
		{ SLICE_LIT("b"), SLICE_LIT("1") }, { SLICE_LIT("a"), SLICE_LIT("2") }, { SLICE_LIT("c"), SLICE_LIT("3") },
		{ SLICE_LIT("b"), SLICE_LIT("4") }, { SLICE_LIT(""), SLICE_LIT("5") },
	};
	struct pair_list l = fact_pairs(f, v, 5);

	(void)state;
	assert_int_equal(l.n, 4);
	assert_slice(l.v[0].value, "5");
	assert_slice(l.v[1].name, "a");
	assert_slice(l.v[2].name, "b");
	assert_slice(l.v[2].value, "4");
	assert_slice(l.v[3].name, "c");
	assert_int_equal(fact_pairs(f, NULL, 0).n, 0);
	fact_drop(f);
}

static void test_host(void **state)
{
	struct host *h = facts_host("web", "10.0.0.1", 80), *h6 = facts_host("a|b", "2001:DB8::1", 443);

	(void)state;
	assert_slice(h->fact.key, "web|10.0.0.1|80");
	assert_slice(h->cluster, "web");
	assert_ptr_equal(h->cluster.p, h->fact.key.p);
	assert_int_equal(h->weight, 1);
	assert_int_equal(h->locality->region.n, 0);
	assert_slice(h6->fact.key, "a|b|2001:db8::1|443");
	fact_drop(&h->fact);
	fact_drop(&h6->fact);
}

static void test_ip(void **state)
{
	static const char *const good[][2] = {
		{ "10.0.0.1", "10.0.0.1" }, { "::ffff:10.0.0.1", "10.0.0.1" }, { "0.0.0.0", "0.0.0.0" },
		{ "::1", "::1" }, { "2001:0db8::0001", "2001:db8::1" }, { "::", "::" },
	};
	static const char *const bad[] = { "", "10.0.0", "10.0.0.256", "web", "1.2.3.4 ", ":::", "10.0.0.1/8" };
	char out[46];
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ip_parse(slice_str(good[i][0]), &ip), 0);
		assert_string_equal(ip_name(&ip, out), good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ip_parse(slice_str(bad[i]), &ip), -EINVAL);
	assert_int_equal(ip_parse(SLICE_LIT("10.0.0.1\0"), &ip), -EINVAL);
}

static void test_names(void **state)
{
	struct fact *f = facts_named(FACT_SERVICE, "web.default", 7), *node = facts_named(FACT_NODE, "", 1);
	struct fact_mark mark = facts_mark("k8s", "default/web", 0), none = { .line = 0 };
	char out[64];

	(void)state;
	assert_string_equal(fact_name(f, out, sizeof(out)), "service web.default");
	assert_string_equal(fact_name(node, out, sizeof(out)), "node");
	assert_string_equal(fact_name(f, out, 8), "service");
	assert_string_equal(fact_mark_name(&mark, out, sizeof(out)), "k8s default/web");
	mark = fact_mark(f);
	assert_string_equal(fact_mark_name(&mark, out, sizeof(out)), "test all.yaml:7");
	assert_string_equal(fact_mark_name(&none, out, sizeof(out)), "?");
	fact_drop(f);
	fact_drop(node);
}

/* Each field that differs makes two facts differ, whichever it is. */
static void differ_by_each_field(struct source *s, const struct fact *f)
{
	shape_for(row, &fact_shapes[f->kind]) {
		struct fact *other = fact_clone(f);
		bool same = true;

		for (int tries = 0; same && tries < 200; tries++) {
			facts_fill_field(s, other, row, other);
			same = fact_equal(f, other);
		}
		assert_false(same);
		fact_drop(other);
	}
}

static void test_copies(void **state)
{
	struct source s = { .p = NULL };
	struct home *home = home_new();

	(void)state;
	rand_seed(&s.rand, 7);
	KINDS_FOR(k) {
		for (int i = 0; i < 50; i++) {
			struct fact *f = facts_random(&s, k), *clone = fact_clone(f);
			struct fact_mark mark = fact_mark(f);
			struct fact *packed = fact_pack(home, f, &mark), *again = fact_clone(packed);

			assert_true(fact_equal(f, clone) && fact_equal(f, packed) && fact_equal(packed, again));
			assert_true(slice_eq(fact_mark(packed).file, mark.file));
			differ_by_each_field(&s, packed);
			fact_drop(f);
			assert_true(fact_equal(clone, packed) && fact_equal(packed, again));
			fact_drop(clone);
			fact_drop(again);
			fact_drop(packed);
		}
	}
	home_drop(home);
}

static void test_equal_needs_key_and_kind(void **state)
{
	struct fact *a = facts_cluster("a"), *b = facts_cluster("b"), *r = facts_named(FACT_ROUTE, "a", 1);

	(void)state;
	assert_false(fact_equal(a, b));
	assert_false(fact_equal(a, r));
	fact_drop(a);
	fact_drop(b);
	fact_drop(r);
}

/* 100,000 hosts are to cost at most 180 bytes each, with what malloc adds (8, rounded to 16). */
static void test_packed_is_small(void **state)
{
	struct host *h = facts_host("checkout.default.8080", "10.244.113.27", 8080);
	const struct name_value labels[] = { { SLICE_LIT("version"), SLICE_LIT("v1") } };
	struct fact_mark mark = fact_mark(&h->fact);
	struct home *home = home_new();
	struct fact *a, *b;

	(void)state;
	h->locality = fact_locality(&h->fact, SLICE_LIT("eu-central-1"), SLICE_LIT("eu-central-1a"));
	h->metadata = fact_pairs(&h->fact, labels, 1);
	a = fact_pack(home, &h->fact, &mark);
	b = fact_pack(home, &h->fact, &mark);
	assert_in_range((fact_size(a) + 8 + 15) & ~15ul, 1, 180);
	assert_ptr_equal(a->place, b->place);
	assert_ptr_equal(((struct host *)a)->locality, ((struct host *)b)->locality);
	assert_ptr_equal(((struct host *)a)->metadata.v, ((struct host *)b)->metadata.v);
	assert_int_equal(home->shared.n, 3);
	fact_drop(a);
	assert_int_equal(home->shared.n, 3);
	home_drop(home);
	fact_drop(&h->fact);
	assert_slice(((struct host *)b)->locality->zone, "eu-central-1a");
	fact_drop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),	   cmocka_unit_test(test_memory),
		cmocka_unit_test(test_pairs),	   cmocka_unit_test(test_host),
		cmocka_unit_test(test_ip),	   cmocka_unit_test(test_names),
		cmocka_unit_test(test_copies),	   cmocka_unit_test(test_equal_needs_key_and_kind),
		cmocka_unit_test(test_packed_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
