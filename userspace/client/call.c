// SPDX-License-Identifier: Apache-2.0
#include "client/call.h"

#include <errno.h>

#include "base/magic.h"

#define client_MAGIC 0xc11e4701u
#define client_call_MAGIC 0xca110b70u

#define FRAME 5u                                /* bytes before a gRPC message: compressed or not, its length */

/* ---- owners -------------------------------------------------------------------------------------------------- */

void client_init(struct client *c, const struct client_ops *ops, struct loop *loop, void *carrier)
{
	*c = (struct client){ .magic = client_MAGIC, .ops = ops, .loop = loop, .carrier = carrier };
	list_init(&c->things);
}

void client_fini(struct client *c)
{
	if (!c->magic)
		return;
	while (!list_empty(&c->things)) {
		struct client_thing *t = container_of(c->things.next, struct client_thing, node);

		t->stop(t);
	}
	c->magic = 0;
}

void client_add(struct client *c, struct client_thing *t)
{
	list_add_tail(&c->things, &t->node);
}

static void leave(struct client_call *c)
{
	if (!c->owner)
		return;
	list_del(&c->thing.node);
	c->owner->ncalls--;
	c->owner = NULL;
}

static void stop(struct client_thing *t)
{
	client_cancel(container_of(t, struct client_call, thing));
}

/* ---- what owners ask ----------------------------------------------------------------------------------------- */

/* Of gRPC's answers each message has one. */
static uint64_t bound(const struct client_ask *ask)
{
	if (ask->grpc || ask->max_body == UINT32_MAX || (ask->stream && !ask->max_body))
		return UINT64_MAX;
	return ask->max_body ? ask->max_body : CLIENT_BODY_MAX;
}

struct client_call *client_call(struct client *owner, const struct client_ask *ask, const struct client_events *on, void *arg,
				int *err)
{
	struct client_call *c;

	assert_always(!owner->magic || owner->magic == client_MAGIC);
	*err = !owner->magic ? -ESHUTDOWN : owner->max_calls && owner->ncalls >= owner->max_calls ? -EBUSY : 0;
	c = *err ? NULL : owner->ops->call(owner, ask, err);
	if (!c)
		return NULL;
	*c = (struct client_call){ .magic = client_call_MAGIC, .thing.stop = stop, .owner = owner, .ops = owner->ops, .on = *on, .arg = arg,
				   .left = bound(ask), .message_max = ask->max_body ? ask->max_body : CLIENT_MESSAGE_MAX,
				   .grpc = ask->grpc, .stream = ask->stream, .sent = !ask->stream };
	client_add(owner, &c->thing);
	owner->ncalls++;
	return c;
}

static int add(struct buf *out, bool grpc, struct slice data)
{
	unsigned char head[FRAME] = { 0, (unsigned char)(data.n >> 24), (unsigned char)(data.n >> 16), (unsigned char)(data.n >> 8),
				      (unsigned char)data.n };
	int err = grpc ? buf_add(out, head, sizeof(head)) : 0;

	if (!err && data.n > UINT32_MAX)
		err = -EMSGSIZE;
	return err ? err : buf_add(out, data.p, data.n);
}

int client_send(struct client_call *c, struct slice data, bool end)
{
	struct buf b = { 0 };
	int err;

	assert_always(CAST(client_call, c)->stream);
	if (c->sent || c->gone || !c->owner)
		return -EPIPE;
	err = c->grpc && !data.p ? 0 : add(&b, c->grpc, data);
	if (!err)
		err = c->ops->send(c, &b, end);
	buf_fini(&b);
	c->sent = !err && end;
	return err;
}

void client_pause(struct client_call *c, bool paused)
{
	if (CAST(client_call, c)->paused == paused || c->gone)
		return;
	c->paused = paused;
	c->ops->pause(c);
}

void client_cancel(struct client_call *c)
{
	if (!c)
		return;
	assert_always(c->magic == client_call_MAGIC);
	leave(c);
	c->gone = true;
	if (c->telling)
		return;
	c->magic = 0;
	c->ops->release(c);
}

/* ---- what carriers tell -------------------------------------------------------------------------------------- */

uint32_t client_timeout_ms(const struct client_ask *ask)
{
	return ask->timeout_ms ? ask->timeout_ms : ask->stream ? 0 : CLIENT_TIMEOUT_MS;
}

/* A call of one message has one, though it may be empty. */
int client_body(const struct client_ask *ask, struct buf *out)
{
	if (!ask->body.n && (!ask->grpc || (ask->stream && !ask->body.p)))
		return 0;
	return add(out, ask->grpc, ask->body);
}

int client_tell_head(struct client_call *c, const struct msg *m)
{
	c->telling = true;
	if (c->on.head && !c->gone)
		c->on.head(c->arg, m);
	c->telling = false;
	return c->gone ? -ECANCELED : 0;
}

static int tell(struct client_call *c, struct slice d)
{
	if (d.n > c->left)
		return -EMSGSIZE;
	if (c->left != UINT64_MAX)
		c->left -= d.n;
	c->telling = true;
	if (c->on.data)
		c->on.data(c->arg, d);
	c->telling = false;
	return c->gone ? -ECANCELED : 0;
}

/* 1: there was one, and it was told. 0: it is not whole. */
static int tell_message(struct client_call *c, struct buf *in)
{
	struct slice head = buf_pull(in, FRAME), whole;
	const unsigned char *p = (const unsigned char *)head.p;
	uint32_t n;
	int err;

	if (!p)
		return in->len < FRAME ? 0 : -ENOMEM;
	n = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (p[0])                               /* no compression was offered */
		return -EPROTO;
	if (n > c->message_max)
		return -EMSGSIZE;
	if (in->len - FRAME < n)
		return 0;
	whole = buf_pull(in, FRAME + n);
	if (!whole.p)
		return -ENOMEM;
	err = tell(c, (struct slice){ whole.p + FRAME, n });
	buf_drop(in, FRAME + n);
	return err ? err : 1;
}

static int tell_piece(struct client_call *c, struct buf *in)
{
	struct slice d = buf_head(in);
	int err;

	if (!d.n)
		return 0;
	err = tell(c, d);
	buf_drop(in, d.n);
	return err ? err : 1;
}

int client_tell_data(struct client_call *c, struct buf *in)
{
	int more = 1;

	if (c->gone)
		return -ECANCELED;
	while (more > 0 && !c->paused)
		more = c->grpc ? tell_message(c, in) : tell_piece(c, in);
	return more < 0 ? more : 0;
}

void client_tell_end(struct client_call *c, int err, int status, const char *words, const struct msg *trailers)
{
	leave(c);
	c->telling = true;
	if (c->on.end && !c->gone)
		c->on.end(c->arg, err, status, words, trailers);
	c->telling = false;
	c->gone = true;
}
