/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *netns_path(pid_t pid, char out[32])
{
	snprintf(out, 32, "/proc/%d/ns/net", pid);
	return out;
}

int process_netns(pid_t pid)
{
	char path[32];
	int fd = open(netns_path(pid, path), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool each_in(const char *dir, bool (*fn)(void *arg, const struct process *x), void *arg)
{
	char file[1100], path[32];
	struct process x;
	bool on = true;
	struct stat st;
	FILE *f;

	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	f = fopen(file, "re");
	while (f && on && fscanf(f, "%d", &x.pid) == 1) {
		if (x.pid <= 0 || stat(netns_path(x.pid, path), &st))
			continue;
		x.dev = st.st_dev;
		x.ino = st.st_ino;
		on = fn(arg, &x);
	}
	if (f)
		fclose(f);
	return on;
}

void processes_each(const char *cgroup, bool (*fn)(void *arg, const struct process *x), void *arg)
{
	char *roots[] = { (char *)cgroup, NULL };
	FTS *t = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	bool on = true;
	FTSENT *n;

	while (t && on && (n = fts_read(t)))
		if (n->fts_info == FTS_D)
			on = each_in(n->fts_path, fn, arg);
	if (t)
		fts_close(t);
}
