// SPDX-License-Identifier: Apache-2.0
/* The whole decision: one line of inputs, one verdict and its reason. */
#include "stub.h"
#include "lib/emit.h"
#include "model.h"

#define SECOND 1000000000ull

static struct ctl ctl;
static struct caller nobody;

static int fresh(void **state)
{
	model_reset();
	ctl = (struct ctl){ .flags = CTL_CONNECT, .beat_timeout_ms = 1000, .nworkers = 1 };
	return 0;
}

static struct ask ask_to(const char *addr, int port)
{
	return (struct ask){ .addr = ip(addr), .port = htons(port), .proto = IPPROTO_TCP, .client = 42,
			     .rnd = chance(), .now_ns = stub_now_ns, .netns = 7 };
}

static struct answer decide(const struct ask *ask)
{
	struct answer a = { .service_id = frontend_find(ask) };
	uint32_t verdict;

	if (a.service_id) {
		verdict = service_decide(&ctl, ask, &nobody, &a);
		assert_int_equal(verdict, a.verdict);
	}
	return a;
}

/* Decides, commits, and checks the outcome. */
static struct answer expect(uint32_t verdict, uint32_t reason)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct answer a = decide(&ask);

	assert_int_equal(a.verdict, verdict);
	assert_int_equal(a.reason, reason);
	assert_int_equal(service_commit(&ask, &a), 0);
	return a;
}

static struct service_stat *stat_of(uint32_t slot)
{
	return bpf_map_lookup_elem(&svc_stat_map, &slot);
}

static void the_exact_port_wins(void **state)
{
	struct ask ask;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_frontend("10.96.0.1", 0, IPPROTO_TCP, 2);
	put_frontend("fd00::1", 80, IPPROTO_TCP, 3);
	ask = ask_to("10.96.0.1", 80);
	assert_int_equal(frontend_find(&ask), 1);
	ask = ask_to("::ffff:10.96.0.1", 80);
	assert_int_equal(frontend_find(&ask), 1);
	ask = ask_to("10.96.0.1", 81);
	assert_int_equal(frontend_find(&ask), 2);
	ask = ask_to("fd00::1", 80);
	assert_int_equal(frontend_find(&ask), 3);
	ask = ask_to("fd00::1", 81);
	assert_int_equal(frontend_find(&ask), 0);
	ask = ask_to("10.96.0.1", 80);
	ask.proto = IPPROTO_UDP;
	assert_int_equal(frontend_find(&ask), 0);
}

static void a_backend_is_where_it_goes(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct addr16 addr, want = ip("10.0.0.5");
	struct answer a;
	uint16_t port;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(0), 5, 1);
	a = expect(VERDICT_BACKEND, REASON_TRANSLATED);
	assert_int_equal(a.backend_id, 5);
	answer_target(&ask, &a, &addr, &port);
	assert_true(addr_eq(&addr, &want));
	assert_int_equal(port, htons(80));
	put_backend(5, (struct backend){ .port = 0 });
	a = expect(VERDICT_BACKEND, REASON_TRANSLATED);
	ask.port = htons(1234);
	answer_target(&ask, &a, &addr, &port);
	assert_int_equal(port, htons(1234));
	assert_int_equal(stat_of(1)->picked, 2);
}

static void nobody_there_is_refused(void **state)
{
	struct answer a;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	a = expect(VERDICT_REFUSE, REASON_NO_BACKEND);
	assert_int_equal(a.bad_table, 1);
	put_service(1, SVC(0), NULL, 0);
	a = expect(VERDICT_REFUSE, REASON_NO_BACKEND);
	assert_int_equal(a.bad_table, 0);
	assert_int_equal(verdict_errno(&a), -EHOSTUNREACH);
	put_service(1, SVC(0), (uint32_t[]){ 7, 8 }, 2);
	a = expect(VERDICT_REFUSE, REASON_NO_BACKEND);
	assert_int_equal(stat_of(1)->refused, 2);
}

static void a_table_beyond_its_end_is_told(void **state)
{
	struct service svc = { .off = MAX_SLOTS_DFLT, .n = 1 };
	uint32_t id = 1;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	bpf_map_update_elem(&service_map, &id, &svc, 0);
	assert_int_equal(expect(VERDICT_REFUSE, REASON_NO_BACKEND).bad_table, 1);
}

static void another_slot_is_said_so(void **state)
{
	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.algo = LB_ROUND_ROBIN), 5, 3);
	del_backend(5);
	assert_int_equal(expect(VERDICT_BACKEND, REASON_REPROBED).backend_id, 6);
	expect(VERDICT_BACKEND, REASON_TRANSLATED);
}

static void an_exempt_caller_is_left_alone(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct caller weft = { .exempt = 1 };
	struct answer a = { .service_id = 1 };

	put_plain(1, SVC(0), 5, 3);
	service_decide(&ctl, &ask, &weft, &a);
	assert_int_equal(a.verdict, VERDICT_PASS);
	assert_int_equal(a.reason, REASON_EXEMPT);
}

static void affinity_holds_renews_and_ends(void **state)
{
	uint32_t first;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.algo = LB_ROUND_ROBIN, .flags = SERVICE_AFFINITY, .affinity_s = 10), 5, 4);
	first = expect(VERDICT_BACKEND, REASON_TRANSLATED).backend_id;
	for (int i = 0; i < 5; i++) {
		stub_now_ns += 10 * SECOND - 1;
		assert_int_equal(expect(VERDICT_BACKEND, REASON_AFFINITY).backend_id, first);
	}
	stub_now_ns += 10 * SECOND;
	assert_int_not_equal(expect(VERDICT_BACKEND, REASON_TRANSLATED).backend_id, first);
}

static void affinity_is_per_client_and_service(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct answer a;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 10), 5, 4);
	expect(VERDICT_BACKEND, REASON_TRANSLATED);
	expect(VERDICT_BACKEND, REASON_AFFINITY);
	ask.client++;
	assert_int_equal(decide(&ask).reason, REASON_TRANSLATED);
	put_frontend("10.96.0.2", 80, IPPROTO_TCP, 2);
	put_plain(2, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 10), 15, 4);
	ask = ask_to("10.96.0.2", 80);
	a = decide(&ask);
	assert_int_equal(a.reason, REASON_TRANSLATED);
	assert_in_range(a.backend_id, 15, 18);
}

static void stale_affinity_is_never_used(void **state)
{
	struct backend be = { .state = BACKEND_DRAINING };
	uint32_t first;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 10), 5, 4);
	first = expect(VERDICT_BACKEND, REASON_TRANSLATED).backend_id;
	put_backend(first, be);
	assert_int_not_equal(expect(VERDICT_BACKEND, REASON_AFFINITY_STALE).backend_id, first);
	first = expect(VERDICT_BACKEND, REASON_AFFINITY).backend_id;
	del_backend(first);
	assert_int_not_equal(expect(VERDICT_BACKEND, REASON_AFFINITY_STALE).backend_id, first);
}

static void affinity_that_cannot_be_kept_is_an_error(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct answer a;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 10), 5, 4);
	a = decide(&ask);
	stub_update_err = -ENOMEM;
	assert_int_equal(service_commit(&ask, &a), -ENOMEM);
	assert_int_equal(stub_count(&affinity_map), 0);
}

static void routes_follow_the_fail_mode_without_a_proxy(void **state)
{
	struct answer a;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_plain(1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED), 5, 4);
	a = expect(VERDICT_REFUSE, REASON_L7_CLOSED);
	assert_int_equal(verdict_errno(&a), -ECONNREFUSED);
	put_plain(1, SVC(.flags = SERVICE_L7 | SERVICE_AFFINITY, .affinity_s = 10), 5, 4);
	expect(VERDICT_BACKEND, REASON_L7_OPEN);
	expect(VERDICT_BACKEND, REASON_L7_OPEN);
	put_service(1, SVC(.flags = SERVICE_L7), NULL, 0);
	expect(VERDICT_REFUSE, REASON_NO_BACKEND);
}

static void routes_go_to_a_living_proxy(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct addr16 addr, want = ip("10.1.0.5");
	struct pod_place place = { .v4 = want, .port = htons(15001) };
	uint64_t netns = 7;
	uint32_t worker = 0;
	struct answer a;
	uint16_t port;

	put_frontend("10.96.0.1", 80, IPPROTO_TCP, 1);
	put_frontend("10.96.0.1", 80, IPPROTO_UDP, 1);
	put_plain(1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED, .served = 1), 5, 4);
	bpf_map_update_elem(&beat_map, &worker, &stub_now_ns, 0);
	a = expect(VERDICT_REFUSE, REASON_L7_UNSEEN_CLOSED);
	assert_int_equal(verdict_errno(&a), -ECONNREFUSED);
	assert_true(answer_unseen(&a));
	bpf_map_update_elem(&pod_map, &netns, &place, 0);
	a = expect(VERDICT_PROXY, REASON_L7_PROXY);
	answer_target(&ask, &a, &addr, &port);
	assert_true(addr_eq(&addr, &want));
	assert_int_equal(port, htons(15001));
	/* Not where the pod has no address of the family, nor in another namespace. */
	put_frontend("fd00::1", 80, IPPROTO_TCP, 1);
	ask = ask_to("fd00::1", 80);
	assert_int_equal(decide(&ask).reason, REASON_L7_UNSEEN_CLOSED);
	ask = ask_to("10.96.0.1", 80);
	ask.netns = 8;
	assert_int_equal(decide(&ask).reason, REASON_L7_UNSEEN_CLOSED);
	ask.proto = IPPROTO_UDP;
	assert_int_equal(decide(&ask).reason, REASON_L7_CLOSED);
	stub_now_ns += 2 * SECOND;
	expect(VERDICT_REFUSE, REASON_L7_CLOSED);
}

static void records_are_bounded_and_losses_counted(void **state)
{
	struct ask ask = ask_to("10.96.0.1", 80);
	struct answer a = { .reason = REASON_NO_BACKEND };
	uint32_t lost = REASON_EVENT_LOST, full = REASON_STORAGE_FULL;

	for (int i = 0; i < 1000; i++)
		emit_refused(&ask, &a, 1);
	assert_int_equal(stub_nrecords, EMIT_BURST);
	/* Of namespaces as many: one kind does not take the other's place. */
	for (int i = 0; i < 1000; i++)
		emit_netns(&ask, 1);
	assert_int_equal(stub_nrecords, 2 * EMIT_BURST);
	ask.now_ns = stub_now_ns += SECOND;
	stub_ring_err = -EAGAIN;
	emit_refused(&ask, &a, 1);
	assert_int_equal(*(__u64 *)bpf_map_lookup_elem(&reason_map, &lost), 1);
	stub_ring_err = 0;
	emit_error(REASON_STORAGE_FULL, -ENOMEM);
	assert_int_equal(*(__u64 *)bpf_map_lookup_elem(&reason_map, &full), 1);
	assert_int_equal(stub_nrecords, 2 * EMIT_BURST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_exact_port_wins, fresh),
		cmocka_unit_test_setup(a_backend_is_where_it_goes, fresh),
		cmocka_unit_test_setup(nobody_there_is_refused, fresh),
		cmocka_unit_test_setup(a_table_beyond_its_end_is_told, fresh),
		cmocka_unit_test_setup(another_slot_is_said_so, fresh),
		cmocka_unit_test_setup(an_exempt_caller_is_left_alone, fresh),
		cmocka_unit_test_setup(affinity_holds_renews_and_ends, fresh),
		cmocka_unit_test_setup(affinity_is_per_client_and_service, fresh),
		cmocka_unit_test_setup(stale_affinity_is_never_used, fresh),
		cmocka_unit_test_setup(affinity_that_cannot_be_kept_is_an_error, fresh),
		cmocka_unit_test_setup(routes_follow_the_fail_mode_without_a_proxy, fresh),
		cmocka_unit_test_setup(routes_go_to_a_living_proxy, fresh),
		cmocka_unit_test_setup(records_are_bounded_and_losses_counted, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/service", tests, NULL, NULL);
}
