/* SPDX-License-Identifier: Apache-2.0 */
#include "client/url.h"

#include <string.h>
#include "base/num.h"
#include "weft/conf.h"
#include "weft/str.h"

static bool skip(struct slice *s, struct slice prefix)
{
	if (s->n < prefix.n || !slice_eq_nocase((struct slice){ s->p, prefix.n }, prefix))
		return false;
	s->p += prefix.n;
	s->n -= prefix.n;
	return true;
}

/* Up to the first of these characters, which stays in s. */
static struct slice take(struct slice *s, const char *ends)
{
	struct slice t = { s->p, 0 };

	while (s->n && !strchr(ends, s->p[0])) {
		s->p++;
		s->n--;
		t.n++;
	}
	return t;
}

static const char *path_of(struct slice rest, struct url *out)
{
	out->path = rest.n ? rest : SLICE_LIT("/");
	return out->path.p[0] == '/' ? NULL : "want a path that begins with /";
}

static const char *parse_unix(struct slice rest, struct url *out)
{
	out->socket = take(&rest, ":");
	out->authority = out->host = SLICE_LIT("localhost");
	if (!out->socket.n || out->socket.p[0] != '/')
		return "want unix:/path/of/socket:/path";
	if (out->socket.n > URL_SOCKET_MAX)
		return "the path of a unix socket has at most 107 bytes";
	skip(&rest, SLICE_LIT(":"));
	return path_of(rest, out);
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], l = (char)(c | 0x20);

		if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return s.n && s.n <= URL_HOST_MAX && s.p[0] != '.';
}

/* "[2001:db8::1]" */
static const char *parse_bracket(struct slice *rest, struct url *out)
{
	struct ip ip;

	skip(rest, SLICE_LIT("["));
	out->host = take(rest, "]/");
	if (!skip(rest, SLICE_LIT("]")) || !memchr(out->host.p, ':', out->host.n) || ip_parse(out->host, &ip))
		return "between [ and ] want an IPv6 address";
	return NULL;
}

static const char *parse_host(struct slice *rest, struct url *out)
{
	if (rest->n && rest->p[0] == '[')
		return parse_bracket(rest, out);
	out->host = take(rest, ":/?");
	return is_name(out->host) ? NULL : "want a host's name or address, without user or password";
}

static const char *parse_port(struct slice *rest, struct url *out)
{
	struct slice digits;
	uint64_t port;

	out->port = out->tls ? 443 : 80;
	if (!skip(rest, SLICE_LIT(":")))
		return NULL;
	digits = take(rest, "/?");
	if (num_u64(digits, &port) || !port || port > UINT16_MAX)
		return "want a port of 1 to 65535";
	out->port = (uint16_t)port;
	return NULL;
}

struct slice url_shown(struct slice text)
{
	struct slice s = take(&text, "?#");

	return s.n && memchr(s.p, '@', s.n) ? SLICE_LIT("(a URL with @)") : s;
}

const char *url_parse(struct slice text, struct url *out)
{
	struct slice rest = text;
	const char *why;

	*out = (struct url){ 0 };
	if (text.n > URL_MAX)
		return "at most 8192 bytes are allowed";
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f || text.p[i] == '#')
			return "want visible ASCII without #; everything else is to be percent-encoded";
	if (skip(&rest, SLICE_LIT("unix:")))
		return parse_unix(rest, out);
	out->tls = skip(&rest, SLICE_LIT("https://"));
	if (!out->tls && !skip(&rest, SLICE_LIT("http://")))
		return "want http://, https:// or unix:";
	out->authority.p = rest.p;
	why = parse_host(&rest, out);
	if (!why)
		why = parse_port(&rest, out);
	out->authority.n = (size_t)(rest.p - out->authority.p);
	return why ? why : path_of(rest, out);
}
