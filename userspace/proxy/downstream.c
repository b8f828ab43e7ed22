// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/sink.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "proxy/callout.h"
#include "proxy/codec_conf.h"
#include "proxy/detect.h"
#include "proxy/listener.h"
#include "proxy/refusal.h"
#include "proxy/rpc_call.h"
#include "proxy/stream.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

#define downstream_MAGIC 0xd0574ea1u
#define STREAMS_MAX 100u                        /* at once on one connection, until their last byte is sent */
_Static_assert(RPC_STREAMS_MAX <= UINT16_MAX, "downstream.nstreams");

static const struct leg_events leg_events;
static const struct proto_sink sink;

static void on_time(struct timer *t);

const struct listener *downstream_conf(const struct downstream *d)
{
	return d->foreign ? NULL : d->listener->conf;
}

bool downstream_draining(const struct downstream *d)
{
	const struct worker *w = d->leg.w;

	return d->phase != DOWNSTREAM_INNER && (d->last || !downstream_conf(d) || w->http->stopping || w->level != OVERLOAD_NONE);
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static uint64_t next_due(const struct downstream *d)
{
	uint64_t age = downstream_age_due(d);

	return d->due_ns < age ? d->due_ns : age;
}

/* For what is earlier than before only: what is later is found when the timer comes. */
static void arm(struct downstream *d)
{
	uint64_t due = next_due(d);

	if (due != UINT64_MAX && (!timer_armed(&d->timer) || d->timer.due_ns > due))
		timer_arm_at(&d->leg.w->thread.loop, &d->timer, due, on_time, d);
}

void downstream_enter(struct downstream *d, enum downstream_phase phase, uint64_t ms)
{
	d->phase = phase;
	d->due_ns = ms ? d->leg.w->thread.loop.now_ns + ms * MSEC : UINT64_MAX;
	arm(d);
}

static void idle(struct downstream *d)
{
	const struct listener *l = downstream_conf(d);

	downstream_enter(d, DOWNSTREAM_IDLE, l ? l->idle_ms : 0);
}

static void head_begins(struct downstream *d)
{
	const struct listener *l = downstream_conf(d);

	downstream_enter(d, DOWNSTREAM_HEAD, l ? l->head_ms : 0);
}

void downstream_rest(struct downstream *d)
{
	if (!downstream_tells(d) || (!d->last && !d->away))
		idle(d);
	else if (d->told && !d->heard && !d->away)
		downstream_enter(d, DOWNSTREAM_IDLE, DOWNSTREAM_HEAR_MS);
	else
		downstream_farewell(d);
}

static struct stream *first(const struct downstream *d)
{
	return container_of(d->streams.next, struct stream, node);
}

/* It is weft that does not read: what it owes is no fault of the client's. */
static bool held_back(const struct downstream *d)
{
	const struct turns *t = d->leg.ready ? downstream_turns(d) : NULL;

	return t && (t->full || t->clogged);
}

static void too_late(struct downstream *d)
{
	if (d->phase == DOWNSTREAM_HEAD && held_back(d)) {
		head_begins(d);
	} else if (d->phase == DOWNSTREAM_HEAD && downstream_busy(d) && downstream_newest(d)->state == STREAM_HEAD) {
		stat_add(&d->leg.w->http->stat.head_timeouts, 1);
		stream_refuse(downstream_newest(d), 408, STREAM_CLIENT_MALFORMED, "request's head took too long");
	} else if (d->phase == DOWNSTREAM_IDLE && d->told) {
		downstream_farewell(d);
	} else if (d->phase == DOWNSTREAM_IDLE && downstream_tells(d)) {
		downstream_drain_one(d);
	} else {
		downstream_end(d);
	}
}

static void on_time(struct timer *t)
{
	struct downstream *d = CAST(downstream, t->arg);
	struct worker *w = d->leg.w;
	uint64_t now = w->thread.loop.now_ns;

	if (now >= downstream_age_due(d))
		downstream_aged(d);
	else if (now >= d->due_ns)
		too_late(d);
	if (d->magic)
		arm(d);
	legs_flush(w);
}

/* ---- the codec's state -------------------------------------------------------------------------------------- */

static bool state_new(struct downstream *d)
{
	struct http *h = d->leg.w->http;
	struct codec *c = &d->leg.codec;
	struct free_state *s = h->free_states;

	if (turns_wanted(c->ops)) {
		c->state = turns_new(c->ops);
		return c->state;
	}
	if (c->ops != &proto_http1 || !s) {
		c->state = calloc(1, c->ops->state_size);
		return c->state;
	}
	h->free_states = s->next;
	h->nfree_states--;
	c->state = memset(s, 0, c->ops->state_size);
	return true;
}

/* Between two requests HTTP/1 has nothing to remember. */
static bool state_take(struct downstream *d)
{
	struct codec *c = &d->leg.codec;

	return c->state || (state_new(d) && !c->ops->init(c));
}

static void state_give(struct downstream *d)
{
	struct http *h = d->leg.w->http;
	struct codec *c = &d->leg.codec;
	struct free_state *s = c->state;

	if (!s || (d->magic && c->ops != &proto_http1) || turns_wanted(c->ops))
		return;
	c->state = NULL;
	if (c->ops != &proto_http1 || h->nfree_states >= HTTP_FREE_STATES) {
		free(s);
		return;
	}
	s->next = h->free_states;
	h->free_states = s;
	h->nfree_states++;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

/* Whoever passes a turn on, when the connection ends by it, still looks at the turns. */
static void destroy(struct loop_deferred *x)
{
	struct downstream *d = container_of(x, struct downstream, leg.more);

	if (downstream_turns(d))
		turns_free(d->leg.codec.state);
	free(d);
}

static void take_apart(struct downstream *d)
{
	struct worker *w = d->leg.w;

	d->magic = 0;
	timer_disarm(&w->thread.loop, &d->timer);
	list_del(&d->all);
	stat_add(&d->listener->stat->multiplexed, -(uint64_t)d->many);
	leg_fini(&d->leg);
	state_give(d);
	listener_leave(d->listener);
	loop_defer(&w->thread.loop, &d->leg.more, destroy);
}

static void leave(struct downstream *d, struct stream *s)
{
	list_del(&s->node);
	list_del(&s->turn_node);
	d->nstreams--;
	stat_add(&d->listener->stat->streams, (uint64_t)-1);
}

/* Its place in the order of answers is the next one's. False: what it has begun to write has no end, nor has the connection. */
static bool leave_turn(struct downstream *d, struct stream *s)
{
	struct turns *t = downstream_turns(d);
	bool whole = !t || t->talking != s;

	if (t && whole)
		turns_pass(t, s);
	return whole;
}

/* One that runs still speaks of the connection: who ended it has had its turn from that one. */
static bool runs(const struct downstream *d)
{
	list_for(x, &d->streams)
		if (container_of(x, struct stream, node)->running)
			return true;
	return false;
}

void downstream_end(struct downstream *d)
{
	d->ending = true;
	if (d->leg.decoding || !d->magic)
		return;
	if (runs(d)) {
		leg_again(&d->leg);
		return;
	}
	while (downstream_busy(d)) {
		struct stream *s = first(d);

		leave(d, s);
		stream_client_gone(s, STREAM_CLIENT_CLOSED, "client closed before its answer was complete");
	}
	take_apart(d);
}

int downstream_open(struct worker *w, struct listener_use *l, const struct arrival *take_a)
{
	struct downstream *d = calloc(1, sizeof(*d));
	int err;

	if (!d) {
		close(take_a->fd);
		listener_leave(l);
		return -ENOMEM;
	}
	d->magic = downstream_MAGIC;
	d->listener = l;
	d->due_ns = UINT64_MAX;
	d->leg.w = w;
	d->leg.on = &leg_events;
	list_init(&d->streams);
	list_add_tail(&w->http->downstreams, &d->all);
	err = listener_conn_open(l, &d->leg.conn, take_a, &leg_conn_events);
	if (err)
		downstream_end(d);
	return err;
}

void downstream_close_all(struct worker *w)
{
	while (!list_empty(&w->http->downstreams))
		downstream_end(container_of(w->http->downstreams.next, struct downstream, all));
	legs_flush(w);
}

/* ---- the end of an answer ----------------------------------------------------------------------------------- */

/* All is said and nothing of the client's is unread: close(2) is enough, but TLS has a word of its own for the end. */
static void part(struct downstream *d)
{
	if (!d->leg.conn.stack || d->leg.broken || conn_shut(&d->leg.conn) || !d->leg.conn.shutting || d->leg.conn.eof)
		downstream_end(d);
	else
		downstream_enter(d, DOWNSTREAM_LINGER, DOWNSTREAM_LINGER_MS);
}

/* What there is of the answer still goes; its end must not look like one. */
static void cut(struct downstream *d, const struct stream *s)
{
	struct codec *c = &d->leg.codec;
	int how = c->ops->put_reset ? c->ops->put_reset(c, s->down_id, PROTO_CLOSED) : 0;

	/* To the codec the answer is over, but the client does not take its last bytes. */
	if (!how && !(c->ops->flags & PROTO_MULTIPLEX))
		how = -ECONNRESET;
	if (how == -ECONNRESET)
		conn_reset(&d->leg.conn);
	else if (!d->leg.broken)
		conn_write(&d->leg.conn, &c->out);
	if (how)
		downstream_end(d);
}

/* Some of it may be here already, but others are in the middle of something: not now. */
static void next_request(struct downstream *d)
{
	idle(d);
	conn_watch(&d->leg.conn);
	if (d->leg.in.len)
		leg_again(&d->leg);
	else if (!d->leg.decoding)
		state_give(d);
}

static enum proto_why cut_why(const struct stream *s)
{
	return s->cut_why ? s->cut_why : PROTO_CLOSED;
}

/* The others go on, whatever became of this one. */
static void one_of_many_done(struct downstream *d, struct stream *s)
{
	struct codec *c = &d->leg.codec;
	int how = 0;

	if ((s->cut || !s->request_end) && c->ops->put_reset)
		how = c->ops->put_reset(c, s->down_id, s->cut ? cut_why(s) : PROTO_NONE);
	if (!leave_turn(d, s) || how == -EPIPE || how == -ECONNRESET) {
		if (d->magic)
			conn_reset(&d->leg.conn);
		downstream_end(d);
		return;
	}
	/* The answer of who came next may have ended the connection. */
	if (!d->magic)
		return;
	leg_touch(&d->leg);
	if (!downstream_busy(d))
		downstream_rest(d);
}

void downstream_stream_done(struct downstream *d, struct stream *s)
{
	const struct proto_ops *ops = d->leg.codec.ops;
	bool live;

	if (d->phase == DOWNSTREAM_INNER) {
		callout_done(d, s);
		return;
	}
	leave(d, s);
	if (d->many) {
		one_of_many_done(d, s);
		return;
	}
	live = !s->close && !d->last && !d->away && (!ops->reusable || ops->reusable(&d->leg.codec));
	if (s->cut)
		cut(d, s);
	else if (!live && downstream_in_turn(d))
		downstream_farewell(d);
	else if (!live && (!s->request_end || d->leg.in.len))
		downstream_linger(d);
	else if (!live)
		part(d);
	else if (!downstream_busy(d))
		next_request(d);
}

/* ---- what the client sends ---------------------------------------------------------------------------------- */

static struct stream *of(void *arg, uint64_t id)
{
	struct downstream *d = CAST(downstream, arg);

	/* What is spoken of is mostly what came last. */
	for (struct list *x = d->streams.prev; x != &d->streams; x = x->prev) {
		struct stream *s = container_of(x, struct stream, node);

		if (s->down_id == id)
			return s;
	}
	return NULL;
}

static unsigned streams_max(const struct downstream *d)
{
	return downstream_in_turn(d) ? 1 : d->leg.codec.ops->flags & PROTO_RPC ? RPC_STREAMS_MAX : STREAMS_MAX;
}

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct downstream *d = CAST(downstream, arg);
	struct stream *s;

	if (kind != MSG_REQUEST && kind != MSG_ONEWAY) {
		s = of(arg, id);
		if (s)
			s->request_trailers = (struct msg){ .arena = &s->arena };
		return s ? &s->request_trailers : NULL;
	}
	if (d->nstreams >= streams_max(d)) {
		stat_add(&d->leg.w->http->stat.streams_refused, 1);
		return NULL;
	}
	s = stream_new(d, id);
	if (!s)
		return NULL;
	list_add_tail(&d->streams, &s->node);
	d->nstreams++;
	stat_add(&d->listener->stat->streams, 1);
	head_begins(d);
	downstream_count(d);
	return &s->request;
}

/* -EAGAIN: it was answered already, and that goes out before more is looked at; but where others do not wait for it. */
static int on_head(void *arg, uint64_t id, struct msg *m, bool last)
{
	struct downstream *d = CAST(downstream, arg);
	struct stream *s = of(arg, id);

	(void)m;
	d->phase = DOWNSTREAM_BUSY;
	d->due_ns = UINT64_MAX;
	if (s)
		stream_head(s, last);
	if (d->many)
		return 0;
	s = of(arg, id);
	return !s || s->state == STREAM_FLUSH ? -EAGAIN : 0;
}

static void on_data(void *arg, uint64_t id, struct buf *in, struct slice b, bool last)
{
	struct stream *s = of(arg, id);

	if (s)
		stream_data(s, in, b, last);
}

static void on_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct stream *s = of(arg, id);

	(void)m;
	if (s)
		stream_trailers(s);
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
	struct downstream *d = CAST(downstream, arg);
	struct stream *s = of(arg, id);
	bool nonsense = why == PROTO_MALFORMED || why == PROTO_TOO_LARGE || why == PROTO_HEAD_TOO_LARGE || why == PROTO_UNSUPPORTED;
	const char *detail = d->leg.codec.detail;

	if (!s)
		return;
	if (!detail)
		detail = "request breaks a rule of its protocol";
	/* Nobody will read what of its body lies here. */
	downstream_consumed(d, s, s->unconsumed);
	/* There is no head any more to be late with. */
	if (d->phase == DOWNSTREAM_HEAD)
		downstream_enter(d, DOWNSTREAM_BUSY, 0);
	leave(d, s);
	d->ending |= !leave_turn(d, s);
	stream_client_gone(s, nonsense ? STREAM_CLIENT_MALFORMED : STREAM_CLIENT_CLOSED,
			   nonsense ? detail : "client reset the stream");
	if (!downstream_busy(d) && d->phase != DOWNSTREAM_LINGER)
		downstream_rest(d);
}

static void on_opaque(void *arg, uint64_t id)
{
	struct stream *s = of(arg, id);

	conn_watch(&CAST(downstream, arg)->leg.conn);
	if (s)
		stream_client_opaque(s);
}

static void on_writable(void *arg, uint64_t id)
{
	struct stream *s = of(arg, id);

	if (s)
		stream_client_sent(s);
}

/* The client begins nothing any more. */
static void on_goaway(void *arg, uint64_t last, enum proto_why why)
{
	struct downstream *d = CAST(downstream, arg);

	(void)last;
	(void)why;
	d->away = true;
	if (!downstream_busy(d))
		downstream_farewell(d);
}

static void on_ping(void *arg, uint64_t token, bool ack)
{
	if (ack)
		downstream_heard(CAST(downstream, arg), token);
}

static int on_glitch(void *arg)
{
	struct downstream *d = CAST(downstream, arg);

	return odd_flood(&d->odd, d->leg.w->thread.loop.now_ns);
}

static const struct proto_sink sink = { on_begin, on_head, on_data, on_trailers, on_reset, on_writable, sink_no_room,
					on_goaway, on_ping, on_glitch, on_opaque };

/* The codec has put its answer, if there was one to put, into out; a client that does not take it is not waited for. */
static void malformed(struct downstream *d)
{
	const char *detail = d->leg.codec.detail;

	refusal_note(d->leg.w->http, d->listener->name, d->leg.conn.peer, d->leg.codec.why, detail, d->leg.w->thread.loop.now_ns);
	while (downstream_busy(d)) {
		struct stream *s = first(d);

		leave(d, s);
		stream_client_gone(s, STREAM_CLIENT_MALFORMED, detail ? detail : "client spoke nonsense");
	}
	d->refused = true;
	d->dropped = 0;
	downstream_enter(d, DOWNSTREAM_BUSY, DOWNSTREAM_LINGER_MS);
	leg_touch(&d->leg);
}

static const void *settings(const struct downstream *d, const struct proto_ops *ops)
{
	return codec_conf_of_listener(d->leg.w->adoption.cur->snap, d->listener->conf, ops);
}

static bool speak(struct downstream *d, const struct proto_ops *ops)
{
	d->many = ops->flags & PROTO_MULTIPLEX;
	if (ops == &proto_http2)
		stat_add(&d->leg.w->http->stat.http2, 1);
	else if (ops->flags & PROTO_RPC)
		stat_add(&d->leg.w->http->stat.rpc, 1);
	stat_add(&d->listener->stat->multiplexed, d->many);
	d->leg.codec.ops = ops;
	if (state_new(d) && !leg_init(&d->leg, ops, d->leg.codec.state, true, &d->listener->limits, settings(d, ops), &sink, d)) {
		if (d->last && d->many)
			downstream_tell(d);
		return true;
	}
	d->ending = true;
	return false;
}

/* By the first bytes, when TLS has not settled it. False: more of them are needed, or it is over. */
static bool choose(struct downstream *d)
{
	const struct proto_ops *ops = NULL;
	enum proto_match m = detect_protocol(downstream_conf(d), &d->leg.in, &ops);

	if (m == PROTO_YES)
		return speak(d, ops);
	if (m == PROTO_NO) {
		stat_add(&d->leg.w->http->stat.undetected, 1);
		refusal_note(d->leg.w->http, d->listener->name, d->leg.conn.peer, PROTO_UNSUPPORTED,
			     "its first bytes are of no protocol that the listener takes", d->leg.w->thread.loop.now_ns);
		d->ending = true;
	} else if (d->phase != DOWNSTREAM_HEAD) {
		head_begins(d);
	}
	return false;
}

/* Where a request begins with its frame's head, part of that is not left to lie for ever. */
static void watch_head(struct downstream *d)
{
	bool begun = d->leg.in.len;

	if (!(d->leg.codec.ops->flags & PROTO_RPC) || downstream_busy(d))
		return;
	if (begun && d->phase == DOWNSTREAM_IDLE)
		head_begins(d);
	else if (!begun && d->phase == DOWNSTREAM_HEAD)
		idle(d);
}

/* False: nothing more may be read. */
static bool decode(struct downstream *d)
{
	size_t before;
	int err;

	if (d->phase == DOWNSTREAM_LINGER || d->refused)
		return downstream_drop(d);
	if (!d->leg.ready && !choose(d)) {
		if (d->ending)
			downstream_end(d);
		return d->magic;
	}
	if (!state_take(d)) {
		downstream_end(d);
		return false;
	}
	if (downstream_in_turn(d) && downstream_busy(d) && downstream_newest(d)->request_end)
		return true;
	before = d->leg.in.len;
	err = leg_decode(&d->leg);
	if (d->ending) {
		downstream_end(d);
		return false;
	}
	if (err && err != -EAGAIN) {
		malformed(d);
		return false;
	}
	watch_head(d);
	/* It stopped behind a request that is over already. */
	if (err && downstream_in_turn(d) && !downstream_busy(d) && d->leg.in.len && d->leg.in.len < before)
		leg_again(&d->leg);
	return !d->leg.opaque;
}

/* Behind a whole request the client has nothing to say that could not wait a moment; but where others may follow it. */
static bool waits_for_client(const struct downstream *d)
{
	return !downstream_busy(d) || !downstream_newest(d)->request_end || d->leg.opaque || d->leg.codec.ops->flags & PROTO_MULTIPLEX;
}

static void pump(struct downstream *d)
{
	struct leg *l = &d->leg;

	if (!d->magic || l->decoding)
		return;
	if (d->ending) {
		downstream_end(d);
		return;
	}
	if (d->refused)
		return;
	if (l->opaque && downstream_busy(d)) {
		stream_run(first(d));
		return;
	}
	if (l->in.len && !decode(d))
		return;
	for (;;) {
		size_t most;
		ssize_t n;

		if (downstream_busy(d) && !d->many && !l->in.len && stream_request_passes(downstream_newest(d))) {
			/* As below. */
			if (l->conn.hup && d->magic && downstream_busy(d) && downstream_newest(d)->request_full)
				downstream_end(d);
			return;
		}
		most = downstream_room(d);
		n = most ? leg_read(l, &l->in, most) : -EAGAIN;

		/* Its FIN is known though bytes before it are not read: there is no room for them, and nobody to answer. */
		if (!most && l->conn.hup)
			n = 0;
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			downstream_end(d);
			return;
		}
		if (!decode(d) || conn_drained(&l->conn))
			return;
	}
}

void downstream_pump(struct downstream *d)
{
	if (d->phase == DOWNSTREAM_INNER) {
		callout_room(d);
		return;
	}
	pump(d);
	if (d->magic && waits_for_client(d))
		conn_watch(&d->leg.conn);
}

/* ---- events ------------------------------------------------------------------------------------------------- */

/* The listener says what is spoken, or ALPN; else the first bytes will. */
static bool settled(struct downstream *d)
{
	const struct proto_ops *ops = detect_settled(d->listener->conf, d->leg.conn.peer->alpn);

	return !ops || speak(d, ops);
}

static void open_now(struct leg *l)
{
	struct downstream *d = container_of(l, struct downstream, leg);

	listener_conn_opened(d->listener, &l->conn);
	l->codec.ops = &proto_http1;
	if (!downstream_conf(d) || !settled(d)) {
		downstream_end(d);
		return;
	}
	downstream_age_begin(d);
	downstream_rest(d);
}

static void open_failed(struct leg *l, int err)
{
	struct downstream *d = container_of(l, struct downstream, leg);

	stat_add(&d->listener->stat->never_opened, 1);
	listener_conn_failed(d->listener, &l->conn, err);
	downstream_end(d);
}

static void readable(struct leg *l)
{
	downstream_pump(container_of(l, struct downstream, leg));
}

/* Of thousands only those that have something in out. */
static void sent_in_turn(struct downstream *d, struct turns *t)
{
	if (t->talking)
		stream_client_sent(t->talking);
	if (!d->magic)
		return;
	list_for(x, &t->leaving) {
		stream_client_sent(container_of(x, struct stream, turn_node));
		if (!d->magic)
			return;
	}
}

static void sent(struct leg *l)
{
	struct downstream *d = container_of(l, struct downstream, leg);

	if (d->ending) {
		downstream_end(d);
		return;
	}
	if (d->refused && !l->codec.out.len) {
		d->refused = false;
		downstream_linger(d);
		return;
	}
	downstream_unclog(d);
	if (d->many && downstream_turns(d)) {
		sent_in_turn(d, downstream_turns(d));
		return;
	}
	list_for(x, &d->streams) {
		stream_client_sent(container_of(x, struct stream, node));
		if (!d->magic)
			return;
	}
}

static void broken(struct leg *l, int err)
{
	(void)err;
	downstream_end(container_of(l, struct downstream, leg));
}

static void refused(struct leg *l)
{
	malformed(container_of(l, struct downstream, leg));
}

static const struct leg_events leg_events = { open_now, open_failed, readable, sent, broken, refused };
