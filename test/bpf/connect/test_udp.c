// SPDX-License-Identifier: Apache-2.0
/* UDP over the connect programs, with and without connect(): who gets a datagram, and from whom answers seem to come. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

#define VIP "10.96.0.1"
#define VIP_B "10.96.0.2"
#define VIP6 "fd00:96::1"

static void two_services(struct rig *r)
{
	rig_backend(r, 12, false, 2);
	rig_backend(r, 13, false, 3);
	rig_backend(r, 62, true, 2);
	rig_service(r, 1, SVC(0), IDS(12));
	rig_service(r, 2, SVC(0), IDS(13));
	rig_service(r, 6, SVC(0), IDS(62));
	rig_frontend(r, VIP, 53, IPPROTO_UDP, 1);
	rig_frontend(r, VIP_B, 53, IPPROTO_UDP, 2);
	rig_frontend(r, VIP6, 53, IPPROTO_UDP, 6);
}

static void answers_come_from(const char *vip, int server, const char *from)
{
	int fd = sock(vip, SOCK_DGRAM);

	assert_int_equal(ask_udp(fd, vip, 53), server);
	assert_string_equal(from_of(fd), from);
	close(fd);
}

static void unconnected_sockets_get_answers_from_the_service(void **state)
{
	struct rig *r = *state;

	two_services(r);
	answers_come_from(VIP, 2, VIP " 53");
	answers_come_from(VIP6, 2, VIP6 " 53");
	answers_come_from("::ffff:" VIP, 2, "::ffff:" VIP " 53");
	rig_took(r, REASON_TRANSLATED, 3);
}

static void connected_sockets_too(void **state)
{
	struct rig *r = *state;
	const char *vips[] = { VIP, VIP6, "::ffff:" VIP };
	char want[64];
	int fd;

	two_services(r);
	for (int i = 0; i < 3; i++) {
		snprintf(want, sizeof(want), "%s 53", vips[i]);
		fd = dial(vips[i], 53, SOCK_DGRAM);
		assert_true(fd >= 0);
		assert_string_equal(peer_of(fd), want);
		assert_int_equal(ask_udp(fd, NULL, 0), 2);
		assert_string_equal(from_of(fd), want);
		close(fd);
	}
	rig_took(r, REASON_TRANSLATED, 3);
}

static void a_socket_may_connect_again(void **state)
{
	struct rig *r = *state;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd;

	two_services(r);
	fd = dial(VIP, 53, SOCK_DGRAM);
	assert_int_equal(dial_on(fd, VIP_B, 53), 0);
	assert_string_equal(peer_of(fd), VIP_B " 53");
	assert_int_equal(ask_udp(fd, NULL, 0), 3);
	assert_string_equal(from_of(fd), VIP_B " 53");
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_string_equal(peer_of(fd), strerror(ENOTCONN));
	assert_int_equal(dial_on(fd, "127.0.0.13", SERVER_PORT), 0);
	assert_string_equal(peer_of(fd), "127.0.0.13 7000");
	assert_int_equal(ask_udp(fd, NULL, 0), 3);
	assert_string_equal(from_of(fd), "127.0.0.13 7000");
	close(fd);
}

/* Disconnected, then used without connect(): what it was connected to does not colour what it says now. */
static void after_disconnecting_a_socket_is_as_new(void **state)
{
	struct rig *r = *state;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd;

	two_services(r);
	fd = dial(VIP, 53, SOCK_DGRAM);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(ask_udp(fd, "127.0.0.12", SERVER_PORT), 2);
	assert_string_equal(from_of(fd), "127.0.0.12 7000");
	assert_int_equal(ask_udp(fd, VIP, 53), 2);
	assert_string_equal(from_of(fd), VIP " 53");
	close(fd);
}

static void a_connected_socket_may_send_elsewhere(void **state)
{
	struct rig *r = *state;
	int fd;

	two_services(r);
	fd = dial(VIP, 53, SOCK_DGRAM);
	for (int i = 0; i < 2 * UDP_PEERS; i++)
		assert_true(ask_udp(fd, VIP_B, 53) == 3);
	assert_string_equal(peer_of(fd), VIP " 53");
	assert_int_equal(ask_udp(fd, NULL, 0), 2);
	assert_string_equal(from_of(fd), VIP " 53");
	close(fd);
}

static void a_socket_stays_with_its_backend_and_moves_when_that_goes(void **state)
{
	struct rig *r = *state;
	int fd = sock(VIP, SOCK_DGRAM), first, next;

	for (int i = 0; i < 4; i++)
		rig_backend(r, 10 + i, false, i);
	rig_service(r, 1, SVC(0), IDS(10, 11, 12, 13));
	rig_frontend(r, VIP, 53, IPPROTO_UDP, 1);
	first = ask_udp(fd, VIP, 53);
	assert_in_range(first, 0, 3);
	from_of(fd);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(ask_udp(fd, VIP, 53), first);
		assert_string_equal(from_of(fd), VIP " 53");
	}
	rig_took(r, REASON_TRANSLATED, 21);
	assert_int_equal(rig_stat(r, 1).picked, 1);

	rig_backend_is(r, 10 + first, false, first, BACKEND_DRAINING, 1);
	assert_int_equal(ask_udp(fd, VIP, 53), first);
	from_of(fd);
	rig_took(r, REASON_TRANSLATED, 1);

	rig_backend_gone(r, 10 + first);
	next = ask_udp(fd, VIP, 53);
	assert_in_range(next, 0, 3);
	assert_int_not_equal(next, first);
	assert_string_equal(from_of(fd), VIP " 53");
	rig_took(r, REASON_MOVED, 1);
	assert_int_equal(ask_udp(fd, VIP, 53), next);
	rig_took(r, REASON_TRANSLATED, 1);
	close(fd);
}

/* More services than a socket remembers: each answer still comes from the address that was asked. */
static void many_services_on_one_socket(void **state)
{
	struct rig *r = *state;
	int fd = sock(VIP, SOCK_DGRAM);
	char vip[64], want[64];

	for (uint32_t i = 0; i < SERVERS; i++) {
		rig_backend(r, 10 + i, false, i);
		rig_service(r, 1 + i, SVC(0), &(uint32_t){ 10 + i }, 1);
		snprintf(vip, sizeof(vip), "10.96.0.%u", 1 + i);
		rig_frontend(r, vip, 53, IPPROTO_UDP, 1 + i);
	}
	for (int i = 0; i < SERVERS; i++) {
		snprintf(vip, sizeof(vip), "10.96.0.%d", 1 + i);
		assert_int_equal(ask_udp(fd, vip, 53), i);
	}
	for (int i = 0; i < SERVERS; i++) {
		snprintf(want, sizeof(want), "10.96.0.%d 53", 1 + i);
		assert_string_equal(from_of(fd), want);
	}
	assert_int_equal(ask_udp(fd, "127.0.0.10", SERVER_PORT), 0);
	assert_string_equal(from_of(fd), "127.0.0.10 7000");
	close(fd);
}

/* Two services with one backend: the one asked last is whose answer it is. */
static void a_shared_backend_answers_for_who_was_asked(void **state)
{
	struct rig *r = *state;
	int fd = sock(VIP, SOCK_DGRAM);

	two_services(r);
	rig_backend(r, 13, false, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_udp(fd, VIP, 53), 2);
		assert_string_equal(from_of(fd), VIP " 53");
		assert_int_equal(ask_udp(fd, VIP_B, 53), 2);
		assert_string_equal(from_of(fd), VIP_B " 53");
	}
	close(fd);
}

static void no_backend_is_said_at_once(void **state)
{
	struct rig *r = *state;
	const char *vips[] = { VIP, VIP6, "::ffff:" VIP };

	rig_service(r, 1, SVC(0), NULL, 0);
	rig_frontend(r, VIP, 53, IPPROTO_UDP, 1);
	rig_frontend(r, VIP6, 53, IPPROTO_UDP, 1);
	for (int i = 0; i < 3; i++) {
		int fd = sock(vips[i], SOCK_DGRAM);

		assert_int_equal(ask_udp(fd, vips[i], 53), -EHOSTUNREACH);
		assert_int_equal(dial_on(fd, vips[i], 53), -EHOSTUNREACH);
		close(fd);
	}
	rig_took(r, REASON_NO_BACKEND, 6);
}

/* A service of TCP only is not one of UDP. */
static void protocols_are_apart(void **state)
{
	struct rig *r = *state;
	int fd = sock(VIP, SOCK_DGRAM);

	rig_backend(r, 12, false, 2);
	rig_service(r, 1, SVC(0), IDS(12));
	rig_frontend(r, VIP, 53, IPPROTO_TCP, 1);
	assert_int_equal(ask_udp(fd, VIP, 53), -ENETUNREACH);
	rig_took(r, REASON_NO_SERVICE, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(unconnected_sockets_get_answers_from_the_service),
		RIG_TEST(connected_sockets_too),
		RIG_TEST(a_socket_may_connect_again),
		RIG_TEST(after_disconnecting_a_socket_is_as_new),
		RIG_TEST(a_connected_socket_may_send_elsewhere),
		RIG_TEST(a_socket_stays_with_its_backend_and_moves_when_that_goes),
		RIG_TEST(many_services_on_one_socket),
		RIG_TEST(a_shared_backend_answers_for_who_was_asked),
		RIG_TEST(no_backend_is_said_at_once),
		RIG_TEST(protocols_are_apart),
	};

	return rig_main("connect: UDP", tests, sizeof(tests) / sizeof(tests[0]));
}
