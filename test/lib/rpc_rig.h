/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection of an RPC protocol whose core is the test: what its sink heard as text, in the order in which it
 * came, and every promise of proto.h asserted. With `to`, what it hears goes on to another end, as a proxy would have it.
 */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/magic.h"
#include "weft/proto.h"
#include "weft/str.h"

#ifndef RPC_STREAMS
#define RPC_STREAMS 4096u                       /* live at once, by the lower bits of their ids */
#endif

struct rpc_stream {
	uint64_t id, to;                        /* and at the end that it goes on to; 0 = none */
	struct msg *m;
	bool oneway, in_ended, out_ended;
};

struct rpc_end {
	struct codec c;
	struct proto_limits limits;
	struct arena arena;
	struct buf in;                          /* not decoded yet */
	struct buf log;
	struct rpc_stream streams[RPC_STREAMS];
	struct rpc_end *to;
	uint64_t in_data;                       /* whose data the log ends with */
	uint64_t last;
	unsigned heads, glitches, glitches_max, rooms, late, resets; /* glitches_max 0: never too many */
	bool refuse;                            /* begin() gives NULL */
	bool quiet;                             /* nothing is logged */
	bool stop;                              /* head() says -EAGAIN */
	int err;                                /* of decode(), other than -EAGAIN */
};

static inline struct rpc_stream *rpc_slot(struct rpc_end *e, uint64_t id)
{
	return &e->streams[id % RPC_STREAMS];
}

static inline struct rpc_stream *rpc_find(struct rpc_end *e, uint64_t id)
{
	struct rpc_stream *s = rpc_slot(e, id);

	return id && s->id == id ? s : NULL;
}

static inline struct rpc_stream *rpc_add(struct rpc_end *e, uint64_t id)
{
	struct rpc_stream *s = rpc_slot(e, id);

	assert_always(id > e->last && !s->id);
	e->last = id;
	*s = (struct rpc_stream){ .id = id };
	return s;
}

static inline void rpc_settle(struct rpc_stream *s)
{
	if (s->in_ended && s->out_ended)
		s->id = 0;
}

#define rpc_say(e, ...)                                                                                                \
	do {                                                                                                           \
		if (!(e)->quiet)                                                                                       \
			buf_printf(&(e)->log, __VA_ARGS__);                                                            \
	} while (0)

/* The end of a run of data. */
static inline void rpc_line(struct rpc_end *e)
{
	if (e->in_data)
		rpc_say(e, "\n");
	e->in_data = 0;
}

static inline struct msg *rpc_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct rpc_end *e = arg;
	struct rpc_stream *s = rpc_find(e, id);

	assert_always(id);
	if (kind == MSG_RESPONSE && !s)
		e->late++;
	if (e->refuse || (kind == MSG_RESPONSE && !s))
		return NULL;
	if (kind != MSG_RESPONSE) {
		s = rpc_add(e, id);
		s->oneway = s->out_ended = kind == MSG_ONEWAY;
	}
	s->m = arena_alloc(&e->arena, sizeof(*s->m));
	s->m->arena = &e->arena;
	return s->m;
}

static inline void rpc_say_msg(struct rpc_end *e, uint64_t id, const struct msg *m)
{
	static const char *const kinds[] = { "request", "oneway", "response" };

	rpc_say(e, "%llu %s", (unsigned long long)id, kinds[m->kind]);
	if (m->kind != MSG_RESPONSE)
		rpc_say(e, " %.*s/%.*s timeout %d", SLICE_ARG(m->service), SLICE_ARG(m->rpc_method), m->timeout_ms);
	else
		rpc_say(e, " status %d wire %d", m->status, m->wire_status);
	rpc_say(e, " class %.*s ser %d len %lld\n", SLICE_ARG(m->class_name), m->serialization, (long long)m->body_len);
	for (uint32_t i = 0; i < m->nheaders; i++)
		rpc_say(e, " %.*s=%.*s\n", SLICE_ARG(m->headers[i].name), SLICE_ARG(m->headers[i].value));
}

/* The way of one message is over at its receiver, and so at the end that sent it on. */
static inline void rpc_in_ended(struct rpc_end *e, struct rpc_stream *s)
{
	struct rpc_stream *other = e->to ? rpc_find(e->to, s->to) : NULL;

	if (other) {
		other->out_ended = true;
		other->in_ended |= s->oneway;
		rpc_settle(other);
	}
	s->in_ended = true;
	rpc_settle(s);
}

static inline void rpc_pass_head(struct rpc_end *e, struct rpc_stream *s, const struct msg *m, bool end)
{
	struct rpc_end *to = e->to;
	int err;

	if (!to || (m->kind == MSG_RESPONSE && !s->to))
		return;
	err = to->c.ops->put_head(&to->c, &s->to, m, end);
	assert_always(!err || err == -EAGAIN || err == -ESHUTDOWN || err == -ENOTSUP);
	if (err && m->kind == MSG_REQUEST) {
		e->c.ops->put_reply(&e->c, s->id, m, &(struct proto_reply){ .status = 503, .wire_status = MSG_NO_STATUS });
		s->out_ended = true;
	}
	if (err)
		s->to = 0;
	else if (m->kind != MSG_RESPONSE)
		rpc_add(to, s->to)->to = s->id;
}

static inline int rpc_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rpc_end *e = arg;
	struct rpc_stream *s = rpc_find(e, id);

	assert_always(s && !s->in_ended && s->m == m && m->proto == e->c.ops && (m->flags & MSG_EXACT_NAMES));
	e->heads++;
	rpc_line(e);
	rpc_say_msg(e, id, m);
	rpc_pass_head(e, s, m, end);
	if (end) {
		rpc_say(e, "%llu end\n", (unsigned long long)id);
		rpc_in_ended(e, s);
	}
	return e->stop ? -EAGAIN : 0;
}

static inline void rpc_pass_data(struct rpc_end *e, struct rpc_stream *s, struct buf *in, struct slice d, bool end)
{
	struct buf b = { 0 };
	ssize_t n;

	if (!e->to || !s->to)
		return;
	if (in && d.n)
		buf_take(&b, in, d.n);
	n = e->to->c.ops->put_data(&e->to->c, s->to, &b, end);
	assert_always(n == (ssize_t)d.n && !b.len);
	buf_fini(&b);
}

static inline void rpc_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct rpc_end *e = arg;
	struct rpc_stream *s = rpc_find(e, id);

	assert_always(s && !s->in_ended);
	if (d.n && e->in_data != id) {
		rpc_line(e);
		rpc_say(e, "%llu data ", (unsigned long long)id);
		e->in_data = id;
	}
	if (!e->quiet)
		buf_add(&e->log, d.p, d.n);
	rpc_pass_data(e, s, in, d, end);
	if (!end)
		return;
	rpc_line(e);
	rpc_say(e, "%llu end\n", (unsigned long long)id);
	rpc_in_ended(e, s);
}

static inline void rpc_reset(void *arg, uint64_t id, enum proto_why why)
{
	static const char *const names[] = {
#define RPC_WHY_(NAME, text, status, again) #NAME,
		PROTO_WHYS(RPC_WHY_)
#undef RPC_WHY_
	};
	struct rpc_end *e = arg;
	struct rpc_stream *s = rpc_find(e, id);

	assert_always(s && !s->in_ended);
	e->resets++;
	rpc_line(e);
	rpc_say(e, "%llu reset %s\n", (unsigned long long)id, names[why]);
	s->in_ended = s->out_ended = true;
	rpc_settle(s);
}

static inline void rpc_room(void *arg)
{
	((struct rpc_end *)arg)->rooms++;
}

static inline void rpc_goaway(void *arg, uint64_t last, enum proto_why why)
{
	struct rpc_end *e = arg;

	assert_always(why == PROTO_NONE);
	rpc_line(e);
	rpc_say(e, "goaway %llu\n", (unsigned long long)last);
}

static inline void rpc_ping(void *arg, uint64_t token, bool ack)
{
	struct rpc_end *e = arg;

	rpc_line(e);
	rpc_say(e, "ping %llu%s\n", (unsigned long long)token, ack ? " ack" : "");
}

static inline int rpc_glitch(void *arg)
{
	struct rpc_end *e = arg;

	e->glitches++;
	return e->glitches_max && e->glitches > e->glitches_max;
}

static const struct proto_sink rpc_sink = { .begin = rpc_begin, .head = rpc_head, .data = rpc_data, .reset = rpc_reset,
					    .room = rpc_room, .goaway = rpc_goaway, .ping = rpc_ping, .glitch = rpc_glitch };

static inline void rpc_open(struct rpc_end *e, const struct proto_ops *ops, bool server)
{
	e->c = (struct codec){ .ops = ops, .limits = &e->limits, .sink = &rpc_sink, .sink_arg = e, .server = server };
	arena_init(&e->arena);
	e->c.state = calloc(1, ops->state_size);
	assert_always(e->c.state && (!ops->init || !ops->init(&e->c)));
}

static inline void rpc_close(struct rpc_end *e)
{
	if (e->c.ops->fini)
		e->c.ops->fini(&e->c);
	free(e->c.state);
	buf_fini(&e->c.out);
	buf_fini(&e->in);
	buf_fini(&e->log);
	arena_fini(&e->arena);
}

static inline struct slice rpc_text(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

/* In pieces of at most step bytes (0: whole), each its own memory, so that nothing is read beyond it. */
static inline int rpc_decode(struct rpc_end *e, struct slice s, size_t step)
{
	for (size_t at = 0; at < s.n && !e->err;) {
		size_t n = step && step < s.n - at ? step : s.n - at;
		int err;

		assert_always(!buf_add(&e->in, s.p + at, n));
		err = e->c.ops->decode(&e->c, &e->in);
		if (err && err != -EAGAIN)
			e->err = err;
		at += n;
	}
	return e->err;
}

static inline void rpc_same_text(struct buf *a, struct buf *b)
{
	struct slice x = rpc_text(a), y = rpc_text(b);

	if (!slice_eq(x, y))
		fprintf(stderr, "one: %.*s\nother: %.*s\n", SLICE_ARG(x), SLICE_ARG(y));
	assert_always(slice_eq(x, y));
}

/* Two ends that were told the same, perhaps cut elsewhere, heard and said the same. */
static inline void rpc_same(struct rpc_end *a, struct rpc_end *b)
{
	rpc_same_text(&a->log, &b->log);
	rpc_same_text(&a->c.out, &b->c.out);
	assert_always(a->err == b->err && a->glitches == b->glitches && a->late == b->late && a->c.detail == b->c.detail);
}

/* Begins a request of the test's own. 0 or what put_head() says; *id is its stream. */
static inline int rpc_ask(struct rpc_end *e, const struct msg *m, uint64_t *id)
{
	int err;

	*id = 0;
	err = e->c.ops->put_head(&e->c, id, m, !m->body_len);
	if (!err && m->kind == MSG_REQUEST)
		rpc_add(e, *id)->out_ended = true;
	return err;
}

static inline struct msg *rpc_msg(struct rpc_end *e, enum msg_kind kind)
{
	struct msg *m = arena_alloc(&e->arena, sizeof(*m));

	m->arena = &e->arena;
	m->kind = kind;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	return m;
}

/* "01 02 0a" to bytes; how many. */
static inline size_t rpc_hex(const char *text, char *out)
{
	size_t n = 0;
	unsigned byte;
	int used;

	while (sscanf(text, " %2x%n", &byte, &used) == 1) {
		out[n++] = (char)byte;
		text += used;
	}
	return n;
}
