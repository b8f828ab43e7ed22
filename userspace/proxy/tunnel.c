// SPDX-License-Identifier: Apache-2.0
/*
 * An upgraded stream (WebSocket, CONNECT): both connections are bytes, and nothing else comes on them (RFC 9110 7.8,
 * 9.3.6). FIN is passed on as FIN, and the other direction lives on.
 */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "proxy/downstream.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/worker.h"

/* What was read before the codec let go comes first. 0, or -errno: the connection broke. */
static int move(struct stream *s, struct leg *from, struct leg *to, bool *eof, uint64_t *bytes)
{
	struct buf *out = &to->codec.out;
	size_t had = out->len;
	ssize_t n = 1;

	buf_move(out, &from->in);
	while (!*eof && n > 0 && out->len < LEG_HIGH) {
		n = leg_read(from, out, LEG_HIGH - out->len);
		*eof = !n;
	}
	if (out->len > had) {
		*bytes += out->len - had;
		s->active_ns = s->w->thread.loop.now_ns;
		leg_touch(to);
	}
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

static void pass_fin(bool eof, struct leg *to, bool *shut)
{
	if (!eof || *shut || to->codec.out.len)
		return;
	*shut = true;
	conn_shut(&to->conn);
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

	s->close = true;
	if (move(s, client, host, &s->client_eof, &s->info.request_bytes))
		return broke(s, STREAM_CLIENT_CLOSED, "client broke the upgraded connection");
	if (move(s, host, client, &s->host_eof, &s->info.response_bytes))
		return broke(s, STREAM_UPSTREAM_CLOSED, "host broke the upgraded connection");
	pass_fin(s->client_eof, host, &s->host_shut);
	pass_fin(s->host_eof, client, &s->client_shut);
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
