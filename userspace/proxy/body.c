// SPDX-License-Identifier: Apache-2.0
/*
 * Bodies, both ways. What a codec decoded waits in the stream until the other codec takes it, and in that one's out until
 * the socket does; the sum is what may not pass LEG_HIGH, and reading is what stops.
 */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "proxy/downstream.h"
#include "proxy/grpc_call.h"
#include "proxy/json_call.h"
#include "proxy/rpc_call.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/web_call.h"
#include "proxy/worker.h"

static size_t lying(const struct stream *s, enum chain_way way, const struct buf *body, const struct leg *to)
{
	return body->len + (to ? to->codec.out.len : 0) + (s->chain ? chain_holds(s->chain, way) : 0);
}

/* How much may come; with the memory of a thermostat: once full, not before half of it is gone. */
static size_t room(bool *full, size_t used)
{
	if (used >= LEG_HIGH || (*full && used > LEG_LOW)) {
		*full = true;
		return 0;
	}
	*full = false;
	return LEG_HIGH - used;
}

/* Of a call with JSON all of it may. */
size_t stream_request_lying(const struct stream *s)
{
	size_t n = lying(s, CHAIN_REQUEST, &s->request_body, s->up ? &s->up->leg : NULL), more = json_call_more(s);

	return n > more ? n - more : 0;
}

size_t stream_request_room(struct stream *s)
{
	size_t n = room(&s->request_full, stream_request_lying(s));

	if (!n)
		upstream_tell_sent(s);
	return n;
}

size_t stream_response_room(struct stream *s)
{
	return room(&s->response_full, lying(s, CHAIN_RESPONSE, &s->response_body, s->down ? &s->down->leg : NULL));
}

#define KEEP_WHOLE 4096u                        /* from so many bytes on moving them is less work than copying */

int body_keep(struct buf *body, struct buf *in, struct slice d)
{
	return in && d.n >= KEEP_WHOLE ? buf_take(body, in, d.n) : buf_add(body, d.p, d.n);
}

/* ---- to the host -------------------------------------------------------------------------------------------- */

static void request_is_sent(struct stream *s)
{
	struct codec *c = &s->up->leg.codec;

	if (s->request_trailed && c->ops->put_trailers)
		c->ops->put_trailers(c, s->up_id, &s->request_trailers);
	s->request_sent = true;
	upstream_request_sent(s);
}

/* A put that fails is told of by the connection's end, or by a reset: nothing is to be done about it here. */
void body_to_host(struct stream *s)
{
	bool whole = stream_request_whole(s), end = whole && !s->request_trailed;
	struct codec *c;
	ssize_t n = 0;

	if (!s->up || !s->up_id || s->request_sent || (!s->request_body.len && !whole))
		return;
	c = &s->up->leg.codec;
	if (s->request_body.len || end) {
		size_t had = s->request_body.len;

		s->body_sent = true;
		retry_keep(s);
		n = c->ops->put_data(c, s->up_id, &s->request_body, end);
		retry_sent(s, had - s->request_body.len);
	}
	/* Its windows are closed: writable() will come. */
	if (n < 0 || (!n && s->request_body.len))
		return;
	if (s->request_full || s->unconsumed)
		upstream_tell_sent(s);
	leg_touch(&s->up->leg);
	if (whole && !s->request_body.len)
		request_is_sent(s);
}

static void request_ended(struct stream *s)
{
	s->request_end = true;
	s->info.request_end_ns = stream_age_ns(s);
	stream_deadline(s);
}

/* What neither lies here nor between us and the host is made up for by the client's window. */
static void credit(struct stream *s)
{
	size_t here = s->unconsumed ? stream_request_lying(s) : 0;

	if (s->down && s->unconsumed > here)
		downstream_consumed(s->down, s, s->unconsumed - here);
	if (s->unconsumed)
		upstream_tell_sent(s);
}

/* An upgrade that was offered as one stream of many: what comes are its bytes. */
static bool is_tunnel_of(const struct stream *s, bool many)
{
	return many && s->request.upgrade.n;
}

/* Bytes for which nobody is left any more are dropped. */
void stream_data(struct stream *s, struct buf *in, struct slice d, bool end)
{
	struct downstream *down = s->down;
	bool nobodys = s->state != STREAM_TUNNEL && (s->state >= STREAM_REPLY || s->response_end);
	int err;

	s->active_ns = s->w->thread.loop.now_ns;
	s->info.request_bytes += d.n;
	downstream_held(down, s, d.n);
	if (s->response_sent && !down->many) {
		s->drained += d.n;
		s->close |= s->drained > STREAM_DRAIN_MAX;
	}
	err = nobodys ? 0 : web_call_request(s, in, d, end);
	if (err == -EINVAL) {
		stream_refuse(s, 400, STREAM_CLIENT_MALFORMED, "the body is not base64");
		return;
	}
	if (err) {
		stream_abort(s, STREAM_OVERLOADED, "out of memory");
		return;
	}
	if (end && is_tunnel_of(s, down->many))
		s->client_eof = true;
	else if (end)
		request_ended(s);
	credit(s);
	stream_run(s);
}

void stream_trailers(struct stream *s)
{
	if (is_tunnel_of(s, s->down->many)) {
		s->client_eof = true;
		stream_run(s);
		return;
	}
	s->request_trailed = s->request_trailers.nheaders;
	request_ended(s);
	if (s->chain)
		chain_trailers(s, CHAIN_REQUEST);
	stream_run(s);
}

/* The stream may end in its run; the connection's memory stays until the loop's deferred work. */
void stream_up_sent(struct stream *s)
{
	struct downstream *d = s->down;
	bool full = s->request_full;

	credit(s);
	if (!s->request_sent || s->state == STREAM_TUNNEL || rpc_oneway(s))
		stream_run(s);
	if (full)
		downstream_pump(d);
}

/* ---- to the client ------------------------------------------------------------------------------------------ */

static void response_is_sent(struct stream *s)
{
	struct codec *c = &s->down->leg.codec;

	if (s->response_trailed && c->ops->put_trailers)
		c->ops->put_trailers(c, s->down_id, &s->extra);
	s->response_sent = true;
}

void body_to_client(struct stream *s)
{
	bool whole = stream_response_whole(s), end = whole && !s->response_trailed;
	struct codec *c;
	ssize_t n = 0;

	if (!s->down || s->response_sent || (!s->response_body.len && !whole))
		return;
	c = &s->down->leg.codec;
	if (s->response_body.len || end)
		n = c->ops->put_data(c, s->down_id, &s->response_body, end);
	/* Its windows are closed: writable() will come. */
	if (n < 0 || (!n && s->response_body.len))
		return;
	leg_touch(&s->down->leg);
	if (whole && !s->response_body.len)
		response_is_sent(s);
}

/* What neither lies here nor between us and the client is made up for by the host's window. */
static void credit_host(struct stream *s)
{
	if (s->up_unconsumed && s->up)
		upstream_consumed(s, lying(s, CHAIN_RESPONSE, &s->response_body, s->down ? &s->down->leg : NULL));
}

void body_credit(struct stream *s)
{
	credit(s);
	credit_host(s);
}

void stream_up_data(struct stream *s, struct buf *in, struct slice d, bool end)
{
	s->active_ns = s->w->thread.loop.now_ns;
	s->info.response_bytes += d.n;
	upstream_held(s, d.n);
	if (s->chain && !s->host_opaque ? chain_data(s, CHAIN_RESPONSE, in, d, end) : web_call_data(s, in, d)) {
		stream_abort(s, STREAM_OVERLOADED, "out of memory");
		return;
	}
	if (s->host_opaque)
		s->host_eof = end;
	else
		s->response_end = end;
	credit_host(s);
	stream_run(s);
}

void stream_up_trailers(struct stream *s)
{
	if (s->host_opaque) {
		s->host_eof = true;
		stream_run(s);
		return;
	}
	s->response_trailed = s->extra.nheaders;
	s->response_end = true;
	if (grpc_call(s))
		grpc_call_trailers(s);
	if (s->chain) {
		chain_trailers(s, CHAIN_RESPONSE);
	} else if (s->web && web_call_trailers(s)) {
		stream_abort(s, STREAM_OVERLOADED, "out of memory");
		return;
	}
	stream_run(s);
}

void stream_client_sent(struct stream *s)
{
	struct upstream *u = s->up;
	bool full = s->response_full;

	credit_host(s);
	if (s->state > STREAM_WAIT)
		stream_run(s);
	if (full && u && u->stream == s)
		upstream_pump(u);
}
