// SPDX-License-Identifier: Apache-2.0
/* Credits: exact alone, never over with threads; the queue; the retry budget. */
#include <errno.h>
#include <pthread.h>
#include "kit.h"

static void test_small_limits_are_exact(void **state)
{
	struct limit_pool p = { 0 };
	struct limit_share s[4] = { 0 };

	(void)state;
	limit_set(&p, 10, 4);
	for (int i = 0; i < 10; i++)
		assert_true(limit_take(&p, &s[i % 4]));
	for (int w = 0; w < 4; w++)
		assert_false(limit_take(&p, &s[w]));
	limit_give(&p, &s[2]);
	assert_true(limit_take(&p, &s[0]));
	assert_false(limit_take(&p, &s[2]));
}

static void test_changes_of_a_limit(void **state)
{
	struct limit_pool p = { 0 };
	struct limit_share s = { 0 };

	(void)state;
	limit_set(&p, 0, 4);
	for (int i = 0; i < 1000; i++)
		assert_true(limit_take(&p, &s));
	limit_set(&p, 100, 4);
	limit_return(&p, &s);
	assert_false(limit_take(&p, &s));
	for (int i = 0; i < 901; i++)
		limit_give(&p, &s);
	assert_true(limit_take(&p, &s));
	assert_false(limit_take(&p, &s));
	limit_set(&p, 102, 4);
	assert_true(limit_take(&p, &s));
	assert_true(limit_take(&p, &s));
	assert_false(limit_take(&p, &s));
}

/* What was taken over the limit is given back before anybody takes under it. */
static void test_over_a_limit(void **state)
{
	struct limit_pool p = { 0 };
	struct limit_share s[2] = { 0 };

	(void)state;
	limit_set(&p, 1, 2);
	assert_true(limit_take(&p, &s[0]));
	limit_take_over(&p, &s[1]);
	assert_false(limit_take(&p, &s[1]));
	limit_give(&p, &s[0]);
	assert_false(limit_take(&p, &s[0]) || limit_take(&p, &s[1]));
	limit_give(&p, &s[1]);
	assert_true(limit_take(&p, &s[0]));
	assert_false(limit_take(&p, &s[1]));
}

/* A worker that keeps credits gives them when another one was refused. */
static void test_starved(void **state)
{
	struct limit_pool p = { 0 };
	struct limit_share a = { 0 }, b = { 0 };
	uint32_t got = 0;

	(void)state;
	limit_set(&p, 1024, 2);
	assert_true(limit_take(&p, &a) && limit_take(&p, &a));
	while (limit_take(&p, &b))
		got++;
	assert_int_equal(got, 1024 - 16);
	limit_give(&p, &a);
	assert_int_equal(a.kept, 0);
	while (limit_take(&p, &b))
		got++;
	assert_int_equal(got, 1023);
}

#define THREADS 4
#define MOST 1000
#define TURNS 200000

struct crowd {
	struct limit_pool pool;
	_Atomic int64_t in;
	_Atomic int64_t peak;
	_Atomic uint64_t refused;
};

static void *one_of_many(void *arg)
{
	struct crowd *c = arg;
	struct limit_share s = { 0 };
	uint32_t held = 0, rnd = (uint32_t)(uintptr_t)&s;

	for (int i = 0; i < TURNS; i++) {
		rnd = rnd * 1664525u + 1013904223u;
		if ((rnd >> 28 || !held) && held < MOST) {
			if (!limit_take(&c->pool, &s)) {
				atomic_fetch_add(&c->refused, 1);
				while (held > 20) {
					atomic_fetch_sub(&c->in, 1);
					limit_give(&c->pool, &s);
					held--;
				}
				continue;
			}
			int64_t in = atomic_fetch_add(&c->in, 1) + 1, peak = atomic_load(&c->peak);

			while (in > peak && !atomic_compare_exchange_weak(&c->peak, &peak, in))
				;
			held++;
		} else if (held) {
			atomic_fetch_sub(&c->in, 1);
			limit_give(&c->pool, &s);
			held--;
		}
	}
	while (held--) {
		atomic_fetch_sub(&c->in, 1);
		limit_give(&c->pool, &s);
	}
	limit_return(&c->pool, &s);
	return NULL;
}

static void test_never_over_with_threads(void **state)
{
	static const uint32_t most[] = { 1, 7, 150, 500 };

	(void)state;
	for (int m = 0; m < 4; m++) {
		struct crowd c = { 0 };
		pthread_t t[THREADS];

		limit_set(&c.pool, most[m], THREADS);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, one_of_many, &c), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		assert_true(c.peak <= most[m]);
		/* Each tries for more than there is; what others keep is the documented error, and who counts is a little late. */
		assert_true(c.peak + THREADS * (most[m] / (32 * THREADS) + 1) >= most[m]);
		assert_true(c.refused > 0);
		assert_int_equal(c.pool.spare, most[m]);
	}
}

static void test_rate(void **state)
{
	struct limit_rate r = { 0 };
	uint64_t t = 1000 * SEC;
	int n = 0;

	(void)state;
	assert_false(limit_rate_take(&r, 0, t));
	while (limit_rate_take(&r, 10, t))
		n++;
	assert_int_equal(n, 10);
	assert_false(limit_rate_take(&r, 10, t + SEC / 10 - 1));
	assert_true(limit_rate_take(&r, 10, t + SEC / 10));
	assert_false(limit_rate_take(&r, 10, t + SEC / 10));
	for (n = 0, t += 100 * SEC; limit_rate_take(&r, 10, t); n++)
		;
	assert_int_equal(n, 10);
}

/* ---- through clusters --------------------------------------------------------------------------------------- */

static void start(struct kit *k, struct pool_limits pool)
{
	struct cluster_fact *c = kit_cluster("web", LB_POLICY_ROUND_ROBIN);

	kit_init(k);
	kit_begin(k);
	c->pool = pool;
	kit_put(k, c);
	kit_hosts(k, "web", 1, 2);
	kit_commit(k);
}

static void test_requests_and_connections(void **state)
{
	struct route_backend b = kit_backend("web");
	struct cluster_ask ask = { .backend = &b };
	struct pick p[4], q;
	struct kit k;

	(void)state;
	start(&k, (struct pool_limits){ .max_requests = 3, .max_connections = 2 });
	for (int i = 0; i < 3; i++)
		assert_true(kit_pick(&k, i, "web", &p[i]) > 0);
	assert_int_equal(kit_pick(&k, 3, "web", &q), -EBUSY);
	assert_true(cluster_conn_open(&p[0]));
	assert_int_equal(cluster_pick(k.clusters[2], &ask, CLUSTER_CONNECTION, &p[3]), 0);
	assert_false(cluster_conn_open(&p[1]));
	assert_int_equal(cluster_pick(k.clusters[2], &ask, CLUSTER_CONNECTION, &q), -EBUSY);
	cluster_conn_closed(p[0].use, p[0].key);
	assert_true(cluster_conn_open(&p[1]));
	cluster_conn_closed(p[1].use, p[1].key);
	kit_ok(&k, &p[2]);
	assert_true(kit_pick(&k, 3, "web", &p[2]) > 0);
	for (int i = 0; i < 4; i++)
		kit_ok(&k, &p[i]);
	kit_fini(&k);
}

static int waited[8], nwaited;
static struct cluster_wait waits[8];

static void on_wait(struct cluster_wait *w, int err)
{
	waited[nwaited++] = err ? err : (int)(w - waits);
}

static void turn_until(struct kit *k, int n)
{
	uint64_t end = clock_ns() + 30 * SEC;

	while (nwaited < n && clock_ns() < end)
		assert_int_equal(loop_once(&k->loop, 20 * MSEC), 0);
	assert_int_equal(nwaited, n);
}

static void test_queue(void **state)
{
	struct route_backend b = kit_backend("web");
	struct cluster_ask ask = { .backend = &b };
	struct pick p[3], q;
	struct kit k;

	(void)state;
	nwaited = 0;
	memset(waits, 0, sizeof(waits));
	start(&k, (struct pool_limits){ .max_requests = 2, .max_pending = 3 });
	kit_turn(&k);
	assert_true(kit_pick(&k, 0, "web", &p[0]) > 0);
	assert_true(kit_pick(&k, 1, "web", &p[1]) > 0);
	assert_int_equal(cluster_wait_begin(k.clusters[0], b.cluster, &waits[0], LIMIT_REQUESTS, on_wait), 0);
	assert_int_equal(cluster_wait_begin(k.clusters[0], b.cluster, &waits[1], LIMIT_REQUESTS, on_wait), 0);
	assert_int_equal(cluster_wait_begin(k.clusters[2], b.cluster, &waits[2], LIMIT_REQUESTS, on_wait), 0);
	assert_int_equal(cluster_wait_begin(k.clusters[2], b.cluster, &waits[3], LIMIT_REQUESTS, on_wait), -EBUSY);
	assert_int_equal(cluster_wait_begin(k.clusters[0], SLICE_LIT("none"), &waits[3], LIMIT_REQUESTS, on_wait), -ENOENT);
	/* A place of this worker's goes to its first; nobody overtakes. */
	kit_ok(&k, &p[0]);
	assert_int_equal(nwaited, 0);
	assert_int_equal(kit_pick(&k, 0, "web", &q), -EBUSY);
	kit_turn(&k);
	assert_int_equal(nwaited, 1);
	assert_int_equal(waited[0], 0);
	ask.wait = &waits[0];
	assert_int_equal(cluster_pick(k.clusters[0], &ask, CLUSTER_REQUEST, &p[0]), 0);
	assert_null(waits[0].use);
	/* Another worker's place is found by asking. */
	cluster_wait_end(&waits[1]);
	cluster_wait_end(&waits[1]);
	kit_ok(&k, &p[1]);
	turn_until(&k, 2);
	assert_int_equal(waited[1], 2);
	cluster_wait_end(&waits[2]);            /* its place is given back unused */
	assert_true(kit_pick(&k, 3, "web", &p[1]) > 0);
	/* In vain. */
	assert_int_equal(cluster_wait_begin(k.clusters[0], b.cluster, &waits[4], LIMIT_REQUESTS, on_wait), 0);
	uint64_t began = clock_ns();
	turn_until(&k, 3);
	assert_int_equal(waited[2], -ETIMEDOUT);
	assert_true(clock_ns() - began > 900 * MSEC);
	kit_ok(&k, &p[0]);
	kit_ok(&k, &p[1]);
	assert_true(kit_pick(&k, 0, "web", &p[0]) > 0);
	kit_ok(&k, &p[0]);
	kit_fini(&k);
}

/* Of several workers the one whose first one waits longest gets a connection's place. */
static void test_conn_queue(void **state)
{
	struct route_backend b = kit_backend("web");
	struct pick p[3];
	struct kit k;

	(void)state;
	nwaited = 0;
	memset(waits, 0, sizeof(waits));
	start(&k, (struct pool_limits){ .max_connections = 1, .max_pending = 3 });
	for (unsigned w = 0; w < 3; w++)
		assert_true(kit_pick(&k, w, "web", &p[w]) > 0);
	assert_false(cluster_conn_waits(p[0].use));
	assert_true(cluster_conn_open(&p[0]));
	assert_true(cluster_conn_rests(p[0].use));
	assert_false(cluster_conn_open(&p[1]));
	assert_int_equal(cluster_wait_begin(k.clusters[2], b.cluster, &waits[0], LIMIT_CONNECTIONS, on_wait), 0);
	kit_turn(&k);
	assert_int_equal(cluster_wait_begin(k.clusters[1], b.cluster, &waits[1], LIMIT_CONNECTIONS, on_wait), 0);
	assert_int_equal(cluster_wait_begin(k.clusters[1], b.cluster, &waits[2], LIMIT_CONNECTIONS, on_wait), 0);
	assert_int_equal(cluster_wait_begin(k.clusters[0], b.cluster, &waits[3], LIMIT_CONNECTIONS, on_wait), -EBUSY);
	assert_true(cluster_conn_waits(p[0].use));
	/* One idle connection for each that waits. */
	for (int i = 0; i < 3; i++)
		assert_false(cluster_conn_rests(p[0].use));
	assert_true(cluster_conn_rests(p[0].use));
	cluster_conn_closed(p[0].use, p[0].key);
	/* None of them takes it, so it is each one's in turn. */
	turn_until(&k, 3);
	assert_int_equal(waited[0], 0);
	assert_int_equal(waited[1], 1);
	assert_int_equal(waited[2], 2);
	assert_false(cluster_conn_waits(p[0].use));
	assert_true(cluster_conn_open(&p[0]));
	/* One that ends by itself is nobody's hindrance. */
	assert_int_equal(cluster_wait_begin(k.clusters[2], b.cluster, &waits[0], LIMIT_CONNECTIONS, on_wait), 0);
	cluster_wait_end(&waits[0]);
	assert_false(cluster_conn_waits(p[0].use));
	assert_true(cluster_conn_rests(p[0].use));
	cluster_conn_closed(p[0].use, p[0].key);
	for (unsigned w = 0; w < 3; w++)
		kit_ok(&k, &p[w]);
	kit_fini(&k);
}

static void test_retry_budget(void **state)
{
	struct pick p[100];
	struct kit k;
	int n = 0;

	(void)state;
	start(&k, (struct pool_limits){ .max_retries = 50 });
	for (int i = 0; i < 100; i++)
		assert_true(kit_pick(&k, 0, "web", &p[i]) > 0);
	while (cluster_retry_begin(p[0].use, 20, 0, k.now_ns))
		n++;
	assert_int_equal(n, 20);
	/* Beyond the share so many a second, for all workers together. */
	while (cluster_retry_begin(p[0].use, 20, 10, k.now_ns))
		n++;
	assert_int_equal(n, 30);
	while (cluster_retry_begin(p[0].use, 20, 10, k.now_ns + SEC))
		n++;
	assert_int_equal(n, 40);
	while (cluster_retry_begin(p[0].use, 100, 10, k.now_ns))
		n++;
	assert_int_equal(n, 50);                /* maxRetries */
	while (n--)
		cluster_retry_end(p[0].use);
	for (int i = 0; i < 100; i++)
		kit_ok(&k, &p[i]);
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_limits_are_exact),
		cmocka_unit_test(test_changes_of_a_limit),
		cmocka_unit_test(test_over_a_limit),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_never_over_with_threads),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_requests_and_connections),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_conn_queue),
		cmocka_unit_test(test_retry_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
