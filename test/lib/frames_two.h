/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a host with codecs between them as a proxy joins them: `down` hears the client, `up` the host. What comes out
 * must not depend on where the bytes were cut. Heads may be changed on their way (change), as filters do.
 */
#pragma once
#include "lib/hex.h"
#include "lib/rpc_rig.h"

struct two {
	struct rpc_end down, up;
	struct proto_sink sink;
	void (*change)(struct msg *m);          /* NULL = none */
	struct buf scratch;
};

static inline struct two *two_of(struct rpc_end *e)
{
	return e->c.server ? (struct two *)((char *)e - offsetof(struct two, down)) :
			     (struct two *)((char *)e - offsetof(struct two, up));
}

/* Where a kind is known only with the head (thrift, Tars), the stream learns it now. */
static inline int two_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rpc_end *e = arg;
	struct rpc_stream *s = rpc_find(e, id);

	if (s && m->kind == MSG_ONEWAY)
		s->oneway = s->out_ended = true;
	if (m->reason.n || m->flags & MSG_EXCEPTION)
		rpc_say(e, "%llu%s [%.*s]\n", (unsigned long long)id, m->flags & MSG_EXCEPTION ? " threw" : "", SLICE_ARG(m->reason));
	if (two_of(e)->change)
		two_of(e)->change(m);
	return rpc_head(arg, id, m, end);
}

static inline void two_open(struct two *t, const struct proto_ops *ops)
{
	memset(t, 0, sizeof(*t));
	rpc_open(&t->down, ops, true);
	rpc_open(&t->up, ops, false);
	t->sink = rpc_sink;
	t->sink.head = two_head;
	t->down.c.sink = t->up.c.sink = &t->sink;
	t->down.to = &t->up;
	t->up.to = &t->down;
}

static inline void two_close(struct two *t)
{
	rpc_close(&t->down);
	rpc_close(&t->up);
	buf_fini(&t->scratch);
}

/* The end reads these bytes (hex.h), in pieces of at most step (0: whole). */
static inline int two_hears(struct two *t, struct rpc_end *e, const char *hex, size_t step)
{
	buf_fini(&t->scratch);
	hex_add(&t->scratch, hex);
	return rpc_decode(e, rpc_text(&t->scratch), step);
}

static inline void two_equal(struct two *a, struct two *b)
{
	rpc_same(&a->down, &b->down);
	rpc_same(&a->up, &b->up);
}

/* What a fuzz target gives: bytes of a client or, behind `calls` requests, of a host; bounds that bite; heads changed. */
struct two_case {
	const struct proto_ops *ops;
	const char *calls;                      /* frames, in hex */
	struct slice bytes;
	bool answers, strict;
	void (*change)(struct msg *m);
};

static inline void two_run(struct two *t, const struct two_case *k, size_t first, size_t step)
{
	struct rpc_end *e = k->answers ? &t->up : &t->down;

	two_open(t, k->ops);
	t->change = k->change;
	if (k->answers)
		assert_always(!two_hears(t, &t->down, k->calls, 0));
	if (k->strict)
		t->down.limits = t->up.limits =
			(struct proto_limits){ .head_bytes = 200, .headers = 3, .frame_bytes = 60, .streams = 4 };
	if (first && first < k->bytes.n)
		rpc_decode(e, (struct slice){ k->bytes.p, first }, 0);
	else
		first = 0;
	rpc_decode(e, (struct slice){ k->bytes.p + first, k->bytes.n - first }, step);
}

/* Byte for byte, in threes, and in two parts at each place (of long inputs at some). */
static inline void two_check(const struct two_case *k)
{
	static struct two whole, cut;

	two_run(&whole, k, 0, 0);
	for (size_t step = 1; step <= 3; step += 2) {
		two_run(&cut, k, 0, step);
		two_equal(&whole, &cut);
		two_close(&cut);
	}
	for (size_t at = 1; at < k->bytes.n; at += 1 + k->bytes.n / 64) {
		two_run(&cut, k, at, 0);
		two_equal(&whole, &cut);
		two_close(&cut);
	}
	two_close(&whole);
}

/* First byte: which side, with bounds that bite or without, whether heads are changed on their way. */
static inline int two_fuzz(const struct proto_ops *ops, const char *calls, void (*change)(struct msg *m), const uint8_t *data, size_t n)
{
	struct two_case k = { .ops = ops, .calls = calls };

	if (n < 2 || n > 3000)
		return 0;
	k.answers = data[0] & 1;
	k.strict = data[0] & 2;
	k.change = data[0] & 4 ? change : NULL;
	k.bytes = (struct slice){ (const char *)data + 1, n - 1 };
	two_check(&k);
	return 0;
}
