// SPDX-License-Identifier: Apache-2.0
/* Over many random models: what explain says is what a connection then gets, and saying it changes nothing. */
#include "stub.h"
#include "lib/explain.h"
#include "asked.h"
#include "model.h"

#define MODELS 10000

static struct ctl ctl;

static int fresh(void **state)
{
	model_reset();
	return 0;
}

static uint32_t below(uint32_t n)
{
	return chance() % n;
}

static void random_backend(uint32_t id)
{
	struct backend be = { .port = htons(80), .slot = id, .weight = below(4), .state = below(8) == 0 };
	uint32_t slot = id;
	int32_t open = below(10);

	if (below(10) == 0)
		be.addr = ip("fd00::1");
	if (below(6))
		put_backend(id, be);
	bpf_map_update_elem(&open_map, &slot, &open, 0);
}

static void random_model(void)
{
	uint32_t n = below(6) ? below(40) : 0, ids[41];
	struct service svc = { .algo = below(LB_ALGO_MAX), .flags = below(8), .affinity_s = 1 + below(100) };
	uint64_t beat = stub_now_ns - below(2000) * 1000000ull, cgroup = 100 + below(8);
	struct workload w = { .id = 5, .flags = below(16) ? WORKLOAD_MANAGED : WORKLOAD_EXEMPT };
	uint64_t netns = 1 + below(3);
	struct pod_place place = { .v4 = ip("10.1.0.5"), .port = htons(15001) };
	uint32_t worker = 0;

	model_slots = 0;
	ctl = (struct ctl){ .flags = below(20) ? CTL_CONNECT : 0, .nworkers = below(2), .beat_timeout_ms = 1000,
			    .own_cgroup = 100 + below(40) };
	if (below(2))
		svc.served = 1;
	if (below(2))
		bpf_map_update_elem(&pod_map, &netns, &place, 0);
	for (uint32_t i = 0; i < n; i++)
		random_backend(ids[i] = 1 + below(50));
	if (below(20))
		put_service(1, svc, ids, n);
	if (below(4))
		put_frontend("10.96.0.1", below(2) ? 80 : 0, IPPROTO_TCP, 1);
	if (below(3))
		ctl.flags |= CTL_RANGES;
	if (below(2))
		put_prefix("10.96.0.0", 96 + 8 + below(9), below(2) ? 80 : 0,
			   (struct prefix){ .served = below(2), .flags = below(2) ? SERVICE_FAIL_CLOSED : 0 });
	bpf_map_update_elem(&beat_map, &worker, &beat, 0);
	bpf_map_update_elem(&workload_map, &cgroup, &w, 0);
	for (int level = 1; level <= 6; level++)
		stub_cgroup[level] = level <= 4 ? 100 + level : 0;
}

/* What the connect program does with an ask, by the same steps. */
static struct answer connects(struct ask ask, uint64_t netns)
{
	struct answer a = {};
	struct caller c = {};
	struct lineage of = {};

	if (!(ctl.flags & CTL_CONNECT)) {
		a.reason = REASON_DISABLED;
		return a;
	}
	destination_find(&ctl, &ask, &a);
	if (!a.service_id) {
		a.reason = REASON_NO_SERVICE;
		return a;
	}
	lineage_self(&of);
	caller_find(&c, &ctl, &of);
	ask.client = client_id(&c, netns, 1);
	ask.netns = netns_key(netns, 1);
	destination_decide(&ctl, &ask, &c, &a);
	if (a.verdict != VERDICT_PASS)
		service_commit(&ask, &a);
	return a;
}

static struct explain_answer explains(struct ask ask, uint64_t netns)
{
	struct explain_ask x = asked_of(&ask);
	struct explain_answer e = {};
	struct caller c = {};
	struct answer a = {};
	struct lineage of = {};

	lineage_self(&of);
	caller_find(&c, &ctl, &of);
	ask.client = client_id(&c, netns, 1);
	ask.netns = netns_key(netns, 1);
	ask.dry = DRY_NEXT;
	explain_choose(&a, &ask, &x, &c, &ctl);
	explain_answer(&e, &ask, &c, &a);
	return e;
}

static void compare(const struct ask *ask, const struct explain_answer *e, const struct answer *a)
{
	struct addr16 addr;
	uint16_t port;

	assert_int_equal(e->verdict, a->verdict);
	assert_int_equal(e->reason, a->reason);
	assert_int_equal(e->service_id, a->service_id);
	assert_int_equal(e->bad_table, a->bad_table);
	assert_int_equal(e->err, a->verdict == VERDICT_REFUSE ? verdict_errno(a) : 0);
	if (a->verdict != VERDICT_BACKEND && a->verdict != VERDICT_PROXY) {
		assert_int_equal(e->path, EXPLAIN_PATH_NONE);
		return;
	}
	assert_int_equal(e->path, a->verdict == VERDICT_PROXY ? EXPLAIN_PATH_PROXY : EXPLAIN_PATH_KERNEL);
	assert_int_equal(e->backend_id, a->backend_id);
	answer_target(ask, a, &addr, &port);
	assert_true(addr_eq(&e->target_addr, &addr));
	assert_int_equal(e->target_port, port);
}

static uint32_t one_connection(void)
{
	struct ask ask = { .addr = ip("10.96.0.1"), .port = htons(below(8) ? 80 : 81), .proto = IPPROTO_TCP,
			   .rnd = chance(), .now_ns = stub_now_ns };
	uint64_t netns = 1 + below(3);
	struct explain_answer e = explains(ask, netns);
	struct answer a = connects(ask, netns);

	compare(&ask, &e, &a);
	return a.verdict;
}

static void what_it_says_is_what_happens(void **state)
{
	uint32_t verdicts[4] = {};

	for (int m = 0; m < MODELS; m++) {
		if (m % 50 == 0)
			model_reset();
		random_model();
		for (int i = 0; i < 4; i++) {
			stub_now_ns += below(4) ? below(100) * 1000000 : below(40) * 1000000000ull;
			verdicts[one_connection()]++;
		}
	}
	for (int v = 0; v < 4; v++)
		assert_true(verdicts[v] > MODELS / 100);    /* each of them did come up */
}

static void asking_twice_answers_the_same(void **state)
{
	for (int m = 0; m < 500; m++) {
		struct ask ask = { .addr = ip("10.96.0.1"), .port = htons(80), .proto = IPPROTO_TCP, .rnd = chance() };
		struct explain_answer e, again;
		uint32_t affinities = stub_count(&affinity_map);

		random_model();
		ask.now_ns = stub_now_ns;
		e = explains(ask, 9);
		again = explains(ask, 9);
		assert_memory_equal(&e, &again, sizeof(e));
		assert_int_equal(stub_count(&affinity_map), affinities);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_it_says_is_what_happens, fresh),
		cmocka_unit_test_setup(asking_twice_answers_the_same, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/explain", tests, NULL, NULL);
}
