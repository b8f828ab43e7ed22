/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/own_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/child.h"
#include "kern/cgroup.h"

/* Does anybody but this process live here, or a proxy that a former agent left? The root is everybody's. */
static bool shared(const char *path, const char *root)
{
	char file[CGROUP_PATH + 16];
	bool other = false;
	FILE *f;
	int pid;

	if (!strncmp(path, root, strlen(root)) && strspn(path + strlen(root), "/") == strlen(path + strlen(root)))
		return true;
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "re");
	if (!f)
		return true;
	while (!other && fscanf(f, "%d", &pid) == 1)
		other = pid != getpid() && !child_is_proxy(pid);
	fclose(f);
	return other;
}

static int move_to(const char *path)
{
	char file[CGROUP_PATH + 16];
	int fd, err = 0;

	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) != 1)
		err = -errno;
	close(fd);
	return err;
}

static int open_cgroupns(const char *pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/cgroup", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * Where this process is, below root. In a cgroup namespace of its own (a container) /proc/self/cgroup says "/" for the
 * container's cgroup, which is not root: the first process's namespace, where that one can be seen, shows the truth.
 */
static int find_here(const char *root, char *out, struct err *e)
{
	int own = open_cgroupns("self"), first = open_cgroupns("1"), err;
	struct stat a, b;
	bool away = own >= 0 && first >= 0 && !fstat(own, &a) && !fstat(first, &b) && a.st_ino != b.st_ino;

	if (away && setns(first, CLONE_NEWCGROUP)) {
		err = err_errno(e, -errno, "the host's cgroup namespace");
	} else {
		err = cgroup_of_self(root, out);
		if (away && setns(own, CLONE_NEWCGROUP))
			err = err_errno(e, -errno, "back into the own cgroup namespace");
	}
	if (own >= 0)
		close(own);
	if (first >= 0)
		close(first);
	return err;
}

int own_cgroup_enter(const char *instance, char *out, size_t size, struct err *e)
{
	char root[CGROUP_PATH], here[CGROUP_PATH];
	int err = cgroup_root(root, e);

	if (!err)
		err = find_here(root, here, e);
	if (err)
		return err;
	if (!shared(here, root)) {
		snprintf(out, size, "%s", here);
		return 0;
	}
	if ((size_t)snprintf(out, size, "%s/weftd%s%s", here, instance && *instance ? "-" : "", instance ? instance : "") >= size)
		return err_add(e, -ENAMETOOLONG, "%s: no room below it", here);
	err = move_to(out);
	return err ? err_errno(e, err, "%s", out) : 0;
}
