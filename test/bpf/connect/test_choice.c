// SPDX-License-Identifier: Apache-2.0
/* Which backend, for whom, and that explain says the same beforehand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
#define NBACKENDS 4

/* Backends 10..13 on servers 0..3, one slot each. */
static void service_of_four(struct rig *r, struct service svc)
{
	for (int i = 0; i < NBACKENDS; i++)
		rig_backend(r, 10 + i, false, i);
	rig_service(r, 1, svc, IDS(10, 11, 12, 13));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
}

/* The server a new connection gets, or a negative errno. */
static int server_of_next(void)
{
	int fd = dial(VIP, 80, SOCK_STREAM), server;

	if (fd < 0)
		return fd;
	server = accepted(false);
	close(fd);
	return server;
}

static int explained_server(struct rig *r, uint32_t rnd)
{
	struct explain_answer e = rig_explain(r, VIP, 80, IPPROTO_TCP, rnd);

	return e.backend_id ? (int)e.backend_id - 10 : e.err;
}

static void random_reaches_every_backend(void **state)
{
	struct rig *r = *state;
	int got[NBACKENDS] = {};

	service_of_four(r, SVC(.algo = LB_RANDOM));
	for (int i = 0; i < 200; i++) {
		int server = server_of_next();

		assert_in_range(server, 0, NBACKENDS - 1);
		got[server]++;
	}
	for (int i = 0; i < NBACKENDS; i++)
		assert_in_range(got[i], 15, 100);
	rig_took(r, REASON_TRANSLATED, 200);
}

static void round_robin_takes_turns_and_explain_knows_the_next(void **state)
{
	struct rig *r = *state;
	int first;

	service_of_four(r, SVC(.algo = LB_ROUND_ROBIN));
	first = explained_server(r, 1);
	for (int i = 0; i < 3 * NBACKENDS; i++) {
		assert_int_equal(explained_server(r, i), (first + i) % NBACKENDS);
		assert_int_equal(server_of_next(), (first + i) % NBACKENDS);
	}
	rig_took(r, REASON_TRANSLATED, 3 * NBACKENDS);
}

static void maglev_keeps_a_client_where_it_is(void **state)
{
	struct rig *r = *state;
	int first;

	service_of_four(r, SVC(.algo = LB_MAGLEV));
	first = explained_server(r, 1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(explained_server(r, i), first);
		assert_int_equal(server_of_next(), first);
	}
	rig_backend_gone(r, 10 + first);
	assert_int_not_equal(explained_server(r, 1), first);
	rig_forget(r);
	assert_int_equal(server_of_next(), explained_server(r, 2));
	rig_took(r, REASON_REPROBED, 1);
}

/* With every connection kept open, two choices leave no backend far behind another. */
static void least_open_levels_what_is_open(void **state)
{
	struct rig *r = *state;
	int fds[80], n = sizeof(fds) / sizeof(fds[0]), least = n, most = 0;

	service_of_four(r, SVC(.algo = LB_LEAST_OPEN));
	for (int i = 0; i < n; i++) {
		fds[i] = dial(VIP, 80, SOCK_STREAM);
		assert_true(fds[i] >= 0);
		assert_in_range(accepted(false), 0, NBACKENDS - 1);
	}
	for (int i = 0; i < NBACKENDS; i++) {
		int32_t open = rig_open(r, 10 + i);

		least = open < least ? open : least;
		most = open > most ? open : most;
	}
	assert_in_range(most - least, 0, 5);
	while (n)
		close(fds[--n]);
	for (int i = 0; i < NBACKENDS; i++)
		assert_int_equal(rig_open(r, 10 + i), 0);
}

static void least_open_respects_weights(void **state)
{
	struct rig *r = *state;
	int fds[80], n = sizeof(fds) / sizeof(fds[0]);

	rig_backend_is(r, 10, false, 0, BACKEND_ACTIVE, 3);
	rig_backend_is(r, 11, false, 1, BACKEND_ACTIVE, 1);
	rig_service(r, 1, SVC(.algo = LB_LEAST_OPEN), IDS(10, 11, 10, 10));
	rig_frontend(r, VIP, 80, IPPROTO_TCP, 1);
	for (int i = 0; i < n; i++) {
		fds[i] = dial(VIP, 80, SOCK_STREAM);
		assert_in_range(accepted(false), 0, 1);
	}
	assert_in_range(rig_open(r, 10), 52, 68);
	while (n)
		close(fds[--n]);
}

static void draining_and_gone_backends_are_passed_over(void **state)
{
	struct rig *r = *state;

	service_of_four(r, SVC(.algo = LB_ROUND_ROBIN));
	rig_backend_is(r, 10, false, 0, BACKEND_DRAINING, 1);
	rig_backend_gone(r, 11);
	rig_backend_gone(r, 12);
	for (int i = 0; i < 8; i++)
		assert_int_equal(server_of_next(), 3);
}

/* Ages this client's entry, so that nobody has to wait. */
static void affinity_age(struct rig *r, uint32_t seconds)
{
	struct affinity_key key = { .client = world_netns(), .service = 1 };
	int fd = bpf_map__fd(r->con->maps.affinity_map);
	struct affinity a;

	assert_int_equal(bpf_map_lookup_elem(fd, &key, &a), 0);
	a.used_ns -= (uint64_t)seconds * 1000000000;
	assert_int_equal(bpf_map_update_elem(fd, &key, &a, BPF_EXIST), 0);
}

static void affinity_holds_until_its_time_is_over(void **state)
{
	struct rig *r = *state;
	int first, moved = 0;

	service_of_four(r, SVC(.algo = LB_ROUND_ROBIN, .flags = SERVICE_AFFINITY, .affinity_s = 3600));
	first = server_of_next();
	rig_took(r, REASON_TRANSLATED, 1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(explained_server(r, i), first);
		assert_int_equal(server_of_next(), first);
	}
	rig_took(r, REASON_AFFINITY, 10);
	affinity_age(r, 3599);
	assert_int_equal(server_of_next(), first);
	rig_took(r, REASON_AFFINITY, 1);
	affinity_age(r, 3599);                      /* its use has renewed it */
	assert_int_equal(server_of_next(), first);
	rig_took(r, REASON_AFFINITY, 1);
	affinity_age(r, 3601);
	moved = server_of_next();
	assert_int_not_equal(moved, first);
	rig_took(r, REASON_TRANSLATED, 1);
}

static void affinity_to_a_backend_that_is_gone_or_draining_is_not_used(void **state)
{
	struct rig *r = *state;
	int first, second;

	service_of_four(r, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 3600));
	first = server_of_next();
	rig_backend_is(r, 10 + first, false, first, BACKEND_DRAINING, 1);
	rig_forget(r);
	second = server_of_next();
	assert_int_not_equal(second, first);
	rig_took(r, REASON_AFFINITY_STALE, 1);
	rig_backend_gone(r, 10 + second);
	assert_int_not_equal(server_of_next(), second);
	rig_took(r, REASON_AFFINITY_STALE, 1);
	server_of_next();
	rig_took(r, REASON_AFFINITY, 1);
}

/* In the host's namespace clients are told apart by cgroup, and a child cgroup is the same client as its workload. */
static void clients_of_the_host_are_workloads(void **state)
{
	struct rig *r = *state;
	uint64_t pod = cgroup_make("pod"), other = cgroup_make("other");
	struct explain_answer e;

	cgroup_make("pod/container/scope");
	service_of_four(r, SVC(.flags = SERVICE_AFFINITY, .affinity_s = 60));
	rig_workload(r, pod, WORKLOAD_MANAGED);
	cgroup_enter("pod/container/scope");
	server_of_next();
	e = rig_explain(r, VIP, 80, IPPROTO_TCP, 1);
	assert_int_equal(e.client, pod);
	assert_int_equal(e.cgroup, pod);
	assert_int_equal(e.workload.id, 1);
	rig_took(r, REASON_TRANSLATED, 1);
	cgroup_enter("pod");
	server_of_next();
	rig_took(r, REASON_AFFINITY, 1);
	cgroup_enter("other");
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).client, other);
	server_of_next();
	rig_took(r, REASON_TRANSLATED, 1);
}

static void exempt_cgroups_are_left_alone_with_all_below(void **state)
{
	struct rig *r = *state;
	struct ctl ctl = rig_ctl_default();
	uint64_t agent = cgroup_make("weft");
	int fd;

	cgroup_make("free/deep/er");
	cgroup_make("weft/workers");
	service_of_four(r, SVC(0));
	rig_frontend(r, VIP, 53, IPPROTO_UDP, 1);
	rig_workload(r, cgroup_make("free"), WORKLOAD_EXEMPT);
	ctl.own_cgroup = agent;
	rig_ctl(r, ctl);
	cgroup_enter("free/deep/er");
	assert_int_equal(server_of_next(), -ENETUNREACH);
	cgroup_enter("weft/workers");
	assert_int_equal(server_of_next(), -ENETUNREACH);
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).reason, REASON_EXEMPT);
	fd = sock(VIP, SOCK_DGRAM);
	assert_int_equal(ask_udp(fd, VIP, 53), -ENETUNREACH);
	close(fd);
	rig_took(r, REASON_EXEMPT, 3);
	cgroup_enter("");
	assert_in_range(server_of_next(), 0, NBACKENDS - 1);
	rig_took(r, REASON_TRANSLATED, 1);
}

/* The nearest declared cgroup is the workload, even if one further up is declared too. */
static void the_nearest_workload_counts(void **state)
{
	struct rig *r = *state;

	cgroup_make("outer/inner/leaf");
	service_of_four(r, SVC(0));
	rig_workload(r, cgroup_make("outer"), WORKLOAD_EXEMPT);
	rig_workload(r, cgroup_make("outer/inner"), WORKLOAD_MANAGED);
	cgroup_enter("outer/inner/leaf");
	assert_in_range(server_of_next(), 0, NBACKENDS - 1);
	cgroup_enter("outer");
	assert_int_equal(server_of_next(), -ENETUNREACH);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void beat(struct rig *r, uint32_t worker, uint64_t ns)
{
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(r->con->maps.beat_map), &worker, &ns, BPF_ANY), 0);
}

static void services_with_routes_follow_their_fail_mode(void **state)
{
	struct rig *r = *state;

	service_of_four(r, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED));
	assert_int_equal(server_of_next(), -ECONNREFUSED);
	rig_took(r, REASON_L7_CLOSED, 1);
	assert_int_equal(rig_stat(r, 1).refused, 1);
	assert_int_equal(explained_server(r, 1), -ECONNREFUSED);

	rig_service(r, 1, SVC(.flags = SERVICE_L7), IDS(10, 11, 12, 13));
	assert_in_range(server_of_next(), 0, NBACKENDS - 1);
	rig_took(r, REASON_L7_OPEN, 1);
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).path, EXPLAIN_PATH_KERNEL);
}

/* A worker that beats and has a listener gets the connection; one that has stopped does not, with nobody's help. */
static void services_with_routes_go_to_a_living_proxy(void **state)
{
	struct rig *r = *state;
	struct ctl ctl = rig_ctl_default();
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, "127.0.0.1", 0);
	int proxy = sock(VIP, SOCK_STREAM), fd;

	assert_int_equal(bind(proxy, (void *)&sa, len), 0);
	assert_int_equal(listen(proxy, 4), 0);
	assert_int_equal(getsockname(proxy, (void *)&sa, &len), 0);
	rig_pod(r, "127.0.0.1", NULL, ntohs(((struct sockaddr_in *)&sa)->sin_port));
	service_of_four(r, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED, .served = 1));
	assert_int_equal(server_of_next(), -ECONNREFUSED);
	ctl.nworkers = 2;
	rig_ctl(r, ctl);
	beat(r, 1, now_ns());
	rig_forget(r);
	fd = dial(VIP, 80, SOCK_STREAM);
	assert_true(fd >= 0);
	assert_string_equal(peer_of(fd), VIP " 80");
	close(accept(proxy, NULL, NULL));
	close(fd);
	rig_took(r, REASON_L7_PROXY, 1);
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).path, EXPLAIN_PATH_PROXY);
	rig_service(r, 1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED), IDS(10, 11, 12, 13));
	assert_int_equal(server_of_next(), -ECONNREFUSED);
	rig_took(r, REASON_L7_CLOSED, 1);
	rig_service(r, 1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED, .served = 1), IDS(10, 11, 12, 13));
	beat(r, 1, now_ns() - 2000000000ull);
	assert_int_equal(server_of_next(), -ECONNREFUSED);
	rig_took(r, REASON_L7_CLOSED, 1);
	close(proxy);
}

/* A range: to the proxy, past it, or refused; a service in it goes before it, and weft itself is left alone. */
static void captured_ranges(void **state)
{
	struct rig *r = *state;
	struct ctl ctl = rig_ctl_default();
	int proxy = sock(VIP, SOCK_STREAM), fd;
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, "127.0.0.1", 0);

	assert_int_equal(bind(proxy, (void *)&sa, len), 0);
	assert_int_equal(listen(proxy, 4), 0);
	assert_int_equal(getsockname(proxy, (void *)&sa, &len), 0);
	rig_pod(r, "127.0.0.1", NULL, ntohs(((struct sockaddr_in *)&sa)->sin_port));
	ctl.nworkers = 2;
	ctl.flags |= CTL_RANGES;
	ctl.own_cgroup = cgroup_make("own/deeper");
	rig_ctl(r, ctl);
	beat(r, 1, now_ns());
	service_of_four(r, SVC(0));
	rig_prefix(r, "10.96.0.0", 96 + 16, 0, (struct prefix){ .served = 1 });
	rig_prefix(r, "10.96.5.0", 96 + 24, 81, (struct prefix){ .flags = SERVICE_FAIL_CLOSED });
	rig_forget(r);
	assert_in_range(server_of_next(), 0, NBACKENDS - 1);
	rig_took(r, REASON_TRANSLATED, 1);
	fd = dial("10.96.5.1", 80, SOCK_STREAM);
	assert_true(fd >= 0);
	assert_string_equal(peer_of(fd), "10.96.5.1 80");
	close(accept(proxy, NULL, NULL));
	rig_took(r, REASON_RANGE_PROXY, 1);
	assert_int_equal(rig_explain(r, "10.96.5.1", 80, IPPROTO_TCP, 1).path, EXPLAIN_PATH_PROXY);
	assert_int_equal(dial("10.96.5.1", 81, SOCK_STREAM), -ECONNREFUSED);
	rig_took(r, REASON_RANGE_CLOSED, 1);
	assert_int_equal(rig_explain(r, "10.96.5.1", 81, IPPROTO_TCP, 1).err, -ECONNREFUSED);
	cgroup_enter("own/deeper");
	assert_int_equal(dial("10.96.5.1", 81, SOCK_STREAM), -ENETUNREACH);
	rig_took(r, REASON_EXEMPT, 1);
	assert_int_equal(rig_explain(r, "10.96.5.1", 81, IPPROTO_TCP, 1).reason, REASON_EXEMPT);
	cgroup_enter("");
	beat(r, 1, now_ns() - 2000000000ull);
	assert_int_equal(dial("10.96.5.1", 80, SOCK_STREAM), -ENETUNREACH);
	rig_took(r, REASON_RANGE_OPEN, 1);
	assert_int_equal(rig_explain(r, "10.96.5.1", 80, IPPROTO_TCP, 1).reason, REASON_RANGE_OPEN);
	close(fd);
	close(proxy);
}

/* Where the proxy has no listener the fail mode decides, and the agent hears of it if it is a workload's. */
static void the_proxy_is_out_of_reach_of_other_namespaces(void **state)
{
	struct rig *r = *state;
	struct ctl ctl = rig_ctl_default();
	uint64_t cgroup = cgroup_make("pod");

	service_of_four(r, SVC(.flags = SERVICE_L7, .served = 1));
	rig_pod(r, NULL, "fd00:1::1", 15001);
	ctl.nworkers = 2;
	rig_ctl(r, ctl);
	beat(r, 1, now_ns());
	rig_forget(r);
	assert_in_range(server_of_next(), 0, NBACKENDS - 1);
	rig_took(r, REASON_L7_UNSEEN_OPEN, 1);
	rig_records(r);
	assert_int_equal(r->unseen, 0);
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).path, EXPLAIN_PATH_KERNEL);
	rig_pod(r, NULL, NULL, 0);
	rig_service(r, 1, SVC(.flags = SERVICE_L7 | SERVICE_FAIL_CLOSED, .served = 1), IDS(10, 11, 12, 13));
	rig_workload(r, cgroup, WORKLOAD_MANAGED);
	cgroup_enter("pod");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(server_of_next(), -ECONNREFUSED);
	cgroup_enter("");
	rig_took(r, REASON_L7_UNSEEN_CLOSED, 1000);
	rig_records(r);
	assert_in_range(r->unseen, EMIT_BURST, EMIT_BURST * 10);
	assert_true(r->last_unseen.cgroup == cgroup && r->last_unseen.netns == world_netns());
	assert_int_equal(rig_explain(r, VIP, 80, IPPROTO_TCP, 1).err, -ECONNREFUSED);
}

/* Explain leaves no trace: no turn taken, no affinity made, nothing counted. */
static void explaining_changes_nothing(void **state)
{
	struct rig *r = *state;
	uint64_t key[2];

	service_of_four(r, SVC(.algo = LB_ROUND_ROBIN, .flags = SERVICE_AFFINITY, .affinity_s = 60));
	rig_forget(r);
	for (int i = 0; i < 5; i++)
		assert_int_equal(explained_server(r, i), explained_server(r, 0));
	assert_int_equal(rig_stat(r, 1).picked, 0);
	assert_int_equal(bpf_map_get_next_key(bpf_map__fd(r->con->maps.affinity_map), NULL, key), -ENOENT);
	rig_took(r, REASON_NONE, 0);
	assert_int_equal(rig_explain(r, "10.1.1.1", 80, IPPROTO_TCP, 1).reason, REASON_NO_SERVICE);
}

/* Its choice depends on the number alone, and over many numbers it is every backend's turn. */
static void explain_samples_the_whole_table(void **state)
{
	struct rig *r = *state;
	int got[NBACKENDS] = {};

	service_of_four(r, SVC(0));
	srand(7);
	for (int i = 0; i < 400; i++) {
		uint32_t rnd = rand();
		int server = explained_server(r, rnd);

		assert_int_equal(explained_server(r, rnd), server);
		got[server]++;
	}
	for (int i = 0; i < NBACKENDS; i++)
		assert_in_range(got[i], 60, 140);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(random_reaches_every_backend),
		RIG_TEST(round_robin_takes_turns_and_explain_knows_the_next),
		RIG_TEST(maglev_keeps_a_client_where_it_is),
		RIG_TEST(least_open_levels_what_is_open),
		RIG_TEST(least_open_respects_weights),
		RIG_TEST(draining_and_gone_backends_are_passed_over),
		RIG_TEST(affinity_holds_until_its_time_is_over),
		RIG_TEST(affinity_to_a_backend_that_is_gone_or_draining_is_not_used),
		RIG_TEST_HOST(clients_of_the_host_are_workloads),
		RIG_TEST(exempt_cgroups_are_left_alone_with_all_below),
		RIG_TEST(the_nearest_workload_counts),
		RIG_TEST(services_with_routes_follow_their_fail_mode),
		RIG_TEST_HOST(services_with_routes_go_to_a_living_proxy),
		RIG_TEST_HOST(captured_ranges),
		RIG_TEST(the_proxy_is_out_of_reach_of_other_namespaces),
		RIG_TEST(explaining_changes_nothing),
		RIG_TEST(explain_samples_the_whole_table),
	};

	return rig_main("connect: choice", tests, sizeof(tests) / sizeof(tests[0]));
}
