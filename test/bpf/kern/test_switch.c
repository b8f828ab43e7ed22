/* SPDX-License-Identifier: Apache-2.0 */
/* Restarts, killed agents, maps of another size and another layout, all of it under verified traffic. */
#include "web.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "kern/detach.h"
#include "kern/pins.h"
#include "kern/read.h"
#include "kern/sweep.h"

/* ---- restart ----------------------------------------------------------------------------------------------- */

static void traffic_goes_on_without_an_agent(void **state)
{
	(void)state;
	serve_web();
	env_open();
	web();
	env_sync();
	struct ids before = ids();

	env_close();
	assert_true(both_answer());
	env_open();
	assert_string_equal(status().loaded, "adopted");
	assert_true(both_answer());
	struct err e = { 0 };

	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, &e), 0);
	assert_int_equal(env_stat("writes"), 0);
	assert_int_equal(env_stat("maps_created"), 0);
	assert_int_equal(env_stat("programs_attached") + env_stat("programs_replaced"), 0);
	assert_true(env_stat("programs_kept") >= 10);
	struct ids after = ids();

	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(both_answer());
}

/* An agent that was killed at any point leaves something that the next one can go on from. */
static void killed_agent_is_succeeded(void **state)
{
	(void)state;
	serve_web();
	web();
	assert_true(kit_commit(&env()->kit));
	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct kern *k;

			if (kern_open(&k, NULL, &env()->conf, NULL))
				_exit(1);
			kern_sync(k, env()->kit.snap, NULL, NULL);
			_exit(0);
		}
		usleep((useconds_t)(i * 7000));         /* wherever that is */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	env_open();
	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
	assert_null(status().degraded);
	assert_true(both_answer());
	while (!sweep_step(env()->kern, 1000))
		;
	assert_int_equal(env_stat("orphan_frontends") + env_stat("orphan_services") + env_stat("orphan_backends"), 0);
}

static void second_agent_is_refused(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct kern *k;

	env_open();
	assert_int_equal(kern_open(&k, NULL, &env()->conf, &e), -EBUSY);
	assert_non_null(strstr(err_text(&e), "--instance NAME"));
	struct kern_conf c = env()->conf;

	c.instance = "two";
	assert_int_equal(kern_open(&k, NULL, &c, &e), 0);
	kern_close(k);
	struct detach_report r;

	assert_int_equal(detach_run(&c, 100, &r, &e), 0);
}

/* ---- traffic over a change of layout ----------------------------------------------------------------------- */

#define CLIENTS 3
#define STREAMS 6

struct tally {                                  /* shared with the children */
	_Atomic uint64_t dials, bytes, wrong;
	_Atomic bool stop;
	sem_t news;                             /* posted after each of dials and bytes, and read while traffic_flows() waits */
};

static struct tally *tally;

static void tell(void)
{
	int n;

	if (!sem_getvalue(&tally->news, &n) && n <= 0)
		sem_post(&tally->news);
}

static _Noreturn void give_up(const char *what, ssize_t n)
{
	dprintf(2, "after %lu bytes of all: %s gives %zd, %s\n", (unsigned long)tally->bytes, what, n, strerror(errno));
	tally->wrong++;
	_exit(1);
}

static _Noreturn void dial_forever(void)
{
	while (!tally->stop) {
		int c = env_ask(VIP, 80);

		if (c != 'a' && c != 'b')
			give_up("a connection", c);
		tally->dials++;
		tell();
	}
	_exit(0);
}

/* Numbered words there and back, several on the way: lost, doubled and reordered bytes are all seen. */
static _Noreturn void stream_forever(void)
{
	uint32_t out[64], in[64], sent = 0, got = 0;
	int s = env_dial(VIP, 80);
	ssize_t n;
	char c;

	if (s < 0)
		give_up("connect", s);
	if ((n = read(s, &c, 1)) != 1)
		give_up("the first read", n);
	while (!tally->stop || got != sent) {
		if (!tally->stop && sent - got < 1024) {
			for (int i = 0; i < 64; i++)
				out[i] = sent++;
			if ((n = write(s, out, sizeof(out))) != sizeof(out))
				give_up("write", n);
			continue;
		}
		for (size_t at = 0; at < sizeof(in);) {
			n = read(s, (char *)in + at, sizeof(in) - at);
			if (n <= 0)
				give_up("read", n);
			at += (size_t)n;
		}
		for (int i = 0; i < 64; i++)
			tally->wrong += in[i] != got++;
		tally->bytes += sizeof(in);
		tell();
	}
	_exit(0);
}

static pid_t children[CLIENTS + STREAMS];

static void traffic_start(void)
{
	memset(tally, 0, sizeof(*tally));
	assert_int_equal(sem_init(&tally->news, 1, 0), 0);
	for (int i = 0; i < CLIENTS + STREAMS; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_range(3, ~0u, 0);                 /* the agent's lock among them */
		if (i < CLIENTS)
			dial_forever();
		stream_forever();
	}
}

/* Returns when n more connections were made and n KiB more echoed since the call. */
static void traffic_flows(uint64_t n)
{
	uint64_t dials = tally->dials + n, bytes = tally->bytes + n * 1024;
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 60;
	while ((tally->dials < dials || tally->bytes < bytes) && !sem_timedwait(&tally->news, &end))
		;
	assert_true(tally->dials >= dials && tally->bytes >= bytes);
}

static void traffic_stop(void)
{
	tally->stop = true;
	for (int i = 0; i < CLIENTS + STREAMS; i++) {
		int st;

		assert_int_equal(waitpid(children[i], &st, 0), children[i]);
		assert_int_equal(st, 0);
	}
	assert_int_equal(tally->wrong, 0);
}

/* Starts, and runs accelerated streams and fresh connections. */
static void busy(void)
{
	serve_web();
	env_open();
	env_judge();
	web();
	env_sync();
	assert_int_equal(status().rung, KERN_RUNG_FULL);
	traffic_start();
	traffic_flows(50);
	assert_true(accelerated().bytes > 0);
}

static void reopen(const char *how)
{
	env_close();
	traffic_flows(10);
	env_open();
	assert_string_equal(status().loaded, how);
	env_judge();
	traffic_flows(10);
	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
}

/* ---- the verdict on the short-circuit over a change --------------------------------------------------------- */

static bool switched_on(void)
{
	struct kern_status s = status();

	return (s.flags & CTL_SHORT_CIRCUIT) && (s.flags & CTL_LEAVE_MAP) && s.credit == CREDIT_MSG_TOT_LEN;
}

/* Same programs and same kernel: what an earlier agent found out holds, whether its maps are adopted or replaced. */
static void verdict_outlives_the_maps(void **state)
{
	(void)state;
	env_open();
	env_judge();
	env_sync();
	assert_true(switched_on());
	env_close();
	env_open();
	assert_string_equal(status().loaded, "adopted");
	assert_true(switched_on());
	env_close();
	env()->conf.maps.services = 2048;
	env_open();
	assert_string_equal(status().loaded, "replaced");
	assert_true(switched_on());
	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
	assert_true(switched_on());
	env_close();
	env()->conf.abi = MAPS_ABI + 1;
	env_open();
	assert_string_equal(status().loaded, "replaced");
	assert_true(switched_on());
	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
	assert_true(switched_on());
}

/* Another program than ours runs under the name, as after an upgrade: it was judged, ours was not. */
static void verdict_ends_with_its_program(void **state)
{
	struct bpf_insn ret[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT },
	};
	char dir[PINS_PATH];

	(void)state;
	env_open();
	env_judge();
	env_sync();
	env_close();
	snprintf(dir, sizeof(dir), "%s/weft/abi%u", env()->dir, MAPS_ABI);
	int link = pins_get(dir, "links", "sockops_pair");
	int prog = bpf_prog_load(BPF_PROG_TYPE_SOCK_OPS, "other", "GPL", ret, 2, NULL);

	assert_true(link >= 0 && prog >= 0);
	assert_int_equal(bpf_link_update(link, prog, NULL), 0);
	close(link);
	close(prog);
	env_open();
	assert_string_equal(status().loaded, "adopted");
	assert_false(status().flags & CTL_SHORT_CIRCUIT);
	assert_int_equal(status().credit, CREDIT_NONE);
	env_judge();
	assert_true(switched_on());
}

/* ---- traffic over a change of maps --------------------------------------------------------------------------- */

static void restart_under_traffic(void **state)
{
	(void)state;
	busy();
	for (int i = 0; i < 5; i++)
		reopen("adopted");
	traffic_flows(50);
	assert_true(accelerated().pairs >= STREAMS);
	traffic_stop();
}

static void maps_resized_under_traffic(void **state)
{
	(void)state;
	busy();
	struct ids before = ids();
	uint32_t socks = map_id("sock_map"), services = map_id("service_map"), stats = map_id("svc_stat_map");
	struct read_service s;

	assert_true(read_service(env()->kern, before.service, &s) && s.stat.picked > 0);
	uint64_t picked = s.stat.picked;

	env()->conf.maps.services = 2048;
	env()->conf.maps.backends = 8192;
	env()->conf.maps.slots = 32768;
	reopen("replaced");
	struct ids after = ids();

	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(map_id("sock_map"), socks);
	assert_int_not_equal(map_id("service_map"), services);
	assert_int_not_equal(map_id("svc_stat_map"), stats);
	assert_true(read_service(env()->kern, after.service, &s) && s.stat.picked >= picked);
	assert_true(env_stat("programs_replaced") > 0);
	traffic_flows(50);
	assert_true(accelerated().pairs >= STREAMS);
	reopen("adopted");
	traffic_flows(20);
	traffic_stop();
	kit_host_del(&env()->kit, "web", "127.0.1.1", 8080);
	env_sync();
	assert_int_equal(env_ask(VIP, 80), 'b');
}

static void new_abi_under_traffic(void **state)
{
	(void)state;
	busy();
	struct ids before = ids();
	uint32_t socks = map_id("sock_map"), ctl = map_id("ctl_map"), pairs = map_id("pair_map");
	char old[PINS_PATH];

	snprintf(old, sizeof(old), "%s/weft/abi%u", env()->dir, MAPS_ABI);
	env()->conf.abi = MAPS_ABI + 1;
	reopen("replaced");
	struct ids after = ids();

	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(map_id("sock_map"), socks);
	assert_int_equal(map_id("ctl_map"), ctl);
	assert_int_equal(map_id("pair_map"), pairs);
	assert_int_not_equal(access(old, F_OK), 0);
	assert_true(pinned("links", "connect4_svc") && pinned("maps", "table_map"));
	traffic_flows(50);
	assert_true(accelerated().pairs >= STREAMS);
	env()->conf.abi = MAPS_ABI;                     /* and back: a downgrade is the same thing */
	reopen("replaced");
	traffic_flows(20);
	traffic_stop();
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		T(traffic_goes_on_without_an_agent),
		T(killed_agent_is_succeeded),
		T(second_agent_is_refused),
		T(verdict_outlives_the_maps),
		T(verdict_ends_with_its_program),
		T(restart_under_traffic),
		T(maps_resized_under_traffic),
		T(new_abi_under_traffic),
	};

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(tally != MAP_FAILED);
	return cmocka_run_group_tests(tests, env_setup, env_teardown);
}
