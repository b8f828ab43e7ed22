// SPDX-License-Identifier: Apache-2.0
/*
 * The heads of frames, looked at before nghttp2 gets them: it does not tell of frames that it ignores, and a flood of
 * those is a flood, too. What makes no sense by its head alone ends here.
 */
#include "proto/http2_priv.h"

#define CREDIT_MAX 10000u                       /* WINDOW_UPDATEs that may be saved up */
#define CREDIT_HEADERS 2u
#define PINGS_FREE 2u                           /* between two frames of streams */

/* Frames of streams pay for some of the connection's own. */
static void window_update(struct http2 *h)
{
	if (h->window_credit > CREDIT_MAX)
		h->window_credit = CREDIT_MAX;
	if (h->window_credit)
		h->window_credit--;
	else
		http2_glitch(h);
}

static bool was_skipped(const struct http2_scan *s, uint32_t stream)
{
	for (unsigned i = 0; i < HTTP2_GAPS; i++)
		if (stream > s->gaps[i].after && stream < s->gaps[i].before)
			return true;
	return false;
}

/*
 * A client opens streams in order; one that it left out can never be opened (RFC 9113 5.1.1). Of a stream that was open once
 * there may still be trailers on their way when it is reset.
 */
static void headers(struct http2 *h, uint32_t stream)
{
	struct http2_scan *s = &h->scan;

	s->headers++;
	s->continuations = 0;
	h->pings = 0;
	h->window_credit += CREDIT_HEADERS;
	if (!h->c->server || !(stream & 1))
		return;
	if (stream <= s->last) {
		if (was_skipped(s, stream))
			http2_fail(h, PROTO_MALFORMED, "stream that was left out before");
		return;
	}
	if (stream > s->last + 2 || (!s->last && stream > 1)) {
		s->gaps[s->ngaps % HTTP2_GAPS].after = s->last;
		s->gaps[s->ngaps % HTTP2_GAPS].before = stream;
		s->ngaps++;
	}
	s->last = stream;
}

static void continuation(struct http2 *h)
{
	if (++h->scan.continuations > HTTP2_CONTINUATIONS_MAX)
		http2_fail(h, PROTO_ABUSE, "too many CONTINUATION frames for one head");
	http2_glitch(h);
}

/* Of frames that say little each is odd. */
static void frame(struct http2 *h, const uint8_t *head)
{
	uint32_t length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
	uint32_t stream = ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]) & INT32_MAX;
	bool ack = head[4] & NGHTTP2_FLAG_ACK;

	h->scan.left = length;
	switch (head[3]) {
	case NGHTTP2_DATA:
		h->pings = 0;
		if (!length && !(head[4] & NGHTTP2_FLAG_END_STREAM))
			http2_glitch(h);
		return;
	case NGHTTP2_HEADERS:
		headers(h, stream);
		return;
	case NGHTTP2_SETTINGS:
		if (!ack && h->scan.settings++)
			http2_glitch(h);
		return;
	case NGHTTP2_PING:
		if (!ack && ++h->pings > PINGS_FREE)
			http2_glitch(h);
		return;
	case NGHTTP2_WINDOW_UPDATE:
		window_update(h);
		return;
	case NGHTTP2_GOAWAY:
		if (h->goaway_in)
			http2_glitch(h);
		return;
	case NGHTTP2_PRIORITY:
		/* It means nothing any more, which nghttp2 takes for a reason not to look (RFC 9113 6.3). */
		if (!stream)
			http2_fail(h, PROTO_MALFORMED, "PRIORITY of no stream");
		http2_glitch(h);
		return;
	case NGHTTP2_CONTINUATION:
		continuation(h);
		return;
	default:
		http2_glitch(h);
	}
}

static size_t skip(uint32_t *left, size_t n)
{
	size_t k = *left < n ? *left : n;

	*left -= (uint32_t)k;
	return k;
}

size_t http2_scan(struct http2 *h, struct slice s)
{
	struct http2_scan *x = &h->scan;
	size_t at = 0;

	while (at < s.n) {
		size_t from, k;

		at += skip(x->left ? &x->left : &x->magic, s.n - at);
		if (x->left || x->magic || at == s.n)
			continue;
		from = at;
		k = sizeof(x->head) - x->have;
		k = k < s.n - at ? k : s.n - at;
		memcpy(x->head + x->have, s.p + at, k);
		x->have += (uint8_t)k;
		at += k;
		if (x->have < sizeof(x->head))
			break;
		x->have = 0;
		frame(h, x->head);
		if (h->failed)
			return from;
	}
	return at;
}
