// SPDX-License-Identifier: Apache-2.0
/*
 * xoshiro256** 1.0 and splitmix64 as Blackman and Vigna describe them (ACM TOMS 47, 2021); Lemire's
 * bounded numbers.
 */
#include "base/rand.h"

#include <sys/random.h>
#include "base/clock.h"
#include "base/magic.h"

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void rand_seed(struct rand *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&seed);
}

void rand_init(struct rand *r)
{
	uint64_t seed;

	/* Early boot without entropy must not block a start: balancing needs no secret. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = clock_ns() ^ (uintptr_t)r;
	rand_seed(r, seed);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t rand_u64(struct rand *r)
{
	uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint32_t rand_below(struct rand *r, uint32_t n)
{
	uint64_t m;

	assert_hot(n > 0);
	m = (rand_u64(r) >> 32) * n;
	if ((uint32_t)m < n) {
		/* 2^32 mod n values of the low half would favour some results: drawn again. */
		uint32_t low = -n % n;

		while ((uint32_t)m < low)
			m = (rand_u64(r) >> 32) * n;
	}
	return m >> 32;
}
