/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The two ends of a local connection: whose they are, whether they may be paired, and what an end publishes as a reader.
 * Reads the maps that its callers include (lib/maps.h).
 */
#pragma once

#include "lib/credit.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

#define UNREAD_UNKNOWN (~0u)
#define WAITERS_MAX 4                               /* entries of a socket's wait queue that are looked at */

static __always_inline struct ctl *ctl_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ctl_map, &zero);
}

/* Orders everything before it against everything after it; see lib/credit.h. */
static __always_inline void full_barrier(__u64 *word)
{
	__u64 old = __sync_fetch_and_add(word, 1);

	asm volatile("" : : "r"(old) : "memory");
}

static __always_inline __u32 end_set(struct pair_end *e, __u32 flags)
{
	__u32 old = __sync_fetch_and_or(&e->flags, flags);

	asm volatile("" : : "r"(old) : "memory");
	return old;
}

/* The workload of the socket's own cgroup or of the nearest parent that is one; id 0 and its cgroup id 0 if none. */
static __always_inline struct workload *sock_workload(struct sock *sk, __u64 *cgroup)
{
	struct cgroup *cg = sk->sk_cgrp_data.cgroup;

	*cgroup = 0;
	for (int i = 0; i < CGROUP_DEPTH; i++) {
		struct cgroup_subsys_state *up;
		struct workload *w;
		__u64 id;

		if (!cg)
			return NULL;
		id = cg->kn->id;
		w = bpf_map_lookup_elem(&workload_map, &id);
		if (w) {
			*cgroup = id;
			return w;
		}
		up = cg->self.parent;
		if (!up)
			return NULL;
		cg = up->cgroup;
	}
	return NULL;
}

/* Flags of a workload as the short-circuit sees them; 0 = not managed. */
static __always_inline __u32 workload_flags(const struct workload *w, const struct ctl *ctl)
{
	__u32 flags = w ? w->flags : ctl->flags & CTL_UNMANAGED_OK ? WORKLOAD_MANAGED : 0;

	if (!(flags & WORKLOAD_MANAGED) || (flags & WORKLOAD_PAUSED))
		return 0;
	if (ctl->flags & CTL_NO_SPLICE)
		flags |= WORKLOAD_NO_SPLICE;
	return flags;
}

/* Why this socket may not be paired, as far as the socket itself tells; REASON_NONE if it may. */
static __always_inline __u32 sock_refused(struct tcp_sock *tp, const struct ctl *ctl)
{
	struct sock *sk = (struct sock *)tp;

	if ((ctl->flags & (CTL_SHORT_CIRCUIT | CTL_KILL)) != CTL_SHORT_CIRCUIT)
		return REASON_OFF;
	if (tp->is_mptcp)
		return REASON_MPTCP;
	if (BPF_CORE_READ_BITFIELD(tp, repair))
		return REASON_REPAIR;
	if (BPF_CORE_READ_BITFIELD(tp, syn_data) || BPF_CORE_READ_BITFIELD(tp, syn_fastopen) || tp->fastopen_rsk)
		return REASON_FASTOPEN;
	if (sk->sk_rcvlowat > 1)
		return REASON_RCVLOWAT;
	if (sk->__sk_common.skc_flags & (1ul << bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY)))
		return REASON_ZEROCOPY;
	return REASON_NONE;
}

/* The psock of a socket that is in the sockhash, as a number; 0 = none. Only for the socket the program runs for. */
static __always_inline unsigned long sock_psock(struct sock *sk)
{
	unsigned long data = 0;

	bpf_probe_read_kernel(&data, sizeof(data), &sk->sk_user_data);
	return data & SK_USER_DATA_PSOCK ? data & ~SK_USER_DATA_MASK : 0;
}

/* Redirected bytes that this socket has not read yet. The caller holds the socket's lock, as sk_msg programs do. */
static __always_inline __u32 sock_unread(struct sock *sk, __u32 source)
{
	struct sk_psock *ps = (struct sk_psock *)sock_psock(sk);
	struct list_head *next = NULL;
	__u32 len = UNREAD_UNKNOWN;

	if (!ps)
		return UNREAD_UNKNOWN;
	if (source == CREDIT_MSG_TOT_LEN && bpf_core_field_exists(ps->msg_tot_len)) {
		bpf_probe_read_kernel(&len, sizeof(len), &ps->msg_tot_len);
		return len;
	}
	if (source == CREDIT_NONE)
		return UNREAD_UNKNOWN;
	bpf_probe_read_kernel(&next, sizeof(next), &ps->ingress_msg.next);
	return next == &ps->ingress_msg ? 0 : UNREAD_UNKNOWN;
}

/*
 * Is this thread the only one within send() on the socket whose lock it holds? Everyone in send() or recv() there holds a
 * reference of the psock, the sockhash holds one.
 */
static __always_inline bool sock_alone(const struct pair_end *self, struct sock *sk)
{
	struct sk_psock *ps;
	int refs = 0;

	if (!(self->flags & END_SHARED))
		return true;
	ps = (struct sk_psock *)sock_psock(sk);
	return ps && !bpf_probe_read_kernel(&refs, sizeof(refs), &ps->refcnt.refs.counter) && refs == 2;
}

/*
 * May a thread be asleep in recv() or poll() on this socket? Entries of epoll and of io_uring have no `private`; those
 * of a sleeping thread name it. A list that changes under the walk reads as poison, hence as "yes".
 */
static __always_inline bool sock_waited(struct sock *sk)
{
	struct socket_wq *wq = sk->sk_wq;
	unsigned long head, pos = 0;

	if (!wq)
		return false;
	head = (unsigned long)&wq->wait.head;
	if (bpf_probe_read_kernel(&pos, sizeof(pos), (void *)head))
		return true;
	for (int i = 0; i < WAITERS_MAX; i++) {
		struct wait_queue_entry *entry = NULL;
		void *private = NULL;

		if (pos == head)
			return false;
		entry = (void *)(pos - bpf_core_field_offset(entry->entry));
		if (bpf_probe_read_kernel(&private, sizeof(private), &entry->private) || private)
			return true;
		if (bpf_probe_read_kernel(&pos, sizeof(pos), &entry->entry.next))
			return true;
	}
	return true;
}

/*
 * What this end, as a reader, tells its peer when it sends. The lock of its socket is held.
 *
 * read_seq is the way back from the stack: once it equals the peer's write_seq, the peer redirects again, and a thread
 * inside tcp_recvmsg() would never see that message, as it waits for the TCP queue only. Such a thread exists if it
 * wants more than it got (MSG_WAITALL) or if several threads read the socket. So read_seq is published only when
 * everything is read and no thread sleeps on the socket; then the next recv() finds the TCP queue empty and waits for
 * both queues. The publisher itself is in send(), so with one thread the test never fails.
 */
static __always_inline void pair_publish(struct pair_end *self, struct pair_end *peer, struct tcp_sock *tp,
					 const struct ctl *ctl)
{
	struct sock *sk = (struct sock *)tp;
	__u32 seq = tp->copied_seq, sent, unread;

	if (seq != self->read_seq && seq == tp->rcv_nxt && !sock_waited(sk))
		WRITE_ONCE(self->read_seq, seq);
	sent = READ_ONCE(peer->bytes);
	if (!credit_due(sent, self->credit, ctl->max_outstanding, READ_ONCE(peer->state) == RATCHET_STACK))
		return;
	full_barrier(&self->barrier);
	unread = sock_unread(sk, ctl->credit);
	if (unread != UNREAD_UNKNOWN)
		WRITE_ONCE(self->credit, credit_pack(sent, unread));
}
