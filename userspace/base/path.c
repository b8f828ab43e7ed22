// SPDX-License-Identifier: Apache-2.0
/*
 * Most paths are canonical, which one pass over a table of character classes shows. The others are
 * written anew in one pass: each segment is decoded to the end of the output, and looked at when it
 * is complete.
 */
#include "base/path.h"

#include <errno.h>
#include "weft/str.h"

enum { PLAIN, UNRESERVED, SLASH, PERCENT, BACKSLASH, FRAGMENT, FORBIDDEN };

/* Bytes from 0x80 on are no URI, but passed on by those who write them: plain. */
static const uint8_t class[256] = {
	[0 ... 0x20] = FORBIDDEN, [0x7f] = FORBIDDEN, ['0' ... '9'] = UNRESERVED,
	['A' ... 'Z'] = UNRESERVED, ['a' ... 'z'] = UNRESERVED, ['-'] = UNRESERVED,
	['.'] = UNRESERVED, ['_'] = UNRESERVED, ['~'] = UNRESERVED, ['/'] = SLASH,
	['%'] = PERCENT, ['\\'] = BACKSLASH, ['#'] = FRAGMENT,
};

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int refuse(const char *words, const char **why)
{
	*why = words;
	return -EINVAL;
}

/* Neither percent-code nor dot segment nor double slash: as it should be. Errors are left to rewrite(). */
static bool canonical(struct slice path, unsigned options)
{
	for (size_t i = 0; i < path.n; i++) {
		uint8_t k = class[(uint8_t)path.p[i]];

		if (k > SLASH)
			return false;
		if (k == SLASH && i + 1 < path.n &&
		    (path.p[i + 1] == '.' || (path.p[i + 1] == '/' && (options & PATH_MERGE_SLASHES))))
			return false;
	}
	return true;
}

/* A percent-code at in.p: to out, which it may not leave longer. Number of bytes written, or -EINVAL. */
static int percent(struct slice in, unsigned options, char *out, const char **why)
{
	static const char digits[] = "0123456789ABCDEF";
	int high = in.n > 2 ? hex(in.p[1]) : -1, low = in.n > 2 ? hex(in.p[2]) : -1, c;

	if (high < 0 || low < 0)
		return refuse("percent sign without two hex digits in the path", why);
	c = high << 4 | low;
	if (!c)
		return refuse("%00 in the path", why);
	if ((options & PATH_REJECT_ESCAPED_SLASHES) && (c == '/' || c == '\\'))
		return refuse("escaped slash in the path", why);
	if (class[c] == UNRESERVED) {
		out[0] = c;
		return 1;
	}
	out[0] = '%';
	out[1] = digits[high];
	out[2] = digits[low];
	return 3;
}

/*
 * out[0, n) ends in a complete segment which begins behind the slash before it. "." goes, ".." goes
 * with the one before. Returns what is left, which ends in that slash when a segment went.
 */
static size_t dots(const char *out, size_t n)
{
	size_t start = n;

	while (out[start - 1] != '/')
		start--;
	if (n - start == 1 && out[start] == '.')
		return start;
	if (n - start != 2 || out[start] != '.' || out[start + 1] != '.')
		return n;
	if (start == 1)
		return 1;
	for (start--; out[start - 1] != '/'; start--)
		;
	return start;
}

static int rewrite(struct slice path, unsigned options, char *out, size_t *len, const char **why)
{
	size_t n = 0;
	int k;

	for (size_t i = 0; i < path.n; i++) {
		struct slice rest = { path.p + i, path.n - i };

		switch (class[(uint8_t)path.p[i]]) {
		case SLASH:
			if (n)
				n = dots(out, n);
			/* A segment that went has left its slash, and that is this one. */
			if (n && out[n - 1] == '/' &&
			    (path.p[i - 1] != '/' || (options & PATH_MERGE_SLASHES)))
				break;
			out[n++] = '/';
			break;
		case PERCENT:
			k = percent(rest, options, out + n, why);
			if (k < 0)
				return k;
			n += k;
			i += 2;
			break;
		case BACKSLASH:
			return refuse("backslash in the path", why);
		case FRAGMENT:
			return refuse("fragment in the request target", why);
		case FORBIDDEN:
			return refuse("control character or space in the path", why);
		default:
			out[n++] = path.p[i];
		}
	}
	*len = dots(out, n);
	return 0;
}

static int check_query(struct slice query, const char **why)
{
	for (size_t i = 0; i < query.n; i++) {
		uint8_t k = class[(uint8_t)query.p[i]];

		if (k == FRAGMENT)
			return refuse("fragment in the request target", why);
		if (k == FORBIDDEN)
			return refuse("control character or space in the query", why);
	}
	return 0;
}

int path_normalise(struct slice target, unsigned options, char *room, struct slice *out, const char **why)
{
	const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
	struct slice path = { target.p, mark ? (size_t)(mark - target.p) : target.n };
	struct slice query = { target.p + path.n, target.n - path.n };
	size_t n;
	int err;

	*out = target;
	if (slice_eq(target, SLICE_LIT("*")))
		return 0;
	if (!path.n || path.p[0] != '/')
		return refuse("the path does not begin with a slash", why);
	err = check_query(query, why);
	if (err || canonical(path, options))
		return err;
	err = rewrite(path, options, room, &n, why);
	if (err)
		return err;
	if (query.n)
		memcpy(room + n, query.p, query.n);
	/* The same after all ("/.x"): its owner may go on with the bytes as they came. */
	if (n != path.n || memcmp(room, path.p, n))
		*out = (struct slice){ room, n + query.n };
	return 0;
}
