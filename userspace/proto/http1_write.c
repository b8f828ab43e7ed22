// SPDX-License-Identifier: Apache-2.0
/*
 * Writing. A head goes into out as a few long pieces: lines that stand in the received head as they
 * stood there are copied together, the first line too, and only what differs is made anew.
 */
#include "proto/http1_priv.h"

#include <errno.h>
#include <stdio.h>
#include "base/magic.h"
#include "weft/str.h"

#define COPY_MAX 2048u                          /* bytes of body that are copied rather than moved: one send, no chain */
#define ROOM 1024u

/* ---- pieces into out ---- */

struct writer {
	struct buf *out;
	char *start, *p, *end;                  /* room at the tail of out, not committed */
	const char *from, *to;                  /* piece of raw that is still growing */
	bool spilled;                           /* a part is in out already */
	int err;
};

static void writer_room(struct writer *w, size_t want)
{
	size_t n = 0;

	w->start = w->p = buf_room(w->out, want, &n);
	w->end = w->p ? w->p + n : NULL;
	if (!w->p)
		w->err = -ENOMEM;
}

static void writer_open(struct writer *w, struct buf *out)
{
	*w = (struct writer){ .out = out };
	writer_room(w, ROOM);
}

static void put(struct writer *w, const char *p, size_t n)
{
	if (n <= (size_t)(w->end - w->p)) {
		memcpy(w->p, p, n);
		w->p += n;
		return;
	}
	if (w->err)
		return;
	w->spilled = true;
	buf_commit(w->out, w->p - w->start);
	w->err = buf_add(w->out, p, n);
	if (!w->err)
		writer_room(w, ROOM);
	else
		w->start = w->p = w->end = NULL;
}

static void put_raw(struct writer *w, const char *from, const char *to)
{
	if (w->to != from) {
		if (w->to != w->from)
			put(w, w->from, w->to - w->from);
		w->from = from;
	}
	w->to = to;
}

static void put_pending(struct writer *w)
{
	if (w->to != w->from)
		put(w, w->from, w->to - w->from);
	w->from = w->to = NULL;
}

static void put_slice(struct writer *w, struct slice s)
{
	put_pending(w);
	if (s.n)
		put(w, s.p, s.n);
}
#define put_text(w, s) put_slice((w), SLICE_LIT(s))

static void put_line(struct writer *w, struct slice name, struct slice value)
{
	put_pending(w);
	/* Mostly all of it fits, and goes in without asking four times. */
	if (name.n + value.n + 4 <= (size_t)(w->end - w->p)) {
		memcpy(w->p, name.p, name.n);
		memcpy(w->p + name.n, ": ", 2);
		if (value.n)
			memcpy(w->p + name.n + 2, value.p, value.n);
		memcpy(w->p + name.n + 2 + value.n, "\r\n", 2);
		w->p += name.n + value.n + 4;
		return;
	}
	put_slice(w, name);
	put_text(w, ": ");
	put_slice(w, value);
	put_text(w, "\r\n");
}

static void put_number(struct writer *w, uint64_t v)
{
	char text[24], *p = text + sizeof(text);

	do
		*--p = '0' + v % 10;
	while (v /= 10);
	put_slice(w, (struct slice){ p, text + sizeof(text) - p });
}

static int writer_close(struct writer *w)
{
	put_pending(w);
	if (w->start)
		buf_commit(w->out, w->p - w->start);
	return w->err;
}

/* ---- one head ---- */

#define LENGTH_NONE (-1)                        /* no Content-Length */
#define LENGTH_AS_IS (-2)                       /* whatever stands there: the body that is not sent would have it */

struct head_out {
	struct writer w;
	struct codec *c;
	const struct msg *m;
	struct slice raw;                       /* empty: of another protocol, or made by us */
	int64_t length;                         /* bytes, or LENGTH_* */
	bool length_due;                        /* it must be said */
	bool length_said, host_said, cookie_said, te;
	bool request;
	bool bad;                               /* a header that HTTP/1 cannot carry */
};

static bool within(struct slice raw, struct slice s)
{
	return (uintptr_t)s.p > (uintptr_t)raw.p && (uintptr_t)s.p + s.n < (uintptr_t)raw.p + raw.n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Behind the line that h is in raw, or NULL: name and value are not one line of it. */
static const char *line_in_raw(struct slice raw, const struct msg_header *h)
{
	const char *p = h->name.p + h->name.n, *end = raw.p + raw.n;

	if (!within(raw, h->name) || !within(raw, h->value) || h->name.p[-1] != '\n' || *p++ != ':')
		return NULL;
	while (p < h->value.p && is_space(*p))
		p++;
	if (p != h->value.p)
		return NULL;
	for (p += h->value.n; p < end && is_space(*p); p++)
		;
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
}

static bool is_value(struct slice s)
{
	return !s.n || http1_value_end(s.p, s.p + s.n) == s.p + s.n;
}

/* A line that was not read by us is judged as if it had been. */
static void header_made(struct head_out *o, const struct msg_header *h)
{
	if (http1_is_hop(h->name))
		return;
	if (!http1_is_token(h->name) || !is_value(h->value))
		o->bad = true;
	else
		put_line(&o->w, h->name, h->value);
}

/* h2 may cut a cookie in pieces, which HTTP/1 has in one line (RFC 9113 8.2.3). */
static void cookies(struct head_out *o)
{
	const struct msg *m = o->m;

	if (o->cookie_said)
		return;
	for (uint32_t i = 0; i < m->nheaders; i++) {
		const struct msg_header *h = &m->headers[i];

		if (!HTTP1_IS(h->name, "cookie"))
			continue;
		o->bad |= !is_value(h->value);
		put_slice(&o->w, o->cookie_said ? SLICE_LIT("; ") : SLICE_LIT("cookie: "));
		put_slice(&o->w, h->value);
		o->cookie_said = true;
	}
	put_text(&o->w, "\r\n");
}

static bool is_number(struct slice s, int64_t v)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + s.p[i] - '0';
	}
	return s.n && n == v;
}

static void host(struct head_out *o)
{
	if (o->host_said)
		return;
	o->host_said = true;
	put_line(&o->w, SLICE_LIT("Host"), o->m->authority);
}

/* Whether the header goes out as it is; else it is done with. */
static bool header_stays(struct head_out *o, const struct msg_header *h)
{
	struct slice name = h->name;
	bool stays;

	switch (name.n) {
	case 2:
		if (!HTTP1_IS(name, "te"))
			return true;
		o->te |= stays = o->request && !o->te && HTTP1_IS(h->value, "trailers");
		return stays;
	case 4:
		if (!o->request || !HTTP1_IS(name, "host"))
			return true;
		stays = !o->host_said && slice_eq(h->value, o->m->authority);
		if (!stays)
			host(o);
		o->host_said = true;
		return stays;
	case 6:
		if (o->raw.p || !HTTP1_IS(name, "cookie"))
			return true;
		cookies(o);
		return false;
	case 14:
		if (!HTTP1_IS(name, "content-length"))
			return true;
		stays = !o->length_said && (o->length == LENGTH_AS_IS || is_number(h->value, o->length));
		o->length_said |= stays;
		return stays;
	}
	return true;
}

static void headers(struct head_out *o)
{
	const struct msg *m = o->m;

	for (uint32_t i = 0; i < m->nheaders; i++) {
		const struct msg_header *h = &m->headers[i];
		const char *end;

		if (!header_stays(o, h))
			continue;
		end = o->raw.p ? line_in_raw(o->raw, h) : NULL;
		if (end)
			put_raw(&o->w, h->name.p, end);
		else
			header_made(o, h);
	}
}

static void content_length(struct head_out *o)
{
	if (!o->length_due || o->length_said)
		return;
	put_text(&o->w, "Content-Length: ");
	put_number(&o->w, o->length);
	put_text(&o->w, "\r\n");
}

static void head_open(struct head_out *o, struct codec *c, const struct msg *m)
{
	*o = (struct head_out){ .c = c, .m = m, .length = LENGTH_NONE };
	if (m->proto == c->ops && m->raw.n)
		o->raw = m->raw;
	writer_open(&o->w, &c->out);
}

/* The connection is over when a head cannot be said. If nothing of it was, there is room for a refusal. */
static int head_close(struct head_out *o)
{
	int err;

	put_text(&o->w, "\r\n");
	if (o->bad && !o->w.spilled) {
		o->w.p = o->w.start;
		http1_of(o->c)->tx = TX_IDLE;
	}
	err = writer_close(&o->w);
	if (!err && !o->bad)
		return 0;
	return http1_fail(o->c, PROTO_INTERNAL, 502, err ? "out of memory" : "header that HTTP/1 cannot carry");
}

/* ---- requests ---- */

static bool is_target(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] <= 0x20 || s.p[i] == 0x7f || s.p[i] == '#')
			return false;
	return s.n && (s.p[0] == '/' || slice_eq(s, SLICE_LIT("*")));
}

static void request_line(struct head_out *o, struct slice target, bool connect)
{
	const struct msg *m = o->m;
	const char *end = target.p + target.n;

	if (o->raw.p && m->method.p == o->raw.p && target.p == m->method.p + m->method.n + 1 &&
	    o->raw.p + o->raw.n - end > 11 && !memcmp(end, " HTTP/1.1\r\n", 11)) {
		put_raw(&o->w, o->raw.p, end + 11);
		return;
	}
	o->bad |= !http1_is_token(m->method) || !(connect ? http1_is_authority(target) : is_target(target));
	put_slice(&o->w, m->method);
	put_text(&o->w, " ");
	put_slice(&o->w, target);
	put_text(&o->w, " HTTP/1.1\r\n");
}

/* Methods whose empty body is worth saying (RFC 9110 8.6). */
static bool has_content(struct slice method)
{
	return slice_eq_str(method, "POST") || slice_eq_str(method, "PUT") || slice_eq_str(method, "PATCH");
}

static void request_framing(struct head_out *o, struct http1 *h, bool end)
{
	const struct msg *m = o->m;

	h->tx = TX_LENGTH;
	h->tx_left = end || m->body_len < 0 ? 0 : m->body_len;
	if (h->upgrade)
		h->tx = TX_NONE;
	else if (!end && m->body_len < 0)
		h->tx = TX_CHUNKED;
	else
		o->length = h->tx_left;
	/* A chunked body that turned out to be empty has a length, too. */
	o->length_due = h->tx == TX_LENGTH && (h->tx_left || m->body_len < 0 || (!o->raw.p && has_content(m->method)));
}

static void request_hops(struct head_out *o, const struct http1 *h)
{
	if (h->tx == TX_CHUNKED)
		put_text(&o->w, "Transfer-Encoding: chunked\r\n");
	if (h->upgrade && !h->is_connect)
		put_text(&o->w, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (o->te)
		put_text(&o->w, "Connection: TE\r\n");
}

static void request_begin(struct http1 *h, const struct msg *m)
{
	h->id = ++h->last_id;
	h->rx = RX_HEAD;
	h->seen = h->line = 0;
	h->is_head = slice_eq_str(m->method, "HEAD");
	h->is_connect = slice_eq_str(m->method, "CONNECT");
	h->upgrade = m->upgrade.n;
}

static void written(struct codec *c)
{
	http1_of(c)->tx = TX_DONE;
	http1_next(c);
}

static int put_request(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct http1 *h = http1_of(c);
	bool connect = slice_eq_str(m->method, "CONNECT");
	struct head_out o;
	int err;

	if (h->closing)
		return -ESHUTDOWN;
	if (h->id)
		return -EAGAIN;
	if (m->upgrade.n && !slice_eq_str(m->upgrade, connect ? "connect" : "websocket"))
		return -ENOTSUP;
	request_begin(h, m);
	*id = h->id;
	head_open(&o, c, m);
	o.request = true;
	request_line(&o, connect ? m->authority : m->path, connect);
	o.bad |= m->authority.n && !within(o.raw, m->authority) && !http1_is_authority(m->authority);
	if (!o.raw.p)
		host(&o);
	request_framing(&o, h, end);
	headers(&o);
	host(&o);
	content_length(&o);
	request_hops(&o, h);
	err = head_close(&o);
	if (!err && end && h->tx == TX_LENGTH)
		written(c);
	return err;
}

/* ---- responses ---- */

static struct slice reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {
		{ 100, "Continue" }, { 101, "Switching Protocols" }, { 103, "Early Hints" }, { 200, "OK" },
		{ 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" }, { 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		{ 411, "Length Required" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 417, "Expectation Failed" }, { 421, "Misdirected Request" }, { 426, "Upgrade Required" },
		{ 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return slice_str(known[i].text);
	return (struct slice){ "", 0 };
}

/* Behind the status line in raw, when it still says what m does. */
static const char *status_line_in_raw(struct slice raw, const struct msg *m)
{
	const char *p = raw.p, *end;

	if (!p || raw.n < 15 || memcmp(p, "HTTP/1.1 ", 9) || p[12] != ' ')
		return NULL;
	if ((p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0' != m->status)
		return NULL;
	if (m->reason.n && m->reason.p != p + 13)
		return NULL;
	end = p + 13 + m->reason.n;
	return raw.p + raw.n - end > 2 && end[0] == '\r' && end[1] == '\n' ? end + 2 : NULL;
}

static void status_line(struct head_out *o)
{
	const struct msg *m = o->m;
	const char *end = status_line_in_raw(o->raw, m);
	struct slice words = m->proto == o->c->ops ? m->reason : (struct slice){ 0 };

	if (end) {
		put_raw(&o->w, o->raw.p, end);
		return;
	}
	if (!words.n)
		words = reason(m->status);
	o->bad |= !is_value(words) || m->status < 100 || m->status > 999;
	put_text(&o->w, "HTTP/1.1 ");
	put_number(&o->w, m->status);
	put_text(&o->w, " ");
	put_slice(&o->w, words);
	put_text(&o->w, "\r\n");
}

static bool is_grant(const struct http1 *h, const struct msg *m)
{
	if (h->is_connect)
		return m->status >= 200 && m->status < 300;
	return h->upgrade && m->status == 101;
}

/* What the message's length becomes on this connection, and whether it will be the last one. */
static void response_framing(struct head_out *o, struct http1 *h, bool end)
{
	const struct msg *m = o->m;
	bool bodiless = h->is_head || m->status == 204 || m->status == 304;
	bool unknown = !end && m->body_len < 0;

	h->closing |= h->drain || h->expects || h->is_connect || h->early;
	h->tx_left = end || unknown ? 0 : m->body_len;
	if (bodiless) {
		h->tx = TX_NONE;
		o->length = m->status == 204 ? LENGTH_NONE : LENGTH_AS_IS;
	} else if (!unknown) {
		h->tx = TX_LENGTH;
		o->length = h->tx_left;
		o->length_due = true;
	} else {
		h->tx = h->minor ? TX_CHUNKED : TX_TO_EOF;
		h->closing |= h->tx == TX_TO_EOF;
	}
}

static void response_hops(struct head_out *o, const struct http1 *h)
{
	if (h->tx == TX_CHUNKED)
		put_text(&o->w, "Transfer-Encoding: chunked\r\n");
	if (h->closing)
		put_text(&o->w, "Connection: close\r\n");
	else if (h->keep_10)
		put_text(&o->w, "Connection: keep-alive\r\n");
}

/* From here on both directions are bytes. */
static int put_grant(struct codec *c, const struct msg *m)
{
	struct http1 *h = http1_of(c);
	struct head_out o;
	int err;

	h->rx = RX_OPAQUE;
	h->tx = TX_OPAQUE;
	h->closing = true;
	head_open(&o, c, m);
	status_line(&o);
	headers(&o);
	if (!h->is_connect)
		put_text(&o.w, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	err = head_close(&o);
	if (!err)
		c->sink->opaque(c->sink_arg, h->id);
	return err;
}

static int put_info(struct codec *c, const struct msg *m)
{
	struct http1 *h = http1_of(c);
	struct head_out o;

	if (!h->minor)
		return 0;
	h->expects &= m->status != 100;
	head_open(&o, c, m);
	status_line(&o);
	headers(&o);
	return head_close(&o);
}

static int put_response(struct codec *c, uint64_t id, const struct msg *m, bool end)
{
	struct http1 *h = http1_of(c);
	struct head_out o;
	int err;

	if (!id || id != h->id || h->tx != TX_IDLE)
		return -ENOENT;
	if (m->kind == MSG_INFO)
		return put_info(c, m);
	if (h->rx == RX_UPGRADE && is_grant(h, m))
		return put_grant(c, m);
	if (m->status < 200)
		return -ENOTSUP;
	if (h->rx == RX_UPGRADE)
		h->rx = RX_DONE;
	head_open(&o, c, m);
	response_framing(&o, h, end);
	status_line(&o);
	headers(&o);
	content_length(&o);
	response_hops(&o, h);
	err = head_close(&o);
	if (!err && end)
		written(c);
	return err;
}

int http1_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	return c->server ? put_response(c, *id, m, end) : put_request(c, id, m, end);
}

void http1_put_refusal(struct codec *c, int status, const char *detail)
{
	struct slice words = reason(status);

	buf_printf(&c->out,
		   "HTTP/1.1 %d %.*s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
		   status, SLICE_ARG(words), strlen(detail) + 1, detail);
}

/* ---- bodies ---- */

static int move(struct buf *out, struct buf *data)
{
	if (data->len > COPY_MAX) {
		buf_move(out, data);
		return 0;
	}
	while (data->len) {
		struct slice s = buf_head(data);

		if (buf_add(out, s.p, s.n))
			return -ENOMEM;
		buf_drop(data, s.n);
	}
	return 0;
}

static int put_chunk(struct buf *out, struct buf *data)
{
	char line[24];
	int n = snprintf(line, sizeof(line), "%zx\r\n", data->len);

	if (!data->len)
		return 0;
	if (buf_add(out, line, n) || move(out, data))
		return -ENOMEM;
	return buf_add(out, "\r\n", 2);
}

static int put_body(struct codec *c, struct buf *data)
{
	struct http1 *h = http1_of(c);

	switch (h->tx) {
	case TX_NONE:
		buf_drop(data, data->len);
		return 0;
	case TX_CHUNKED:
		return put_chunk(&c->out, data);
	case TX_LENGTH:
		if (data->len > h->tx_left)
			return -EMSGSIZE;
		h->tx_left -= data->len;
		break;
	}
	return move(&c->out, data);
}

/* Behind the last byte of a body: trailers, when there are any and the framing has a place for them. */
static int put_end(struct codec *c, const struct msg *trailers)
{
	struct http1 *h = http1_of(c);
	struct head_out o;
	int err = 0;

	if (h->tx == TX_LENGTH && h->tx_left)
		return http1_fail(c, PROTO_INTERNAL, 502, "body shorter than its Content-Length");
	if (h->tx == TX_CHUNKED && trailers) {
		head_open(&o, c, trailers);
		put_text(&o.w, "0\r\n");
		for (uint32_t i = 0; i < trailers->nheaders; i++)
			if (!http1_is_trailer_forbidden(trailers->headers[i].name))
				header_made(&o, &trailers->headers[i]);
		err = head_close(&o);
	} else if (h->tx == TX_CHUNKED && buf_add(&c->out, "0\r\n\r\n", 5)) {
		err = http1_fail(c, PROTO_INTERNAL, 502, "out of memory");
	}
	if (!err)
		written(c);
	return err;
}

static bool has_body_open(const struct http1 *h, uint64_t id)
{
	return id && id == h->id && h->tx != TX_IDLE && h->tx != TX_DONE;
}

ssize_t http1_put_data(struct codec *c, uint64_t id, struct buf *data, bool end)
{
	struct http1 *h = http1_of(c);
	size_t n = data->len;
	int err;

	if (!has_body_open(h, id))
		return -ENOENT;
	err = put_body(c, data);
	if (err)
		return http1_fail(c, PROTO_INTERNAL, 502,
				  err == -EMSGSIZE ? "body longer than its Content-Length" : "out of memory");
	if (end)
		err = put_end(c, NULL);
	return err ? err : (ssize_t)n;
}

int http1_put_trailers(struct codec *c, uint64_t id, const struct msg *m)
{
	return has_body_open(http1_of(c), id) ? put_end(c, m) : -ENOENT;
}
