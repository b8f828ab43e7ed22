// SPDX-License-Identifier: Apache-2.0
/*
 * The heads of frames, looked at before nghttp2 gets them: it does not tell of frames that it ignores, and a flood of
 * those is a flood, too. What makes no sense by its head alone ends here.
 */
#include "proto/http2_priv.h"

#define CREDIT_MAX 10000u                       /* WINDOW_UPDATEs that may be saved up */
#define CREDIT_HEADERS 2u
#define PINGS_FREE 2u                           /* and empty SETTINGS, between two frames of streams */
#define FRAME_HEAD 9u
#define PRIORITY_BYTES 5u

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

/* ---- streams that the client itself ended ---- */

static uint64_t *ended_word(struct http2_scan *s, uint32_t stream, uint64_t *bit)
{
	uint32_t n = stream >> 1;

	*bit = 1ull << (n % 64);
	return &s->ended[n / 64 % HTTP2_ENDED_WORDS];
}

/* Of the last streams, as many as there are bits. */
static bool is_recent(const struct http2_scan *s, uint32_t stream)
{
	return (stream & 1) && stream <= s->last && s->last - stream < 2 * 64 * HTTP2_ENDED_WORDS;
}

static void client_ends(struct http2_scan *s, uint32_t stream)
{
	uint64_t bit, *word = ended_word(s, stream, &bit);

	if (is_recent(s, stream))
		*word |= bit;
}

/*
 * Behind END_STREAM or RST_STREAM of its own a client has nothing to say on a stream (RFC 9113 5.1); what comes behind a reset
 * of ours was on its way. nghttp2 forgets streams that are closed, and ignores it.
 */
static void stream_goes_on(struct http2 *h, uint32_t stream)
{
	uint64_t bit, *word = ended_word(&h->scan, stream, &bit);

	if (!h->c->server || !is_recent(&h->scan, stream) || !(*word & bit))
		return;
	h->code = NGHTTP2_STREAM_CLOSED;
	http2_fail(h, PROTO_MALFORMED, "frame on a stream that the client had ended");
}

static void stream_opened(struct http2_scan *s, uint32_t stream)
{
	uint32_t n = s->last ? (stream - s->last) / 2 : HTTP2_ENDED_WORDS * 64;

	if (n >= HTTP2_ENDED_WORDS * 64)
		memset(s->ended, 0, sizeof(s->ended));
	for (uint32_t id = s->last + 2; n < HTTP2_ENDED_WORDS * 64 && id <= stream; id += 2) {
		uint64_t bit, *word = ended_word(s, id, &bit);

		*word &= ~bit;
	}
	s->last = stream;
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
		stream_goes_on(h, stream);
		return;
	}
	if (stream > s->last + 2 || (!s->last && stream > 1)) {
		s->gaps[s->ngaps % HTTP2_GAPS].after = s->last;
		s->gaps[s->ngaps % HTTP2_GAPS].before = stream;
		s->ngaps++;
	}
	stream_opened(s, stream);
}

/* What a stream that depends on itself would mean nobody knows (RFC 7540 5.3.1). */
static uint32_t depends_on(const uint8_t *head)
{
	return http2_u32(head + FRAME_HEAD) & INT32_MAX;
}

static void continuation(struct http2 *h)
{
	if (++h->scan.continuations > HTTP2_CONTINUATIONS_MAX)
		http2_fail(h, PROTO_ABUSE, "too many CONTINUATION frames for one head");
	http2_glitch(h);
}

static uint32_t frame_length(const uint8_t *head)
{
	return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

/* Bytes of a frame that are looked at: of PRIORITY the stream that it names, too. */
static uint8_t wanted(const uint8_t *head)
{
	return head[3] == NGHTTP2_PRIORITY && frame_length(head) == PRIORITY_BYTES ? FRAME_HEAD + 4 : FRAME_HEAD;
}

/* Of those that only want an answer a few are no more than careful. */
static void question(struct http2 *h, uint32_t length)
{
	if (length || ++h->pings > PINGS_FREE)
		http2_glitch(h);
}

/* Of frames that say little each is odd. */
static void frame(struct http2 *h, const uint8_t *head)
{
	uint32_t length = frame_length(head);
	uint32_t stream = http2_u32(head + 5) & INT32_MAX;
	bool ack = head[4] & NGHTTP2_FLAG_ACK;

	h->scan.left = length - (wanted(head) - FRAME_HEAD);
	switch (head[3]) {
	case NGHTTP2_DATA:
		h->pings = 0;
		if (!length && !(head[4] & NGHTTP2_FLAG_END_STREAM))
			http2_glitch(h);
		stream_goes_on(h, stream);
		if (head[4] & NGHTTP2_FLAG_END_STREAM)
			client_ends(&h->scan, stream);
		return;
	case NGHTTP2_HEADERS:
		headers(h, stream);
		if (head[4] & NGHTTP2_FLAG_END_STREAM)
			client_ends(&h->scan, stream);
		return;
	case NGHTTP2_RST_STREAM:
		http2_glitch(h);
		client_ends(&h->scan, stream);
		return;
	case NGHTTP2_SETTINGS:
		if (!ack && h->scan.settings++)
			question(h, length);
		return;
	case NGHTTP2_PING:
		if (!ack)
			question(h, 0);
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
		else if (length == PRIORITY_BYTES && depends_on(head) == stream)
			http2_fail(h, PROTO_MALFORMED, "PRIORITY of a stream that depends on itself");
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

/* The head of the frame under way: true when it is complete; at moves behind what was taken. */
static bool head_complete(struct http2_scan *x, struct slice s, size_t *at)
{
	for (;;) {
		size_t want = x->have < FRAME_HEAD ? FRAME_HEAD : wanted(x->head), k = want - x->have;

		k = k < s.n - *at ? k : s.n - *at;
		memcpy(x->head + x->have, s.p + *at, k);
		x->have += (uint8_t)k;
		*at += k;
		if (x->have < want)
			return false;
		if (want > FRAME_HEAD || wanted(x->head) == FRAME_HEAD)
			return true;
	}
}

size_t http2_scan(struct http2 *h, struct slice s)
{
	struct http2_scan *x = &h->scan;
	size_t at = 0;

	while (at < s.n) {
		size_t from;

		at += skip(x->left ? &x->left : &x->magic, s.n - at);
		if (x->left || x->magic || at == s.n)
			continue;
		from = at;
		if (!head_complete(x, s, &at))
			break;
		x->have = 0;
		frame(h, x->head);
		if (h->failed)
			return from;
	}
	return at;
}
