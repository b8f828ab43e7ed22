// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a stream: its driver, its times, its ends. Where it goes is stream_route.c's, one try at a host
 * stream_try.c's, the answer stream_answer.c's; bytes are moved by body.c and tunnel.c.
 */
#include "proxy/stream_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/magic.h"
#include "model/hold.h"
#include "proxy/downstream.h"
#include "proxy/record.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/worker.h"

#define FREE_MAX 256u                           /* streams that a worker keeps for later */
#define FLUSH_NS (60 * SEC)                     /* for a client to take an answer whose route says nothing */
#define HALF_CLOSED_NS (300 * SEC)              /* a tunnel one of whose directions has ended */

static void on_time(struct timer *t);

static enum stream_state (*const steps[])(struct stream *) = {
#define STATE_STEP_(NAME, name) step_##name,
	STREAM_STATES(STATE_STEP_)
#undef STATE_STEP_
};

uint64_t stream_age_ns(const struct stream *s)
{
	uint64_t now = s->w->thread.loop.now_ns;

	return now > s->info.begin_ns ? now - s->info.begin_ns : 1;
}

void stream_flag(struct stream *s, enum stream_flag f, const char *detail)
{
	if (!s->info.flags)
		s->flagged_in = s->state;
	s->info.flags |= 1ull << f;
	if (!s->info.detail[0])
		s->info.detail = detail;
	pick_flag(&s->pick, f);
}

/* ---- birth and death ---------------------------------------------------------------------------------------- */

static struct stream *take(struct worker *w)
{
	struct stream *s;

	if (list_empty(&w->http->free_streams))
		return calloc(1, sizeof(*s));
	s = container_of(w->http->free_streams.next, struct stream, node);
	list_del(&s->node);
	w->http->nfree_streams--;
	return s;
}

struct stream *stream_new(struct downstream *d, uint64_t id)
{
	struct worker *w = d->leg.w;
	struct stream *s = take(w);

	if (!s)
		return NULL;
	s->magic = stream_MAGIC;
	s->state = STREAM_HEAD;
	s->jump = STREAM_BLOCKED;
	s->w = w;
	s->down = d;
	s->down_id = id;
	s->due_ns = UINT64_MAX;
	s->request = (struct msg){ .arena = &s->arena };
	s->info.peer = d->leg.conn.peer;
	s->info.client = &s->info.peer->source;
	s->info.proto = d->leg.codec.ops;
	s->info.detail = "";
	s->info.wire_status = MSG_NO_STATUS;
	s->info.begin_ns = s->active_ns = w->thread.loop.now_ns;
	s->inner = d->phase == DOWNSTREAM_INNER;
	if (s->inner)
		return s;
	stat_add(&w->http->stat.requests, 1);
	stat_set(&w->http->stat.active, stat_get(&w->http->stat.active) + 1);
	return s;
}

static void destroy(struct stream *s)
{
	timer_disarm(&s->w->thread.loop, &s->timer);
	arena_fini(&s->arena);
	free(s);
}

/* What is warm stays: the arena's chunk, and an armed timer, which finds in due_ns that nobody waits. */
static void give_back(struct stream *s)
{
	struct worker *w = s->w;

	buf_fini(&s->request_body);
	buf_fini(&s->response_body);
	if (w->http->nfree_streams >= FREE_MAX) {
		destroy(s);
		return;
	}
	arena_reset(&s->arena);
	s->due_ns = UINT64_MAX;
	memset((char *)s + offsetof(struct stream, magic), 0, sizeof(*s) - offsetof(struct stream, magic));
	list_add(&w->http->free_streams, &s->node);
	w->http->nfree_streams++;
}

void streams_free(struct worker *w)
{
	while (!list_empty(&w->http->free_streams)) {
		struct stream *s = container_of(w->http->free_streams.next, struct stream, node);

		list_del(&s->node);
		destroy(s);
	}
	w->http->nfree_streams = 0;
}

enum stream_state step_done(struct stream *s)
{
	struct worker *w = s->w;

	s->info.end_ns = stream_age_ns(s);
	stream_end_try(s, true);
	cluster_wait_end(&s->wait);
	retry_fini(s);
	if (s->request_pipe)
		relay_pipe_put(&w->http->pipes, s->request_pipe);
	if (s->response_pipe)
		relay_pipe_put(&w->http->pipes, s->response_pipe);
	if (s->chain)
		chain_end(s);
	record_write(s);
	if (!s->inner)
		stat_set(&w->http->stat.active, stat_get(&w->http->stat.active) - 1);
	if (s->down)
		downstream_consumed(s->down, s, s->unconsumed);
	if (s->down)
		downstream_stream_done(s->down, s);
	hold_drop(s->hold);
	s->magic = 0;
	return STREAM_BLOCKED;
}

/* ---- the driver --------------------------------------------------------------------------------------------- */

void stream_go(struct stream *s, enum stream_state to)
{
	if (s->running)
		s->jump = to;
	else
		s->state = to;
}

void stream_run(struct stream *s)
{
	enum stream_state next;

	assert_always(s->magic == stream_MAGIC);
	if (s->running)
		return;
	s->running = true;
	do {
		next = steps[s->state](s);
		if (s->jump != STREAM_BLOCKED && s->magic) {
			next = s->jump;
			s->jump = STREAM_BLOCKED;
		}
		if (next != STREAM_BLOCKED)
			s->state = next;
	} while (next != STREAM_BLOCKED);
	s->running = false;
	if (!s->magic)
		give_back(s);
}

enum stream_state step_head(struct stream *s)
{
	(void)s;
	return STREAM_BLOCKED;
}

void stream_abort(struct stream *s, enum stream_flag f, const char *detail)
{
	stream_flag(s, f, detail);
	s->cut = s->close = true;
	stream_go(s, STREAM_DONE);
	stream_run(s);
}

void stream_client_gone(struct stream *s, enum stream_flag why, const char *detail)
{
	s->down = NULL;
	if (!s->draining) {
		stream_abort(s, why, detail);
		return;
	}
	stream_go(s, STREAM_DONE);
	stream_run(s);
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t due, uint64_t from, uint64_t ns)
{
	return ns && from + ns < due ? from + ns : due;
}

static bool trying(const struct stream *s)
{
	return s->state == STREAM_CONNECT || s->state == STREAM_SEND || s->state == STREAM_WAIT;
}

/* 0: none. Before a rule is known the client's connection keeps the time; answers of our own must leave too. */
static uint64_t idle_ns(const struct stream *s)
{
	if (s->state == STREAM_TUNNEL)
		return s->client_eof || s->host_eof ? HALF_CLOSED_NS : s->listener->idle_ms * MSEC;
	if (s->state == STREAM_HEAD || s->state == STREAM_BACKOFF || (s->inner && s->state == STREAM_FLUSH))
		return 0;
	return s->hit.rule && s->hit.rule->idle_ms ? s->hit.rule->idle_ms * MSEC : s->state == STREAM_FLUSH ? FLUSH_NS : 0;
}

uint64_t stream_caller_ns(const struct stream *s)
{
	uint64_t ms = s->request.timeout_ms > 0 ? (uint64_t)s->request.timeout_ms : 0;

	if (ms && s->hit.rule->timeout_ms && s->hit.rule->timeout_ms < ms)
		ms = s->hit.rule->timeout_ms;
	return ms * MSEC;
}

/*
 * The caller's own time runs from the head of its request, the route's from the request's end. Once the whole answer is
 * here it is kept, unless a filter holds its head; how long the client may take for it is another matter.
 */
static uint64_t request_due(const struct stream *s, uint64_t due)
{
	uint64_t caller = stream_caller_ns(s);

	if (s->state == STREAM_TUNNEL || (s->response_end && !(s->chain && s->state == STREAM_RESPOND)))
		return due;
	if (caller)
		return earlier(due, s->info.begin_ns + s->info.head_ns, caller);
	if (!s->request_end)
		return due;
	return earlier(due, s->info.begin_ns + s->info.request_end_ns, s->hit.rule->timeout_ms * MSEC);
}

static uint64_t due(const struct stream *s)
{
	uint64_t at = earlier(UINT64_MAX, s->active_ns, idle_ns(s));

	if (s->draining)
		return s->wake_ns;
	if (s->state == STREAM_BACKOFF)
		at = earlier(at, s->wake_ns, 1);
	if (!s->hit.rule)
		return at;
	if (trying(s) && !s->response_begun)
		at = earlier(at, s->try_ns, s->hit.rule->try_timeout_ms * MSEC);
	return request_due(s, at);
}

void stream_deadline(struct stream *s)
{
	struct loop *l = &s->w->thread.loop;

	s->due_ns = due(s);
	if (s->due_ns != UINT64_MAX && (!timer_armed(&s->timer) || s->timer.due_ns > s->due_ns))
		timer_arm_at(l, &s->timer, s->due_ns, on_time, s);
}

/* Bytes that wait for somebody to take them. */
static bool waits(const struct relay_pipe *pipe, const struct buf *body, const struct leg *to)
{
	return body->len || (pipe && pipe->len) || (to && to->codec.out.len);
}

/*
 * Is it the host that lets us wait? Not while its client owes the rest of the request or does not take the answer, nor behind
 * an upgrade: clients could have hosts ejected by doing nothing.
 */
static bool host_is_late(const struct stream *s)
{
	if (s->state == STREAM_CONNECT)
		return true;
	if (s->state == STREAM_TUNNEL || waits(s->response_pipe, &s->response_body, s->down ? &s->down->leg : NULL))
		return false;
	return s->request_end || waits(s->request_pipe, &s->request_body, s->up ? &s->up->leg : NULL);
}

static enum stream_state say_late(struct stream *s, enum stream_flag f, const char *detail, bool host)
{
	if (!host)
		stream_end_try(s, true);
	return stream_say(s, 504, f, detail);
}

/* A caller whose own time is short learns nothing of the host. */
static enum stream_state request_late(struct stream *s, uint64_t now)
{
	uint64_t ms = s->request_end ? s->hit.rule->timeout_ms : 0;
	bool route = earlier(UINT64_MAX, s->info.begin_ns + s->info.request_end_ns, ms * MSEC) <= now;

	return say_late(s, STREAM_TIMEOUT, "request took longer than its timeout", route && host_is_late(s));
}

static enum stream_state try_late(struct stream *s)
{
	static const char why[] = "host did not answer within backendRequest";

	if (!host_is_late(s))
		return say_late(s, STREAM_UPSTREAM_TIMEOUT, why, false);
	return stream_try_failed(s, RETRY_TIMEOUT, false, 504, STREAM_UPSTREAM_TIMEOUT, why);
}

/* Its answer is out: nothing is cut off. */
static enum stream_state too_much(struct stream *s)
{
	s->close = true;
	return STREAM_DONE;
}

/* Which time it was that ran out. */
static void too_late(struct stream *s, uint64_t now)
{
	const struct route_rule *r = s->hit.rule;
	enum stream_state next = STREAM_BLOCKED;

	if (s->draining)
		next = too_much(s);
	else if (s->state == STREAM_BACKOFF && now >= s->wake_ns && (!r || request_due(s, UINT64_MAX) > now))
		next = STREAM_PICK;
	else if (r && request_due(s, UINT64_MAX) <= now)
		next = request_late(s, now);
	else if (r && trying(s) && !s->response_begun && earlier(UINT64_MAX, s->try_ns, r->try_timeout_ms * MSEC) <= now)
		next = try_late(s);
	else
		next = say_late(s, STREAM_TIMEOUT, "no byte for the idle time", host_is_late(s));
	stream_go(s, next);
	stream_run(s);
}

static void on_time(struct timer *t)
{
	struct stream *s = t->arg;
	struct worker *w = s->w;
	uint64_t now = w->thread.loop.now_ns;

	if (!s->magic)
		return;
	s->due_ns = due(s);
	if (s->due_ns <= now)
		too_late(s, now);
	else
		stream_deadline(s);
	legs_flush(w);
}
