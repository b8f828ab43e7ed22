/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as people write them down in tests. */
#pragma once
#include <stdio.h>
#include <string.h>
#include "base/magic.h"
#include "weft/buf.h"

static inline int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "da bb c2" with spaces where one likes, and 'text' in quotes, to the end of b. */
static inline void hex_add(struct buf *b, const char *s)
{
	while (*s) {
		char c;

		if (*s == '\'') {
			const char *end = strchr(s + 1, '\'');

			assert_always(end);
			buf_add(b, s + 1, (size_t)(end - s - 1));
			s = end + 1;
		} else if (*s == ' ') {
			s++;
		} else {
			assert_always(hex_digit(s[0]) >= 0 && hex_digit(s[1]) >= 0);
			c = (char)(hex_digit(s[0]) << 4 | hex_digit(s[1]));
			buf_add(b, &c, 1);
			s += 2;
		}
	}
}
