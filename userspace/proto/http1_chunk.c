// SPDX-License-Identifier: Apache-2.0
/*
 * The line before a chunk (RFC 9112 7.1): size and extensions, which are checked and dropped. Parsers
 * disagree about nothing as much as about this line, so no liberty is taken: no space anywhere, no
 * line end within quotes, bounds on each line and on all of them.
 */
#include "proto/http1_priv.h"

#include "weft/str.h"

static int junk(struct codec *c, const char *detail)
{
	return http1_fail(c, PROTO_MALFORMED, 400, detail);
}

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t token_end(struct slice s, size_t at)
{
	while (at < s.n && http1_is_token((struct slice){ s.p + at, 1 }))
		at++;
	return at;
}

/* Behind the closing quote, or 0: it never closes, or holds a control character. */
static size_t quoted_end(struct slice s, size_t at)
{
	for (at++; at < s.n && s.p[at] != '"'; at++) {
		at += s.p[at] == '\\';
		if (at >= s.n || ((uint8_t)s.p[at] < 0x20 && s.p[at] != '\t') || s.p[at] == 0x7f)
			return 0;
	}
	return at < s.n ? at + 1 : 0;
}

/* *( ";" name [ "=" ( token / quoted-string ) ] ) */
static bool is_extensions(struct slice s)
{
	size_t at = 0, end;

	while (at < s.n) {
		if (s.p[at] != ';')
			return false;
		end = token_end(s, at + 1);
		if (end == at + 1)
			return false;
		at = end;
		if (at == s.n || s.p[at] != '=')
			continue;
		at++;
		end = at < s.n && s.p[at] == '"' ? quoted_end(s, at) : token_end(s, at);
		if (end <= at)
			return false;
		at = end;
	}
	return true;
}

int http1_chunk_line(struct codec *c, struct slice line, uint64_t *size)
{
	struct http1 *h = http1_of(c);
	size_t n = 0;
	uint64_t v = 0;

	while (n < line.n && hex(line.p[n]) >= 0) {
		if (n == 16)
			return junk(c, "chunk size of more than 16 digits");
		v = v << 4 | hex(line.p[n++]);
	}
	if (!n)
		return junk(c, "chunk size that is no number");
	if (v > INT64_MAX)
		return junk(c, "chunk size over 2^63");
	if (n < line.n && line.p[n] != ';')
		return junk(c, "junk behind a chunk size");
	if (!is_extensions((struct slice){ line.p + n, line.n - n }))
		return junk(c, "malformed chunk extension");
	h->ext += line.n - n;
	if (h->ext > HTTP1_CHUNK_EXT_MAX)
		return http1_fail(c, PROTO_TOO_LARGE, 413, "chunk extensions over their size limit");
	*size = v;
	return 0;
}
