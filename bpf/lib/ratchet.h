/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The verdict on one message: redirected, or by the TCP stack. Pure: also compiled natively by tests.
 *
 * A reader drains redirected messages before its TCP receive queue. So redirected bytes that are followed by stack
 * bytes arrive in order, but never the other way round while stack bytes are unread. The rule that keeps the order is
 * one comparison, made for every message under the sender's socket lock:
 *
 *	redirect only if   my write_seq == the sequence number up to which the peer says it has read
 *
 * The peer's number starts at the sender's initial write_seq, so a fresh direction redirects at once. As soon as one
 * byte goes through the stack (race, credit, kill switch ...), write_seq has moved on, and everything after it goes
 * through the stack as well: the ratchet UNSET -> REDIRECT -> STACK. It comes back when the reader has published that
 * it has read all of it (pair_publish says when it may).
 *
 * Why it is safe. One thread that sends: its earlier messages are in the peer's queue, or in write_seq, before its next
 * verdict. One thread that reads: it takes the TCP queue only if it saw that queue filled and the other empty; whatever
 * is redirected after that, was so because that TCP queue had been read. Several threads that share the socket:
 *  - A message pushed by another thread, wholly or in part, before this verdict is in write_seq, as the kernel holds the
 *    socket lock from verdict to push.
 *  - The kernel drops the lock between the verdict "redirect" and the peer's queue, and in the middle of a push that
 *    waits for send buffer. If one thread's redirected message and another's push were under way together, a reader that
 *    had turned to the TCP queue meanwhile could read the first thread's *next* message before the one under way. So the
 *    path changes, in either direction, only when no other thread is within send() (sock_alone): pushes and redirected
 *    messages under way never overlap in time. While they cannot be told apart the path stays as it is; on the way to the
 *    stack that may exceed the cap, hence the limit HOLD_CAPS, beyond which memory goes before order. To get there takes
 *    threads that write to one socket without pause and without a lock of their own.
 *  - The comparison is modulo 2^32, and a reader that never sends never renews its number: after 2^30 stack bytes in
 *    a row a direction stays on the stack for good (RUN_MAX), so write_seq cannot come round to a stale number.
 *  - Retransmission, SACK, reordering on the way: below copied_seq nothing is ever delivered again.
 */
#pragma once

#include "lib/credit.h"

#define RUN_MAX (1u << 30)                          /* stack bytes in a row after which there is no way back */

#define HOLD_CAPS 2                                 /* caps that may be outstanding while the path cannot change */

struct verdict_in {
	__u32 write_seq;                            /* sender's, now */
	__u32 read_seq;                             /* reader's last word */
	__u32 sent;                                 /* redirected by this end, modulo 2^32 */
	__u32 size;                                 /* of this message */
	__u64 credit;                               /* reader's last word */
	__u32 cap;
	__u32 source;                               /* enum credit_source */
	__u32 stop;                                 /* reason for which nothing may be redirected now; 0 = none */
};

/* The reason to use the stack, or REASON_NONE to redirect. */
static __always_inline __u32 ratchet_verdict(const struct verdict_in *in)
{
	if (in->stop)
		return in->stop;
	if (in->write_seq != in->read_seq)
		return REASON_UNREAD;
	if (!credit_allows(in->sent, in->credit, in->size, in->cap))
		return in->source == CREDIT_NONE ? REASON_LIFETIME_CAP : REASON_CAP;
	return REASON_NONE;
}

/* Stack bytes since the last redirected message, saturating at RUN_MAX. */
static __always_inline __u32 ratchet_run(__u32 run, __u32 size)
{
	return size > RUN_MAX || run > RUN_MAX - size ? RUN_MAX : run + size;
}

/* Does this verdict change the path? Then the thread has to be alone. */
static __always_inline bool ratchet_turns(__u32 state, __u32 why)
{
	return state == RATCHET_REDIRECT ? why != REASON_NONE : state == RATCHET_STACK && why == REASON_NONE;
}

/* The reason to use the stack when the path should change and the thread is not alone; REASON_NONE to redirect. */
static __always_inline __u32 ratchet_hold(const struct verdict_in *in, __u32 state, __u32 why)
{
	if (state != RATCHET_REDIRECT)
		return REASON_UNREAD;
	return credit_allows(in->sent, in->credit, in->size, HOLD_CAPS * in->cap) ? REASON_NONE : why;
}
