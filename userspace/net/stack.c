/* SPDX-License-Identifier: Apache-2.0 */
/* The net filters of one connection, a list with the socket below its bottom, and what the SDK lets them call. */
#include "net/conn_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/list.h"

#define WHY_MAX 512

struct layer {
	struct net_filter f;
	struct conn *conn;
	struct layer *above, *below;            /* NULL: nothing, the socket */
	struct buf unread;                      /* given by its next read before it asks below */
	struct timer resume;
	unsigned passes;                        /* NET_WANT_*: net_filter_passes() */
	void *owner;                            /* of conf; NULL: nobody is held */
	const struct net_keep *keep;
	_Alignas(16) char state[];
};

struct conn_stack {
	struct conn *conn;
	struct layer *top, *bottom;
	struct layer *opening;                  /* the lowest that is not open */
	struct loop_deferred kick;
};

static struct layer *layer_of(struct net_filter *f)
{
	return container_of(f, struct layer, f);
}

struct conn *stack_conn(struct net_filter *f)
{
	return layer_of(f)->conn;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static struct layer *layer_new(struct conn *c, const struct net_layer *nl)
{
	struct layer *l = calloc(1, sizeof(*l) + nl->ops->state_size);

	if (!l)
		return NULL;
	l->conn = c;
	l->f = (struct net_filter){ .ops = nl->ops, .state = l->state, .conf = nl->conf, .peer = c->peer };
	if (!nl->keep)
		return l;
	l->f.client = nl->keep->call(nl->owner, c->loop);
	if (!l->f.client) {
		free(l);
		return NULL;
	}
	nl->keep->hold(nl->owner);
	l->owner = nl->owner;
	l->keep = nl->keep;
	return l;
}

int stack_new(struct conn *c, const struct net_layer *layers, unsigned n)
{
	struct conn_stack *st = calloc(1, sizeof(*st));
	int err;

	if (!st)
		return -ENOMEM;
	st->conn = c;
	c->stack = st;
	for (unsigned i = 0; i < n; i++) {
		struct layer *l = layer_new(c, &layers[i]);

		if (!l)
			return -ENOMEM;
		l->below = st->top;
		if (st->top)
			st->top->above = l;
		else
			st->bottom = st->opening = l;
		st->top = l;
		err = l->f.ops->start ? l->f.ops->start(&l->f) : 0;
		if (err)
			return err;
	}
	return 0;
}

void stack_free(struct conn *c)
{
	struct conn_stack *st = c->stack;
	struct layer *below;

	if (!st)
		return;
	for (struct layer *l = st->top; l; l = l->below) {
		if (l->keep)
			l->keep->call_end(l->f.client);
		l->f.client = NULL;
	}
	for (struct layer *l = st->top; l; l = l->below)
		if (l->f.ops->close)
			l->f.ops->close(&l->f);
	for (struct layer *l = st->top; l; l = below) {
		below = l->below;
		timer_disarm(c->loop, &l->resume);
		buf_fini(&l->unread);
		if (l->keep)
			l->keep->drop(l->owner);
		free(l);
	}
	list_del(&st->kick.node);
	free(st);
	c->stack = NULL;
}

int stack_open(struct conn *c)
{
	struct conn_stack *st = c->stack;

	while (st->opening) {
		struct layer *l = st->opening;
		int err = l->f.ops->open ? l->f.ops->open(&l->f) : 0;

		if (err)
			return err;
		st->opening = l->above;
	}
	return 0;
}

const char *stack_opening(const struct conn *c)
{
	return c->stack && c->stack->opening ? c->stack->opening->f.ops->name : NULL;
}

/* Whether b is a, or above it. */
static bool is_above(const struct layer *b, const struct layer *a)
{
	while (a && a != b)
		a = a->above;
	return a != NULL;
}

int net_filter_push(struct net_filter *f, const struct net_filter_ops *ops, const void *conf)
{
	const struct net_layer nl = { .ops = ops, .conf = conf };
	struct layer *below = layer_of(f), *l = layer_new(below->conn, &nl);
	struct conn_stack *st = below->conn->stack;

	if (!l)
		return -ENOMEM;
	l->below = below;
	l->above = below->above;
	*(below->above ? &below->above->below : &st->top) = l;
	below->above = l;
	/* Below f, or f itself, being opened will lead to it. */
	if (!st->opening || is_above(st->opening, l))
		st->opening = l;
	/* What f gave back to it is told of by no event. */
	net_filter_resume(f);
	return ops->start ? ops->start(&l->f) : 0;
}

/* Without methods for bytes a layer looks at the opening only. */
static bool is_transparent(const struct layer *l)
{
	const struct net_filter_ops *ops = l->f.ops;

	if (l->unread.len)
		return false;
	return ops->transparent ? ops->transparent(&l->f) : !ops->read && !ops->write && !ops->shut;
}

bool stack_passes(const struct conn *c, unsigned want)
{
	if (c->stack->opening)
		return false;
	for (const struct layer *l = c->stack->bottom; l; l = l->above)
		if (!(l->passes & want) && !is_transparent(l))
			return false;
	return true;
}

bool stack_on_socket(struct net_filter *f)
{
	return !layer_of(f)->below;
}

void stack_thin(struct conn *c)
{
	if (c->stack->opening)
		return;
	for (struct layer *l = c->stack->bottom; l; l = l->above)
		if (!is_transparent(l))
			return;
	stack_free(c);
}

unsigned stack_want(const struct conn *c)
{
	unsigned want = 0;

	for (const struct layer *l = c->stack->bottom; l; l = l->above)
		if (l->f.ops->want)
			want |= l->f.ops->want(&l->f);
	return want;
}

/* ---- bytes -------------------------------------------------------------------------------------------------- */

#define READ_PIECE 65536u                       /* of the socket, for one read of a layer */

static ssize_t layer_read(struct conn *c, struct layer *l, struct buf *dst)
{
	if (!l)
		return socket_read(c, dst, READ_PIECE);
	return l->f.ops->read ? l->f.ops->read(&l->f, dst) : net_next_read(&l->f, dst);
}

static ssize_t layer_write(struct conn *c, struct layer *l, struct buf *src)
{
	if (!l)
		return socket_write(c, src);
	return l->f.ops->write ? l->f.ops->write(&l->f, src) : net_next_write(&l->f, src);
}

static int layer_shut(struct conn *c, struct layer *l)
{
	if (!l)
		return socket_shut(c);
	return l->f.ops->shut ? l->f.ops->shut(&l->f) : net_next_shut(&l->f);
}

/* A layer that was pushed later is opened by the bytes that follow. */
ssize_t stack_read(struct conn *c, struct buf *dst)
{
	int err = c->stack->opening ? stack_open(c) : 0;

	if (err)
		return err;
	return layer_read(c, c->stack->top, dst);
}

ssize_t stack_write(struct conn *c, struct buf *src)
{
	int err = c->stack->opening ? stack_open(c) : 0;

	if (err)
		return err;
	return layer_write(c, c->stack->top, src);
}

int stack_shut(struct conn *c)
{
	return layer_shut(c, c->stack->top);
}

ssize_t net_next_read(struct net_filter *f, struct buf *dst)
{
	struct layer *l = layer_of(f);
	ssize_t n = (ssize_t)l->unread.len;

	if (!n)
		return layer_read(l->conn, l->below, dst);
	buf_move(dst, &l->unread);
	return n;
}

ssize_t net_next_write(struct net_filter *f, struct buf *src)
{
	return layer_write(layer_of(f)->conn, layer_of(f)->below, src);
}

int net_next_shut(struct net_filter *f)
{
	return layer_shut(layer_of(f)->conn, layer_of(f)->below);
}

static size_t take(struct buf *b, void *p, size_t n)
{
	size_t done = 0;

	while (done < n && b->len) {
		struct slice s = buf_head(b);
		size_t k = s.n < n - done ? s.n : n - done;

		memcpy((char *)p + done, s.p, k);
		buf_drop(b, k);
		done += k;
	}
	return done;
}

ssize_t net_next_recv(struct net_filter *f, void *p, size_t n)
{
	struct layer *l = layer_of(f);
	ssize_t got;

	if (!l->unread.len) {
		if (!l->below)
			return socket_recv(l->conn, p, n);
		got = layer_read(l->conn, l->below, &l->unread);
		if (got <= 0)
			return got;
	}
	return (ssize_t)take(&l->unread, p, n);
}

ssize_t net_next_send(struct net_filter *f, const void *p, size_t n)
{
	struct layer *l = layer_of(f);
	struct iovec v = { (void *)p, n };
	struct buf b = { 0 };
	ssize_t sent;

	if (!l->below)
		return socket_send(l->conn, &v, 1);
	if (buf_add(&b, p, n))
		return -ENOMEM;
	sent = layer_write(l->conn, l->below, &b);
	buf_fini(&b);
	return sent;
}

bool net_next_empty(const struct net_filter *f)
{
	const struct layer *l = layer_of((struct net_filter *)f);

	return !l->below && !l->unread.len && l->conn->drained;
}

void net_next_blocked(struct net_filter *f, unsigned want)
{
	struct conn *c = layer_of(f)->conn;

	if (want & NET_WANT_READ)
		c->drained = true;
	if (want & NET_WANT_WRITE)
		c->blocked = true;
	conn_watch(c);
}

/* ---- what else a layer may ask for -------------------------------------------------------------------------- */

void net_filter_passes(struct net_filter *f, unsigned want)
{
	layer_of(f)->passes = want;
}

void *net_filter_alloc(struct net_filter *f, size_t n)
{
	return conn_alloc(layer_of(f)->conn, n);
}

void net_filter_unread(struct net_filter *f, struct buf *b)
{
	struct layer *l = layer_of(f);

	buf_move(b, &l->unread);
	l->unread = *b;
	buf_init(b);
}

void net_filter_why(struct net_filter *f, const char *fmt, ...)
{
	struct conn *c = layer_of(f)->conn;
	char text[WHY_MAX], *kept;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kept = conn_alloc(c, strlen(text) + 1);
	if (kept)
		c->detail = strcpy(kept, text);
}

static void kicked(struct loop_deferred *d)
{
	conn_wake(container_of(d, struct conn_stack, kick)->conn);
}

void net_filter_resume(struct net_filter *f)
{
	struct conn *c = layer_of(f)->conn;

	loop_defer(c->loop, &c->stack->kick, kicked);
}

static void resumed(struct timer *t)
{
	conn_wake(((struct layer *)t->arg)->conn);
}

void net_filter_resume_after(struct net_filter *f, uint32_t ms)
{
	struct layer *l = layer_of(f);

	timer_disarm(l->conn->loop, &l->resume);
	if (ms)
		timer_arm(l->conn->loop, &l->resume, ms * MSEC, resumed, l);
}
