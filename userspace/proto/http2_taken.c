// SPDX-License-Identifier: Apache-2.0
/*
 * Which of our requests the peer has taken on. One that its GOAWAY leaves out may be asked elsewhere (RFC 9113 6.8), but not
 * behind more of its body than the core keeps. So no more of it goes out than limits.unsure_body until the peer has shown
 * that it took the stream, or a later one, as it takes them in order: by a frame of its own on one, or by acknowledging
 * SETTINGS that were sent behind the head. Those are empty, are sent only where the stream's window allows more than that,
 * and one at a time: a peer may acknowledge two at once. Servers of gRPC count PINGs, and end who sends many.
 */
#include "proto/http2_priv.h"

size_t http2_taken_room(const struct http2 *h, const struct http2_stream *s)
{
	uint32_t most = h->c->limits->unsure_body;

	if (h->c->server || !most || s->wire <= h->taken.upto)
		return SIZE_MAX;
	return most > s->tx_body ? (size_t)(most - s->tx_body) : 0;
}

static void ask(struct http2 *h)
{
	struct http2_taken *t = &h->taken;

	if (t->wanted <= t->upto || t->wanted > t->heads || t->unacked)
		return;
	if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, NULL, 0)) {
		http2_fail(h, PROTO_OVERLOAD, "out of memory");
		return;
	}
	t->unacked++;
	t->asking = t->heads;
}

void http2_taken_ask(struct http2 *h, const struct http2_stream *s)
{
	if (s->wire > h->taken.wanted)
		h->taken.wanted = s->wire;
	ask(h);
}

void http2_taken_head_sent(struct http2 *h, int32_t wire)
{
	if (wire > h->taken.heads)
		h->taken.heads = wire;
	ask(h);
}

void http2_taken_upto(struct http2 *h, int32_t upto)
{
	if (upto <= h->taken.upto)
		return;
	h->taken.upto = upto;
	http2_tell_waiting(h, NULL);
}

void http2_taken_acked(struct http2 *h)
{
	struct http2_taken *t = &h->taken;

	if (t->unacked)
		t->unacked--;
	if (t->asking > t->told)
		t->told = t->asking;
	t->acked = true;
}

/* An acknowledgement may overtake the GOAWAY that was there before it; both come in one piece then. */
void http2_taken_settle(struct http2 *h)
{
	if (!h->taken.acked)
		return;
	h->taken.acked = false;
	http2_taken_upto(h, h->taken.told);
	ask(h);
}
