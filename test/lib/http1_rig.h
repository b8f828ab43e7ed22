/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two HTTP/1 codecs back to back, which is all that a proxy without routes would be: what a client sends to `down` is
 * written by `up` for a server, and the other way round. Every call of the sinks is kept as text, so that two ways to
 * cut the same bytes can be compared.
 */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/magic.h"
#include "proto/http1.h"
#include "weft/str.h"

#define RIG_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct rig {
	struct codec down, up;
	struct proto_limits limits;
	struct arena arena;
	struct buf from_client, from_server;    /* not decoded yet */
	struct buf to_client, to_server;        /* all that was written, in order */
	struct buf events;
	char last;                              /* side whose data() was the last event, 0 = another event */
	uint64_t down_id, up_id;
	const char *answer;                     /* given to each request when it is complete; NULL = the test does it */
	const char *special;                    /* instead of answer, where that would not do */
	bool asked;                             /* a request is complete at the server, and not answered */
	bool opaque;
	unsigned opaques;                       /* calls of the sink */
	bool q_rechunked, r_rechunked;          /* a body of unknown length: its chunks are as its pieces came */
	int down_err, up_err;                   /* other than -EAGAIN */
	unsigned ups;                           /* connections to the server */
	uint32_t idle_ms;                       /* of the last answer's head */
};

static inline void rig_note(struct rig *r, const char *text)
{
	buf_printf(&r->events, "%s%s", r->last ? "\n" : "", text);
	r->last = 0;
}

static inline void rig_note_msg(struct rig *r, const char *side, const struct msg *m, bool end)
{
	char line[160];

	snprintf(line, sizeof(line), "%s head kind %d flags %x len %lld status %d end %d\n", side, m->kind, m->flags,
		 (long long)m->body_len, m->status, end);
	rig_note(r, line);
	buf_printf(&r->events, "  [%.*s] [%.*s] [%.*s] [%.*s] [%.*s] [%.*s]\n", SLICE_ARG(m->method), SLICE_ARG(m->scheme),
		   SLICE_ARG(m->authority), SLICE_ARG(m->path), SLICE_ARG(m->upgrade), SLICE_ARG(m->reason));
	for (uint32_t i = 0; i < m->nheaders; i++)
		buf_printf(&r->events, "  [%.*s] [%.*s]\n", SLICE_ARG(m->headers[i].name), SLICE_ARG(m->headers[i].value));
}

static inline void rig_note_data(struct rig *r, char side, struct slice d, bool end)
{
	if (d.n && r->last != side) {
		char line[16];

		snprintf(line, sizeof(line), "%c data ", side);
		rig_note(r, line);
		r->last = side;
	}
	buf_add(&r->events, d.p, d.n);
	if (end)
		rig_note(r, side == 'q' ? "q end\n" : "r end\n");
}

static inline struct msg *rig_begin(struct rig *r, const char *side)
{
	struct msg *m = arena_alloc(&r->arena, sizeof(*m));

	m->arena = &r->arena;
	rig_note(r, side);
	return m;
}

/* The next request finds the arena's memory again: one exchange at a time. */
static inline struct msg *rig_down_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct rig *r = arg;

	if (kind == MSG_REQUEST)
		arena_reset(&r->arena);
	assert_always(kind == MSG_TRAILERS ? id == r->down_id : id > r->down_id);
	r->down_id = id;
	return rig_begin(r, "q begin\n");
}

/* HEAD has no body, and an offer to upgrade is taken. */
static inline const char *rig_special(const struct msg *m)
{
	if (slice_eq_str(m->method, "HEAD"))
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
	if (slice_eq_str(m->upgrade, "connect"))
		return "HTTP/1.1 200 OK\r\n\r\n";
	if (m->upgrade.n)
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
	return NULL;
}

static inline int rig_down_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rig *r = arg;
	int err;

	assert_always(id == r->down_id);
	rig_note_msg(r, "q", m, end);
	r->q_rechunked |= m->body_len < 0;
	if (!r->up.ops->room(&r->up))
		return 0;
	r->up_id = 0;
	err = r->up.ops->put_head(&r->up, &r->up_id, m, end);
	assert_always(!err);
	r->asked = end || m->upgrade.n;
	r->special = rig_special(m);
	return 0;
}

static inline void rig_down_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct rig *r = arg;
	struct buf b = { 0 };
	ssize_t n;

	assert_always(id == r->down_id && (!in || !d.n || buf_head(in).p == d.p));
	rig_note_data(r, 'q', d, end);
	buf_add(&b, d.p, d.n);
	n = r->up.ops->put_data(&r->up, r->up_id, &b, end);
	assert_always(n == (ssize_t)d.n && !b.len);
	r->asked |= end;
}

static inline void rig_down_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct rig *r = arg;

	assert_always(id == r->down_id);
	rig_note_msg(r, "q", m, true);
	assert_always(!r->up.ops->put_trailers(&r->up, r->up_id, m));
	r->asked = true;
}

static inline struct msg *rig_up_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct rig *r = arg;

	(void)kind;
	assert_always(id == r->up_id);
	return rig_begin(r, "r begin\n");
}

static inline int rig_up_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rig *r = arg;
	int err;

	assert_always(id == r->up_id);
	rig_note_msg(r, "r", m, end);
	r->idle_ms = m->idle_ms;
	r->r_rechunked |= m->body_len < 0;
	err = r->down.ops->put_head(&r->down, &r->down_id, m, end);
	assert_always(!err);
	return 0;
}

static inline void rig_up_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct rig *r = arg;
	struct buf b = { 0 };
	ssize_t n;

	assert_always(id == r->up_id && (!in || !d.n || buf_head(in).p == d.p));
	rig_note_data(r, 'r', d, end);
	buf_add(&b, d.p, d.n);
	n = r->down.ops->put_data(&r->down, r->down_id, &b, end);
	assert_always(n == (ssize_t)d.n && !b.len);
}

static inline void rig_up_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct rig *r = arg;

	assert_always(id == r->up_id);
	rig_note_msg(r, "r", m, true);
	assert_always(!r->down.ops->put_trailers(&r->down, r->down_id, m));
}

static inline void rig_goaway(void *arg, uint64_t last, enum proto_why why)
{
	(void)last;
	(void)why;
	rig_note(arg, "goaway\n");
}

static inline void rig_opaque(void *arg, uint64_t id)
{
	struct rig *r = arg;

	(void)id;
	r->opaque = true;
	r->opaques++;
	rig_note(r, "opaque\n");
}

static const struct proto_sink rig_down_sink = {
	.begin = rig_down_begin,
	.head = rig_down_head,
	.data = rig_down_data,
	.trailers = rig_down_trailers,
	.goaway = rig_goaway,
	.opaque = rig_opaque,
};
static const struct proto_sink rig_up_sink = {
	.begin = rig_up_begin,
	.head = rig_up_head,
	.data = rig_up_data,
	.trailers = rig_up_trailers,
	.goaway = rig_goaway,
	.opaque = rig_opaque,
};

static inline void rig_open(struct rig *r, struct codec *c, bool server)
{
	*c = (struct codec){ .ops = &proto_http1, .limits = &r->limits, .sink_arg = r, .server = server };
	c->sink = server ? &rig_down_sink : &rig_up_sink;
	c->state = calloc(1, c->ops->state_size);
	assert_always(c->state && !c->ops->init(c));
}

static inline void rig_init(struct rig *r)
{
	*r = (struct rig){ .answer = RIG_ANSWER, .ups = 1 };
	arena_init(&r->arena);
	rig_open(r, &r->down, true);
	rig_open(r, &r->up, false);
}

static inline void rig_close(struct codec *c)
{
	buf_fini(&c->out);
	free(c->state);
}

static inline void rig_fini(struct rig *r)
{
	rig_close(&r->down);
	rig_close(&r->up);
	buf_fini(&r->from_client);
	buf_fini(&r->from_server);
	buf_fini(&r->to_client);
	buf_fini(&r->to_server);
	buf_fini(&r->events);
	arena_fini(&r->arena);
}

static inline void rig_send(struct rig *r)
{
	buf_move(&r->to_client, &r->down.out);
	buf_move(&r->to_server, &r->up.out);
}

static inline void rig_decode_up(struct rig *r)
{
	int err = r->up_err ? 0 : r->up.ops->decode(&r->up, &r->from_server);

	if (err && err != -EAGAIN)
		r->up_err = err;
	rig_send(r);
}

/* Bytes from the server. */
static inline void rig_reply(struct rig *r, struct slice s)
{
	buf_add(&r->from_server, s.p, s.n);
	rig_decode_up(r);
}

static inline void rig_answer(struct rig *r)
{
	r->asked = false;
	rig_reply(r, slice_str(r->special ? r->special : r->answer));
	if (!r->up.ops->reusable(&r->up) && !r->opaque) {
		rig_close(&r->up);
		rig_open(r, &r->up, false);
		r->ups++;
	}
}

/* Bytes from the client. */
static inline void rig_ask(struct rig *r, struct slice s)
{
	int err;

	if (s.n)
		buf_add(&r->from_client, s.p, s.n);
	if (r->up_err)
		return;
	do {
		err = r->down_err ? 0 : r->down.ops->decode(&r->down, &r->from_client);
		rig_send(r);
		if (err && err != -EAGAIN)
			r->down_err = err;
		if (!r->asked || !r->answer || r->down_err)
			return;
		rig_answer(r);
	} while (!r->up_err);
}

static inline struct slice rig_text(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

static inline bool rig_same_text(struct buf *a, struct buf *b)
{
	return slice_eq(rig_text(a), rig_text(b));
}

/* NULL, or what differs between two rigs that were given the same bytes in other pieces. */
static inline const char *rig_difference(struct rig *a, struct rig *b)
{
	if (!rig_same_text(&a->events, &b->events))
		return "events";
	if (a->down_err != b->down_err || a->down.detail != b->down.detail || a->down.why != b->down.why)
		return "error of the request";
	if (a->up_err != b->up_err || a->up.detail != b->up.detail || a->up.why != b->up.why)
		return "error of the answer";
	if (!a->q_rechunked && !rig_same_text(&a->to_server, &b->to_server))
		return "bytes to the server";
	if (!a->r_rechunked && !rig_same_text(&a->to_client, &b->to_client))
		return "bytes to the client";
	return NULL;
}
