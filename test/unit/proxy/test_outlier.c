// SPDX-License-Identifier: Apache-2.0
/* Ejection: errors in a row over several workers, shares of failures, how many may go, coming back. */
#include <pthread.h>
#include "kit.h"

static struct {
	unsigned last;
	uint64_t for_ms;
	int n;
} heard;

static void on_told(void *arg, const struct shared_cluster *c, const struct shared_host *h, uint64_t for_ms)
{
	(void)arg;
	(void)c;
	heard.last = h->addr.ip.b[15];
	heard.for_ms = for_ms;
	heard.n++;
}

static const struct outlier_detection usual = {
	.enabled = true, .consecutive_5xx = 5, .interval_ms = 10000, .base_ejection_ms = 30000, .max_ejection_ms = 300000,
	.max_ejection_percent = 50, .failure_min_hosts = 5, .failure_min_requests = 50,
};

static void start(struct kit *k, struct outlier_detection o, unsigned hosts)
{
	struct cluster_fact *c = kit_cluster("web", LB_POLICY_RANDOM);

	kit_init(k);
	kit_begin(k);
	c->outlier = o;
	kit_put(k, c);
	kit_hosts(k, "web", 1, hosts);
	kit_commit(k);
	k->outlier.told = on_told;
	memset(&heard, 0, sizeof(heard));
}

#define CONNECTED 1

/* One request to a certain host, or one connection. */
static void send_to(struct kit *k, unsigned w, int last, int status)
{
	struct pick p;

	for (int i = 0;; i++) {
		assert_true(i < 10000);
		if (kit_pick(k, w, "web", &p) == last)
			break;
		pick_done(&p, NULL);
	}
	if (status == 200)
		kit_ok(k, &p);
	else if (status == CONNECTED)
		pick_done(&p, &(struct lb_result){ .now_ns = k->now_ns, .took_ns = 1, .ok = true });
	else
		kit_fail(k, &p, status);
}

static bool given(struct kit *k, unsigned w, int last)
{
	struct pick p;
	bool seen = false;

	for (int i = 0; i < 500; i++) {
		seen |= kit_pick(k, w, "web", &p) == last;
		pick_done(&p, NULL);
	}
	return seen;
}

static void test_in_a_row_over_workers(void **state)
{
	struct kit k;

	(void)state;
	start(&k, usual, 4);
	for (unsigned i = 0; i < 4; i++)
		send_to(&k, i, 3, i & 1 ? 503 : 0);
	send_to(&k, 1, 3, 200);                 /* ends the row, as does a connection that went well */
	for (unsigned i = 0; i < 4; i++)
		send_to(&k, i, 3, 500);
	send_to(&k, 1, 3, CONNECTED);
	for (unsigned i = 0; i < 4; i++)
		send_to(&k, i, 3, 500);
	send_to(&k, 0, 2, 500);
	kit_turn(&k);
	assert_int_equal(heard.n, 0);
	send_to(&k, 2, 3, 500);
	kit_turn(&k);
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.last, 3);
	assert_int_equal(heard.for_ms, 30000);
	for (unsigned w = 0; w < 4; w++)
		assert_false(given(&k, w, 3));
	/* Back after its time, longer away the next time, forgiven with time. */
	outlier_sweep(&k.outlier, clock_ns() + 29 * SEC);
	assert_int_equal(heard.n, 1);
	outlier_sweep(&k.outlier, clock_ns() + 31 * SEC);
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.for_ms, 0);
	assert_true(given(&k, 0, 3));
	for (unsigned i = 0; i < 5; i++)
		send_to(&k, 0, 3, 500);
	kit_turn(&k);
	assert_int_equal(heard.n, 3);
	assert_int_equal(heard.for_ms, 60000);
	kit_fini(&k);
}

static void test_kinds(void **state)
{
	struct outlier_detection o = usual;
	struct kit k;

	(void)state;
	o.consecutive_5xx = 0;
	o.consecutive_gateway = 3;
	start(&k, o, 3);
	for (int i = 0; i < 10; i++)
		send_to(&k, 0, 1, 500);
	kit_turn(&k);
	assert_int_equal(heard.n, 0);
	send_to(&k, 0, 1, 502);
	send_to(&k, 0, 1, 0);
	send_to(&k, 0, 1, 504);
	kit_turn(&k);
	assert_int_equal(heard.n, 1);
	kit_fini(&k);

	o.consecutive_gateway = 0;
	o.consecutive_local = 2;
	start(&k, o, 3);
	for (int i = 0; i < 10; i++)
		send_to(&k, 0, 1, 503);
	kit_turn(&k);
	assert_int_equal(heard.n, 0);
	send_to(&k, 0, 1, 0);
	send_to(&k, 0, 1, 0);
	kit_turn(&k);
	assert_int_equal(heard.n, 1);
	kit_fini(&k);
}

static void fail_all(struct kit *k, unsigned hosts)
{
	for (unsigned i = 1; i <= hosts; i++) {
		for (int n = 0; n < 5 && given(k, 0, (int)i); n++)
			send_to(k, 0, (int)i, 500);
		kit_turn(k);
	}
}

static void test_not_too_many(void **state)
{
	struct outlier_detection o = usual;
	struct kit k;

	(void)state;
	o.max_ejection_percent = 30;
	start(&k, o, 10);
	fail_all(&k, 10);
	assert_int_equal(heard.n, 3);
	assert_int_equal(stat_get(&k.outlier.stat.ejections_refused), 7);
	kit_fini(&k);
	/* A tenth of two hosts is less than one; one may go, but not the only one there is. */
	o.max_ejection_percent = 10;
	start(&k, o, 2);
	fail_all(&k, 2);
	assert_int_equal(heard.n, 1);
	kit_fini(&k);
	start(&k, o, 1);
	fail_all(&k, 1);
	assert_int_equal(heard.n, 0);
	kit_fini(&k);
}

static void test_share_of_failures(void **state)
{
	struct outlier_detection o = usual;
	struct kit k;
	uint64_t t = clock_ns();

	(void)state;
	o.failure_percentage = 60;
	o.failure_min_requests = 10;
	o.consecutive_5xx = 0;
	o.failure_min_hosts = 4;
	start(&k, o, 5);
	outlier_sweep(&k.outlier, t);
	for (unsigned i = 1; i <= 5; i++)
		for (int n = 0; n < 20; n++)
			send_to(&k, n % 4, (int)i, i == 2 && n % 4 ? 500 : 200);
	outlier_sweep(&k.outlier, t + 9 * SEC);
	assert_int_equal(heard.n, 0);
	outlier_sweep(&k.outlier, t + 10 * SEC);
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.last, 2);
	/* Counts are of one interval: nothing new, nothing happens. */
	outlier_sweep(&k.outlier, t + 20 * SEC);
	assert_int_equal(heard.n, 1);
	for (unsigned i = 1; i <= 5; i++)
		for (int n = 0; i != 2 && n < 20; n++)
			send_to(&k, n % 4, (int)i, i == 4 ? 500 : 200);
	outlier_sweep(&k.outlier, t + 30 * SEC);
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.last, 4);
	/* Three hosts are left with requests: too few to compare. */
	for (unsigned i = 1; i <= 5; i += 2)
		for (int n = 0; n < 20; n++)
			send_to(&k, n % 4, (int)i, i == 5 ? 500 : 200);
	outlier_sweep(&k.outlier, t + 39 * SEC);
	outlier_sweep(&k.outlier, t + 40 * SEC);
	assert_int_equal(heard.n, 3);           /* the first one is back */
	assert_int_equal(heard.last, 2);
	kit_fini(&k);
}

/* The cluster's settings go away while a host is ejected: it is back. The host goes: nothing is left of it. */
static void test_settings_change(void **state)
{
	struct kit k;

	(void)state;
	start(&k, usual, 3);
	fail_all(&k, 1);
	assert_int_equal(heard.n, 1);
	kit_begin(&k);
	kit_put(&k, kit_cluster("web", LB_POLICY_RANDOM));
	kit_commit(&k);
	assert_false(given(&k, 0, 1));
	outlier_sweep(&k.outlier, clock_ns());
	assert_int_equal(heard.n, 2);
	assert_true(given(&k, 0, 1));
	kit_fini(&k);

	start(&k, usual, 3);
	fail_all(&k, 1);
	kit_begin(&k);
	store_del(k.tx, FACT_HOST, SLICE_LIT("web|10.0.0.1|80"));
	kit_commit(&k);
	for (unsigned w = 0; w < 4; w++)
		assert_false(given(&k, w, 1));
	assert_int_equal(shared_cluster_find(&k.shared, SLICE_LIT("web"))->ejected, 0);
	kit_begin(&k);
	kit_hosts(&k, "web", 1, 1);
	kit_commit(&k);
	assert_true(given(&k, 0, 1));
	kit_fini(&k);
}

/* A host that a reload took away is none of those that are left, though a request still goes on there. */
static void test_the_last_one_stays(void **state)
{
	struct pick held;
	struct kit k;

	(void)state;
	start(&k, usual, 2);
	while (kit_pick(&k, 0, "web", &held) != 2)
		pick_done(&held, NULL);
	kit_begin(&k);
	store_del(k.tx, FACT_HOST, SLICE_LIT("web|10.0.0.2|80"));
	kit_commit(&k);
	fail_all(&k, 1);
	assert_int_equal(heard.n, 0);
	assert_int_equal(stat_get(&k.outlier.stat.ejections_refused), 1);
	assert_true(given(&k, 0, 1));
	pick_done(&held, NULL);
	kit_fini(&k);
}

/* ---- workers as threads ------------------------------------------------------------------------------------- */

struct hand {
	struct kit *k;
	unsigned w;
};

/* Only who is not ejected is asked; the third answers wrongly. */
static void *run(void *arg)
{
	struct hand *h = arg;
	struct route_backend b = kit_backend("web");

	for (int i = 0; i < 20000; i++) {
		struct cluster_ask ask = { .backend = &b, .lb.now_ns = clock_ns() };
		struct lb_result r = { .now_ns = ask.lb.now_ns, .took_ns = 1000, .status = 200, .ok = true };
		struct pick p;

		if (cluster_pick(h->k->clusters[h->w], &ask, CLUSTER_REQUEST, &p))
			continue;
		if (kit_last(p.host) == 3)
			r = (struct lb_result){ .now_ns = r.now_ns, .status = 503 };
		pick_done(&p, &r);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct hand hands[KIT_WORKERS];
	pthread_t t[KIT_WORKERS];
	struct kit k;

	(void)state;
	start(&k, usual, 4);
	for (unsigned w = 0; w < KIT_WORKERS; w++) {
		hands[w] = (struct hand){ &k, w };
		assert_int_equal(pthread_create(&t[w], NULL, run, &hands[w]), 0);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(loop_once(&k.loop, MSEC), 0);
		outlier_sweep(&k.outlier, clock_ns());
	}
	for (unsigned w = 0; w < KIT_WORKERS; w++)
		pthread_join(t[w], NULL);
	kit_turn(&k);
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.last, 3);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_a_row_over_workers), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_not_too_many),	      cmocka_unit_test(test_share_of_failures),
		cmocka_unit_test(test_settings_change),	      cmocka_unit_test(test_the_last_one_stays),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
