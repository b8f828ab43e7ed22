/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes looked at at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether any of the eight is a control (below 0x20, or 0x7f). */
static inline bool bytes_control(const char *p)
{
	const uint64_t ones = ~0ull / 255, high = ones << 7;
	uint64_t v, del;

	memcpy(&v, p, 8);
	del = v ^ ones * 0x7f;
	return (((v - ones * 0x20) & ~v) | ((del - ones) & ~del)) & high;
}
