// SPDX-License-Identifier: Apache-2.0
#include "proxy/leg.h"

#include <errno.h>

#include "proxy/codec_conf.h"
#include "proxy/http.h"
#include "proxy/worker.h"

/* ---- events ------------------------------------------------------------------------------------------------- */

static void on_open(struct conn *c)
{
	struct leg *l = container_of(c, struct leg, conn);
	struct worker *w = l->w;

	l->on->open(l);
	legs_flush(w);
}

static void on_readable(struct conn *c)
{
	struct leg *l = container_of(c, struct leg, conn);
	struct worker *w = l->w;

	l->on->readable(l);
	legs_flush(w);
}

static void on_writable(struct conn *c)
{
	struct leg *l = container_of(c, struct leg, conn);

	leg_touch(l);
	legs_flush(l->w);
}

static void on_failed(struct conn *c, int err)
{
	struct leg *l = container_of(c, struct leg, conn);
	struct worker *w = l->w;

	l->on->failed(l, err);
	legs_flush(w);
}

const struct conn_events leg_conn_events = { on_open, on_readable, on_writable, on_failed, .late = true };

static void go_on(struct loop_deferred *d)
{
	struct leg *l = container_of(d, struct leg, more);
	struct worker *w = l->w;

	l->on->readable(l);
	legs_flush(w);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int leg_init(struct leg *l, const struct proto_ops *ops, void *state, bool server, const struct proto_limits *limits,
	     const void *take_conf, const struct proto_sink *sink, void *sink_arg)
{
	int err;

	l->codec = (struct codec){ .ops = ops, .state = state, .conf = take_conf, .limits = limits,
				   .sink = sink, .sink_arg = sink_arg, .server = server };
	l->ready = true;
	err = ops->init ? ops->init(&l->codec) : 0;
	if (!err && l->codec.out.len)
		leg_touch(l);
	return err;
}

void leg_fini(struct leg *l)
{
	list_del(&l->dirty);
	list_del(&l->more.node);
	conn_close(&l->conn);
	if (l->ready && l->codec.ops->fini)
		l->codec.ops->fini(&l->codec);
	l->ready = false;
	codec_conf_drop(l->codec.conf);
	l->codec.conf = NULL;
	buf_fini(&l->codec.out);
	buf_fini(&l->in);
}

/* ---- bytes -------------------------------------------------------------------------------------------------- */

ssize_t leg_read(struct leg *l, struct buf *dst, size_t most)
{
	struct loop *loop = &l->w->thread.loop;

	if (l->turn != (uint16_t)loop->iterations) {
		l->turn = (uint16_t)loop->iterations;
		l->reads = 0;
	}
	if (++l->reads <= LEG_READS)
		return conn_read(&l->conn, dst, most);
	leg_again(l);
	return -EAGAIN;
}

void leg_again(struct leg *l)
{
	if (l->ready)
		loop_defer(&l->w->thread.loop, &l->more, go_on);
}

int leg_decode(struct leg *l)
{
	int err;

	l->decoding = true;
	err = l->codec.ops->decode(&l->codec, &l->in);
	l->decoding = false;
	/* It may have answered by itself: a heartbeat, settings, the last words before an error. */
	if (l->codec.out.len)
		leg_touch(l);
	return err;
}

static void turn_ends(struct loop_deferred *d);

void leg_touch(struct leg *l)
{
	struct http *h = l->w->http;

	if (list_linked(&l->dirty))
		return;
	if (!l->codec.ops || !(l->codec.ops->flags & PROTO_MULTIPLEX)) {
		list_add_tail(&h->dirty, &l->dirty);
		return;
	}
	list_add_tail(&h->dirty_many, &l->dirty);
	loop_defer(&l->w->thread.loop, &h->turn_end, turn_ends);
}

/* False: there is nothing to be sent now. The sink may hear of streams that end by it. */
static bool serialise(struct leg *l)
{
	const struct proto_ops *ops = l->codec.ops;
	int err;

	if (l->opaque || !ops->flush)
		return true;
	l->decoding = true;
	err = ops->flush(&l->codec);
	l->decoding = false;
	if (err)
		l->on->refused(l);
	return !err;
}

static void flush(struct leg *l)
{
	size_t before;
	ssize_t n = 0;

	if (l->broken || !l->conn.opened || !l->ready || !serialise(l))
		return;
	before = l->codec.out.len;
	if (before)
		n = conn_write(&l->conn, &l->codec.out);
	l->written += (uint32_t)(before - l->codec.out.len);
	if (n < 0) {
		l->broken = true;
		l->on->broken(l, (int)n);
	} else {
		l->on->sent(l);
	}
}

/* What sent() and broken() do may touch further legs, or these again. */
static void flush_all(struct list *dirty)
{
	while (!list_empty(dirty)) {
		struct leg *l = container_of(dirty->next, struct leg, dirty);

		list_del(&l->dirty);
		flush(l);
	}
}

void legs_flush(struct worker *w)
{
	flush_all(&w->http->dirty);
}

static void turn_ends(struct loop_deferred *d)
{
	struct http *h = container_of(d, struct http, turn_end);

	do {
		flush_all(&h->dirty_many);
		flush_all(&h->dirty);
	} while (!list_empty(&h->dirty_many));
}
