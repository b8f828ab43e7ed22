/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two HTTP/2 codecs at the ends of a pipe, or one whose peer is the test. Each end keeps what its sink heard, stream by
 * stream: what of two streams comes first may depend on where the bytes were cut, what one stream says may not.
 */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/magic.h"
#include "proto/http2.h"
#include "weft/str.h"

#define END_STREAMS 128

struct end;

struct end_stream {
	uint64_t id;
	struct buf log;
	size_t body;                            /* bytes of it so far */
	unsigned pieces;                        /* in so many calls */
	bool in_data, ended, writable;
	struct msg *m;                          /* the last head */
};

struct end {
	struct codec c;
	struct proto_limits limits;
	struct arena arena;
	struct buf in;                          /* not decoded yet */
	struct buf news;                        /* what is not about one stream */
	struct end_stream streams[END_STREAMS];
	unsigned nstreams;
	unsigned glitches, glitches_max;        /* max 0: never too many */
	unsigned rooms;
	bool refuse;                            /* begin() gives NULL */
	bool hold;                              /* bodies are not consumed until end_release() */
	bool quiet;                             /* bytes of bodies are only counted */
	size_t held;
	/* Called when a request is complete, or its upgrade is offered; NULL: the test answers. */
	void (*answer)(struct end *e, struct end_stream *s);
	void (*more)(struct end *e, struct end_stream *s); /* writable() came; may be NULL */
	int err;                                /* other than -EAGAIN */
};

static inline struct end_stream *end_find(struct end *e, uint64_t id)
{
	for (unsigned i = e->nstreams; i-- > 0;)
		if (e->streams[i].id == id)
			return &e->streams[i];
	return NULL;
}

static inline struct end_stream *end_at(struct end *e, unsigned i)
{
	assert_always(i < e->nstreams);
	return &e->streams[i];
}

static inline struct end_stream *end_add(struct end *e, uint64_t id)
{
	struct end_stream *s;

	assert_always(id && !end_find(e, id));
	if (e->nstreams == END_STREAMS)
		return NULL;
	s = &e->streams[e->nstreams++];
	*s = (struct end_stream){ .id = id };
	return s;
}

static inline void end_note(struct end_stream *s, const char *text)
{
	buf_printf(&s->log, "%s%s", s->in_data ? "\n" : "", text);
	s->in_data = false;
}

static inline const char *end_kind(enum msg_kind k)
{
	static const char *const names[] = { "request", "oneway", "response", "info", "trailers" };

	return names[k];
}

static inline struct msg *end_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct end *e = arg;
	struct end_stream *s = kind == MSG_REQUEST && !e->refuse ? end_add(e, id) : end_find(e, id);

	if (!s || e->refuse)
		return NULL;
	assert_always(!s->ended);
	s->m = arena_alloc(&e->arena, sizeof(*s->m));
	s->m->arena = &e->arena;
	return s->m;
}

static inline void end_note_msg(struct end_stream *s, const struct msg *m)
{
	end_note(s, end_kind(m->kind));
	if (m->method.n)
		buf_printf(&s->log, " %.*s", SLICE_ARG(m->method));
	if (m->scheme.n || m->authority.n)
		buf_printf(&s->log, " %.*s://%.*s", SLICE_ARG(m->scheme), SLICE_ARG(m->authority));
	if (m->path.n)
		buf_printf(&s->log, " %.*s", SLICE_ARG(m->path));
	if (m->status)
		buf_printf(&s->log, " %d", m->status);
	if (m->upgrade.n)
		buf_printf(&s->log, " up %.*s", SLICE_ARG(m->upgrade));
	if (m->kind != MSG_TRAILERS && m->kind != MSG_INFO)
		buf_printf(&s->log, " len %lld", (long long)m->body_len);
	if (m->wire_status >= 0)
		buf_printf(&s->log, " wire %d", m->wire_status);
	if (m->flags)
		buf_printf(&s->log, " flags %x", m->flags);
	buf_printf(&s->log, "\n");
	for (uint32_t i = 0; i < m->nheaders; i++) {
		struct slice v = m->headers[i].value;

		/* Made up, so never the same. */
		if (m->kind == MSG_REQUEST && slice_eq_str(m->headers[i].name, "sec-websocket-key"))
			v = SLICE_LIT("*");
		buf_printf(&s->log, " %.*s: %.*s\n", SLICE_ARG(m->headers[i].name), SLICE_ARG(v));
	}
}

static inline void end_complete(struct end *e, struct end_stream *s)
{
	if (e->c.server && e->answer)
		e->answer(e, s);
}

static inline int end_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct end *e = arg;
	struct end_stream *s = end_find(e, id);

	assert_always(s && !s->ended && s->m == m && (!end || !m->upgrade.n));
	end_note_msg(s, m);
	if (end)
		end_note(s, "end\n");
	if (m->kind == MSG_REQUEST && (end || m->upgrade.n))
		end_complete(e, s);
	return 0;
}

static inline void end_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct end *e = arg;
	struct end_stream *s = end_find(e, id);

	(void)in;
	assert_always(s && !s->ended);
	s->body += d.n;
	s->pieces++;
	if (d.n && !e->quiet) {
		if (!s->in_data)
			end_note(s, "data ");
		s->in_data = true;
		buf_add(&s->log, d.p, d.n);
	}
	if (!e->hold)
		e->c.ops->consumed(&e->c, id, d.n);
	else
		e->held += d.n;
	if (!end)
		return;
	end_note(s, "end\n");
	if (s->m->kind == MSG_REQUEST && !s->m->upgrade.n)
		end_complete(e, s);
}

static inline void end_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct end *e = arg;
	struct end_stream *s = end_find(e, id);

	assert_always(s && !s->ended && s->m == m && m->kind == MSG_TRAILERS);
	end_note_msg(s, m);
	end_note(s, "end\n");
	end_complete(e, s);
}

static inline void end_reset(void *arg, uint64_t id, enum proto_why why)
{
	static const char *const names[] = {
#define END_WHY_(NAME, text, status, again) #NAME,
		PROTO_WHYS(END_WHY_)
#undef END_WHY_
	};
	struct end *e = arg;
	struct end_stream *s = end_find(e, id);
	char line[64];

	assert_always(s && !s->ended);
	snprintf(line, sizeof(line), "reset %s\n", names[why]);
	end_note(s, line);
	s->ended = true;
}

static inline void end_writable(void *arg, uint64_t id)
{
	struct end *e = arg;
	struct end_stream *s = end_find(e, id);

	assert_always(s && !s->ended);
	s->writable = true;
	if (e->more)
		e->more(e, s);
}

static inline void end_room(void *arg)
{
	((struct end *)arg)->rooms++;
}

static inline void end_goaway(void *arg, uint64_t last, enum proto_why why)
{
	struct end *e = arg;

	buf_printf(&e->news, "goaway last %llu why %d\n", (unsigned long long)last, why);
}

static inline void end_ping(void *arg, uint64_t token, bool ack)
{
	struct end *e = arg;

	buf_printf(&e->news, "ping %llx%s\n", (unsigned long long)token, ack ? " ack" : "");
}

static inline int end_glitch(void *arg)
{
	struct end *e = arg;

	e->glitches++;
	return e->glitches_max && e->glitches > e->glitches_max;
}

static inline void end_opaque(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
	assert_always(!"HTTP/2 never lets go of its connection");
}

static const struct proto_sink end_sink = { end_begin, end_head, end_data, end_trailers, end_reset, end_writable, end_room,
					    end_goaway, end_ping, end_glitch, end_opaque };

static inline void end_open(struct end *e, bool server)
{
	e->c = (struct codec){ .ops = &proto_http2, .limits = &e->limits, .sink = &end_sink, .sink_arg = e, .server = server };
	arena_init(&e->arena);
	e->limits.upgrades = true;
	e->c.state = calloc(1, e->c.ops->state_size);
	assert_always(e->c.state && !e->c.ops->init(&e->c));
}

static inline void end_close(struct end *e)
{
	e->c.ops->fini(&e->c);
	free(e->c.state);
	buf_fini(&e->c.out);
	buf_fini(&e->in);
	buf_fini(&e->news);
	for (unsigned i = 0; i < e->nstreams; i++)
		buf_fini(&e->streams[i].log);
	arena_fini(&e->arena);
}

static inline struct slice end_text(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

static inline void end_decode(struct end *e, struct slice s)
{
	int err;

	buf_add(&e->in, s.p, s.n);
	err = e->c.ops->decode(&e->c, &e->in);
	if (err && err != -EAGAIN && !e->err)
		e->err = err;
}

static inline void end_flush(struct end *e)
{
	int err = e->c.ops->flush(&e->c);

	if (err && !e->err)
		e->err = err;
}

/* What was held goes on. */
static inline void end_release(struct end *e, uint64_t id)
{
	e->c.ops->consumed(&e->c, id, e->held);
	e->held = 0;
}

/* All that one end has to say to the other, in pieces of at most step bytes (0: whole). Whether there was something. */
static inline bool end_talk(struct end *from, struct end *to, size_t step)
{
	struct buf pipe = { 0 };

	end_flush(from);
	buf_move(&pipe, &from->c.out);
	if (!pipe.len)
		return false;
	while (pipe.len) {
		size_t n = step && step < pipe.len ? step : pipe.len;

		end_decode(to, buf_pull(&pipe, n));
		buf_drop(&pipe, n);
	}
	return true;
}

/* Until both are silent. */
static inline void ends_talk(struct end *a, struct end *b, size_t step)
{
	bool said;

	do {
		said = end_talk(a, b, step);
		said |= end_talk(b, a, step);
	} while (said);
}

static inline struct msg *end_msg(struct end *e, enum msg_kind kind)
{
	struct msg *m = arena_alloc(&e->arena, sizeof(*m));

	m->arena = &e->arena;
	m->kind = kind;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	m->body_len = MSG_LENGTH_UNKNOWN;
	return m;
}

static inline struct msg *end_request(struct end *e, const char *method, const char *path)
{
	struct msg *m = end_msg(e, MSG_REQUEST);

	m->method = slice_str(method);
	m->scheme = SLICE_LIT("http");
	m->authority = SLICE_LIT("shop");
	m->path = slice_str(path);
	return m;
}

/* Begins a request; its stream. */
static inline struct end_stream *end_ask(struct end *e, const struct msg *m, bool end)
{
	uint64_t id = 0;

	assert_always(!e->c.ops->put_head(&e->c, &id, m, end));
	return end_add(e, id);
}

static inline ssize_t end_put(struct end *e, uint64_t id, const char *text, bool end)
{
	struct buf b = { 0 };
	ssize_t n;

	buf_add(&b, text, strlen(text));
	n = e->c.ops->put_data(&e->c, id, &b, end);
	buf_fini(&b);
	return n;
}

/* 200 and "ok". */
static inline void end_answer_ok(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = 200;
	m->body_len = 2;
	if (!e->c.ops->put_head(&e->c, &s->id, m, false))
		end_put(e, s->id, "ok", true);
}

/* ---- frames by hand --------------------------------------------------------------------------------------------- */

static inline void raw_frame(struct buf *b, unsigned type, unsigned flags, uint32_t stream, const void *payload, size_t n)
{
	unsigned char h[9] = { (unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n, (unsigned char)type,
			       (unsigned char)flags, (unsigned char)(stream >> 24), (unsigned char)(stream >> 16),
			       (unsigned char)(stream >> 8), (unsigned char)stream };

	buf_add(b, h, sizeof(h));
	buf_add(b, payload, n);
}

static inline size_t raw_number(unsigned char *p, unsigned bits, unsigned first, size_t v)
{
	size_t most = (1u << bits) - 1, n = 1;

	if (v < most) {
		p[0] = (unsigned char)(first | v);
		return 1;
	}
	p[0] = (unsigned char)(first | most);
	for (v -= most; v >= 128; v >>= 7)
		p[n++] = (unsigned char)(v | 128);
	p[n++] = (unsigned char)v;
	return n;
}

/* One field, never indexed, in plain text (RFC 7541 6.2.2). */
static inline void raw_field(struct buf *block, struct slice name, struct slice value)
{
	unsigned char n[16];

	buf_add(block, "", 1);
	buf_add(block, n, raw_number(n, 7, 0, name.n));
	buf_add(block, name.p, name.n);
	buf_add(block, n, raw_number(n, 7, 0, value.n));
	buf_add(block, value.p, value.n);
}

/* "name=value|name=value"; '=' may begin a name that is empty. A value goes to the next '|'. */
static inline void raw_fields(struct buf *block, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "|");
		size_t k = strcspn(text, "=");

		raw_field(block, (struct slice){ text, k }, (struct slice){ text + k + 1, n - k - 1 });
		text += n + (text[n] == '|');
	}
}

enum { RAW_DATA, RAW_HEADERS, RAW_PRIORITY, RAW_RST, RAW_SETTINGS, RAW_PUSH, RAW_PING, RAW_GOAWAY, RAW_WINDOW, RAW_CONTINUATION };
enum { RAW_END = 1, RAW_ACK = 1, RAW_END_HEADERS = 4, RAW_PADDED = 8 };

static inline void raw_headers(struct buf *b, uint32_t stream, unsigned flags, const char *fields)
{
	struct buf block = { 0 };
	struct slice s;

	raw_fields(&block, fields);
	s = end_text(&block);
	raw_frame(b, RAW_HEADERS, flags | RAW_END_HEADERS, stream, s.p, s.n);
	buf_fini(&block);
}

static inline void raw_number_frame(struct buf *b, unsigned type, uint32_t stream, uint32_t v)
{
	unsigned char p[4] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v };

	raw_frame(b, type, 0, stream, p, 4);
}

static inline void raw_setting(struct buf *b, unsigned id, uint32_t v)
{
	unsigned char p[6] = { (unsigned char)(id >> 8), (unsigned char)id, (unsigned char)(v >> 24),
			       (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v };

	raw_frame(b, RAW_SETTINGS, 0, 0, p, 6);
}

#define RAW_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* A client's first words. */
static inline void raw_open(struct buf *b)
{
	buf_add(b, RAW_PREFACE, sizeof(RAW_PREFACE) - 1);
	raw_frame(b, RAW_SETTINGS, 0, 0, NULL, 0);
}

/* Frames of type among what an end wrote; *code: the last 4 bytes of the last one's first 8 (GOAWAY's, RST_STREAM's). */
static inline unsigned raw_count(struct buf *out, unsigned type, uint32_t *code)
{
	struct slice s = end_text(out);
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned n = 0;

	for (size_t at = 0; at + 9 <= s.n;) {
		size_t len = (size_t)p[at] << 16 | p[at + 1] << 8 | p[at + 2];
		const unsigned char *q = p + at + 9 + (type == RAW_GOAWAY ? 4 : 0);

		if (p[at + 3] == type) {
			n++;
			if (code && len >= 4)
				*code = (uint32_t)q[0] << 24 | q[1] << 16 | q[2] << 8 | q[3];
		}
		at += 9 + len;
	}
	return n;
}
