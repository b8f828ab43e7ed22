// SPDX-License-Identifier: Apache-2.0
/* 10,000 services of 10 hosts each: what a change costs is counted; times and memory are only told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <unistd.h>
#include "base/clock.h"
#include "lib/facts.h"
#include "model/diff.h"
#include "model/store.h"
#include "model/wire.h"

#define SERVICES 10000
#define HOSTS 10
#define EVENTS 2500                             /* services that come one by one */

static double ms_since(uint64_t t)
{
	return (double)(clock_ns() - t) / MSEC;
}

static unsigned long rss_kib(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static struct host *scale_host(unsigned service, unsigned i)
{
	struct fact_mark mark = facts_mark("files", "services.d/all.yaml", service * 20 + i);
	struct ip ip = { .b = { [10] = 0xff, [11] = 0xff, 10, service >> 8, service, i } };
	char cluster[32];

	snprintf(cluster, sizeof(cluster), "service-%05u.default", service);
	return host_new(slice_str(cluster), &ip, 8080, &mark);
}

static void put_service(struct store_tx *tx, unsigned n)
{
	char name[32], ip[32];

	snprintf(name, sizeof(name), "service-%05u.default", n);
	snprintf(ip, sizeof(ip), "10.96.%u.%u", n >> 8, n & 255);
	store_put(tx, facts_cluster(name));
	store_put(tx, &facts_service(name, n ? ip : "10.97.0.0", 80, name)->fact);
	for (unsigned i = 0; i < HOSTS; i++)
		store_put(tx, &scale_host(n, i)->fact);
}

static void all(struct store *s)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("files"));
	struct registry_verdict v;

	for (unsigned n = 0; n < SERVICES; n++)
		put_service(tx, n);
	assert_true(store_commit(tx, 1, &v));
	store_end(tx);
}

static void one_host(struct store *s)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("files"));
	struct host *h = scale_host(1234, 5);
	struct registry_verdict v;

	h->state = HOST_DRAINING;
	store_put(tx, &h->fact);
	assert_true(store_commit(tx, 2, &v));
	store_end(tx);
}

static size_t clusters_differ(const struct snapshot *a, const struct snapshot *b)
{
	struct cluster_set x = snapshot_clusters(a), y = snapshot_clusters(b);
	size_t n = 0;

	assert_int_equal(x.n, y.n);
	for (size_t i = 0; i < x.n; i++)
		n += x.v[i] != y.v[i];
	return n;
}

static void test_one_change(void **state)
{
	unsigned long before = rss_kib();
	uint64_t t = clock_ns(), built;
	struct store *s = store_new();
	const struct store_stat *stat = store_stats(s);
	struct snapshot *a, *b, *c;
	struct buf wire = { 0 };
	struct diff d;

	(void)state;
	all(s);
	a = store_build(s, 0);
	print_message("first %d x %d: %.0f ms, %lu KiB\n", SERVICES, HOSTS, ms_since(t), rss_kib() - before);
	assert_int_equal(stat_get(&stat->hosts), SERVICES * HOSTS);
	assert_int_equal(snapshot_slots(a, FACT_HOST), SERVICES * HOSTS);

	built = stat_get(&stat->clusters_built);
	t = clock_ns();
	one_host(s);
	b = store_build(s, 0);
	diff_init(&d, a, b);
	print_message("one host, to the difference: %.3f ms\n", ms_since(t));
	assert_int_equal(stat_get(&stat->clusters_built), built + 1);
	assert_int_equal(clusters_differ(a, b), 1);
	assert_ptr_equal(a->facts[FACT_SERVICE], b->facts[FACT_SERVICE]);
	assert_ptr_equal(a->facts[FACT_CLUSTER], b->facts[FACT_CLUSTER]);
	assert_int_equal(d.clusters.n, 1);
	assert_int_equal(d.facts[FACT_HOST].n, 1);
	assert_int_equal(d.looked_at, SERVICES + HOSTS);
	assert_int_equal(wire_diff(&wire, &d), 0);
	assert_in_range(wire.len, 1, 300);
	diff_fini(&d);
	buf_fini(&wire);

	/* Everything said again: nothing is kept twice, nothing is built but what the change undid. */
	t = clock_ns();
	all(s);
	print_message("all again: %.0f ms, %lu KiB\n", ms_since(t), rss_kib() - before);
	assert_int_equal(stat_get(&stat->clusters_built), built + 2);
	c = store_build(s, 0);
	assert_int_equal(clusters_differ(a, c), 1);
	assert_int_equal(clusters_differ(b, c), 1);
	snapshot_drop(a);
	snapshot_drop(b);
	snapshot_drop(c);
	t = clock_ns();
	store_free(s);
	print_message("freed: %.0f ms\n", ms_since(t));
}

/* The same in one transaction per service, as a registry of events gives it. */
static void test_many_transactions(void **state)
{
	struct store *s = store_new();
	uint64_t t = clock_ns();

	(void)state;
	for (unsigned n = 0; n < EVENTS; n++) {
		/* From both ends, so that the lists grow in the middle. */
		struct store_tx *tx = store_begin(s, SLICE_LIT("files"));
		struct registry_verdict v;

		put_service(tx, n % 2 ? EVENTS - 1 - n / 2 : n / 2);
		assert_true(store_commit(tx, n, &v));
		store_end(tx);
	}
	print_message("%d transactions: %.0f ms\n", EVENTS, ms_since(t));
	assert_int_equal(stat_get(&store_stats(s)->clusters_built), EVENTS);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_change), cmocka_unit_test(test_many_transactions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
