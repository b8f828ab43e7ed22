// SPDX-License-Identifier: Apache-2.0
#include "stub.h"
#include "lib/flow.h"
#include "model.h"

#define COOKIE 77

static struct flow f;

static int fresh(void **state)
{
	model_reset();
	memset(&f, 0, sizeof(f));
	return 0;
}

static struct ask dialled(int vip)
{
	return (struct ask){ .addr = addr_v4(htonl(0x0a600000 + vip)), .port = htons(53), .proto = IPPROTO_UDP };
}

/* Service n at 10.96.0.n went to backend 10.0.0.be. */
static long note(uint32_t peer, int n, int be)
{
	struct ask ask = dialled(n);
	struct answer a = { .verdict = VERDICT_BACKEND, .service_id = n, .backend_id = be };

	a.backend = (struct backend){ .addr = addr_v4(htonl(0x0a000000 + be)), .port = htons(5353), .slot = be };
	return flow_note(&f, peer, &ask, &a, COOKIE);
}

/* The service (last number of its address) from which a datagram of a backend seems to come; 0 = untranslated. */
static uint32_t seems_from(int be)
{
	struct addr16 addr = addr_v4(htonl(0x0a000000 + be));
	uint16_t port = htons(5353);

	if (!flow_dialled(&f, &addr, &port, COOKIE))
		return 0;
	assert_int_equal(port, htons(53));
	return ntohl(addr.w[3]) - 0x0a600000;
}

static uint32_t peer_of(int n)
{
	struct ask ask = dialled(n);

	return flow_peer(&f, &ask, n);
}

static void what_was_dialled_is_found_again(void **state)
{
	assert_int_equal(peer_of(1), 0);
	note(0, 1, 11);
	note(0, 2, 12);
	assert_int_equal(peer_of(1), 1);
	assert_int_equal(peer_of(2), 2);
	assert_int_equal(peer_of(3), 0);
	assert_int_equal(seems_from(11), 1);
	assert_int_equal(seems_from(12), 2);
	assert_int_equal(seems_from(13), 0);
	assert_int_equal(f.spilled, 0);
}

static void what_makes_room_is_still_known(void **state)
{
	for (int n = 1; n <= 300; n++)
		assert_int_equal(note(0, n, 1000 + n), 0);
	for (int n = 1; n <= 300; n++)
		assert_int_equal(seems_from(1000 + n), n);
	assert_int_equal(f.peer[0].service, 0);
	assert_int_equal(stub_count(&udp_peer_map), 300 - (UDP_PEERS - 1));
}

static void late_answers_after_a_move_are_renamed_too(void **state)
{
	note(0, 1, 11);
	note(1, 1, 12);
	assert_int_equal(peer_of(1), 1);
	assert_int_equal(seems_from(12), 1);
	assert_int_equal(seems_from(11), 1);
}

static void another_socket_knows_nothing_of_it(void **state)
{
	struct addr16 addr = addr_v4(htonl(0x0a000000 + 11));
	uint16_t port = htons(5353);

	note(0, 1, 11);
	note(1, 1, 12);
	assert_false(flow_dialled(&f, &addr, &port, COOKIE + 1));
}

static void a_lost_address_is_an_error(void **state)
{
	note(0, 1, 11);
	stub_update_err = -ENOMEM;
	assert_int_equal(note(1, 1, 12), -ENOMEM);
	assert_int_equal(seems_from(12), 1);
}

static void talking_to_a_backend_itself_ends_the_renaming(void **state)
{
	struct ask direct = { .addr = addr_v4(htonl(0x0a000000 + 11)), .port = htons(5353) };

	note(0, 1, 11);
	note(0, 2, 12);
	flow_direct(&f, &direct, COOKIE);
	assert_int_equal(seems_from(11), 0);
	assert_int_equal(seems_from(12), 2);
	for (int n = 1; n <= 10; n++)
		note(0, n, 10 + n);
	direct.addr = addr_v4(htonl(0x0a000000 + 11));
	flow_direct(&f, &direct, COOKIE);
	assert_int_equal(seems_from(11), 0);
}

static void of_two_services_the_last_asked_answers(void **state)
{
	note(0, 1, 11);
	note(0, 2, 11);
	assert_int_equal(seems_from(11), 2);
	f.last = peer_of(1);
	assert_int_equal(seems_from(11), 1);
}

static void the_port_is_part_of_who_answers(void **state)
{
	struct addr16 addr = addr_v4(htonl(0x0a000000 + 11));
	uint16_t port = htons(5354);

	note(0, 1, 11);
	assert_false(flow_dialled(&f, &addr, &port, COOKIE));
}

static int32_t open_of(uint32_t slot)
{
	return *(__s32 *)bpf_map_lookup_elem(&open_map, &slot);
}

static void open_counts_go_up_and_down_once(void **state)
{
	struct answer a = { .backend.slot = 0 };

	open_drop(&f);
	open_add(&f, &a);
	assert_int_equal(open_of(0), 1);
	open_drop(&f);
	open_drop(&f);
	assert_int_equal(open_of(0), 0);
	a.backend.slot = MAX_BACKENDS_DFLT;
	open_add(&f, &a);
	assert_int_equal(f.open_slot, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_dialled_is_found_again, fresh),
		cmocka_unit_test_setup(what_makes_room_is_still_known, fresh),
		cmocka_unit_test_setup(late_answers_after_a_move_are_renamed_too, fresh),
		cmocka_unit_test_setup(another_socket_knows_nothing_of_it, fresh),
		cmocka_unit_test_setup(a_lost_address_is_an_error, fresh),
		cmocka_unit_test_setup(talking_to_a_backend_itself_ends_the_renaming, fresh),
		cmocka_unit_test_setup(of_two_services_the_last_asked_answers, fresh),
		cmocka_unit_test_setup(the_port_is_part_of_who_answers, fresh),
		cmocka_unit_test_setup(open_counts_go_up_and_down_once, fresh),
	};

	return cmocka_run_group_tests_name("bpf/lib/flow", tests, NULL, NULL);
}
