/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How many redirected bytes may wait unread in a peer's socket. Pure arithmetic: also compiled natively by tests.
 *
 * The sender counts what it redirects (`sent`, modulo 2^32). The reader, each time it sends something itself, publishes
 * in one 64-bit store {sent as it saw it, its unread bytes}. The sender takes
 *
 *	outstanding = (sent - sent_at) + out_at			all modulo 2^32
 *
 * and redirects a message only if outstanding + size <= cap.
 *
 * Memory order. The reader does S: load sent; full barrier; Q: read its queue length; store {S, Q}. The store and the
 * sender's load are single 64-bit accesses, so S and Q always belong together. Bytes counted in S had their verdict
 * before S was loaded: when Q is read, each of them has been read by the application, is in Q, or is still on its way
 * between verdict and queue. Bytes not in S may be in Q too: counted twice, which errs on the safe side. Without the
 * barrier Q might be older than S; then bytes that S covers could be missing from Q though they are neither read nor on
 * their way, and the bound would be lost. An old publication has a smaller S and only makes the sum larger, as every
 * byte that has left the queue since was counted in sent. A sender with one thread has at most one message on its
 * way, and none at its next verdict. Hence the invariant, which the tests check:
 *
 *	unread redirected bytes <= cap + writers x one sk_msg
 *
 * The barrier is an atomic add whose result is used: clang then emits BPF_FETCH, a full barrier on every architecture
 * (x86 lock xadd; arm64 ldaddal, or ldxr/stlxr + dmb ish). Without BPF_FETCH arm64 would get stadd, which orders nothing.
 */
#pragma once

static __always_inline __u64 credit_pack(__u32 sent, __u32 unread)
{
	return (__u64)unread << 32 | sent;
}

static __always_inline __u32 credit_outstanding(__u32 sent, __u64 credit)
{
	return sent - (__u32)credit + (__u32)(credit >> 32);
}

static __always_inline bool credit_allows(__u32 sent, __u64 credit, __u32 size, __u32 cap)
{
	__u32 out = credit_outstanding(sent, credit);

	return size <= cap && out <= cap - size;
}

/*
 * Is a publication worth its price? It costs a third of the verdict, so a reader that keeps up renews the credit only
 * when an eighth of it is used, or when the sender has had to use the stack.
 */
static __always_inline bool credit_due(__u32 sent, __u64 credit, __u32 cap, bool on_stack)
{
	__u32 used = sent - (__u32)credit;

	if (!used && !(credit >> 32))
		return false;
	return on_stack || credit >> 32 || used >= cap / 8;
}
