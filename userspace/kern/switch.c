/* SPDX-License-Identifier: Apache-2.0 */
/* From loaded to running: pins, links, and the exchange of what ran before. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "kern/cgroup.h"
#include "kern/copy.h"
#include "kern/load.h"
#include "weft/log.h"

#define USED_MAPS_MAX 64

/* ---- is it the same program? ------------------------------------------------------------------------------- */

struct used {
	uint32_t id[USED_MAPS_MAX], n;          /* maps, without internal ones, ascending */
	char *rodata;
	uint32_t rodata_size;
	uint8_t tag[BPF_TAG_SIZE];
};

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void read_rodata(struct used *u, int fd, uint32_t size)
{
	uint32_t zero = 0;

	u->rodata = mem_alloc(size);
	u->rodata_size = size;
	if (bpf_map_lookup_elem(fd, &zero, u->rodata))
		u->rodata_size = 0;
}

static int used_of(int prog_fd, struct used *u)
{
	uint32_t ids[USED_MAPS_MAX], len;
	struct bpf_prog_info p = { .nr_map_ids = USED_MAPS_MAX, .map_ids = (uintptr_t)ids };

	memset(u, 0, sizeof(*u));
	len = sizeof(p);
	if (bpf_obj_get_info_by_fd(prog_fd, &p, &len))
		return -errno;
	memcpy(u->tag, p.tag, sizeof(u->tag));
	for (uint32_t i = 0; i < p.nr_map_ids && i < USED_MAPS_MAX; i++) {
		struct bpf_map_info m = { 0 };
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(m);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &m, &len))
			m.name[0] = '\0';
		if (strstr(m.name, ".rodata"))
			read_rodata(u, fd, m.value_size);
		else
			u->id[u->n++] = ids[i];
		if (fd >= 0)
			close(fd);
	}
	qsort(u->id, u->n, sizeof(*u->id), id_cmp);
	return 0;
}

/* Same instructions and constants; with `maps` also the same maps. A tag does not cover which maps are meant. */
static bool same_program(int old_fd, int new_fd, bool maps)
{
	struct used a = { 0 }, b = { 0 };
	bool same = old_fd >= 0 && !used_of(old_fd, &a) && !used_of(new_fd, &b) &&
		    !memcmp(a.tag, b.tag, sizeof(a.tag)) && a.n == b.n &&
		    (!maps || !memcmp(a.id, b.id, a.n * sizeof(*a.id))) && a.rodata_size == b.rodata_size &&
		    (!a.rodata_size || !memcmp(a.rodata, b.rodata, a.rodata_size));

	free(a.rodata);
	free(b.rodata);
	return same;
}

/* The program that runs under a name now: what its link holds, else (before links on sockhashes) what is pinned. */
static int running_fd(const char *dir, const char *name)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int link = pins_get(dir, "links", name), fd = -1;

	if (link < 0)
		return pins_get(dir, "progs", name);
	if (!bpf_obj_get_info_by_fd(link, &info, &len))
		fd = bpf_prog_get_fd_by_id(info.prog_id);
	close(link);
	return fd;
}

bool load_same_short_circuit(const struct load *l)
{
	bool same = l->part[OBJECT_SHORT_CIRCUIT].on;

	for (unsigned i = 0; i < l->nprogs && same; i++) {
		const struct load_prog *p = &l->prog[i];

		if (p->part != OBJECT_SHORT_CIRCUIT || p->type == BPF_PROG_TYPE_SYSCALL)
			continue;
		int fd = running_fd(l->old_dir[0] ? l->old_dir : l->pins->dir, p->name);

		same = same_program(fd, p->fd, false);
		if (fd >= 0)
			close(fd);
	}
	return same;
}

/* ---- one program ------------------------------------------------------------------------------------------- */

static bool attaches(const struct load_prog *p)
{
	return p->type != BPF_PROG_TYPE_SYSCALL;
}

/* A cgroup to which programs are attached. */
struct target {
	int fd;
	uint64_t id;
	const char *path;
};

static int target_fd(struct load *l, const struct load_prog *p, const struct target *t)
{
	return p->type == BPF_PROG_TYPE_SK_MSG ? load_fd(l, "sock_map") : t->fd;
}

static int attach_new(struct load *l, struct load_prog *p, const struct target *t, struct err *e)
{
	int fd = bpf_link_create(p->fd, target_fd(l, p, t), p->attach_type, NULL), err;

	/* Links on a sockhash are of 6.10. Before, the map itself holds the program; attaching again replaces it. */
	if (fd < 0 && p->type == BPF_PROG_TYPE_SK_MSG &&
	    !bpf_prog_attach(p->fd, target_fd(l, p, t), p->attach_type, 0)) {
		p->attached = true;
		l->result.attached++;
		return 0;
	}
	if (fd < 0)
		return err_errno(e, -errno, "attach %s to %s", p->name,
				 p->type == BPF_PROG_TYPE_SK_MSG ? "sock_map" : t->path);
	err = pins_put(l->pins->dir, "links", p->name, fd);
	if (err) {
		close(fd);
		return err_errno(e, err, "pin the link of %s", p->name);
	}
	p->link_fd = fd;
	p->attached = true;
	l->result.attached++;
	return 0;
}

/* Whether a link belongs where we attach: the cgroup may be another one by configuration. */
static bool link_fits(int link_fd, uint64_t cgroup, struct bpf_link_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(link_fd, info, &len))
		return false;
	return info->type != BPF_LINK_TYPE_CGROUP || info->cgroup.cgroup_id == cgroup;
}

/* The old program goes on under its own name. */
static int keep(struct load *l, struct load_prog *p, uint32_t old_id)
{
	int fd = bpf_prog_get_fd_by_id(old_id);

	if (fd < 0)
		return -errno;
	close(p->fd);
	p->fd = fd;
	l->result.kept++;
	return 0;
}

static int exchange(struct load *l, struct load_prog *p, int link_fd, uint32_t old_id, struct err *e)
{
	int old_fd = bpf_prog_get_fd_by_id(old_id);
	bool same = same_program(old_fd, p->fd, true);

	if (old_fd >= 0)
		close(old_fd);
	if (same && !keep(l, p, old_id))
		return 0;
	if (bpf_link_update(link_fd, p->fd, NULL))
		return err_errno(e, -errno, "exchange the program of link %s", p->name);
	l->result.replaced++;
	return 0;
}

static int run_one(struct load *l, struct load_prog *p, const struct target *t, struct err *e)
{
	const char *from = l->pins->dir;
	int fd = pins_get(from, "links", p->name), err;
	struct bpf_link_info info;

	if (fd < 0 && l->old_dir[0])
		fd = pins_get(l->old_dir, "links", p->name);
	if (fd < 0)
		return attach_new(l, p, t, e);
	if (!link_fits(fd, t->id, &info)) {
		/* Both run for a moment; the second finds nothing left to do. The old one goes with its last name. */
		err = attach_new(l, p, t, e);
		close(fd);
		return err;
	}
	err = exchange(l, p, fd, info.prog_id, e);
	if (!err && l->old_dir[0] && (err = pins_put(l->pins->dir, "links", p->name, fd)))
		err_errno(e, err, "pin the link of %s", p->name);
	if (err) {
		close(fd);
		return err;
	}
	p->link_fd = fd;
	p->attached = true;
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------------------- */

/*
 * What answers for a translated socket is there before what translates, verdicts before what inserts into the sockhash.
 */
static unsigned rank(const struct load_prog *p)
{
	switch (p->attach_type) {
	case BPF_SK_MSG_VERDICT:
		return 0;
	case BPF_CGROUP_SETSOCKOPT:
	case BPF_CGROUP_GETSOCKOPT:
	case BPF_CGROUP_INET_SOCK_RELEASE:
		return 1;
	case BPF_CGROUP_SOCK_OPS:
		return 2;
	case BPF_CGROUP_INET4_GETPEERNAME:
	case BPF_CGROUP_INET6_GETPEERNAME:
	case BPF_CGROUP_UDP4_RECVMSG:
	case BPF_CGROUP_UDP6_RECVMSG:
		return 3;
	default:
		return 4;
	}
}

static int prog_cmp(const void *a, const void *b)
{
	unsigned x = rank(a), y = rank(b);

	return x != y ? (x > y) - (x < y) : strcmp(((const struct load_prog *)a)->name, ((const struct load_prog *)b)->name);
}

/* Before any program runs: the kernel takes a sockhash's program away when nothing but sockets refers to the map. */
static int pin_maps(struct load *l, struct err *e)
{
	for (unsigned i = 0; i < l->nmaps; i++) {
		struct load_map *m = &l->map[i];

		if (m->fd < 0 || (m->adopted && !l->old_dir[0]))
			continue;
		int err = pins_put(l->pins->dir, "maps", m->name, m->fd);

		if (err)
			return err_errno(e, err, "pin %s", m->name);
	}
	return 0;
}

static void copy_learned(struct load *l)
{
	for (unsigned i = 0; i < l->nmaps; i++) {
		struct load_map *m = &l->map[i];

		if (m->group != LOAD_LEARNED || m->old_fd < 0 || m->fd < 0)
			continue;
		int64_t n = copy_map(m->old_fd, m->fd);

		if (n < 0)
			log_warn("kernel", "%s begins empty: its content could not be copied: %s", m->name, strerror((int)-n));
	}
}

struct trim {
	struct load *l;
	const char *kind;
};

/* A pin whose program is no more: a link goes with its pin, and with it what it attached. */
static void trim_one(void *arg, const char *name)
{
	struct trim *t = arg;
	const struct load_prog *p = load_prog(t->l, name);

	if (p && (p->attached || strcmp(t->kind, "links")))
		return;
	pins_del(t->l->pins->dir, t->kind, name);
}

static void trim(struct load *l)
{
	struct trim links = { l, "links" }, progs = { l, "progs" };

	pins_each(l->pins->dir, "links", trim_one, &links);
	pins_each(l->pins->dir, "progs", trim_one, &progs);
}

/* Whoever read the old maps has come to its end before they may go: that is what the kernel's references are for. */
static void drop_old(struct load *l)
{
	for (unsigned i = 0; i < l->nmaps; i++) {
		if (l->map[i].old_fd >= 0)
			close(l->map[i].old_fd);
		l->map[i].old_fd = -1;
		l->map[i].adopted = true;
	}
	if (l->old_dir[0] && pins_remove(l->old_dir))
		log_warn("kernel", "%s: the old layout's pins could not all be removed", l->old_dir);
	l->old_dir[0] = '\0';
	l->replacing = false;
}

/* Without the answers to the proxy nothing may be sent to it: pod_map stays empty. */
static int run_own(struct load *l, struct load_prog *p, const struct target *own)
{
	struct load_part *part = &l->part[OBJECT_CAPTURE];
	struct err e = { 0 };
	int err = own->fd < 0 ? err_errno(&e, own->fd, "cgroup %s", own->path) : run_one(l, p, own, &e);

	if (err && part->on) {
		part->on = false;
		snprintf(part->why, sizeof(part->why), "%.190s", err_text(&e));
		log_warn("kernel", "services with routes and captured ranges are left to their fail mode: %s", part->why);
	}
	return err;
}

static int run_all(struct load *l, const struct target *cgroup, const struct target *own, struct err *e)
{
	int err = pin_maps(l, e);

	qsort(l->prog, l->nprogs, sizeof(*l->prog), prog_cmp);
	for (unsigned i = 0; i < l->nprogs && !err; i++) {
		struct load_prog *p = &l->prog[i];

		if (p->attach_type == BPF_CGROUP_GETSOCKOPT && !p->attached) {
			if (run_own(l, p, own))
				continue;
		} else if (attaches(p) && !p->attached) {
			err = run_one(l, p, cgroup, e);
		}
		if (!err && (err = pins_put(l->pins->dir, "progs", p->name, p->fd)))
			err_errno(e, err, "pin %s", p->name);
	}
	return err;
}

/* Nothing of ours ran before, so nothing shall: half of the hooks would translate what the others do not. */
static void undo(struct load *l)
{
	if (l->result.kept + l->result.replaced)
		return;
	for (unsigned i = 0; i < l->nprogs; i++) {
		struct load_prog *p = &l->prog[i];

		if (p->attached && p->link_fd < 0)
			bpf_prog_detach2(p->fd, load_fd(l, "sock_map"), p->attach_type);
		if (p->link_fd >= 0) {
			close(p->link_fd);
			pins_del(l->pins->dir, "links", p->name);
		}
		p->link_fd = -1;
		p->attached = false;
	}
	l->result.attached = 0;
}

/* fd: or -errno */
static struct target target_open(const char *path)
{
	struct target t = { .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .path = path };
	int err = t.fd < 0 ? -errno : cgroup_id(path, &t.id);

	if (err && t.fd >= 0)
		close(t.fd);
	t.fd = err ? err : t.fd;
	return t;
}

int load_switch(struct load *l, const char *cgroup, const char *own, struct err *e)
{
	struct target t = target_open(cgroup), self = target_open(own);
	int err = t.fd < 0 ? err_errno(e, t.fd, "cgroup %s", cgroup) : 0;

	snprintf(l->cgroup, sizeof(l->cgroup), "%s", cgroup);
	if (!err) {
		copy_learned(l);
		err = run_all(l, &t, &self, e);
		close(t.fd);
	}
	if (self.fd >= 0)
		close(self.fd);
	if (err) {
		undo(l);
		return err;
	}
	trim(l);
	drop_old(l);
	l->cgroup_id = t.id;
	return 0;
}

bool load_adrift(struct load *l)
{
	uint64_t id;

	if (!l->cgroup_id || (!cgroup_id(l->cgroup, &id) && id == l->cgroup_id))
		return false;
	l->cgroup_id = 0;
	for (unsigned i = 0; i < l->nprogs; i++) {
		if (l->prog[i].link_fd >= 0)
			close(l->prog[i].link_fd);
		l->prog[i].link_fd = -1;
		l->prog[i].attached = false;
	}
	return true;
}
