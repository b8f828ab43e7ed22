// SPDX-License-Identifier: Apache-2.0
/*
 * What the connect hook costs, by the kernel's own clock around the program: it must not grow with the number of
 * services. Figures are printed; only the growth is judged, with room for a busy machine.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "rig.h"
#include "bpf/connect.skel.h"

#define VIP "10.96.0.1"
#define DIALS 2000
#define ROUNDS 5
#define MANY 10000

/*
 * Mean ns of connect4 over the fastest of some rounds; port: 53 is the service. UDP dials again and again by one socket, so
 * that nothing else is measured; nobody answers TCP, whose connect() ends behind the hook.
 */
static double cost(struct rig *r, const char *addr, int port, int type)
{
	int prog = bpf_program__fd(r->con->progs.connect4_svc), fd = sock(addr, type);
	struct bpf_prog_info was, now;
	double best = 1e9, mean;

	for (int round = 0; round < ROUNDS; round++) {
		__u32 len = sizeof(was);

		memset(&was, 0, sizeof(was));
		memset(&now, 0, sizeof(now));
		assert_int_equal(bpf_obj_get_info_by_fd(prog, &was, &len), 0);
		for (int i = 0; i < DIALS; i++)
			assert_int_equal(dial_on(fd, addr, port), type == SOCK_DGRAM ? 0 : -ENETUNREACH);
		assert_int_equal(bpf_obj_get_info_by_fd(prog, &now, &len), 0);
		mean = (double)(now.run_time_ns - was.run_time_ns) / (now.run_cnt - was.run_cnt);
		best = mean < best ? mean : best;
	}
	close(fd);
	return best;
}

static void services(struct rig *r, uint32_t from, uint32_t to)
{
	char vip[32];

	for (uint32_t i = from; i < to; i++) {
		snprintf(vip, sizeof(vip), "10.96.%u.%u", i / 250, 1 + i % 250);
		for (uint32_t k = 0; k < 4; k++)
			rig_backend(r, 4 * i + k + 1, false, k);
		rig_service(r, i + 1, SVC(.algo = LB_RANDOM), IDS(4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4));
		rig_frontend(r, vip, 53, IPPROTO_UDP, i + 1);
	}
}

static void the_cost_does_not_grow_with_the_services(void **state)
{
	struct rig *r = *state;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	double one, many, other_one, other_many;

	if (stats < 0) {
		print_message("this kernel keeps no run times\n");
		skip();
	}
	services(r, 0, 1);
	one = cost(r, VIP, 53, SOCK_DGRAM);
	other_one = cost(r, "127.0.0.1", 53, SOCK_DGRAM);
	services(r, 1, MANY);
	many = cost(r, VIP, 53, SOCK_DGRAM);
	other_many = cost(r, "127.0.0.1", 53, SOCK_DGRAM);
	close(stats);
	print_message("connect4: %.0f ns with 1 service, %.0f with %d; another address %.0f, %.0f\n", one, many, MANY,
		      other_one, other_many);
	assert_true(many < 2 * one + 300);
	assert_true(other_many < 2 * other_one + 300);
}

/* In many branches of the trie, with a port and without. */
static void ranges(struct rig *r, uint32_t n)
{
	char addr[32];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(addr, sizeof(addr), "10.%u.%u.0", 128 + i / 250, i % 250);
		rig_prefix(r, addr, 96 + 24, i & 1 ? 80 : 0, (struct prefix){ 0 });
	}
}

static void the_cost_does_not_grow_with_the_ranges(void **state)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct ctl ctl = rig_ctl_default();
	struct rig *r = *state;
	double none, one, many, in;

	if (stats < 0)
		skip();
	none = cost(r, "192.0.2.1", 53, SOCK_STREAM);
	ranges(r, 1);
	ctl.flags |= CTL_RANGES;
	rig_ctl(r, ctl);
	one = cost(r, "192.0.2.1", 53, SOCK_STREAM);
	ranges(r, MANY);
	many = cost(r, "192.0.2.1", 53, SOCK_STREAM);
	in = cost(r, "10.130.7.9", 53, SOCK_STREAM);
	close(stats);
	print_message("connect4: %.0f ns without ranges, %.0f with one, %.0f with %d; in one %.0f\n", none, one, many, MANY, in);
	assert_true(many < 2 * one + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_cost_does_not_grow_with_the_services),
		RIG_TEST(the_cost_does_not_grow_with_the_ranges),
	};

	return rig_main("connect: cost", tests, sizeof(tests) / sizeof(tests[0]));
}
