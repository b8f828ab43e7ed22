// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sk_msg: every message of a socket in sock_map goes to its peer's receive queue, or down the TCP stack. Fails open: in
 * any doubt the stack carries the bytes. The kernel holds the sender's socket lock over the program (not over the
 * hand-over to the peer that follows), so what an end writes about itself needs no further lock.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "lib/maps.h"
#include "lib/memory.h"
#include "lib/ratchet.h"
#include "lib/pair.h"

/* The message goes down the stack. The first reason is kept: what follows from it is not news. */
static __always_inline int stack(struct pair_end *self, __u32 size, __u32 reason)
{
	self->run = ratchet_run(self->run, size);
	if (self->run == RUN_MAX && !(self->flags & END_NO_SEND))
		end_set(self, END_NO_SEND);
	if (reason == REASON_UNREAD && self->state == RATCHET_UNSET)
		self->reason = REASON_RACE;
	else if (reason != REASON_UNREAD)
		self->reason = reason;
	self->state = RATCHET_STACK;
	return SK_PASS;
}

/* A change of policy: are both ends still managed? What is taken away is not given back to this connection. */
static __always_inline void recheck(struct pair_end *self, const struct pair_end *peer, const struct ctl *ctl)
{
	__u64 own = self->cgroup, other = peer->cgroup;

	if (!workload_flags(bpf_map_lookup_elem(&workload_map, &own), ctl) ||
	    !workload_flags(bpf_map_lookup_elem(&workload_map, &other), ctl))
		end_set(self, END_NO_SEND);
	self->gen = ctl->policy_gen;
}

/* Soon nothing but the plain send path of TCP will find memory: who talks now leaves the map (sockops). */
static __always_inline void flee(struct pair_end *self, const struct ctl *ctl)
{
	__u32 off = END_NO_READ | END_NO_SEND;

	if ((ctl->flags & CTL_LEAVE_MAP) && (self->flags & off) != off)
		end_set(self, off);
}

/* Why nothing of this end may be redirected now; REASON_NONE = it may. */
static __always_inline __u32 stopped(struct pair_end *self, const struct pair_end *peer, struct sock *sk,
				     const struct ctl *ctl)
{
	bool mute = (READ_ONCE(peer->flags) & END_NO_READ) || (self->flags & END_NO_SEND);
	__u8 state = sk->__sk_common.skc_state;
	/* The self-test asks what this kernel does, not what this moment has to spare. */
	enum memory memory = ctl->flags & CTL_SELFTEST ? MEMORY_ENOUGH : memory_of(sk);

	if (memory == MEMORY_SHORT)
		flee(self, ctl);
	if (ctl->flags & CTL_KILL)
		return REASON_KILLED;
	/* What the peer has against being redirected to (ULP, RCVLOWAT, LEFT), it noted as its own reason. */
	if (mute)
		return self->reason ? self->reason : peer->reason ? peer->reason : REASON_POLICY;
	/* After shutdown() the stack answers EPIPE; tcp_bpf_sendmsg would not. */
	if (state != TCP_STATE_ESTABLISHED && state != TCP_STATE_CLOSE_WAIT)
		return REASON_NO_PEER;
	return memory ? REASON_MEMORY : REASON_NONE;
}

static __always_inline int redirect(struct sk_msg_md *msg, struct pair_end *self, struct pair_end *peer)
{
	__u32 size = msg->size;
	__u64 to = peer->cookie;
	/*
	 * Counted before the peer's flag is read: either this sees NO_READ, or who set it sees the bytes. With bytes it
	 * has to wait for END_SAW_NO_READ, so only the first message needs to look.
	 */
	__u64 old = __sync_fetch_and_add(&self->bytes, size);

	if ((!old && (READ_ONCE(peer->flags) & END_NO_READ)) ||
	    bpf_msg_redirect_hash(msg, &sock_map, &to, BPF_F_INGRESS) != SK_PASS) {
		__sync_fetch_and_add(&self->bytes, -(__u64)size);
		return stack(self, size, REASON_NO_PEER);
	}
	self->state = RATCHET_REDIRECT;
	self->run = 0;
	self->msgs++;
	return SK_PASS;
}

/* Who sends? Bytes that went before the pair was there may have been another thread's. */
static __always_inline void sender(struct pair_end *self, const struct verdict_in *in)
{
	__u32 me = bpf_get_current_pid_tgid();

	if (self->writer == me)
		return;
	if (self->writer || in->write_seq != in->read_seq)
		end_set(self, END_SHARED);
	self->writer = me;
}

SEC("sk_msg")
int redirect_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *bsk = msg->sk;
	struct verdict_in in = {};
	struct sock_end *end;
	struct tcp_sock *tp;
	struct ctl *ctl;
	struct pair *p;
	__u32 why;

	if (!bsk || !(ctl = ctl_get()))
		return SK_PASS;
	end = bpf_sk_storage_get(&end_map, bsk, NULL, 0);
	if (!end)
		return SK_PASS;
	/* Not paired yet, or never: write_seq moves on, and the first verdict of the pair will see it. */
	p = bpf_map_lookup_elem(&pair_map, &end->pair);
	tp = bpf_skc_to_tcp_sock(bsk);
	if (!p || !tp)
		return SK_PASS;

	struct sock *sk = (struct sock *)tp;
	struct pair_end *self = end->side ? &p->end[1] : &p->end[0];
	struct pair_end *peer = end->side ? &p->end[0] : &p->end[1];

	pair_publish(self, peer, tp, ctl);
	if (self->gen != ctl->policy_gen)
		recheck(self, peer, ctl);
	in.write_seq = tp->write_seq;
	in.read_seq = READ_ONCE(peer->read_seq);
	in.sent = self->bytes;
	in.size = msg->size;
	in.credit = READ_ONCE(peer->credit);
	in.cap = ctl->max_outstanding;
	in.source = ctl->credit;
	in.stop = stopped(self, peer, sk, ctl);
	sender(self, &in);
	why = ratchet_verdict(&in);
	if (ratchet_turns(self->state, why) && !sock_alone(self, sk))
		why = ratchet_hold(&in, self->state, why);
	if (!why)
		return redirect(msg, self, peer);
	/* Alone and on the stack for good: nothing redirected is on its way, or will ever be. */
	if (((READ_ONCE(peer->flags) & END_NO_READ) || (self->flags & END_NO_SEND)) &&
	    !(self->flags & END_SAW_NO_READ) && sock_alone(self, sk))
		end_set(self, END_SAW_NO_READ);
	return stack(self, in.size, why);
}

char LICENSE[] SEC("license") = "GPL";
