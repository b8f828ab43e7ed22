// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sk_reuseport: which worker of the proxy gets a new connection: the one that has fewest, or, when the client is of this
 * machine, the one of its CPU that has fewest, within bounds (STEER_LOCAL). The kernel's own choice, a hash, gives few
 * connections to the same worker too often. Fail-open: where nothing can be chosen, the hash chooses.
 */
#include "lib/kernel.h"
#include <bpf/bpf_endian.h>
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

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

struct least {
	__u32 worker, load;
};

/* Among equals the connection's hash chooses where to begin, so that it is not always the first. cpu: 0 = any. */
static __always_inline struct least least_loaded(__u32 hash, __u32 cpu)
{
	struct least best = {.load = ~0u};
	__u32 first = hash % nworkers;

	for (__u32 i = 0; i < WORKERS_MAX && i < nworkers; i++) {
		__u32 worker = first + i < nworkers ? first + i : first + i - nworkers, load;
		struct steer_cell *c = bpf_map_lookup_elem(&steer_map, &worker);

		if (!c || (cpu && c->cpu != cpu))
			continue;
		load = c->open + (c->given - c->base);
		if (load < best.load) {
			best.load = load;
			best.worker = worker;
		}
	}
	return best;
}

/*
 * Does the client share a network namespace with the listener? It dialled loopback, or an address from itself. Its SYN is
 * then received on the CPU that sent it.
 */
static __always_inline bool from_here(const struct sk_reuseport_md *md)
{
	__u32 a[8] = {};

	if (md->eth_protocol == bpf_htons(ETH_P_IP))
		return !bpf_skb_load_bytes_relative(md, 12, a, 8, BPF_HDR_START_NET) &&
		       (a[0] == a[1] || (a[1] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000));
	if (md->eth_protocol == bpf_htons(ETH_P_IPV6))
		return !bpf_skb_load_bytes_relative(md, 8, a, 32, BPF_HDR_START_NET) && a[0] == a[4] && a[1] == a[5] &&
		       a[2] == a[6] && a[3] == a[7];
	return false;
}

static __always_inline __u32 choose(const struct sk_reuseport_md *md)
{
	struct least any = least_loaded(md->hash, 0), near;

	if (!from_here(md))
		return any.worker;
	near = least_loaded(md->hash, bpf_get_smp_processor_id() + 1);
	return near.load <= STEER_LOCAL(any.load) ? near.worker : any.worker;
}

SEC("sk_reuseport/migrate")
int reuseport_worker(struct sk_reuseport_md *md)
{
	struct steer_cell *c;
	__u32 worker;

	if (!nworkers)
		return SK_PASS;
	worker = choose(md);
	if (bpf_sk_select_reuseport(md, &group_map, &worker, 0))
		return SK_PASS;
	c = bpf_map_lookup_elem(&steer_map, &worker);
	if (c)
		__sync_fetch_and_add(&c->given, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
