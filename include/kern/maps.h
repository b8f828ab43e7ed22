/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Keys and values of every map: the contract between bpf/ and userspace/kern/. Includes nothing, so it works after
 * bpf/lib/kernel.h and after <linux/types.h>. Addresses are 16 bytes in network order, IPv4 as v4-mapped; ports are
 * in network order (__be16); everything else is in host order. Padding is explicit and zero. Layout drift is a build
 * error on both sides. "owner" is the one who inserts and removes entries.
 *
 * MAPS_ABI (limits.h) numbers the set. The group marked FROZEN is read by sk_msg programs that old sockets keep over
 * an upgrade: it may change only with the major version.
 */
#pragma once

struct addr16 {
	union {
		__u8 b[16];
		__u32 w[4];                         /* network order */
	};
};

/* ---- control: ctl_map, ARRAY[1], FROZEN, owner: kern/apply ------------------------------------------------- */

#define CTL_MAGIC 0x77656674u                       /* "weft" */

enum ctl_flag {
	CTL_CONNECT = 1u << 0,                      /* translate at connect/sendmsg */
	CTL_SHORT_CIRCUIT = 1u << 1,                /* new connections may be paired */
	CTL_KILL = 1u << 2,                         /* every direction goes to the stack at its next message */
	CTL_NO_SPLICE = 1u << 3,                    /* shortCircuit.assumeNoSplice */
	CTL_LEAVE_MAP = 1u << 4,                    /* the self-test showed that leaving the sockhash is right here */
	CTL_UNMANAGED_OK = 1u << 5,                 /* sockets of no declared workload count as managed */
	CTL_SELFTEST = 1u << 6,                     /* the self-test's own maps: its sockets are what matters */
	CTL_RANGES = 1u << 7,                       /* prefix_map has entries */
};

/* How a reader knows its unread redirected bytes: by their count, by an empty queue only, not at all. */
enum credit_source { CREDIT_NONE, CREDIT_QUEUE_EMPTY, CREDIT_MSG_TOT_LEN };

struct ctl {
	__u32 magic;
	__u32 abi;
	__u32 flags;                                /* enum ctl_flag */
	__u32 credit;                               /* enum credit_source, as the self-test found */
	__u32 max_outstanding;                      /* bytes of unread redirected data per direction */
	__u32 policy_gen;
	__u32 beat_timeout_ms;                      /* older heartbeats count as dead */
	__u32 nworkers;                             /* heartbeat words in use; 0 = no proxy */
	__u64 beat_ns;                              /* agent's own heartbeat, CLOCK_MONOTONIC */
	__u64 snapshot;                             /* number of the snapshot that the maps show */
	__u64 own_cgroup;                           /* cgroup id of weft's own processes: never translated */
	__u32 keepalive_s;                          /* TCP_KEEPIDLE of short-circuited sockets; 0 = leave alone */
	__u32 next_id;                              /* of services and backends: above every id ever given */
};
_Static_assert(sizeof(struct ctl) == 64, "ctl is one cache line");

/* SO_MARK of the self-test's sockets. Programs of a running weft, which see them too, leave them alone and uncounted. */
#define SELFTEST_MARK 0x77666b61u

/* ---- heartbeat: beat_map, ARRAY[WORKERS_MAX] mmap-able, owner: proxy workers ------------------------------- */
/* value: __u64 CLOCK_MONOTONIC ns of the worker's last loop iteration; 0 = no such worker */

/* ---- services: frontend_map HASH, service_map HASH, backend_map HASH, table_map ARRAY; owner: kern/apply ---- */

struct frontend_key {                               /* frontend_map */
	struct addr16 addr;
	__be16 port;                                /* network order; 0 = any port (L3 service) */
	__u8 proto;                                 /* IPPROTO_TCP | IPPROTO_UDP */
	__u8 pad;
};
_Static_assert(sizeof(struct frontend_key) == 20, "");

struct frontend {
	__u32 service;                              /* key of service_map */
};
_Static_assert(sizeof(struct frontend) == 4, "");

enum lb_algo { LB_RANDOM, LB_ROUND_ROBIN, LB_MAGLEV, LB_LEAST_OPEN, LB_ALGO_MAX };

enum service_flag {
	SERVICE_L7 = 1u << 0,                       /* has routes: belongs to the proxy */
	SERVICE_FAIL_CLOSED = 1u << 1,              /* refused while no worker beats */
	SERVICE_AFFINITY = 1u << 2,                 /* sessionAffinity: ClientIP */
	SERVICE_RANGE = 1u << 3,                    /* in answers only, a captured range: off is its bits, slot its port */
};

/*
 * One port of one service: everything that one decision needs, replaced by one hash update. Its backends are the
 * slots [off, off + n) of table_map, backend ids; weights are expressed by repeats (Maglev: by its turns).
 * service_map: __u32 id (never reused while any table of it may be read) -> struct service.
 */
struct service {
	__u32 off;                                  /* first slot in table_map */
	__u32 n;                                    /* slots; 0 = no backend */
	__u32 gen;                                  /* raised with every new table */
	__u8 algo;                                  /* enum lb_algo */
	__u8 flags;                                 /* enum service_flag */
	__u16 served;                               /* L7: 1 = the proxy has its listener */
	__u32 affinity_s;                           /* seconds a client stays on its backend after last use */
	__u32 slot;                                 /* dense index: rr_map, and its statistics */
};
_Static_assert(sizeof(struct service) == 24, "");

/*
 * prefix_map LPM_TRIE: destinations of listeners with `capture: ebpf`, asked over TCP where there is no service. A port is
 * matched whole or not at all: a lookup asks with the one that was dialled and once more with 0, and the longer prefix of
 * the two wins; at equal length the one with the port. IPv4 is in no range of IPv6. owner: kern/prefixes
 */
#define PREFIX_HEAD_BITS 32                         /* port and pad */
struct prefix_key {
	__u32 bits;                                 /* of what follows: PREFIX_HEAD_BITS, and those of the address */
	__be16 port;                                /* network order; 0 = any */
	__u16 pad;
	struct addr16 addr;                         /* zero behind its bits */
};
struct prefix {
	__u8 bits;                                  /* of the address, of 128: an IPv4 /8 is 104 */
	__u8 flags;                                 /* enum service_flag */
	__u16 served;                               /* 1 = the proxy has its listener */
	__be16 port;                                /* as in the key */
	__u16 pad;
};
_Static_assert(sizeof(struct prefix_key) == 24, "");
_Static_assert(sizeof(struct prefix) == 8, "");

#define PREFIX_NONE 255                             /* as bits, outside of the map: no entry */
#define ORIGIN_RANGE 0xffffffffu                    /* in place of a service's id: a captured range */

enum backend_state { BACKEND_ACTIVE, BACKEND_DRAINING };

/*
 * backend_map: __u32 id -> struct backend. Ids are never reused, so an id that is not found is a backend that is gone:
 * this is the generation check of affinity and of unconnected UDP. An id stands for one endpoint of one service: an
 * endpoint that leaves a service takes its id out, even if another service still has it. 0 is no backend.
 */
struct backend {
	struct addr16 addr;
	__be16 port;                                /* network order; 0 = keep the client's port */
	__u8 state;                                 /* enum backend_state: draining keeps its flows, takes no new ones */
	__u8 pad;
	__u32 slot;                                 /* dense index: open_map */
	__u32 service;                              /* that it is an endpoint of: key of service_map; for views */
	__u32 weight;                               /* for least-request and views; 0 counts as 1 */
};
_Static_assert(sizeof(struct backend) == 32, "");

struct table_row {                                  /* table_map: row i holds slots [16i, 16i + 16) */
	__u32 slot[16];                             /* backend ids */
};
_Static_assert(sizeof(struct table_row) == 64, "");

/* rr_map ARRAY: service.slot -> __u32 next turn. open_map ARRAY: backend.slot -> __s32 open TCP sockets of this node
 * that connect() sent there (services with LB_LEAST_OPEN). Nobody resets a count: a slot that gets a new backend still
 * counts the sockets of the old one until they close. owner: connect */

struct affinity_key {                               /* affinity_map LRU_HASH, owner: connect */
	__u64 client;                               /* netns cookie, or cgroup id for the host's namespace */
	__u32 service;
	__u32 pad;
};
struct affinity {
	__u64 used_ns;                              /* CLOCK_MONOTONIC of last use */
	__u32 backend;
	__u32 pad;
};
_Static_assert(sizeof(struct affinity_key) == 16, "");
_Static_assert(sizeof(struct affinity) == 16, "");

/* What a socket dialled and what it got; the answer of getpeername and recvmsg. */
struct origin {
	struct addr16 vip;
	struct addr16 backend_addr;
	__be16 vip_port;                            /* network order */
	__be16 backend_port;                        /* network order */
	__u32 service;                              /* 0 = empty; ORIGIN_RANGE */
	__u32 backend;
	__u32 pad;
};
_Static_assert(sizeof(struct origin) == 48, "");

struct flow {                                       /* flow_map SK_STORAGE, owner: connect */
	struct origin peer[4];                      /* UDP_PEERS; [0] by connect(), the others by sendto() */
	__u32 open_slot;                            /* open_map slot counted for this socket, plus 1; 0 = none */
	__u8 next;                                  /* counts the choices of unconnected UDP: which peer makes room */
	__u8 last;                                  /* peer that sendto() used last */
	__u8 spilled;                               /* udp_peer_map has entries of this socket */
	__u8 pad;
};
_Static_assert(sizeof(struct flow) == 200, "");

struct udp_peer_key {                               /* udp_peer_map LRU_HASH: what flow.peer[] had to forget; owner: connect */
	struct addr16 addr;                         /* backend */
	__u64 cookie;                               /* socket */
	__be16 port;                                /* backend, network order */
	__u16 pad[3];
};
struct udp_peer {
	struct addr16 vip;
	__be16 port;                                /* network order */
	__u16 pad;
	__u32 service;
};
_Static_assert(sizeof(struct udp_peer_key) == 32, "");
_Static_assert(sizeof(struct udp_peer) == 24, "");

/* svc_stat_map ARRAY, atomic adds: service.slot -> struct service_stat; owner: connect, sockops */
struct service_stat {
	__u64 picked;                               /* decisions that translated */
	__u64 refused;                              /* no backend, or fail mode closed */
	__u64 opened;                               /* TCP connections established */
	__u64 accelerated;                          /* of those, with at least one direction short-circuited */
	__u64 tx_bytes;                             /* redirected, client to backend; counted at close */
	__u64 rx_bytes;                             /* redirected, backend to client */
};
_Static_assert(sizeof(struct service_stat) == 48, "");

enum emit_kind { EMIT_FAULT, EMIT_NETNS, EMIT_KINDS }; /* refusals and errors; namespaces without an entry in pod_map */

struct emit_rate {                                  /* emit_map PERCPU_ARRAY[EMIT_KINDS]: bounds the records a CPU writes; owner: connect */
	__u64 since_ns;                             /* start of the current second */
	__u32 n;                                    /* records in it */
	__u32 pad;
};
_Static_assert(sizeof(struct emit_rate) == 16, "");

/* reason_map PERCPU_ARRAY: enum reason -> __u64. owner: every program */

/* ---- workloads: workload_map HASH, __u64 cgroup id -> struct workload; owner: kern/apply -------------------- */

enum workload_flag {
	WORKLOAD_MANAGED = 1u << 0,
	WORKLOAD_PAUSED = 1u << 1,                  /* no short-circuit */
	WORKLOAD_NO_SPLICE = 1u << 2,               /* shortCircuit.splice: never */
	WORKLOAD_EXEMPT = 1u << 3,                  /* no translation either */
	WORKLOAD_PROXY = 1u << 4,                   /* weft's own proxy */
	WORKLOAD_INBOUND = 1u << 5,                 /* inbound capture is on (sk_lookup) */
	WORKLOAD_INBOUND_CLOSED = 1u << 6,          /* captured ports are dropped while no worker beats */
};

struct workload {
	__u32 id;
	__u32 flags;                                /* enum workload_flag */
	__u32 identity;                             /* small number of its SPIFFE identity; 0 = unknown */
	__u32 pad;
};
_Static_assert(sizeof(struct workload) == 16, "");

/* ---- policy: policy_map HASH, for connect, PASSIVE and the edge -------------------------------------------- */

enum policy_bit {
	POLICY_ALLOW = 1u << 0,
	POLICY_L7 = 1u << 1,                        /* only through the proxy */
	POLICY_LOG = 1u << 2,
	POLICY_TLS = 1u << 3,                       /* bytes must be encrypted on the wire, also on this node */
};

struct policy_key {
	__u32 to;                                   /* workload id, or service id with the top bit set */
	__u32 from;                                 /* identity; 0 = any */
	__be16 port;                                /* network order; 0 = any */
	__u8 proto;                                 /* 0 = any */
	__u8 pad;
};
struct policy {
	__u32 bits;                                 /* enum policy_bit */
	__u32 gen;
};
_Static_assert(sizeof(struct policy_key) == 12, "");
_Static_assert(sizeof(struct policy) == 8, "");

/* ---- capture: where clients of services with routes find the proxy, and what they dialled ------------------ */

/*
 * pod_map HASH: __u64 cookie of a network namespace -> where the proxy listens in it. Where cookies cannot be had from
 * sockets (before Linux 5.14) the host's is 0. An address of zeros: no listener of that family. owner: kern/pods
 */
struct pod_place {
	struct addr16 v4, v6;
	__be16 port;                                /* network order */
	__u16 pad[3];
};
_Static_assert(sizeof(struct pod_place) == 40, "");

/*
 * odst_map LRU_HASH: what the client of a connection to such a listener dialled; from before its SYN until the proxy has
 * asked. owner: capture
 */
struct odst_key {
	__u64 netns;                                /* cookie, as in pod_map */
	struct addr16 src, dst;                     /* as the accepting socket sees them: src is the client */
	__be16 sport, dport;                        /* network order */
	__u32 pad;
};
struct odst {
	struct addr16 vip;
	__be16 port;                                /* network order */
	__u16 pad;
	__u32 service;
};
_Static_assert(sizeof(struct odst_key) == 48, "");
_Static_assert(sizeof(struct odst) == 24, "");

/* ---- short-circuit, FROZEN; owner: sockops, redirect ------------------------------------------------------- */

/* sock_map SOCKHASH: __u64 socket cookie -> socket. */

struct wait_key {                                   /* wait_map LRU_HASH: the client's end waits for the server's */
	__u32 snd;                                  /* client's snd_nxt when established */
	__u32 rcv;                                  /* client's rcv_nxt */
};
struct wait {
	__u64 cookie;                               /* client */
	__u64 cgroup;                               /* id of its workload's cgroup */
	__u32 workload;
	__u32 flags;                                /* enum workload_flag */
	__u32 identity;
	__u32 reason;                               /* why the server's end refused, enum reason; 0 = it did not */
	__u32 service, backend;                     /* what the client dialled; 0 = no service */
	__u32 service_slot;                         /* plus 1; 0 = none */
	__u32 pad;
};
_Static_assert(sizeof(struct wait_key) == 8, "");
_Static_assert(sizeof(struct wait) == 48, "");

/* end_map SK_STORAGE: which end of which pair a socket is. Written once, before the socket can send. */
struct sock_end {
	__u64 pair;                                 /* key of pair_map = cookie of the client's socket */
	__u64 born_ns;
	struct wait_key wait;                       /* client: its fingerprint, taken back when it leaves unpaired */
	__u32 side;                                 /* SIDE_CLIENT | SIDE_SERVER */
	__u32 cb_flags;                             /* sockops callbacks that this socket had before ours */
};
_Static_assert(sizeof(struct sock_end) == 32, "");

/* A direction, as last seen: before its first message, redirected, or by the TCP stack. */
enum ratchet { RATCHET_UNSET, RATCHET_REDIRECT, RATCHET_STACK };

enum pair_side { SIDE_CLIENT, SIDE_SERVER };

enum end_flag {                                     /* all set by atomic or, none is ever cleared */
	END_NO_READ = 1u << 0,                      /* nothing may be redirected to this end any more */
	END_NO_SEND = 1u << 1,                      /* this end redirects nothing any more */
	END_SAW_NO_READ = 1u << 2,                  /* it redirects nothing any more, and nothing is under way */
	END_SHARED = 1u << 3,                       /* more than one thread has sent on it */
	END_LEFT = 1u << 4,                         /* it has left the sockhash */
	END_CLOSED = 1u << 5,
};

/*
 * One end of a connection. The hot half is written by programs that run for this end's own socket and by nobody else:
 * as a sender it counts, as a reader it publishes. The cold half between keeps the two hot halves on separate cache
 * lines wherever the hash puts the value.
 */
struct pair_end {
	__u64 bytes;                                /* redirected by this end; atomic add, its low half is `sent` */
	__u64 credit;                               /* as reader: peer's `sent` when it looked | own unread bytes << 32 */
	__u32 read_seq;                             /* as reader: how far it has read what the peer sent by the stack */
	__u32 flags;                                /* enum end_flag */
	__u32 state;                                /* enum ratchet of the direction from here */
	__u32 reason;                               /* enum reason: why it last went to the stack */
	__u32 msgs;                                 /* redirected */
	__u32 run;                                  /* stack bytes since the last redirected message, saturating */
	__u32 writer;                               /* thread that sent last */
	__u32 gen;                                  /* policy_gen under which the flags were decided */
	__u64 no_read_ns;                           /* when NO_READ was set in order to leave */
	__u64 barrier;                              /* target of the atomic that orders a publication */
	/* cold */
	__u64 cookie;
	__u64 cgroup;                               /* id of the workload's cgroup; 0 = none */
	__u32 workload;
	__u32 identity;
	__u64 no_read_bytes;                        /* the peer's bytes when no_read_ns was taken */
	__u32 pad[8];
};
_Static_assert(sizeof(struct pair_end) == 128, "hot and cold cache line");

struct pair {                                       /* pair_map HASH: __u64 client's socket cookie -> struct pair */
	struct pair_end end[2];                     /* enum pair_side */
	__u64 opened_ns;
	__u32 service;                              /* 0 = direct */
	__u32 backend;
	__u32 service_slot;                         /* plus 1; 0 = none */
	__u32 nclosed;
	__u32 pad[2];
};
_Static_assert(sizeof(struct pair) == 288, "");
