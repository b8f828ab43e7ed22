// SPDX-License-Identifier: Apache-2.0
/* Hand-over: what one thread sees of it, and four workers against a control thread that publishes and buries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include "lib/facts.h"
#include "model/hold.h"
#include "model/store.h"

static void test_one_thread(void **state)
{
	struct store *s = store_new();
	struct adoption a = { 0 };
	struct hold *first, *second;

	(void)state;
	assert_false(adoption_take(&a));
	assert_null(hold_use(&a));
	hold_drop(NULL);
	adoption_send(&a, store_build(s, 0));
	assert_true(adoption_take(&a));
	assert_false(adoption_take(&a));
	first = hold_use(&a);
	assert_ptr_equal(hold_use(&a), first);
	hold_drop(first);
	adoption_send(&a, store_build(s, 0));
	adoption_send(&a, store_build(s, 0));
	assert_int_equal(store_bury(s), 1);
	assert_true(adoption_take(&a));
	second = hold_use(&a);
	assert_int_equal(snapshot_number(first->snap), 1);
	assert_int_equal(snapshot_number(second->snap), 3);
	hold_drop(first);
	assert_int_equal(store_bury(s), 1);
	hold_drop(second);
	assert_int_equal(store_bury(s), 0);
	second = hold_use(&a);
	adoption_fini(&a);
	assert_int_equal(store_bury(s), 0);
	hold_drop(second);
	assert_int_equal(store_bury(s), 1);
	store_free(s);
}

#define WORKERS 4
#define GENERATIONS 3000
#define FLIGHTS 32

struct worker {
	pthread_t thread;
	struct adoption adoption;
	struct hold *flight[FLIGHTS];
	uint64_t begun[FLIGHTS];                /* number of the snapshot it began with */
	_Atomic bool stop;
	unsigned long served, adopted, wrong;
};

/* All of a snapshot agrees: the host's port tells its number. */
static bool whole(const struct snapshot *s)
{
	const struct cluster *c = snapshot_cluster(s, SLICE_LIT("web"));
	uint16_t port = snapshot_number(s) % 60000 + 1;

	return c && c->nhosts == 1 && c->hosts[0]->port == port && snapshot_facts(s, FACT_SERVICE).n == 1;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct rand r;

	rand_seed(&r, (uintptr_t)w);
	while (!atomic_load(&w->stop)) {
		uint32_t i = rand_below(&r, FLIGHTS);

		w->adopted += adoption_take(&w->adoption);
		if (w->flight[i]) {
			w->wrong += !whole(w->flight[i]->snap) || snapshot_number(w->flight[i]->snap) != w->begun[i];
			hold_drop(w->flight[i]);
			w->flight[i] = NULL;
			w->served++;
			continue;
		}
		w->flight[i] = hold_use(&w->adoption);
		if (w->flight[i])
			w->begun[i] = snapshot_number(w->flight[i]->snap);
	}
	for (uint32_t i = 0; i < FLIGHTS; i++)
		hold_drop(w->flight[i]);
	adoption_fini(&w->adoption);
	return NULL;
}

static struct snapshot *next(struct store *s)
{
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct registry_verdict v;
	const struct host *old;
	struct snapshot *snap;

	if (!store_number(s)) {
		store_put(tx, facts_cluster("web"));
		store_put(tx, &facts_service("svc", "10.96.0.1", 80, "web")->fact);
	} else {
		char key[64], ip[16] = "10.0.0.1";

		snprintf(key, sizeof(key), "web|%s|%u", ip, (unsigned)(store_number(s) % 60000 + 1));
		old = (const struct host *)store_fact(s, FACT_HOST, slice_str(key));
		assert_non_null(old);
		store_del(tx, FACT_HOST, old->fact.key);
	}
	store_put(tx, &facts_host("web", "10.0.0.1", (store_number(s) + 1) % 60000 + 1)->fact);
	assert_true(store_commit(tx, 1, &v));
	store_end(tx);
	snap = store_build(s, 0);
	assert_true(whole(snap));
	return snap;
}

static void test_four_workers(void **state)
{
	struct store *s = store_new();
	struct worker w[WORKERS] = { 0 };
	unsigned long served = 0, adopted = 0;

	(void)state;
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	for (int g = 0; g < GENERATIONS; g++) {
		struct snapshot *snap = next(s);

		for (int i = 0; i < WORKERS; i++)
			adoption_send(&w[i].adoption, snapshot_hold(snap));
		snapshot_drop(snap);
		store_bury(s);
		if (g % 16 == 0)
			sched_yield();
	}
	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&w[i].stop, true);
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].wrong, 0);
		served += w[i].served;
		adopted += w[i].adopted;
	}
	store_bury(s);
	assert_int_equal(stat_get(&store_stats(s)->snapshots_buried), GENERATIONS);
	assert_true(served && adopted);
	print_message("%d snapshots, %lu adopted, %lu uses\n", GENERATIONS, adopted, served);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_thread), cmocka_unit_test(test_four_workers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
