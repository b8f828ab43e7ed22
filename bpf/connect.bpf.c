// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Service addresses become backends when a socket dials, and read as the dialled address ever after.
 *
 * AF_UNSPEC never reaches a hook: what the socket dialled before is replaced by its next connect(), and until then
 * nobody can see it (getpeername answers ENOTCONN by itself). A v4-mapped address arrives at connect6, but at sendmsg4:
 * the kernel turns it into IPv4 first. An MPTCP socket arrives as its first subflow, while getpeername and close() show
 * the MPTCP socket: what it dialled is stored there.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/event.h"
#include "lib/maps.h"
#include "lib/count.h"
#include "lib/emit.h"
#include "lib/flow.h"

/* Set by the loader where this kernel lacks a helper. */
const volatile bool has_set_retval = true;          /* 5.18; without it a refused connect() is EPERM */
const volatile bool has_mptcp_sock = true;          /* 5.19; without it MPTCP clients see the backend's address */
const volatile __u64 host_netns = 0;                /* cookie of the host's network namespace */

enum hook_verdict { HOOK_REFUSE, HOOK_PASS };

struct mptcp_sock;

static __always_inline struct ctl *ctl_read(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ctl_map, &zero);
}

/* The entry of the socket that the application holds; made if `create`. */
static __always_inline struct flow *flow_of(struct bpf_sock_addr *ctx, __u64 create)
{
	struct bpf_sock *sk = ctx->sk;
	struct mptcp_sock *msk;

	if (!sk)
		return NULL;
	if (has_mptcp_sock && ctx->protocol == IPPROTO_TCP) {
		msk = bpf_skc_to_mptcp_sock(sk);
		if (msk)
			return bpf_sk_storage_get(&flow_map, msk, NULL, create);
	}
	return bpf_sk_storage_get(&flow_map, sk, NULL, create);
}

static __always_inline struct flow *flow_make(struct bpf_sock_addr *ctx)
{
	struct flow *f = flow_of(ctx, BPF_SK_STORAGE_GET_F_CREATE);

	if (!f)
		emit_error(REASON_STORAGE_FULL, -ENOMEM);
	return f;
}

static __always_inline void addr_load(struct bpf_sock_addr *ctx, int family, struct addr16 *addr)
{
	if (family == AF_INET) {
		*addr = addr_v4(ctx->user_ip4);
		return;
	}
	addr->w[0] = ctx->user_ip6[0];
	addr->w[1] = ctx->user_ip6[1];
	addr->w[2] = ctx->user_ip6[2];
	addr->w[3] = ctx->user_ip6[3];
}

static __always_inline void addr_store(struct bpf_sock_addr *ctx, int family, const struct addr16 *addr, __u16 port)
{
	ctx->user_port = port;
	if (family == AF_INET) {
		ctx->user_ip4 = addr->w[3];
		return;
	}
	ctx->user_ip6[0] = addr->w[0];
	ctx->user_ip6[1] = addr->w[1];
	ctx->user_ip6[2] = addr->w[2];
	ctx->user_ip6[3] = addr->w[3];
}

static __always_inline int pass(__u32 reason)
{
	count_reason(reason);
	return HOOK_PASS;
}

static __always_inline int refuse(const struct ask *ask, const struct answer *a, __u64 cgroup)
{
	count_reason(a->reason);
	emit_refused(ask, a, cgroup);
	if (has_set_retval)
		bpf_set_retval(verdict_errno(a));
	return HOOK_REFUSE;
}

static __always_inline void ask_load(struct bpf_sock_addr *ctx, int family, struct ask *ask)
{
	addr_load(ctx, family, &ask->addr);
	ask->port = ctx->user_port;
	ask->proto = ctx->protocol;
}

/*
 * Who asks, chance and clock: what only a decision needs. Its own frame: the lineage is gone from the stack before the
 * decision needs the room, of which kernels before 6.7 give out 32 bytes at a time.
 */
static __noinline void ask_complete(struct bpf_sock_addr *ctx, const struct ctl *ctl, struct ask *ask,
					 struct caller *c)
{
	struct lineage of = {};
	__u64 netns;

	lineage_self(&of);
	caller_find(c, ctl, &of);
	ask->rnd = bpf_get_prandom_u32();
	ask->now_ns = bpf_ktime_get_ns();
	netns = bpf_get_netns_cookie(ctx);
	ask->client = client_id(c, netns, host_netns);
	ask->netns = netns_key(netns, host_netns);
}

/* Counts, affinity and error records of a decision that was made; VERDICT_PASS leaves none but its reason. */
static __always_inline void settle(const struct ask *ask, const struct answer *a)
{
	long err;

	if (a->bad_table)
		emit_error(REASON_BAD_TABLE, 0);
	if (a->verdict == VERDICT_PASS)
		return;
	err = service_commit(ask, a);
	if (err)
		emit_error(REASON_AFFINITY_FULL, err);
}

/* The socket dials anew, and nothing that is translated: what it dialled before is over. */
static __always_inline int dial_other(struct bpf_sock_addr *ctx, __u32 reason)
{
	struct flow *f = flow_of(ctx, 0);

	/* A later subflow of MPTCP dials by itself; its socket is still connected to what it dialled. */
	if (f && ctx->protocol == IPPROTO_TCP && has_mptcp_sock && bpf_skc_to_mptcp_sock(ctx->sk))
		return pass(reason);
	if (f) {
		open_drop(f);
		f->peer[0].service = 0;
	}
	return pass(reason);
}

static __always_inline int dial_service(struct bpf_sock_addr *ctx, int family, const struct ask *ask,
					const struct answer *a)
{
	struct flow *f = flow_make(ctx);
	struct addr16 addr;
	__u16 port;

	answer_target(ask, a, &addr, &port);
	if (f) {
		open_drop(f);
		origin_set(&f->peer[0], ask, a);
		f->last = 0;
		if (a->service.algo == LB_LEAST_OPEN && ask->proto == IPPROTO_TCP && a->backend_id)
			open_add(f, a);
	}
	addr_store(ctx, family, &addr, port);
	return pass(a->reason);
}

static __always_inline bool of_selftest(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk && sk->mark == SELFTEST_MARK;
}

static __always_inline int dial(struct bpf_sock_addr *ctx, int family)
{
	struct ctl *ctl = ctl_read();
	struct answer a = {};
	struct caller c = {};
	struct ask ask = {};

	if (of_selftest(ctx))
		return HOOK_PASS;
	if (!ctl || !(ctl->flags & CTL_CONNECT))
		return dial_other(ctx, REASON_DISABLED);
	ask_load(ctx, family, &ask);
	destination_find(ctl, &ask, &a);
	if (!a.service_id)
		return dial_other(ctx, REASON_NO_SERVICE);
	ask_complete(ctx, ctl, &ask, &c);
	destination_decide(ctl, &ask, &c, &a);
	settle(&ask, &a);
	if (answer_unseen(&a) && (c.workload.flags & WORKLOAD_MANAGED))
		emit_netns(&ask, c.cgroup);
	if (a.verdict == VERDICT_PASS)
		return dial_other(ctx, a.reason);
	if (a.verdict == VERDICT_REFUSE)
		return refuse(&ask, &a, c.cgroup);
	return dial_service(ctx, family, &ask, &a);
}

/* sendto() of a socket that stays with its backend while that exists, draining or not. */
static __always_inline bool send_again(struct bpf_sock_addr *ctx, int family, struct flow *f, __u32 i)
{
	struct backend *be;
	struct origin *o;
	__u32 id;

	o = i ? flow_last(f, i) : NULL;
	if (!o)
		return false;
	id = o->backend;
	be = bpf_map_lookup_elem(&backend_map, &id);
	if (!be)
		return false;
	addr_store(ctx, family, &o->backend_addr, o->backend_port);
	return true;
}

static __always_inline int send_service(struct bpf_sock_addr *ctx, int family, const struct ask *ask,
					const struct answer *a, __u32 peer)
{
	struct flow *f = flow_make(ctx);
	struct addr16 addr;
	__u16 port;
	long err;

	answer_target(ask, a, &addr, &port);
	if (f) {
		err = flow_note(f, peer, ask, a, bpf_get_socket_cookie(ctx));
		if (err)
			emit_error(REASON_UDP_PEER_FULL, err);
	}
	addr_store(ctx, family, &addr, port);
	return pass(peer && a->reason != REASON_L7_OPEN ? REASON_MOVED : a->reason);
}

/*
 * A connected socket that just sends: of no concern here, but the kernel turns send() of an IPv6 socket connected to a
 * v4-mapped address into sendto() of IPv4, and so its backend's address comes by.
 */
static __always_inline bool send_connected(struct bpf_sock_addr *ctx, const struct flow *f, const struct ask *ask)
{
	struct bpf_sock *sk = ctx->sk;

	return sk && sk->state == BPF_TCP_ESTABLISHED && origin_is_from(&f->peer[0], &ask->addr, ask->port);
}

static __always_inline int send(struct bpf_sock_addr *ctx, int family)
{
	struct ctl *ctl = ctl_read();
	struct answer a = {};
	struct caller c = {};
	struct ask ask = {};
	struct flow *f;
	__u32 peer;

	if (!ctl || !(ctl->flags & CTL_CONNECT))
		return pass(REASON_DISABLED);
	ask_load(ctx, family, &ask);
	f = flow_of(ctx, 0);
	if (f && send_connected(ctx, f, &ask))
		return HOOK_PASS;
	a.service_id = frontend_find(&ask);
	if (!a.service_id) {
		if (f)
			flow_direct(f, &ask, bpf_get_socket_cookie(ctx));
		return pass(REASON_NO_SERVICE);
	}
	peer = f ? flow_peer(f, &ask, a.service_id) : 0;
	if (f && send_again(ctx, family, f, peer))
		return pass(REASON_TRANSLATED);
	ask_complete(ctx, ctl, &ask, &c);
	service_decide(ctl, &ask, &c, &a);
	settle(&ask, &a);
	if (a.verdict == VERDICT_PASS)
		return pass(a.reason);
	if (a.verdict == VERDICT_REFUSE)
		return refuse(&ask, &a, c.cgroup);
	return send_service(ctx, family, &ask, &a, peer);
}

static __always_inline int receive(struct bpf_sock_addr *ctx, int family)
{
	struct flow *f = flow_of(ctx, 0);
	struct addr16 addr = {};
	__u16 port = ctx->user_port;

	if (!f)
		return HOOK_PASS;
	addr_load(ctx, family, &addr);
	if (flow_dialled(f, &addr, &port, bpf_get_socket_cookie(ctx)))
		addr_store(ctx, family, &addr, port);
	return HOOK_PASS;
}

static __always_inline int name_peer(struct bpf_sock_addr *ctx, int family)
{
	struct flow *f = flow_of(ctx, 0);
	struct addr16 addr = {};

	if (!f)
		return HOOK_PASS;
	addr_load(ctx, family, &addr);
	if (origin_is_from(&f->peer[0], &addr, ctx->user_port))
		addr_store(ctx, family, &f->peer[0].vip, f->peer[0].vip_port);
	return HOOK_PASS;
}

SEC("cgroup/connect4")
int connect4_svc(struct bpf_sock_addr *ctx)
{
	return dial(ctx, AF_INET);
}

SEC("cgroup/connect6")
int connect6_svc(struct bpf_sock_addr *ctx)
{
	return dial(ctx, AF_INET6);
}

SEC("cgroup/sendmsg4")
int sendmsg4_svc(struct bpf_sock_addr *ctx)
{
	return send(ctx, AF_INET);
}

SEC("cgroup/sendmsg6")
int sendmsg6_svc(struct bpf_sock_addr *ctx)
{
	return send(ctx, AF_INET6);
}

SEC("cgroup/recvmsg4")
int recvmsg4_svc(struct bpf_sock_addr *ctx)
{
	return receive(ctx, AF_INET);
}

SEC("cgroup/recvmsg6")
int recvmsg6_svc(struct bpf_sock_addr *ctx)
{
	return receive(ctx, AF_INET6);
}

SEC("cgroup/getpeername4")
int peername4_svc(struct bpf_sock_addr *ctx)
{
	return name_peer(ctx, AF_INET);
}

SEC("cgroup/getpeername6")
int peername6_svc(struct bpf_sock_addr *ctx)
{
	return name_peer(ctx, AF_INET6);
}

SEC("cgroup/sock_release")
int release_open(struct bpf_sock *ctx)
{
	struct flow *f = bpf_sk_storage_get(&flow_map, ctx, NULL, 0);

	if (f)
		open_drop(f);
	return HOOK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
