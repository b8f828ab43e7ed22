// SPDX-License-Identifier: Apache-2.0
/*
 * A head: its bytes are looked through until its end is there, copied once, and parsed by llhttp in
 * one go, so that every slice of the msg points into the copy. What llhttp lets pass and we do not
 * is refused here.
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

/* ---- llhttp's callbacks ---- */

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
	if (h->nconnection == sizeof(h->connection) / sizeof(h->connection[0]))
		return malformed(h, "too many Connection headers");
	h->connection[h->nconnection++] = h->value;
	return 0;
}

/* Of TE only "trailers" goes on (RFC 9110 10.1.4). */
static int keep_te(struct http1_head *h)
{
	return HTTP1_IS(h->value, "trailers") ? keep(h) : 0;
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
		return HTTP1_IS(name, "keep-alive") ? 0 : keep(h);
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

static int line_done(struct http1_head *h)
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

/* The bytes lie in one piece, so parts of one span follow each other. */
static void extend(struct slice *s, const char *at, size_t n)
{
	if (!s->p)
		s->p = at;
	s->n += n;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	extend(&h->target, at, n);
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	if (h->in_value && line_done(h))
		return HPE_USER;
	extend(&h->name, at, n);
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	h->in_value = true;
	extend(&h->value, at, n);
	return 0;
}

/* A line without a value is in_value too: llhttp gives the empty span. */
static int on_end(llhttp_t *p)
{
	struct http1_head *h = p->data;

	if (h->in_value && line_done(h))
		return HPE_USER;
	h->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_end,
	.on_message_complete = on_end,
};

/* ---- what llhttp refused, in our words ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static const char *line_words(struct slice raw, const char *at)
{
	const char *line = at;

	if (*at == '\0')
		return "NUL in a header";
	while (line > raw.p && line[-1] != '\n')
		line--;
	if (memchr(line, ':', at - line))
		return "control character in a header value";
	if (is_space(*at) || (at > line && is_space(at[-1])))
		return "space in or behind a header name";
	return *at == '\r' ? "header without a colon" : "character that no header name may have";
}

/* What stands behind the name; the head ends in an empty line, so the line's end is there. */
static const char *length_words(struct slice name)
{
	const char *p = name.p + name.n + 1;

	while (is_space(*p))
		p++;
	if (*p == '\r')
		return "empty Content-Length";
	while (*p >= '0' && *p <= '9')
		p++;
	return *p == '\r' ? "Content-Length over 2^63" : "Content-Length that is no number";
}

/* llhttp stopped within the line of a framing header, or behind its name. */
static const char *framing_words(const struct http1_head *h)
{
	bool length = HTTP1_IS(h->name, "content-length"), coding = HTTP1_IS(h->name, "transfer-encoding");

	if (h->trailing && (length || coding))
		return "trailer that only a head may have";
	if ((h->ncoding && h->nlength) || (h->ncoding && length) || (h->nlength && coding))
		return "both Content-Length and Transfer-Encoding";
	if (coding && h->ncoding)
		return "Transfer-Encoding more than once";
	return NULL;
}

static const char *error_words(const struct http1_head *h, llhttp_errno_t err, const char *at)
{
	switch (err) {
	case HPE_INVALID_HEADER_TOKEN:
		return line_words(h->raw, at);
	case HPE_INVALID_URL:
		return "character that no request target may have";
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return "Content-Length more than once";
	case HPE_INVALID_CONTENT_LENGTH:
		return length_words(h->name);
	case HPE_INVALID_TRANSFER_ENCODING:
		return "Transfer-Encoding other than chunked";
	case HPE_LF_EXPECTED:
	case HPE_CR_EXPECTED:
	case HPE_STRICT:
		return "bare CR";
	default:
		return h->c->server ? "malformed request line" : "malformed status line";
	}
}

/* "BREW /pot HTTP/1.1": a method that llhttp does not know, not junk. */
static bool is_method(struct slice raw)
{
	const char *space = memchr(raw.p, ' ', raw.n < 32 ? raw.n : 32);

	return space && http1_is_token((struct slice){ raw.p, space - raw.p });
}

static int llhttp_failed(struct http1_head *h, llhttp_errno_t err)
{
	struct codec *c = h->c;
	const llhttp_t *p = &http1_of(c)->parser;
	const char *words;

	if (h->refused)
		return http1_fail(c, h->why, h->status, h->detail);
	if (err == HPE_INVALID_VERSION)
		return http1_fail(c, PROTO_UNSUPPORTED, 505, "version other than HTTP/1.0 and HTTP/1.1");
	if (c->server && !h->target.p && is_method(h->raw) && err == HPE_INVALID_METHOD)
		return http1_fail(c, PROTO_UNSUPPORTED, 501, "method not known");
	words = framing_words(h);
	return http1_fail(c, PROTO_MALFORMED, 400, words ? words : error_words(h, err, llhttp_get_error_pos(p)));
}

static int execute(struct http1_head *h, struct slice bytes)
{
	llhttp_t *p = &http1_of(h->c)->parser;
	llhttp_errno_t err;

	p->data = h;
	err = llhttp_execute(p, bytes.p, bytes.n);
	if (err == HPE_PAUSED && h->complete && llhttp_get_error_pos(p) == bytes.p + bytes.n)
		return 0;
	return llhttp_failed(h, err);
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

static int connection(struct http1_head *h, unsigned minor)
{
	for (unsigned i = 0; i < h->nconnection; i++)
		if (options(h, h->connection[i]))
			return -EPROTO;
	if (minor ? h->close : !h->keep_alive || h->close)
		h->m->flags |= MSG_CLOSE;
	return 0;
}

/* ---- length of the body ---- */

/* RFC 9112 6.3, without what is allowed and only ever used to disagree. Sets m->body_len, unknown when chunked. */
static int framing(struct http1_head *h, const llhttp_t *p)
{
	struct msg *m = h->m;

	if (h->ncoding && h->nlength)
		return malformed(h, "both Content-Length and Transfer-Encoding");
	if (h->ncoding && !p->http_minor)
		return malformed(h, "Transfer-Encoding in HTTP/1.0");
	if (h->ncoding > 1)
		return malformed(h, "Transfer-Encoding more than once");
	if (h->ncoding && !HTTP1_IS(h->coding, "chunked"))
		return malformed(h, "Transfer-Encoding other than chunked");
	if (h->nlength && p->content_length > INT64_MAX)
		return malformed(h, "Content-Length over 2^63");
	if (!!h->ncoding != !!(p->flags & F_CHUNKED) || !!h->nlength != !!(p->flags & F_CONTENT_LENGTH))
		return malformed(h, "length of the body in doubt");
	m->body_len = h->ncoding ? MSG_LENGTH_UNKNOWN : (int64_t)p->content_length;
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
	m->scheme = (struct slice){ t.p, skip - 3 };
	m->authority = (struct slice){ t.p + skip, end - skip };
	if (!http1_is_authority(m->authority))
		return authority_words(h, m->authority, "host of the request target is no host");
	m->path = (struct slice){ t.p + end, t.n - end };
	if (!m->path.n)
		m->path = http1_of(h->c)->parser.method == HTTP_OPTIONS ? SLICE_LIT("*") : SLICE_LIT("/");
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
	if (http1_of(h->c)->parser.method == HTTP_CONNECT)
		return authority_form(h);
	if (h->target.p[0] == '/')
		return 0;
	if (!slice_eq(h->target, SLICE_LIT("*")))
		return absolute_form(h);
	return http1_of(h->c)->parser.method == HTTP_OPTIONS ? 0 : malformed(h, "target * with a method other than OPTIONS");
}

/* RFC 9112 3.2: one Host, and it gives way to an authority in the target. */
static int host(struct http1_head *h, unsigned minor)
{
	if (h->nhost > 1)
		return malformed(h, "more than one Host");
	if (!h->nhost && minor)
		return malformed(h, "no Host");
	if (h->host.n && !http1_is_authority(h->host))
		return authority_words(h, h->host, "Host is no host");
	if (!h->m->authority.n)
		h->m->authority = h->host;
	return 0;
}

static int expect(struct http1_head *h, unsigned minor)
{
	struct slice value = msg_get(h->m, SLICE_LIT("expect"));

	/* Means nothing there, and would where this goes on as HTTP/1.1. */
	if (!minor) {
		drop_named(h->m, SLICE_LIT("expect"));
		return 0;
	}
	if (!HTTP1_IS(value, "100-continue"))
		return refuse(h, PROTO_UNSUPPORTED, 417, "expectation other than 100-continue");
	if (h->m->body_len)
		h->m->flags |= MSG_EXPECT_CONTINUE;
	return 0;
}

/* Upgrade to nothing but WebSocket: h2c would take the rest of the connection past every rule. */
static int upgrade(struct http1_head *h, const llhttp_t *p)
{
	struct msg *m = h->m;
	bool body = m->body_len != 0;

	if (p->method == HTTP_TRACE && body)
		return malformed(h, "TRACE with a body");
	if (p->method == HTTP_CONNECT && body)
		return malformed(h, "CONNECT with a body");
	if (p->method == HTTP_CONNECT)
		m->upgrade = SLICE_LIT("connect");
	else if (h->wants_upgrade && HTTP1_IS(h->upgrade, "websocket") && p->method == HTTP_GET && p->http_minor && !body)
		m->upgrade = SLICE_LIT("websocket");
	return 0;
}

static int request(struct http1_head *h)
{
	const llhttp_t *p = &http1_of(h->c)->parser;
	int err = request_line(h);

	if (!err)
		err = target(h);
	if (!err)
		err = host(h, p->http_minor);
	if (!err && h->nconnection + !p->http_minor)
		err = connection(h, p->http_minor);
	if (!err)
		err = framing(h, p);
	if (!err && h->expect)
		err = expect(h, p->http_minor);
	return err ? err : upgrade(h, p);
}

/* ---- responses ---- */

static int status_line(struct http1_head *h, const llhttp_t *p)
{
	struct msg *m = h->m;
	const char *line = h->raw.p, *end = memchr(line, '\r', h->raw.n);

	if (memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return refuse(h, PROTO_UNSUPPORTED, 505, "version other than HTTP/1.0 and HTTP/1.1");
	if (p->status_code < 100)
		return malformed(h, "status below 100");
	m->status = p->status_code;
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
	if (!http1_of(h->c)->upgrade || !h->wants_upgrade || !HTTP1_IS(h->upgrade, "websocket"))
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
static int response_body(struct http1_head *h, const llhttp_t *p)
{
	const struct http1 *s = http1_of(h->c);
	struct msg *m = h->m;
	bool body = h->ncoding || p->content_length;
	int err;

	if (m->status == 101)
		return switching(h);
	if (s->is_connect && m->status >= 200 && m->status < 300) {
		m->upgrade = SLICE_LIT("connect");
		return 0;
	}
	err = framing(h, p);
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
	const llhttp_t *p = &http1_of(h->c)->parser;
	int err = status_line(h, p);

	if (!err && h->nconnection + !p->http_minor)
		err = connection(h, p->http_minor);
	return err ? err : response_body(h, p);
}

int http1_head_parse(struct codec *c, struct slice raw, struct http1_head *h)
{
	struct http1 *s = http1_of(c);
	struct msg *m = s->m;
	int err;

	memset(h, 0, sizeof(*h));
	h->c = c;
	h->m = m;
	h->max_lines = http1_limit(c->limits->headers, HTTP1_HEADERS_MAX);
	m->proto = c->ops;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	m->raw = h->raw = msg_dup(m, raw);
	if (!h->raw.p)
		return http1_fail(c, PROTO_OVERLOAD, 503, "out of memory");
	llhttp_init(&s->parser, c->server ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	err = execute(h, h->raw);
	if (err)
		return err;
	err = c->server ? request(h) : response(h);
	return err ? http1_fail(c, h->why, h->status, h->detail) : 0;
}

/* llhttp stands behind the head of a chunked body; to it, that body is empty. */
int http1_trailers_parse(struct codec *c, struct slice raw, struct http1_head *h)
{
	struct http1 *s = http1_of(c);

	memset(h, 0, sizeof(*h));
	h->c = c;
	h->m = s->m;
	h->trailing = true;
	h->max_lines = http1_limit(c->limits->headers, HTTP1_HEADERS_MAX);
	s->m->proto = c->ops;
	s->m->kind = MSG_TRAILERS;
	s->m->serialization = s->m->wire_status = MSG_NO_STATUS;
	s->m->raw = h->raw = msg_dup(s->m, raw);
	if (!h->raw.p)
		return http1_fail(c, PROTO_OVERLOAD, 503, "out of memory");
	s->parser.data = h;
	llhttp_resume(&s->parser);
	if (llhttp_execute(&s->parser, "0\r\n", 3))
		return http1_fail(c, PROTO_INTERNAL, 502, "trailers out of place");
	return execute(h, h->raw);
}
