// SPDX-License-Identifier: Apache-2.0
/*
 * Reading, and when an exchange is over. One exchange at a time: decode() goes from state to state
 * as long as bytes make sense, and stops behind a complete message until the other direction is
 * complete, too.
 */
#include "proto/http1_priv.h"

#include <errno.h>
#include "base/magic.h"
#include "weft/str.h"

int http1_fail(struct codec *c, enum proto_why why, int status, const char *detail)
{
	struct http1 *h = http1_of(c);

	c->why = why;
	c->detail = detail;
	if (status && c->server && h->tx == TX_IDLE)
		http1_put_refusal(c, status, detail);
	h->rx = RX_CLOSED;
	h->tx = TX_DONE;
	h->closing = true;
	return -EPROTO;
}

void http1_next(struct codec *c)
{
	struct http1 *h = http1_of(c);

	if (h->rx != RX_DONE || h->tx != TX_DONE)
		return;
	h->id = 0;
	h->m = NULL;
	h->rx = h->closing ? RX_CLOSED : RX_IDLE;
	h->tx = TX_IDLE;
	h->infos = 0;
	h->blank = h->is_head = h->is_connect = h->upgrade = h->expects = h->early = false;
}

/* ---- the sink ---- */

static int begin(struct codec *c, enum msg_kind kind)
{
	struct http1 *h = http1_of(c);

	h->m = c->sink->begin(c->sink_arg, h->id, kind);
	if (!h->m)
		return http1_fail(c, c->server ? PROTO_REFUSED : PROTO_CANCELLED, 503, "nobody takes this message");
	h->m->kind = kind;
	return 0;
}

/*
 * data() with d, the first bytes of in; then they are gone. The state is set before: what the sink
 * calls may end the exchange, or the connection.
 */
static void pass(struct codec *c, struct buf *in, struct slice d, bool end)
{
	struct http1 *h = http1_of(c);
	uint64_t id = h->id;

	h->expects = false;
	if (end)
		http1_next(c);
	proto_give(c, id, in, d, end);
}

static void end_of_data(struct codec *c)
{
	struct http1 *h = http1_of(c);
	uint64_t id = h->id;

	h->rx = RX_DONE;
	http1_next(c);
	c->sink->data(c->sink_arg, id, NULL, (struct slice){ "", 0 }, true);
}

/* ---- heads ---- */

/* Into the state that the message's length asks for. Returns whether the head is its end. */
static bool enter_body(struct http1 *h, const struct msg *m, bool server)
{
	h->rx_left = m->body_len > 0 ? (uint64_t)m->body_len : 0;
	h->ext = 0;
	if (m->upgrade.n)
		h->rx = server ? RX_UPGRADE : RX_OPAQUE;
	else if (h->rx_left)
		h->rx = RX_LENGTH;
	else if (!m->body_len)
		h->rx = RX_DONE;
	else
		h->rx = h->chunked ? RX_CHUNK_SIZE : RX_TO_EOF;
	return h->rx == RX_DONE;
}

static void request_known(struct http1 *h, const struct http1_head *head, const struct msg *m)
{
	h->minor = head->minor;
	h->is_head = head->method == HTTP_HEAD;
	h->is_connect = head->method == HTTP_CONNECT;
	h->upgrade = m->upgrade.n;
	h->expects = m->flags & MSG_EXPECT_CONTINUE;
	h->closing = m->flags & MSG_CLOSE;
	h->keep_10 = !h->minor && !h->closing;
}

/* 100 and the like: the response itself follows. */
static int info_read(struct codec *c, struct msg *m)
{
	struct http1 *h = http1_of(c);

	if (++h->infos > HTTP1_INFO_MAX)
		return http1_fail(c, PROTO_ABUSE, 502, "too many informational responses");
	h->rx = RX_HEAD;
	h->seen = h->line = 0;
	h->m = NULL;
	return c->sink->head(c->sink_arg, h->id, m, false) ? -EAGAIN : 1;
}

/* From 1 = go on to what decode() returns. */
static int head_read(struct codec *c, const struct http1_head *head, struct msg *m)
{
	struct http1 *h = http1_of(c);
	uint64_t id = h->id;
	bool end, opaque, closes;
	int err;

	if (c->server)
		request_known(h, head, m);
	else if (m->kind == MSG_INFO)
		return info_read(c, m);
	h->chunked = head->chunked;
	end = enter_body(h, m, c->server);
	opaque = h->rx == RX_OPAQUE;
	closes = !c->server && ((m->flags & MSG_CLOSE) || h->rx == RX_TO_EOF || opaque);
	h->closing |= closes;
	if (opaque)
		h->tx = TX_OPAQUE;
	else if (!c->server && h->upgrade)
		h->tx = TX_DONE;
	err = c->sink->head(c->sink_arg, id, m, end);
	if (closes && !opaque)
		c->sink->goaway(c->sink_arg, 0, PROTO_NONE);
	if (opaque && h->rx == RX_OPAQUE)
		c->sink->opaque(c->sink_arg, id);
	if (end)
		http1_next(c);
	return err ? -EAGAIN : 1;
}

/* As much of a section as is there, in one piece. */
static struct slice contiguous(struct buf *in, size_t max)
{
	struct slice s = buf_head(in);
	size_t n = in->len < max ? in->len : max;

	if (s.n < n)
		s = buf_pull(in, n);
	else
		s.n = n;
	return s;
}

/* The kind of a response stands in its first digit, which a client needs before it may begin. */
static enum msg_kind response_kind(struct slice raw)
{
	bool info = raw.n > 12 && raw.p[9] == '1' && memcmp(raw.p + 9, "101", 3);

	return info ? MSG_INFO : MSG_RESPONSE;
}

static int rx_head(struct codec *c, struct buf *in)
{
	struct http1 *h = http1_of(c);
	uint32_t max = http1_limit(c->limits->head_bytes, HTTP1_HEAD_MAX);
	struct slice s = contiguous(in, max);
	struct http1_head head;
	ssize_t n;
	int err;

	if (!s.n)
		return in->len ? http1_fail(c, PROTO_OVERLOAD, 503, "out of memory") : 0;
	if (!c->server && memcmp(s.p, "HTTP/", s.n < 5 ? s.n : 5))
		return http1_fail(c, PROTO_MALFORMED, 502, "not HTTP/1");
	n = http1_section(c, s, max);
	if (n <= 0)
		return n;
	s.n = n;
	err = h->m ? 0 : begin(c, response_kind(s));
	if (!err)
		err = http1_head_parse(c, s, &head);
	if (err)
		return err;
	buf_drop(in, n);
	return head_read(c, &head, h->m);
}

static int rx_trailers(struct codec *c, struct buf *in)
{
	struct http1 *h = http1_of(c);
	uint32_t max = http1_limit(c->limits->head_bytes, HTTP1_HEAD_MAX);
	struct slice s = contiguous(in, max);
	struct http1_head head;
	uint64_t id = h->id;
	struct msg *m;
	ssize_t n;
	int err;

	if (!s.n)
		return in->len ? http1_fail(c, PROTO_OVERLOAD, 503, "out of memory") : 0;
	n = http1_section(c, s, max);
	if (n <= 0)
		return n;
	if (n == 2) {
		buf_drop(in, 2);
		end_of_data(c);
		return 1;
	}
	err = begin(c, MSG_TRAILERS);
	if (!err)
		err = http1_trailers_parse(c, (struct slice){ s.p, n }, &head);
	if (err)
		return err;
	buf_drop(in, n);
	m = h->m;
	h->rx = RX_DONE;
	http1_next(c);
	c->sink->trailers(c->sink_arg, id, m);
	return 1;
}

/* ---- between messages ---- */

/* One empty line before a request is forgiven (RFC 9112 2.2). 1 = it or nothing was there. */
static int skip_blank(struct codec *c, struct buf *in)
{
	struct http1 *h = http1_of(c);
	struct slice s = buf_pull(in, in->len < 2 ? in->len : 2);

	if (!s.n || (*s.p != '\r' && *s.p != '\n'))
		return 1;
	if (*s.p == '\n')
		return http1_fail(c, PROTO_MALFORMED, 400, "line ends with a bare LF");
	if (s.n == 1)
		return 0;
	if (s.p[1] != '\n')
		return http1_fail(c, PROTO_MALFORMED, 400, "bare CR");
	if (h->blank)
		return http1_fail(c, PROTO_MALFORMED, 400, "more than one empty line before a request");
	h->blank = true;
	buf_drop(in, 2);
	return skip_blank(c, in);
}

static int first_byte(struct codec *c, struct buf *in)
{
	uint8_t first = *buf_head(in).p;

	if (!http1_is_token((struct slice){ (const char *)&first, 1 }))
		return http1_fail(c, PROTO_MALFORMED, 400, "not HTTP/1");
	return 0;
}

static int rx_idle(struct codec *c, struct buf *in)
{
	struct http1 *h = http1_of(c);
	int r;

	if (!in->len)
		return 0;
	if (!c->server)
		return http1_fail(c, PROTO_MALFORMED, 502, "bytes that answer no request");
	r = skip_blank(c, in);
	if (r <= 0 || !in->len)
		return r < 0 ? r : 0;
	r = first_byte(c, in);
	if (r)
		return r;
	h->id = ++h->last_id;
	h->rx = RX_HEAD;
	h->seen = h->line = 0;
	r = begin(c, MSG_REQUEST);
	return r ? r : 1;
}

static int rx_done(struct codec *c, struct buf *in)
{
	(void)c;
	return in->len ? -EAGAIN : 0;
}

static int rx_upgrade(struct codec *c, struct buf *in)
{
	http1_of(c)->early |= in->len;
	return rx_done(c, in);
}

static int rx_closed(struct codec *c, struct buf *in)
{
	(void)c;
	buf_drop(in, in->len);
	return 0;
}

/* ---- bodies ---- */

/* One piece of rx_left bytes; behind the last one comes the state `then`. */
static int piece(struct codec *c, struct buf *in, enum http1_rx then)
{
	struct http1 *h = http1_of(c);
	struct slice d = buf_head(in);

	if (!d.n)
		return 0;
	if (d.n > h->rx_left)
		d.n = h->rx_left;
	h->rx_left -= d.n;
	if (!h->rx_left)
		h->rx = then;
	pass(c, in, d, h->rx == RX_DONE);
	return 1;
}

static int rx_length(struct codec *c, struct buf *in)
{
	return piece(c, in, RX_DONE);
}

static int rx_chunk_data(struct codec *c, struct buf *in)
{
	return piece(c, in, RX_CHUNK_END);
}

static int rx_chunk_end(struct codec *c, struct buf *in)
{
	struct slice s = buf_pull(in, in->len < 2 ? in->len : 2);

	if (!s.n)
		return 0;
	if (memcmp(s.p, "\r\n", s.n))
		return http1_fail(c, PROTO_MALFORMED, 400, "chunk longer than its size");
	if (s.n < 2)
		return 0;
	buf_drop(in, 2);
	http1_of(c)->rx = RX_CHUNK_SIZE;
	return 1;
}

/* The line, without its end, or p NULL: not there yet, or *err. */
static struct slice chunk_line(struct codec *c, struct buf *in, int *err)
{
	struct slice s = contiguous(in, HTTP1_CHUNK_LINE_MAX), none = { NULL, 0 };
	const char *nl = s.n ? memchr(s.p, '\n', s.n) : NULL;
	size_t n = nl ? (size_t)(nl - s.p) : s.n;

	if (!nl && n < HTTP1_CHUNK_LINE_MAX)
		return none;
	if (!nl)
		*err = http1_fail(c, PROTO_TOO_LARGE, 413, "chunk extensions over their size limit");
	else if (!n || s.p[n - 1] != '\r')
		*err = http1_fail(c, PROTO_MALFORMED, 400, "bare LF in a chunk's line");
	else if (memchr(s.p, '\r', n) != s.p + n - 1)
		*err = http1_fail(c, PROTO_MALFORMED, 400, "bare CR in a chunk's line");
	return *err ? none : (struct slice){ s.p, n - 1 };
}

static int rx_chunk_size(struct codec *c, struct buf *in)
{
	struct http1 *h = http1_of(c);
	int err = 0;
	struct slice line = chunk_line(c, in, &err);

	if (!line.p)
		return err;
	err = http1_chunk_line(c, line, &h->rx_left);
	if (err)
		return err;
	buf_drop(in, line.n + 2);
	h->rx = h->rx_left ? RX_CHUNK_DATA : RX_TRAILERS;
	h->seen = h->line = 0;
	return 1;
}

/* What is left of the connection is one body. */
static int rx_to_eof(struct codec *c, struct buf *in)
{
	if (!in->len)
		return 0;
	pass(c, in, buf_head(in), false);
	return 1;
}

static int rx_opaque(struct codec *c, struct buf *in)
{
	return rx_to_eof(c, in);
}

/* ---- ops ---- */

static int decode(struct codec *c, struct buf *in)
{
	static int (*const read[])(struct codec *, struct buf *) = {
#define HTTP1_RX_FUNCTION_(NAME, function) rx_##function,
		HTTP1_RX(HTTP1_RX_FUNCTION_)
#undef HTTP1_RX_FUNCTION_
	};
	int r;

	do
		r = read[http1_of(c)->rx](c, in);
	while (r > 0);
	return r;
}

static int eof(struct codec *c)
{
	struct http1 *h = http1_of(c);

	h->closing = true;
	if (h->rx == RX_TO_EOF || h->rx == RX_OPAQUE)
		end_of_data(c);
	return 0;
}

static unsigned room(const struct codec *c)
{
	const struct http1 *h = http1_of(c);

	return !c->server && !h->id && !h->closing;
}

static bool reusable(const struct codec *c)
{
	const struct http1 *h = http1_of(c);

	return !h->id && !h->closing;
}

static uint64_t plain(const struct codec *c, uint64_t id, bool in)
{
	const struct http1 *h = http1_of(c);

	if (!id || id != h->id)
		return 0;
	if (in)
		return h->rx == RX_LENGTH ? h->rx_left : 0;
	return h->tx == TX_LENGTH ? h->tx_left : 0;
}

static void passed(struct codec *c, uint64_t id, bool in, uint64_t n)
{
	struct http1 *h = http1_of(c);

	assert_always(n < plain(c, id, in));
	*(in ? &h->rx_left : &h->tx_left) -= n;
}

static int put_reset(struct codec *c, uint64_t id, enum proto_why why)
{
	struct http1 *h = http1_of(c);
	int how = h->tx == TX_TO_EOF ? -ECONNRESET : -EPIPE;

	(void)why;
	if (!id || id != h->id)
		return 0;
	h->closing = true;
	h->rx = RX_CLOSED;
	h->tx = TX_DONE;
	return how;
}

static int put_goaway(struct codec *c, bool final, enum proto_why why)
{
	struct http1 *h = http1_of(c);

	(void)final;
	(void)why;
	h->drain = c->server;
	return 0;
}

/* A method and a space; h2's preface begins with one that HTTP/1 does not have. */
static enum proto_match sniff(struct slice head, size_t *need)
{
	static const char *const methods[] = {
#define HTTP1_METHOD_(number, name, text) #text " ",
		HTTP_METHOD_MAP(HTTP1_METHOD_)
#undef HTTP1_METHOD_
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t n = strlen(methods[i]), k = head.n < n ? head.n : n;

		if (k && memcmp(head.p, methods[i], k))
			continue;
		if (k == n)
			return PROTO_YES;
		*need = n;
		return PROTO_MORE;
	}
	return PROTO_NO;
}

static int init(struct codec *c)
{
	struct http1 *h = http1_of(c);

	h->minor = 1;
	return 0;
}

static const char *const alpn[] = { "http/1.1", NULL };

const struct proto_ops proto_http1 = {
	.name = "http1",
	.alpn = alpn,
	.state_size = sizeof(struct http1),
	.sniff = sniff,
	.init = init,
	.decode = decode,
	.eof = eof,
	.room = room,
	.put_head = http1_put_head,
	.put_data = http1_put_data,
	.put_trailers = http1_put_trailers,
	.put_reset = put_reset,
	.put_goaway = put_goaway,
	.plain = plain,
	.passed = passed,
	.reusable = reusable,
};
