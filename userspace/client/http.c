/* SPDX-License-Identifier: Apache-2.0 */
#include "client/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "client/exchange.h"
#include "client/grpc.h"
#include "proto/grpc.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "weft/log.h"
#include "weft/str.h"

#define http_call_MAGIC 0x477bca11u
#define READ_MAX 16384u                         /* bytes at once: each is told before more is read */
#define TURNS_MAX 32u                           /* reads in a row, then others get their turn */
#define PING_TOKEN 1u

STAT_DEFINE(client_stat, "client", CLIENT_STATS);

struct http_call {
	struct client_call call;                /* first */
	unsigned magic;
	struct http_carrier *carrier;
	struct loop *loop;
	struct arena arena;                     /* what the caller said */
	struct client_ask ask;
	struct client_tls tls;
	struct url url;
	struct dial dial;
	struct exchange *x;                     /* NULL: no connection yet */
	struct buf in;
	struct buf unsent;                      /* client_send() before there is a connection; last: all of it */
	struct timer end, tick;
	struct loop_deferred later;
	uint64_t heard_ns, answer_ns;           /* the last byte that came; the last one of the answer */
	uint64_t pinged_ns;                     /* 0: no PING is under way */
	unsigned tries;
	bool last, told, closed;                /* told: the head */
};

static void start(struct loop_deferred *d);
static void wake(struct loop_deferred *d);

static struct http_call *call_of(struct client_call *c)
{
	return CAST(http_call, container_of(c, struct http_call, call));
}

static struct http_call *call_of_dial(struct dial *d)
{
	return CAST(http_call, container_of(d, struct http_call, dial));
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

static void free_call(struct loop_deferred *d)
{
	struct http_call *c = container_of(d, struct http_call, later);

	exchange_free(c->x);
	buf_fini(&c->in);
	buf_fini(&c->unsent);
	arena_fini(&c->arena);
	c->magic = 0;
	free(c);
}

/* What still runs above us on the stack may look at it until the loop's next turn. */
static void close_call(struct http_call *c)
{
	struct client_stat *stat = &c->carrier->stat;

	if (c->closed)
		return;
	c->closed = true;
	dial_stop(&c->dial);
	timer_disarm(c->loop, &c->end);
	timer_disarm(c->loop, &c->tick);
	stat_set(&stat->open, stat_get(&stat->open) - 1);
	loop_defer(c->loop, &c->later, free_call);
}

static void release(struct client_call *call)
{
	struct http_call *c = call_of(call);

	stat_add(&c->carrier->stat.cancelled, !c->closed);
	close_call(c);
}

static void finish(struct http_call *c, _Atomic uint64_t *counter, int err, int status, const char *words)
{
	const struct msg *trailers = c->x && c->x->trailed ? &c->x->trailers : NULL;

	if (c->closed)
		return;
	stat_add(counter, 1);
	/* They may be the connection's. */
	words = arena_str(&c->arena, words);
	close_call(c);
	log_debug("client", "%.*s: %s%s%s", SLICE_ARG(url_shown(c->ask.url)), err ? strerror(-err) : "answered", words[0] ? ": " : "", words);
	client_tell_end(&c->call, err, status, words, trailers);
}

static void too_late(struct http_call *c, const char *words)
{
	finish(c, &c->carrier->stat.errors_timeout, -ETIMEDOUT, 0, words);
}

/* How the codec's reason is told, and counted. */
static void broken(struct http_call *c, enum proto_why why, const char *words)
{
	static const int errs[PROTO_WHY_COUNT] = {
		[PROTO_CANCELLED] = -ECONNRESET, [PROTO_REFUSED] = -ECONNREFUSED, [PROTO_CLOSED] = -ECONNRESET,
		[PROTO_TOO_LARGE] = -EMSGSIZE, [PROTO_HEAD_TOO_LARGE] = -EMSGSIZE, [PROTO_TIMEOUT] = -ETIMEDOUT,
		[PROTO_OVERLOAD] = -ECONNRESET, [PROTO_INTERNAL] = -ECONNRESET, [PROTO_DRAINING] = -ESHUTDOWN,
	};
	struct client_stat *stat = &c->carrier->stat;
	int err = errs[why] ? errs[why] : -EPROTO;

	finish(c, err == -EMSGSIZE ? &stat->errors_too_large : err == -ETIMEDOUT ? &stat->errors_timeout :
		  err == -EPROTO ? &stat->errors_protocol : &stat->errors_closed, err, 0, words);
}

static void answered(struct http_call *c)
{
	struct client_stat *stat = &c->carrier->stat;
	const char *words = "";
	int status = c->x->head.status;

	if (c->call.grpc && c->x->body.len) {
		finish(c, &stat->errors_protocol, -EPROTO, 0, "the answer ends inside of a message");
		return;
	}
	if (c->call.grpc)
		status = grpc_outcome(c->x, &words);
	else if (c->x->head.reason.n)
		words = arena_dup(&c->x->arena, c->x->head.reason.p, c->x->head.reason.n);
	finish(c, &stat->answered, 0, status, words);
}

/* ---- what came ---------------------------------------------------------------------------------------------- */

static bool not_processed(const struct http_call *c)
{
	return c->x->over && (c->x->why == PROTO_DRAINING || c->x->why == PROTO_REFUSED) && !c->call.stream && !c->told;
}

/* Of a stream, the caller alone knows what it sent. */
static bool again(struct http_call *c)
{
	if (!not_processed(c) || c->tries >= HTTP_TRIES_MAX)
		return false;
	stat_add(&c->carrier->stat.again, 1);
	timer_disarm(c->loop, &c->tick);
	dial_stop(&c->dial);
	exchange_free(c->x);
	c->x = NULL;
	buf_fini(&c->in);
	loop_defer(c->loop, &c->later, start);
	return true;
}

/* What answers without being gRPC has no messages. */
static bool foreign(const struct http_call *c)
{
	const struct msg *m = &c->x->head;

	return c->call.grpc && c->x->headed &&
	       (m->status != 200 || grpc_kind_of(msg_get(m, SLICE_LIT("content-type")), NULL) != GRPC_PLAIN);
}

static void bad_data(struct http_call *c, int err)
{
	struct client_stat *stat = &c->carrier->stat;
	char words[96];

	if (err == -ECANCELED)
		release(&c->call);
	else if (err == -EMSGSIZE && c->call.grpc)
		finish(c, &stat->errors_too_large, err, 0, "a message is over its bound");
	else if (err == -EMSGSIZE)
		finish(c, &stat->errors_too_large, err, 0, "the answer is over its bound");
	else if (err == -EPROTO)
		finish(c, &stat->errors_protocol, err, 0, "a gRPC message came compressed, which was not offered");
	else {
		snprintf(words, sizeof(words), "%s", strerror(-err));
		finish(c, &stat->errors_protocol, err, 0, words);
	}
}

/* False: the call is over, or begins anew. */
static bool tell(struct http_call *c)
{
	struct exchange *x = c->x;
	int err = 0;

	if (again(c))
		return false;
	if (x->headed && !c->told) {
		c->told = true;
		err = client_tell_head(&c->call, &x->head);
	}
	if (!err && foreign(c)) {
		buf_drop(&x->body, x->body.len);
		answered(c);
		return false;
	}
	if (!err)
		err = client_tell_data(&c->call, &x->body);
	if (err)
		bad_data(c, err);
	return !err;
}

/* The connection is over, or the stream is to be. */
static void lost(struct http_call *c)
{
	const struct exchange *x = c->x;
	char words[160];

	snprintf(words, sizeof(words), "%s%s", !x->broken ? "" : c->call.grpc ? "what came is not HTTP/2: " : "what came is not HTTP/1.1: ",
		 exchange_why(x));
	broken(c, x->over ? x->why : PROTO_DRAINING, words);
}

static void progress(struct http_call *c)
{
	struct exchange *x = c->x;

	if (c->closed || !x || !tell(c))
		return;
	if (x->over && x->body.len && c->call.paused)
		return;
	if (x->over && x->why == PROTO_NONE)
		answered(c);
	else if (x->over || (x->drains && c->call.stream))
		lost(c);
}

/* False: nothing more can be sent. What came before may be the reason. */
static bool send_out(struct http_call *c)
{
	return !c->x->codec.out.len || conn_write(&c->dial.conn, &c->x->codec.out) >= 0;
}

static void take(struct http_call *c, ssize_t n)
{
	struct exchange *x = c->x;
	size_t before = x->body.len;
	bool headed = x->headed;

	if (!n) {
		exchange_eof(x);
		return;
	}
	c->heard_ns = c->loop->now_ns;
	c->pinged_ns = 0;
	exchange_read(x, &c->in, c->loop->now_ns);
	if (x->body.len != before || x->headed != headed)
		c->answer_ns = c->loop->now_ns;
}

static void receive(struct http_call *c)
{
	bool writes = send_out(c);
	unsigned turns = 0;

	while (!c->closed && c->x && exchange_reads(c->x)) {
		ssize_t n = turns++ < TURNS_MAX ? conn_read(&c->dial.conn, &c->in, READ_MAX) : -EINPROGRESS;

		if (n == -EINPROGRESS)
			loop_defer(c->loop, &c->later, wake);
		if (n == -EINPROGRESS || (n == -EAGAIN && writes))
			break;
		if (n < 0) {
			broken(c, PROTO_CLOSED, n == -EAGAIN ? "the server takes no more bytes" :
					c->dial.conn.detail ? c->dial.conn.detail : strerror((int)-n));
			return;
		}
		take(c, n);
		progress(c);
		if (!c->closed && c->x)
			writes &= send_out(c);
	}
	progress(c);
}

static void wake(struct loop_deferred *d)
{
	struct http_call *c = container_of(d, struct http_call, later);

	if (c->x && conn_is_open(&c->dial.conn))
		receive(c);
	else
		progress(c);
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static void on_end(struct timer *t)
{
	struct http_call *c = t->arg;
	const char *waits = c->x ? NULL : dial_waits(&c->dial);
	char words[96];

	snprintf(words, sizeof(words), "after %u ms still waiting for %s", client_timeout_ms(&c->ask),
		 waits ? waits : "the end of the answer");
	too_late(c, words);
}

static uint64_t ping_ns(const struct http_call *c)
{
	/* Of one that has ended, and waits for its owner, nothing is read. */
	if (!c->call.grpc || !c->call.stream || !c->x || c->x->over)
		return 0;
	return (c->ask.ping_ms ? c->ask.ping_ms : HTTP_PING_MS) * MSEC;
}

/* When there is something to look at, from now: until then nothing can be too late. */
static uint64_t left(uint64_t since_ns, uint64_t bound_ns, uint64_t now_ns)
{
	return since_ns + bound_ns > now_ns ? since_ns + bound_ns - now_ns : 0;
}

static void arm(struct http_call *c);

static void on_tick(struct timer *t)
{
	struct http_call *c = t->arg;
	uint64_t now = c->loop->now_ns, idle = c->ask.idle_ms * MSEC, ping = ping_ns(c);
	char words[96];

	if (idle && !c->call.paused && !left(c->answer_ns, idle, now)) {
		snprintf(words, sizeof(words), "no byte of the answer for %u ms", c->ask.idle_ms);
		too_late(c, words);
		return;
	}
	if (ping && c->pinged_ns && !left(c->pinged_ns, ping, now)) {
		too_late(c, "the server answers no PING");
		return;
	}
	if (ping && !c->pinged_ns && !left(c->heard_ns, ping, now)) {
		c->pinged_ns = now;
		exchange_ping(c->x, PING_TOKEN);
		loop_defer(c->loop, &c->later, wake);
	}
	arm(c);
}

static void arm(struct http_call *c)
{
	uint64_t now = c->loop->now_ns, idle = c->ask.idle_ms * MSEC, ping = ping_ns(c), wait = UINT64_MAX, w;

	if (idle)
		wait = c->call.paused ? idle : left(c->answer_ns, idle, now);
	w = left(c->pinged_ns ? c->pinged_ns : c->heard_ns, ping, now);
	if (ping && w < wait)
		wait = w;
	if (wait != UINT64_MAX)
		timer_arm(c->loop, &c->tick, wait + MSEC, on_tick, c);
}

/* ---- what is asked ------------------------------------------------------------------------------------------ */

static struct slice or_else(struct slice s, struct slice other)
{
	return s.n ? s : other;
}

static int put_head(struct http_call *c, int64_t body_len)
{
	static const struct msg_header agent = { SLICE_LIT("user-agent"), SLICE_LIT("weft/" WEFT_VERSION) };
	struct msg_header *h = mem_alloc((c->ask.nheaders + GRPC_ASK_HEADERS) * sizeof(*h));
	struct exchange_ask a = {
		.scheme = c->url.tls ? SLICE_LIT("https") : SLICE_LIT("http"), .headers = h, .body_len = body_len,
		.authority = or_else(c->ask.authority, c->url.authority), .path = c->url.path,
		.method = or_else(c->ask.method, c->call.grpc ? SLICE_LIT("POST") : SLICE_LIT("GET")),
	};
	char time[GRPC_TIMEOUT_MAX];
	int err;

	if (c->call.grpc) {
		a.nheaders = grpc_ask_headers(h, c->ask.headers, c->ask.nheaders, client_timeout_ms(&c->ask), time);
	} else {
		h[a.nheaders++] = agent;
		for (size_t i = 0; i < c->ask.nheaders; i++)
			h[a.nheaders++] = c->ask.headers[i];
	}
	err = exchange_ask(c->x, &a);
	free(h);
	return err;
}

/* The head, and what there is of a body. */
static int ask(struct http_call *c)
{
	struct buf body = { 0 };
	int err = client_body(&c->ask, &body);
	bool whole = !c->call.stream, none = whole && !body.len;

	if (!err)
		err = put_head(c, whole && !c->call.grpc ? (int64_t)body.len : MSG_LENGTH_UNKNOWN);
	buf_move(&body, &c->unsent);
	if (!err && !none && (body.len || whole || c->last))
		err = exchange_put(c->x, &body, whole || c->last);
	buf_fini(&body);
	return err;
}

static void on_open(struct dial *d)
{
	struct http_call *c = call_of_dial(d);
	int err = -ENOMEM;

	c->x = exchange_new(c->call.grpc ? &proto_http2 : &proto_http1);
	if (c->x)
		err = ask(c);
	if (err) {
		finish(c, &c->carrier->stat.errors_protocol, err, 0, "the request cannot be said in its protocol");
		return;
	}
	exchange_pause(c->x, c->call.paused);
	c->heard_ns = c->answer_ns = c->loop->now_ns;
	arm(c);
	receive(c);
}

static void on_ready(struct dial *d)
{
	struct http_call *c = call_of_dial(d);

	if (c->x && !c->closed)
		receive(c);
}

static void on_failed(struct dial *d, int err, const char *words)
{
	struct http_call *c = call_of_dial(d);
	struct client_stat *stat = &c->carrier->stat;

	finish(c, d->nips ? &stat->errors_connect : &stat->errors_resolve, err, 0, words);
}

static const struct dial_events dial_events = { on_open, on_ready, on_ready, on_failed };

static void start(struct loop_deferred *d)
{
	struct http_call *c = container_of(d, struct http_call, later);
	uint32_t ms = client_timeout_ms(&c->ask);

	c->tries++;
	if (ms && !timer_armed(&c->end))
		timer_arm(c->loop, &c->end, ms * MSEC, on_end, c);
	c->dial = (struct dial){ .dialler = &c->carrier->dialler, .on = &dial_events, .url = &c->url, .tls = c->ask.tls,
				 .alpn = c->call.grpc ? SLICE_LIT("h2") : SLICE_LIT("http/1.1"), .open_ms = HTTP_OPEN_MS };
	dial_start(&c->dial);
}

/* ---- for owners --------------------------------------------------------------------------------------------- */

static void keep(struct http_call *c, struct slice *s)
{
	*s = arena_slice(&c->arena, *s);
}

static void keep_tls(struct http_call *c)
{
	if (!c->ask.tls)
		return;
	c->tls = *(const struct client_tls *)c->ask.tls;
	keep(c, &c->tls.ca_file);
	keep(c, &c->tls.cert_file);
	keep(c, &c->tls.key_file);
	keep(c, &c->tls.server_name);
	c->ask.tls = &c->tls;
}

static void keep_ask(struct http_call *c)
{
	struct msg_header *h = ARENA_NEWN(&c->arena, struct msg_header, c->ask.nheaders + 1);
	bool said = c->ask.body.p;

	keep(c, &c->ask.url);
	keep(c, &c->ask.method);
	keep(c, &c->ask.authority);
	keep(c, &c->ask.body);
	if (said && !c->ask.body.p)
		c->ask.body.p = "";
	for (size_t i = 0; i < c->ask.nheaders; i++) {
		h[i] = c->ask.headers[i];
		keep(c, &h[i].name);
		keep(c, &h[i].value);
	}
	c->ask.headers = h;
	keep_tls(c);
}

static struct client_call *begin(struct client *owner, const struct client_ask *ask, int *err)
{
	struct http_carrier *h = owner->carrier;
	struct http_call *c;
	struct url url;
	const char *why = url_parse(ask->url, &url);

	if (why) {
		log_warn(owner->name ? owner->name : "client", "%.*s cannot be asked: %s", SLICE_ARG(url_shown(ask->url)), why);
		*err = -EINVAL;
		return NULL;
	}
	c = mem_alloc(sizeof(*c));
	c->magic = http_call_MAGIC;
	c->carrier = h;
	c->loop = owner->loop;
	arena_init(&c->arena);
	c->ask = *ask;
	keep_ask(c);
	url_parse(c->ask.url, &c->url);
	c->dial.conn.io.fd = -1;
	stat_add(&h->stat.calls, 1);
	stat_set(&h->stat.open, stat_get(&h->stat.open) + 1);
	loop_defer(c->loop, &c->later, start);
	return &c->call;
}

static int send_more(struct client_call *call, struct buf *data, bool end)
{
	struct http_call *c = call_of(call);

	if (c->closed)
		return -EPIPE;
	if ((c->x ? exchange_unsent(c->x) : c->unsent.len) >= CLIENT_UNSENT_MAX)
		return -EAGAIN;
	if (!c->x) {
		buf_move(&c->unsent, data);
		c->last = end;
		return 0;
	}
	loop_defer(c->loop, &c->later, wake);
	return exchange_put(c->x, data, end);
}

static void pause_call(struct client_call *call)
{
	struct http_call *c = call_of(call);

	if (c->closed || !c->x)
		return;
	exchange_pause(c->x, call->paused);
	if (call->paused)
		return;
	c->answer_ns = c->loop->now_ns;
	loop_defer(c->loop, &c->later, wake);
}

static const struct client_ops ops = { begin, send_more, pause_call, release };

void http_client_init(struct client *c, struct http_carrier *h)
{
	client_init(c, &ops, h->dialler.loop, h);
	c->max_calls = HTTP_CALLS_MAX;
}

int http_carrier_init(struct http_carrier *h, struct loop *l, const char *servers, struct err *e)
{
	*h = (struct http_carrier){ 0 };
	return dialler_init(&h->dialler, l, servers, e);
}

void http_carrier_fini(struct http_carrier *h)
{
	dialler_fini(&h->dialler);
}
