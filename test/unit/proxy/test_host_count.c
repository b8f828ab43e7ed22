// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/host_count.h"
#include "proxy/shared.h"
#include "weft/str.h"

#define N (SHARED_COUNTED_MAX + 10)
#define WORKERS 3

struct rig {
	struct shared all;
	struct shared_cluster *cluster;
	struct shared_host *host[N];
};

static void rig_init(struct rig *r)
{
	shared_init(&r->all, WORKERS);
	r->cluster = shared_cluster_hold(&r->all, SLICE_LIT("c"));
	for (unsigned i = 0; i < N; i++) {
		struct net_addr a = { .ip = { { [10] = 0xff, 0xff, 10, 0, i >> 8, i & 255 } }, .port = 80 };

		r->host[i] = shared_host_hold(&r->all, r->cluster, i + 1, &a, 0);
	}
}

static void rig_fini(struct rig *r)
{
	for (unsigned i = 0; i < N; i++)
		if (r->host[i])
			shared_host_drop(r->cluster, r->host[i]);
	shared_cluster_drop(&r->all, r->cluster);
	shared_fini(&r->all);
}

static struct rig rig;

static void hosts_are_bounded(void **state)
{
	struct host_stat *first;

	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < SHARED_COUNTED_MAX; i++)
		assert_non_null(host_count(rig.cluster, rig.host[i], i % WORKERS));
	for (unsigned i = SHARED_COUNTED_MAX; i < N; i++)
		assert_null(host_count(rig.cluster, rig.host[i], 0));
	/* One that is counted is so on every worker, each by itself. */
	first = host_count(rig.cluster, rig.host[0], 0);
	assert_non_null(host_count(rig.cluster, rig.host[0], 1));
	assert_ptr_not_equal(host_count(rig.cluster, rig.host[0], 1), first);
	assert_ptr_equal(host_count(rig.cluster, rig.host[0], 0), first);
	assert_int_equal(rig.all.counted, SHARED_COUNTED_MAX);
	/* One that goes makes room for one other. */
	shared_host_drop(rig.cluster, rig.host[1]);
	rig.host[1] = NULL;
	assert_non_null(host_count(rig.cluster, rig.host[N - 1], 2));
	assert_null(host_count(rig.cluster, rig.host[N - 2], 2));
	rig_fini(&rig);
	assert_int_equal(rig.all.counted, 0);
}

static void ends(void **state)
{
	struct host_stat s = { 0 };
	struct lb_result r = { .took_ns = 5000, .status = 404 };

	(void)state;
	for (int i = 0; i < 3; i++)
		host_count_begin(&s);
	host_count_end(&s, &r);
	host_count_end(&s, NULL);
	r = (struct lb_result){ 0 };
	host_count_flag(&s, STREAM_UPSTREAM_RESET);
	host_count_flag(&s, STREAM_NO_ROUTE);
	host_count_end(&s, &r);
	assert_int_equal(s.requests, 3);
	assert_int_equal(s.active, 0);
	assert_int_equal(s.answers_4xx, 1);
	assert_int_equal(s.answered, 1);
	assert_int_equal(s.answer_us, 5);
	assert_int_equal(s.closed, 1);
	for (unsigned f = 0; f < STREAM_FLAG_COUNT; f++)
		host_count_flag(&s, f);
	assert_int_equal(s.closed + s.connect_failed + s.malformed + s.late + s.client_gone, 8);
	/* Of what may come as a status at all. */
	for (int status = -1; status < 1000; status++)
		host_count_end(&s, &(struct lb_result){ .took_ns = 1, .status = status });
	assert_int_equal(s.answers_2xx + s.answers_3xx + s.answers_4xx + s.answers_5xx, 401);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hosts_are_bounded), cmocka_unit_test(ends) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
