/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of a cgroup and of the cgroups below it, and in which network namespace each is. */
#pragma once
#include <sys/types.h>
#include "weft/types.h"

struct process {
	pid_t pid;
	uint64_t dev, ino;                      /* of its network namespace */
};

/* fn says whether to go on. Those that end meanwhile, or that live where /proc does not show them, are passed over. */
void processes_each(const char *cgroup, bool (*fn)(void *arg, const struct process *x), void *arg);
int process_netns(pid_t pid);                   /* a descriptor to enter it, or -errno */
