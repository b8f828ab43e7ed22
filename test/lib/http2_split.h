/* SPDX-License-Identifier: Apache-2.0 */
/* One end of HTTP/2 that is given any bytes, cut in different ways: what is the same for all of them. */
#pragma once
#include "base/rand.h"
#include "lib/http2_rig.h"

/* Requests whose answers the bytes may be: GET, HEAD, POST that goes on, CONNECT, WebSocket. */
static inline void split_requests(struct end *e)
{
	struct msg *m = end_request(e, "POST", "/");

	raw_setting(&e->in, 8, 1);
	end_decode(e, (struct slice){ "", 0 });
	end_ask(e, end_request(e, "GET", "/"), true);
	end_ask(e, end_request(e, "HEAD", "/"), true);
	m->body_len = 4;
	end_put(e, end_ask(e, m, false)->id, "ab", false);
	m = end_request(e, "CONNECT", "");
	m->authority = SLICE_LIT("a:1");
	m->upgrade = SLICE_LIT("connect");
	end_ask(e, m, false);
	m = end_request(e, "GET", "/");
	m->upgrade = SLICE_LIT("websocket");
	msg_add(m, SLICE_LIT("sec-websocket-key"), SLICE_LIT("dGhlIHNhbXBsZSBub25jZQ=="));
	end_ask(e, m, false);
	end_flush(e);
}

static inline void split_run(struct end *e, bool server, struct slice s, unsigned step, struct rand *dice)
{
	end_open(e, server);
	e->answer = end_answer_ok;
	if (server && s.n && s.p[0] == 'p') {
		end_decode(e, SLICE_LIT(RAW_PREFACE));
		s.p++;
		s.n--;
	}
	if (!server)
		split_requests(e);
	for (size_t at = 0, k; at < s.n; at += k) {
		k = !step ? s.n : step == 1 ? 1 : 1 + rand_below(dice, step);
		if (k > s.n - at)
			k = s.n - at;
		end_decode(e, (struct slice){ s.p + at, k });
		end_flush(e);
		buf_drop(&e->c.out, e->c.out.len);
	}
}

/*
 * Where the connection ended, a stream that was reset just before may or may not have heard of it; one that was reset may
 * have got more or less of its body before.
 */
static inline struct slice split_heard(struct buf *b, bool failed)
{
	struct slice s = end_text(b);
	const char *last = memmem(s.p, s.n, "reset ", 6), *body = memmem(s.p, s.n, "data ", 5);

	if (last && failed)
		s.n = (size_t)(last - s.p);
	if (last && body && body < last)
		s.n = (size_t)(body - s.p);
	return s;
}

static inline void split_equal(struct buf *a, struct buf *b, bool failed)
{
	struct slice x = split_heard(a, failed), y = split_heard(b, failed);

	if (!slice_eq(x, y))
		fprintf(stderr, "whole: %.*s\ncut: %.*s\n", SLICE_ARG(x), SLICE_ARG(y));
	assert_always(slice_eq(x, y));
}

static inline void split_same(struct end *a, struct end *b)
{
	/* Behind the peer's GOAWAY and the last stream nghttp2 reads to the end of what it was given, and no more. */
	if (a->news.len && memmem(end_text(&a->news).p, a->news.len, "goaway", 6))
		return;
	if (a->err != b->err || a->c.why != b->c.why || a->nstreams != b->nstreams)
		fprintf(stderr, "whole: %d %s, %u streams\ncut: %d %s, %u streams\n", a->err, a->c.detail, a->nstreams, b->err,
			b->c.detail, b->nstreams);
	assert_always(a->err == b->err && a->c.why == b->c.why && a->nstreams == b->nstreams);
	split_equal(&a->news, &b->news, false);
	for (unsigned i = 0; i < a->nstreams; i++) {
		assert_always(a->streams[i].id >> 32 == b->streams[i].id >> 32);
		split_equal(&a->streams[i].log, &b->streams[i].log, a->err);
	}
}

/* A core that has had enough is obeyed: not much more than it bore. */
static inline void split_enough(bool server, struct slice s)
{
	static struct end e;

	e = (struct end){ .glitches_max = 5, .limits = { .head_bytes = 300, .headers = 8, .control_frames = 10 } };
	e.limits.streams = server ? 3 : 0;
	split_run(&e, server, s, 0, NULL);
	assert_always(e.glitches <= 6);
	end_close(&e);
}

static inline void split_check(bool server, const uint8_t *data, size_t n)
{
	static const unsigned steps[] = { 1, 3, 40 };
	struct slice s = { (const char *)data, n };
	static struct end whole, cut;
	struct rand dice;

	if (!n || n > 3000)
		return;
	rand_seed(&dice, n * 256 + data[n - 1]);
	whole = (struct end){ 0 };
	split_run(&whole, server, s, 0, &dice);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		cut = (struct end){ 0 };
		split_run(&cut, server, s, steps[i], &dice);
		split_same(&whole, &cut);
		end_close(&cut);
	}
	end_close(&whole);
	split_enough(server, s);
}
