// SPDX-License-Identifier: Apache-2.0
/*
 * Owners are told by work that is deferred, never in the middle of a stream's step or of a codec: whatever they do then,
 * they do as if an event had come.
 */
#include "proxy/callout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_name.h"
#include "base/protocols.h"
#include "model/snapshot.h"
#include "proto/grpc.h"
#include "proxy/downstream.h"
#include "proxy/http.h"
#include "proxy/stream_priv.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

STAT_DEFINE(callout_stat, "callout", CALLOUT_STATS);

struct callout {
	struct client_call call;                /* first: what the owner has */
	struct downstream down;                 /* the stream's client */
	struct worker *w;
	struct callout_stat *stat;
	const char *name;                       /* of the extension */
	struct stream *s;                       /* NULL: it has ended */
	struct list node;                       /* of the worker's */
	struct loop_deferred work;
	struct buf in;                          /* of the answer, not told yet: what is no whole message */
	bool begun;
	bool head;                              /* is to be told */
	bool whole, trailed;                    /* the answer is here; with trailers */
	bool foreign;                           /* no gRPC: HTTP's status is all that it says */
	bool over;                              /* the end was told */
	bool released;                          /* the owner wants nothing any more */
	int err;                                /* of a stream that ended without an answer */
	const char *words;
	char cluster[];
};

static void work(struct loop_deferred *d);

static struct callout *of(const struct downstream *d)
{
	return container_of(d, struct callout, down);
}

static void wake(struct callout *c)
{
	if (c->w->http)
		loop_defer(&c->w->thread.loop, &c->work, work);
}

/* ---- as the codec of a client -------------------------------------------------------------------------------- */

static struct callout *of_codec(struct codec *c)
{
	return of(container_of(c, struct downstream, leg.codec));
}

static int answer_head(struct codec *x, uint64_t *id, const struct msg *m, bool end)
{
	struct callout *c = of_codec(x);

	(void)id;
	if (m->kind == MSG_INFO)
		return 0;
	c->head = true;
	c->foreign = c->call.grpc && m->status != 200 && m->wire_status == MSG_NO_STATUS;
	c->whole = end;
	wake(c);
	return 0;
}

static ssize_t answer_data(struct codec *x, uint64_t id, struct buf *data, bool end)
{
	struct callout *c = of_codec(x);
	size_t n = data->len;

	(void)id;
	if (c->foreign)
		buf_fini(data);
	else
		buf_move(&x->out, data);
	c->whole = end;
	wake(c);
	return (ssize_t)n;
}

static int answer_trailers(struct codec *x, uint64_t id, const struct msg *m)
{
	struct callout *c = of_codec(x);

	(void)id;
	(void)m;
	c->whole = c->trailed = true;
	wake(c);
	return 0;
}

static const struct proto_ops codec_ops = { .name = "callout", .put_head = answer_head, .put_data = answer_data,
					    .put_trailers = answer_trailers };

/* ---- its end ------------------------------------------------------------------------------------------------- */

/* The stream goes now; one whose answer is told, well. */
static void let_go(struct callout *c)
{
	struct stream *s = c->s;

	c->s = NULL;
	if (!s)
		return;
	if (s->state == STREAM_FLUSH) {
		stream_go(s, STREAM_DONE);
		stream_run(s);
	} else {
		stream_client_gone(s, STREAM_CLIENT_CLOSED, "the filter that asked has ended");
	}
}

static void destroy(struct callout *c)
{
	let_go(c);
	list_del(&c->node);
	list_del(&c->work.node);
	list_del(&c->down.leg.dirty);
	buf_fini(&c->down.leg.codec.out);
	buf_fini(&c->in);
	if (c->w->http) {
		stat_set(&c->stat->active, stat_get(&c->stat->active) - 1);
		stat_add(&c->stat->cancelled, !c->over);
	}
	free(c);
}

/* A stream in the middle of a step still speaks of its client. */
static void release(struct client_call *x)
{
	struct callout *c = container_of(x, struct callout, call);

	c->released = true;
	if (c->s && c->s->running)
		wake(c);
	else
		destroy(c);
}

void callouts_end(struct worker *w)
{
	list_for(x, &w->http->callouts) {
		struct callout *c = container_of(x, struct callout, node);

		let_go(c);
		list_del(&c->work.node);
		list_del(&c->down.leg.dirty);
		list_del(&c->node);
		if (c->released)
			destroy(c);
	}
}

struct outcome {
	enum stream_flag flag;
	int err;
};

/* What ended a stream that has no answer; the first that is there. */
static int err_of(const struct stream *s)
{
	static const struct outcome outcomes[] = {
		{ STREAM_TIMEOUT, -ETIMEDOUT },		 { STREAM_UPSTREAM_TIMEOUT, -ETIMEDOUT },
		{ STREAM_UPSTREAM_MALFORMED, -EPROTO },	 { STREAM_UPSTREAM_CLOSED, -ECONNRESET },
		{ STREAM_UPSTREAM_RESET, -ECONNRESET },	 { STREAM_OVERFLOW, -EBUSY },
		{ STREAM_OVERLOADED, -ENOMEM },		 { STREAM_NO_CLUSTER, -ENOENT },
		{ STREAM_CONNECT_FAILED, -ECONNREFUSED }, { STREAM_NO_HEALTHY_HOST, -EHOSTUNREACH },
	};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (s->info.flags >> outcomes[i].flag & 1)
			return outcomes[i].err;
	return -ECONNABORTED;
}

void callout_done(struct downstream *d, struct stream *s)
{
	struct callout *c = of(d);

	if (c->s != s)
		return;
	c->err = err_of(s);
	c->words = s->info.detail;
	c->s = NULL;
	wake(c);
}

static _Atomic uint64_t *counter(struct callout_stat *st, int err)
{
	switch (err) {
	case 0:
		return &st->answered;
	case -ETIMEDOUT:
		return &st->timeouts;
	case -EHOSTUNREACH:
	case -ECONNREFUSED:
	case -ENOENT:
		return &st->unreachable;
	case -EMSGSIZE:
		return &st->too_large;
	case -EBUSY:
	case -ENOMEM:
		return &st->overflows;
	default:
		return &st->broken;
	}
}

/* ---- what its owner is told ---------------------------------------------------------------------------------- */

static void note(struct callout *c, int err, const char *words)
{
	struct http *h = c->w->http;
	unsigned held;

	stat_add(counter(c->stat, err), 1);
	if (err && calm_may(&h->callout_trouble, c->w->thread.loop.now_ns, &held))
		log_info("callout", "%s, cluster %s: %s: %s (%u more in the seconds before)", c->name, c->cluster, strerror(-err), words, held);
}

static void fail(struct callout *c, int err, const char *words)
{
	note(c, err, words);
	c->over = true;
	client_tell_end(&c->call, err, 0, words, NULL);
}

#define WORDS_MIN 32u

/* grpc-message, or why there is none, in the stream's arena. */
static const char *grpc_words(struct callout *c, int *status)
{
	struct msg *m = &c->s->response;
	struct slice text = msg_get(c->trailed ? &c->s->extra : m, SLICE_LIT("grpc-message"));
	char *out = msg_alloc(m, text.n + WORDS_MIN);

	*status = c->foreign ? grpc_code_of_http(m->status) : m->wire_status;
	if (*status == MSG_NO_STATUS) {
		*status = GRPC_UNKNOWN;
		return "the answer ended without grpc-status";
	}
	if (!out)
		return "";
	if (c->foreign)
		snprintf(out, WORDS_MIN, "host answered HTTP %d", m->status);
	else
		out[grpc_message_read(text, out)] = '\0';
	return out;
}

static void end_well(struct callout *c)
{
	struct stream *s = c->s;
	const struct msg *trailers = c->trailed ? &s->extra : NULL;
	int status = s->response.status;
	const char *words = "";

	if (c->call.grpc && c->in.len) {
		fail(c, -EPROTO, "the answer ends in the middle of a message");
		return;
	}
	if (c->call.grpc)
		words = grpc_words(c, &status);
	note(c, 0, words);
	c->over = true;
	client_tell_end(&c->call, 0, status, words, trailers);
}

static const char *words_of(int err)
{
	return err == -EMSGSIZE ? "the answer is longer than asked for" :
	       err == -EPROTO	? "the answer is not framed as gRPC is, or compressed" :
				  "out of memory";
}

static void tell_rest(struct callout *c)
{
	if (!c->call.paused)
		buf_move(&c->in, &c->down.leg.codec.out);
	if (c->call.paused || (c->s && !c->whole))
		return;
	if (c->s)
		end_well(c);
	else
		fail(c, c->err, c->words);
}

static void tell(struct callout *c)
{
	int err = 0;

	if (c->head && c->s)
		err = client_tell_head(&c->call, &c->s->response);
	/* Without a head bytes make no sense: the stream ended before it was told. */
	if (c->head && !c->s)
		buf_fini(&c->down.leg.codec.out);
	c->head = false;
	if (!err && !c->call.paused) {
		buf_move(&c->in, &c->down.leg.codec.out);
		err = client_tell_data(&c->call, &c->in);
	}
	if (!err)
		tell_rest(c);
	else if (err == -ECANCELED)
		c->released = true;
	else
		fail(c, err, words_of(err));
}

/* ---- its life ------------------------------------------------------------------------------------------------ */

static void begin(struct callout *c)
{
	struct stream *s = c->s;

	c->begun = true;
	s->info.head_ns = stream_age_ns(s);
	if (s->request_end)
		s->info.request_end_ns = s->info.head_ns;
	retry_start(s);
	stream_deadline(s);
	stream_go(s, STREAM_PICK);
	stream_run(s);
}

/* Whatever the owner does meanwhile, the stream stays where it is: what it is told of lies there. */
static void report(struct callout *c)
{
	struct stream *s = c->s;

	if (s)
		s->running = true;
	tell(c);
	if (s)
		s->running = false;
	if (c->released || c->over) {
		destroy(c);
		return;
	}
	if (s && s->jump != STREAM_BLOCKED)
		stream_run(s);
	if (c->s)
		stream_client_sent(c->s);
}

static void work(struct loop_deferred *d)
{
	struct callout *c = container_of(d, struct callout, work);
	struct worker *w = c->w;

	if (c->released)
		destroy(c);
	else if (c->s && !c->begun)
		begin(c);
	else
		report(c);
	legs_flush(w);
}

void callout_room(struct downstream *d)
{
	wake(of(d));
}

/* ---- what its owner asks ------------------------------------------------------------------------------------- */

static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static struct slice method_of(const struct client_ask *ask)
{
	return ask->grpc ? SLICE_LIT("POST") : ask->method.n ? ask->method : SLICE_LIT("GET");
}

/* CONNECT would make bytes of it. */
static bool is_said(const struct client_ask *ask)
{
	struct slice method = method_of(ask);

	return http_is_token(method) && !slice_eq_str(method, "CONNECT") && is_word(ask->authority) && is_word(ask->path) &&
	       ask->path.n && ask->path.p[0] == '/';
}

/* How a message is framed, and whom it is for, is said by the fields that the ask has for it. */
static bool is_framing(struct slice name)
{
	static const struct slice names[] = {
		SLICE_LIT("host"),    SLICE_LIT("content-length"), SLICE_LIT("transfer-encoding"), SLICE_LIT("connection"),
		SLICE_LIT("upgrade"), SLICE_LIT("keep-alive"),	   SLICE_LIT("te"),		   SLICE_LIT("trailer"),
		SLICE_LIT("expect"),  SLICE_LIT("proxy-connection"), SLICE_LIT("http2-settings"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_nocase(name, names[i]))
			return true;
	return false;
}

static int put_headers(struct msg *m, const struct client_ask *ask)
{
	struct slice format;
	int err = 0;

	for (size_t i = 0; i < ask->nheaders && !err; i++)
		if (!is_framing(ask->headers[i].name))
			err = msg_add(m, ask->headers[i].name, ask->headers[i].value);
	if (!err && ask->grpc)
		err = msg_set(m, SLICE_LIT("content-type"), SLICE_LIT("application/grpc"));
	/* Bytes of gRPC that the owner has framed itself are, too, nothing without it. */
	if (!err && grpc_kind_of(msg_get(m, SLICE_LIT("content-type")), &format) == GRPC_PLAIN)
		err = msg_set(m, SLICE_LIT("te"), SLICE_LIT("trailers"));
	return err;
}

static int put_request(struct stream *s, const struct client_ask *ask, bool tls)
{
	struct msg *m = &s->request;
	uint32_t ms = client_timeout_ms(ask);
	int err;

	m->kind = MSG_REQUEST;
	m->scheme = tls ? SLICE_LIT("https") : SLICE_LIT("http");
	m->method = msg_dup(m, method_of(ask));
	m->authority = msg_dup(m, ask->authority.n ? ask->authority : ask->cluster);
	m->path = msg_dup(m, ask->path);
	if (!m->method.p || !m->authority.p || !m->path.p)
		return -ENOMEM;
	err = put_headers(m, ask);
	if (!err)
		err = client_body(ask, &s->request_body);
	if (ask->grpc)
		grpc_recognise(m, false);
	m->timeout_ms = ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
	m->body_len = !ask->stream ? (int64_t)s->request_body.len : ask->body_len && !ask->grpc ? (int64_t)ask->body_len : MSG_LENGTH_UNKNOWN;
	s->request_end = !ask->stream;
	return err;
}

/* What a route would say. */
static int put_rule(struct stream *s, const struct client_ask *ask)
{
	struct route_rule *r = arena_try_alloc(&s->arena, sizeof(*r));
	struct route_backend *b = arena_try_alloc(&s->arena, sizeof(*b));

	if (!r || !b)
		return -ENOMEM;
	r->timeout_ms = client_timeout_ms(ask);
	r->idle_ms = ask->idle_ms;
	b->cluster = msg_dup(&s->request, ask->cluster);
	if (!b->cluster.p)
		return -ENOMEM;
	s->hit.rule = r;
	s->backend = s->ask.backend = b;
	s->info.cluster = b->cluster;
	return 0;
}

static int check(const struct worker *w, const struct client_ask *ask, const struct cluster **out)
{
	if (!w->http || !w->adoption.cur)
		return -ESHUTDOWN;
	if (!is_said(ask))
		return -EINVAL;
	*out = snapshot_cluster(w->adoption.cur->snap, ask->cluster);
	if (!*out)
		return -ENOENT;
	return protocol_rpc((*out)->conf->protocol) ? -EPROTONOSUPPORT : 0;
}

static struct callout *callout_new(struct worker *w, struct callout_owner *o, struct slice cluster)
{
	struct callout *c = calloc(1, sizeof(*c) + cluster.n + 1);

	if (!c)
		return NULL;
	memcpy(c->cluster, cluster.p, cluster.n);
	c->w = w;
	c->stat = o->stat;
	c->name = o->name;
	c->down.phase = DOWNSTREAM_INNER;
	c->down.leg.w = w;
	c->down.leg.codec = (struct codec){ .ops = &codec_ops, .server = true };
	c->down.leg.conn.peer = &w->http->nobody;
	list_init(&c->down.streams);
	list_add_tail(&w->http->callouts, &c->node);
	stat_set(&o->stat->active, stat_get(&o->stat->active) + 1);
	c->s = stream_new(&c->down, 1);
	return c;
}

static struct client_call *call_out(struct client *owner, const struct client_ask *ask, int *err)
{
	struct callout_owner *o = container_of(owner, struct callout_owner, client);
	const struct cluster *cluster;
	struct worker *w = owner->carrier;
	struct callout *c;

	*err = check(w, ask, &cluster);
	c = *err ? NULL : callout_new(w, o, ask->cluster);
	if (!*err)
		*err = !c || !c->s ? -ENOMEM : put_request(c->s, ask, cluster->conf->tls.enabled);
	if (!*err)
		*err = put_rule(c->s, ask);
	if (*err) {
		stat_add(&o->stat->refused, 1);
		if (c)
			c->over = true;
		if (c)
			destroy(c);
		return NULL;
	}
	stat_add(&o->stat->calls, 1);
	wake(c);
	return &c->call;
}

static int send_more(struct client_call *x, struct buf *data, bool end)
{
	struct callout *c = container_of(x, struct callout, call);
	struct stream *s = c->s;

	if (!s)
		return -EPIPE;
	if (stream_request_lying(s) >= CLIENT_UNSENT_MAX)
		return -EAGAIN;
	while (data->len) {
		struct slice d = buf_head(data);

		stream_data(s, NULL, d, false);
		buf_drop(data, d.n);
		/* It may have ended by it, which its end tells. */
		if (c->s != s)
			return 0;
	}
	if (end)
		stream_data(s, NULL, (struct slice){ 0 }, true);
	wake(c);
	return 0;
}

static void paused(struct client_call *x)
{
	wake(container_of(x, struct callout, call));
}

static const struct client_ops client_ops = { call_out, send_more, paused, release };

void callout_owner_init(struct callout_owner *o, struct worker *w, struct callout_stat *stat, const char *name, unsigned max_calls)
{
	client_init(&o->client, &client_ops, &w->thread.loop, w);
	o->client.max_calls = max_calls;
	o->client.name = name;
	o->stat = stat;
	o->name = name;
}
