/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a message passes the filters, one direction: the head first, then bytes as they come, then trailers. Each filter has
 * what it was not shown yet and what it waits with; what a filter lets pass is the next one's. A head that waits, or whose
 * body is collected, holds back everything for the filters behind it.
 */
#include "proxy/chain_priv.h"

#include <errno.h>
#include "proto/grpc.h"
#include "proxy/grpc_call.h"
#include "proxy/http.h"
#include "proxy/leg.h"
#include "proxy/retry.h"
#include "proxy/stream_priv.h"
#include "proxy/web_call.h"
#include "proxy/worker.h"
#include "weft/str.h"

static struct msg *head_of(struct chain *c, enum chain_way way)
{
	return way == CHAIN_REQUEST ? &c->s->request : &c->s->response;
}

static struct msg *trailers_of(struct chain *c, enum chain_way way)
{
	return way == CHAIN_REQUEST ? &c->s->request_trailers : &c->s->extra;
}

/* ---- verdicts ------------------------------------------------------------------------------------------------ */

static void reset(struct chain *c, const char *detail)
{
	struct stream *s = c->s;

	stream_flag(s, STREAM_DENIED, detail);
	s->cut = s->close = true;
	s->cut_why = PROTO_INTERNAL;
	stream_go(s, STREAM_DONE);
}

static void say(struct chain *c, int status, enum stream_flag flag, const char *detail)
{
	stream_go(c->s, stream_say(c->s, status, flag, detail));
}

static void answer(struct chain *c)
{
	struct stream *s = c->s;
	enum stream_state next;

	if (!c->reply.status) {
		reset(c, "a filter answered without an answer");
		return;
	}
	next = stream_say(s, c->reply.status, c->flag, c->detail);
	if (next == STREAM_REPLY)
		s->reply = c->reply;
	stream_go(s, next);
}

/* Nothing of this message passes any more, and nothing of the request behind an answer of our own. */
static void end_passages(struct chain *c, enum chain_way way)
{
	c->passage[way].over = c->passage[CHAIN_REQUEST].over = true;
}

bool chain_judge(struct chain_link *l, enum chain_way way, enum chain_part part, enum filter_verdict v)
{
	struct chain *c = l->chain;
	struct stream *s = c->s;

	if (s->info.flags && !s->flagged_in)
		s->flagged_in = s->state;
	switch (v) {
	case FILTER_NEXT:
		return true;
	case FILTER_WAIT:
		l->answer_first = way == CHAIN_RESPONSE ? !l->way[CHAIN_REQUEST].waits : l->way[CHAIN_RESPONSE].waits;
		l->way[way].waits = part;
		stat_add(&l->stat->waits, 1);
		return false;
	case FILTER_REPLY:
		end_passages(c, way);
		stat_add(&l->stat->replies, 1);
		answer(c);
		return false;
	default:
		end_passages(c, way);
		stat_add(&l->stat->resets, 1);
		reset(c, "a filter ended the stream");
		return false;
	}
}

static void too_large(struct chain_link *l, enum chain_way way)
{
	end_passages(l->chain, way);
	stat_add(&l->stat->too_large, 1);
	if (way == CHAIN_REQUEST)
		say(l->chain, 413, STREAM_CLIENT_MALFORMED, "the body is longer than a filter collects");
	else
		say(l->chain, 502, STREAM_UPSTREAM_MALFORMED, "the answer's body is longer than a filter collects");
}

/* ---- out of the chain ---------------------------------------------------------------------------------------- */

static bool fixed_length(struct chain *c, enum chain_way way)
{
	const struct msg *m = head_of(c, way);
	const struct proto_ops *proto = m->proto ? m->proto : c->s->info.proto;

	return proto->flags & PROTO_NEEDS_LENGTH;
}

static int response_out(struct stream *s, struct buf *b)
{
	int err = 0;

	if (!s->web) {
		buf_move(&s->response_body, b);
		return 0;
	}
	while (b->len && !err) {
		struct slice d = buf_head(b);

		err = web_call_data(s, NULL, d);
		buf_drop(b, d.n);
	}
	return err;
}

static void bytes_out(struct chain *c, enum chain_way way, struct buf *b, bool end)
{
	struct passage *p = &c->passage[way];
	int err = 0;

	p->bytes += b->len;
	if (way == CHAIN_REQUEST)
		buf_move(&c->s->request_body, b);
	else
		err = response_out(c->s, b);
	p->end_out |= end;
	if (err) {
		end_passages(c, way);
		say(c, 503, STREAM_OVERLOADED, "out of memory");
	} else if (end && p->head_out && !p->plain && fixed_length(c, way) && (int64_t)p->bytes != head_of(c, way)->body_len) {
		end_passages(c, way);
		reset(c, "a filter changed the length of a body whose frame had said it");
	}
}

/* What it will be is known where all of the body went through before the head; else the body may still be changed. */
static void settle_length(struct chain *c, enum chain_way way)
{
	const struct passage *p = &c->passage[way];
	struct msg *m = head_of(c, way);
	int64_t n = p->end_out && !p->trailed ? (int64_t)p->bytes : MSG_LENGTH_UNKNOWN;

	if (p->bodiless || p->kept || m->body_len == n || (!p->end_out && fixed_length(c, way)) ||
	    (way == CHAIN_RESPONSE && stream_granted(c->s)))
		return;
	msg_del(m, SLICE_LIT("content-length"));
	m->body_len = n;
	msg_touch(m);
}

/* A frame that is short is whole before it begins, so a filter may change its length (docs/rpc.md). */
static bool frame_waits(struct chain *c, enum chain_way way)
{
	const struct passage *p = &c->passage[way];

	return !p->kept && !p->bodiless && !p->end_out && fixed_length(c, way) && head_of(c, way)->body_len <= (int64_t)LEG_HIGH;
}

static void trailers_out(struct chain *c, enum chain_way way)
{
	struct stream *s = c->s;
	int code;

	if (way == CHAIN_REQUEST) {
		s->request_trailed = s->request_trailers.nheaders;
		return;
	}
	s->response_trailed = s->extra.nheaders;
	code = grpc_call(s) ? grpc_status(&s->extra) : MSG_NO_STATUS;
	if (code != MSG_NO_STATUS)
		s->info.wire_status = code;
	if (s->web && web_call_trailers(s)) {
		end_passages(c, way);
		say(c, 503, STREAM_OVERLOADED, "out of memory");
	}
}

/* ---- one filter ---------------------------------------------------------------------------------------------- */

static enum filter_verdict show_head(struct chain_link *l, enum chain_way way)
{
	struct chain *c = l->chain;

	if (way == CHAIN_RESPONSE)
		return l->f.ops->response ? l->f.ops->response(&l->f, &c->s->response) : FILTER_NEXT;
	l->reached = true;
	c->reached++;
	stat_add(&l->stat->requests, 1);
	stat_set(&l->stat->active, stat_get(&l->stat->active) + 1);
	return l->f.ops->request ? l->f.ops->request(&l->f, &c->s->request) : FILTER_NEXT;
}

static enum filter_verdict show_body(struct chain_link *l, enum chain_way way, struct buf *b, bool end)
{
	return way == CHAIN_REQUEST ? l->f.ops->request_body(&l->f, b, end) : l->f.ops->response_body(&l->f, b, end);
}

static enum filter_verdict show_trailers(struct chain_link *l, enum chain_way way)
{
	enum filter_verdict (*show)(struct filter *, struct msg *) = way == CHAIN_REQUEST ? l->f.ops->request_trailers :
											 l->f.ops->response_trailers;

	return show ? show(&l->f, trailers_of(l->chain, way)) : FILTER_NEXT;
}

static void give(struct chain *c, enum chain_way way, unsigned place, struct buf *b, bool end)
{
	struct link_way *next;

	if (place + 1 == c->passage[way].n) {
		if (b->len || (end && !c->passage[way].end_out))
			bytes_out(c, way, b, end);
		return;
	}
	next = &chain_link_at(c, way, place + 1)->way[way];
	buf_move(&next->fresh, b);
	next->end_in |= end;
}

/* What it has not seen of the body, and what it has let go. */
static void pass_body(struct chain *c, enum chain_way way, unsigned place)
{
	struct chain_link *l = chain_link_at(c, way, place);
	struct link_way *x = &l->way[way];
	bool reads = chain_link_reads(l, way);

	if (x->waits || c->passage[way].bodiless)
		return;
	give(c, way, place, &x->held, x->end);
	if (x->collects && x->fresh.len > x->max) {
		too_large(l, way);
		return;
	}
	if (x->collects && !x->end_in)
		return;
	if (reads && !x->end && (x->fresh.len || x->end_in)) {
		x->end = x->end_in;
		if (!chain_judge(l, way, CHAIN_BODY, show_body(l, way, &x->fresh, x->end))) {
			buf_move(&x->held, &x->fresh);
			return;
		}
	}
	x->end |= x->end_in && !reads;
	give(c, way, place, &x->fresh, x->end);
}

/* True: those behind it may see it. */
static bool pass_head(struct chain *c, enum chain_way way, unsigned place)
{
	struct passage *p = &c->passage[way];
	struct chain_link *l = chain_link_at(c, way, place);
	struct link_way *x = &l->way[way];

	if (!x->head) {
		x->head = true;
		if (!chain_judge(l, way, CHAIN_HEAD, show_head(l, way)))
			return false;
	}
	if (x->waits)
		return false;
	if (x->collects && !p->bodiless) {
		if (head_of(c, way)->body_len > (int64_t)x->max)
			too_large(l, way);
		else
			pass_body(c, way, place);
		if (p->over || x->waits || !x->end)
			return false;
	}
	if (l->reroute && way == CHAIN_REQUEST && !chain_reroute(c, place))
		return false;
	p->head = place + 1;
	return true;
}

static bool ended(const struct passage *p, const struct link_way *x)
{
	return p->plain ? p->end_in : x->end && !x->waits && !x->held.len && !x->fresh.len;
}

static void pass_trailers(struct chain *c, enum chain_way way, unsigned place)
{
	struct passage *p = &c->passage[way];
	struct chain_link *l = chain_link_at(c, way, place);
	struct link_way *x = &l->way[way];

	if (!p->trailed || p->tail != place || x->waits || !ended(p, x))
		return;
	if (!x->tail) {
		x->tail = true;
		if (!chain_judge(l, way, CHAIN_TRAILERS, show_trailers(l, way)))
			return;
	}
	p->tail = place + 1;
}

/* ---- all of them --------------------------------------------------------------------------------------------- */

static void move_once(struct chain *c, enum chain_way way)
{
	struct passage *p = &c->passage[way];

	for (unsigned i = 0; i < p->n && !p->over; i++) {
		if (p->head == i && !pass_head(c, way, i))
			return;
		if (!p->plain && !p->over)
			pass_body(c, way, i);
		if (!p->over)
			pass_trailers(c, way, i);
	}
	if (p->over)
		return;
	if (!p->head_out && !frame_waits(c, way)) {
		settle_length(c, way);
		p->head_out = true;
	}
	if (p->trailed && !p->tail_out && p->tail == p->n && (p->end_out || p->bodiless)) {
		p->tail_out = true;
		trailers_out(c, way);
	}
}

void chain_move(struct chain *c, enum chain_way way)
{
	c->todo |= 1u << way;
	if (c->moving)
		return;
	c->moving = true;
	while (c->todo) {
		way = c->todo & 1u << CHAIN_REQUEST ? CHAIN_REQUEST : CHAIN_RESPONSE;
		c->todo &= ~(1u << way);
		if (c->passage[way].begun && !c->passage[way].over)
			move_once(c, way);
	}
	c->moving = false;
}

/* ---- what comes ---------------------------------------------------------------------------------------------- */

void chain_passage_plain(struct chain *c, enum chain_way way)
{
	struct passage *p = &c->passage[way];

	p->plain = p->kept = true;
	for (unsigned i = 0; i < p->n; i++) {
		const struct chain_link *l = chain_link_at(c, way, i);
		bool reads = chain_link_reads(l, way);

		p->plain &= !reads;
		p->kept &= !reads || l->f.ops->watches_bodies;
	}
}

void chain_passage_begin(struct chain *c, enum chain_way way, unsigned n, bool bodiless)
{
	c->passage[way] = (struct passage){ .n = n, .begun = true, .bodiless = bodiless };
	chain_passage_plain(c, way);
}

void chain_passage_drop(struct chain *c, enum chain_way way)
{
	for (unsigned i = 0; i < c->n; i++) {
		buf_fini(&c->link[i]->way[way].fresh);
		buf_fini(&c->link[i]->way[way].held);
	}
}

/* An answer may come in before its state begins. */
static struct passage *passage_of(struct chain *c, enum chain_way way)
{
	if (!c->passage[way].begun)
		chain_passage_begin(c, way, c->reached, false);
	return &c->passage[way];
}

int chain_data(struct stream *s, enum chain_way way, struct buf *in, struct slice d, bool end)
{
	struct chain *c = s->chain;
	struct passage *p = passage_of(c, way);
	struct buf b = { 0 };

	if (p->over)
		return 0;
	if (body_keep(&b, in, d)) {
		buf_fini(&b);
		return -ENOMEM;
	}
	p->end_in |= end;
	if (p->plain) {
		if (b.len || end)
			bytes_out(c, way, &b, end);
	} else {
		struct link_way *first = &chain_link_at(c, way, 0)->way[way];

		buf_move(&first->fresh, &b);
		first->end_in |= end;
	}
	buf_fini(&b);
	if (!p->plain || end)
		chain_move(c, way);
	return 0;
}

void chain_trailers(struct stream *s, enum chain_way way)
{
	struct chain *c = s->chain;
	struct passage *p = passage_of(c, way);

	p->trailed = p->end_in = true;
	if (p->plain)
		p->end_out = true;
	else
		chain_link_at(c, way, 0)->way[way].end_in = true;
	chain_move(c, way);
}

bool chain_plain(const struct chain *c, enum chain_way way)
{
	return c->passage[way].plain;
}

bool chain_whole(const struct chain *c, enum chain_way way)
{
	const struct passage *p = &c->passage[way];

	return p->over || (p->head_out && (p->end_out || p->bodiless) && (!p->trailed || p->tail_out));
}

size_t chain_holds(const struct chain *c, enum chain_way way)
{
	size_t n = 0;

	if (c->passage[way].plain || !c->passage[way].begun)
		return 0;
	for (unsigned i = 0; i < c->n; i++) {
		const struct link_way *x = &c->link[i]->way[way];

		n += x->collects ? 0 : x->fresh.len + x->held.len;
	}
	return n;
}

bool chain_answered(const struct chain *c)
{
	return c->passage[CHAIN_RESPONSE].begun;
}
