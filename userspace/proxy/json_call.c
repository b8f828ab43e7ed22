/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_call.h"

#include <errno.h>
#include <stdio.h>

#include "proto/json_dubbo.h"
#include "proxy/rpc_call.h"
#include "proxy/stream_priv.h"
#include "weft/str.h"

#define JSON SLICE_LIT("application/json")
#define OK 20                                   /* Dubbo's status */
#define HESSIAN2 2

bool json_call(const struct stream *s)
{
	return s->hit.rule && s->hit.rule->rpc_method.n && !rpc_call(s);
}

static struct slice whole(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

/* ---- the request -------------------------------------------------------------------------------------------- */

/* An answer of our own whose body says in JSON what was wrong. */
static enum stream_state refuse(struct stream *s, int status, const char *detail, const char *words)
{
	enum stream_state next = stream_say(s, status, STREAM_CLIENT_MALFORMED, detail);
	struct buf b = { 0 };

	if (next == STREAM_REPLY && !json_dubbo_error(slice_str(words), &b)) {
		s->reply.text = msg_dup(&s->request, whole(&b));
		s->reply.content_type = JSON;
	}
	buf_fini(&b);
	return next;
}

/* "group/interface:version", as those have it who call it themselves. */
static int name_call(struct stream *s)
{
	const struct route_rule *r = s->hit.rule;
	struct msg *m = &s->request;
	size_t n = r->rpc_group.n + r->rpc_service.n + r->rpc_version.n + 2;
	char *p = msg_alloc(m, n + 1);

	if (!p)
		return -ENOMEM;
	n = (size_t)snprintf(p, n + 1, "%.*s%s%.*s%s%.*s", SLICE_ARG(r->rpc_group), r->rpc_group.n ? "/" : "", SLICE_ARG(r->rpc_service),
			     r->rpc_version.n ? ":" : "", SLICE_ARG(r->rpc_version));
	m->service = (struct slice){ p, n };
	m->rpc_method = r->rpc_method;
	return 0;
}

static int make_call(struct stream *s, struct buf *out, char *why, size_t wn)
{
	const struct route_rule *r = s->hit.rule;
	struct json_method m = { .service = r->rpc_service, .version = r->rpc_version, .group = r->rpc_group, .name = r->rpc_method,
				 .n = r->nrpc_arguments };
	struct json_argument *v = msg_alloc(&s->request, m.n * sizeof(*v) + 1);

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < m.n; i++)
		v[i] = (struct json_argument){ r->rpc_arguments[i].name, r->rpc_arguments[i].value };
	m.arguments = v;
	return json_dubbo_request(&m, whole(&s->request_body), out, why, wn);
}

static void send_instead(struct stream *s, struct buf *call)
{
	struct msg *m = &s->request;
	struct slice bytes = whole(call);

	buf_fini(&s->request_body);
	m->kind = MSG_REQUEST;
	m->proto = s->rpc;
	m->raw = (struct slice){ 0 };
	m->priv = NULL;
	m->serialization = HESSIAN2;
	m->body_len = (int64_t)bytes.n;
	s->request_trailed = false;
	buf_move(&s->request_body, call);
}

enum stream_state json_call_ask(struct stream *s)
{
	struct buf call = { 0 };
	char why[200] = "";
	int err;

	if (s->request_body.len > JSON_CALL_MAX || s->request.body_len > (int64_t)JSON_CALL_MAX)
		return refuse(s, 413, "JSON of a call over its size limit", "the body is over 61440 bytes");
	if (!stream_request_whole(s))
		return STREAM_BLOCKED;
	err = make_call(s, &call, why, sizeof(why));
	if (!err)
		err = name_call(s);
	if (!err)
		send_instead(s, &call);
	buf_fini(&call);
	if (err == -EINVAL)
		return refuse(s, 400, "JSON is not what the call wants", why);
	if (err)
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	s->json_asked = true;
	return STREAM_BLOCKED;
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

int json_call_head(struct stream *s)
{
	struct msg *m = &s->response;

	if (m->flags & MSG_EXCEPTION)
		m->status = 500;
	m->flags &= ~(unsigned)(MSG_EXACT_NAMES | MSG_EXCEPTION);
	m->proto = NULL;
	m->raw = (struct slice){ 0 };
	m->priv = NULL;
	m->nheaders = 0;
	return msg_add(m, SLICE_LIT("content-type"), JSON);
}

static int make_answer(struct stream *s, struct buf *out)
{
	struct msg *m = &s->response;
	int status;

	if (m->wire_status != OK)
		return json_dubbo_error(m->reason.n ? m->reason : SLICE_LIT("the host says no more than its status"), out);
	if (m->serialization != HESSIAN2)
		return -EPROTO;
	return json_dubbo_response(whole(&s->response_body), out, &status);
}

enum stream_state json_call_answer(struct stream *s)
{
	struct buf json = { 0 };
	int err;

	if (s->response_body.len > JSON_DUBBO_MAX || s->response.body_len > JSON_DUBBO_MAX)
		return stream_say(s, 502, STREAM_UPSTREAM_MALFORMED, "answer is too long to be made JSON");
	if (!stream_response_whole(s))
		return STREAM_BLOCKED;
	err = make_answer(s, &json);
	buf_fini(&s->response_body);
	if (!err) {
		s->response.body_len = (int64_t)json.len;
		s->info.response_bytes = json.len;
		s->response.reason = (struct slice){ 0 };
		s->response_trailed = false;
		buf_move(&s->response_body, &json);
		s->json_answered = true;
		return STREAM_RESPOND;
	}
	buf_fini(&json);
	if (err == -ENOMEM)
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	return stream_say(s, 502, STREAM_UPSTREAM_MALFORMED, err == -EOVERFLOW ? "answer is too large to be made JSON" :
										      "answer cannot be made JSON");
}
