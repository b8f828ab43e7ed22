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

static inline struct slice hex_all(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

/* got holds these bytes and no others; then it is emptied. False: what it holds is on stderr. */
static inline bool hex_is(struct buf *got, const char *hex)
{
	struct slice g = hex_all(got), w;
	struct buf want = { 0 };
	bool same;

	hex_add(&want, hex);
	w = hex_all(&want);
	same = g.n == w.n && !memcmp(g.p, w.p, g.n);
	for (size_t i = 0; i < g.n && !same; i++)
		fprintf(stderr, "%02x%s", (uint8_t)g.p[i], i + 1 < g.n ? "" : "\n");
	buf_fini(&want);
	buf_fini(got);
	return same;
}
