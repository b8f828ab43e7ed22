// SPDX-License-Identifier: Apache-2.0
/* Captured ranges: which one an address lies in, and what a connection to it comes to. */
#include "stub.h"
#include "lib/range.h"
#include "model.h"

static struct ctl ctl;
static struct caller nobody;

static int fresh(void **state)
{
	model_reset();
	ctl = (struct ctl){ .flags = CTL_CONNECT | CTL_RANGES, .beat_timeout_ms = 1000, .nworkers = 1 };
	return 0;
}

static struct ask ask_to(const char *addr, int port)
{
	return (struct ask){ .addr = ip(addr), .port = htons(port), .proto = IPPROTO_TCP, .client = 42,
			     .rnd = chance(), .now_ns = stub_now_ns, .netns = 7 };
}

/* Bits of the range that is found, of its port the number in thousands; 0: none. */
static int found(const char *addr, int port)
{
	struct ask ask = ask_to(addr, port);
	struct answer a = {};

	destination_find(&ctl, &ask, &a);
	if (!a.service_id)
		return 0;
	assert_int_equal(a.service_id, ORIGIN_RANGE);
	return a.service.off + 1000 * ntohs(a.service.slot);
}

static void the_longest_prefix_wins_then_the_port(void **state)
{
	put_prefix("10.99.0.0", 96 + 16, 0, (struct prefix){ 0 });
	put_prefix("10.99.0.0", 96 + 16, 80, (struct prefix){ 0 });
	put_prefix("10.99.1.0", 96 + 24, 0, (struct prefix){ 0 });
	put_prefix("10.99.1.7", 128, 81, (struct prefix){ 0 });
	assert_int_equal(found("10.99.0.1", 80), 112 + 80000);
	assert_int_equal(found("10.99.0.1", 81), 112);
	assert_int_equal(found("10.99.1.1", 80), 120);      /* a longer block without a port goes before a port */
	assert_int_equal(found("10.99.1.7", 81), 128 + 81000);
	assert_int_equal(found("10.99.1.7", 80), 120);
	assert_int_equal(found("::ffff:10.99.1.7", 81), 128 + 81000);
	assert_int_equal(found("10.98.0.1", 80), 0);
	assert_int_equal(found("fd00::1", 80), 0);
}

static void each_family_has_its_own(void **state)
{
	put_prefix("::", 0, 0, (struct prefix){ 0 });
	put_prefix("fd00:99::", 64, 0, (struct prefix){ 0 });
	assert_int_equal(found("fd00:99::5", 80), 64);
	assert_int_equal(found("10.99.0.1", 80), 0);        /* ::/0 holds no IPv4 */
	put_prefix("0.0.0.0", 96, 443, (struct prefix){ 0 });
	assert_int_equal(found("10.99.0.1", 443), 96 + 443000);
}

static void everything_of_ipv6(void **state)
{
	struct ask ask = ask_to("2001:db8::1", 80);
	struct answer a = {};

	put_prefix("::", 0, 0, (struct prefix){ 0 });
	destination_find(&ctl, &ask, &a);
	assert_int_equal(a.service_id, ORIGIN_RANGE);
	assert_int_equal(a.service.off, 0);
}

static void services_win(void **state)
{
	struct ask ask = ask_to("10.99.0.1", 80);
	struct answer a = {};

	put_prefix("10.99.0.1", 128, 80, (struct prefix){ 0 });
	put_frontend("10.99.0.1", 80, IPPROTO_TCP, 1);
	destination_find(&ctl, &ask, &a);
	assert_int_equal(a.service_id, 1);
	assert_int_equal(found("10.99.0.1", 81), 0);
}

static void not_over_udp_and_not_without_the_flag(void **state)
{
	struct ask ask = ask_to("10.99.0.1", 80);
	struct answer a = {};

	put_prefix("10.99.0.0", 112, 0, (struct prefix){ 0 });
	ask.proto = IPPROTO_UDP;
	destination_find(&ctl, &ask, &a);
	assert_int_equal(a.service_id, 0);
	ctl.flags &= ~CTL_RANGES;
	assert_int_equal(found("10.99.0.1", 80), 0);
}

static struct answer decide(const char *addr, const struct caller *c)
{
	struct ask ask = ask_to(addr, 80);
	struct answer a = {};

	destination_find(&ctl, &ask, &a);
	destination_decide(&ctl, &ask, c, &a);
	assert_int_equal(service_commit(&ask, &a), 0);
	return a;
}

static void expect(struct prefix v, uint32_t verdict, uint32_t reason, int err)
{
	struct answer a;

	put_prefix("10.99.0.0", 112, 0, v);
	a = decide("10.99.0.1", &nobody);
	assert_int_equal(a.verdict, verdict);
	assert_int_equal(a.reason, reason);
	if (err)
		assert_int_equal(verdict_errno(&a), err);
}

static void the_fail_mode_decides_without_a_proxy(void **state)
{
	const struct prefix open = { .served = 1 }, closed = { .served = 1, .flags = SERVICE_FAIL_CLOSED },
			    unserved = { .flags = SERVICE_FAIL_CLOSED };
	struct pod_place place = { .v4 = ip("10.1.0.5"), .port = htons(15001) };
	struct addr16 addr, want = place.v4;
	struct ask ask = ask_to("10.99.0.1", 80);
	uint64_t netns = 7;
	uint32_t worker = 0;
	struct answer a;
	uint16_t port;

	expect(open, VERDICT_PASS, REASON_RANGE_OPEN, 0);
	expect(closed, VERDICT_REFUSE, REASON_RANGE_CLOSED, -ECONNREFUSED);
	bpf_map_update_elem(&beat_map, &worker, &stub_now_ns, 0);
	expect(open, VERDICT_PASS, REASON_RANGE_UNSEEN_OPEN, 0);
	expect(closed, VERDICT_REFUSE, REASON_RANGE_UNSEEN_CLOSED, -ECONNREFUSED);
	a = decide("10.99.0.1", &nobody);
	assert_true(answer_unseen(&a));
	bpf_map_update_elem(&pod_map, &netns, &place, 0);
	expect(unserved, VERDICT_REFUSE, REASON_RANGE_CLOSED, -ECONNREFUSED);
	expect(closed, VERDICT_PROXY, REASON_RANGE_PROXY, 0);
	a = decide("10.99.0.1", &nobody);
	answer_target(&ask, &a, &addr, &port);
	assert_true(addr_eq(&addr, &want) && port == htons(15001));
}

/* Weft's own connections to hosts that lie in a range are not captured, whatever the fail mode. */
static void who_is_exempt_is_left_alone(void **state)
{
	const struct caller own = { .exempt = 1 };
	struct answer a;

	put_prefix("10.99.0.0", 112, 0, (struct prefix){ .served = 1, .flags = SERVICE_FAIL_CLOSED });
	a = decide("10.99.0.1", &own);
	assert_int_equal(a.verdict, VERDICT_PASS);
	assert_int_equal(a.reason, REASON_EXEMPT);
}

/* Of a service's numbers it has none, so no service's statistics may move. */
static void nothing_is_counted_for_a_service(void **state)
{
	uint32_t zero = 0;

	expect((struct prefix){ .flags = SERVICE_FAIL_CLOSED }, VERDICT_REFUSE, REASON_RANGE_CLOSED, -ECONNREFUSED);
	assert_int_equal(((struct service_stat *)bpf_map_lookup_elem(&svc_stat_map, &zero))->refused, 0);
}

static void replaced(const void *map)
{
	static int n;

	if (map == &prefix_map && n++ == 1)
		put_prefix("10.99.0.0", 112, 0, (struct prefix){ .served = 1, .flags = SERVICE_FAIL_CLOSED });
}

/* An entry that changes under the look is looked at again. */
static void one_that_is_replaced_is_found(void **state)
{
	put_prefix("10.99.0.0", 112, 0, (struct prefix){ 0 });
	stub_on_lookup = replaced;
	assert_int_equal(found("10.99.0.1", 80), 112);
	stub_on_lookup = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_longest_prefix_wins_then_the_port, fresh),
		cmocka_unit_test_setup(each_family_has_its_own, fresh),
		cmocka_unit_test_setup(everything_of_ipv6, fresh),
		cmocka_unit_test_setup(services_win, fresh),
		cmocka_unit_test_setup(not_over_udp_and_not_without_the_flag, fresh),
		cmocka_unit_test_setup(the_fail_mode_decides_without_a_proxy, fresh),
		cmocka_unit_test_setup(who_is_exempt_is_left_alone, fresh),
		cmocka_unit_test_setup(nothing_is_counted_for_a_service, fresh),
		cmocka_unit_test_setup(one_that_is_replaced_is_found, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/range", tests, NULL, NULL);
}
