/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that wait for their answer on one connection of an RPC protocol: from the codec's id, or the lower half of it,
 * to the number on the wire. Ids go up by one or a little more, so their lower bits are the place: neighbours never
 * collide, and a peer has no say in it. One thread.
 */
#pragma once
#include "weft/types.h"

struct call {
	uint64_t id;                            /* the codec's; 0 = free place */
	uint64_t wire;                          /* the peer's */
	uint32_t note;                          /* the codec's own: what the answer is to look like */
};

struct calls {
	struct call *v;                         /* a power of two, at most half full */
	uint32_t cap, n;
};

void calls_fini(struct calls *t);               /* accepts a zeroed one */
int calls_add(struct calls *t, struct call c);  /* 0 or -ENOMEM; allocates only to hold more than ever before */
/* NULL: none. Valid until the next calls_add() or calls_del(). */
struct call *calls_find(const struct calls *t, uint64_t id);
struct call *calls_find_low(const struct calls *t, uint32_t low); /* of an id with this lower half: a client has but one */
void calls_del(struct calls *t, struct call *c);
