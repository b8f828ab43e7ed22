// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "rig.h"
#include "bpf/capture.skel.h"
#include "bpf/connect.skel.h"
#include "bpf/explain.skel.h"

#define must(x)                                                                                                        \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "rig: %s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno));              \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)
#define put(map, key, value) must(!bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY))

static const char *const reason_name[] = {
#define REASON_NAME(name, class, label, text) label,
	REASONS(REASON_NAME)
#undef REASON_NAME
};

static struct addr16 addr_of(const char *text)
{
	struct addr16 a = { .b = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, &a.b[12]) != 1)
		must(inet_pton(AF_INET6, text, a.b) == 1);
	return a;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static int on_record(void *ctx, void *data, size_t len)
{
	struct rig *r = ctx;
	const struct event_head *head = data;

	if (head->type == EVENT_REFUSED && len == sizeof(r->last)) {
		r->last = *(struct event_refused *)data;
		r->refused++;
	} else if (head->type == EVENT_NETNS && len == sizeof(r->last_unseen)) {
		r->last_unseen = *(struct event_netns *)data;
		r->unseen++;
	} else {
		r->errors++;
	}
	return 0;
}

/* The other objects run over the connect object's maps. */
static void share_maps(struct rig *r, struct bpf_object *with)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, with) {
		struct bpf_map *theirs = bpf_object__find_map_by_name(r->con->obj, bpf_map__name(m));

		if (theirs && !strstr(bpf_map__name(m), "rodata"))
			must(!bpf_map__reuse_fd(m, bpf_map__fd(theirs)));
	}
}

static int attach_object(struct rig *r, struct bpf_object *o, int cg, int n)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, o) {
		must(n < NLINKS);
		r->link[n] = bpf_program__attach_cgroup(p, cg);
		must(!libbpf_get_error(r->link[n++]));
	}
	return n;
}

static void attach(struct rig *r)
{
	int cg = open(world_cgroup(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(cg >= 0);
	must(attach_object(r, r->con->obj, cg, attach_object(r, r->cap->obj, cg, 0)) == NLINKS);
	close(cg);
}

struct ctl rig_ctl_default(void)
{
	return (struct ctl){ .magic = CTL_MAGIC, .abi = MAPS_ABI, .flags = CTL_CONNECT, .beat_timeout_ms = 1000 };
}

struct rig *rig_new(bool host)
{
	struct rig *r = calloc(1, sizeof(*r));

	must(r);
	libbpf_set_print(quiet);
	must(r->con = connect_bpf__open());
	must(r->exp = explain_bpf__open());
	must(r->cap = capture_bpf__open());
	r->con->rodata->host_netns = host ? world_netns() : 1;
	r->cap->rodata->host_netns = r->exp->rodata->host_netns = r->con->rodata->host_netns;
	must(!connect_bpf__load(r->con));
	share_maps(r, r->exp->obj);
	share_maps(r, r->cap->obj);
	must(!explain_bpf__load(r->exp));
	must(!capture_bpf__load(r->cap));
	r->ring = ring_buffer__new(bpf_map__fd(r->con->maps.event_map), on_record, r, NULL);
	must(r->ring);
	rig_ctl(r, rig_ctl_default());
	attach(r);
	return r;
}

void rig_free(struct rig *r)
{
	for (int i = 0; i < NLINKS; i++)
		bpf_link__destroy(r->link[i]);
	ring_buffer__free(r->ring);
	explain_bpf__destroy(r->exp);
	capture_bpf__destroy(r->cap);
	connect_bpf__destroy(r->con);
	free(r);
}

void rig_ctl(struct rig *r, struct ctl ctl)
{
	uint32_t zero = 0;

	put(r->con->maps.ctl_map, &zero, &ctl);
}

void rig_frontend(struct rig *r, const char *addr, int port, int proto, uint32_t service)
{
	struct frontend_key key = { .addr = addr_of(addr), .port = htons(port), .proto = proto };
	struct frontend f = { .service = service };

	put(r->con->maps.frontend_map, &key, &f);
}

void rig_frontend_gone(struct rig *r, const char *addr, int port, int proto)
{
	struct frontend_key key = { .addr = addr_of(addr), .port = htons(port), .proto = proto };

	must(!bpf_map_delete_elem(bpf_map__fd(r->con->maps.frontend_map), &key));
}

void rig_prefix(struct rig *r, const char *addr, int bits, int port, struct prefix v)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + bits, .port = htons(port), .addr = addr_of(addr) };

	v.bits = bits;
	v.port = key.port;
	put(r->con->maps.prefix_map, &key, &v);
}

void rig_backend_is(struct rig *r, uint32_t id, bool six, int server, int state, uint32_t weight)
{
	struct backend be = { .port = htons(SERVER_PORT), .state = state, .slot = id, .weight = weight };
	char addr[64];

	snprintf(addr, sizeof(addr), six ? "fd00:1::%d" : "127.0.0.%d", 10 + server);
	be.addr = addr_of(addr);
	put(r->con->maps.backend_map, &id, &be);
}

void rig_backend(struct rig *r, uint32_t id, bool six, int server)
{
	rig_backend_is(r, id, six, server, BACKEND_ACTIVE, 1);
}

void rig_backend_any_port(struct rig *r, uint32_t id, int server)
{
	struct backend be = { .slot = id };
	char addr[64];

	snprintf(addr, sizeof(addr), "127.0.0.%d", 10 + server);
	be.addr = addr_of(addr);
	put(r->con->maps.backend_map, &id, &be);
}

void rig_backend_gone(struct rig *r, uint32_t id)
{
	must(!bpf_map_delete_elem(bpf_map__fd(r->con->maps.backend_map), &id));
}

static void table_put(struct rig *r, uint32_t at, uint32_t backend)
{
	uint32_t row = at / TABLE_ROW;
	struct table_row slots;

	must(!bpf_map_lookup_elem(bpf_map__fd(r->con->maps.table_map), &row, &slots));
	slots.slot[at % TABLE_ROW] = backend;
	put(r->con->maps.table_map, &row, &slots);
}

void rig_service(struct rig *r, uint32_t id, struct service svc, const uint32_t *ids, uint32_t n)
{
	svc.off = r->next_slot;
	svc.n = n;
	svc.slot = id;
	r->next_slot += n;
	for (uint32_t i = 0; i < n; i++)
		table_put(r, svc.off + i, ids[i]);
	put(r->con->maps.service_map, &id, &svc);
}

void rig_workload(struct rig *r, uint64_t cgroup, uint32_t flags)
{
	struct workload w = { .id = 1, .flags = flags };

	put(r->con->maps.workload_map, &cgroup, &w);
}

void rig_pod(struct rig *r, const char *v4, const char *v6, uint16_t port)
{
	struct pod_place p = { .port = htons(port) };
	uint64_t netns = world_netns();

	if (v4)
		p.v4 = addr_of(v4);
	if (v6)
		p.v6 = addr_of(v6);
	if (v4 || v6)
		put(r->con->maps.pod_map, &netns, &p);
	else
		must(!bpf_map_delete_elem(bpf_map__fd(r->con->maps.pod_map), &netns));
}

int32_t rig_open(struct rig *r, uint32_t backend)
{
	int32_t n;

	must(!bpf_map_lookup_elem(bpf_map__fd(r->con->maps.open_map), &backend, &n));
	return n;
}

struct service_stat rig_stat(struct rig *r, uint32_t service)
{
	struct service_stat s;

	must(!bpf_map_lookup_elem(bpf_map__fd(r->con->maps.svc_stat_map), &service, &s));
	return s;
}

static void reasons_read(struct rig *r, uint64_t *sum)
{
	int ncpu = libbpf_num_possible_cpus(), fd = bpf_map__fd(r->con->maps.reason_map);
	uint64_t per_cpu[ncpu];

	for (uint32_t i = 0; i < REASON_MAX; i++) {
		must(!bpf_map_lookup_elem(fd, &i, per_cpu));
		sum[i] = 0;
		for (int c = 0; c < ncpu; c++)
			sum[i] += per_cpu[c];
	}
}

void rig_forget(struct rig *r)
{
	reasons_read(r, r->seen);
}

void rig_took_at(struct rig *r, uint32_t reason, uint64_t n, const char *file, int line)
{
	uint64_t now[REASON_MAX], want, got;
	bool good = true;

	reasons_read(r, now);
	for (uint32_t i = 0; i < REASON_MAX; i++) {
		want = i == reason ? n : 0;
		got = now[i] - r->seen[i];
		if (got != want)
			print_error("reason %s: %llu instead of %llu\n", reason_name[i], (unsigned long long)got,
				    (unsigned long long)want);
		good &= got == want;
	}
	memcpy(r->seen, now, sizeof(now));
	if (!good)
		_fail(file, line);
}

void rig_records(struct rig *r)
{
	must(ring_buffer__consume(r->ring) >= 0);
}

/* Ids of this process's cgroups, as userspace finds them: the inodes along the path. */
static void lineage(__u64 *ids)
{
	char line[512] = "", path[1024];
	FILE *f = fopen("/proc/self/cgroup", "re");
	size_t base = strlen(world_cgroup());
	struct stat st;
	int level = 0;

	while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3))
		;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	while (base && world_cgroup()[base - 1] != '/')
		base--;
	for (char *p = line + 4; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		int len = strcspn(p, "/") + (p - line - 4);

		snprintf(path, sizeof(path), "%.*s%.*s", (int)base, world_cgroup(), len, line + 4);
		must(!stat(path, &st) && level < CGROUP_LEVELS);
		ids[level++] = st.st_ino;
	}
}

static struct prefix prefix_of(struct rig *r, const struct explain_ask *x, uint16_t port)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + 128, .port = port, .addr = x->addr };
	struct prefix p = { .bits = PREFIX_NONE };

	bpf_map_lookup_elem(bpf_map__fd(r->con->maps.prefix_map), &key, &p);
	return p;
}

struct explain_answer rig_explain(struct rig *r, const char *addr, int port, int proto, uint32_t rnd)
{
	struct explain e = { .ask = { .addr = addr_of(addr), .port = htons(port), .proto = proto, .rnd = rnd } };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &e, .ctx_size_in = sizeof(e));

	e.ask.netns = world_netns();
	lineage(e.ask.cgroup);
	e.ask.own = prefix_of(r, &e.ask, e.ask.port);
	e.ask.any = prefix_of(r, &e.ask, 0);
	must(!bpf_prog_test_run_opts(bpf_program__fd(r->exp->progs.explain_decide), &opts));
	must(!opts.retval);
	return e.answer;
}

int rig_setup(void **state)
{
	*state = rig_new(false);
	return 0;
}

int rig_setup_host(void **state)
{
	*state = rig_new(true);
	return 0;
}

int rig_teardown(void **state)
{
	cgroup_enter("");
	rig_free(*state);
	return 0;
}

int rig_main(const char *group, const struct CMUnitTest *tests, size_t n)
{
	const char *why;
	int failed;

	if (!world_possible(&why)) {
		printf("%s\n", why);
		return 77;
	}
	world_enter();
	failed = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
	world_leave();
	return failed;
}
