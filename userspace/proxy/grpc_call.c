/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/grpc_call.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "proto/grpc.h"
#include "proxy/chain.h"
#include "proxy/downstream.h"
#include "proxy/web_call.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define TIMEOUT SLICE_LIT("grpc-timeout")
#define ATTEMPTS SLICE_LIT("grpc-previous-rpc-attempts")
#define STATUS SLICE_LIT("grpc-status")
#define MESSAGE SLICE_LIT("grpc-message")

/* ---- the request -------------------------------------------------------------------------------------------- */

void grpc_call_begin(struct stream *s)
{
	struct msg *m = &s->request;

	if (grpc_call(s))
		grpc_path(m->path, &m->service, &m->rpc_method);
	else if (slice_eq_str(m->method, "POST"))
		grpc_recognise(m, false);
}

static uint64_t left_ns(const struct stream *s)
{
	uint64_t age = stream_age_ns(s), end = s->info.head_ns + stream_caller_ns(s);

	return end > age ? end - age : 1;
}

int grpc_call_try(struct stream *s)
{
	char text[16];
	int err = 0;

	if (s->request.timeout_ms > 0)
		err = msg_set(&s->request, TIMEOUT, (struct slice){ text, grpc_timeout_write(left_ns(s), text) });
	if (err || !s->retry.done)
		return err;
	return msg_set(&s->request, ATTEMPTS,
		       (struct slice){ text, (size_t)snprintf(text, sizeof(text), "%u", s->retry.before + s->retry.done) });
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

void grpc_call_answer(struct stream *s)
{
	s->response.wire_status = grpc_status(&s->response);
}

void grpc_call_trailers(struct stream *s)
{
	int status = grpc_status(&s->extra);

	if (status != MSG_NO_STATUS)
		s->response.wire_status = s->info.wire_status = status;
}

int grpc_call_status(const struct stream *s)
{
	const struct msg *m = &s->response;

	return m->wire_status != MSG_NO_STATUS || m->status == 200 ? m->wire_status : grpc_code_of_http(m->status);
}

/* Until its end an answer is as good as its head; one that ends without a word about it has failed. */
int grpc_call_outcome(const struct stream *s)
{
	const struct msg *m = &s->response;

	return m->status == 200 && s->response_end ? grpc_http_status(m->wire_status) : m->status;
}

bool grpc_call_foreign(struct stream *s)
{
	const struct msg *m = &s->response;
	char text[64];

	if (m->status == 200 || m->wire_status != MSG_NO_STATUS)
		return false;
	s->reply = (struct proto_reply){ .status = m->status, .wire_status = grpc_code_of_http(m->status) };
	s->reply.text = msg_dup(&s->request, (struct slice){ text, (size_t)snprintf(text, sizeof(text),
										    "host answered HTTP %d", m->status) });
	return s->reply.text.p;
}

/* ---- answers of our own ------------------------------------------------------------------------------------- */

/* Time that ran out here is the call's. */
static int code_of(const struct stream *s, int status)
{
	return status == 504 && s->info.flags & (1ull << STREAM_TIMEOUT | 1ull << STREAM_UPSTREAM_TIMEOUT) ?
		       GRPC_DEADLINE_EXCEEDED :
		       grpc_code_of_http(status);
}

static int push_status(struct msg *m, int code, struct slice text)
{
	char number[12], *message = msg_alloc(m, 3 * text.n + 1);
	struct slice digits = { number, (size_t)snprintf(number, sizeof(number), "%d", code) };
	int err;

	digits = msg_dup(m, digits);
	if (!message || !digits.p)
		return -ENOMEM;
	m->wire_status = code;
	err = msg_push(m, STATUS, digits);
	return err || !text.n ? err : msg_push(m, MESSAGE, (struct slice){ message, grpc_message_write(text, message) });
}

int grpc_call_reply(struct stream *s)
{
	struct proto_reply *r = &s->reply;
	struct slice text = r->text;
	int err;

	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (r->wire_status == MSG_NO_STATUS)
		r->wire_status = code_of(s, r->status);
	r->status = 200;
	s->response.status = 200;
	s->response.flags |= MSG_GRPC | MSG_TRAILERS_ONLY;
	err = msg_push(&s->response, SLICE_LIT("content-type"), web_call_type(s));
	return err ? err : push_status(&s->response, r->wire_status, text);
}

/* Behind a body of known length nothing can be said but that it ended too early. */
bool grpc_call_end(struct stream *s, int status, const char *detail)
{
	if (!grpc_call(s) || s->inner || !s->down || s->state != STREAM_RELAY || s->response_end ||
	    s->response.body_len != MSG_LENGTH_UNKNOWN || !s->down->leg.codec.ops->put_trailers)
		return false;
	s->extra = (struct msg){ .kind = MSG_TRAILERS, .arena = &s->arena };
	if (push_status(&s->extra, code_of(s, status), slice_str(detail)))
		return false;
	s->reply.status = status;
	if (s->chain)
		chain_cut(s);
	s->response_end = s->response_trailed = true;
	grpc_call_trailers(s);
	stream_deadline(s);
	return !s->web || !web_call_trailers(s);
}
