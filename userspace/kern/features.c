/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row loads a program of a few instructions, or creates a map. A program that calls a helper with whatever lies in
 * the registers is refused for its arguments where the helper is known, and for the helper where it is not; libbpf knows
 * how to tell, and we use it for plain helpers. What needs more than that has a probe of its own.
 */
#include "kern/features.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "kern/maps.h"
#include "net/ktls.h"

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ST_DW(d, o, i) INSN(BPF_ST | BPF_MEM | BPF_DW, d, 0, o, i)
#define LDX(sz, d, s, o) INSN(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define FETCH_ADD(d, s, o) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, BPF_ADD | BPF_FETCH)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define JEQ0(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define MAP_FD(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)

static void last_line(const char *log, char *out, size_t size)
{
	const char *best = "", *p = log;

	while (*p) {
		size_t n = strcspn(p, "\n");

		if (n && strncmp(p, "processed ", 10))
			best = p;
		p += n + (p[n] != 0);
	}
	snprintf(out, size, "%.*s", (int)strcspn(best, "\n"), best);
}

static int load(struct features_row *r, uint32_t type, uint32_t attach, const struct bpf_insn *insn, size_t n)
{
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = attach, .log_buf = log, .log_size = sizeof(log),
		    .log_level = 1);
	int fd = bpf_prog_load(type, "weft_probe", "GPL", insn, n, &o);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	int err = -errno;

	last_line(log, r->detail, sizeof(r->detail));
	return err;
}
#define LOAD(r, type, attach, ...)                                                                                     \
	load(r, type, attach, (struct bpf_insn[]){ __VA_ARGS__ },                                                      \
	     sizeof((struct bpf_insn[]){ __VA_ARGS__ }) / sizeof(struct bpf_insn))

static int hook(struct features_row *r, uint32_t type, uint32_t attach)
{
	return LOAD(r, type, attach, MOV_IMM(BPF_REG_0, 1), EXIT());
}

static int helper(struct features_row *r, uint32_t type, uint32_t attach, uint32_t fn)
{
	int err = LOAD(r, type, attach, CALL((int)fn), MOV_IMM(BPF_REG_0, 1), EXIT());

	/* Refused for something else than the helper itself: the helper is there. */
	if (err == -EINVAL || err == -EACCES) {
		bool unknown = strstr(r->detail, "unknown func") || strstr(r->detail, "invalid func") ||
			       strstr(r->detail, "cannot use helper");

		err = unknown || !r->detail[0] ? err : 0;
	}
	return err;
}

static int map(uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = flags);
	int fd = bpf_map_create(type, "weft_probe", key, value, max, &o);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* ---- probes ------------------------------------------------------------------------------------------------ */

static int p_connect4(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
}

static int p_sendmsg6(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG);
}

static int p_recvmsg4(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG);
}

static int p_getpeername4(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME);
}

static int p_release(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE);
}

static int p_syscall(struct features_row *r)
{
	LIBBPF_OPTS(bpf_prog_load_opts, o, .prog_flags = BPF_F_SLEEPABLE);
	struct bpf_insn insn[] = { MOV_IMM(BPF_REG_0, 0), EXIT() };
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "weft_probe", "GPL", insn, 2, &o);

	(void)r;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int p_sockops(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS);
}

static int p_sk_msg(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT);
}

static int p_setsockopt(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT);
}

static int p_getsockopt(struct features_row *r)
{
	return hook(r, BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT);
}

static int p_netns_sockopt(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, BPF_FUNC_get_netns_cookie);
}

static int p_set_retval(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, BPF_FUNC_set_retval);
}

static int p_mptcp_sock(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, BPF_FUNC_skc_to_mptcp_sock);
}

static int p_storage_addr(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, BPF_FUNC_sk_storage_get);
}

static int p_storage_sockops(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, BPF_FUNC_sk_storage_get);
}

static int p_netns_addr(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, BPF_FUNC_get_netns_cookie);
}

static int p_netns_sockops(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, BPF_FUNC_get_netns_cookie);
}

static int p_cgroup_id(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, BPF_FUNC_get_current_cgroup_id);
}

static int p_ancestor(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT,
		      BPF_FUNC_get_current_ancestor_cgroup_id);
}

static int p_redirect_hash(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, BPF_FUNC_msg_redirect_hash);
}

static int p_sock_hash_update(struct features_row *r)
{
	return helper(r, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, BPF_FUNC_sock_hash_update);
}

/* Reads a tcp_sock through BTF, which is what needs CAP_PERFMON. */
static int p_tcp_sock(struct features_row *r)
{
	return LOAD(r, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT,
		    LDX(BPF_DW, BPF_REG_1, BPF_REG_1, offsetof(struct sk_msg_md, sk)), JEQ0(BPF_REG_1, 1),
		    CALL(BPF_FUNC_skc_to_tcp_sock), MOV_IMM(BPF_REG_0, 1), EXIT());
}

static int p_reuseport(struct features_row *r)
{
	int err = hook(r, BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE);

	return err ? hook(r, BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT) : 0;
}

static int p_ringbuf(struct features_row *r)
{
	(void)r;
	return map(BPF_MAP_TYPE_RINGBUF, 0, 0, (uint32_t)sysconf(_SC_PAGESIZE), 0);
}

static int p_sockhash(struct features_row *r)
{
	(void)r;
	return map(BPF_MAP_TYPE_SOCKHASH, 8, 8, 8, 0);
}

static int p_lru(struct features_row *r)
{
	(void)r;
	return map(BPF_MAP_TYPE_LRU_HASH, 8, 8, 64, 0);
}

static int p_mmap_array(struct features_row *r)
{
	(void)r;
	return map(BPF_MAP_TYPE_ARRAY, 4, 64, 64, BPF_F_MMAPABLE);
}

static int p_fetch_add(struct features_row *r)
{
	return LOAD(r, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, ST_DW(BPF_REG_10, -8, 0),
		    MOV_IMM(BPF_REG_1, 1), FETCH_ADD(BPF_REG_10, BPF_REG_1, -8), MOV_IMM(BPF_REG_0, 1), EXIT());
}

static int p_btf(struct features_row *r)
{
	(void)r;
	return access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
}

static int p_batch(struct features_row *r)
{
	uint32_t key[2] = { 1, 2 }, value[2] = { 3, 4 }, n = 2;
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "weft_probe", 4, 4, 8, &o);
	int err = fd < 0 || bpf_map_update_batch(fd, key, value, &n, NULL) ? -errno : 0;

	(void)r;
	if (fd >= 0)
		close(fd);
	return err;
}

static int p_sockmap_link(struct features_row *r)
{
	struct bpf_insn insn[] = { MOV_IMM(BPF_REG_0, 1), EXIT() };
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = BPF_SK_MSG_VERDICT);
	int m = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "weft_probe", 8, 8, 8, NULL);
	int p = bpf_prog_load(BPF_PROG_TYPE_SK_MSG, "weft_probe", "GPL", insn, 2, &o);
	int fd = m < 0 || p < 0 ? -1 : bpf_link_create(p, m, BPF_SK_MSG_VERDICT, NULL), err = fd < 0 ? -errno : 0;

	(void)r;
	if (fd >= 0)
		close(fd);
	if (p >= 0)
		close(p);
	if (m >= 0)
		close(m);
	return err;
}

static int p_membarrier(struct features_row *r)
{
	long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	(void)r;
	return q < 0 ? -errno : q & MEMBARRIER_CMD_GLOBAL ? 0 : -EOPNOTSUPP;
}

/* The programs of a running weft do not count it. */
static int p_ktls(struct features_row *r)
{
	return ktls_probe(SELFTEST_MARK, r->detail, sizeof(r->detail));
}

/*
 * Where br_netfilter shows bridged packets to IP's hooks, tproxy gives a packet its socket on the bridge, and the socket is
 * forgotten when the packet goes up to IP, whose own hook is skipped then: nobody answers.
 */
static int p_tproxy(struct features_row *r)
{
	int fd = open("/proc/sys/net/bridge/bridge-nf-call-iptables", O_RDONLY | O_CLOEXEC), one = 1, err;
	char on = '0';

	if (fd >= 0 && read(fd, &on, 1) == 1 && on == '1')
		snprintf(r->detail, sizeof(r->detail), "packets over a bridge are lost: net.bridge.bridge-nf-call-iptables is 1");
	if (fd >= 0)
		close(fd);
	if (r->detail[0])
		return -EOPNOTSUPP;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

/* Kernels before 5.11 charge maps to RLIMIT_MEMLOCK; later ones to the memory cgroup. Raising it may be forbidden. */
static int p_memlock(struct features_row *r)
{
	struct rlimit inf = { RLIM_INFINITY, RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &inf))
		return 0;
	int err = -errno;

	snprintf(r->detail, sizeof(r->detail), "cannot be raised; this matters before Linux 5.11 only");
	return err;
}

static bool has_cap(cap_value_t c)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t v = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, c, CAP_EFFECTIVE, &v);
	cap_free(caps);
	return v == CAP_SET;
}

static int p_perfmon(struct features_row *r)
{
	if (has_cap(CAP_PERFMON) || has_cap(CAP_SYS_ADMIN))
		return 0;
	snprintf(r->detail, sizeof(r->detail), "CAP_PERFMON is not held");
	return -EPERM;
}

static int p_netadmin(struct features_row *r)
{
	if (has_cap(CAP_NET_ADMIN) || has_cap(CAP_SYS_ADMIN))
		return 0;
	snprintf(r->detail, sizeof(r->detail), "CAP_NET_ADMIN is not held");
	return -EPERM;
}

static const struct probe {
	const char *name;
	enum features_need need;
	const char *use;
	int (*fn)(struct features_row *r);
} probes[] = {
	{ "CAP_NET_ADMIN", FEATURES_BALANCE, "programs on a cgroup", p_netadmin },
	{ "RLIMIT_MEMLOCK", FEATURES_OPTIONAL, "memory of maps before Linux 5.11", p_memlock },
	{ "cgroup/connect4", FEATURES_BALANCE, "service addresses at connect()", p_connect4 },
	{ "cgroup/sendmsg6", FEATURES_BALANCE, "service addresses at sendto()", p_sendmsg6 },
	{ "cgroup/recvmsg4", FEATURES_BALANCE, "unconnected UDP sees who it dialled", p_recvmsg4 },
	{ "cgroup/getpeername4", FEATURES_BALANCE, "getpeername() gives the dialled address", p_getpeername4 },
	{ "cgroup/sock_release", FEATURES_BALANCE, "open connections are counted down", p_release },
	{ "sk_storage in sock_addr", FEATURES_BALANCE, "a socket remembers what it dialled", p_storage_addr },
	{ "netns cookie in sock_addr", FEATURES_BALANCE, "whose affinity it is", p_netns_addr },
	{ "cgroup id in sock_addr", FEATURES_BALANCE, "which workload dials", p_cgroup_id },
	{ "ancestor cgroup in sock_addr", FEATURES_BALANCE, "a workload owns the cgroups below it", p_ancestor },
	{ "atomic fetch-add", FEATURES_BALANCE, "round robin", p_fetch_add },
	{ "LRU hash", FEATURES_BALANCE, "affinity", p_lru },
	{ "mmap-able array", FEATURES_BALANCE, "balancing table, heartbeat", p_mmap_array },
	{ "ring buffer", FEATURES_BALANCE, "records of closed and refused connections", p_ringbuf },
	{ "kernel BTF", FEATURES_SHORT_CIRCUIT, "fields of kernel structures, by name", p_btf },
	{ "CAP_PERFMON", FEATURES_SHORT_CIRCUIT, "reading kernel structures", p_perfmon },
	{ "cgroup/getsockopt", FEATURES_CAPTURE, "services with routes, captured ranges: the proxy asks what was dialled", p_getsockopt },
	{ "netns cookie in sockopt", FEATURES_CAPTURE, "services with routes, captured ranges: in which pod it was dialled", p_netns_sockopt },
	{ "netns cookie in sockops", FEATURES_CAPTURE, "services with routes, captured ranges: which pod dials", p_netns_sockops },
	{ "sockops", FEATURES_SHORT_CIRCUIT, "pairing connections", p_sockops },
	{ "sk_msg", FEATURES_SHORT_CIRCUIT, "redirecting bytes", p_sk_msg },
	{ "sockhash", FEATURES_SHORT_CIRCUIT, "redirecting bytes", p_sockhash },
	{ "bpf_msg_redirect_hash", FEATURES_SHORT_CIRCUIT, "redirecting bytes", p_redirect_hash },
	{ "bpf_sock_hash_update", FEATURES_SHORT_CIRCUIT, "pairing connections", p_sock_hash_update },
	{ "sk_storage in sockops", FEATURES_SHORT_CIRCUIT, "which end of which pair a socket is", p_storage_sockops },
	{ "tcp_sock in sk_msg", FEATURES_SHORT_CIRCUIT, "bounding unread bytes", p_tcp_sock },
	{ "cgroup/setsockopt", FEATURES_SHORT_CIRCUIT, "refusing what redirected bytes cannot give", p_setsockopt },
	{ "bpf_set_retval", FEATURES_OPTIONAL, "EHOSTUNREACH and ECONNREFUSED; without it a refused connect() is EPERM",
	  p_set_retval },
	{ "bpf_skc_to_mptcp_sock", FEATURES_OPTIONAL, "MPTCP clients see the address they dialled", p_mptcp_sock },
	{ "syscall program", FEATURES_OPTIONAL, "weft explain", p_syscall },
	{ "sk_reuseport", FEATURES_OPTIONAL, "a listener's connections go to the worker of their CPU or with fewest, not by hash", p_reuseport },
	{ "map batch update", FEATURES_OPTIONAL, "fast start; without it one call per entry", p_batch },
	{ "sockmap link", FEATURES_OPTIONAL, "the verdict program has a link; without it the map holds it", p_sockmap_link },
	{ "ktls", FEATURES_OPTIONAL, "listeners and clusters with `tls.kernel: auto`: large bodies pass by the proxy", p_ktls },
	{ "transparent sockets", FEATURES_OPTIONAL, "listeners with `capture: tproxy` (docs/listeners.md)", p_tproxy },
	{ "membarrier", FEATURES_OPTIONAL, "short grace periods; without it they are timed", p_membarrier },
};
_Static_assert(sizeof(probes) / sizeof(probes[0]) <= sizeof(((struct features *)0)->row) / sizeof(struct features_row), "");

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

void features_probe(struct features *f)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);

	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct features_row *r = &f->row[f->n++];

		r->name = probes[i].name;
		r->need = probes[i].need;
		r->use = probes[i].use;
		r->err = probes[i].fn(r);
		r->ok = !r->err;
		if (r->ok)
			r->detail[0] = '\0';
		else if (!r->detail[0])
			snprintf(r->detail, sizeof(r->detail), "%s", strerror(-r->err));
	}
	libbpf_set_print(old);
}

const struct features_row *features_missing(const struct features *f, enum features_need need)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->row[i].ok && (f->row[i].need == FEATURES_BALANCE || f->row[i].need == need))
			return &f->row[i];
	return NULL;
}

const struct features_row *features_find(const struct features *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->row[i].name, name))
			return &f->row[i];
	return NULL;
}
