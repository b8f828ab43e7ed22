/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel side with real programs, maps and sockets: start and change, rungs, views. */
#include "web.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "kern/events.h"
#include "kern/explain.h"
#include "kern/pins.h"
#include "kern/read.h"
#include "kern/sweep.h"

/* ---- start and change -------------------------------------------------------------------------------------- */

static void first_start(void **state)
{
	(void)state;
	serve_web();
	env_open();
	assert_int_equal(status().rung, KERN_RUNG_BALANCE);
	assert_false(status().attached);
	assert_string_equal(status().loaded, "fresh");
	assert_false(pinned("links", "connect4_svc"));
	web();
	env_sync();
	assert_true(status().attached);
	assert_null(status().degraded);
	assert_true(pinned("links", "connect4_svc") && pinned("maps", "sock_map") && pinned("progs", "redirect_msg"));
	assert_true(both_answer());
	assert_int_equal(env_stat("write_errors"), 0);
}

static void changes_are_seen_at_once(void **state)
{
	(void)state;
	serve_web();
	env_open();
	web();
	env_sync();
	kit_host_del(&env()->kit, "web", "127.0.1.1", 8080);
	env_sync();
	for (int i = 0; i < 10; i++)
		assert_int_equal(env_ask(VIP, 80), 'b');
	kit_host_del(&env()->kit, "web", "127.0.1.2", 8080);
	env_sync();
	assert_int_equal(env_ask(VIP, 80), -EHOSTUNREACH);
	kit_host(&env()->kit, "web", &(struct kit_host)HOST("127.0.1.1", 8080, 1, DRAIN));
	env_sync();
	assert_int_equal(env_ask(VIP, 80), -EHOSTUNREACH);
	kit_host(&env()->kit, "web", &(struct kit_host)HOST("127.0.1.1", 8080, 1));
	env_sync();
	assert_int_equal(env_ask(VIP, 80), 'a');
	kit_del(&env()->kit, FACT_SERVICE, "web");
	env_sync();
	assert_int_equal(env_stat("services") + env_stat("frontends") + env_stat("backends"), 0);
	assert_true(env_ask(VIP, 80) < 0);
}

static void both_families(void **state)
{
	(void)state;
	pid_t p = env_serve("::1", 8080, '6');
	struct kit *k = &env()->kit;

	serve_web();
	env_open();
	web();
	kit_host(k, "web", &(struct kit_host)HOST("::1", 8080, 1));
	kit_service(k, &(struct kit_service){ .name = "web", .cluster = "web", .addrs = { VIP, "fd00::1" }, .port = 80 });
	env_sync();
	assert_true(both_answer());
	for (int i = 0; i < 4; i++)
		assert_int_equal(env_ask("fd00::1", 80), '6');
	env_reap(p);
}

static void written_entries_read_back(void **state)
{
	(void)state;
	env()->conf.verify = true;
	env_open();
	web();
	env_sync();
	kit_host(&env()->kit, "web", &(struct kit_host)HOST("127.0.1.3", 8080, 5));
	env_sync();
	assert_null(status().degraded);
	assert_int_equal(env_stat("write_errors"), 0);
}

/* ---- less than everything ---------------------------------------------------------------------------------- */

static void without_privileges(void **state)
{
	(void)state;
	pid_t pid = fork();

	if (!pid) {
		struct kern_conf c = env()->conf;
		struct err e = { 0 };
		struct kern *k;
		cap_t none = cap_init();

		if (cap_set_proc(none) || kern_open(&k, NULL, &c, &e))
			_exit(1);
		struct kern_status s;

		kern_status(k, &s);
		if (s.rung != KERN_RUNG_OFF || !s.why[0] || kern_sync(k, NULL, NULL, &e))
			_exit(2);
		kern_close(k);
		c.mode = KERN_REQUIRED;
		_exit(kern_open(&k, NULL, &c, &e) == -ENOTSUP && strstr(err_text(&e), "required") ? 0 : 3);
	}
	int st;

	waitpid(pid, &st, 0);
	assert_int_equal(st, 0);
}

static void without_perfmon(void **state)
{
	(void)state;
	serve_web();
	pid_t pid = fork();

	if (!pid) {
		struct kern_conf c = env()->conf;
		struct err e = { 0 };
		struct kern *k;
		cap_t caps = cap_get_proc();
		cap_value_t drop[] = { CAP_PERFMON, CAP_SYS_ADMIN };

		cap_set_flag(caps, CAP_EFFECTIVE, 2, drop, CAP_CLEAR);
		cap_set_flag(caps, CAP_PERMITTED, 2, drop, CAP_CLEAR);
		cap_set_flag(caps, CAP_INHERITABLE, 2, drop, CAP_CLEAR);
		if (cap_set_proc(caps) || kern_open(&k, NULL, &c, &e))
			_exit(1);
		struct kern_status s;

		kern_status(k, &s);
		if (s.rung != KERN_RUNG_BALANCE || !strstr(s.why, "CAP_PERFMON"))
			_exit(2);
		web();
		if (!kit_commit(&env()->kit) || kern_sync(k, env()->kit.snap, NULL, &e))
			_exit(3);
		_exit(env_ask(VIP, 80) > 0 ? 0 : 4);
	}
	int st;

	waitpid(pid, &st, 0);
	assert_int_equal(st, 0);
}

static void wrong_cgroup_is_said(void **state)
{
	(void)state;
	struct kern_status s;

	env()->conf.cgroup = "/tmp";
	env_open();
	kern_status(env()->kern, &s);
	assert_int_equal(s.rung, KERN_RUNG_OFF);
	assert_non_null(strstr(s.why, "/tmp: is no cgroup2 folder"));
}

static void failed_tests_keep_the_short_circuit_off(void **state)
{
	(void)state;
	struct kern_verdict bad = { .why = "order: got BBBBAAAA" };

	env_open();
	assert_int_equal(kern_judge(env()->kern, &bad, NULL), 0);
	assert_int_equal(status().rung, KERN_RUNG_BALANCE);
	assert_non_null(strstr(status().why, "BBBBAAAA"));
	assert_false(status().flags & CTL_SHORT_CIRCUIT);
	env_judge();
	assert_int_equal(status().rung, KERN_RUNG_FULL);
	assert_int_equal(status().flags, CTL_SHORT_CIRCUIT | CTL_CONNECT | CTL_NO_SPLICE | CTL_LEAVE_MAP | CTL_UNMANAGED_OK);
	assert_int_equal(kern_kill(env()->kern, true), 0);
	assert_true(status().flags & CTL_KILL);
	env_close();
	env()->conf.mode = KERN_REQUIRED;
	env_open();
	struct err e = { 0 };

	assert_int_equal(kern_judge(env()->kern, &bad, &e), -ENOTSUP);
}

static void full_map_is_said(void **state)
{
	(void)state;
	struct kit *k = &env()->kit;

	env()->conf.maps.frontends = 2;
	serve_web();
	env_open();
	web();
	for (int i = 0; i < 3; i++) {
		char name[24], ip[32];

		snprintf(name, sizeof(name), "x%d", i);
		snprintf(ip, sizeof(ip), "10.97.0.%d", i);
		kit_service(k, &(struct kit_service){ .name = name, .cluster = "web", .addrs = { ip }, .port = 80 });
	}
	env_sync();
	assert_non_null(status().degraded);
	assert_non_null(strstr(status().degraded, "frontend_map"));
	assert_true(env_stat("map_full") > 0);
	assert_int_equal(env_stat("stale"), 2);
	kit_del(k, FACT_SERVICE, "x0");
	kit_del(k, FACT_SERVICE, "x1");
	env_sync();
	kern_retry(env()->kern, k->snap);
	assert_null(status().degraded);
	assert_true(both_answer());
}

/* ---- the rest ---------------------------------------------------------------------------------------------- */

static void workload_is_found_when_its_cgroup_comes(void **state)
{
	(void)state;
	struct kit *k = &env()->kit;
	char path[700];

	snprintf(path, sizeof(path), "%s/pod", env()->cgroup);
	env_open();
	kit_workload(k, "client", "/pod", SPLICE_NEVER);
	env_sync();
	assert_int_equal(env_stat("workloads_missing"), 1);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(kit_commit(k));
	assert_int_equal(kern_sync(env()->kern, k->snap, NULL, NULL), 0);
	assert_int_equal(env_stat("workloads_missing"), 0);
	assert_int_equal(env_stat("workloads"), 1);
	env_close();
	env_open();
	assert_int_equal(kern_sync(env()->kern, k->snap, NULL, NULL), 0);
	assert_int_equal(env_stat("workloads"), 1);
	assert_true(slice_eq_str(read_workload_name(env()->kern, 1), "client"));
	rmdir(path);
	assert_int_equal(kern_sync(env()->kern, k->snap, NULL, NULL), 0);
	assert_int_equal(env_stat("workloads"), 0);
	assert_int_equal(env_stat("workloads_missing"), 1);
}

/* Names by id stay right while workloads come, move to another cgroup and go, also after a restart. */
static void workloads_are_named_by_id(void **state)
{
	(void)state;
	struct kit *k = &env()->kit;
	char path[3][700], name[2];

	env_open();
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/pod%d", env()->cgroup, i);
		assert_int_equal(mkdir(path[i], 0755), 0);
		snprintf(name, sizeof(name), "%c", 'a' + i);
		kit_workload(k, name, strrchr(path[i], '/'), SPLICE_NEVER);
	}
	env_sync();
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(read_workload_name(env()->kern, i + 1).p[0], 'a' + i);
	kit_del(k, FACT_WORKLOAD, "a");
	env_sync();
	assert_int_equal(read_workload_name(env()->kern, 1).n, 0);
	assert_int_equal(read_workload_name(env()->kern, 2).p[0], 'b');
	kit_del(k, FACT_WORKLOAD, "b");
	kit_workload(k, "d", "/pod1", SPLICE_NEVER);
	env_sync();
	assert_int_equal(read_workload_name(env()->kern, 2).n, 0);
	assert_int_equal(read_workload_name(env()->kern, 3).p[0], 'c');
	assert_int_equal(read_workload_name(env()->kern, 4).p[0], 'd');
	env_close();
	env_open();
	assert_int_equal(kern_sync(env()->kern, k->snap, NULL, NULL), 0);
	assert_int_equal(read_workload_name(env()->kern, 3).p[0], 'c');
	assert_int_equal(read_workload_name(env()->kern, 4).p[0], 'd');
	assert_int_equal(read_workload_name(env()->kern, 0).n, 0);
	for (int i = 0; i < 3; i++)
		rmdir(path[i]);
}

static void orphans_are_counted_and_repaired(void **state)
{
	(void)state;
	char dir[PINS_PATH];
	uint32_t id = 999, other = 998;
	struct backend b = { .port = 1 };
	struct frontend_key fk = { .port = 7, .proto = IPPROTO_TCP };
	struct frontend f = { .service = 999 };
	struct service v = { 0 };

	serve_web();
	env_open();
	web();
	env_sync();
	while (!sweep_step(env()->kern, 3))
		;
	assert_int_equal(env_stat("orphan_frontends") + env_stat("orphan_services") + env_stat("orphan_backends") +
			 env_stat("orphan_pairs") + env_stat("orphan_affinity") + env_stat("orphan_slots"), 0);
	snprintf(dir, sizeof(dir), "%s/weft/abi%u", env()->dir, MAPS_ABI);
	int bm = pins_get(dir, "maps", "backend_map"), fm = pins_get(dir, "maps", "frontend_map");
	int sm = pins_get(dir, "maps", "service_map");

	assert_int_equal(bpf_map_update_elem(bm, &id, &b, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(bm, &other, &b, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(fm, &fk, &f, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(sm, &id, &v, BPF_ANY), 0);
	while (!sweep_step(env()->kern, 3))
		;
	assert_int_equal(env_stat("orphan_frontends"), 1);
	assert_int_equal(env_stat("orphan_services"), 1);
	assert_int_equal(env_stat("orphan_backends"), 2);
	assert_int_equal(env_stat("orphans_repaired"), 4);
	while (!sweep_step(env()->kern, 100))
		;
	assert_int_equal(env_stat("orphan_frontends") + env_stat("orphan_services") + env_stat("orphan_backends"), 0);
	assert_true(both_answer());
	close(bm);
	close(fm);
	close(sm);
}

static bool one_map(void *arg, const struct read_map *m)
{
	unsigned *n = arg;

	assert_true(m->owner[0] && m->type[0] && m->pin[0] && m->id && strlen(m->name) <= 15);
	assert_true(m->bytes > 0 || !strcmp(m->type, "sk_storage") || !strcmp(m->type, "lpm_trie"));
	++*n;
	return true;
}

static bool one_prog(void *arg, const struct read_prog *p)
{
	unsigned *n = arg;

	assert_true(p->name[0] && strlen(p->tag) == 16 && p->attach[0] && p->pin[0] && p->insns);
	assert_int_equal(p->attached, strcmp(p->name, "explain_decide") != 0);
	++*n;
	return true;
}

static bool one_entry(void *arg, const char *json)
{
	char *out = arg;

	strncat(out, json, 4000 - strlen(out));
	return true;
}

static void maps_and_programs_are_shown(void **state)
{
	(void)state;
	unsigned maps = 0, progs = 0;
	char json[4096] = "";

	serve_web();
	env_open();
	web();
	env_sync();
	assert_true(both_answer());
	assert_true(read_maps(env()->kern, one_map, &maps) >= 18 && maps >= 18);
	assert_true(read_progs(env()->kern, one_prog, &progs) >= 12 && progs >= 12);
	assert_int_equal(read_entries(env()->kern, "frontend_map", 0, one_entry, json), 1);
	assert_non_null(strstr(json, "{\"key\":{\"addr\":\"10.96.0.1\",\"port\":80,\"proto\":6},\"value\":{\"service\":"));
	assert_int_equal(read_entries(env()->kern, "backend_map", 1, one_entry, json), 1);
	assert_int_equal(read_entries(env()->kern, "no_map", 1, one_entry, json), -ENOENT);
	assert_int_equal(read_entries(env()->kern, "flow_map", 1, one_entry, json), -EOPNOTSUPP);
	uint64_t reasons[REASON_MAX];

	read_reasons(env()->kern, reasons);
	assert_true(reasons[REASON_TRANSLATED] >= 20);
	assert_string_equal(read_reason_name(REASON_NO_BACKEND), "no_backend");
}

static void explain_says_what_happens(void **state)
{
	(void)state;
	struct explain x = { .ask = { .port = htons(80), .proto = IPPROTO_TCP } };
	struct ip ip = kit_ip(VIP);

	serve_web();
	env_open();
	web();
	env_sync();
	memcpy(x.ask.addr.b, ip.b, 16);
	assert_int_equal(read_explain(env()->kern, &x), 0);
	assert_int_equal(x.answer.reason, REASON_TRANSLATED);
	struct read_backend b;

	assert_true(read_backend(env()->kern, x.answer.backend_id, &b));
	assert_int_equal(b.entry.addr.b[13], 0);
	assert_int_equal(ntohs(x.answer.target_port), 8080);
	assert_true(slice_eq_str(b.cluster, "web"));
	/* The turns after it, without taking any: round robin over two. */
	uint32_t next = x.answer.backend_id;

	x.ask.later = 1;
	for (uint32_t ahead = 0; ahead < 6; ahead++) {
		x.ask.rnd = ahead;
		assert_int_equal(read_explain(env()->kern, &x), 0);
		assert_true(x.answer.backend_id && (x.answer.backend_id == next) == (ahead % 2 == 0));
	}
}

static void refused_connections_are_reported(void **state)
{
	(void)state;
	env_open();
	kit_cluster(&env()->kit, "none", LB_POLICY_RANDOM, LOCALITY_ANY);
	kit_service(&env()->kit, &(struct kit_service){ .name = "n", .cluster = "none", .addrs = { VIP }, .port = 80 });
	env_sync();
	assert_int_equal(env_ask(VIP, 80), -EHOSTUNREACH);
	assert_true(events_poll(env()->kern) >= 1);
	assert_true(env_stat("events") >= 1);
	assert_int_equal(env_stat("events_bad"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		T(first_start),
		T(changes_are_seen_at_once),
		T(both_families),
		T(written_entries_read_back),
		T(without_privileges),
		T(without_perfmon),
		T(wrong_cgroup_is_said),
		T(failed_tests_keep_the_short_circuit_off),
		T(full_map_is_said),
		T(workload_is_found_when_its_cgroup_comes),
		T(workloads_are_named_by_id),
		T(orphans_are_counted_and_repaired),
		T(maps_and_programs_are_shown),
		T(explain_says_what_happens),
		T(refused_connections_are_reported),
	};

	return cmocka_run_group_tests(tests, env_setup, env_teardown);
}
