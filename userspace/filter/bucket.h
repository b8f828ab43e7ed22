/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket that leaks at a steady rate (GCRA, ITU-T I.371 appendix): one word, shared by all workers without a lock. The word
 * is the time at which all that was let through would have come at that rate; it may be ahead of now by what the bucket
 * holds. Times are in sixteenths of a nanosecond, so that a million a second are a million.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUCKET_NS 16u

struct bucket {
	_Atomic uint64_t ahead;
	uint64_t step, room;                    /* of one; of all that may come at once */
};

static inline void bucket_init(struct bucket *b, uint64_t requests, uint64_t per_ns, uint64_t burst)
{
	atomic_init(&b->ahead, 0);
	b->step = (per_ns * BUCKET_NS + requests / 2) / requests;
	b->room = b->step * burst;
}

/* Any thread. 0: one more may pass; else ns until the next one might. */
static inline uint64_t bucket_take(struct bucket *b, uint64_t now_ns)
{
	uint64_t now = now_ns * BUCKET_NS, was = atomic_load_explicit(&b->ahead, memory_order_relaxed), next;

	do {
		next = (was > now ? was : now) + b->step;
		if (next - now > b->room)
			return (next - now - b->room) / BUCKET_NS + 1;
	} while (!atomic_compare_exchange_weak_explicit(&b->ahead, &was, next, memory_order_relaxed, memory_order_relaxed));
	return 0;
}
