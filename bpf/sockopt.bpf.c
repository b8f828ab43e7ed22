// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * cgroup/setsockopt: what an application asks for that redirected bytes cannot give. Refused with the errno that makes
 * libraries fall back where something was redirected to the socket already; else the socket goes to the stack instead.
 * cgroup/getsockopt, of weft's own sockets: whether redirected bytes may come.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/sockopt.h"
#include "lib/maps.h"
#include "lib/count.h"
#include "lib/pair.h"
#include "lib/sockopt.h"

#define SOL_SOCKET 1
#define SO_RCVLOWAT 18
#define SO_ZEROCOPY 60
#define TCP_REPAIR 19
#define TCP_ULP 31
#define ENOPROTOOPT 92
#define EOPNOTSUPP 95
#define EPERM 1
static __always_inline int refuse(int err)
{
	bpf_set_retval(-err);
	return SOCKOPT_REFUSED;
}

static __always_inline struct sock_end *sock_end(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk ? bpf_sk_storage_get(&end_map, sk, NULL, 0) : NULL;
}

/*
 * Nothing may be redirected to this end from now on. False if something was, or may just be: the flag is set by an
 * atomic before the peer's count is read, the peer counts by an atomic before it reads the flag (redirect.bpf.c).
 */
static __always_inline bool off(struct pair *p, __u32 side, __u32 reason)
{
	struct pair_end *self = side ? &p->end[1] : &p->end[0];
	struct pair_end *peer = side ? &p->end[0] : &p->end[1];

	end_set(self, END_NO_READ | END_NO_SEND);
	self->reason = reason;
	return !READ_ONCE(peer->bytes);
}

static __always_inline bool lowat_above_one(struct bpf_sockopt *ctx)
{
	int *val = ctx->optval;

	return (void *)(val + 1) <= ctx->optval_end && *val > 1;
}

/*
 * A client whose server is not established yet (delay, TCP_DEFER_ACCEPT) takes its fingerprint back: whoever deletes it
 * decides. False: there was none, as there is a pair by now, or never will be.
 */
static __always_inline bool withdraw(struct sock_end *end, __u32 reason)
{
	struct wait_key key = end->wait;

	if (end->side != SIDE_CLIENT || bpf_map_delete_elem(&wait_map, &key))
		return false;
	end->wait = (struct wait_key){};
	count_reason(reason);
	return true;
}

SEC("cgroup/setsockopt")
int setsockopt_pair(struct bpf_sockopt *ctx)
{
	bool ulp = ctx->level == IPPROTO_TCP && (ctx->optname == TCP_ULP || ctx->optname == TCP_REPAIR);
	bool zero = ctx->level == SOL_SOCKET && ctx->optname == SO_ZEROCOPY;
	bool lowat = ctx->level == SOL_SOCKET && ctx->optname == SO_RCVLOWAT;
	struct sock_end *end;
	struct pair *p;

	if (!ulp && !zero && !lowat)
		return pass(ctx);
	end = sock_end(ctx);
	if (!end)
		return pass(ctx);
	p = bpf_map_lookup_elem(&pair_map, &end->pair);
	/* In the map sends are copied and nothing reports their completion, paired or not. */
	if (zero && !(p && ((end->side ? p->end[1].flags : p->end[0].flags) & END_LEFT)))
		return refuse(EOPNOTSUPP);
	if (lowat && !lowat_above_one(ctx))
		return pass(ctx);
	if (!p && !withdraw(end, ulp ? REASON_ULP : REASON_RCVLOWAT))
		p = bpf_map_lookup_elem(&pair_map, &end->pair);
	if (!p)
		return pass(ctx);
	if (lowat)
		off(p, end->side, REASON_RCVLOWAT);
	if (ulp && !off(p, end->side, REASON_ULP))
		return refuse(ctx->optname == TCP_ULP ? ENOPROTOOPT : EPERM);
	return pass(ctx);
}

/*
 * getsockopt(SOL_WEFT, SO_WEFT_PAIRED) of weft's own sockets: may redirected bytes be, or come, in its queue? A socket joins
 * the map when it is established or never.
 */
static __always_inline int paired(struct bpf_sockopt *ctx)
{
	struct sock_end *end = sock_end(ctx);
	struct pair *p = end ? bpf_map_lookup_elem(&pair_map, &end->pair) : NULL;

	if (!end || (p && ((end->side ? p->end[1].flags : p->end[0].flags) & END_LEFT)))
		return WEFT_PAIRED_NO;
	return p ? WEFT_PAIRED_YES : WEFT_PAIRED_MAYBE;
}

SEC("cgroup/getsockopt")
int getsockopt_pair(struct bpf_sockopt *ctx)
{
	int *val = ctx->optval;

	if (ctx->level != SOL_WEFT || ctx->optname != SO_WEFT_PAIRED || (void *)(val + 1) > ctx->optval_end)
		return pass(ctx);
	*val = paired(ctx);
	return answered(ctx, sizeof(*val));
}

char LICENSE[] SEC("license") = "GPL";
