/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "client/exchange.h"
#include "client/grpc.h"
#include "proto/grpc.h"
#include "proto/grpc_health.h"
#include "proto/http2.h"
#include "weft/str.h"

#define ANSWER_MAX 1024u                        /* bytes of the answer's message: it has two */
#define WHY_MAX 200
#define PING_TOKEN 1u

enum kind { CHECK, GET, HEARTBEAT };

struct health_call {
	enum kind kind;
	struct exchange *x;
	struct slice service;                   /* in the exchange's arena */
	bool over;
	char why[WHY_MAX];
};

static void fail(struct health_call *c, const char *what)
{
	snprintf(c->why, sizeof(c->why), "%s", what);
	c->over = true;
}

/* ---- the verdict -------------------------------------------------------------------------------------------- */

static void message(struct health_call *c)
{
	enum grpc_health h;

	if (grpc_health_read(buf_pull(&c->x->body, c->x->body.len), &h))
		snprintf(c->why, sizeof(c->why), "the answer is no HealthCheckResponse");
	else if (h != GRPC_HEALTH_SERVING)
		snprintf(c->why, sizeof(c->why), "status %s", grpc_health_word(h));
}

static void judge(struct health_call *c)
{
	const char *words;
	int status = grpc_outcome(c->x, &words);

	c->over = true;
	if (!grpc_said(c->x))
		snprintf(c->why, sizeof(c->why), "%s", words);
	else if (status == GRPC_UNIMPLEMENTED)
		snprintf(c->why, sizeof(c->why), "the host has no grpc.health.v1.Health");
	else if (status == GRPC_NOT_FOUND)
		snprintf(c->why, sizeof(c->why), "the host does not know service \"%.*s\"", SLICE_ARG(c->service));
	else if (status != GRPC_OK)
		snprintf(c->why, sizeof(c->why), "grpc-status %d, %s: %s", status, grpc_code_word(status), words);
	else
		message(c);
}

static void look(struct health_call *c)
{
	const struct exchange *x = c->x;

	if (c->kind == GET && x->headed)
		c->over = true;
	else if (c->kind == HEARTBEAT && x->ponged)
		c->over = true;
	else if (c->kind == CHECK && x->body.len > ANSWER_MAX)
		fail(c, "the answer is too long");
	else if (x->over && x->why == PROTO_NONE)
		judge(c);
	else if (x->broken)
		fail(c, c->kind == HEARTBEAT ? "the answer is not of the cluster's protocol" : "the answer is not HTTP/2");
	else if (x->over) {
		snprintf(c->why, sizeof(c->why), "the call was reset: %s", exchange_why(x));
		c->over = true;
	}
}

/* ---- the call ----------------------------------------------------------------------------------------------- */

static struct health_call *new(enum kind kind, const struct proto_ops *ops)
{
	struct health_call *c = mem_alloc(sizeof(*c));

	c->kind = kind;
	c->x = exchange_new(ops);
	if (c->x)
		return c;
	free(c);
	return NULL;
}

static struct health_call *or_none(struct health_call *c, int err)
{
	if (!err)
		return c;
	health_call_free(c);
	return NULL;
}

static int put_question(struct health_call *c)
{
	char text[GRPC_HEALTH_ASK_MAX];
	struct buf body = { 0 };
	int err = buf_add(&body, text, grpc_health_ask(c->service, text));

	if (!err)
		err = exchange_put(c->x, &body, true);
	buf_fini(&body);
	return err;
}

#define AGENT { SLICE_LIT("user-agent"), SLICE_LIT("weft-health/" WEFT_VERSION) }

struct health_call *health_call_new(struct slice authority, struct slice service, bool tls)
{
	static const struct msg_header headers[] = {
		{ SLICE_LIT("te"), SLICE_LIT("trailers") }, { SLICE_LIT("content-type"), SLICE_LIT("application/grpc") }, AGENT,
	};
	const struct exchange_ask ask = {
		.method = SLICE_LIT("POST"), .scheme = tls ? SLICE_LIT("https") : SLICE_LIT("http"), .authority = authority,
		.path = SLICE_LIT(GRPC_HEALTH_PATH), .headers = headers, .nheaders = sizeof(headers) / sizeof(headers[0]),
		.body_len = MSG_LENGTH_UNKNOWN,
	};
	struct health_call *c = new(CHECK, &proto_http2);
	int err;

	if (!c)
		return NULL;
	c->service = arena_slice(&c->x->arena, service);
	err = exchange_ask(c->x, &ask);
	return or_none(c, err ? err : put_question(c));
}

struct health_call *health_call_get(struct slice authority, struct slice path, bool tls)
{
	static const struct msg_header headers[] = { { SLICE_LIT("accept"), SLICE_LIT("*/*") }, AGENT };
	const struct exchange_ask ask = {
		.method = SLICE_LIT("GET"), .scheme = tls ? SLICE_LIT("https") : SLICE_LIT("http"), .authority = authority,
		.path = path, .headers = headers, .nheaders = sizeof(headers) / sizeof(headers[0]),
	};
	struct health_call *c = new(GET, &proto_http2);

	return c ? or_none(c, exchange_ask(c->x, &ask)) : NULL;
}

struct health_call *health_call_ping(const struct proto_ops *ops)
{
	struct health_call *c = new(HEARTBEAT, ops);

	return c ? or_none(c, exchange_ping(c->x, PING_TOKEN)) : NULL;
}

int health_call_status(const struct health_call *c)
{
	return c->kind == GET && c->over ? c->x->head.status : 0;
}

void health_call_free(struct health_call *c)
{
	if (!c)
		return;
	exchange_free(c->x);
	free(c);
}

struct buf *health_call_out(struct health_call *c)
{
	return &c->x->codec.out;
}

bool health_call_read(struct health_call *c, struct buf *in)
{
	exchange_read(c->x, in, 0);
	look(c);
	return c->over;
}

const char *health_call_why(const struct health_call *c)
{
	return c->why[0] ? c->why : NULL;
}
