// SPDX-License-Identifier: Apache-2.0
/* Which names and characters may stand where (RFC 9110 5.6.2, 6.5.1, 7.6.1; RFC 3986 3.2). */
#include "proto/http1_priv.h"

#include "base/bytes.h"
#include "weft/str.h"

#define N(text) { (text), sizeof(text) - 1 }

/* Is one of these. NULL ends a list. Most are of another length. */
static bool among(struct slice name, const struct slice *list)
{
	for (; list->p; list++)
		if (name.n == list->n && slice_eq_nocase(name, *list))
			return true;
	return false;
}

/* By length: of nearly all names no byte is looked at. */
bool http1_is_hop(struct slice name)
{
	switch (name.n) {
	case 7:
		return HTTP1_IS(name, "upgrade");
	case 10:
		return HTTP1_IS(name, "connection") || HTTP1_IS(name, "keep-alive");
	case 14:
		return HTTP1_IS(name, "http2-settings");
	case 16:
		return HTTP1_IS(name, "proxy-connection");
	case 17:
		return HTTP1_IS(name, "transfer-encoding");
	}
	return false;
}

#define TRAILER_NO(X)                                                                                                 \
	X("host") X("content-length") X("te") X("trailer")                                                             \
	/* how the content is to be read */                                                                            \
	X("content-encoding") X("content-type") X("content-range") X("range")                                          \
	/* what decides where the request goes, and who sent it */                                                     \
	X("authorization") X("proxy-authorization") X("proxy-authenticate") X("www-authenticate") X("cookie")          \
	X("set-cookie") X("forwarded") X("x-forwarded-for") X("x-forwarded-proto") X("x-forwarded-host")               \
	X("x-forwarded-port") X("x-forwarded-client-cert") X("x-real-ip") X("expect") X("max-forwards")                \
	X("cache-control") X("location") X("vary")

/* grpc-status has a length that none of the names has: most are done with one look. */
bool http1_is_trailer_forbidden(struct slice name)
{
#define NO_ROW_(text) N(text),
#define NO_LENGTH_(text) | 1u << (sizeof(text) - 1)
	static const struct slice no[] = { TRAILER_NO(NO_ROW_) { NULL, 0 } };
	static const uint32_t lengths = 0 TRAILER_NO(NO_LENGTH_);
#undef NO_LENGTH_
#undef NO_ROW_

	return http1_is_hop(name) || (name.n < 32 && lengths >> name.n & 1 && among(name, no));
}

bool http1_is_connection_forbidden(struct slice name)
{
	static const struct slice no[] = {
		N("host"), N("content-length"), N("transfer-encoding"), N("content-type"), N("content-encoding"), N("content-range"),
		N("authorization"), N("cookie"), N("set-cookie"), N("forwarded"), N("x-forwarded-for"), N("x-forwarded-proto"),
		N("x-forwarded-host"), N("x-forwarded-port"), N("x-forwarded-client-cert"), N("x-real-ip"), N("x-request-id"),
		N("expect"), N("cache-control"), N("location"), N("date"), N("via"), { NULL, 0 }
	};

	return among(name, no);
}

enum { TOKEN = 1, REG_NAME = 2, IP_LITERAL = 4, TARGET = 8 };

/* TARGET: what a path with its query is made of, and more that servers take: nothing below '!', no DEL, no '#'. */
static const uint8_t class[256] = {
	['0' ... '9'] = TOKEN | REG_NAME | IP_LITERAL | TARGET,
	['a' ... 'f'] = TOKEN | REG_NAME | IP_LITERAL | TARGET, ['A' ... 'F'] = TOKEN | REG_NAME | IP_LITERAL | TARGET,
	['g' ... 'z'] = TOKEN | REG_NAME | TARGET, ['G' ... 'Z'] = TOKEN | REG_NAME | TARGET,
	['.'] = TOKEN | REG_NAME | IP_LITERAL | TARGET, [':'] = IP_LITERAL | TARGET,
	['!'] = TOKEN | REG_NAME | TARGET, ['$'] = TOKEN | REG_NAME | TARGET, ['%'] = TOKEN | REG_NAME | TARGET,
	['&'] = TOKEN | REG_NAME | TARGET, ['\''] = TOKEN | REG_NAME | TARGET, ['*'] = TOKEN | REG_NAME | TARGET,
	['+'] = TOKEN | REG_NAME | TARGET, ['-'] = TOKEN | REG_NAME | TARGET, ['_'] = TOKEN | REG_NAME | TARGET,
	['~'] = TOKEN | REG_NAME | TARGET, ['('] = REG_NAME | TARGET, [')'] = REG_NAME | TARGET, [';'] = REG_NAME | TARGET,
	['='] = REG_NAME | TARGET, ['#'] = TOKEN, ['^'] = TOKEN | TARGET, ['`'] = TOKEN | TARGET, ['|'] = TOKEN | TARGET,
	['"'] = TARGET, [','] = TARGET, ['/'] = TARGET, ['<'] = TARGET, ['>'] = TARGET, ['?'] = TARGET, ['@'] = TARGET,
	['['] = TARGET, ['\\'] = TARGET, [']'] = TARGET, ['{'] = TARGET, ['}'] = TARGET,
};

static size_t span(struct slice s, size_t at, uint8_t want)
{
	while (at < s.n && (class[(uint8_t)s.p[at]] & want))
		at++;
	return at;
}

const char *http1_token_end(const char *p)
{
	while (class[(uint8_t)*p] & TOKEN)
		p++;
	return p;
}

static bool all_of(struct slice s, uint8_t want)
{
	const uint8_t *p = (const uint8_t *)s.p;

	for (; s.n >= 4; p += 4, s.n -= 4)
		want &= class[p[0]] & class[p[1]] & class[p[2]] & class[p[3]];
	for (; s.n; p++, s.n--)
		want &= class[*p];
	return want;
}

bool http1_is_token(struct slice s)
{
	return s.n && all_of(s, TOKEN);
}

bool http1_is_target_text(struct slice s)
{
	return s.n && all_of(s, TARGET);
}

/* Eight at a time, what is left byte by byte. */
const char *http1_value_end(const char *p, const char *end)
{
	while (end - p >= 8) {
		unsigned n = bytes_control(p);

		p += n;
		if (n < 8 && *p++ != '\t')
			return p - 1;
	}
	while (p < end && ((uint8_t)*p >= 0x20 || *p == '\t') && *p != 0x7f)
		p++;
	return p;
}

/* host [":" port]; no comma, which the grammar allows and only tricks use. */
bool http1_is_authority(struct slice s)
{
	size_t n;

	if (s.n && s.p[0] == '[') {
		n = span(s, 1, IP_LITERAL);
		if (n < 3 || n == s.n || s.p[n++] != ']')
			return false;
	} else {
		n = span(s, 0, REG_NAME);
	}
	if (!n || n == s.n)
		return n;
	if (s.p[n++] != ':' || s.n - n > 5)
		return false;
	for (; n < s.n; n++)
		if (s.p[n] < '0' || s.p[n] > '9')
			return false;
	return true;
}
