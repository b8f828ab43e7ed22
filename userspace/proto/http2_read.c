// SPDX-License-Identifier: Apache-2.0
/* Frames that come in: what they mean to the sink. */
#include "proto/http2_priv.h"

void http2_msg_init(const struct http2 *h, struct msg *m, enum msg_kind kind)
{
	m->kind = kind;
	m->proto = h->c->ops;
	m->serialization = m->wire_status = MSG_NO_STATUS;
}

/* ---- heads ---- */

static struct msg *begin(struct http2 *h, struct http2_stream *s, enum msg_kind kind)
{
	struct msg *m = h->c->sink->begin(h->c->sink_arg, s->id, kind);

	if (m)
		http2_msg_init(h, m, kind);
	return m;
}

static int begin_request(struct http2 *h, int32_t wire)
{
	struct http2_stream *s = http2_stream_new(h, wire);

	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(h->session, wire, s);
	/* Behind the last GOAWAY nothing is begun: it says so, and the client may ask elsewhere. */
	s->ours = h->goaway_final;
	s->m = h->goaway_final ? NULL : begin(h, s, MSG_REQUEST);
	if (s->m)
		return 0;
	s->gone = true;
	nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, wire, NGHTTP2_REFUSED_STREAM);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s;

	(void)session;
	http2_give_piece(h);
	h->scan.begun++;
	if (h->failed)
		return 0;
	if (f->headers.cat == NGHTTP2_HCAT_REQUEST)
		return h->goaway_in ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : begin_request(h, f->hd.stream_id);
	s = http2_stream_of(h, f->hd.stream_id);
	if (!s)
		return 0;
	s->skip = s->gone || s->rx_end;
	if (s->skip || !(h->c->server || s->headed))
		return 0;
	s->m = begin(h, s, MSG_TRAILERS);
	s->skip = !s->m;
	return 0;
}

static void on_headers(struct http2 *h, const nghttp2_frame *f)
{
	struct http2_stream *s = http2_stream_of(h, f->hd.stream_id);
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (!s)
		return;
	s->peer_end |= end;
	http2_head_done(h, s, end);
}

/* ---- bodies ---- */

/* Bytes that nobody hears of leave the windows at once. */
static void drop(struct http2 *h, int32_t wire, size_t n)
{
	nghttp2_session_consume(h->session, wire, n);
}

int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t wire, const uint8_t *p, size_t n, void *arg)
{
	struct http2 *h = arg;
	struct http2_stream *s = http2_stream_of(h, wire);

	(void)session;
	(void)flags;
	http2_give_piece(h);
	if (!s || s->gone || s->rx_end || h->failed) {
		drop(h, wire, n);
		return 0;
	}
	h->piece = (struct slice){ (const char *)p, n };
	h->piece_of = s->id;
	return 0;
}

void http2_give_piece(struct http2 *h)
{
	struct slice d = h->piece;
	struct http2_stream *s;

	if (!d.n)
		return;
	h->piece.n = 0;
	s = http2_stream_get(h, h->piece_of);
	if (!s || s->rx_end || h->failed)
		drop(h, http2_wire(h->piece_of), d.n);
	else
		h->c->sink->data(h->c->sink_arg, s->id, NULL, d, false);
}

/* The frame is complete: whether its bytes were the last is known, and they are given with that word. */
static void on_data_frame(struct http2 *h, const nghttp2_frame *f)
{
	struct http2_stream *s = http2_stream_of(h, f->hd.stream_id);
	bool end = s && f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct slice last = { "", 0 };

	if (!end || s->gone || s->rx_end || h->piece_of != s->id)
		http2_give_piece(h);
	/* Empty ones were counted at their head; this one is made of padding. */
	if (f->hd.length && f->hd.length == f->data.padlen && !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		http2_glitch(h);
	if (!end)
		return;
	s->peer_end = true;
	if (s->gone || s->rx_end)
		return;
	if (h->piece.n)
		last = h->piece;
	h->piece.n = 0;
	s->rx_end = true;
	http2_stream_settle(s);
	h->c->sink->data(h->c->sink_arg, s->id, NULL, last, true);
}

/* ---- the connection's own ---- */

static void on_ping(struct http2 *h, const nghttp2_frame *f)
{
	uint64_t token;

	memcpy(&token, f->ping.opaque_data, sizeof(token));
	h->c->sink->ping(h->c->sink_arg, token, f->hd.flags & NGHTTP2_FLAG_ACK);
}

static void on_settings(struct http2 *h, const nghttp2_frame *f)
{
	if (f->hd.flags & NGHTTP2_FLAG_ACK) {
		http2_taken_acked(h);
		return;
	}
	http2_tell_waiting(h, NULL);
	if (!h->c->server)
		h->c->sink->room(h->c->sink_arg);
}

/*
 * Our streams above last were not processed (RFC 9113 6.8): safe to send again, which is said before the goaway. One that
 * processed none may do so again and again.
 */
static void on_goaway(struct http2 *h, const nghttp2_frame *f)
{
	h->goaway_in = true;
	for (uint32_t i = 0; !h->c->server && i < h->nslots; i++) {
		struct http2_stream *s = h->slots[i].s;

		if (s && s->wire > f->goaway.last_stream_id)
			http2_stream_lost(h, s, f->goaway.last_stream_id ? PROTO_DRAINING : PROTO_REFUSED);
	}
	if (!h->failed)
		h->c->sink->goaway(h->c->sink_arg, (uint64_t)f->goaway.last_stream_id, http2_why(f->goaway.error_code));
}

static void on_window(struct http2 *h, const nghttp2_frame *f)
{
	struct http2_stream *s = f->hd.stream_id ? http2_stream_of(h, f->hd.stream_id) : NULL;

	if (!f->hd.stream_id)
		http2_tell_waiting(h, NULL);
	else if (s && list_linked(&s->waits))
		http2_tell_waiting(h, s);
}

/* What a peer says on a stream of ours says that it has it. */
static bool shows_taken(const struct http2 *h, const nghttp2_frame *f)
{
	uint8_t t = f->hd.type;

	return !h->c->server && f->hd.stream_id && (t == NGHTTP2_HEADERS || t == NGHTTP2_DATA || t == NGHTTP2_WINDOW_UPDATE);
}

int http2_on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct http2 *h = arg;

	(void)session;
	if (h->failed)
		return 0;
	if (f->hd.type != NGHTTP2_DATA)
		http2_give_piece(h);
	if (shows_taken(h, f))
		http2_taken_upto(h, f->hd.stream_id);
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		on_headers(h, f);
		break;
	case NGHTTP2_DATA:
		on_data_frame(h, f);
		break;
	case NGHTTP2_PING:
		on_ping(h, f);
		break;
	case NGHTTP2_SETTINGS:
		on_settings(h, f);
		break;
	case NGHTTP2_GOAWAY:
		on_goaway(h, f);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		on_window(h, f);
		break;
	}
	return 0;
}
