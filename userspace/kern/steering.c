/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/steering.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/reuseport.skel.h"
#include "kern/limits.h"

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

/* One more object, whose map is s's when there is one yet. */
static struct reuseport_bpf *open_object(const struct steering *s, unsigned n)
{
	struct reuseport_bpf *b = reuseport_bpf__open();

	if (!b)
		return NULL;
	b->rodata->nworkers = n;
	if (s->map_fd >= 0 && bpf_map__reuse_fd(b->maps.steer_map, s->map_fd)) {
		reuseport_bpf__destroy(b);
		return NULL;
	}
	return b;
}

static int load_object(struct reuseport_bpf *b)
{
	libbpf_print_fn_t old = libbpf_set_print(NULL);
	int err = reuseport_bpf__load(b);

	libbpf_set_print(old);
	return err;
}

/* Kernels before 5.14 know no migration: there the program is only asked for new connections. */
static int load_for(const struct steering *s, unsigned n, struct reuseport_bpf **out)
{
	struct reuseport_bpf *b = open_object(s, n);
	int err = b ? load_object(b) : -errno;

	if (err == -EINVAL) {
		reuseport_bpf__destroy(b);
		b = open_object(s, n);
		if (b)
			bpf_program__set_expected_attach_type(b->progs.reuseport_worker, BPF_SK_REUSEPORT_SELECT);
		err = b ? load_object(b) : -errno;
	}
	if (err) {
		reuseport_bpf__destroy(b);
		b = NULL;
	}
	*out = b;
	return err;
}

void steering_open(struct steering *s, bool allowed)
{
	struct reuseport_bpf *b = NULL;
	int err;

	*s = (struct steering){ .map_fd = -1 };
	if (!allowed) {
		snprintf(s->why, sizeof(s->why), "kernel.mode is off");
		return;
	}
	err = load_for(s, 1, &b);
	if (!err)
		s->map_fd = fcntl(bpf_map__fd(b->maps.steer_map), F_DUPFD_CLOEXEC, 0);
	if (s->map_fd < 0)
		snprintf(s->why, sizeof(s->why), "a reuseport program cannot be loaded: %s", strerror(err ? -err : errno));
	reuseport_bpf__destroy(b);
}

void steering_close(struct steering *s)
{
	if (s->map_fd >= 0)
		close(s->map_fd);
	s->map_fd = -1;
}

int steering_map_fd(const struct steering *s)
{
	return s->map_fd < 0 ? -1 : fcntl(s->map_fd, F_DUPFD_CLOEXEC, 0);
}

static int fill(int group_fd, const int *fds, unsigned n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t fd = fds[i];

		if (bpf_map_update_elem(group_fd, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

int steering_attach(struct steering *s, const int *fds, unsigned n, struct err *e)
{
	struct reuseport_bpf *b = NULL;
	int err, prog;

	if (s->map_fd < 0)
		return err_add(e, -EOPNOTSUPP, "%s", s->why);
	err = load_for(s, n, &b);
	if (!err)
		err = fill(bpf_map__fd(b->maps.group_map), fds, n);
	prog = err ? -1 : bpf_program__fd(b->progs.reuseport_worker);
	if (!err && setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog)))
		err = -errno;
	/* Of a former agent: a socket is in one such map at a time, and leaves it some time after its program is gone. */
	if (err == -EBUSY)
		setsockopt(fds[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &prog, sizeof(prog));
	reuseport_bpf__destroy(b);
	return err ? err_errno(e, err, "reuseport program") : 0;
}
