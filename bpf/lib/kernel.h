/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few kernel structures that the programs read, with only the fields they read. Offsets are relocated when a
 * program is loaded (CO-RE), so these declarations name fields and say nothing about their places. Include it first.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define AF_INET 2
#define AF_INET6 10
#ifndef IPPROTO_TCP
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__s64 counter;
} atomic64_t;

struct list_head {
	struct list_head *next, *prev;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct wait_queue_entry {
	void *private;
	struct list_head entry;
};

struct wait_queue_head {
	struct list_head head;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct proto {
	atomic64_t *memory_allocated;               /* pages of all TCP sockets of the node */
	unsigned long *memory_pressure;             /* not 0: since when there is pressure */
	long *sysctl_mem;                           /* net.ipv4.tcp_mem: pages, three of them */
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct proto *skc_prot;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	struct socket_wq *sk_wq;
	int sk_rcvlowat;
	__u32 sk_mark;
	__u8 sk_shutdown;
	void *sk_user_data;
	struct sock_cgroup_data sk_cgrp_data;
};

struct tcp_sock {
	__u32 copied_seq;
	__u32 write_seq;
	__u32 rcv_nxt;
	__u64 bytes_received;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u8 repair : 1;
	__u8 syn_data : 1;
	__u8 syn_fastopen : 1;
	bool is_mptcp;
	void *fastopen_rsk;                         /* set while a child made by fast open awaits its ACK */
};

typedef struct {
	int counter;
} atomic_t;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

/* What a socket in a sockhash hangs on sk_user_data. */
struct sk_psock {
	struct list_head ingress_msg;               /* redirected messages that wait for the reader */
	__u32 msg_tot_len;                          /* their bytes; since early 2026 and its stable backports */
	refcount_t refcnt;                          /* 1 + threads inside send() or recv() on the socket */
};

enum sock_flags {
	SOCK_KEEPOPEN = 3,
	SOCK_ZEROCOPY = 18,
};

#pragma clang attribute pop

#define SK_USER_DATA_PSOCK 4ul                      /* include/linux/skmsg.h: tag bits of sk_user_data */
#define SK_USER_DATA_MASK 7ul
#define SEND_SHUTDOWN 2

/* TCP states as sk_common.skc_state has them */
#define TCP_STATE_ESTABLISHED 1
#define TCP_STATE_CLOSE_WAIT 8
