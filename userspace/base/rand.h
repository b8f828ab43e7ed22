/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** for balancing and jitter (never for secrets: getrandom(2)). One struct, one thread; a seed repeats. */
#pragma once
#include <stdint.h>

struct rand {
	uint64_t s[4];
};

void rand_seed(struct rand *r, uint64_t seed);
void rand_init(struct rand *r);                 /* seeded from the kernel */
uint64_t rand_u64(struct rand *r);
uint32_t rand_below(struct rand *r, uint32_t n); /* [0, n), without bias; n > 0 */
