// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sockops: pairs the two ends of a local connection, takes sockets out of the sockhash again, closes the books.
 *
 * Pairing. {snd_nxt, rcv_nxt} of the client when established equals {rcv_nxt, snd_nxt} of the server: 64 bits of initial
 * sequence numbers that no NAT on the way changes. The client is established first; it goes into sock_map and leaves its
 * fingerprint in wait_map. The server finds it, makes the pair and only then takes the fingerprint away; whoever
 * deletes it decides, so a client that leaves or closes meanwhile and a server that pairs cannot both succeed.
 * Identity and policy come from each end's own cgroup, never from the fingerprint.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/event.h"
#include "lib/maps.h"
#include "lib/error.h"
#include "lib/pair.h"

#define ENOMEM 12
#define EBUSY 16
#define EEXIST 17
#define SOL_SOCKET 1
#define SO_KEEPALIVE 9
#define TCP_KEEPIDLE 4
#define ALONE_NS 1000000000ull                      /* an end whose fingerprint was evicted waits so long before it leaves */
#define QUIET_NS 30000000000ull                     /* ... and one whose peer may be within a redirect, so long */

#define OUR_CB_FLAGS (BPF_SOCK_OPS_RTT_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG)

enum { SOCKOPS_OK = 1 };                            /* the only verdict: a sockops program refuses nothing */

static __always_inline int counted(__u32 reason)
{
	count_reason(reason);
	return SOCKOPS_OK;
}

/* Not short-circuited for a reason that should not be: counted, and told. */
static __always_inline int failed(__u32 reason, long err)
{
	if (reason == REASON_FOREIGN)
		return counted(reason);
	emit_error(reason, err);
	return SOCKOPS_OK;
}

static __always_inline struct tcp_sock *ops_tcp(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	return sk ? bpf_skc_to_tcp_sock(sk) : NULL;
}

static __always_inline struct sock_end *ops_end(struct bpf_sock_ops *ops, __u64 flags)
{
	struct bpf_sock *sk = ops->sk;

	return sk ? bpf_sk_storage_get(&end_map, sk, NULL, flags) : NULL;
}

static __always_inline void forget(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	if (sk)
		bpf_sk_storage_delete(&end_map, sk);
}

/* Did this socket come from, or is it, an MPTCP listener? */
static __always_inline bool of_mptcp(struct bpf_sock_ops *ops, __u64 flags)
{
	struct bpf_sock *sk = ops->sk;

	return sk && bpf_sk_storage_get(&mptcp_map, sk, NULL, flags);
}

/* Into the sockhash; why not, if not. */
static __always_inline __u32 join(struct bpf_sock_ops *ops, __u64 cookie)
{
	long err = bpf_sock_hash_update(ops, &sock_map, &cookie, BPF_NOEXIST);

	return !err ? REASON_NONE : err == -EBUSY ? REASON_FOREIGN : REASON_SOCKS_FULL;
}

static __always_inline void leave(struct bpf_sock_ops *ops, const struct sock_end *end, __u64 cookie)
{
	bpf_map_delete_elem(&sock_map, &cookie);
	if (!(end->cb_flags & BPF_SOCK_OPS_RTT_CB_FLAG))
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

static __always_inline void watch(struct bpf_sock_ops *ops, struct sock_end *end)
{
	end->cb_flags = ops->bpf_sock_ops_cb_flags;
	bpf_sock_ops_cb_flags_set(ops, end->cb_flags | OUR_CB_FLAGS);
}

/* What the client dialled, when it was a service address; counts the connection for it. */
static __always_inline void dialled(struct bpf_sock_ops *ops, struct wait *wait)
{
	struct bpf_sock *sk = ops->sk;
	struct flow *f = sk ? bpf_sk_storage_get(&flow_map, sk, NULL, 0) : NULL;
	struct service_stat *stat;
	struct service *s;
	__u32 id, slot;

	if (!f || !f->peer[0].service)
		return;
	id = f->peer[0].service;
	wait->service = id;
	wait->backend = f->peer[0].backend;
	s = bpf_map_lookup_elem(&service_map, &id);
	if (!s)
		return;
	slot = s->slot;
	wait->service_slot = slot + 1;
	stat = bpf_map_lookup_elem(&svc_stat_map, &slot);
	if (stat)
		__sync_fetch_and_add(&stat->opened, 1);
}

/* Client established: into the map, and its fingerprint where the server will look for it. */
static __always_inline int active(struct bpf_sock_ops *ops)
{
	struct wait_key key = {.snd = ops->snd_nxt, .rcv = ops->rcv_nxt};
	struct tcp_sock *tp = ops_tcp(ops);
	struct ctl *ctl = ctl_get();
	struct wait wait = {};
	struct sock_end *end;
	struct workload *w;
	__u32 reason;
	long err;

	if (!tp || !ctl)
		return SOCKOPS_OK;
	if (((struct sock *)tp)->sk_mark == SELFTEST_MARK && !(ctl->flags & CTL_SELFTEST))
		return SOCKOPS_OK;
	dialled(ops, &wait);
	if ((reason = sock_refused(tp, ctl)))
		return counted(reason);
	w = sock_workload((struct sock *)tp, &wait.cgroup);
	wait.flags = workload_flags(w, ctl);
	if (!wait.flags)
		return counted(REASON_UNMANAGED);
	wait.cookie = bpf_get_socket_cookie(ops);
	wait.workload = w ? w->id : 0;
	wait.identity = w ? w->identity : 0;
	end = ops_end(ops, BPF_SK_STORAGE_GET_F_CREATE);
	if (!end)
		return failed(REASON_STORAGE_FULL, -ENOMEM);
	end->pair = wait.cookie;
	end->born_ns = bpf_ktime_get_ns();
	end->wait = key;
	end->side = SIDE_CLIENT;
	if ((reason = join(ops, wait.cookie))) {
		forget(ops);
		return failed(reason, -ENOMEM);
	}
	watch(ops, end);
	err = bpf_map_update_elem(&wait_map, &key, &wait, BPF_NOEXIST);
	if (err == -EEXIST) {
		bpf_map_delete_elem(&wait_map, &key);
		end->wait = (struct wait_key){};        /* withdrawn: counted once */
		return counted(REASON_FORGED);
	}
	return SOCKOPS_OK;
}

/* Idle connections must not be forgotten by connection tracking: redirected bytes do not pass it, keepalives do. */
static __always_inline void keep_alive(struct bpf_sock_ops *ops, struct sock *sk, const struct ctl *ctl)
{
	int one = 1, idle = ctl->keepalive_s;

	if (!idle || (sk->__sk_common.skc_flags & (1ul << bpf_core_enum_value(enum sock_flags, SOCK_KEEPOPEN))))
		return;
	bpf_setsockopt(ops, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	bpf_setsockopt(ops, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
}

/* Why the server's end may not be paired with the client that waits; REASON_NONE if it may. */
static __always_inline __u32 passive_refused(struct bpf_sock_ops *ops, struct tcp_sock *tp, const struct ctl *ctl,
					     __u32 flags, __u32 client_flags)
{
	__u32 reason = of_mptcp(ops, 0) ? REASON_MPTCP : sock_refused(tp, ctl);

	if (reason)
		return reason;
	if (!flags)
		return REASON_UNMANAGED;
	/* A direction is redirected only if its reader promises not to splice. */
	return (flags | client_flags) & WORKLOAD_NO_SPLICE ? REASON_NONE : REASON_SPLICE;
}

static __always_inline void pair_fill(struct pair *p, const struct wait *wait, const struct workload *w,
				      const struct wait_key *key, __u32 flags)
{
	struct pair_end *cli = &p->end[SIDE_CLIENT], *srv = &p->end[SIDE_SERVER];

	cli->flags = wait->flags & WORKLOAD_NO_SPLICE ? 0 : END_NO_READ;
	srv->flags = flags & WORKLOAD_NO_SPLICE ? 0 : END_NO_READ;
	/* Why the other direction is not redirected. */
	srv->reason = cli->flags ? REASON_SPLICE : 0;
	cli->reason = srv->flags ? REASON_SPLICE : 0;
	cli->cookie = wait->cookie;
	cli->cgroup = wait->cgroup;
	cli->workload = wait->workload;
	cli->identity = wait->identity;
	cli->read_seq = key->rcv;
	srv->workload = w ? w->id : 0;
	srv->identity = w ? w->identity : 0;
	srv->read_seq = key->snd;
	p->opened_ns = bpf_ktime_get_ns();
	p->service = wait->service;
	p->backend = wait->backend;
	p->service_slot = wait->service_slot;
}

/* The server's end in its maps, the pair last: the client may redirect as soon as it is there. */
static __always_inline __u32 pair_insert(struct bpf_sock_ops *ops, const struct pair *p)
{
	struct sock_end *end = ops_end(ops, BPF_SK_STORAGE_GET_F_CREATE);
	__u64 cookie = p->end[SIDE_SERVER].cookie;
	__u32 reason;

	if (!end)
		return REASON_STORAGE_FULL;
	end->pair = p->end[SIDE_CLIENT].cookie;
	end->born_ns = p->opened_ns;
	end->side = SIDE_SERVER;
	if ((reason = join(ops, cookie)))
		return reason;
	if (bpf_map_update_elem(&pair_map, &end->pair, p, BPF_NOEXIST)) {
		leave(ops, end, cookie);
		return REASON_PAIR_FULL;
	}
	watch(ops, end);
	return REASON_NONE;
}

/* The client was quicker and has gone: only the server's end will close the books. */
static __always_inline void pair_abandon(__u64 key)
{
	struct pair *p = bpf_map_lookup_elem(&pair_map, &key);

	if (!p)
		return;
	end_set(&p->end[0], END_NO_READ | END_NO_SEND);
	end_set(&p->end[1], END_NO_READ | END_NO_SEND);
	p->end[1].reason = REASON_NO_PEER;
	__sync_fetch_and_add(&p->nclosed, 1);
}

/* Server established: is its client on this node? */
static __always_inline int passive(struct bpf_sock_ops *ops)
{
	struct wait_key key = {.snd = ops->rcv_nxt, .rcv = ops->snd_nxt};
	struct pair p = {};
	struct tcp_sock *tp;
	struct workload *w;
	struct wait *wait;
	struct ctl *ctl;
	__u32 flags;

	wait = bpf_map_lookup_elem(&wait_map, &key);
	if (!wait)
		return SOCKOPS_OK;
	tp = ops_tcp(ops);
	ctl = ctl_get();
	if (!tp || !ctl)
		return SOCKOPS_OK;
	w = sock_workload((struct sock *)tp, &p.end[SIDE_SERVER].cgroup);
	flags = workload_flags(w, ctl);
	/* The client counts the reason when it leaves. */
	if ((wait->reason = passive_refused(ops, tp, ctl, flags, wait->flags)))
		return SOCKOPS_OK;
	pair_fill(&p, wait, w, &key, flags);
	p.end[SIDE_SERVER].cookie = bpf_get_socket_cookie(ops);
	p.end[0].gen = p.end[1].gen = ctl->policy_gen;
	if ((wait->reason = pair_insert(ops, &p)))
		return failed(wait->reason, -ENOMEM);
	keep_alive(ops, (struct sock *)tp, ctl);
	if (bpf_map_delete_elem(&wait_map, &key))
		pair_abandon(p.end[SIDE_CLIENT].cookie);
	return SOCKOPS_OK;
}

/* A client that found no peer takes its fingerprint back: true if nobody can pair it any more. */
static __always_inline bool unwait(const struct sock_end *end, __u32 *reason)
{
	struct wait_key key = end->wait;
	struct wait *wait = bpf_map_lookup_elem(&wait_map, &key);

	*reason = wait && wait->reason ? wait->reason : REASON_NOT_LOCAL;
	return !bpf_map_delete_elem(&wait_map, &key);
}

/* The reason of a connection that never was a pair, unless the server's end has counted it where it failed. */
static __always_inline int counted_alone(__u32 reason)
{
	if (reason == REASON_STORAGE_FULL || reason == REASON_SOCKS_FULL || reason == REASON_PAIR_FULL ||
	    reason == REASON_FOREIGN)
		return SOCKOPS_OK;
	return counted(reason);
}

/* The first acknowledged bytes and still alone: out of the map. */
static __always_inline int leave_alone(struct bpf_sock_ops *ops, struct sock_end *end)
{
	bool withdrawn = !end->wait.snd && !end->wait.rcv;
	__u32 reason;

	if (end->side != SIDE_CLIENT)
		return SOCKOPS_OK;
	/* No fingerprint and no pair: evicted, or forged. A server that is making the pair needs microseconds. */
	if (!withdrawn && !unwait(end, &reason) && bpf_ktime_get_ns() - end->born_ns < ALONE_NS)
		return SOCKOPS_OK;
	leave(ops, end, end->pair);
	forget(ops);
	/* By its own setsockopt(), or as forged: counted there. */
	return withdrawn ? SOCKOPS_OK : counted_alone(reason);
}

/*
 * A socket whose directions both use the stack leaves, as it is slower in the map. Nobody may be about to redirect to
 * it then: the kernel drops the sender's lock between verdict and queue, and would answer EPIPE to the sender if the
 * socket had left by then. NO_READ stops new verdicts. It is certain that none is under way
 *  - if nothing was ever redirected to this end (redirect() counts before it looks at NO_READ), or
 *  - if the peer has had a verdict that saw this NO_READ or its own NO_SEND, with no other thread in send()
 *    (END_SAW_NO_READ), or, when the peer just never sends again,
 *  - after half a minute without a byte from it.
 */
static __always_inline int leave_paired(struct bpf_sock_ops *ops, const struct sock_end *end, struct pair_end *self,
					struct pair_end *peer, struct tcp_sock *tp, const struct ctl *ctl)
{
	bool mute = (self->flags & END_NO_SEND) || (READ_ONCE(peer->flags) & END_NO_READ);
	bool deaf = self->flags & END_NO_READ;

	if (!(ctl->flags & CTL_LEAVE_MAP) || (self->flags & END_LEFT))
		return SOCKOPS_OK;
	if (!self->no_read_ns) {
		if (!(mute && deaf) && self->run / 4 < ctl->max_outstanding)
			return SOCKOPS_OK;
		self->no_read_ns = bpf_ktime_get_ns();
		end_set(self, END_NO_READ | END_NO_SEND);
		self->no_read_bytes = peer->bytes;
		if (!self->reason)
			self->reason = REASON_LEFT;
	}
	if (peer->bytes) {
		bool quiet = self->no_read_bytes == peer->bytes && bpf_ktime_get_ns() - self->no_read_ns > QUIET_NS;

		if (!(READ_ONCE(peer->flags) & END_SAW_NO_READ) && !quiet)
			return SOCKOPS_OK;
		if (sock_unread((struct sock *)tp, ctl->credit) != 0)
			return SOCKOPS_OK;
	}
	end_set(self, END_LEFT);
	leave(ops, end, self->cookie);
	return SOCKOPS_OK;
}

static __always_inline int acked(struct bpf_sock_ops *ops)
{
	struct sock_end *end = ops_end(ops, 0);
	struct tcp_sock *tp = ops_tcp(ops);
	struct ctl *ctl = ctl_get();
	struct pair *p;

	if (!end || !tp || !ctl)
		return SOCKOPS_OK;
	p = bpf_map_lookup_elem(&pair_map, &end->pair);
	if (!p)
		return leave_alone(ops, end);
	if (end->side == SIDE_CLIENT)
		return leave_paired(ops, end, &p->end[0], &p->end[1], tp, ctl);
	return leave_paired(ops, end, &p->end[1], &p->end[0], tp, ctl);
}

static __always_inline void finish_service(const struct pair *p, __u64 tx, __u64 rx)
{
	__u32 slot = p->service_slot - 1;
	struct service_stat *stat;

	if (!p->service_slot || !(tx | rx))
		return;
	stat = bpf_map_lookup_elem(&svc_stat_map, &slot);
	if (!stat)
		return;
	__sync_fetch_and_add(&stat->accelerated, 1);
	__sync_fetch_and_add(&stat->tx_bytes, tx);
	__sync_fetch_and_add(&stat->rx_bytes, rx);
}

/*
 * Waking the agent for each connection that ends costs more than the rest of its end (16 us of close()). The agent looks
 * once a second and whenever it is asked; it is woken only when the ring fills. By force: flags of 0 wake a reader that has
 * caught up, and this one has not.
 */
static __always_inline __u64 no_hurry(void)
{
	__u64 waiting = bpf_ringbuf_query(&event_map, BPF_RB_AVAIL_DATA);

	return waiting > bpf_ringbuf_query(&event_map, BPF_RB_RING_SIZE) / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* Both ends have closed: one record, one count. */
static __always_inline int finish(const struct pair *p)
{
	__u64 tx = p->end[0].bytes, rx = p->end[1].bytes;
	__u32 why = p->end[0].reason ? p->end[0].reason : p->end[1].reason;
	__u32 reason = tx && rx ? REASON_ACCEL : tx || rx ? REASON_ACCEL_HALF : why ? why : REASON_ACCEL;
	struct event_conn *ev = bpf_ringbuf_reserve(&event_map, sizeof(*ev), 0);

	finish_service(p, tx, rx);
	if (!ev) {
		count_reason(REASON_EVENT_LOST);
		return counted(reason);
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->head.ns = bpf_ktime_get_ns();
	ev->head.type = EVENT_CLOSE;
	ev->head.reason = reason;
	ev->head.len = sizeof(*ev);
	for (int i = 0; i < 2; i++) {
		ev->cookie[i] = p->end[i].cookie;
		ev->bytes[i] = p->end[i].bytes;
		ev->workload[i] = p->end[i].workload;
	}
	ev->opened_ns = p->opened_ns;
	ev->service = p->service;
	ev->backend = p->backend;
	bpf_ringbuf_submit(ev, no_hurry());
	return counted(reason);
}

static __always_inline int closed(struct bpf_sock_ops *ops)
{
	struct sock_end *end = ops_end(ops, 0);
	struct pair *p;
	__u32 reason;
	__u64 key;

	if (!end)
		return SOCKOPS_OK;
	key = end->pair;
	p = bpf_map_lookup_elem(&pair_map, &key);
	if (!p) {
		if (end->side == SIDE_CLIENT && unwait(end, &reason))
			return counted_alone(reason);
		return SOCKOPS_OK;
	}
	end_set(end->side ? &p->end[1] : &p->end[0], END_CLOSED);
	if (!__sync_fetch_and_add(&p->nclosed, 1))
		return SOCKOPS_OK;
	finish(p);
	bpf_map_delete_elem(&pair_map, &key);
	return SOCKOPS_OK;
}

/* Children of an MPTCP listener look like plain TCP when they are established; the mark is inherited by them. */
static __always_inline int listening(struct bpf_sock_ops *ops)
{
	struct tcp_sock *tp = ops_tcp(ops);

	if (tp && tp->is_mptcp && !of_mptcp(ops, BPF_SK_STORAGE_GET_F_CREATE))
		return failed(REASON_STORAGE_FULL, -ENOMEM);
	return SOCKOPS_OK;
}

SEC("sockops")
int sockops_pair(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		return active(ops);
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		return passive(ops);
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		return listening(ops);
	case BPF_SOCK_OPS_RTT_CB:
		return acked(ops);
	case BPF_SOCK_OPS_STATE_CB:
		return ops->args[1] == BPF_TCP_CLOSE ? closed(ops) : SOCKOPS_OK;
	}
	return SOCKOPS_OK;
}

char LICENSE[] SEC("license") = "GPL";
