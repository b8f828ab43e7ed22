/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int cookie_here(uint64_t *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(*out);
	int err = fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &n) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* The agent has one thread, so nobody sees it away in another namespace. */
static int cookie_of(pid_t pid, uint64_t *out, struct err *e)
{
	char path[64];
	struct stat mine, its;
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd, err;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || fd < 0) {
		err = err_errno(e, -errno, "%s", path);
	} else if (!fstat(own, &mine) && !fstat(fd, &its) && mine.st_ino == its.st_ino) {
		*out = 0;
		err = 0;
	} else if (setns(fd, CLONE_NEWNET)) {
		err = err_errno(e, -errno, "%s", path);
	} else {
		err = cookie_here(out);
		if (setns(own, CLONE_NEWNET))
			abort();        /* in a stranger's namespace nothing else would be right */
		if (err)
			err_errno(e, err, "cookie of %s", path);
	}
	if (own >= 0)
		close(own);
	if (fd >= 0)
		close(fd);
	return err;
}

/* Ids of the directories of path, one per level; a cgroup's id is its inode number. */
static int walk(struct caller *c, const char *root, struct err *e)
{
	char full[1024];
	size_t n = snprintf(full, sizeof(full), "%s", root);
	char *copy = strdupa(c->path), *save = NULL;
	struct stat st;
	int level = 0;

	for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save), level++) {
		n += snprintf(full + n, n < sizeof(full) ? sizeof(full) - n : 0, "/%s", p);
		if (n >= sizeof(full) || level >= CGROUP_LEVELS)
			return err_add(e, -ENAMETOOLONG, "cgroup %s: deeper than %d levels", c->path, CGROUP_LEVELS);
		if (stat(full, &st))
			return err_errno(e, -errno, "cgroup %s", full);
		c->cgroup[level] = st.st_ino;
	}
	return 0;
}

static int path_of_pid(struct caller *c, pid_t pid, struct err *e)
{
	char path[64], line[600];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	if (!f)
		return err_errno(e, -errno, "process %d", pid);
	while (!found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, "0::", 3);
		if (found)
			snprintf(c->path, sizeof(c->path), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	}
	fclose(f);
	return found ? 0 : err_add(e, -ENOENT, "process %d is in no cgroup of version 2", pid);
}

static pid_t first_process(const char *dir)
{
	char path[1100];
	pid_t pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

/* Of this cgroup, or of one below it: a pod's processes are in its containers' cgroups. */
static pid_t any_process(const char *dir)
{
	char *roots[] = { (char *)dir, NULL };
	FTS *t = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	pid_t pid = 0;
	FTSENT *n;

	while (t && !pid && (n = fts_read(t)))
		if (n->fts_info == FTS_D)
			pid = first_process(n->fts_path);
	if (t)
		fts_close(t);
	return pid;
}

/* from as a path below root. */
static int path_of_cgroup(struct caller *c, const char *from, const char *root, const char *captured, struct err *e)
{
	size_t n = strlen(root);
	char full[1024];

	if (*from != '/' || strstr(from, "/.."))
		return err_add(e, -EINVAL, "from: %s: must be a process id or a cgroup's path such as /pods/client", from);
	if (!strncmp(from, root, n) && from[n] == '/') {
		snprintf(c->path, sizeof(c->path), "%s", from + n);
		return 0;
	}
	snprintf(full, sizeof(full), "%s%s", captured, from);
	snprintf(c->path, sizeof(c->path), "%s", access(full, F_OK) ? from : full + n);
	return 0;
}

int caller_find(struct caller *c, const char *from, const char *root, const char *captured, struct err *e)
{
	char full[1024];
	pid_t pid = 0;
	int err;

	*c = (struct caller){ 0 };
	if (!*from)
		return 0;
	if (strspn(from, "0123456789") == strlen(from)) {
		pid = strtol(from, NULL, 10);
		err = path_of_pid(c, pid, e);
	} else {
		err = path_of_cgroup(c, from, root, captured, e);
	}
	if (!err)
		err = walk(c, root, e);
	if (err)
		return err;
	snprintf(full, sizeof(full), "%s%s", root, c->path);
	if (!pid)
		pid = any_process(full);
	return pid ? cookie_of(pid, &c->netns, e) : 0;
}
