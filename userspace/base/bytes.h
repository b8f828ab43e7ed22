/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes looked at at a time. */
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
