// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What a client of a service with routes dialled, from connect() to the proxy that accepts. connect() has written it
 * down at the client's socket (flow_map); when that sends its SYN both ends are known, and so is the key under which the
 * accepting side finds it. getsockopt() of the accepted socket then answers as if connection tracking had done it.
 */
#include "lib/kernel.h"
#include <bpf/bpf_endian.h>
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/event.h"
#include "lib/maps.h"
#include "lib/error.h"
#include "lib/sockopt.h"
#include "lib/table.h"
#include "lib/workload.h"

#define SOL_IP 0
#define SOL_IPV6 41
#define SO_ORIGINAL_DST 80                          /* IP6T_SO_ORIGINAL_DST too */

const volatile bool has_mptcp_sock = true;          /* see connect.bpf.c */
const volatile __u64 host_netns = 0;

enum { SOCKOPS_OK = 1 };

struct mptcp_sock;

struct ends {
	struct addr16 local, remote;
	__be16 local_port, remote_port;
};

/* Volatile, and both families always: a choice between two fields of a socket must be one of values, not of pointers. */
#define FIELD(sk, f) (*(const volatile typeof((sk)->f) *)&(sk)->f)

static __always_inline void ends_of(const struct bpf_sock *sk, struct ends *e)
{
	__u32 src4 = FIELD(sk, src_ip4), dst4 = FIELD(sk, dst_ip4);
	bool v4 = FIELD(sk, family) == AF_INET;

	e->local.w[0] = FIELD(sk, src_ip6[0]);
	e->local.w[1] = FIELD(sk, src_ip6[1]);
	e->local.w[2] = FIELD(sk, src_ip6[2]);
	e->local.w[3] = FIELD(sk, src_ip6[3]);
	e->remote.w[0] = FIELD(sk, dst_ip6[0]);
	e->remote.w[1] = FIELD(sk, dst_ip6[1]);
	e->remote.w[2] = FIELD(sk, dst_ip6[2]);
	e->remote.w[3] = FIELD(sk, dst_ip6[3]);
	e->local_port = bpf_htons((__u16)FIELD(sk, src_port));
	e->remote_port = FIELD(sk, dst_port);
	if (!v4)
		return;
	e->local = addr_v4(src4);
	e->remote = addr_v4(dst4);
}

/* ---- the client's end ----------------------------------------------------------------------------------------- */

/* As connect() stored it: of an MPTCP client at the socket that the application holds. */
static __always_inline struct flow *flow_find(struct bpf_sock *sk)
{
	struct mptcp_sock *msk = has_mptcp_sock ? bpf_skc_to_mptcp_sock(sk) : NULL;

	return msk ? bpf_sk_storage_get(&flow_map, msk, NULL, 0) : bpf_sk_storage_get(&flow_map, sk, NULL, 0);
}

static __always_inline int dialled(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct odst_key key = {};
	struct odst odst = {};
	struct ends e = {};
	struct origin *o;
	struct flow *f;
	long err;

	f = sk ? flow_find(sk) : NULL;
	if (!f)
		return SOCKOPS_OK;
	o = &f->peer[0];
	if (!o->service || o->backend)
		return SOCKOPS_OK;
	ends_of(sk, &e);
	/* A later subflow of MPTCP goes where its application wants. */
	if (!addr_eq(&e.remote, &o->backend_addr) || e.remote_port != o->backend_port)
		return SOCKOPS_OK;
	key.netns = netns_key(bpf_get_netns_cookie(ops), host_netns);
	key.src = e.local;
	key.dst = e.remote;
	key.sport = e.local_port;
	key.dport = e.remote_port;
	odst.vip = o->vip;
	odst.port = o->vip_port;
	odst.service = o->service;
	err = bpf_map_update_elem(&odst_map, &key, &odst, BPF_ANY);
	if (err)
		emit_error(REASON_ODST_FULL, err);
	return SOCKOPS_OK;
}

SEC("sockops")
int capture_dialled(struct bpf_sock_ops *ops)
{
	return ops->op == BPF_SOCK_OPS_TCP_CONNECT_CB ? dialled(ops) : SOCKOPS_OK;
}

/* ---- the accepted end ----------------------------------------------------------------------------------------- */

struct sa4 {
	__u16 family;
	__be16 port;
	__u32 addr;
	__u32 zero[2];
};

struct sa6 {
	__u16 family;
	__be16 port;
	__u32 flow;
	__u32 addr[4];
	__u32 scope;
};

/* How many bytes they are; 0: there is no room for them. */
static __always_inline __s32 answer4(struct bpf_sockopt *ctx, const struct odst *o)
{
	struct sa4 *sa = ctx->optval;

	if ((void *)(sa + 1) > ctx->optval_end)
		return 0;
	sa->family = AF_INET;
	sa->port = o->port;
	sa->addr = o->vip.w[3];
	sa->zero[0] = sa->zero[1] = 0;
	return sizeof(*sa);
}

static __always_inline __s32 answer6(struct bpf_sockopt *ctx, const struct odst *o)
{
	struct sa6 *sa = ctx->optval;

	if ((void *)(sa + 1) > ctx->optval_end)
		return 0;
	sa->family = AF_INET6;
	sa->port = o->port;
	sa->flow = sa->scope = 0;
	sa->addr[0] = o->vip.w[0];
	sa->addr[1] = o->vip.w[1];
	sa->addr[2] = o->vip.w[2];
	sa->addr[3] = o->vip.w[3];
	return sizeof(*sa);
}

static __always_inline bool asked(const struct bpf_sockopt *ctx, const struct bpf_sock *sk)
{
	return ctx->optname == SO_ORIGINAL_DST && ctx->level == (sk->family == AF_INET ? SOL_IP : SOL_IPV6);
}

SEC("cgroup/getsockopt")
int getsockopt_odst(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct odst_key key = {};
	struct odst odst = {};
	struct ends e = {};
	__s32 len;

	if (!sk || !asked(ctx, sk))
		return pass(ctx);
	ends_of(sk, &e);
	key.netns = netns_key(bpf_get_netns_cookie(ctx), host_netns);
	key.src = e.remote;
	key.dst = e.local;
	key.sport = e.remote_port;
	key.dport = e.local_port;
	if (!map_read_twice(&odst_map, &key, &odst))
		return pass(ctx);
	len = sk->family == AF_INET ? answer4(ctx, &odst) : answer6(ctx, &odst);
	if (!len)
		return pass(ctx);
	bpf_map_delete_elem(&odst_map, &key);
	return answered(ctx, len);
}

char LICENSE[] SEC("license") = "GPL";
