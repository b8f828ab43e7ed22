// SPDX-License-Identifier: Apache-2.0
/* TCP over the connect programs: where a socket goes, and what the application sees of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"
#include "uring.h"

#define VIP "10.96.0.1"
#define VIP6 "fd00:96::1"

/* One service of one backend, server 2 of either family. */
static void one_service(struct rig *r)
{
	rig_backend(r, 12, false, 2);
	rig_backend(r, 62, true, 2);
	rig_service(r, 1, SVC(0), IDS(12));
	rig_service(r, 6, SVC(0), IDS(62));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	rig_frontend(r, VIP6, 80, IPPROTO_TCP, 6);
}

static void goes_to(struct rig *r, const char *vip, bool six, int server, const char *peer)
{
	int fd = dial(vip, 80, SOCK_STREAM);

	assert_true(fd >= 0);
	assert_int_equal(accepted(six), server);
	assert_string_equal(peer_of(fd), peer);
	close(fd);
	rig_took(r, REASON_TRANSLATED, 1);
}

static void each_family_reaches_its_backend_and_sees_the_service(void **state)
{
	struct rig *r = *state;

	one_service(r);
	goes_to(r, VIP, false, 2, VIP " 80");
	goes_to(r, VIP6, true, 2, VIP6 " 80");
	goes_to(r, "::ffff:" VIP, false, 2, "::ffff:" VIP " 80");
	assert_int_equal(rig_stat(r, 1).picked, 2);
	assert_int_equal(rig_stat(r, 6).picked, 1);
}

static void other_addresses_are_left_alone(void **state)
{
	struct rig *r = *state;
	int fd;

	one_service(r);
	fd = dial("127.0.0.13", SERVER_PORT, SOCK_STREAM);
	assert_true(fd >= 0);
	assert_int_equal(accepted(false), 3);
	assert_string_equal(peer_of(fd), "127.0.0.13 7000");
	close(fd);
	assert_int_equal(dial(VIP, 81, SOCK_STREAM), -ENETUNREACH);
	rig_took(r, REASON_NO_SERVICE, 2);
}

static void a_port_of_its_own_wins_over_any_port(void **state)
{
	struct rig *r = *state;
	struct explain_answer e;
	int fd;

	one_service(r);
	rig_backend(r, 13, false, 3);
	rig_service(r, 3, SVC(0), IDS(13));
	rig_frontend(r, VIP, 0, IPPROTO_TCP, 3);
	goes_to(r, VIP, false, 2, VIP " 80");
	fd = dial(VIP, 9999, SOCK_STREAM);
	assert_true(fd >= 0);
	assert_int_equal(accepted(false), 3);
	assert_string_equal(peer_of(fd), VIP " 9999");
	close(fd);
	e = rig_explain(r, VIP, 9999, IPPROTO_TCP, 1);
	assert_int_equal(e.service_id, 3);
}

/* One service, many ports, on all of which the backend listens: its port 0 keeps the port that was dialled. */
static void port_zero_of_a_backend_keeps_the_port(void **state)
{
	struct rig *r = *state;
	int fd;

	rig_backend_any_port(r, 14, 4);
	rig_service(r, 4, SVC(0), IDS(14));
	rig_frontend(r, VIP, 0, IPPROTO_TCP, 4);
	fd = dial(VIP, SERVER_PORT, SOCK_STREAM);
	assert_true(fd >= 0);
	assert_int_equal(accepted(false), 4);
	close(fd);
	assert_int_equal(dial(VIP, 81, SOCK_STREAM), -ECONNREFUSED);
	rig_took(r, REASON_TRANSLATED, 2);
}

static void a_nonblocking_connect_is_translated_as_well(void **state)
{
	struct rig *r = *state;
	struct pollfd p = { .events = POLLOUT };
	int err = -1;
	socklen_t len = sizeof(err);

	one_service(r);
	p.fd = sock(VIP, SOCK_STREAM | SOCK_NONBLOCK);
	err = dial_on(p.fd, VIP, 80);
	assert_true(!err || err == -EINPROGRESS);
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_int_equal(err, 0);
	assert_int_equal(accepted(false), 2);
	assert_string_equal(peer_of(p.fd), VIP " 80");
	close(p.fd);
	rig_took(r, REASON_TRANSLATED, 1);
}

static void io_uring_connects_are_translated_as_well(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, VIP, 80);
	int fd = sock(VIP, SOCK_STREAM), err;

	one_service(r);
	err = uring_connect(fd, (void *)&sa, len);
	if (err == -ENOSYS || err == -EPERM) {
		close(fd);
		print_message("io_uring is not to be had\n");
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(accepted(false), 2);
	assert_string_equal(peer_of(fd), VIP " 80");
	close(fd);
	rig_took(r, REASON_TRANSLATED, 1);
}

/* The first subflow is translated; what the application holds is another socket. */
static void mptcp_clients_see_the_service(void **state)
{
	struct rig *r = *state;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0) {
		print_message("no MPTCP in this kernel\n");
		skip();
	}
	rig_backend(r, 12, false, 2);
	rig_service(r, 1, SVC(.algo = LB_LEAST_OPEN), IDS(12));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	assert_int_equal(dial_on(fd, VIP, 80), 0);
	assert_int_equal(accepted(false), 2);
	assert_string_equal(peer_of(fd), VIP " 80");
	assert_int_equal(rig_open(r, 12), 1);
	close(fd);
	assert_int_equal(rig_open(r, 12), 0);
	rig_took(r, REASON_TRANSLATED, 1);
}

static void no_backend_is_said_at_once(void **state)
{
	struct rig *r = *state;

	rig_service(r, 1, SVC(0), NULL, 0);
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	assert_int_equal(dial(VIP, 80, SOCK_STREAM), -EHOSTUNREACH);
	rig_took(r, REASON_NO_BACKEND, 1);
	assert_int_equal(rig_stat(r, 1).refused, 1);
	rig_records(r);
	assert_int_equal(r->refused, 1);
	assert_int_equal(r->last.head.reason, REASON_NO_BACKEND);
	assert_int_equal(r->last.service, 1);
	assert_int_equal(r->last.proto, IPPROTO_TCP);
	assert_int_equal(r->last.cgroup, cgroup_make(""));
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).err, -EHOSTUNREACH);
}

/* In the table, but gone or draining, or of the other family: as if the table were empty. */
static void unusable_backends_are_no_backends(void **state)
{
	struct rig *r = *state;

	rig_backend_is(r, 12, false, 2, BACKEND_DRAINING, 1);
	rig_backend(r, 62, true, 2);
	rig_service(r, 1, SVC(0), IDS(12, 999, 62, 0));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	assert_int_equal(dial(VIP, 80, SOCK_STREAM), -EHOSTUNREACH);
	rig_took(r, REASON_NO_BACKEND, 1);
}

static void a_table_that_is_not_there_is_an_error_that_is_told(void **state)
{
	struct rig *r = *state;

	rig_frontend(r, VIP, 80, IPPROTO_TCP, 77);
	assert_int_equal(dial(VIP, 80, SOCK_STREAM), -EHOSTUNREACH);
	rig_records(r);
	assert_int_equal(r->refused, 1);
	assert_int_equal(r->errors, 1);
}

static void a_loop_of_refusals_does_not_fill_the_ring(void **state)
{
	struct rig *r = *state;

	rig_service(r, 1, SVC(0), NULL, 0);
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(dial(VIP, 80, SOCK_STREAM), -EHOSTUNREACH);
	rig_took(r, REASON_NO_BACKEND, 2000);
	rig_records(r);
	assert_in_range(r->refused, EMIT_BURST, EMIT_BURST * 10);
}

static void a_backend_may_be_its_own_client(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, "127.0.0.12", 0);
	int fd = sock(VIP, SOCK_STREAM);

	one_service(r);
	assert_int_equal(bind(fd, (void *)&sa, len), 0);
	assert_int_equal(dial_on(fd, VIP, 80), 0);
	assert_int_equal(accepted(false), 2);
	assert_string_equal(peer_of(fd), VIP " 80");
	close(fd);
}

/* AF_UNSPEC itself is seen by no hook; what follows must not remember the service. */
static void a_disconnected_socket_forgets_the_service(void **state)
{
	struct rig *r = *state;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = sock(VIP, SOCK_STREAM);

	one_service(r);
	assert_int_equal(dial_on(fd, VIP, 80), 0);
	assert_int_equal(accepted(false), 2);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_string_equal(peer_of(fd), strerror(ENOTCONN));
	assert_int_equal(dial_on(fd, "127.0.0.12", SERVER_PORT), 0);
	assert_int_equal(accepted(false), 2);
	assert_string_equal(peer_of(fd), "127.0.0.12 7000");
	close(fd);
}

static void open_sockets_are_counted_until_the_last_close(void **state)
{
	struct rig *r = *state;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd, twin;

	rig_backend(r, 12, false, 2);
	rig_service(r, 1, SVC(.algo = LB_LEAST_OPEN), IDS(12));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	fd = dial(VIP, 80, SOCK_STREAM);
	assert_int_equal(rig_open(r, 12), 1);
	twin = dup(fd);
	close(fd);
	assert_int_equal(rig_open(r, 12), 1);
	if (!fork())
		_exit(0);
	wait(NULL);
	assert_int_equal(rig_open(r, 12), 1);
	assert_int_equal(connect(twin, &none, sizeof(none)), 0);
	assert_int_equal(dial_on(twin, VIP, 80), 0);
	assert_int_equal(rig_open(r, 12), 1);
	close(twin);
	assert_int_equal(rig_open(r, 12), 0);
	assert_int_equal(accepted(false), 2);
	assert_int_equal(accepted(false), 2);
	fd = sock(VIP, SOCK_STREAM);
	close(fd);
	assert_int_equal(rig_open(r, 12), 0);
}

static void switched_off_it_does_nothing(void **state)
{
	struct rig *r = *state;
	struct ctl ctl = rig_ctl_default();

	one_service(r);
	ctl.flags = 0;
	rig_ctl(r, ctl);
	assert_int_equal(dial(VIP, 80, SOCK_STREAM), -ENETUNREACH);
	rig_took(r, REASON_DISABLED, 1);
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).reason, REASON_DISABLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_family_reaches_its_backend_and_sees_the_service),
		RIG_TEST(other_addresses_are_left_alone),
		RIG_TEST(a_port_of_its_own_wins_over_any_port),
		RIG_TEST(port_zero_of_a_backend_keeps_the_port),
		RIG_TEST(a_nonblocking_connect_is_translated_as_well),
		RIG_TEST(io_uring_connects_are_translated_as_well),
		RIG_TEST(mptcp_clients_see_the_service),
		RIG_TEST(no_backend_is_said_at_once),
		RIG_TEST(unusable_backends_are_no_backends),
		RIG_TEST(a_table_that_is_not_there_is_an_error_that_is_told),
		RIG_TEST(a_loop_of_refusals_does_not_fill_the_ring),
		RIG_TEST(a_backend_may_be_its_own_client),
		RIG_TEST(a_disconnected_socket_forgets_the_service),
		RIG_TEST(open_sockets_are_counted_until_the_last_close),
		RIG_TEST(switched_off_it_does_nothing),
	};

	return rig_main("connect: TCP", tests, sizeof(tests) / sizeof(tests[0]));
}
