/* SPDX-License-Identifier: Apache-2.0 */
#include "model/utf8.h"

/* Bytes of the sequence that b begins, and its least code point; 0: none begins so. */
static size_t sequence(uint8_t b, uint32_t *least)
{
	if (b >= 0xc2 && b <= 0xdf) {
		*least = 0x80;
		return 2;
	}
	if (b >= 0xe0 && b <= 0xef) {
		*least = 0x800;
		return 3;
	}
	if (b >= 0xf0 && b <= 0xf4) {
		*least = 0x10000;
		return 4;
	}
	return 0;
}

bool utf8_valid(struct slice s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t point = (uint8_t)s.p[i], least;
		size_t n;

		if (point < 0x80) {
			i++;
			continue;
		}
		n = sequence(point, &least);
		if (!n || n > s.n - i)
			return false;
		point &= 0xffu >> (n + 1);
		for (size_t k = 1; k < n; k++) {
			if ((s.p[i + k] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (s.p[i + k] & 0x3f);
		}
		if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
			return false;
		i += n;
	}
	return true;
}
