// SPDX-License-Identifier: Apache-2.0
/* The connection: nghttp2's session between bytes and callbacks, its limits, and how it ends. */
#include "proto/http2_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- why ---- */

enum proto_why http2_why(uint32_t code)
{
	static const enum proto_why whys[] = {
		[NGHTTP2_NO_ERROR] = PROTO_NONE, [NGHTTP2_PROTOCOL_ERROR] = PROTO_MALFORMED,
		[NGHTTP2_INTERNAL_ERROR] = PROTO_INTERNAL, [NGHTTP2_FLOW_CONTROL_ERROR] = PROTO_FLOW,
		[NGHTTP2_SETTINGS_TIMEOUT] = PROTO_TIMEOUT, [NGHTTP2_STREAM_CLOSED] = PROTO_MALFORMED,
		[NGHTTP2_FRAME_SIZE_ERROR] = PROTO_MALFORMED, [NGHTTP2_REFUSED_STREAM] = PROTO_REFUSED,
		[NGHTTP2_CANCEL] = PROTO_CANCELLED, [NGHTTP2_COMPRESSION_ERROR] = PROTO_MALFORMED,
		[NGHTTP2_CONNECT_ERROR] = PROTO_CLOSED, [NGHTTP2_ENHANCE_YOUR_CALM] = PROTO_ABUSE,
		[NGHTTP2_INADEQUATE_SECURITY] = PROTO_UNSUPPORTED, [NGHTTP2_HTTP_1_1_REQUIRED] = PROTO_UNSUPPORTED,
	};

	return code < sizeof(whys) / sizeof(whys[0]) ? whys[code] : PROTO_INTERNAL;
}

uint32_t http2_code(enum proto_why why)
{
	static const uint8_t codes[PROTO_WHY_COUNT] = {
		[PROTO_NONE] = NGHTTP2_NO_ERROR, [PROTO_CANCELLED] = NGHTTP2_CANCEL,
		[PROTO_REFUSED] = NGHTTP2_REFUSED_STREAM, [PROTO_CLOSED] = NGHTTP2_INTERNAL_ERROR,
		[PROTO_MALFORMED] = NGHTTP2_PROTOCOL_ERROR, [PROTO_TOO_LARGE] = NGHTTP2_CANCEL,
		[PROTO_HEAD_TOO_LARGE] = NGHTTP2_ENHANCE_YOUR_CALM, [PROTO_UNSUPPORTED] = NGHTTP2_INTERNAL_ERROR,
		[PROTO_CORRUPT] = NGHTTP2_INTERNAL_ERROR, [PROTO_FLOW] = NGHTTP2_FLOW_CONTROL_ERROR,
		[PROTO_ABUSE] = NGHTTP2_ENHANCE_YOUR_CALM, [PROTO_TIMEOUT] = NGHTTP2_CANCEL,
		[PROTO_OVERLOAD] = NGHTTP2_ENHANCE_YOUR_CALM, [PROTO_INTERNAL] = NGHTTP2_INTERNAL_ERROR,
		[PROTO_DRAINING] = NGHTTP2_NO_ERROR,
	};

	return codes[why];
}

void http2_fail(struct http2 *h, enum proto_why why, const char *detail)
{
	if (h->failed)
		return;
	h->failed = true;
	h->c->why = why;
	h->c->detail = detail;
}

void http2_glitch(struct http2 *h)
{
	if (!h->failed && !h->stopping && h->c->sink->glitch(h->c->sink_arg))
		http2_fail(h, PROTO_ABUSE, "flood of frames or resets");
}

static void library_failed(struct http2 *h, int err)
{
	switch (err) {
	case NGHTTP2_ERR_NOMEM:
		http2_fail(h, PROTO_OVERLOAD, "out of memory");
		break;
	case NGHTTP2_ERR_FLOODED:
		http2_fail(h, PROTO_ABUSE, "flood of frames or resets");
		break;
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
		http2_fail(h, PROTO_ABUSE, "too many settings in one frame");
		break;
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
		http2_fail(h, PROTO_MALFORMED, "not HTTP/2");
		break;
	case NGHTTP2_ERR_CALLBACK_FAILURE:
		http2_fail(h, PROTO_INTERNAL, "out of memory");
		break;
	default:
		http2_fail(h, PROTO_ABUSE, nghttp2_strerror(err));
	}
}

/* ---- what nghttp2 sends ---- */

/* An answer to the peer's frame lies in out until the peer reads it, which it may never do. */
static void control_sent(struct http2 *h)
{
	if (++h->control > http2_limit(h->c->limits->control_frames, HTTP2_CONTROL_MAX))
		http2_fail(h, PROTO_ABUSE, "answers to control frames that are not read");
}

/* A reset that is not the core's is the peer's doing (CVE-2025-8671). */
static void reset_sent(struct http2 *h, const nghttp2_frame *f)
{
	struct http2_stream *s = http2_stream_of(h, f->hd.stream_id);

	if (s && (s->ours || s->reset_after))
		return;
	control_sent(h);
	http2_glitch(h);
}

static int ping(struct http2 *h, uint64_t token)
{
	uint8_t bytes[8];

	memcpy(bytes, &token, sizeof(bytes));
	return nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, bytes) ? -ENOMEM : 0;
}

static void goaway_sent(struct http2 *h, const nghttp2_frame *f)
{
	h->notice_waits = false;
	if (h->ping_waits && ping(h, h->ping_token))
		http2_fail(h, PROTO_OVERLOAD, "out of memory");
	h->ping_waits = false;
	if (f->goaway.error_code != NGHTTP2_NO_ERROR)
		http2_fail(h, http2_why(f->goaway.error_code), nghttp2_http2_strerror(f->goaway.error_code));
}

/* The answer is out: what was to happen to a request that goes on nevertheless. */
static void end_sent(struct http2 *h, int32_t wire)
{
	struct http2_stream *s = http2_stream_of(h, wire);

	if (!s)
		return;
	s->end_sent = true;
	if (s->reset_after && !s->peer_end)
		nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, wire, s->reset_code);
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct http2 *h = arg;

	(void)session;
	switch (f->hd.type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
		if (f->hd.type == NGHTTP2_HEADERS && !h->c->server)
			http2_taken_head_sent(h, f->hd.stream_id);
		if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
			end_sent(h, f->hd.stream_id);
		break;
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PING:
		if (f->hd.flags & NGHTTP2_FLAG_ACK)
			control_sent(h);
		break;
	case NGHTTP2_RST_STREAM:
		reset_sent(h, f);
		break;
	case NGHTTP2_GOAWAY:
		goaway_sent(h, f);
		break;
	}
	return 0;
}

static int on_close(nghttp2_session *session, int32_t wire, uint32_t code, void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s = http2_stream_of(h, wire);

	(void)session;
	http2_give_piece(h);
	if (!s)
		return 0;
	nghttp2_session_set_stream_user_data(h->session, wire, NULL);
	h->last = NULL;
	http2_stream_lost(h, s, http2_why(code));
	http2_stream_free(h, s);
	if (!h->c->server && !h->failed)
		h->c->sink->room(h->c->sink_arg);
	return 0;
}

static int send_all(struct http2 *h)
{
	const uint8_t *p;
	ssize_t n;

	if (!h->c->out.len)
		h->control = 0;
	while ((n = nghttp2_session_mem_send(h->session, &p)) > 0)
		if (buf_add(&h->c->out, p, (size_t)n))
			return NGHTTP2_ERR_NOMEM;
	return (int)n;
}

/* The last words, once: why is the core's to know and the peer's to read. */
static int last_words(struct http2 *h)
{
	if (h->closed)
		return 0;
	h->closed = true;
	nghttp2_session_terminate_session(h->session, h->code ? h->code : http2_code(h->c->why));
	send_all(h);
	return -EPROTO;
}

static int flush(struct codec *c)
{
	struct http2 *h = http2_of(c);
	int err = h->closed ? 0 : send_all(h);

	if (err)
		library_failed(h, err);
	return h->failed ? last_words(h) : 0;
}

/* ---- what comes ---- */

/* A head that nghttp2 threw away costs as much as any other. The last one's frame may still be on its way. */
static void count_ignored(struct http2 *h)
{
	uint64_t seen = h->scan.headers - (h->scan.left && h->scan.head[3] == NGHTTP2_HEADERS);

	for (; h->scan.begun < seen && !h->failed; h->scan.begun++)
		http2_glitch(h);
}

/*
 * Of a slice, what stands before a frame that ends the connection still counts, whatever the cut. The bytes are dropped
 * before a failure that was found in them is told.
 */
static void take(struct http2 *h, struct buf *in)
{
	struct slice s = buf_head(in);
	size_t most = http2_scan(h, s);
	ssize_t n;

	h->stopping = h->failed;
	h->failed = false;
	n = most ? nghttp2_session_mem_recv(h->session, (const uint8_t *)s.p, most) : 0;
	http2_give_piece(h);
	if (n < 0)
		library_failed(h, (int)n);
	count_ignored(h);
	h->failed |= h->stopping;
	buf_drop(in, s.n);
}

static int decode(struct codec *c, struct buf *in)
{
	struct http2 *h = http2_of(c);

	while (in->len && !h->failed)
		take(h, in);
	if (h->failed)
		buf_drop(in, in->len);
	else
		http2_taken_settle(h);
	return flush(c);
}

static enum proto_match sniff(struct slice head, size_t *need)
{
	size_t n = sizeof(HTTP2_MAGIC) - 1, k = head.n < n ? head.n : n;

	if (k && memcmp(head.p, HTTP2_MAGIC, k))
		return PROTO_NO;
	*need = n;
	return k == n ? PROTO_YES : PROTO_MORE;
}

/* ---- what the core asks ---- */

static unsigned room(const struct codec *c)
{
	struct http2 *h = http2_of(c);
	uint32_t most = http2_limit(c->limits->streams, HTTP2_STREAMS_MAX);
	uint32_t theirs = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (c->server || h->failed || h->goaway_in || h->goaway_out || !nghttp2_session_check_request_allowed(h->session))
		return 0;
	if (theirs < most)
		most = theirs;
	return h->live < most ? most - h->live : 0;
}

static bool reusable(const struct codec *c)
{
	const struct http2 *h = http2_of(c);

	return !h->live && !h->failed && !h->goaway_in && !h->goaway_out &&
	       (c->server || nghttp2_session_check_request_allowed(h->session));
}

/* With NONE, a reset behind an answer only says that the rest of the request is not wanted (RFC 9113 8.1). */
static int put_reset(struct codec *c, uint64_t id, enum proto_why why)
{
	struct http2 *h = http2_of(c);
	struct http2_stream *s = http2_stream_get(h, id);

	if (!s)
		return 0;
	s->gone = true;
	if (!c->server || !s->tx_end || why != PROTO_NONE || s->ours) {
		http2_stream_reset(h, s, why == PROTO_NONE ? NGHTTP2_CANCEL : http2_code(why));
	} else if (s->end_sent) {
		http2_stream_reset(h, s, NGHTTP2_NO_ERROR);
	} else {
		s->reset_after = true;
		s->reset_code = NGHTTP2_NO_ERROR;
	}
	return 0;
}

static int put_goaway(struct codec *c, bool final, enum proto_why why)
{
	struct http2 *h = http2_of(c);
	int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
	int err;

	if (!final && !c->server)
		return 0;
	h->goaway_out = true;
	h->goaway_final |= final;
	h->notice_waits |= !final;
	err = final ? nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, http2_code(why), NULL, 0) :
		      nghttp2_submit_shutdown_notice(h->session);
	return err ? -ENOMEM : 0;
}

static int put_ping(struct codec *c, uint64_t token)
{
	struct http2 *h = http2_of(c);

	if (!h->notice_waits)
		return ping(h, token);
	h->ping_waits = true;
	h->ping_token = token;
	return 0;
}

static void consumed(struct codec *c, uint64_t id, size_t n)
{
	nghttp2_session_consume(http2_of(c)->session, http2_wire(id), n);
}

/* ---- life ---- */

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/* Made once and never freed: every session copies what it needs. */
static void tables_make(void)
{
	if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&options))
		abort();
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, http2_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, http2_on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, http2_on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, http2_on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, http2_send_data);
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_no_closed_streams(options, 1);
	/* It counts a frame again for each piece that its head comes in: http2_scan.c does it. */
	nghttp2_option_set_max_continuations(options, SIZE_MAX);
	/* The core has the clock and counts resets with everything else that is odd. */
	nghttp2_option_set_stream_reset_rate_limit(options, UINT64_MAX, UINT64_MAX);
}

static int settings(struct codec *c)
{
	const struct proto_limits *l = c->limits;
	uint32_t streams = http2_limit(l->streams, HTTP2_STREAMS_MAX);
	nghttp2_settings_entry v[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, http2_limit(l->stream_window, HTTP2_STREAM_WINDOW) },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, http2_limit(l->head_bytes, HTTP2_HEAD_MAX) },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server ? streams : 0 },
		{ c->server ? NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL : NGHTTP2_SETTINGS_ENABLE_PUSH,
		  c->server && l->upgrades },
	};

	return nghttp2_submit_settings(http2_of(c)->session, NGHTTP2_FLAG_NONE, v, sizeof(v) / sizeof(v[0]));
}

static int init(struct codec *c)
{
	struct http2 *h = http2_of(c);
	int err;

	pthread_once(&tables_once, tables_make);
	h->c = c;
	h->window_credit = HTTP2_FIRST_CREDIT;
	h->taken.unacked = 1;
	h->scan.magic = c->server ? sizeof(HTTP2_MAGIC) - 1 : 0;
	list_init(&h->waiting);
	http2_memory_init(h);
	err = c->server ? nghttp2_session_server_new3(&h->session, callbacks, h, options, &h->mem) :
			  nghttp2_session_client_new3(&h->session, callbacks, h, options, &h->mem);
	if (!err)
		err = settings(c);
	if (!err)
		err = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
							    (int32_t)http2_limit(c->limits->conn_window, HTTP2_CONN_WINDOW));
	if (err) {
		http2_fail(h, PROTO_OVERLOAD, "out of memory");
		return -ENOMEM;
	}
	return flush(c);
}

static void fini(struct codec *c)
{
	struct http2 *h = http2_of(c);

	if (!h->c)
		return;
	h->failed = true;
	nghttp2_session_del(h->session);
	http2_streams_free(h);
}

static const char *const alpn[] = { "h2", NULL };

const struct proto_ops proto_http2 = {
	.name = "http2",
	.alpn = alpn,
	.flags = PROTO_MULTIPLEX | PROTO_WINDOWS,
	.state_size = sizeof(struct http2),
	.sniff = sniff,
	.init = init,
	.fini = fini,
	.decode = decode,
	.room = room,
	.put_head = http2_put_head,
	.put_data = http2_put_data,
	.put_trailers = http2_put_trailers,
	.put_reset = put_reset,
	.put_goaway = put_goaway,
	.put_ping = put_ping,
	.consumed = consumed,
	.flush = flush,
	.reusable = reusable,
};
