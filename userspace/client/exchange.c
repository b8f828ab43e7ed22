/* SPDX-License-Identifier: Apache-2.0 */
#include "client/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/sink.h"

static void finish(struct exchange *x, enum proto_why why, const char *detail)
{
	if (x->over)
		return;
	x->over = true;
	x->why = why;
	x->detail = detail;
}

/* ---- what the codec tells ----------------------------------------------------------------------------------- */

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct exchange *x = arg;
	struct msg *m = kind == MSG_RESPONSE ? &x->head : kind == MSG_TRAILERS ? &x->trailers : &x->other;

	(void)id;
	*m = (struct msg){ .arena = &x->arena };
	return x->over ? NULL : m;
}

static int on_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct exchange *x = arg;

	(void)id;
	if (m != &x->head)
		return 0;
	x->headed = true;
	if (end)
		finish(x, PROTO_NONE, NULL);
	return 0;
}

static void consumed(struct exchange *x, size_t n)
{
	if (x->codec.ops->consumed && n)
		x->codec.ops->consumed(&x->codec, x->id, n);
}

static void on_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct exchange *x = arg;

	(void)id;
	if (in ? buf_take(&x->body, in, d.n) : buf_add(&x->body, d.p, d.n))
		finish(x, PROTO_OVERLOAD, "out of memory");
	if (x->paused)
		x->owed += d.n;
	else
		consumed(x, d.n);
	if (end)
		finish(x, PROTO_NONE, NULL);
}

static void on_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct exchange *x = arg;

	(void)id;
	(void)m;
	x->trailed = true;
	finish(x, PROTO_NONE, NULL);
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
	(void)id;
	finish(arg, why == PROTO_NONE ? PROTO_CLOSED : why, NULL);
}

/* As much of the request as the peer takes. */
static void push(struct exchange *x)
{
	ssize_t n;

	if (!x->id || x->over || (!x->unsent.len && !x->ended))
		return;
	n = x->codec.ops->put_data(&x->codec, x->id, &x->unsent, x->ended);
	if (n == -ENOMEM)
		finish(x, PROTO_OVERLOAD, "out of memory");
	/* -ENOENT: the answer's end may be on its way still. */
	if (n < 0)
		buf_drop(&x->unsent, x->unsent.len);
}

static void on_writable(void *arg, uint64_t id)
{
	(void)id;
	push(arg);
}

static void on_goaway(void *arg, uint64_t last, enum proto_why why)
{
	struct exchange *x = arg;

	(void)last;
	x->drains = x->codec.ops->flags & PROTO_MULTIPLEX;
	x->drain_why = why;
}

static void on_ping(void *arg, uint64_t token, bool ack)
{
	(void)token;
	((struct exchange *)arg)->ponged |= ack;
}

static int on_glitch(void *arg)
{
	struct exchange *x = arg;

	return odd_flood(&x->odd, x->now_ns);
}

static const struct proto_sink sink = {
	.begin = on_begin, .head = on_head, .data = on_data, .trailers = on_trailers, .reset = on_reset, .writable = on_writable,
	.room = sink_no_room, .goaway = on_goaway, .ping = on_ping, .glitch = on_glitch, .opaque = sink_no_stream,
};

/* ---- what the owner does ------------------------------------------------------------------------------------ */

struct exchange *exchange_new(const struct proto_ops *ops)
{
	struct exchange *x = mem_alloc(sizeof(*x) + ops->state_size);

	arena_init(&x->arena);
	x->codec = (struct codec){ .ops = ops, .state = x->state, .limits = &x->limits, .sink = &sink, .sink_arg = x };
	x->head.arena = x->trailers.arena = &x->arena;
	if (!ops->init || !ops->init(&x->codec))
		return x;
	exchange_free(x);
	return NULL;
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	if (x->codec.ops->fini)
		x->codec.ops->fini(&x->codec);
	buf_fini(&x->codec.out);
	buf_fini(&x->unsent);
	buf_fini(&x->body);
	arena_fini(&x->arena);
	free(x);
}

static void failed(struct exchange *x, int err)
{
	if (!err || err == -EAGAIN)
		return;
	x->broken |= !x->over;
	finish(x, x->codec.why ? x->codec.why : PROTO_MALFORMED, x->codec.detail);
}

static void flush(struct exchange *x)
{
	if (!x->reading && x->codec.ops->flush)
		failed(x, x->codec.ops->flush(&x->codec));
}

int exchange_ask(struct exchange *x, const struct exchange_ask *a)
{
	struct msg *m = &x->request;
	int err = 0;

	*m = (struct msg){ .arena = &x->arena, .kind = MSG_REQUEST, .body_len = a->body_len,
			   .wire_status = MSG_NO_STATUS, .serialization = MSG_NO_STATUS };
	m->method = msg_dup(m, a->method);
	m->scheme = msg_dup(m, a->scheme);
	m->authority = msg_dup(m, a->authority);
	m->path = msg_dup(m, a->path);
	for (size_t i = 0; i < a->nheaders && !err; i++)
		err = msg_add(m, a->headers[i].name, a->headers[i].value);
	if (!err)
		err = x->codec.ops->put_head(&x->codec, &x->id, m, !a->body_len);
	if (!err)
		flush(x);
	return err;
}

int exchange_put(struct exchange *x, struct buf *data, bool end)
{
	if (x->over || x->ended) {
		buf_drop(data, data->len);
		return -EPIPE;
	}
	buf_move(&x->unsent, data);
	x->ended = end;
	push(x);
	flush(x);
	return 0;
}

int exchange_ping(struct exchange *x, uint64_t token)
{
	int err = x->codec.ops->put_ping ? x->codec.ops->put_ping(&x->codec, token) : -ENOTSUP;

	x->ponged = false;
	if (!err)
		flush(x);
	return err;
}

void exchange_read(struct exchange *x, struct buf *in, uint64_t now_ns)
{
	int err;

	if (!exchange_reads(x))
		return;
	x->now_ns = now_ns;
	x->reading = true;
	err = x->codec.ops->decode(&x->codec, in);
	x->reading = false;
	failed(x, err);
	flush(x);
}

void exchange_eof(struct exchange *x)
{
	if (x->codec.ops->eof && !x->over)
		failed(x, x->codec.ops->eof(&x->codec));
	finish(x, PROTO_CLOSED, NULL);
}

void exchange_pause(struct exchange *x, bool paused)
{
	x->paused = paused;
	if (paused || !x->owed)
		return;
	if (!x->over)
		consumed(x, x->owed);
	x->owed = 0;
	flush(x);
}

bool exchange_reads(const struct exchange *x)
{
	return !x->over && (!x->paused || x->codec.ops->flags & PROTO_WINDOWS);
}

size_t exchange_unsent(const struct exchange *x)
{
	return x->unsent.len + x->codec.out.len;
}

const char *exchange_why(const struct exchange *x)
{
#define WHY_WORD_(NAME, text, status, again) text,
	static const char *const words[] = { PROTO_WHYS(WHY_WORD_) };
#undef WHY_WORD_
	if (x->drains)
		return x->drain_why == PROTO_ABUSE ? "the server ends the connection, which asks too much (GOAWAY)" :
		       x->drain_why == PROTO_NONE  ? "the server drains the connection (GOAWAY)" :
						     "the server ends the connection with an error (GOAWAY)";
	return x->detail ? x->detail : words[x->why];
}
