// SPDX-License-Identifier: Apache-2.0
/* What a client dialled is what the proxy that accepts it is told, once, by SO_ORIGINAL_DST. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "rig.h"
#include "bpf/connect.skel.h"

#define VIP "10.96.0.1"
#define VIP6 "fd00:96::1"
#define OWN "127.0.0.14"                            /* addresses of this "pod" */
#define OWN6 "fd00:1::14"
#define PORT 15001
#define SO_ORIGINAL_DST 80
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int listener(const char *addr, int protocol)
{
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, addr, PORT);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, protocol), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (void *)&sa, len), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

/* A service whose proxy beats. */
static void service(struct rig *r)
{
	struct ctl ctl = rig_ctl_default();
	uint32_t worker = 0;
	uint64_t now = now_ns();

	ctl.nworkers = 1;
	rig_ctl(r, ctl);
	bpf_map_update_elem(bpf_map__fd(r->con->maps.beat_map), &worker, &now, BPF_ANY);
	rig_service(r, 1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED, .served = 1), NULL, 0);
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	rig_frontend(r, VIP6, 80, IPPROTO_TCP, 1);
	rig_pod(r, OWN, OWN6, PORT);
	rig_forget(r);
}

/* "address port" by SO_ORIGINAL_DST, or the words of its errno. */
static const char *original(int fd, bool six)
{
	static char text[INET6_ADDRSTRLEN + 8];
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char addr[INET6_ADDRSTRLEN];
	const void *at = six ? (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr : (void *)&((struct sockaddr_in *)&sa)->sin_addr;

	if (getsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, SO_ORIGINAL_DST, &sa, &len))
		return strerror(errno);
	assert_int_equal(sa.ss_family, six ? AF_INET6 : AF_INET);
	assert_int_equal(len, six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	inet_ntop(sa.ss_family, at, addr, sizeof(addr));
	snprintf(text, sizeof(text), "%s %u", addr, ntohs(((struct sockaddr_in *)&sa)->sin_port));
	return text;
}

static const char *own_of(int fd)
{
	static char text[INET6_ADDRSTRLEN];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (void *)&sa, &len), 0);
	inet_ntop(sa.ss_family, sa.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&sa)->sin_addr :
						     (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr, text, sizeof(text));
	return text;
}

static long entries(struct rig *r)
{
	struct odst_key key, *at = NULL;
	long n = 0;

	while (!bpf_map_get_next_key(bpf_map__fd(r->con->maps.odst_map), at, &key)) {
		at = &key;
		n++;
	}
	return n;
}

static void each_family(struct rig *r, uint32_t reason)
{
	static const struct {
		const char *dialled, *own, *peer, *said; /* own: as the kernel chooses it on loopback */
		bool six;                           /* of the accepting side */
	} cases[] = {
		{ VIP, "127.0.0.1", VIP " 80", VIP " 80", false },
		{ VIP6, OWN6, VIP6 " 80", VIP6 " 80", true },
		{ "::ffff:" VIP, "::ffff:127.0.0.1", "::ffff:" VIP " 80", VIP " 80", false },
	};
	int listens[2] = { listener(OWN, 0), listener(OWN6, 0) };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = dial(cases[i].dialled, 80, SOCK_STREAM), got = accept(listens[cases[i].six], NULL, NULL);

		assert_true(fd >= 0 && got >= 0);
		rig_took(r, reason, 1);
		assert_string_equal(own_of(fd), cases[i].own);
		assert_string_equal(peer_of(fd), cases[i].peer);
		assert_string_equal(original(got, cases[i].six), cases[i].said);
		/* Once; then the kernel's own answer. */
		assert_string_not_equal(original(got, cases[i].six), cases[i].said);
		assert_int_equal(entries(r), 0);
		close(fd);
		close(got);
	}
	close(listens[0]);
	close(listens[1]);
}

static void each_family_tells_what_was_dialled(void **state)
{
	service(*state);
	each_family(*state, REASON_L7_PROXY);
}

/* Where there is no service, but a range that a listener captures. */
static void in_a_range_too(void **state)
{
	struct ctl ctl = rig_ctl_default();
	struct rig *r = *state;

	service(r);
	rig_frontend_gone(r, VIP, 80, IPPROTO_TCP);
	rig_frontend_gone(r, VIP6, 80, IPPROTO_TCP);
	rig_prefix(r, "10.0.0.0", 96 + 8, 0, (struct prefix){ .served = 1, .flags = SERVICE_FAIL_CLOSED });
	rig_prefix(r, "fd00::", 8, 80, (struct prefix){ .served = 1, .flags = SERVICE_FAIL_CLOSED });
	ctl.nworkers = 1;
	ctl.flags |= CTL_RANGES;
	rig_ctl(r, ctl);
	each_family(r, REASON_RANGE_PROXY);
}

static void a_nonblocking_and_a_bound_client_too(void **state)
{
	struct rig *r = *state;
	int listens = listener(OWN, 0), fd = sock(VIP, SOCK_STREAM), got;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, "127.0.0.12", 0);

	service(r);
	assert_int_equal(bind(fd, (void *)&sa, len), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	len = sa_make(&sa, VIP, 80);
	assert_true(!connect(fd, (void *)&sa, len) || errno == EINPROGRESS);
	assert_int_equal(poll(&p, 1, 60000), 1);
	got = accept(listens, NULL, NULL);
	assert_string_equal(original(got, false), VIP " 80");
	assert_string_equal(own_of(fd), "127.0.0.12");
	close(fd);
	close(got);
	close(listens);
}

/* The application's socket is not the one that sends the SYN. */
static void an_mptcp_client_too(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, VIP, 80);
	int listens, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), got;

	if (fd < 0) {
		assert_true(errno == EPROTONOSUPPORT || errno == ENOPROTOOPT); /* no MPTCP in this kernel, or switched off */
		skip();
	}
	listens = listener(OWN, 0);
	service(r);
	assert_int_equal(connect(fd, (void *)&sa, len), 0);
	got = accept(listens, NULL, NULL);
	assert_string_equal(original(got, false), VIP " 80");
	assert_string_equal(peer_of(fd), VIP " 80");
	close(fd);
	close(got);
	close(listens);
}

/* A client may have closed its side before the proxy looks. */
static void a_client_that_has_closed_is_known_too(void **state)
{
	struct rig *r = *state;
	int listens = listener(OWN, 0), fd, got;

	service(r);
	fd = dial(VIP, 80, SOCK_STREAM);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	close(fd);
	got = accept(listens, NULL, NULL);
	assert_string_equal(original(got, false), VIP " 80");
	close(got);
	close(listens);
}

/* Whoever dials the listener itself was sent there by nobody; nor is another option answered. */
static void others_get_the_kernels_answer(void **state)
{
	struct rig *r = *state;
	int listens = listener(OWN, 0), fd, got, type = 0;
	socklen_t len = sizeof(type);
	const char *kernel;

	service(r);
	fd = dial(OWN, PORT, SOCK_STREAM);
	got = accept(listens, NULL, NULL);
	kernel = original(got, false);
	assert_true(!strcmp(kernel, OWN " 15001") || !strcmp(kernel, strerror(ENOPROTOOPT)) || !strcmp(kernel, strerror(ENOENT)));
	assert_int_equal(entries(r), 0);
	close(fd);
	close(got);
	fd = dial(VIP, 80, SOCK_STREAM);
	got = accept(listens, NULL, NULL);
	assert_string_not_equal(original(got, true), VIP " 80");
	assert_int_equal(getsockopt(got, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, SOCK_STREAM);
	len = 4;
	assert_int_equal(getsockopt(got, IPPROTO_IP, SO_ORIGINAL_DST, &type, &len), -1);
	assert_string_equal(original(got, false), VIP " 80");
	close(fd);
	close(got);
	close(listens);
}

/* Many at once, accepted in whatever order: each is told its own. */
static void many_at_once_are_not_confused(void **state)
{
	enum { N = 100 };
	struct rig *r = *state;
	int listens = listener(OWN, 0), fd[N], got;
	unsigned seen = 0;

	service(r);
	for (int i = 0; i < N; i++) {
		rig_frontend(r, VIP, 1000 + i, IPPROTO_TCP, 1);
		fd[i] = dial(VIP, 1000 + i, SOCK_STREAM);
		assert_true(fd[i] >= 0);
	}
	assert_int_equal(entries(r), N);
	for (int i = 0; i < N; i++) {
		char want[32], byte = (char)i, back;
		unsigned port;

		got = accept(listens, NULL, NULL);
		assert_int_equal(sscanf(original(got, false), VIP " %u", &port), 1);
		assert_in_range(port, 1000, 1000 + N - 1);
		/* The client of that port, and no other, is at the other end. */
		assert_int_equal(send(got, &byte, 1, 0), 1);
		assert_int_equal(recv(fd[port - 1000], &back, 1, 0), 1);
		assert_int_equal(back, byte);
		snprintf(want, sizeof(want), VIP " %u", port);
		assert_string_equal(peer_of(fd[port - 1000]), want);
		seen++;
		close(got);
		close(fd[port - 1000]);
	}
	assert_int_equal(seen, N);
	assert_int_equal(entries(r), 0);
	close(listens);
}

/* What a socket dialled before does not follow it to where nobody was sent. */
static void a_socket_that_dials_anew_is_told_anew(void **state)
{
	struct rig *r = *state;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int listens = listener(OWN, 0), fd, got;

	service(r);
	rig_frontend(r, VIP, 81, IPPROTO_TCP, 1);
	fd = dial(VIP, 80, SOCK_STREAM);
	got = accept(listens, NULL, NULL);
	assert_string_equal(original(got, false), VIP " 80");
	close(got);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(dial_on(fd, VIP, 81), 0);
	got = accept(listens, NULL, NULL);
	assert_string_equal(original(got, false), VIP " 81");
	close(got);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(dial_on(fd, OWN, PORT), 0);
	got = accept(listens, NULL, NULL);
	assert_int_equal(entries(r), 0);
	close(got);
	close(fd);
	close(listens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_family_tells_what_was_dialled),
		RIG_TEST(in_a_range_too),
		RIG_TEST_HOST(each_family_tells_what_was_dialled),
		RIG_TEST(a_nonblocking_and_a_bound_client_too),
		RIG_TEST(an_mptcp_client_too),
		RIG_TEST(a_client_that_has_closed_is_known_too),
		RIG_TEST(others_get_the_kernels_answer),
		RIG_TEST(many_at_once_are_not_confused),
		RIG_TEST(a_socket_that_dials_anew_is_told_anew),
	};

	return rig_main("bpf/connect/capture", tests, sizeof(tests) / sizeof(tests[0]));
}
