// SPDX-License-Identifier: Apache-2.0
/* The kit of the self-test: programs loaded on private maps, attached to a private cgroup. */
#include "kern/selftest_priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/capture.skel.h"
#include "bpf/redirect.skel.h"
#include "bpf/sockops.skel.h"
#include "bpf/sockopt.skel.h"
#include "weft/err.h"

#define KIT_ENTRIES 4096                        /* of any hash: the cases open a few connections */

static const char *const map_names[KIT_NMAPS] = {
	[KIT_CTL] = "ctl_map",	  [KIT_SOCK] = "sock_map",	   [KIT_WAIT] = "wait_map",
	[KIT_PAIR] = "pair_map",  [KIT_WORKLOAD] = "workload_map", [KIT_REASON] = "reason_map",
	[KIT_END] = "end_map",    [KIT_EVENT] = "event_map",	   [KIT_FLOW] = "flow_map",
};

/* Maps that share_maps() has to make small: the cases need few entries, and arrays take their memory at once. */
static void shrink(struct bpf_map *m)
{
	enum bpf_map_type type = bpf_map__type(m);

	if (type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_RINGBUF)
		return;
	if (bpf_map__max_entries(m) > KIT_ENTRIES)
		bpf_map__set_max_entries(m, KIT_ENTRIES);
}

/* Gives the maps of `from` (loaded) to `to` by name, so that the objects work on one set. */
static int share_maps(struct bpf_object *from, struct bpf_object *to)
{
	struct bpf_map *m, *src;
	int err;

	bpf_object__for_each_map(m, to) {
		if (bpf_map__is_internal(m) || !(src = bpf_object__find_map_by_name(from, bpf_map__name(m))))
			continue;
		if ((err = bpf_map__reuse_fd(m, bpf_map__fd(src))))
			return err;
	}
	return 0;
}

static int load(struct bpf_object **out, const void *elf, size_t len, struct bpf_object *from, const char *what,
		struct err *e)
{
	struct bpf_object *o = bpf_object__open_mem(elf, len, NULL);
	struct bpf_map *m;
	int err;

	if (!o)
		return err_errno(e, -errno, "%s programs", what);
	bpf_object__for_each_map(m, o)
		shrink(m);
	if (!(err = from ? share_maps(from, o) : 0) && !(err = bpf_object__load(o))) {
		*out = o;
		return 0;
	}
	bpf_object__close(o);
	return err_errno(e, err, "load the %s programs", what);
}

/* Maybe: a kernel without it has no services with routes, which another part of weft finds and says. */
static int load_capture(struct kit *k)
{
	struct capture_bpf *c = capture_bpf__open();
	struct bpf_map *m;
	int err = c ? 0 : -errno;

	if (!err) {
		c->rodata->has_mptcp_sock = false; /* no case needs it, and older kernels have none */
		bpf_object__for_each_map(m, c->obj)
			shrink(m);
		err = share_maps(k->sockops, c->obj);
	}
	if (!err)
		err = capture_bpf__load(c);
	if (!err)
		err = bpf_prog_attach(bpf_program__fd(c->progs.capture_dialled), k->cgroup, BPF_CGROUP_SOCK_OPS,
				      BPF_F_ALLOW_MULTI);
	if (!err)
		err = bpf_prog_attach(bpf_program__fd(c->progs.getsockopt_odst), k->cgroup, BPF_CGROUP_GETSOCKOPT,
				      BPF_F_ALLOW_MULTI);
	if (err)
		capture_bpf__destroy(c);
	else
		k->capture = c;
	return err;
}

static int attach(struct bpf_object *o, int fd, enum bpf_attach_type type, unsigned flags, struct err *e)
{
	struct bpf_program *p = bpf_object__next_program(o, NULL);
	int err = p ? bpf_prog_attach(bpf_program__fd(p), fd, type, flags) : -ENOENT;

	return err ? err_errno(e, err, "attach %s", p ? bpf_program__name(p) : "?") : 0;
}

/* The mount point of cgroup2 into path. */
static int cgroup2_root(char *path, size_t room)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "cgroup2") && (size_t)snprintf(path, room, "%s", m->mnt_dir) < room)
			err = 0;
	endmntent(f);
	return err;
}

/*
 * Programs of the private cgroup run before those of the cgroups above: sockets of the self-test go into its own map, and
 * the programs of a running weft find them taken (FOREIGN).
 */
static int cgroup_make(struct kit *k, const char *parent, struct err *e)
{
	struct timespec t;
	char root[200];
	int err;

	if (!parent) {
		if ((err = cgroup2_root(root, sizeof(root))))
			return err_errno(e, err, "find cgroup2");
		parent = root;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	/* The time too: process ids of different namespaces are alike. */
	if ((size_t)snprintf(k->path, sizeof(k->path), "%s/weft-selftest-%d-%llx", parent, getpid(),
			     t.tv_sec * 1000000000ull + t.tv_nsec) >= sizeof(k->path))
		return err_add(e, -ENAMETOOLONG, "cgroup %s", parent);
	if (mkdir(k->path, 0755)) {
		err = -errno;
		k->path[0] = 0;
		return err_errno(e, err, "make a cgroup in %s", parent);
	}
	k->cgroup = open(k->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->cgroup < 0 ? err_errno(e, -errno, "open %s", k->path) : 0;
}

static int load_all(struct kit *k, const struct selftest_progs *p, struct err *e)
{
	const void *elf = p->sockops;
	size_t len = p->sockops_len;
	int err;

	if (!elf)
		elf = sockops_bpf__elf_bytes(&len);
	if ((err = load(&k->sockops, elf, len, NULL, "sockops", e)))
		return err;
	elf = p->redirect;
	len = p->redirect_len;
	if (!elf)
		elf = redirect_bpf__elf_bytes(&len);
	if ((err = load(&k->redirect, elf, len, k->sockops, "redirect", e)))
		return err;
	elf = p->sockopt;
	len = p->sockopt_len;
	if (!elf)
		elf = sockopt_bpf__elf_bytes(&len);
	return load(&k->sockopt, elf, len, k->sockops, "sockopt", e);
}

int kit_open(struct kit *k, const struct selftest_progs *progs, const char *cgroup, struct err *e)
{
	static const struct selftest_progs built_in;
	int err;

	memset(k, 0, sizeof(*k));
	k->cgroup = -1;
	if ((err = cgroup_make(k, cgroup, e)) || (err = load_all(k, progs ? progs : &built_in, e)))
		return err;
	for (int i = 0; i < KIT_NMAPS; i++)
		if ((k->map[i] = bpf_object__find_map_fd_by_name(k->sockops, map_names[i])) < 0)
			return err_add(e, -ENOENT, "map %s", map_names[i]);
	if ((err = attach(k->redirect, k->map[KIT_SOCK], BPF_SK_MSG_VERDICT, 0, e)) ||
	    (err = attach(k->sockops, k->cgroup, BPF_CGROUP_SOCK_OPS, BPF_F_ALLOW_MULTI, e)) ||
	    (err = attach(k->sockopt, k->cgroup, BPF_CGROUP_SETSOCKOPT, BPF_F_ALLOW_MULTI, e)))
		return err;
	load_capture(k);
	k->ctl = (struct ctl){.magic = CTL_MAGIC, .abi = MAPS_ABI, .max_outstanding = 1 << 20, .keepalive_s = 600,
			      .flags = CTL_SHORT_CIRCUIT | CTL_UNMANAGED_OK | CTL_NO_SPLICE | CTL_SELFTEST,
			      .credit = CREDIT_MSG_TOT_LEN};
	kit_ctl(k);
	return 0;
}

static int write_to(const char *cgroup, const char *file, const char *text)
{
	char path[300];
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* What a case left running there goes too; the kernel lets go of it a moment later. */
static void cgroup_remove(const char *path)
{
	for (int i = 0; i < 100 && rmdir(path) && errno == EBUSY; i++) {
		if (!i)
			write_to(path, "cgroup.kill", "1");
		poll(NULL, 0, 10);
	}
}

/* Closing the descriptors detaches nothing from a cgroup, but removing the cgroup does. */
void kit_close(struct kit *k)
{
	capture_bpf__destroy(k->capture);
	bpf_object__close(k->sockopt);
	bpf_object__close(k->redirect);
	bpf_object__close(k->sockops);
	if (k->cgroup >= 0)
		close(k->cgroup);
	if (k->path[0])
		cgroup_remove(k->path);
	memset(k, 0, sizeof(*k));
	k->cgroup = -1;
}

static int move_to(const char *cgroup, const char *file)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return write_to(cgroup, file, pid);
}

int kit_enter(const struct kit *k)
{
	return move_to(k->path, "cgroup.procs");
}

void kit_leave(const struct kit *k)
{
	move_to(k->path, "../cgroup.procs");
}

void kit_ctl(struct kit *k)
{
	__u32 zero = 0;

	bpf_map_update_elem(k->map[KIT_CTL], &zero, &k->ctl, BPF_ANY);
}

uint64_t kit_reason(const struct kit *k, enum reason r)
{
	int ncpus = libbpf_num_possible_cpus();
	uint64_t *per_cpu = calloc(ncpus > 0 ? ncpus : 1, sizeof(*per_cpu)), sum = 0;
	__u32 key = r;

	if (per_cpu && !bpf_map_lookup_elem(k->map[KIT_REASON], &key, per_cpu))
		for (int i = 0; i < ncpus; i++)
			sum += per_cpu[i];
	free(per_cpu);
	return sum;
}
