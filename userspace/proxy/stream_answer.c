// SPDX-License-Identifier: Apache-2.0
/* The answer: the host's, or one of our own, until its last byte is with the client's socket. */
#include "proxy/stream_priv.h"

#include "base/clock.h"
#include "proxy/downstream.h"
#include "proxy/grpc_call.h"
#include "proxy/headers.h"
#include "proxy/reply.h"
#include "proxy/json_call.h"
#include "proxy/rpc_call.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/web_call.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define DRAIN_NS (5 * SEC)                      /* for what is left of a request when its answer is out */

/*
 * What comes of the request behind the answer's end is read and dropped, if it is little (RFC 9112 9.3): the next request
 * stands there. True: it will be too much. A host that answers well may go on reading, unless it said that it is done.
 */
static bool leaves_much(const struct stream *s)
{
	int64_t n = s->request.body_len;

	return !s->down->many && (s->response_end || s->response.flags & MSG_CLOSE) && n >= 0 &&
	       (uint64_t)n - s->info.request_bytes > STREAM_DRAIN_MAX;
}

/* A call that is answered at once, whatever becomes of it: its frame says how much of it is to come. */
static bool little_to_come(const struct stream *s)
{
	int64_t n = s->request.body_len;

	return rpc_call(s) && !s->down->many && n >= 0 && (uint64_t)n - s->info.request_bytes <= STREAM_DRAIN_MAX;
}

/*
 * The connection cannot live on behind a request that will not be read, or when it is told to end: the head of the last
 * answer says so.
 */
static void close_behind(struct stream *s, int status)
{
	bool stays = s->request_end || (status < 400 && !leaves_much(s)) || little_to_come(s);

	if (!downstream_draining(s->down) && stays)
		return;
	s->close = true;
	if (!s->down->many)
		downstream_last_answer(s->down);
}

/* The upgrade that the client offered. */
bool stream_granted(const struct stream *s)
{
	int status = s->response.status;

	if (!s->request.upgrade.n)
		return false;
	return slice_eq_str(s->request.upgrade, "connect") ? status >= 200 && status < 300 : status == 101;
}

/* A filter holds the head. The request's body goes on, and the host is let go when it has said all. */
static enum stream_state respond_waits(struct stream *s)
{
	if (!s->response_end)
		body_to_host(s);
	else if (s->up)
		stream_end_try(s, true);
	stream_deadline(s);
	return STREAM_BLOCKED;
}

enum stream_state step_respond(struct stream *s)
{
	struct codec *c = &s->down->leg.codec;
	struct msg *m = &s->response;
	bool end, first = !s->responding;

	if (first && grpc_call(s) && !s->inner && grpc_call_foreign(s)) {
		stream_end_try(s, true);
		return STREAM_REPLY;
	}
	s->responding = true;
	if (first && ((json_call(s) && json_call_head(s)) || headers_response(s)))
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	if (s->chain && !chain_respond(s))
		return respond_waits(s);
	if (json_call(s) && !s->json_answered) {
		enum stream_state next = json_call_answer(s);

		if (next != STREAM_RESPOND)
			return next == STREAM_BLOCKED ? respond_waits(s) : next;
	}
	if (rpc_call_waits(s)) {
		if (!s->response_end)
			body_to_host(s);
		return STREAM_BLOCKED;
	}
	end = stream_response_whole(s) && !s->response_body.len && !s->response_trailed;
	if (web_call_head(s))
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	s->info.status = m->status;
	s->info.wire_status = m->wire_status;
	if (s->retry.done && m->status >= 500 && retry_left(s) == 0)
		stream_flag(s, STREAM_RETRIES_SPENT, "retries spent");
	close_behind(s, m->status);
	if (c->ops->put_head(c, &s->down_id, m, end))
		return stream_say(s, 502, STREAM_UPSTREAM_MALFORMED, "answer cannot be said in the client's protocol");
	s->response_said = true;
	s->response_sent = end;
	/* One stream of many goes on as bytes, where a connection's codec says so itself. */
	s->client_opaque |= s->down->many && stream_granted(s);
	leg_touch(&s->down->leg);
	stream_deadline(s);
	return STREAM_RELAY;
}

static enum stream_state said_all(struct stream *s)
{
	if (downstream_turns(s->down))
		turns_written(downstream_turns(s->down), s);
	return STREAM_FLUSH;
}

enum stream_state step_relay(struct stream *s)
{
	if (s->client_opaque || s->host_opaque)
		return s->client_opaque && s->host_opaque ? STREAM_TUNNEL : STREAM_BLOCKED;
	if (!s->response_end)
		body_to_host(s);
	body_to_client(s);
	if (s->response_end && s->up)
		stream_end_try(s, true);
	return s->response_sent ? said_all(s) : STREAM_BLOCKED;
}

/* A limit of ours, or what a client sent, says nothing about the host that was picked. */
static bool is_hosts(enum stream_flag f)
{
	static const bool hosts[STREAM_FLAG_COUNT] = {
		[STREAM_CONNECT_FAILED] = true, [STREAM_UPSTREAM_CLOSED] = true, [STREAM_UPSTREAM_MALFORMED] = true,
		[STREAM_UPSTREAM_TIMEOUT] = true, [STREAM_TIMEOUT] = true,
	};

	return hosts[f];
}

static enum stream_state cut_off(struct stream *s)
{
	s->cut = s->close = true;
	return STREAM_DONE;
}

enum stream_state stream_say(struct stream *s, int status, enum stream_flag f, const char *detail)
{
	stream_flag(s, f, detail);
	cluster_wait_end(&s->wait);
	stream_end_try(s, !is_hosts(f));
	if (s->response_said && grpc_call_end(s, status, detail))
		return STREAM_RELAY;
	if (s->response_said || !s->down || s->inner)
		return cut_off(s);
	s->reply = (struct proto_reply){ .status = status, .wire_status = MSG_NO_STATUS,
					 .content_type = SLICE_LIT("text/plain") };
	s->reply_begun = false;
	return STREAM_REPLY;
}

void stream_refuse(struct stream *s, int status, enum stream_flag f, const char *detail)
{
	stream_go(s, stream_say(s, status, f, detail));
	stream_run(s);
}

enum stream_state step_reply(struct stream *s)
{
	if (rpc_oneway(s)) {
		s->info.status = s->reply.status;
		return STREAM_DONE;
	}
	if (!s->reply_begun && reply_make(s))
		return cut_off(s);
	if ((s->chain && !chain_reply(s)) || rpc_call_waits(s))
		return STREAM_BLOCKED;
	close_behind(s, s->request_end ? s->reply.status : 400);
	s->response_said = true;
	if (reply_put(s))
		return cut_off(s);
	s->info.status = s->reply.status;
	s->info.wire_status = s->reply.wire_status;
	leg_touch(&s->down->leg);
	s->response_end = true;
	s->active_ns = s->w->thread.loop.now_ns;
	if (!s->response_sent)
		body_to_client(s);
	return s->response_sent ? said_all(s) : STREAM_RELAY;
}

/* Of many streams' bytes only what was there when this one's end had been serialised. */
static bool one_of_many_flushed(struct stream *s)
{
	const struct leg *l = &s->down->leg;

	if (!s->flushing) {
		s->flushing = true;
		leg_touch(&s->down->leg);
		return false;
	}
	if (!s->serialised) {
		s->serialised = true;
		s->flush_at = l->written + (uint32_t)l->codec.out.len;
	}
	return (int32_t)(l->written - s->flush_at) >= 0;
}

/* Nothing of it goes anywhere any more. */
static void drain(struct stream *s)
{
	s->draining = true;
	s->wake_ns = s->w->thread.loop.now_ns + DRAIN_NS;
	s->request_full = false;
	buf_fini(&s->request_body);
	leg_again(&s->down->leg);
}

static bool drained(struct stream *s)
{
	if (s->request_end || s->close)
		return true;
	if (!s->draining)
		drain(s);
	return false;
}

enum stream_state step_flush(struct stream *s)
{
	/* Whoever called out lets it go, when he has heard the end. */
	if (!s->inner && (s->down->many ? one_of_many_flushed(s) : !s->down->leg.codec.out.len && drained(s)))
		return STREAM_DONE;
	stream_deadline(s);
	return STREAM_BLOCKED;
}
