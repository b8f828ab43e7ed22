/* SPDX-License-Identifier: Apache-2.0 */
/* One end of HTTP/2 that is given any bytes, cut in different ways: what is the same for all of them. */
#pragma once
#include "base/rand.h"
#include "lib/http2_rig.h"

/* There is room for the rest of a body. */
static inline void split_more(struct end *e, struct end_stream *s)
{
	end_put(e, s->id, "b", false);
}

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
	e->more = server ? NULL : split_more;
	e->limits.unsure_body = 1;
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

static inline bool split_wrong(const struct end *e)
{
	bool wrong = e->err;

	for (unsigned i = 0; i < e->nstreams && !wrong; i++) {
		struct slice log = end_text(&((struct end *)e)->streams[i].log);

		wrong = memmem(log.p, log.n, "reset ", 6);
	}
	return wrong;
}

static inline void split_equal(struct buf *a, struct buf *b)
{
	struct slice x = end_text(a), y = end_text(b);

	if (!slice_eq(x, y))
		fprintf(stderr, "whole: %.*s\ncut: %.*s\n", SLICE_ARG(x), SLICE_ARG(y));
	assert_always(slice_eq(x, y));
}

/*
 * What becomes of a stream behind something wrong depends on what was sent by then: nghttp2 forgives frames of a stream whose
 * reset is on its way, and takes the peer's reset for its own that is not. Behind the peer's GOAWAY and the last stream it reads to
 * the end of what it was given, and no more.
 */
static inline void split_same(struct end *a, struct end *b)
{
	if (split_wrong(a) || split_wrong(b) || (a->news.len && memmem(end_text(&a->news).p, a->news.len, "goaway", 6)))
		return;
	assert_always(a->nstreams == b->nstreams);
	split_equal(&a->news, &b->news);
	for (unsigned i = 0; i < a->nstreams; i++) {
		assert_always(a->streams[i].id >> 32 == b->streams[i].id >> 32);
		split_equal(&a->streams[i].log, &b->streams[i].log);
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
