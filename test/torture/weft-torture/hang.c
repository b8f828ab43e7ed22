// SPDX-License-Identifier: Apache-2.0
#include "hang.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show(const char *dir, const char *name)
{
	char path[300], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		printf("    %s: %s%s", name, line, strchr(line, '\n') ? "" : "\n");
	fclose(f);
}

static void threads(pid_t pid)
{
	char dir[64], task[320];
	struct dirent *d;
	DIR *t;

	snprintf(dir, sizeof(dir), "/proc/%d/task", pid);
	t = opendir(dir);
	while (t && (d = readdir(t))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(task, sizeof(task), "%s/%s", dir, d->d_name);
		printf("  hangs: %s\n", task);
		show(task, "comm");
		show(task, "syscall");
		show(task, "stack");
	}
	if (t)
		closedir(t);
}

void hang_report(pid_t group)
{
	DIR *p = opendir("/proc");
	struct dirent *d;

	while (p && (d = readdir(p))) {
		pid_t pid = atoi(d->d_name);

		if (pid > 0 && getpgid(pid) == group)
			threads(pid);
	}
	if (p)
		closedir(p);
	fflush(stdout);
}
