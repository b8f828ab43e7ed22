// SPDX-License-Identifier: Apache-2.0
/* One try: a connection to the picked host, the request on it, and what comes of it until the answer's head. */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "base/clock.h"
#include "proxy/downstream.h"
#include "proxy/grpc_call.h"
#include "proxy/headers.h"
#include "proxy/rpc_call.h"
#include "proxy/upstream.h"
#include "proxy/http.h"
#include "proxy/worker.h"

/* ---- the end of a try --------------------------------------------------------------------------------------- */

/* A client that went away says nothing about the host. */
static void settle_pick(struct stream *s, bool ok)
{
	struct lb_result r = { .now_ns = s->w->thread.loop.now_ns, .ok = ok };

	if (!s->picked)
		return;
	s->picked = false;
	if (s->response_begun) {
		r.status = grpc_call(s) ? grpc_call_outcome(s) : s->chain ? chain_host_status(s) : s->response.status;
		r.took_ns = s->info.begin_ns + s->info.first_byte_ns - s->try_ns;
		r.ok = ok && r.status < 500;
	}
	pick_done(&s->pick, s->response_begun || !ok ? &r : NULL);
}

void stream_end_try(struct stream *s, bool ok)
{
	if (s->up)
		upstream_release(s, s->response_end && s->request_sent);
	settle_pick(s, ok);
}

/* Forgets what this try left behind. */
static void start_over(struct stream *s)
{
	s->request_sent = s->response_begun = s->response_end = s->response_trailed = s->host_opaque = false;
	s->responding = s->counted = false;
	buf_fini(&s->response_body);
}

/* Another try is granted. answered: the status says whether the host did well, as it does of an answer that is passed on. */
static enum stream_state try_again(struct stream *s, bool answered)
{
	stream_end_try(s, answered);
	start_over(s);
	stat_add(&s->w->http->stat.retries, 1);
	s->wake_ns = s->w->thread.loop.now_ns + retry_pause_ns(s);
	return STREAM_BACKOFF;
}

enum stream_state stream_try_failed(struct stream *s, enum retry_cause cause, bool unsent, int status, enum stream_flag f,
				    const char *detail)
{
	if (!retry_wanted(s, cause, status, unsent) || retry_rewind(s))
		return stream_say(s, status, f, detail);
	pick_flag(&s->pick, f);
	return try_again(s, false);
}

enum stream_state step_backoff(struct stream *s)
{
	if (s->w->thread.loop.now_ns >= s->wake_ns)
		return STREAM_PICK;
	stream_deadline(s);
	return STREAM_BLOCKED;
}

/* ---- connecting --------------------------------------------------------------------------------------------- */

/* The host has no part in it. */
static void forget_pick(struct stream *s)
{
	if (s->picked)
		pick_undo(&s->pick);
	s->picked = false;
}

/* Nothing was sent, so another host may be asked whatever the policy says; not where the pod has no socket for any. */
static enum stream_state connect_failed(struct stream *s, int err)
{
	bool pod = err == -ENETDOWN && s->info.peer->netns, none = err == -EMFILE || err == -ENFILE;
	const char *detail = pod	       ? "no socket in the client's network namespace" :
			     err == -ETIMEDOUT ? "connecting to the host took too long" :
			     err == -EPROTO    ? "TLS with the host failed" :
			     err == -ENOKEY    ? "no TLS settings for the cluster" :
						 "connection to the host failed";

	if (none) {
		forget_pick(s);
		return stream_say(s, 503, STREAM_OVERLOADED, "no descriptor is left for a connection to the host");
	}
	if (pod) {
		forget_pick(s);
		return stream_say(s, 503, STREAM_CONNECT_FAILED, detail);
	}
	if (s->retry.connecting < ROUTE_CONNECTS_MORE) {
		s->retry.connecting++;
		stream_flag(s, STREAM_CONNECT_FAILED, detail);
		stream_end_try(s, false);
		return STREAM_PICK;
	}
	return stream_try_failed(s, RETRY_CONNECT, true, 503, STREAM_CONNECT_FAILED, detail);
}

enum stream_state step_connect(struct stream *s)
{
	int err;

	if (s->up)
		return upstream_ready(s) ? STREAM_SEND : STREAM_BLOCKED;
	err = upstream_take(s, !s->retry.again && !s->tunnel);
	if (err == -EBUSY || err == -EUSERS)
		return stream_wait_conn(s, err == -EUSERS);
	stream_deadline(s);
	if (err)
		return connect_failed(s, err);
	return upstream_ready(s) ? STREAM_SEND : STREAM_BLOCKED;
}

void stream_up_open(struct stream *s)
{
	stream_run(s);
}

void stream_up_failed(struct stream *s, int err)
{
	s->up = NULL;
	stream_go(s, connect_failed(s, err));
	stream_run(s);
}

/* ---- sending, waiting --------------------------------------------------------------------------------------- */

/* 100 is ours to say (Expect was taken off), once it is known that somebody will read the body. */
void stream_continue(struct stream *s)
{
	struct msg *m = &s->extra;
	struct codec *c = &s->down->leg.codec;

	if (!(s->request.flags & MSG_EXPECT_CONTINUE) || s->continued || s->request_end || s->request_body.len)
		return;
	s->continued = true;
	*m = (struct msg){ .kind = MSG_INFO, .status = 100, .arena = &s->arena, .wire_status = MSG_NO_STATUS };
	c->ops->put_head(c, &s->down_id, m, false);
	leg_touch(&s->down->leg);
}

/* CONNECT to a service: its host's connection is there, and both are bytes from here on (RFC 9110 9.3.6). */
static enum stream_state grant(struct stream *s)
{
	s->response = (struct msg){ .arena = &s->arena, .kind = MSG_RESPONSE, .status = 200, .wire_status = MSG_NO_STATUS };
	s->response_begun = s->host_opaque = s->up->leg.opaque = true;
	s->info.first_byte_ns = s->info.connected_ns;
	return STREAM_RESPOND;
}

/* Others came first on a connection that carries many: another is taken, and nothing is lost. */
static enum stream_state no_room(struct stream *s)
{
	upstream_release(s, false);
	return retry_refused(s) ? STREAM_CONNECT : stream_say(s, 503, STREAM_OVERFLOW, "no connection to the host has room");
}

enum stream_state step_send(struct stream *s)
{
	struct codec *c = &s->up->leg.codec;
	/* grpc-go's server never hears of the end of a stream that ends with its head. */
	bool end = stream_request_whole(s) && !s->request_body.len && !s->request_trailed && !s->request.upgrade.n && !grpc_call(s);
	int err;

	s->info.connected_ns = stream_age_ns(s);
	if (s->tunnel)
		return grant(s);
	s->info.upstream_proto = c->ops;
	s->up_id = 0;
	if (grpc_call(s) && grpc_call_try(s))
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	if (s->up->many)
		retry_keep_from_now(s);
	err = c->ops->put_head(c, &s->up_id, s->call ? s->call : &s->request, end);
	if (err == -EAGAIN || err == -ESHUTDOWN)
		return no_room(s);
	if (err)
		return stream_say(s, 502, STREAM_UPSTREAM_RESET, "request cannot be said in the host's protocol");
	upstream_began(s);
	s->request_sent = end || s->request.upgrade.n;
	if (s->request_sent)
		upstream_request_sent(s);
	leg_touch(&s->up->leg);
	stream_continue(s);
	return STREAM_WAIT;
}

enum stream_state step_wait(struct stream *s)
{
	if (s->response_begun)
		return STREAM_RESPOND;
	body_to_host(s);
	if (!rpc_oneway(s) || !rpc_oneway_gone(s))
		return STREAM_BLOCKED;
	s->info.status = 200;
	s->response_end = true;
	stream_end_try(s, true);
	return STREAM_DONE;
}

struct reset_words {
	enum stream_flag flag;
	int status;
	const char *detail;
};

static struct reset_words reset_words(enum proto_why why)
{
	switch (why) {
	case PROTO_MALFORMED:
	case PROTO_HEAD_TOO_LARGE:
	case PROTO_UNSUPPORTED:
		return (struct reset_words){ STREAM_UPSTREAM_MALFORMED, 502, "host answered nonsense" };
	case PROTO_NONE:
	case PROTO_CLOSED:
		return (struct reset_words){ STREAM_UPSTREAM_CLOSED, 502, "host closed before its answer was complete" };
	case PROTO_TIMEOUT:
		return (struct reset_words){ STREAM_UPSTREAM_CLOSED, 502, "host gave no sign of life" };
	case PROTO_REFUSED:
	case PROTO_DRAINING:
		return (struct reset_words){ STREAM_UPSTREAM_RESET, 503, "host refused the request" };
	default:
		return (struct reset_words){ STREAM_UPSTREAM_RESET, 502, "host reset the stream" };
	}
}

static bool was_refused(enum proto_why why)
{
	return why == PROTO_REFUSED || why == PROTO_DRAINING;
}

/*
 * It was not processed, so it may be sent again whatever it is: to the same host, whose connection only goes away, and which
 * may not have meant it the first time.
 */
static bool send_refused_again(struct stream *s, enum proto_why why)
{
	bool same = why == PROTO_DRAINING || !s->retry.refused;

	if (!(why == PROTO_DRAINING ? retry_drained(s) : retry_refused(s)) || retry_rewind(s))
		return false;
	start_over(s);
	stat_add(&s->w->http->stat.replays, 1);
	if (!same)
		forget_pick(s);
	stream_go(s, same ? STREAM_CONNECT : STREAM_PICK);
	return true;
}

static bool send_lost_again(struct stream *s, bool unsent)
{
	if (!s->up_reused || !retry_pooled(s, unsent) || retry_rewind(s))
		return false;
	start_over(s);
	stat_add(&s->w->http->stat.replays, 1);
	stream_go(s, STREAM_CONNECT);
	return true;
}

void stream_up_reset(struct stream *s, enum proto_why why, bool unsent)
{
	struct reset_words r = reset_words(why);
	bool nonsense = r.flag == STREAM_UPSTREAM_MALFORMED, again;

	s->up = NULL;
	s->info.wire_status = MSG_NO_STATUS;
	/* A filter has seen an answer already: there is no other host to ask any more. */
	if (s->chain && chain_answered(s->chain) && !s->response_said) {
		stream_go(s, stream_say(s, r.status, r.flag, r.detail));
		stream_run(s);
		return;
	}
	if (s->response_begun && !s->response_said && !nonsense && !s->response_end)
		s->response_begun = false;
	if (s->response_begun) {
		stream_flag(s, r.flag, r.detail);
		stream_end_try(s, false);
		if (grpc_call_end(s, 502, r.detail))
			stream_run(s);
		else
			stream_abort(s, r.flag, r.detail);
		return;
	}
	again = was_refused(why) ? send_refused_again(s, why) : r.flag == STREAM_UPSTREAM_CLOSED && send_lost_again(s, unsent);
	if (!again)
		stream_go(s, stream_try_failed(s, was_refused(why) ? RETRY_REFUSED : RETRY_RESET, unsent, r.status, r.flag,
					       r.detail));
	stream_run(s);
}

/* ---- the answer's head -------------------------------------------------------------------------------------- */

struct msg *stream_up_begin(struct stream *s, enum msg_kind kind)
{
	struct msg *m = kind == MSG_RESPONSE ? &s->response : &s->extra;

	*m = (struct msg){ .arena = &s->arena };
	return m;
}

/* Ours was said already; the host's own 100 would be a second one. */
static void pass_info(struct stream *s, struct msg *m)
{
	struct codec *c = &s->down->leg.codec;

	if (m->status == 100)
		return;
	if (s->chain && !chain_info(s, m)) {
		stream_run(s);
		return;
	}
	c->ops->put_head(c, &s->down_id, m, false);
	leg_touch(&s->down->leg);
}

int stream_up_head(struct stream *s, struct msg *m, bool end)
{
	s->active_ns = s->w->thread.loop.now_ns;
	if (m->kind == MSG_INFO) {
		pass_info(s, m);
		return 0;
	}
	if (m->idle_ms && s->up)
		s->up->idle_ms = m->idle_ms;
	s->info.first_byte_ns = stream_age_ns(s);
	s->response_begun = true;
	s->response_end = end;
	s->host_opaque |= s->up->many && m->upgrade.n;
	if (grpc_call(s))
		grpc_call_answer(s);
	if (retry_wanted(s, RETRY_STATUS, m->status, false) && !retry_rewind(s))
		stream_go(s, try_again(s, true));
	stream_run(s);
	return 0;
}
