// SPDX-License-Identifier: Apache-2.0
/*
 * A head: its bytes are looked through until its end is there, copied once, and parsed in one go, so that every slice of
 * the msg points into the copy. What the parser lets pass and we do not is refused here.
 */
#include "proto/http1_priv.h"

#include <errno.h>
#include "weft/str.h"

ssize_t http1_section(struct codec *c, struct slice s, uint32_t max)
{
	struct http1 *h = http1_of(c);

	for (;;) {
		const char *nl = memchr(s.p + h->seen, '\n', s.n - h->seen);
		size_t at = nl ? (size_t)(nl - s.p) : s.n;

		h->seen = nl ? at + 1 : at;
		if (!nl && at < max)
			return 0;
		if (!nl)
			return c->server && !h->line && h->rx == RX_HEAD ?
				       http1_fail(c, PROTO_HEAD_TOO_LARGE, 414, "request target over its size limit") :
				       http1_fail(c, PROTO_HEAD_TOO_LARGE, 431, "head over its size limit");
		if (!at || s.p[at - 1] != '\r')
			return http1_fail(c, PROTO_MALFORMED, 400, "line ends with a bare LF");
		if (at - 1 == h->line)
			return at + 1;
		if ((h->line || h->rx == RX_TRAILERS) && (s.p[h->line] == ' ' || s.p[h->line] == '\t'))
			return http1_fail(c, PROTO_MALFORMED, 400, "folded header line");
		h->line = at + 1;
	}
}

/* ---- lines ---- */

static int refuse(struct http1_head *h, enum proto_why why, int status, const char *detail)
{
	h->refused = true;
	h->why = why;
	h->status = status;
	h->detail = detail;
	return HPE_USER;
}

static int malformed(struct http1_head *h, const char *detail)
{
	return refuse(h, PROTO_MALFORMED, 400, detail);
}

static int once(struct slice *to, uint8_t *n, const struct http1_head *h)
{
	*to = h->value;
	if (*n < UINT8_MAX)
		++*n;
	return 0;
}

static int keep(struct http1_head *h)
{
	struct msg *m = h->m;

	if (m->nheaders < m->headers_room) {
		m->headers[m->nheaders++] = (struct msg_header){ h->name, h->value };
		return 0;
	}
	if (msg_push(h->m, h->name, h->value))
		return refuse(h, PROTO_OVERLOAD, 503, "out of memory");
	return 0;
}

static int keep_connection(struct http1_head *h)
{
	if (h->nconnection == HTTP1_CONNECTIONS_MAX)
		return malformed(h, "too many Connection headers");
	h->connection[h->nconnection++] = h->value;
	return 0;
}

/* Of TE only "trailers" goes on (RFC 9110 10.1.4). */
static int keep_te(struct http1_head *h)
{
	return HTTP1_IS(h->value, "trailers") ? keep(h) : 0;
}

/* "timeout=5, max=100" (RFC 2068 19.7.1.1); what is of another form says nothing. */
static void note_idle(struct http1_head *h)
{
	static const char name[] = "timeout=";
	const char *p = h->value.p, *end = p + h->value.n, *digits;
	uint64_t s = 0;

	while (p < end && ((size_t)(end - p) < sizeof(name) || strncasecmp(p, name, sizeof(name) - 1))) {
		p = memchr(p, ',', (size_t)(end - p));
		for (p = p ? p + 1 : end; p < end && (*p == ' ' || *p == '\t');)
			p++;
	}
	if (p == end)
		return;
	digits = p += sizeof(name) - 1;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		s = s < UINT32_MAX ? s * 10 + (uint64_t)(*p - '0') : s;
	if (p > digits && (p == end || *p == ',' || *p == ' ' || *p == '\t'))
		h->m->idle_ms = !s ? 1 : s < UINT32_MAX / 1000 ? (uint32_t)s * 1000 : UINT32_MAX;
}

/* By length: nearly all headers are done with one comparison of numbers. */
static int line_by_name(struct http1_head *h)
{
	struct slice name = h->name;

	switch (name.n) {
	case 2:
		return HTTP1_IS(name, "te") ? keep_te(h) : keep(h);
	case 4:
		if (HTTP1_IS(name, "host"))
			once(&h->host, &h->nhost, h);
		break;
	case 6:
		h->expect |= HTTP1_IS(name, "expect");
		break;
	case 7:
		if (!HTTP1_IS(name, "upgrade"))
			break;
		h->upgrade = h->value;
		return 0;
	case 10:
		if (HTTP1_IS(name, "connection"))
			return keep_connection(h);
		if (!HTTP1_IS(name, "keep-alive"))
			break;
		note_idle(h);
		return 0;
	case 14:
		if (HTTP1_IS(name, "content-length"))
			once(&h->length, &h->nlength, h);
		else if (HTTP1_IS(name, "http2-settings"))
			return 0;
		break;
	case 16:
		return HTTP1_IS(name, "proxy-connection") ? 0 : keep(h);
	case 17:
		return HTTP1_IS(name, "transfer-encoding") ? once(&h->coding, &h->ncoding, h) : keep(h);
	}
	return keep(h);
}

int http1_line(struct http1_head *h)
{
	int err;

	while (h->value.n && (h->value.p[h->value.n - 1] == ' ' || h->value.p[h->value.n - 1] == '\t'))
		h->value.n--;
	/* llhttp gives an empty span anywhere up to the line's end. */
	if (!h->value.n)
		h->value.p = h->name.p + h->name.n + 1;
	if (++h->nlines > h->max_lines)
		return refuse(h, PROTO_HEAD_TOO_LARGE, 431, "more headers than the limit");
	if (h->trailing)
		err = http1_is_trailer_forbidden(h->name) ? malformed(h, "trailer that only a head may have") : keep(h);
	else
		err = line_by_name(h);
	h->name = h->value = (struct slice){ 0 };
	h->in_value = false;
	return err;
}

/* ---- Connection, and what it names ---- */

static void drop_named(struct msg *m, struct slice name)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->nheaders; i++)
		if (!slice_eq_nocase(m->headers[i].name, name))
			m->headers[kept++] = m->headers[i];
	m->nheaders = kept;
}

static int option(struct http1_head *h, struct slice o)
{
	if (!o.n)
		return 0;
	if (!http1_is_token(o))
		return malformed(h, "Connection names what is no header name");
	if (HTTP1_IS(o, "close"))
		h->close = true;
	else if (HTTP1_IS(o, "keep-alive"))
		h->keep_alive = true;
	else if (HTTP1_IS(o, "upgrade"))
		h->wants_upgrade = true;
	else if (http1_is_connection_forbidden(o))
		return malformed(h, "Connection names a header that is not its own");
	else if (!HTTP1_IS(o, "te") && !http1_is_hop(o))
		drop_named(h->m, o);
	return 0;
}

static int options(struct http1_head *h, struct slice list)
{
	size_t at = 0;

	while (at < list.n) {
		const char *comma = memchr(list.p + at, ',', list.n - at);
		struct slice o = { list.p + at, comma ? (size_t)(comma - list.p) - at : list.n - at };

		at += o.n + 1;
		while (o.n && (*o.p == ' ' || *o.p == '\t'))
			o.p++, o.n--;
		while (o.n && (o.p[o.n - 1] == ' ' || o.p[o.n - 1] == '\t'))
			o.n--;
		if (option(h, o))
			return -EPROTO;
	}
	return 0;
}

static int connection(struct http1_head *h)
{
	for (unsigned i = 0; i < h->nconnection; i++)
		if (options(h, h->connection[i]))
			return -EPROTO;
	if (h->minor ? h->close : !h->keep_alive || h->close)
		h->m->flags |= MSG_CLOSE;
	return 0;
}

/* ---- length of the body ---- */

/* RFC 9112 6.3, without what is allowed and only ever used to disagree. Sets m->body_len, unknown when chunked. */
static int framing(struct http1_head *h)
{
	struct msg *m = h->m;

	if (h->ncoding && h->nlength)
		return malformed(h, "both Content-Length and Transfer-Encoding");
	if (h->ncoding && !h->minor)
		return malformed(h, "Transfer-Encoding in HTTP/1.0");
	if (h->ncoding > 1)
		return malformed(h, "Transfer-Encoding more than once");
	if (h->ncoding && !HTTP1_IS(h->coding, "chunked"))
		return malformed(h, "Transfer-Encoding other than chunked");
	if (h->nlength && h->content_length > INT64_MAX)
		return malformed(h, "Content-Length over 2^63");
	if (!!h->ncoding != h->chunked || !!h->nlength != h->counted)
		return malformed(h, "length of the body in doubt");
	m->body_len = h->ncoding ? MSG_LENGTH_UNKNOWN : (int64_t)h->content_length;
	return 0;
}

/* ---- requests ---- */

static bool is_userinfo(struct slice authority)
{
	return authority.n && memchr(authority.p, '@', authority.n);
}

static int authority_words(struct http1_head *h, struct slice authority, const char *words)
{
	return malformed(h, is_userinfo(authority) ? "user name before a host" : words);
}

/* http://host[:port][/path][?query] (RFC 9112 3.2.2) */
static int absolute_form(struct http1_head *h)
{
	struct msg *m = h->m;
	struct slice t = h->target;
	size_t skip = t.n > 7 && !strncasecmp(t.p, "http://", 7) ? 7 : t.n > 8 && !strncasecmp(t.p, "https://", 8) ? 8 : 0;
	size_t end = skip;
	char *path;

	if (!skip)
		return malformed(h, "request target of no known form");
	while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
		end++;
	m->scheme = skip == 7 ? SLICE_LIT("http") : SLICE_LIT("https"); /* in any case: RFC 3986 3.1 */
	m->authority = (struct slice){ t.p + skip, end - skip };
	if (!http1_is_authority(m->authority))
		return authority_words(h, m->authority, "host of the request target is no host");
	m->path = (struct slice){ t.p + end, t.n - end };
	if (!m->path.n)
		m->path = h->method == HTTP_OPTIONS ? SLICE_LIT("*") : SLICE_LIT("/");
	if (m->path.p[0] != '?')
		return 0;
	path = msg_alloc(m, m->path.n + 1);
	if (!path)
		return refuse(h, PROTO_OVERLOAD, 503, "out of memory");
	path[0] = '/';
	memcpy(path + 1, m->path.p, m->path.n);
	m->path = (struct slice){ path, m->path.n + 1 };
	return 0;
}

static int authority_form(struct http1_head *h)
{
	struct slice t = h->target;
	const char *colon = memrchr(t.p, ':', t.n);

	if (!http1_is_authority(t) || !colon || colon == t.p || colon + 1 == t.p + t.n || t.p[t.n - 1] == ']')
		return authority_words(h, t, "target of CONNECT is not host:port");
	h->m->authority = t;
	h->m->path = (struct slice){ 0 };
	return 0;
}

/* Method, one space, target, one space, version: llhttp is patient with spaces. */
static int request_line(struct http1_head *h)
{
	struct slice t = h->target, raw = h->raw;
	const char *end = t.p + t.n;

	if (!t.p || t.p - raw.p < 2)
		return malformed(h, "no request target");
	h->m->method = (struct slice){ raw.p, t.p - raw.p - 1 };
	if (memchr(raw.p, ' ', t.p - raw.p) != t.p - 1)
		return malformed(h, "more than one space in the request line");
	if (raw.p + raw.n - end < 13 || memcmp(end, " HTTP/1.", 8)) {
		bool spaces = end[0] == ' ' && end[1] == ' ';

		return spaces ? malformed(h, "more than one space in the request line") :
				refuse(h, PROTO_UNSUPPORTED, 505, "version other than HTTP/1.0 and HTTP/1.1");
	}
	if (t.n > http1_limit(h->c->limits->target_bytes, HTTP1_TARGET_MAX))
		return refuse(h, PROTO_HEAD_TOO_LARGE, 414, "request target over its size limit");
	if (memchr(t.p, '#', t.n))
		return malformed(h, "fragment in the request target");
	return 0;
}

static int target(struct http1_head *h)
{
	struct msg *m = h->m;

	m->path = m->path_raw = h->target;
	if (h->method == HTTP_CONNECT)
		return authority_form(h);
	if (h->target.p[0] == '/')
		return 0;
	if (!slice_eq(h->target, SLICE_LIT("*")))
		return absolute_form(h);
	return h->method == HTTP_OPTIONS ? 0 : malformed(h, "target * with a method other than OPTIONS");
}

/* RFC 9112 3.2: one Host, and it gives way to an authority in the target. */
static int host(struct http1_head *h)
{
	if (h->nhost > 1)
		return malformed(h, "more than one Host");
	if (!h->nhost && h->minor)
		return malformed(h, "no Host");
	if (h->host.n && !http1_is_authority(h->host))
		return authority_words(h, h->host, "Host is no host");
	if (!h->m->authority.n)
		h->m->authority = h->host;
	return 0;
}

static int expect(struct http1_head *h)
{
	struct slice value = msg_get(h->m, SLICE_LIT("expect"));

	/* Means nothing there, and would where this goes on as HTTP/1.1. */
	if (!h->minor) {
		drop_named(h->m, SLICE_LIT("expect"));
		return 0;
	}
	if (!HTTP1_IS(value, "100-continue"))
		return refuse(h, PROTO_UNSUPPORTED, 417, "expectation other than 100-continue");
	/* Without a body there is nothing to wait for (RFC 9110 10.1.1): a host that waits nevertheless takes what is next for it. */
	if (h->m->body_len)
		h->m->flags |= MSG_EXPECT_CONTINUE;
	else
		drop_named(h->m, SLICE_LIT("expect"));
	return 0;
}

/* Upgrade to nothing but WebSocket: h2c would take the rest of the connection past every rule. */
static int upgrade(struct http1_head *h)
{
	struct msg *m = h->m;
	bool body = m->body_len != 0;

	if (h->method == HTTP_TRACE && body)
		return malformed(h, "TRACE with a body");
	if (h->method == HTTP_CONNECT && body)
		return malformed(h, "CONNECT with a body");
	if (h->method == HTTP_CONNECT)
		m->upgrade = SLICE_LIT("connect");
	else if (h->wants_upgrade && HTTP1_IS(h->upgrade, "websocket") && h->method == HTTP_GET && h->minor && !body)
		m->upgrade = SLICE_LIT("websocket");
	return 0;
}

static int request(struct http1_head *h)
{
	int err = request_line(h);

	if (!err)
		err = target(h);
	if (!err)
		err = host(h);
	if (!err && h->nconnection + !h->minor)
		err = connection(h);
	if (!err)
		err = framing(h);
	if (!err && h->expect)
		err = expect(h);
	return err ? err : upgrade(h);
}

/* ---- responses ---- */

static int status_line(struct http1_head *h)
{
	struct msg *m = h->m;
	const char *line = h->raw.p, *end = memchr(line, '\r', h->raw.n);

	if (memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return refuse(h, PROTO_UNSUPPORTED, 505, "version other than HTTP/1.0 and HTTP/1.1");
	if (h->code < 100)
		return malformed(h, "status below 100");
	m->status = h->code;
	if (end - line > 13)
		m->reason = (struct slice){ line + 13, end - line - 13 };
	for (size_t i = 0; i < m->reason.n; i++)
		if (((uint8_t)m->reason.p[i] < 0x20 && m->reason.p[i] != '\t') || m->reason.p[i] == 0x7f)
			return malformed(h, "control character in the status line");
	return 0;
}

static int switching(struct http1_head *h)
{
	if (h->nlength || h->ncoding)
		return malformed(h, "101 with a body");
	if (http1_of(h->c)->is_connect || !http1_of(h->c)->upgrade || !h->wants_upgrade || !HTTP1_IS(h->upgrade, "websocket"))
		return malformed(h, "101 to what nobody asked for");
	h->m->upgrade = SLICE_LIT("websocket");
	return 0;
}

static void no_body(struct msg *m)
{
	m->flags |= MSG_NO_BODY;
	m->body_len = 0;
}

/* Length of the body by status and method, before the headers count (RFC 9112 6.3). */
static int response_body(struct http1_head *h)
{
	const struct http1 *s = http1_of(h->c);
	struct msg *m = h->m;
	bool body = h->ncoding || h->content_length;
	int err;

	if (m->status == 101)
		return switching(h);
	if (s->is_connect && m->status >= 200 && m->status < 300) {
		m->upgrade = SLICE_LIT("connect");
		return 0;
	}
	err = framing(h);
	if (err)
		return err;
	if (m->status < 200 && (h->ncoding || h->nlength))
		return malformed(h, "1xx with a body");
	if (m->status == 204 && body)
		return malformed(h, "204 with a body");
	if (s->is_head || m->status < 200 || m->status == 204 || m->status == 304)
		no_body(m);
	else if (!h->nlength)
		m->body_len = MSG_LENGTH_UNKNOWN;
	return 0;
}

static int response(struct http1_head *h)
{
	int err = status_line(h);

	if (!err && h->nconnection + !h->minor)
		err = connection(h);
	return err ? err : response_body(h);
}

void http1_head_begin(struct codec *c, struct slice raw, struct http1_head *h)
{
	memset(h, 0, offsetof(struct http1_head, connection));
	h->c = c;
	h->m = http1_of(c)->m;
	h->m->nheaders = 0;
	h->raw = raw;
	h->max_lines = http1_limit(c->limits->headers, HTTP1_HEADERS_MAX);
}

int http1_head_parse(struct codec *c, struct slice raw, struct http1_head *h)
{
	struct msg *m = http1_of(c)->m;
	int err = 0;

	m->proto = c->ops;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	m->raw = msg_dup(m, raw);
	if (!m->raw.p)
		return http1_fail(c, PROTO_OVERLOAD, 503, "out of memory");
	http1_head_begin(c, m->raw, h);
	if (!http1_head_plain(h)) {
		http1_head_begin(c, m->raw, h);
		err = http1_head_llhttp(h);
	}
	if (err)
		return err;
	err = c->server ? request(h) : response(h);
	return err ? http1_fail(c, h->why, h->status, h->detail) : 0;
}

int http1_trailers_parse(struct codec *c, struct slice raw, struct http1_head *h)
{
	struct msg *m = http1_of(c)->m;

	m->proto = c->ops;
	m->kind = MSG_TRAILERS;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	m->raw = msg_dup(m, raw);
	if (!m->raw.p)
		return http1_fail(c, PROTO_OVERLOAD, 503, "out of memory");
	http1_head_begin(c, m->raw, h);
	h->trailing = true;
	return http1_head_llhttp(h);
}
