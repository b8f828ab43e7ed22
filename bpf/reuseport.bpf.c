// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sk_reuseport: which worker of the proxy gets a new connection: the one that has fewest. The kernel's own choice, a hash,
 * gives few connections to the same worker too often. Fail-open: where nothing can be chosen, the hash chooses.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/steer.h"

/* owner: the agent, which makes one for each listener */
struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, WORKERS_MAX);
} group_map SEC(".maps");

/* owner: proxy workers; one for all listeners */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct steer_cell);
	__uint(max_entries, WORKERS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
} steer_map SEC(".maps");

const volatile __u32 nworkers = 0;                  /* sockets in group_map, by worker */

/* Among equals the connection's hash chooses where to begin, so that it is not always the first. */
static __always_inline __u32 least_loaded(__u32 hash)
{
	__u32 best = 0, least = ~0u, first = hash % nworkers;

	for (__u32 i = 0; i < WORKERS_MAX && i < nworkers; i++) {
		__u32 worker = first + i < nworkers ? first + i : first + i - nworkers, load;
		struct steer_cell *c = bpf_map_lookup_elem(&steer_map, &worker);

		if (!c)
			continue;
		load = c->open + (c->given - c->base);
		if (load < least) {
			least = load;
			best = worker;
		}
	}
	return best;
}

SEC("sk_reuseport/migrate")
int reuseport_worker(struct sk_reuseport_md *md)
{
	struct steer_cell *c;
	__u32 worker;

	if (!nworkers)
		return SK_PASS;
	worker = least_loaded(md->hash);
	if (bpf_sk_select_reuseport(md, &group_map, &worker, 0))
		return SK_PASS;
	c = bpf_map_lookup_elem(&steer_map, &worker);
	if (c)
		__sync_fetch_and_add(&c->given, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
