// SPDX-License-Identifier: Apache-2.0
/*
 * weft-torture attach --cgroup DIR --maps PINS --sockops F.o --redirect F.o --sockopt F.o
 * [--workload CGROUP,FLAGS]...
 *
 * The short-circuit alone, from object files, pinned and left behind: to run the cases on programs
 * that are broken on purpose, and to show that they notice.
 */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern/limits.h"
#include "kern/maps.h"

#define NWORKLOADS 16
#define ENTRIES	   65536

enum { SOCKOPS, REDIRECT, SOCKOPT, NOBJECTS };

struct order {
	const char *cgroup, *maps, *file[NOBJECTS], *workload[NWORKLOADS];
	int nworkloads;
	struct ctl ctl;
	struct bpf_object *object[NOBJECTS];
};

static void shrink(struct bpf_map *m)
{
	enum bpf_map_type type = bpf_map__type(m);

	if (type != BPF_MAP_TYPE_SK_STORAGE && type != BPF_MAP_TYPE_RINGBUF &&
	    bpf_map__max_entries(m) > ENTRIES)
		bpf_map__set_max_entries(m, ENTRIES);
}

/* The first object's maps are everybody's. */
static int load(struct order *o, int i)
{
	struct bpf_map *m, *src;
	int err;

	o->object[i] = bpf_object__open_file(o->file[i], NULL);
	if (!o->object[i])
		return -errno;
	bpf_object__for_each_map(m, o->object[i])
	{
		shrink(m);
		src = i ? bpf_object__find_map_by_name(o->object[0], bpf_map__name(m)) : NULL;
		if (src && (err = bpf_map__reuse_fd(m, bpf_map__fd(src))))
			return err;
	}
	return bpf_object__load(o->object[i]);
}

static int pin(struct order *o)
{
	char path[300];
	struct bpf_map *m;
	int err;

	bpf_object__for_each_map(m, o->object[SOCKOPS])
	{
		if (bpf_map__is_internal(m))
			continue;
		snprintf(path, sizeof(path), "%s/%s", o->maps, bpf_map__name(m));
		if ((err = bpf_map__pin(m, path)))
			return err;
	}
	return 0;
}

static int map_of(const struct order *o, const char *name)
{
	return bpf_object__find_map_fd_by_name(o->object[SOCKOPS], name);
}

static int hook(const struct order *o, int i, int fd, enum bpf_attach_type type)
{
	struct bpf_program *p = bpf_object__next_program(o->object[i], NULL);

	return p ? bpf_prog_attach(bpf_program__fd(p), fd, type, 0) : -ENOENT;
}

static int workloads(const struct order *o)
{
	int fd = map_of(o, "workload_map");

	for (int i = 0; i < o->nworkloads; i++) {
		struct workload w = {.id = i + 1};
		char path[256], *comma;
		struct stat st;
		__u64 id;

		snprintf(path, sizeof(path), "%s", o->workload[i]);
		comma = strchr(path, ',');
		if (!comma)
			return -EINVAL;
		*comma = 0;
		w.flags = strtoul(comma + 1, NULL, 0);
		if (stat(path, &st))
			return -errno;
		id = st.st_ino;
		if (bpf_map_update_elem(fd, &id, &w, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int everything(struct order *o)
{
	int cgroup = open(o->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	__u32 zero = 0;

	if (cgroup < 0)
		return -errno;
	for (int i = 0; i < NOBJECTS; i++)
		if ((err = load(o, i)))
			return err;
	if ((err = pin(o)) || bpf_map_update_elem(map_of(o, "ctl_map"), &zero, &o->ctl, BPF_ANY) ||
	    (err = workloads(o)) ||
	    (err = hook(o, REDIRECT, map_of(o, "sock_map"), BPF_SK_MSG_VERDICT)) ||
	    (err = hook(o, SOCKOPS, cgroup, BPF_CGROUP_SOCK_OPS)) ||
	    (err = hook(o, SOCKOPT, cgroup, BPF_CGROUP_SETSOCKOPT)))
		return err ? err : -errno;
	return 0;
}

int attach(int argc, char **argv)
{
	static const struct option longs[] = {
		{"cgroup", 1, NULL, 'c'},   {"maps", 1, NULL, 'm'},    {"sockops", 1, NULL, 's'},
		{"redirect", 1, NULL, 'r'}, {"sockopt", 1, NULL, 'o'}, {"workload", 1, NULL, 'w'},
		{"cap", 1, NULL, 'C'},	    {NULL, 0, NULL, 0},
	};
	struct order o = {.ctl = {.magic = CTL_MAGIC,
				  .abi = MAPS_ABI,
				  .max_outstanding = 1 << 20,
				  .keepalive_s = 600,
				  .flags = CTL_SHORT_CIRCUIT | CTL_LEAVE_MAP,
				  .credit = CREDIT_MSG_TOT_LEN}};
	int c, err;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'c': o.cgroup = optarg; break;
		case 'm': o.maps = optarg; break;
		case 's': o.file[SOCKOPS] = optarg; break;
		case 'r': o.file[REDIRECT] = optarg; break;
		case 'o': o.file[SOCKOPT] = optarg; break;
		case 'C': o.ctl.max_outstanding = strtoul(optarg, NULL, 0); break;
		case 'w':
			if (o.nworkloads == NWORKLOADS)
				return 2;
			o.workload[o.nworkloads++] = optarg;
			break;
		default: return 2;
		}
	if (!o.cgroup || !o.maps || !o.file[SOCKOPS] || !o.file[REDIRECT] || !o.file[SOCKOPT])
		return 2;
	err = everything(&o);
	for (int i = 0; i < NOBJECTS; i++)
		bpf_object__close(o.object[i]);
	if (err)
		fprintf(stderr, "attach: %s\n", strerror(-err));
	return err ? 1 : 0;
}
