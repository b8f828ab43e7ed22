/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/detach.h"
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kern/drainer.h"
#include "kern/kern_priv.h"

#define ABI_MAX 16

struct job {
	struct pins pins;
	char dir[ABI_MAX][PINS_PATH];           /* layouts found */
	unsigned ndirs;
	struct detach_report *r;
	const char *now;                        /* folder under work */
	int err;
};

static void find_dirs(struct job *j)
{
	char base[PINS_PATH];
	DIR *d = opendir(j->pins.base);
	uint32_t n;

	memcpy(base, j->pins.base, sizeof(base));
	for (struct dirent *x = d ? readdir(d) : NULL; x && j->ndirs < ABI_MAX; x = readdir(d))
		if (sscanf(x->d_name, "abi%u", &n) == 1)
			snprintf(j->dir[j->ndirs++], PINS_PATH, "%.200s/abi%u", base, n);
	if (d)
		closedir(d);
}

/* Nothing is paired any more, and whoever sends from now on sends through the stack. */
static void set_kill(const char *dir)
{
	int fd = pins_get(dir, "maps", "ctl_map");
	long page = sysconf(_SC_PAGESIZE);
	struct ctl *c;

	if (fd < 0)
		return;
	c = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c != MAP_FAILED) {
		__atomic_or_fetch(&c->flags, CTL_KILL, __ATOMIC_RELEASE);
		__atomic_and_fetch(&c->flags, ~(uint32_t)CTL_SHORT_CIRCUIT, __ATOMIC_RELEASE);
		munmap(c, (size_t)page);
	}
	close(fd);
}

static void drain(struct job *j, const char *dir, uint32_t ms)
{
	struct drainer d;
	int fd = pins_get(dir, "maps", "sock_map");

	if (fd < 0)
		return;
	drainer_open(&d, fd);
	drainer_run(&d, ms);
	j->r->sockets_left += d.left;
	j->r->pairs_left += d.unread;
	drainer_close(&d);
	close(fd);
}

static void note(struct job *j, int err)
{
	j->err = j->err ? j->err : err;
}

/* Detached, not only unpinned: another process may hold the link. */
static void remove_link(void *arg, const char *name)
{
	struct job *j = arg;
	int fd = pins_get(j->now, "links", name);

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	note(j, pins_del(j->now, "links", name));
	j->r->links++;
}

static void remove_prog(void *arg, const char *name)
{
	struct job *j = arg;
	int fd = pins_get(j->now, "progs", name), map = pins_get(j->now, "maps", "sock_map");
	struct bpf_prog_info i = { 0 };
	uint32_t len = sizeof(i);

	/* Before Linux 6.10 the sockhash holds its verdict program without a link. */
	if (fd >= 0 && map >= 0 && !bpf_obj_get_info_by_fd(fd, &i, &len) && i.type == BPF_PROG_TYPE_SK_MSG)
		bpf_prog_detach2(fd, map, BPF_SK_MSG_VERDICT);
	if (fd >= 0)
		close(fd);
	if (map >= 0)
		close(map);
	note(j, pins_del(j->now, "progs", name));
	j->r->programs++;
}

/* With sockets still in the sockhash, their map keeps its name, or bytes that wait in them would be lost with it. */
static void remove_map(void *arg, const char *name)
{
	struct job *j = arg;

	if (j->r->sockets_left && !strcmp(name, "sock_map"))
		return;
	note(j, pins_del(j->now, "maps", name));
	j->r->maps++;
}

static void remove_dir(struct job *j, const char *dir)
{
	j->now = dir;
	pins_each(dir, "links", remove_link, j);
	pins_each(dir, "progs", remove_prog, j);
	pins_each(dir, "maps", remove_map, j);
	if (!j->r->sockets_left)
		note(j, pins_remove(dir));
}

static int work(struct job *j, uint32_t drain_ms, struct err *e)
{
	find_dirs(j);
	j->r->nothing = !j->ndirs;
	for (unsigned i = 0; i < j->ndirs; i++)
		set_kill(j->dir[i]);
	if (j->ndirs)
		apply_grace(NULL);              /* verdicts that began before the switch have ended */
	for (unsigned i = 0; i < j->ndirs; i++)
		drain(j, j->dir[i], drain_ms);
	for (unsigned i = 0; i < j->ndirs; i++)
		remove_dir(j, j->dir[i]);
	if (!j->r->sockets_left && rmdir(j->pins.base) && errno != ENOENT)
		note(j, -errno);
	if (j->err)
		return err_errno(e, j->err, "%s: some pins could not be removed", j->pins.base);
	return 0;
}

int detach_run(const struct kern_conf *c, uint32_t drain_ms, struct detach_report *r, struct err *e)
{
	struct job j = { .r = r };
	struct err own = { 0 };
	int err;

	memset(r, 0, sizeof(*r));
	err = pins_open(&j.pins, c, false, &own);
	if (err == -ENOENT) {
		r->nothing = true;
		return 0;
	}
	if (err)
		return err_add(e, err, "%s", err_text(&own));
	err = work(&j, drain_ms, e);
	pins_close(&j.pins);
	return err;
}

int detach_kern(struct kern *k, uint32_t drain_ms, struct detach_report *r, struct err *e)
{
	kern_kill(k, true);
	kern_unload(k);
	k->rung = KERN_RUNG_OFF;
	stat_set(&k->stat.rung, k->rung);
	snprintf(k->why, sizeof(k->why), "detached by command");
	k->degraded[0] = '\0';
	return detach_run(&k->conf, drain_ms, r, e);
}
