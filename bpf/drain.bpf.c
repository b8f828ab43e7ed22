// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Walks the sockhash for `weft kernel detach`: which sockets still hold redirected bytes that their reader has not taken.
 * Once the kill switch is set nothing is redirected any more, so a queue that is empty stays empty, and its socket may
 * leave the map without a loss.
 */
#include "lib/kernel.h"
#include "kern/drain.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__sockmap {
	struct bpf_iter_meta *meta;
	void *key;
	struct sock *sk;
};
#pragma clang attribute pop

enum { DRAIN_NEXT = 0 };

/* Whether redirected bytes wait in its queue, or a thread is inside a call that looks at it. */
static __always_inline __u32 state_of(struct sock *sk)
{
	unsigned long data = 0;
	struct sk_psock *psock;
	struct list_head *first = NULL;
	int refs = 0;

	bpf_core_read(&data, sizeof(data), &sk->sk_user_data);
	if (!(data & SK_USER_DATA_PSOCK))
		return DRAIN_EMPTY;
	psock = (struct sk_psock *)(data & ~SK_USER_DATA_MASK);
	bpf_core_read(&first, sizeof(first), &psock->ingress_msg.next);
	if (first && first != __builtin_preserve_access_index(&psock->ingress_msg))
		return DRAIN_UNREAD;
	bpf_core_read(&refs, sizeof(refs), &psock->refcnt.refs.counter);
	return refs > 1 ? DRAIN_BUSY : DRAIN_EMPTY;
}

SEC("iter/sockmap")
int drain_sockets(struct bpf_iter__sockmap *ctx)
{
	struct drain_row row = {};
	struct sock *sk = ctx->sk;
	__u64 *cookie = ctx->key;

	if (!cookie || !sk)
		return DRAIN_NEXT;
	row.cookie = *cookie;
	row.state = state_of(sk);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return DRAIN_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
