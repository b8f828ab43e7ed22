// SPDX-License-Identifier: Apache-2.0
/*
 * A head that comes in: its fields become those of a msg. nghttp2 has looked at names, values, pseudo-headers and their
 * order, and at the length of the body (RFC 9113 8.1-8.3); what it lets pass and we do not is refused here.
 */
#include "proto/http2_priv.h"

#include "base/msg_room.h"
#include "proto/grpc.h"
#include "proto/http1_priv.h"

#define FIELD_BYTES 32u                         /* of overhead, by RFC 9113 6.5.2 */
#define TEXT_ROOM 256u                          /* bytes of names and values that are asked for at once */
#define HEAD_FACTOR 4u                          /* over its limit, a head is not even counted to its end */

static struct slice text(nghttp2_rcbuf *b)
{
	nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

	return (struct slice){ (const char *)v.base, v.len };
}

/* Of the msg's memory, a piece for several fields. NULL: out of memory. */
static char *room(struct http2_stream *s, size_t n)
{
	char *p = s->text;

	if (n >= s->text_left) {
		p = msg_room(s->m, n < TEXT_ROOM ? TEXT_ROOM : n);
		if (!p || n >= TEXT_ROOM)
			return p;
		s->text_left = TEXT_ROOM;
	}
	s->text = p + n;
	s->text_left -= (uint32_t)n;
	return p;
}

/* Names of the static table live for ever. False: out of memory. */
static bool keep(struct http2_stream *s, nghttp2_rcbuf *name, struct slice n, struct slice v)
{
	bool fixed = nghttp2_rcbuf_is_static(name);
	char *p = room(s, (fixed ? 0 : n.n) + v.n);

	if (!p)
		return false;
	memcpy(p, v.p, v.n);
	v.p = p;
	if (!fixed)
		n.p = memcpy(p + v.n, n.p, n.n);
	return !msg_push(s->m, n, v);
}

static struct slice *pseudo_field(struct msg *m, struct slice name)
{
	switch (name.n) {
	case 5:
		return HTTP2_IS(name, ":path") ? &m->path : NULL;
	case 7:
		return HTTP2_IS(name, ":method") ? &m->method : HTTP2_IS(name, ":scheme") ? &m->scheme : NULL;
	case 9:
		return HTTP2_IS(name, ":protocol") ? &m->upgrade : NULL;
	case 10:
		return HTTP2_IS(name, ":authority") ? &m->authority : NULL;
	}
	return NULL;
}

static int number(struct slice s)
{
	int n = 0;

	for (size_t i = 0; i < s.n && i < 3; i++)
		n = n * 10 + s.p[i] - '0';
	return n;
}

/* :status comes first, and tells which kind of head this is. */
static void begin_answer(struct http2 *h, struct http2_stream *s, int status)
{
	enum msg_kind kind = status < 200 ? MSG_INFO : MSG_RESPONSE;

	s->m = s->gone ? NULL : h->c->sink->begin(h->c->sink_arg, s->id, kind);
	s->skip = !s->m;
	if (s->m)
		http2_msg_init(h, s->m, kind);
	if (s->m)
		s->m->status = status;
}

static bool pseudo(struct http2 *h, struct http2_stream *s, struct slice name, struct slice value)
{
	struct slice *to;
	char *p;

	if (HTTP2_IS(name, ":status")) {
		begin_answer(h, s, number(value));
		return true;
	}
	to = s->m ? pseudo_field(s->m, name) : NULL;
	if (!to)
		return true;
	p = room(s, value.n);
	if (p)
		*to = (struct slice){ memcpy(p, value.p, value.n), value.n };
	return p;
}

/* What no msg has: hop-by-hop, or only ever used to disagree. */
static bool left_out(const struct http2_stream *s, struct slice name)
{
	if (s->m->kind == MSG_TRAILERS)
		return http1_is_trailer_forbidden(name);
	return name.n == 14 && HTTP2_IS(name, "http2-settings");
}

static void over(struct http2_stream *s, int status)
{
	if (!s->refused)
		s->refused = (uint16_t)status;
}

/* Counted as long as it comes: a head of a thousand times its limit is not decoded to its end. */
static int measure(struct http2 *h, struct http2_stream *s, struct slice name, struct slice value)
{
	uint32_t most = http2_limit(h->c->limits->head_bytes, HTTP2_HEAD_MAX);

	s->head_bytes += name.n + value.n + FIELD_BYTES;
	s->head_lines += name.p[0] != ':';
	if (s->head_bytes > (uint64_t)HEAD_FACTOR * most) {
		http2_fail(h, PROTO_ABUSE, "head of several times its size limit");
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	if (HTTP2_IS(name, ":path") && value.n > http2_limit(h->c->limits->target_bytes, HTTP2_TARGET_MAX))
		over(s, 414);
	if (s->head_bytes > most || s->head_lines > http2_limit(h->c->limits->headers, HTTP2_HEADERS_MAX))
		over(s, 431);
	return 0;
}

int http2_on_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
		    void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s = http2_stream_of(h, f->hd.stream_id);
	struct slice n = text(name), v = text(value);
	int err;

	(void)session;
	(void)flags;
	if (!s || h->failed)
		return 0;
	err = measure(h, s, n, v);
	if (err || s->refused || s->skip)
		return err;
	if (n.p[0] == ':' ? pseudo(h, s, n, v) : !s->m || left_out(s, n) || keep(s, name, n, v))
		return 0;
	over(s, 431);
	return 0;
}

int http2_on_invalid_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
			    uint8_t flags, void *arg)
{
	(void)session;
	(void)f;
	(void)name;
	(void)value;
	(void)flags;
	(void)arg;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- complete ---- */

/* Crumbs of a cookie are one header, where the first was (RFC 9113 8.2.3). */
static bool join_cookies(struct msg *m)
{
	uint32_t kept = 0, first = UINT32_MAX;
	size_t bytes = 0, at = 0;
	unsigned n = 0;
	char *p;

	for (uint32_t i = 0; i < m->nheaders; i++) {
		if (!HTTP2_IS(m->headers[i].name, "cookie"))
			continue;
		bytes += m->headers[i].value.n + 2;
		n++;
	}
	if (n < 2)
		return true;
	p = msg_alloc(m, bytes);
	if (!p)
		return false;
	for (uint32_t i = 0; i < m->nheaders; i++) {
		struct msg_header h = m->headers[i];

		if (HTTP2_IS(h.name, "cookie")) {
			memcpy(p + at, h.value.p, h.value.n);
			memcpy(p + at + h.value.n, "; ", 2);
			at += h.value.n + 2;
			if (first != UINT32_MAX)
				continue;
			first = kept;
		}
		m->headers[kept++] = h;
	}
	m->headers[first].value = (struct slice){ p, at - 2 };
	m->nheaders = kept;
	return true;
}

/* The one header of that name goes; its value, or p NULL. */
static struct slice take_header(struct msg *m, struct slice name)
{
	const struct msg_header *h = msg_find(m, name);
	struct slice v = { NULL, 0 };
	uint32_t at;

	if (!h)
		return v;
	v = h->value;
	at = (uint32_t)(h - m->headers);
	memmove(m->headers + at, m->headers + at + 1, (--m->nheaders - at) * sizeof(*h));
	return v;
}

static void drop_headers(struct msg *m, struct slice name)
{
	while (take_header(m, name).p)
		;
}

static int64_t length(const struct msg *m, bool end)
{
	struct slice v = msg_get(m, SLICE_LIT("content-length"));
	int64_t n = 0;

	if (end)
		return 0;
	if (!v.p)
		return MSG_LENGTH_UNKNOWN;
	/* Digits, and not too many: nghttp2 has looked. */
	for (size_t i = 0; i < v.n; i++)
		n = n * 10 + v.p[i] - '0';
	return n;
}

static bool is_target(const struct msg *m)
{
	struct slice s = m->path;

	return http1_is_target_text(s) &&
	       (s.p[0] == '/' || (slice_eq(s, SLICE_LIT("*")) && slice_eq_str(m->method, "OPTIONS")));
}

static bool has_port(struct slice authority)
{
	const char *colon = memrchr(authority.p, ':', authority.n);

	return colon && colon != authority.p && colon + 1 != authority.p + authority.n &&
	       authority.p[authority.n - 1] != ']';
}

/* Host and :authority are one thing (RFC 9113 8.3.1). */
static bool authority(struct msg *m)
{
	struct slice host = take_header(m, SLICE_LIT("host"));

	if (!m->authority.n)
		m->authority = host;
	else if (host.p && !slice_eq_nocase(host, m->authority))
		return false;
	return m->authority.n && http1_is_authority(m->authority);
}

/* CONNECT: to a host, or with :protocol to what is at a path (RFC 8441 4), which is a GET elsewhere. */
static bool connect_request(struct http2_stream *s, struct msg *m)
{
	if (!m->upgrade.n) {
		s->upgrade = HTTP2_CONNECT;
		m->upgrade = SLICE_LIT("connect");
		m->path = (struct slice){ 0 };
		return !m->scheme.n && has_port(m->authority) && !msg_find(m, SLICE_LIT("content-length"));
	}
	s->upgrade = HTTP2_WEBSOCKET;
	m->method = SLICE_LIT("GET");
	return is_target(m);
}

static bool websocket_key(struct msg *m)
{
	char *key = msg_alloc(m, 24);

	if (!key)
		return false;
	http2_websocket_key(key);
	drop_headers(m, SLICE_LIT("sec-websocket-key"));
	return !msg_push(m, SLICE_LIT("sec-websocket-key"), (struct slice){ key, 24 });
}

/* 0, or the status of the refusal; 400 is a reset (RFC 9113 8.1.1). */
static int request(struct http2_stream *s, struct msg *m, bool end)
{
	struct slice expect;

	m->path_raw = m->path;
	if (!authority(m) || !http1_is_token(m->method))
		return 400;
	if (m->scheme.n && !HTTP2_IS(m->scheme, "http") && !HTTP2_IS(m->scheme, "https"))
		return 400;
	m->body_len = length(m, end);
	s->is_head = slice_eq_str(m->method, "HEAD");
	if (slice_eq_str(m->method, "CONNECT")) {
		if (!connect_request(s, m))
			return 400;
		m->body_len = MSG_LENGTH_UNKNOWN;
		if (s->upgrade == HTTP2_WEBSOCKET && !slice_eq_str(m->upgrade, "websocket"))
			return 501;
		return s->upgrade == HTTP2_WEBSOCKET && !websocket_key(m) ? 431 : 0;
	}
	if (!is_target(m) || (slice_eq_str(m->method, "TRACE") && !end))
		return 400;
	expect = msg_get(m, SLICE_LIT("expect"));
	if (expect.p && !HTTP1_IS(expect, "100-continue"))
		return 417;
	if (expect.p && !end)
		m->flags |= MSG_EXPECT_CONTINUE;
	/* Without a body there is nothing to wait for (RFC 9110 10.1.1): hosts that wait nevertheless take what is next for it. */
	else if (expect.p)
		drop_headers(m, SLICE_LIT("expect"));
	return 0;
}

static bool websocket_accept(struct http2_stream *s, struct msg *m)
{
	char *accept = msg_alloc(m, 28);

	if (!accept)
		return false;
	http2_websocket_accept(s->key, accept);
	m->status = 101;
	drop_headers(m, SLICE_LIT("sec-websocket-accept"));
	return !msg_push(m, SLICE_LIT("sec-websocket-accept"), (struct slice){ accept, 28 });
}

/* As request(). */
static int response(struct http2_stream *s, struct msg *m, bool end)
{
	if (m->status < 100)
		return 400;
	if (s->upgrade && m->status >= 200 && m->status < 300) {
		m->upgrade = s->upgrade == HTTP2_CONNECT ? SLICE_LIT("connect") : SLICE_LIT("websocket");
		m->body_len = MSG_LENGTH_UNKNOWN;
		return s->upgrade == HTTP2_WEBSOCKET && !websocket_accept(s, m) ? 431 : 0;
	}
	m->body_len = length(m, end);
	if (m->kind == MSG_INFO || s->is_head || m->status == 204 || m->status == 304) {
		m->flags |= MSG_NO_BODY;
		m->body_len = 0;
	}
	return 0;
}

static enum proto_why why_refused(int status)
{
	return status == 400 ? PROTO_MALFORMED :
	       status == 431 || status == 414 ? PROTO_HEAD_TOO_LARGE : PROTO_UNSUPPORTED;
}

/* A server says what is wrong with a request that could be understood; what was malformed is reset. Either way it is odd. */
static void refuse(struct http2 *h, struct http2_stream *s, int status)
{
	if (h->c->server && status != 400 && !s->headed) {
		http2_put_refusal(h, s, status);
		http2_glitch(h);
	} else {
		nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->wire, NGHTTP2_PROTOCOL_ERROR);
	}
	http2_stream_lost(h, s, why_refused(status));
}

static void give(struct http2 *h, struct http2_stream *s, struct msg *m, bool end)
{
	const struct proto_sink *to = h->c->sink;
	uint64_t id = s->id;
	bool upgraded = m->upgrade.n;

	if (m->kind == MSG_TRAILERS) {
		s->rx_end = true;
		http2_stream_settle(s);
		to->trailers(h->c->sink_arg, id, m);
		return;
	}
	s->headed |= m->kind == MSG_RESPONSE;
	s->rx_end = end && !upgraded;
	http2_stream_settle(s);
	to->head(h->c->sink_arg, id, m, s->rx_end);
	/* A head that offers or grants an upgrade is never the end of its direction. */
	s = end && upgraded ? http2_stream_get(h, id) : NULL;
	if (!s || s->rx_end)
		return;
	s->rx_end = true;
	http2_stream_settle(s);
	to->data(h->c->sink_arg, id, NULL, (struct slice){ "", 0 }, true);
}

void http2_head_done(struct http2 *h, struct http2_stream *s, bool end)
{
	struct msg *m = s->m;
	int status = s->refused;

	s->m = NULL;
	s->refused = 0;
	s->head_bytes = s->head_lines = s->text_left = 0;
	if (s->gone || s->skip || !m)
		return;
	if (!status && m->kind == MSG_INFO && ++s->infos > HTTP2_INFO_MAX)
		status = 400;
	if (!status && !join_cookies(m))
		status = 431;
	if (!status && m->kind != MSG_TRAILERS)
		status = m->kind == MSG_REQUEST ? request(s, m, end) : response(s, m, end);
	if (status) {
		refuse(h, s, status);
		return;
	}
	grpc_recognise(m, end);
	give(h, s, m, end);
}
