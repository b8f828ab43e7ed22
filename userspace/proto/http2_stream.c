// SPDX-License-Identifier: Apache-2.0
/*
 * Which streams there are. One lives as long as nghttp2 knows it; the core's knowledge may end before, with a reset of
 * its own or when both directions have ended for it.
 */
#include "proto/http2_priv.h"

#include <stdlib.h>

static int grow(struct http2 *h)
{
	uint32_t n = h->nslots ? 2 * h->nslots : 8;
	struct http2_slot *v = h->mem.realloc(h->slots, n * sizeof(*v), h);

	if (!v)
		return -1;
	for (uint32_t i = h->nslots; i < n; i++)
		v[i] = (struct http2_slot){ NULL, i + 1 };
	h->slots = v;
	h->nslots = n;
	return 0;
}

struct http2_stream *http2_stream_new(struct http2 *h, int32_t wire)
{
	struct http2_stream *s;

	if (h->free_slot == h->nslots && grow(h))
		return NULL;
	s = h->mem.calloc(1, sizeof(*s), h);
	if (!s)
		return NULL;
	s->magic = http2_stream_MAGIC;
	s->wire = wire;
	s->slot = h->free_slot;
	s->id = (uint64_t)wire << 32 | (s->slot + 1);
	s->tx_left = -1;
	h->free_slot = h->slots[s->slot].next;
	h->slots[s->slot].s = s;
	h->live++;
	return s;
}

void http2_stream_free(struct http2 *h, struct http2_stream *s)
{
	if (h->last == s)
		h->last = NULL;
	h->slots[s->slot] = (struct http2_slot){ NULL, h->free_slot };
	h->free_slot = s->slot;
	h->live--;
	h->queued -= s->queue.len;
	list_del(&s->waits);
	buf_fini(&s->queue);
	h->mem.free(s->trailers, h);
	s->magic = 0;
	h->mem.free(s, h);
}

void http2_streams_free(struct http2 *h)
{
	for (uint32_t i = 0; i < h->nslots; i++)
		if (h->slots[i].s)
			http2_stream_free(h, h->slots[i].s);
	h->mem.free(h->slots, h);
	h->slots = NULL;
	h->nslots = h->free_slot = 0;
}

struct http2_stream *http2_stream_get(const struct http2 *h, uint64_t id)
{
	uint32_t slot = (uint32_t)id - 1;
	struct http2_stream *s = slot < h->nslots ? h->slots[slot].s : NULL;

	return s && s->id == id && !s->gone ? s : NULL;
}

struct http2_stream *http2_stream_look_up(struct http2 *h, int32_t wire)
{
	void *p = nghttp2_session_get_stream_user_data(h->session, wire);

	h->last = p ? CAST(http2_stream, p) : NULL;
	return h->last;
}

void http2_stream_settle(struct http2_stream *s)
{
	s->gone |= s->rx_end && s->tx_end;
}

void http2_stream_lost(struct http2 *h, struct http2_stream *s, enum proto_why why)
{
	uint64_t id = s->id;

	if (s->gone)
		return;
	s->gone = true;
	h->c->sink->reset(h->c->sink_arg, id, why);
}

void http2_stream_reset(struct http2 *h, struct http2_stream *s, uint32_t code)
{
	list_del(&s->waits);
	s->ours = true;
	if (nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->wire, code))
		http2_fail(h, PROTO_OVERLOAD, "out of memory");
}
