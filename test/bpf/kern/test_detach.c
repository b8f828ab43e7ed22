/* SPDX-License-Identifier: Apache-2.0 */
/* The end: nothing is left, and no byte is lost on the way. */
#include "web.h"
#include <bpf/bpf.h>
#include <poll.h>
#include <sys/wait.h>
#include "kern/cgroup.h"
#include "kern/detach.h"
#include "kern/pins.h"

/* ---- end --------------------------------------------------------------------------------------------------- */

static unsigned links_of_cgroup(void)
{
	uint64_t id;
	uint32_t link = 0;
	unsigned n = 0;

	assert_int_equal(cgroup_id(env()->cgroup, &id), 0);
	while (!bpf_link_get_next_id(link, &link)) {
		struct bpf_link_info i = { 0 };
		uint32_t len = sizeof(i);
		int fd = bpf_link_get_fd_by_id(link);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &i, &len))
			n += i.type == BPF_LINK_TYPE_CGROUP && i.cgroup.cgroup_id == id;
		if (fd >= 0)
			close(fd);
	}
	return n;
}

static void detach_leaves_nothing(void **state)
{
	(void)state;
	struct detach_report r;
	struct err e = { 0 };
	char base[PINS_PATH];

	serve_web();
	env_open();
	web();
	env_sync();
	assert_true(links_of_cgroup() >= 10);
	env_close();
	assert_int_equal(detach_run(&env()->conf, 2000, &r, &e), 0);
	assert_true(r.links >= 10 && r.maps >= 15 && r.programs >= 10 && !r.sockets_left && !r.nothing);
	snprintf(base, sizeof(base), "%s/weft", env()->dir);
	assert_int_not_equal(access(base, F_OK), 0);
	assert_int_equal(links_of_cgroup(), 0);
	assert_true(env_ask(VIP, 80) < 0);
	assert_int_equal(detach_run(&env()->conf, 2000, &r, &e), 0);
	assert_true(r.nothing);
}

/* How often the parent has gone to sleep by itself. */
static unsigned long naps_of_parent(void)
{
	char path[64], line[128];
	unsigned long n = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

/* Until new connections are let alone, and the parent has then slept a few times: its drain looks, naps and looks again. */
static void wait_for_drain(void)
{
	char dir[PINS_PATH];
	struct ctl c = { 0 };
	uint32_t zero = 0;

	snprintf(dir, sizeof(dir), "%s/weft/abi%u", env()->dir, MAPS_ABI);
	int fd = pins_get(dir, "maps", "ctl_map");

	while (!bpf_map_lookup_elem(fd, &zero, &c) && !(c.flags & CTL_KILL))
		poll(NULL, 0, 1);
	close(fd);
	for (unsigned long n = naps_of_parent(); naps_of_parent() < n + 4;)
		poll(NULL, 0, 1);
}

/* Bytes that wait in a redirected queue are neither lost nor reordered, and the connection lives on by the stack. */
static void detach_loses_no_byte(void **state)
{
	(void)state;
	struct detach_report r;
	struct err e = { 0 };
	char c;
	uint32_t word;
	int l = env_listen("127.0.1.1", 8080);

	env_open();
	env_judge();
	web();
	kit_host_del(&env()->kit, "web", "127.0.1.2", 8080);
	env_sync();
	int s = env_dial(VIP, 80), p = accept(l, NULL, NULL);

	assert_true(s >= 0 && p >= 0);
	for (int i = 0; i < 50; i++) {                  /* a conversation, so that both ends are known */
		assert_int_equal(write(s, "x", 1), 1);
		assert_int_equal(read(p, &c, 1), 1);
		assert_int_equal(write(p, "y", 1), 1);
		assert_int_equal(read(s, &c, 1), 1);
	}
	assert_true(accelerated().bytes > 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(write(s, &i, sizeof(i)), sizeof(i));
	pid_t reader = fork();

	if (!reader) {                                  /* takes its time, while the drain waits for it */
		wait_for_drain();
		for (uint32_t i = 0; i < 1000; i++)
			if (recv(p, &word, sizeof(word), MSG_WAITALL) != sizeof(word) || word != i)
				_exit(1);
		_exit(write(p, "done", 4) == 4 ? 0 : 2);
	}
	assert_int_equal(detach_kern(env()->kern, 60000, &r, &e), 0);
	int st;

	waitpid(reader, &st, 0);
	assert_int_equal(st, 0);
	assert_int_equal(r.sockets_left, 0);
	char buf[4];

	assert_int_equal(recv(s, buf, 4, MSG_WAITALL), 4);
	assert_memory_equal(buf, "done", 4);
	assert_int_equal(write(s, "z", 1), 1);
	assert_int_equal(read(p, &c, 1), 1);
	assert_int_equal(status().rung, KERN_RUNG_OFF);
	close(s);
	close(p);
	close(l);
}

/* Nobody reads: the time is up, and what waits stays readable. */
static void detach_leaves_what_is_unread(void **state)
{
	(void)state;
	struct detach_report r;
	char c, buf[100];
	int l = env_listen("127.0.1.1", 8080);

	env_open();
	env_judge();
	web();
	kit_host_del(&env()->kit, "web", "127.0.1.2", 8080);
	env_sync();
	int s = env_dial(VIP, 80), p = accept(l, NULL, NULL);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(write(s, "x", 1), 1);
		assert_int_equal(read(p, &c, 1), 1);
		assert_int_equal(write(p, "y", 1), 1);
		assert_int_equal(read(s, &c, 1), 1);
	}
	memset(buf, 'q', sizeof(buf));
	assert_int_equal(write(s, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(detach_kern(env()->kern, 200, &r, NULL), 0);
	assert_int_equal(r.pairs_left, 1);
	assert_int_equal(links_of_cgroup(), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(recv(p, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
	assert_int_equal(buf[99], 'q');
	assert_int_equal(detach_run(&env()->conf, 1000, &r, NULL), 0);
	assert_int_equal(r.sockets_left, 0);
	assert_false(r.nothing);
	close(s);
	close(p);
	close(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		T(detach_leaves_nothing),
		T(detach_loses_no_byte),
		T(detach_leaves_what_is_unread),
	};

	return cmocka_run_group_tests(tests, env_setup, env_teardown);
}
