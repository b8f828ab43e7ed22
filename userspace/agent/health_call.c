/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/sink.h"
#include "proto/grpc.h"
#include "proto/grpc_health.h"
#include "proto/http2.h"
#include "weft/str.h"

#define ANSWER_MAX 1024u                        /* bytes of the answer's message: it has two */
#define WHY_MAX 200
#define PING_TOKEN 1u

struct health_call {
	struct codec codec;
	struct proto_limits limits;
	struct arena arena;
	struct msg request, head, other, trailers;
	struct buf body;
	uint64_t id;
	struct slice service;                   /* in the arena */
	bool get, over;
	char why[WHY_MAX];
	_Alignas(16) char state[];
};

static void fail(struct health_call *c, const char *what)
{
	if (!c->over)
		snprintf(c->why, sizeof(c->why), "%s", what);
	c->over = true;
}

/* ---- the verdict -------------------------------------------------------------------------------------------- */

static void refused(struct health_call *c, int status, const struct msg *m)
{
	struct slice message = msg_get(m, SLICE_LIT("grpc-message"));
	char *text = msg_alloc(m == &c->head ? &c->head : &c->trailers, message.n + 1);
	int n = text ? (int)grpc_message_read(message, text) : 0;

	if (status == GRPC_UNIMPLEMENTED)
		snprintf(c->why, sizeof(c->why), "the host has no grpc.health.v1.Health");
	else if (status == GRPC_NOT_FOUND)
		snprintf(c->why, sizeof(c->why), "the host does not know service \"%.*s\"", SLICE_ARG(c->service));
	else
		snprintf(c->why, sizeof(c->why), "grpc-status %d, %s: %.*s", status, grpc_code_word(status), n, text ? text : "");
}

static void message(struct health_call *c)
{
	char bytes[ANSWER_MAX];
	size_t n = 0;
	enum grpc_health h;

	while (c->body.len) {
		struct slice s = buf_head(&c->body);

		memcpy(bytes + n, s.p, s.n);
		n += s.n;
		buf_drop(&c->body, s.n);
	}
	if (grpc_health_read((struct slice){ bytes, n }, &h))
		snprintf(c->why, sizeof(c->why), "the answer is no HealthCheckResponse");
	else if (h != GRPC_HEALTH_SERVING)
		snprintf(c->why, sizeof(c->why), "status %s", grpc_health_word(h));
}

static void judge(struct health_call *c, const struct msg *last)
{
	int status = grpc_status(last);

	if (c->over)
		return;
	c->over = true;
	if (c->head.status != 200)
		snprintf(c->why, sizeof(c->why), "HTTP status %d", c->head.status);
	else if (status == MSG_NO_STATUS)
		snprintf(c->why, sizeof(c->why), "the answer has no grpc-status");
	else if (status != GRPC_OK)
		refused(c, status, last);
	else
		message(c);
}

/* ---- what the codec tells ----------------------------------------------------------------------------------- */

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct health_call *c = arg;
	struct msg *m = kind == MSG_RESPONSE ? &c->head : kind == MSG_TRAILERS ? &c->trailers : &c->other;

	(void)id;
	*m = (struct msg){ .arena = &c->arena };
	return m;
}

static int on_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct health_call *c = arg;

	(void)id;
	if (c->get)
		c->over |= m->kind == MSG_RESPONSE;
	else if (end && m->kind == MSG_RESPONSE)
		judge(c, m);
	return 0;
}

static void on_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct health_call *c = arg;

	(void)in;
	if (c->body.len + d.n > ANSWER_MAX || buf_add(&c->body, d.p, d.n))
		fail(c, "the answer is too long");
	proto_http2.consumed(&c->codec, id, d.n);
	if (end)
		judge(c, &c->head);
}

static void on_trailers(void *arg, uint64_t id, struct msg *m)
{
	(void)id;
	judge(arg, m);
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
#define WHY_WORD_(NAME, text, status, again) text,
	static const char *const words[] = { PROTO_WHYS(WHY_WORD_) };
#undef WHY_WORD_
	struct health_call *c = arg;

	(void)id;
	if (c->over)
		return;
	snprintf(c->why, sizeof(c->why), "the call was reset: %s", words[why]);
	c->over = true;
}

static void on_ping(void *arg, uint64_t token, bool ack)
{
	struct health_call *c = arg;

	c->over |= ack && token == PING_TOKEN && c->codec.ops != &proto_http2;
}

static const struct proto_sink sink = {
	.begin = on_begin, .head = on_head, .data = on_data, .trailers = on_trailers, .reset = on_reset, .writable = sink_no_stream,
	/* Calls that a goaway did not take were reset before. */
	.room = sink_no_room, .goaway = sink_no_goaway, .ping = on_ping, .glitch = sink_no_glitch, .opaque = sink_no_stream,
};

/* ---- the call ----------------------------------------------------------------------------------------------- */

static int head(struct health_call *c, const struct msg_header *headers, size_t n, bool end)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = msg_push(&c->request, headers[i].name, headers[i].value);
	return err ? err : c->codec.ops->put_head(&c->codec, &c->id, &c->request, end);
}

static int ask_get(struct health_call *c)
{
	static const struct msg_header headers[] = {
		{ SLICE_LIT("accept"), SLICE_LIT("*/*") }, { SLICE_LIT("user-agent"), SLICE_LIT("weft-health/" WEFT_VERSION) },
	};
	int err = head(c, headers, sizeof(headers) / sizeof(headers[0]), true);

	return err ? err : proto_http2.flush(&c->codec);
}

static int ask(struct health_call *c)
{
	static const struct msg_header headers[] = {
		{ SLICE_LIT("te"), SLICE_LIT("trailers") }, { SLICE_LIT("content-type"), SLICE_LIT("application/grpc") },
		{ SLICE_LIT("user-agent"), SLICE_LIT("weft-health/" WEFT_VERSION) },
	};
	char text[GRPC_HEALTH_ASK_MAX];
	struct buf body;
	int err = head(c, headers, sizeof(headers) / sizeof(headers[0]), false);

	buf_init(&body);
	if (!err)
		err = buf_add(&body, text, grpc_health_ask(c->service, text));
	if (!err && c->codec.ops->put_data(&c->codec, c->id, &body, true) < 0)
		err = -EPROTO;
	buf_fini(&body);
	return err ? err : proto_http2.flush(&c->codec);
}

static struct health_call *new_of(const struct proto_ops *ops)
{
	struct health_call *c = mem_alloc(sizeof(*c) + ops->state_size);

	arena_init(&c->arena);
	buf_init(&c->body);
	c->codec = (struct codec){ .ops = ops, .state = c->state, .limits = &c->limits, .sink = &sink, .sink_arg = c };
	c->head.arena = c->trailers.arena = &c->arena;
	return c;
}

static struct health_call *new(struct slice authority, const char *method, struct slice path, bool tls)
{
	struct health_call *c = new_of(&proto_http2);
	struct msg *m = &c->request;

	*m = (struct msg){ .arena = &c->arena, .kind = MSG_REQUEST, .method = slice_str(method), .body_len = MSG_LENGTH_UNKNOWN,
			   .scheme = tls ? SLICE_LIT("https") : SLICE_LIT("http") };
	m->authority = msg_dup(m, authority);
	m->path = msg_dup(m, path);
	return c;
}

struct health_call *health_call_new(struct slice authority, struct slice service, bool tls)
{
	struct health_call *c = new(authority, "POST", SLICE_LIT(GRPC_HEALTH_PATH), tls);

	c->service = service.n ? msg_dup(&c->request, service) : service;
	if (!proto_http2.init(&c->codec) && !ask(c))
		return c;
	health_call_free(c);
	return NULL;
}

struct health_call *health_call_get(struct slice authority, struct slice path, bool tls)
{
	struct health_call *c = new(authority, "GET", path, tls);

	c->get = true;
	if (!proto_http2.init(&c->codec) && !ask_get(c))
		return c;
	health_call_free(c);
	return NULL;
}

struct health_call *health_call_ping(const struct proto_ops *ops)
{
	struct health_call *c = new_of(ops);

	if ((!ops->init || !ops->init(&c->codec)) && !ops->put_ping(&c->codec, PING_TOKEN))
		return c;
	health_call_free(c);
	return NULL;
}

int health_call_status(const struct health_call *c)
{
	return c->get && c->over ? c->head.status : 0;
}

void health_call_free(struct health_call *c)
{
	if (!c)
		return;
	if (c->codec.ops->fini)
		c->codec.ops->fini(&c->codec);
	buf_fini(&c->codec.out);
	buf_fini(&c->body);
	arena_fini(&c->arena);
	free(c);
}

struct buf *health_call_out(struct health_call *c)
{
	return &c->codec.out;
}

bool health_call_read(struct health_call *c, struct buf *in)
{
	const struct proto_ops *ops = c->codec.ops;
	int err = ops->decode(&c->codec, in);

	if ((!err || err == -EAGAIN) && ops->flush)
		err = ops->flush(&c->codec);
	if (err && err != -EAGAIN)
		fail(c, ops == &proto_http2 ? "the answer is not HTTP/2" : "the answer is not of the cluster's protocol");
	return c->over;
}

const char *health_call_why(const struct health_call *c)
{
	return c->why[0] ? c->why : NULL;
}
