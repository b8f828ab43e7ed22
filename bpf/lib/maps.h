/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Every map, in one place. Each BPF object includes this file; the loader creates a map once and hands the same one to
 * every object by name. max_entries are defaults: the agent sets them from kernel.maps before loading.
 */
#pragma once

#define MAP(kind, name, ktype, vtype, max, mflags)                                                                     \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_##kind);                                                                     \
		__uint(max_entries, max);                                                                              \
		__uint(map_flags, mflags);                                                                             \
		__type(key, ktype);                                                                                    \
		__type(value, vtype);                                                                                  \
	} name SEC(".maps")

/* owner: kern/apply */
MAP(ARRAY, ctl_map, __u32, struct ctl, 1, BPF_F_MMAPABLE);                      /* FROZEN */
MAP(HASH, frontend_map, struct frontend_key, struct frontend, MAX_FRONTENDS_DFLT, BPF_F_NO_PREALLOC);
MAP(HASH, service_map, __u32, struct service, MAX_SERVICES_DFLT, BPF_F_NO_PREALLOC);
MAP(HASH, backend_map, __u32, struct backend, MAX_BACKENDS_DFLT, BPF_F_NO_PREALLOC);
MAP(ARRAY, table_map, __u32, struct table_row, MAX_SLOTS_DFLT / TABLE_ROW, BPF_F_MMAPABLE);
MAP(HASH, workload_map, __u64, struct workload, MAX_WORKLOADS_DFLT, BPF_F_NO_PREALLOC);

/* owner: proxy workers */
MAP(ARRAY, beat_map, __u32, __u64, WORKERS_MAX, BPF_F_MMAPABLE);

/* owner: kern/pods */
MAP(HASH, pod_map, __u64, struct pod_place, MAX_PODS, BPF_F_NO_PREALLOC);

/* owner: kern/prefixes */
MAP(LPM_TRIE, prefix_map, struct prefix_key, struct prefix, MAX_PREFIXES, BPF_F_NO_PREALLOC);

/* owner: connect */
MAP(ARRAY, rr_map, __u32, __u32, MAX_SERVICES_DFLT, 0);
MAP(ARRAY, open_map, __u32, __s32, MAX_BACKENDS_DFLT, 0);
MAP(LRU_HASH, affinity_map, struct affinity_key, struct affinity, MAX_AFFINITY_DFLT, 0);
MAP(LRU_HASH, udp_peer_map, struct udp_peer_key, struct udp_peer, MAX_AFFINITY_DFLT, 0);
MAP(PERCPU_ARRAY, emit_map, __u32, struct emit_rate, EMIT_KINDS, 0);
MAP(SK_STORAGE, flow_map, int, struct flow, 0, BPF_F_NO_PREALLOC);

/* owner: capture */
MAP(LRU_HASH, odst_map, struct odst_key, struct odst, MAX_ODST, 0);

/* owner: sockops and redirect; FROZEN */
MAP(SOCKHASH, sock_map, __u64, __u64, MAX_SOCKETS_DFLT, 0);
MAP(LRU_HASH, wait_map, struct wait_key, struct wait, 16384, 0);
MAP(HASH, pair_map, __u64, struct pair, MAX_SOCKETS_DFLT, BPF_F_NO_PREALLOC);
MAP(SK_STORAGE, end_map, int, struct sock_end, 0, BPF_F_NO_PREALLOC);
MAP(SK_STORAGE, mptcp_map, int, __u32, 0, BPF_F_NO_PREALLOC | BPF_F_CLONE);      /* on MPTCP listeners, inherited */

/* owner: every program */
MAP(PERCPU_ARRAY, reason_map, __u32, __u64, REASON_MAX, 0);
MAP(ARRAY, svc_stat_map, __u32, struct service_stat, MAX_SERVICES_DFLT, 0);      /* atomic adds: 64 CPUs x 64k services would be 200 MB */

/* owner: every program writes, kern/events reads */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} event_map SEC(".maps");
