/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes looked at at a time; numbers as they stand on a wire, big-endian and at any address. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Which of the eight is the first control (below 0x20, or 0x7f); 8: none is. */
static inline unsigned bytes_control(const char *p)
{
	const uint64_t ones = ~0ull / 255, high = ones << 7;
	uint64_t v, del, found;

	memcpy(&v, p, 8);
	del = v ^ ones * 0x7f;
	/* A borrow runs into higher bytes only, so the lowest one found is one. */
	found = (((v - ones * 0x20) & ~v) | ((del - ones) & ~del)) & high;
	return found ? (unsigned)__builtin_ctzll(found) / 8 : 8;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the first byte is the lowest here"
#endif

static inline uint16_t bytes_get16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t bytes_get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t bytes_get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void bytes_put16(char *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void bytes_put32(char *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void bytes_put64(char *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}
