/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_call.h"

#include <errno.h>
#include <stdio.h>

#include "proto/json_rpc.h"
#include "proxy/rpc_call.h"
#include "proxy/stream_priv.h"
#include "weft/str.h"

#define JSON SLICE_LIT("application/json")

/* What one of the protocols makes of a call. */
struct speech {
	const char *protocol;
	int ok, hessian2;                       /* status of an answer with a value; the number of its serialization */
	const char *version;                    /* where the rule has none */
	/* What routes and logs know the call by, from group, service and version (or ""). n as snprintf's. */
	int (*name)(const struct route_rule *r, struct slice version, char *p, size_t n);
	int (*head)(struct msg *call);          /* what the message says beside its names; 0 or -ENOMEM */
	int (*body)(const struct json_method *m, const struct msg *call, struct slice json, struct buf *out, char *why, size_t wn);
	int (*value)(const struct msg *answer, struct slice body, struct buf *out, int *status);
	int (*failure)(const struct msg *answer, struct slice body, struct buf *out); /* of an answer with another status */
};

bool json_call(const struct stream *s)
{
	return s->hit.rule && s->hit.rule->rpc_method.n && !rpc_call(s);
}

static struct slice whole(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

/* ---- Dubbo -------------------------------------------------------------------------------------------------- */

/* "group/interface:version", as those have it who call it themselves. */
static int dubbo_name(const struct route_rule *r, struct slice version, char *p, size_t n)
{
	return snprintf(p, n, "%.*s%s%.*s%s%.*s", SLICE_ARG(r->rpc_group), r->rpc_group.n ? "/" : "", SLICE_ARG(r->rpc_service),
			version.n ? ":" : "", SLICE_ARG(version));
}

static int dubbo_head(struct msg *call)
{
	(void)call;                             /* all of it is in the body */
	return 0;
}

static int dubbo_body(const struct json_method *m, const struct msg *call, struct slice json, struct buf *out, char *why, size_t wn)
{
	(void)call;
	return json_dubbo_request(m, json, out, why, wn);
}

static int dubbo_value(const struct msg *answer, struct slice body, struct buf *out, int *status)
{
	(void)answer;
	return json_dubbo_response(body, out, status);
}

static int say_reason(const struct msg *answer, struct buf *out)
{
	return json_rpc_error(answer->reason.n ? answer->reason : SLICE_LIT("the host says no more than its status"), out);
}

static int dubbo_failure(const struct msg *answer, struct slice body, struct buf *out)
{
	(void)body;
	return say_reason(answer, out);
}

/* ---- SOFARPC ------------------------------------------------------------------------------------------------ */

/* "interface:version", and the rule's group is what makes it unique beyond that. */
static int bolt_name(const struct route_rule *r, struct slice version, char *p, size_t n)
{
	return snprintf(p, n, "%.*s:%.*s%s%.*s", SLICE_ARG(r->rpc_service), SLICE_ARG(version), r->rpc_group.n ? ":" : "",
			SLICE_ARG(r->rpc_group));
}

/* The codec adds those that the message has fields for. */
static int bolt_head(struct msg *call)
{
	int err = msg_push(call, SLICE_LIT("sofa_head_target_service"), call->service);

	call->class_name = SLICE_LIT("com.alipay.sofa.rpc.core.request.SofaRequest");
	if (!err)
		err = msg_push(call, SLICE_LIT("protocol"), SLICE_LIT("bolt"));
	return err ? err : msg_push(call, SLICE_LIT("type"), SLICE_LIT("sync"));
}

static int bolt_body(const struct json_method *m, const struct msg *call, struct slice json, struct buf *out, char *why, size_t wn)
{
	return json_bolt_request(m, call->service, json, out, why, wn);
}

static int bolt_value(const struct msg *answer, struct slice body, struct buf *out, int *status)
{
	return json_bolt_response(body, answer->flags & MSG_EXCEPTION, out, status);
}

/* Some come with an exception of the host's library, others with nothing. */
static int bolt_failure(const struct msg *answer, struct slice body, struct buf *out)
{
	int err = body.n && answer->serialization == 1 ? json_bolt_exception(body, out) : -EPROTO;

	if (err == -ENOMEM)
		return err;
	if (err)
		buf_fini(out);
	return err ? say_reason(answer, out) : 0;
}

static const struct speech speeches[] = {
	{ "dubbo", 20, 2, "", dubbo_name, dubbo_head, dubbo_body, dubbo_value, dubbo_failure },
	{ "bolt", 0, 1, "1.0", bolt_name, bolt_head, bolt_body, bolt_value, bolt_failure },
};

static const struct speech *speech_of(struct slice protocol)
{
	for (size_t i = 0; i < sizeof(speeches) / sizeof(speeches[0]); i++)
		if (slice_eq_str(protocol, speeches[i].protocol))
			return &speeches[i];
	return NULL;
}

/* Of the cluster that was chosen, whose protocol has one. */
static const struct speech *speech(const struct stream *s)
{
	return speech_of(slice_str(s->rpc->name));
}

bool json_call_speaks(struct slice protocol)
{
	return speech_of(protocol);
}

/* ---- the request -------------------------------------------------------------------------------------------- */

/* An answer of our own whose body says in JSON what was wrong. */
static enum stream_state refuse(struct stream *s, int status, const char *detail, const char *words)
{
	enum stream_state next = stream_say(s, status, STREAM_CLIENT_MALFORMED, detail);
	struct buf b = { 0 };

	if (next == STREAM_REPLY && !json_rpc_error(slice_str(words), &b)) {
		s->reply.text = msg_dup(&s->request, whole(&b));
		s->reply.content_type = JSON;
	}
	buf_fini(&b);
	return next;
}

static int name_call(struct stream *s)
{
	const struct speech *speak = speech(s);
	const struct route_rule *r = s->hit.rule;
	struct slice version = r->rpc_version.n ? r->rpc_version : slice_str(speak->version);
	size_t n = (size_t)speak->name(r, version, NULL, 0) + 1;
	char *p = msg_alloc(&s->request, n);

	if (!p)
		return -ENOMEM;
	speak->name(r, version, p, n);
	s->request.service = (struct slice){ p, n - 1 };
	s->request.rpc_method = r->rpc_method;
	return 0;
}

/* What its host is told instead of the request: the same names and times, none of its headers. */
static struct msg *make_head(struct stream *s)
{
	const struct route_rule *r = s->hit.rule;
	uint32_t ms = r->try_timeout_ms ? r->try_timeout_ms : r->timeout_ms;
	struct msg *m = msg_alloc(&s->request, sizeof(*m));

	if (!m)
		return NULL;
	*m = (struct msg){
		.kind = MSG_REQUEST,
		.arena = s->request.arena,
		.service = s->request.service,
		.rpc_method = s->request.rpc_method,
		.serialization = speech(s)->hessian2,
		.timeout_ms = s->request.timeout_ms > 0 ? s->request.timeout_ms : ms < INT32_MAX ? (int32_t)ms : INT32_MAX,
		.wire_status = MSG_NO_STATUS,
		.proto = s->rpc,
	};
	return speech(s)->head(m) ? NULL : m;
}

static int make_body(struct stream *s, const struct msg *call, struct buf *out, char *why, size_t wn)
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
	return speech(s)->body(&m, call, whole(&s->request_body), out, why, wn);
}

static void send_instead(struct stream *s, struct msg *call, struct buf *body)
{
	buf_fini(&s->request_body);
	s->request.body_len = call->body_len = (int64_t)body->len;
	s->request_trailed = false;
	buf_move(&s->request_body, body);
	s->call = call;
}

static int make_call(struct stream *s, char *why, size_t wn)
{
	int err = name_call(s);
	struct msg *call = err ? NULL : make_head(s);
	struct buf body = { 0 };

	if (!call)
		return -ENOMEM;
	err = make_body(s, call, &body, why, wn);
	if (!err)
		send_instead(s, call, &body);
	buf_fini(&body);
	return err;
}

static uint32_t body_max(const struct stream *s)
{
	return s->hit.rule->rpc_body_max ? s->hit.rule->rpc_body_max : JSON_CALL_MAX;
}

size_t json_call_more(const struct stream *s)
{
	return json_call(s) && !s->call && body_max(s) > JSON_CALL_MAX ? body_max(s) - JSON_CALL_MAX : 0;
}

static enum stream_state refuse_long(struct stream *s)
{
	char words[60];

	snprintf(words, sizeof(words), "the body is over %u bytes", body_max(s));
	return refuse(s, 413, "JSON of a call over its size limit", words);
}

enum stream_state json_call_ask(struct stream *s)
{
	char why[200] = "";
	int err;

	if (s->request_body.len > body_max(s) || s->request.body_len > (int64_t)body_max(s))
		return refuse_long(s);
	if (!stream_request_whole(s)) {
		body_credit(s);         /* a filter may have led to this rule while it came */
		return STREAM_BLOCKED;
	}
	err = make_call(s, why, sizeof(why));
	if (err == -EINVAL)
		return refuse(s, 400, "JSON is not what the call wants", why);
	return err ? stream_say(s, 503, STREAM_OVERLOADED, "out of memory") : STREAM_BLOCKED;
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

int json_call_head(struct stream *s)
{
	struct msg *m = &s->response;

	if (m->flags & MSG_EXCEPTION)
		m->status = 500;
	m->flags &= ~(unsigned)MSG_EXACT_NAMES;
	m->proto = NULL;
	m->raw = (struct slice){ 0 };
	m->priv = NULL;
	m->nheaders = 0;
	return msg_add(m, SLICE_LIT("content-type"), JSON);
}

static int make_answer(struct stream *s, struct buf *out)
{
	const struct speech *speak = speech(s);
	struct msg *m = &s->response;
	int status = m->status, err;

	if (m->wire_status != speak->ok)
		return speak->failure(m, whole(&s->response_body), out);
	if (m->serialization != speak->hessian2)
		return -EPROTO;
	err = speak->value(m, whole(&s->response_body), out, &status);
	if (!err && status >= 500 && m->status < 400)
		m->status = status;             /* its head did not say that */
	return err;
}

enum stream_state json_call_answer(struct stream *s)
{
	struct buf json = { 0 };
	int err;

	if (s->response_body.len > JSON_RPC_MAX || s->response.body_len > JSON_RPC_MAX)
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
