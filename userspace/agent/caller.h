/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client as connect() would see it: the chain of its cgroups and its network namespace, found from a cgroup's path or
 * a process id. For explain.
 */
#pragma once
#include <linux/types.h>
#include "kern/limits.h"
#include "weft/err.h"

struct caller {
	uint64_t cgroup[CGROUP_LEVELS];         /* ids, level 1 first; 0 beyond the deepest */
	uint64_t netns;                         /* cookie; 0 = this daemon's own namespace */
	char path[512];                         /* of its cgroup, below the root of cgroup2 */
};

/*
 * from: a pid in digits; a cgroup's path, as a workload names it (below captured, the cgroup that is captured) or below
 * root (where cgroup2 is mounted), or whole; or "" for a process of no particular cgroup in this namespace. A cgroup's
 * namespace is that of its first process. 0 or -errno with words.
 */
int caller_find(struct caller *c, const char *from, const char *root, const char *captured, struct err *e);
