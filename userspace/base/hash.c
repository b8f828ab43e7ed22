// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <stdatomic.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/rand.h"

uint64_t hash_bytes(struct slice s, uint64_t seed)
{
	return XXH3_64bits_withSeed(s.n ? s.p : "", s.n, seed);
}

uint64_t hash_seed(void)
{
	static _Atomic uint64_t seed;           /* 0: not drawn yet */
	uint64_t have = atomic_load_explicit(&seed, memory_order_relaxed), want;
	struct rand r;

	if (have)
		return have;
	rand_init(&r);
	want = rand_u64(&r) | 1;
	/* Who comes second takes the first one's. */
	return atomic_compare_exchange_strong(&seed, &have, want) ? want : have;
}
