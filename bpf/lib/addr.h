/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Addresses of 16 bytes, IPv4 as v4-mapped, and the mixing of numbers into hashes. Pure: also compiled natively. */
#pragma once

#include "kern/maps.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ADDR_MAPPED 0xffff0000u                     /* third word of ::ffff:0:0/96, as it lies in memory */
#else
#define ADDR_MAPPED 0x0000ffffu
#endif

static __always_inline struct addr16 addr_v4(__u32 be)
{
	struct addr16 a = { .w = { 0, 0, ADDR_MAPPED, be } };

	return a;
}

static __always_inline bool addr_is_v4(const struct addr16 *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == ADDR_MAPPED;
}

static __always_inline bool addr_eq(const struct addr16 *a, const struct addr16 *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

/* Finalizer of MurmurHash3: a bijection in which every bit of x moves half of the result. */
static __always_inline __u32 mix32(__u32 x)
{
	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return x ^ x >> 16;
}

/* The same for 64 bits (SplitMix64). */
static __always_inline __u64 mix64(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* A number of 32 bits brought into [0, n) without division; uniform up to n / 2^32. */
static __always_inline __u32 scale32(__u32 x, __u32 n)
{
	return (__u64)x * n >> 32;
}
