/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http_name.h"

#include <string.h>

#include "weft/str.h"

static bool token_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!token_byte((unsigned char)s.p[i]))
			return false;
	}
	return s.n;
}

bool http_name_frames(struct slice name)
{
	static const char *const names[] = { "connection", "content-length", "host", "keep-alive", "proxy-connection", "te",
					     "trailer", "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_eq_nocase(name, slice_str(names[i])))
			return true;
	}
	return false;
}

static bool rooted_without(struct slice s, const char *not)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || strchr(not, c))
			return false;
	}
	return s.n && s.p[0] == '/';
}

bool http_is_path(struct slice s)
{
	return rooted_without(s, "");
}

bool http_is_cookie_path(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] > 0x7f)
			return false;
	}
	return rooted_without(s, ";");
}

bool http_is_server_name(struct slice s)
{
	const char *star = s.n ? memchr(s.p, '*', s.n) : NULL;

	return s.n && (!star || (star == s.p && s.n >= 3 && s.p[1] == '.' && !memchr(s.p + 1, '*', s.n - 1)));
}
