/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who dials: the workload of the calling task, which is that of its cgroup or of the nearest parent that is one.
 *
 * The task's cgroup, not the socket's: the helpers need no BTF and no CAP_PERFMON. They differ only for a socket that
 * was handed to a process of another cgroup, and there the caller is the better answer.
 */
#pragma once

#include "lib/addr.h"

struct caller {
	struct workload workload;                   /* zero = none declared */
	__u64 cgroup;                               /* of the workload, else the task's own */
	__u64 exempt;                               /* its connections are left alone */
};

/* The cgroups around a task. The root is not among them: as a workload it would be everybody. */
struct lineage {
	__u64 cgroup[CGROUP_LEVELS];                /* ids by level, children of the root first */
	__u64 n;                                    /* levels; beyond them nothing is read */
};

/* Fills *of, which is zero. From the root downwards, as a call for a level that is not there costs as much as one for one that is. */
static __always_inline void lineage_self(struct lineage *of)
{
	for (int i = 0; i < CGROUP_LEVELS; i++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(i + 1);

		of->cgroup[i] = id;
		if (!id)
			break;
		of->n = i + 1;
	}
}

/*
 * The walk goes from the deepest cgroup upwards, and a cgroup of weft itself exempts wherever it is met.
 *
 * Not inline: the verifier checks a global function once and forgets what it found, so the paths through the walk
 * are not multiplied with those behind it.
 */
__noinline int caller_find(struct caller *c, const struct ctl *ctl, const struct lineage *of)
{
	bool found = false;

	if (!c || !ctl || !of)
		return 0;
	for (int i = CGROUP_LEVELS - 1; i >= 0; i--) {
		__u64 id = of->cgroup[i];
		struct workload *w;

		if ((__u64)i >= of->n)
			continue;
		if (!c->cgroup)
			c->cgroup = id;
		if (id == ctl->own_cgroup)
			c->exempt = true;
		if (found)
			continue;
		w = bpf_map_lookup_elem(&workload_map, &id);
		if (!w)
			continue;
		found = true;
		c->workload = *w;
		c->cgroup = id;
		if (w->flags & (WORKLOAD_EXEMPT | WORKLOAD_PROXY))
			c->exempt = true;
	}
	return 0;
}

/* Key of a namespace in pod_map. 0 stands for the host's. */
static __always_inline __u64 netns_key(__u64 netns, __u64 host_netns)
{
	return host_netns ? netns ?: host_netns : 0;
}

/* A pod is its network namespace; in the host's own namespace, which many share, it is the cgroup. */
static __always_inline __u64 client_id(const struct caller *c, __u64 netns, __u64 host_netns)
{
	return netns && netns != host_netns ? netns : c->cgroup;
}
