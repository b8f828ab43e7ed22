/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/netns.h"
#include "agent/processes.h"

static int cookie_of(pid_t pid, uint64_t *out, struct err *e)
{
	struct stat mine, its;
	int fd = process_netns(pid), back, err;

	if (fd < 0 || stat("/proc/self/ns/net", &mine) || fstat(fd, &its)) {
		err = err_errno(e, fd < 0 ? fd : -errno, "network namespace of process %d", pid);
	} else if (mine.st_ino == its.st_ino) {
		*out = 0;
		err = 0;
	} else {
		err = netns_enter(fd, &back);
		if (!err) {
			err = netns_cookie(out);
			netns_leave(back);
		}
		if (err)
			err_errno(e, err, "network namespace of process %d", pid);
	}
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

static bool first(void *arg, const struct process *x)
{
	*(pid_t *)arg = x->pid;
	return false;
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
		processes_each(full, first, &pid);
	return pid ? cookie_of(pid, &c->netns, e) : 0;
}
