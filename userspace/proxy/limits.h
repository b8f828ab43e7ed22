/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits that hold for the whole node, without a word shared per request: workers draw credits in batches from a pool,
 * and use, keep or give back what they drew. Never over the limit. Under it a worker may be refused while others keep
 * unused credits: at most (workers - 1) * (batch - 1), where batch is a 32nd of the limit per worker, 1 .. 64; so limits
 * below 64 a worker are exact. The first one refused asks for them, and every worker gives all it keeps when its next
 * request ends.
 */
#pragma once
#include <stdatomic.h>
#include "weft/types.h"

enum limit_kind { LIMIT_CONNECTIONS, LIMIT_PENDING, LIMIT_REQUESTS, LIMIT_RETRIES, LIMITS };
extern const char *const limit_names[LIMITS];

/* One per node. Zeroed: nothing is allowed until limit_set(). */
struct limit_pool {
	_Atomic int64_t spare;                  /* credits that no worker has; negative after the limit was lowered */
	_Atomic uint32_t batch;
	_Atomic bool starved;                   /* somebody was refused: keep none */
	uint32_t max;                           /* control thread */
};

/* One per worker. */
struct limit_share {
	uint32_t used, kept;
};

#define LIMIT_NONE 0x40000000u                  /* "no limit" is counted too, so that one may be set later */

void limit_set(struct limit_pool *p, uint32_t max, unsigned workers); /* control thread; 0 = none */
bool limit_take(struct limit_pool *p, struct limit_share *s); /* worker; mirrored by limit_give() */
void limit_take_over(struct limit_pool *p, struct limit_share *s); /* the same, though none is left: over the limit */
void limit_give(struct limit_pool *p, struct limit_share *s);
bool limit_left(const struct limit_pool *p, const struct limit_share *s); /* limit_take() would say so, if nobody is quicker */
void limit_return(struct limit_pool *p, struct limit_share *s); /* worker: all that it keeps */

/* So many a second for the whole node, a second's worth at once after a pause (GCRA). Any worker; zero it. */
struct limit_rate {
	_Atomic uint64_t due_ns;
};
bool limit_rate_take(struct limit_rate *r, uint32_t per_s, uint64_t now_ns);
