// SPDX-License-Identifier: Apache-2.0
/*
 * Writing: a msg becomes a HEADERS frame, a body waits in its stream's queue until nghttp2 asks for the next frame, and
 * is moved from there into out chunk by chunk.
 */
#include "proto/http2_priv.h"

#include <errno.h>
#include <stdlib.h>
#include "proto/http1_priv.h"

#define COPY_MAX 2048u
#define FRAME_CREDIT 4u                         /* WINDOW_UPDATEs that one frame of ours is worth */

/* ---- bodies ---- */

static size_t whole_chunks(const struct buf *b, size_t most)
{
	struct iovec v[16];
	unsigned n = buf_iov(b, v, 16);
	size_t sum = 0;

	for (unsigned i = 0; i < n && sum + v[i].iov_len <= most; i++)
		sum += v[i].iov_len;
	return sum ? sum : b->len < most ? b->len : most;
}

/* At the end of the queue: END_STREAM, or the trailers that carry it. */
static int end_of_data(struct http2 *h, struct http2_stream *s, uint32_t *flags)
{
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (!s->trailers)
		return 0;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return nghttp2_submit_trailer(h->session, s->wire, s->trailers->v, s->trailers->n);
}

static ssize_t next_frame(nghttp2_session *session, int32_t wire, uint8_t *room, size_t most, uint32_t *flags,
			  nghttp2_data_source *source, void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s = CAST(http2_stream, source->ptr);
	size_t n = whole_chunks(&s->queue, most);

	(void)session;
	(void)wire;
	(void)room;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == s->queue.len && s->tx_end && end_of_data(h, s, flags))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (n || (*flags & NGHTTP2_DATA_FLAG_EOF))
		return (ssize_t)n;
	s->deferred = true;
	return NGHTTP2_ERR_DEFERRED;
}

/* A few bytes are cheaper copied behind those that are there than carried in a chunk of their own. */
static int append(struct buf *to, struct buf *from, size_t n)
{
	if (n > COPY_MAX)
		return buf_take(to, from, n);
	while (n) {
		struct slice s = buf_head(from);
		size_t k = s.n < n ? s.n : n;

		if (buf_add(to, s.p, k))
			return -ENOMEM;
		buf_drop(from, k);
		n -= k;
	}
	return 0;
}

int http2_send_data(nghttp2_session *session, nghttp2_frame *f, const uint8_t *head, size_t n, nghttp2_data_source *source,
		    void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s = CAST(http2_stream, source->ptr);

	(void)session;
	(void)f;
	if (buf_add(&h->c->out, head, 9) || append(&h->c->out, &s->queue, n))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h->queued -= n;
	h->window_credit += FRAME_CREDIT;
	return 0;
}

/* What the peer would take of s now. */
static size_t window(const struct http2 *h, const struct http2_stream *s)
{
	int64_t stream = nghttp2_session_get_stream_remote_window_size(h->session, s->wire);
	int64_t conn = nghttp2_session_get_remote_window_size(h->session);

	/* Its head waits for its turn; then that is what it will have. */
	if (stream < 0)
		stream = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
	stream -= (int64_t)s->queue.len;
	conn -= (int64_t)h->queued;
	if (conn < stream)
		stream = conn;
	return stream > 0 ? (size_t)stream : 0;
}

static void resume(struct http2 *h, struct http2_stream *s)
{
	if (!s->deferred)
		return;
	s->deferred = false;
	nghttp2_session_resume_data(h->session, s->wire);
}

/* A message that is not as long as it said must not end well. */
static ssize_t wrong_length(struct http2 *h, struct http2_stream *s)
{
	http2_stream_reset(h, s, NGHTTP2_INTERNAL_ERROR);
	return -ENOENT;
}

static bool has_body_open(const struct http2_stream *s)
{
	return s && !s->tx_end && !s->ours;
}

static ssize_t drop_body(struct http2 *h, struct http2_stream *s, struct buf *data, bool end)
{
	size_t n = data->len;

	buf_drop(data, n);
	s->tx_end = end;
	if (end)
		resume(h, s);
	http2_stream_settle(s);
	return (ssize_t)n;
}

/* One small piece may be what was left of a window; one after the other is all that the peer gives. */
static void small_window(struct http2 *h, struct http2_stream *s, bool small)
{
	uint32_t first = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);

	if (small && (s->small || first < HTTP2_SMALL_WINDOW))
		http2_glitch(h);
	s->small = small;
}

/* Of n bytes those that may go out now. */
static size_t sure(struct http2 *h, const struct http2_stream *s, size_t n)
{
	size_t most = http2_taken_room(h, s);

	if (n <= most)
		return n;
	http2_taken_ask(h, s);
	return most;
}

ssize_t http2_put_data(struct codec *c, uint64_t id, struct buf *data, bool end)
{
	struct http2 *h = http2_of(c);
	struct http2_stream *s = http2_stream_get(h, id);
	size_t n, all = data->len;

	if (!has_body_open(s))
		return -ENOENT;
	if (s->no_body)
		return drop_body(h, s, data, end);
	if (s->tx_left >= 0 && (data->len > (uint64_t)s->tx_left || (end && data->len < (uint64_t)s->tx_left)))
		return wrong_length(h, s);
	n = window(h, s);
	if (n)
		small_window(h, s, n < all && n < HTTP2_SMALL_WINDOW);
	n = sure(h, s, n < all ? n : all);
	if (n && buf_take(&s->queue, data, n))
		return -ENOMEM;
	h->queued += n;
	s->tx_body += n;
	s->tx_left -= s->tx_left >= 0 ? (int64_t)n : 0;
	s->tx_end = end && n == all;
	if (n < all && !list_linked(&s->waits))
		list_add_tail(&h->waiting, &s->waits);
	if (n || s->tx_end)
		resume(h, s);
	http2_stream_settle(s);
	return (ssize_t)n;
}

int http2_put_trailers(struct codec *c, uint64_t id, const struct msg *m)
{
	struct http2 *h = http2_of(c);
	struct http2_stream *s = http2_stream_get(h, id);
	struct http2_fields f;
	bool fine;

	if (!has_body_open(s))
		return -ENOENT;
	if (s->tx_left > 0 && !s->no_body)
		return (int)wrong_length(h, s);
	http2_fields_init(&f);
	http2_fields_headers(&f, m, true, false);
	if (f.n && !f.bad && !s->no_body)
		s->trailers = http2_fields_keep(h, &f);
	fine = !f.bad && (s->trailers || !f.n || s->no_body);
	http2_fields_fini(&f);
	if (!fine)
		return (int)wrong_length(h, s);
	s->tx_end = true;
	resume(h, s);
	http2_stream_settle(s);
	return 0;
}

/* More waits than there is room for while nothing is sure. */
static bool may_go_on(struct http2 *h, const struct http2_stream *s)
{
	return window(h, s) && sure(h, s, 1);
}

/* In the order in which they began to wait; the sink's put_data() puts one that gets too little behind the others. */
void http2_tell_waiting(struct http2 *h, struct http2_stream *only)
{
	struct list todo;

	list_init(&todo);
	list_for(x, &h->waiting) {
		struct http2_stream *s = container_of(x, struct http2_stream, waits);

		if ((only && s != only) || !may_go_on(h, s))
			continue;
		list_del(x);
		list_add_tail(&todo, x);
	}
	while (!list_empty(&todo)) {
		struct http2_stream *s = container_of(todo.next, struct http2_stream, waits);

		list_del(&s->waits);
		if (!may_go_on(h, s))
			list_add_tail(&h->waiting, &s->waits);
		else if (!s->gone && !h->failed)
			h->c->sink->writable(h->c->sink_arg, s->id);
	}
}

/* ---- heads ---- */

/* Digits of v at the end of room; what they lie in lives as long as the call. */
static struct slice digits(uint64_t v, char room[24])
{
	char *p = room + 24;

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	return (struct slice){ p, (size_t)(room + 24 - p) };
}

/* A Content-Length that nothing but the sender's word tells: of a body that is not sent. */
static void length_as_is(struct http2_fields *f, const struct msg *m)
{
	struct slice v = msg_get(m, SLICE_LIT("content-length"));

	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return;
	if (v.n)
		http2_fields_add(f, SLICE_LIT("content-length"), v);
}

static int submit_failed(struct http2 *h, int err)
{
	http2_fail(h, PROTO_OVERLOAD, nghttp2_is_fatal(err) ? "out of memory" : "head that nghttp2 does not take");
	return -EPROTO;
}

static bool is_target(struct slice s)
{
	return http1_is_target_text(s) && (s.p[0] == '/' || slice_eq(s, SLICE_LIT("*")));
}

/* RFC 9113 8.3.1, 8.5; RFC 8441 4. */
static void request_line(struct http2_fields *f, const struct msg *m, enum http2_upgrade up)
{
	struct slice scheme = m->scheme.n ? m->scheme : SLICE_LIT("http");

	/* A request of HTTP/1.0 may name no host. */
	f->bad |= !http1_is_token(m->method) || (m->authority.n ? !http1_is_authority(m->authority) : up == HTTP2_CONNECT);
	http2_fields_add(f, SLICE_LIT(":method"), up ? SLICE_LIT("CONNECT") : m->method);
	if (up == HTTP2_WEBSOCKET)
		http2_fields_add(f, SLICE_LIT(":protocol"), SLICE_LIT("websocket"));
	if (up != HTTP2_CONNECT) {
		f->bad |= !is_target(m->path);
		http2_fields_add(f, SLICE_LIT(":scheme"), scheme);
		http2_fields_add(f, SLICE_LIT(":path"), m->path);
	}
	if (m->authority.n)
		http2_fields_add(f, SLICE_LIT(":authority"), m->authority);
}

static void request_length(struct http2_fields *f, struct http2_stream *s, const struct msg *m, bool end, char room[24])
{
	if (s->upgrade)
		return;
	if (!end && m->body_len > 0)
		s->tx_left = m->body_len;
	if (s->tx_left >= 0 || (end && msg_find(m, SLICE_LIT("content-length"))))
		http2_fields_add(f, SLICE_LIT("content-length"), digits(s->tx_left < 0 ? 0 : (uint64_t)s->tx_left, room));
}

static int submit_request(struct http2 *h, struct http2_stream *s, const struct http2_fields *f, bool end)
{
	nghttp2_data_provider data = { .source.ptr = s, .read_callback = next_frame };
	int32_t wire = nghttp2_submit_request(h->session, NULL, f->v, f->n, end ? NULL : &data, s);

	if (wire < 0)
		return submit_failed(h, wire);
	assert_always(wire == s->wire);
	s->tx_end = end;
	h->window_credit += FRAME_CREDIT;
	if (s->tx_left > 0)
		sure(h, s, (uint64_t)s->tx_left < window(h, s) ? (size_t)s->tx_left : window(h, s));
	return 0;
}

static int upgrade_of(const struct http2 *h, const struct msg *m)
{
	if (!m->upgrade.n)
		return HTTP2_NO_UPGRADE;
	if (slice_eq_str(m->upgrade, "connect"))
		return HTTP2_CONNECT;
	if (!slice_eq_str(m->upgrade, "websocket") ||
	    !nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL))
		return -ENOTSUP;
	return HTTP2_WEBSOCKET;
}

static void remember(struct http2_stream *s, const struct msg *m, enum http2_upgrade up)
{
	struct slice key = up == HTTP2_WEBSOCKET ? msg_get(m, SLICE_LIT("sec-websocket-key")) : (struct slice){ NULL, 0 };

	s->upgrade = (uint8_t)up;
	s->is_head = slice_eq_str(m->method, "HEAD");
	if (key.n == sizeof(s->key))
		memcpy(s->key, key.p, key.n);
}

static int put_request(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct http2 *h = http2_of(c);
	struct http2_stream *s;
	struct http2_fields f;
	int up = upgrade_of(h, m), err;
	char room[24];

	if (h->goaway_in || h->goaway_out || h->failed)
		return -ESHUTDOWN;
	if (!c->ops->room(c))
		return -EAGAIN;
	if (up < 0)
		return up;
	s = http2_stream_new(h, (int32_t)nghttp2_session_get_next_stream_id(h->session));
	if (!s)
		return -ENOMEM;
	remember(s, m, (enum http2_upgrade)up);
	http2_fields_init(&f);
	f.learn = h->asked++ % HTTP2_LEARN == 0;
	request_line(&f, m, (enum http2_upgrade)up);
	http2_fields_headers(&f, m, false, up == HTTP2_WEBSOCKET);
	request_length(&f, s, m, end, room);
	err = f.bad ? -ENOTSUP : submit_request(h, s, &f, end && !up);
	http2_fields_fini(&f);
	if (err)
		http2_stream_free(h, s);
	else
		*id = s->id;
	return err;
}

static void status_line(struct http2_fields *f, int status, char room[24])
{
	f->bad |= status < 100 || status > 999 || status == 101;
	http2_fields_add(f, SLICE_LIT(":status"), digits((uint64_t)status, room));
}

static int put_info(struct http2 *h, struct http2_stream *s, const struct msg *m)
{
	struct http2_fields f;
	char room[24];
	int err;

	http2_fields_init(&f);
	status_line(&f, m->status, room);
	http2_fields_headers(&f, m, false, false);
	err = f.bad ? -ENOTSUP :
		      nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->wire, NULL, f.v, f.n, NULL);
	http2_fields_fini(&f);
	return err == -ENOTSUP || !err ? err : submit_failed(h, err);
}

/* What is read goes on as the upgraded stream's bytes, or what was offered is over. */
static bool grants(const struct http2_stream *s, const struct msg *m)
{
	if (s->upgrade == HTTP2_WEBSOCKET)
		return m->status == 101;
	return s->upgrade == HTTP2_CONNECT && m->status >= 200 && m->status < 300;
}

static void response_length(struct http2_fields *f, struct http2_stream *s, const struct msg *m, bool end, char room[24])
{
	if (m->status == 204)
		return;
	if (s->no_body) {
		length_as_is(f, m);
		return;
	}
	if (!end && m->body_len >= 0)
		s->tx_left = m->body_len;
	if (s->tx_left >= 0 || (end && msg_find(m, SLICE_LIT("content-length"))))
		http2_fields_add(f, SLICE_LIT("content-length"), digits(s->tx_left < 0 ? 0 : (uint64_t)s->tx_left, room));
}

static int submit_response(struct http2 *h, struct http2_stream *s, const struct http2_fields *f, bool end)
{
	nghttp2_data_provider data = { .source.ptr = s, .read_callback = next_frame };
	int err = nghttp2_submit_response(h->session, s->wire, f->v, f->n, end ? NULL : &data);

	return err ? submit_failed(h, err) : 0;
}

/* The request has ended with the head that offered an upgrade; whatever else it says is nobody's. */
static void refuse_upgrade(struct http2_stream *s)
{
	s->rx_end = true;
	s->reset_after = !s->peer_end;
	s->reset_code = NGHTTP2_NO_ERROR;
}

static int put_response(struct codec *c, uint64_t id, const struct msg *m, bool end)
{
	struct http2 *h = http2_of(c);
	struct http2_stream *s = http2_stream_get(h, id);
	struct http2_fields f;
	char status[24], length[24];
	bool granted;
	int err;

	if (!s || s->headed || s->ours)
		return -ENOENT;
	if (m->kind == MSG_INFO)
		return put_info(h, s, m);
	granted = grants(s, m);
	/* A 2xx would be heard as one. */
	if (s->upgrade && !granted && m->status < 300)
		return -ENOTSUP;
	s->no_body = !granted && (s->is_head || m->status == 204 || m->status == 304);
	http2_fields_init(&f);
	status_line(&f, granted ? (m->status == 101 ? 200 : m->status) : m->status, status);
	http2_fields_headers(&f, m, false, granted);
	if (!granted)
		response_length(&f, s, m, end, length);
	err = f.bad ? -ENOTSUP : submit_response(h, s, &f, end && !granted);
	http2_fields_fini(&f);
	if (err)
		return err;
	s->headed = true;
	if (s->upgrade && !granted)
		refuse_upgrade(s);
	s->tx_end = end && !granted;
	http2_stream_settle(s);
	return 0;
}

int http2_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	return c->server ? put_response(c, *id, m, end) : put_request(c, id, m, end);
}

void http2_put_refusal(struct http2 *h, struct http2_stream *s, int status)
{
	struct http2_fields f;
	char room[24];

	http2_fields_init(&f);
	status_line(&f, status, room);
	http2_fields_add(&f, SLICE_LIT("content-length"), SLICE_LIT("0"));
	submit_response(h, s, &f, true);
	http2_fields_fini(&f);
	s->headed = s->tx_end = true;
	s->reset_after = !s->peer_end;
	s->reset_code = NGHTTP2_NO_ERROR;
}
