// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry.h"

#include <errno.h>

#include "base/buf_pool.h"
#include "base/clock.h"
#include "base/rand.h"
#include "proto/grpc.h"
#include "proxy/grpc_call.h"
#include "proxy/http.h"
#include "proxy/stream_priv.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define DRAINED_MAX 100                         /* connections that went away before they came to a request */
#define REFUSED_MAX 3                           /* hosts, or connections, that did not take a request, before the policy is asked */

uint32_t retry_left(const struct stream *s)
{
	uint32_t most = s->hit.rule ? s->hit.rule->retries : 0;

	return most > s->retry.done ? most - s->retry.done : 0;
}

/* RFC 9110 9.2.2; a key says that the server tells repetitions apart. */
static bool idempotent(const struct msg *m)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_eq_str(m->method, methods[i]))
			return true;
	return msg_find(m, SLICE_LIT("idempotency-key"));
}

void retry_start(struct stream *s)
{
	struct retry *r = &s->retry;

	r->idempotent = idempotent(&s->request);
	r->keep = r->idempotent || s->hit.rule->retries;
	if (grpc_call(s) && s->hit.rule->retries)
		r->before = grpc_previous_attempts(&s->request);
}

static void lose(struct retry *r)
{
	r->lost = true;
	buf_fini(&r->body);
}

/* n bytes of from, behind `at` others. */
static int copy(struct buf *to, const struct buf *from, size_t at, size_t n)
{
	int err = 0;

	for (const struct buf_chunk *c = from->head; c && n && !err; c = c->next) {
		size_t has = c->w - c->r, skip = at < has ? at : has, k = has - skip < n ? has - skip : n;

		err = k ? buf_add(to, c->data + c->r + skip, k) : 0;
		at -= skip;
		n -= k;
	}
	return err;
}

/* What a host took less of the last time is in the copy already. A codec without windows takes all that it is given. */
void retry_keep(struct stream *s)
{
	struct retry *r = &s->retry;
	size_t here = r->body.len - r->sent, more = s->request_body.len - here, room = RETRY_BODY_MAX - r->body.len;

	if (!r->keep || r->lost || s->request_body.len <= here)
		return;
	if (more > room && !(s->up->leg.codec.ops->flags & PROTO_WINDOWS)) {
		lose(r);
		return;
	}
	if (copy(&r->body, &s->request_body, here, more < room ? more : room))
		lose(r);
}

void retry_sent(struct stream *s, size_t n)
{
	struct retry *r = &s->retry;

	if (!r->keep || r->lost)
		return;
	r->sent += n;
	if (r->sent > r->body.len)
		lose(r);
}

void retry_keep_from_now(struct stream *s)
{
	s->retry.keep |= !s->body_sent;
}

static bool replayable(const struct stream *s)
{
	return !s->body_sent || (s->retry.keep && !s->retry.lost);
}

/* What the host took, from the first byte on, comes before what it did not. */
int retry_rewind(struct stream *s)
{
	struct retry *r = &s->retry;
	struct buf all = { 0 };

	if (!s->body_sent)
		return 0;
	if (copy(&all, &r->body, 0, r->sent)) {
		buf_fini(&all);
		return -ENOMEM;
	}
	buf_move(&all, &s->request_body);
	buf_move(&s->request_body, &all);
	s->body_sent = false;
	r->sent = 0;
	return 0;
}

/* ---- conditions --------------------------------------------------------------------------------------------- */

static bool in_ranges(const struct route_rule *r, int status)
{
	for (size_t i = 0; i < r->nretry_codes; i++)
		if (status >= r->retry_codes[i].low && status <= r->retry_codes[i].high)
			return true;
	return false;
}

#define ON(name) (1u << RETRY_ON_##name)

/* As the head has it: behind a body it comes too late. */
static bool grpc_asks(const struct route_rule *r, int code)
{
	static const uint32_t bits[GRPC_CODE_COUNT] = {
		[GRPC_CANCELLED] = ON(CANCELLED), [GRPC_DEADLINE_EXCEEDED] = ON(DEADLINE_EXCEEDED), [GRPC_INTERNAL] = ON(INTERNAL),
		[GRPC_RESOURCE_EXHAUSTED] = ON(RESOURCE_EXHAUSTED), [GRPC_UNAVAILABLE] = ON(UNAVAILABLE),
	};

	return code >= 0 && code < GRPC_CODE_COUNT && r->retry_on & bits[code];
}

static bool status_asks(const struct stream *s, const struct route_rule *r, int status)
{
	if (grpc_call(s) && grpc_asks(r, grpc_call_status(s)))
		return true;
	return (status >= 500 && r->retry_on & ON(5XX)) ||
	       (status >= 502 && status <= 504 && r->retry_on & ON(GATEWAY_ERROR)) ||
	       (status == 409 && r->retry_on & ON(RETRIABLE_4XX)) ||
	       (r->retry_on & ON(RETRIABLE_CODES) && in_ranges(r, status));
}

/* No answer at all counts as one of 5xx, as Envoy has it. */
static bool cause_asks(const struct stream *s, enum retry_cause cause, int status, bool unsent)
{
	const struct route_rule *r = s->hit.rule;
	unsigned none = ON(5XX) | ON(GATEWAY_ERROR);

	switch (cause) {
	case RETRY_CONNECT:
		return r->retry_on & (none | ON(CONNECT_FAILURE) | ON(RESET_BEFORE_REQUEST));
	case RETRY_REFUSED:
		return r->retry_on & (none | ON(REFUSED_STREAM) | ON(RESET));
	case RETRY_RESET:
		return r->retry_on & (none | ON(RESET)) || (unsent && r->retry_on & ON(RESET_BEFORE_REQUEST));
	case RETRY_TIMEOUT:
		return r->retry_on & (none | ON(RESET));
	case RETRY_STATUS:
		return status_asks(s, r, status);
	}
	return false;
}

/* gRFC A6: how long to wait, or not to ask again. */
static bool host_allows(struct stream *s, enum retry_cause cause)
{
	int64_t ms = cause == RETRY_STATUS && grpc_call(s) ? grpc_pushback_ms(&s->response) : GRPC_PUSHBACK_NONE;

	s->retry.pushed = ms >= 0;
	if (ms == GRPC_PUSHBACK_STOP || ms > RETRY_PUSHBACK_MAX_MS)
		return false;
	s->retry.pushback_ms = ms > 0 ? (uint32_t)ms : 0;
	return true;
}

bool retry_wanted(struct stream *s, enum retry_cause cause, int status, bool unsent)
{
	const struct route_rule *rule = s->hit.rule;
	struct retry *r = &s->retry;

	if (!rule || !rule->retries || s->response_said || !s->down || !replayable(s) ||
	    !cause_asks(s, cause, status, unsent) || !host_allows(s, cause))
		return false;
	if (!retry_left(s)) {
		stream_flag(s, STREAM_RETRIES_SPENT, "retries spent");
		return false;
	}
	retry_end(s);
	if (!cluster_retry_begin(s->pick.use, rule->budget_percent, rule->budget_min, s->w->thread.loop.now_ns)) {
		stream_flag(s, STREAM_OVERFLOW, "retry budget spent");
		return false;
	}
	r->use = s->pick.use;
	r->done++;
	return true;
}

/*
 * The host closed while the connection was idle, and our request crossed its FIN. Such a request was not processed, but
 * nobody can know: so only what may be repeated is (RFC 9110 9.2.2), or what never left.
 */
bool retry_pooled(struct stream *s, bool unsent)
{
	struct retry *r = &s->retry;

	if (r->again || s->response_said || !s->down || !replayable(s) || !(r->idempotent || unsent))
		return false;
	r->again = true;
	return true;
}

static bool unprocessed(const struct stream *s, uint8_t *times, uint8_t most)
{
	return !s->response_said && s->down && replayable(s) && (*times)++ < most;
}

bool retry_refused(struct stream *s)
{
	return unprocessed(s, &s->retry.refused, REFUSED_MAX);
}

bool retry_drained(struct stream *s)
{
	return unprocessed(s, &s->retry.drained, DRAINED_MAX);
}

uint64_t retry_pause_ns(struct stream *s)
{
	const struct route_rule *rule = s->hit.rule;
	uint32_t n = s->retry.done < 20 ? s->retry.done : 20;
	uint64_t most = ((1ull << n) - 1) * rule->backoff_ms;

	if (s->retry.pushed)
		return s->retry.pushback_ms * MSEC;
	if (rule->max_backoff_ms && most > rule->max_backoff_ms)
		most = rule->max_backoff_ms;
	return most ? rand_u64(&s->w->http->rand) % (most * MSEC) : 0;
}

void retry_end(struct stream *s)
{
	if (s->retry.use)
		cluster_retry_end(s->retry.use);
	s->retry.use = NULL;
}

void retry_fini(struct stream *s)
{
	retry_end(s);
	buf_fini(&s->retry.body);
}
