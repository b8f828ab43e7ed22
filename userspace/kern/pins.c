/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/pins.h"
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const char *const kinds[] = { "maps", "links", "progs" };
#define LOCK_TRIES 20
#define LOCK_PAUSE_MS 50
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

char *pins_path(char *out, const char *dir, const char *kind, const char *name)
{
	if (snprintf(out, PINS_PATH, "%s/%s/%s", dir, kind, name) >= PINS_PATH)
		out[0] = '\0';                  /* ENOENT is what every use of it then says */
	return out;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

static int ensure_bpffs(const char *path, struct err *e)
{
	if (is_bpffs(path))
		return 0;
	if (mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return err_errno(e, -errno, "%s is no BPF file system, and mounting one failed", path);
	return 0;
}

static int make_dirs(const struct pins *p, struct err *e)
{
	char path[PINS_PATH];

	if (mkdir(p->dir, 0700) && errno != EEXIST)
		return err_errno(e, -errno, "%s", p->dir);
	for (unsigned i = 0; i < KINDS; i++)
		if (mkdir(pins_path(path, p->dir, kinds[i], ""), 0700) && errno != EEXIST)
			return err_errno(e, -errno, "%s", path);
	return 0;
}

static int lock(struct pins *p, bool create, struct err *e)
{
	if (create && mkdir(p->base, 0700) && errno != EEXIST)
		return err_errno(e, -errno, "%s", p->base);
	p->lock_fd = open(p->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock_fd < 0)
		return err_errno(e, -errno, "%s", p->base);
	/* A child of a weftd that was killed may hold it for a moment. */
	for (int i = 0; i < LOCK_TRIES; i++) {
		struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000l };

		if (!flock(p->lock_fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			break;
		nanosleep(&pause, NULL);
		errno = EWOULDBLOCK;
	}
	if (errno == EWOULDBLOCK)
		return err_add(e, -EBUSY, "%s: a weftd that runs holds these pins: stop it first, or give this one a name of its own (--instance NAME)",
			       p->base);
	return err_errno(e, -errno, "%s", p->base);
}

int pins_open(struct pins *p, const struct kern_conf *c, bool create, struct err *e)
{
	const char *bpffs = c->bpffs ? c->bpffs : "/sys/fs/bpf";
	bool named = c->instance && c->instance[0];
	int err;

	memset(p, 0, sizeof(*p));
	p->lock_fd = -1;
	p->abi = c->abi ? c->abi : MAPS_ABI;
	if (named && strpbrk(c->instance, "./"))
		return err_add(e, -EINVAL, "instance %s: neither '.' nor '/' is allowed in it", c->instance);
	if (snprintf(p->base, sizeof(p->base), "%s/weft%s%s", bpffs, named ? "-" : "", named ? c->instance : "") >=
	    (int)sizeof(p->base) - 64)
		return err_add(e, -ENAMETOOLONG, "%s: too long", bpffs);
	snprintf(p->dir, sizeof(p->dir), "%.*s/abi%u", (int)sizeof(p->dir) - 16, p->base, p->abi);
	if (!create && !is_bpffs(bpffs))
		return -ENOENT;
	err = create ? ensure_bpffs(bpffs, e) : 0;
	if (!err)
		err = lock(p, create, e);
	if (!err && create)
		err = make_dirs(p, e);
	if (err)
		pins_close(p);
	return err;
}

void pins_close(struct pins *p)
{
	if (p->lock_fd > 0)
		close(p->lock_fd);
	p->lock_fd = -1;
}

int pins_get(const char *dir, const char *kind, const char *name)
{
	char path[PINS_PATH];
	int fd = bpf_obj_get(pins_path(path, dir, kind, name));

	return fd < 0 ? -errno : fd;
}

int pins_put(const char *dir, const char *kind, const char *name, int fd)
{
	char path[PINS_PATH], fresh[PINS_PATH], fresh_name[64];

	snprintf(fresh_name, sizeof(fresh_name), "%s-new", name);
	pins_path(fresh, dir, kind, fresh_name);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh))
		return -errno;
	if (rename(fresh, pins_path(path, dir, kind, name))) {
		int err = -errno;

		unlink(fresh);
		return err;
	}
	return 0;
}

int pins_del(const char *dir, const char *kind, const char *name)
{
	char path[PINS_PATH];

	return unlink(pins_path(path, dir, kind, name)) && errno != ENOENT ? -errno : 0;
}

void pins_each(const char *dir, const char *kind, void (*fn)(void *arg, const char *name), void *arg)
{
	char path[PINS_PATH];
	DIR *d = opendir(pins_path(path, dir, kind, ""));

	for (struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d))
		if (x->d_name[0] != '.')
			fn(arg, x->d_name);
	if (d)
		closedir(d);
}

bool pins_other(const struct pins *p, char *dir, uint32_t *abi)
{
	DIR *d = opendir(p->base);
	uint32_t best = 0;

	for (struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d)) {
		char path[PINS_PATH], ctl[PINS_PATH];
		uint32_t n;

		if (sscanf(x->d_name, "abi%u", &n) != 1 || n == p->abi || n < best)
			continue;
		snprintf(path, sizeof(path), "%.*s/abi%u", PINS_PATH - 16, p->base, n);
		if (access(pins_path(ctl, path, "maps", "ctl_map"), F_OK))
			continue;
		best = n;
		memcpy(dir, path, sizeof(path));
	}
	if (d)
		closedir(d);
	*abi = best;
	return best != 0;
}

struct removal {
	const char *dir, *kind;
	int err;
};

static void remove_one(void *arg, const char *name)
{
	struct removal *r = arg;
	int err = pins_del(r->dir, r->kind, name);

	r->err = r->err ? r->err : err;
}

int pins_remove(const char *dir)
{
	struct removal r = { .dir = dir };
	char path[PINS_PATH];

	/* Links first: without its programs a map is a map, without its maps' names a program still runs. */
	for (unsigned i = 0; i < KINDS; i++) {
		r.kind = kinds[(i + 1) % KINDS];
		pins_each(dir, r.kind, remove_one, &r);
		if (rmdir(pins_path(path, dir, r.kind, "")) && errno != ENOENT && !r.err)
			r.err = -errno;
	}
	if (rmdir(dir) && errno != ENOENT && !r.err)
		r.err = -errno;
	return r.err;
}
