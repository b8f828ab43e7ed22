// SPDX-License-Identifier: Apache-2.0
/*
 * An upgraded stream (WebSocket, CONNECT): bytes both ways (RFC 9110 7.8, 9.3.6). A side is a whole connection, of which
 * the codec has let go, or one stream of many (RFC 8441, RFC 9113 8.5), whose windows bound what comes. FIN and
 * END_STREAM are passed on as each other, and the other direction lives on.
 */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "proxy/downstream.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/worker.h"

/* One direction. Of a sender that is a stream, bytes come by themselves and lie in body. */
struct way {
	struct leg *from, *to;
	bool from_many, to_many;
	uint64_t to_id;
	struct buf *body;
	bool *eof, *shut;
	uint64_t *bytes;
};

static size_t lies(const struct way *w)
{
	return w->body->len + w->to->codec.out.len;
}

/* What was read before the codec let go comes first. Bytes that came, or -errno: the connection broke. */
static ssize_t take(struct stream *s, const struct way *w)
{
	size_t had = w->body->len;
	ssize_t n = 1;

	if (w->from_many)
		return 0;
	buf_move(w->body, &w->from->in);
	while (!*w->eof && n > 0 && lies(w) < LEG_HIGH) {
		n = leg_read(w->from, w->body, LEG_HIGH - lies(w));
		*w->eof = !n;
	}
	*w->bytes += w->body->len - had;
	if (w->body->len > had)
		s->active_ns = s->w->thread.loop.now_ns;
	return n < 0 && n != -EAGAIN ? n : (ssize_t)(w->body->len - had);
}

static void give_stream(const struct way *w)
{
	struct codec *c = &w->to->codec;
	size_t had = w->body->len;

	if (*w->shut || (!had && !*w->eof) || c->ops->put_data(c, w->to_id, w->body, *w->eof) < 0)
		return;
	*w->shut = *w->eof && !w->body->len;
	if (w->body->len < had || *w->shut)
		leg_touch(w->to);
}

static void give_connection(const struct way *w)
{
	struct buf *out = &w->to->codec.out;

	if (w->body->len) {
		buf_move(out, w->body);
		leg_touch(w->to);
	}
	if (!*w->eof || *w->shut || out->len)
		return;
	*w->shut = true;
	conn_shut(&w->to->conn);
}

/* A stream takes what its window allows at once, so there may be more to read right away. */
static int move(struct stream *s, const struct way *w)
{
	ssize_t n;

	do {
		n = take(s, w);
		if (w->to_many)
			give_stream(w);
		else
			give_connection(w);
	} while (n > 0 && w->to_many && lies(w) < LEG_HIGH);
	return n < 0 ? (int)n : 0;
}

static enum stream_state broke(struct stream *s, enum stream_flag f, const char *detail)
{
	stream_flag(s, f, detail);
	s->cut = s->close = true;
	return STREAM_DONE;
}

enum stream_state step_tunnel(struct stream *s)
{
	struct leg *client = &s->down->leg, *host = &s->up->leg;
	struct way there = { client, host, s->down->many, s->up->many, s->up_id, &s->request_body, &s->client_eof, &s->host_shut,
			     &s->info.request_bytes };
	struct way back = { host, client, s->up->many, s->down->many, s->down_id, &s->response_body, &s->host_eof, &s->client_shut,
			    &s->info.response_bytes };

	s->close = true;
	/* While the host takes nothing the client is not read either, and its reset would be found behind what it sent. */
	if (move(s, &there) || (!there.from_many && lies(&there) >= LEG_HIGH && conn_was_reset(&client->conn)))
		return broke(s, STREAM_CLIENT_CLOSED, "client broke the upgraded connection");
	if (move(s, &back))
		return broke(s, STREAM_UPSTREAM_CLOSED, "host broke the upgraded connection");
	body_credit(s);
	if (lies(&there) >= LEG_HIGH)
		upstream_tell_sent(s);
	if (s->client_shut && s->host_shut)
		return STREAM_DONE;
	stream_deadline(s);
	return STREAM_BLOCKED;
}

void stream_client_opaque(struct stream *s)
{
	s->client_opaque = s->down->leg.opaque = true;
	stream_run(s);
}

void stream_up_opaque(struct stream *s)
{
	s->host_opaque = s->up->leg.opaque = true;
	stream_run(s);
}
