// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/magic.h"
#include "net/addr.h"
#include "proto/http1.h"
#include "proxy/cluster.h"
#include "proxy/layers.h"
#include "proxy/pool.h"
#include "proxy/stock.h"
#include "proxy/stream.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

#define upstream_MAGIC 0x09574ea1u

static const struct sock_options options = { .nodelay = true, .keepalive_s = 180, .user_timeout_ms = 30000 };
static const struct proto_limits limits;        /* the codec's own */

static const struct leg_events leg_events;
static const struct proto_sink sink;

/* ---- life --------------------------------------------------------------------------------------------------- */

static void destroy(struct loop_deferred *d)
{
	free(container_of(d, struct upstream, leg.more));
}

/* Closes now, or behind decode(). */
static void end(struct upstream *u)
{
	struct worker *w = u->leg.w;

	u->stream = NULL;
	u->ending = true;
	if (u->leg.decoding || !u->magic)
		return;
	u->magic = 0;
	stock_wait_end(u->wait);
	pool_forget(u);
	leg_fini(&u->leg);
	stat_set(&w->http->stat.upstreams, stat_get(&w->http->stat.upstreams) - 1);
	pool_closed(u->home);
	loop_defer(&w->thread.loop, &u->leg.more, destroy);
}

void upstream_close(struct upstream *u)
{
	end(u);
}

static struct upstream *make(struct worker *w, struct pool_host *home)
{
	const struct proto_ops *ops = &proto_http1;
	struct upstream *u = calloc(1, sizeof(*u) + ops->state_size);

	if (!u)
		return NULL;
	u->magic = upstream_MAGIC;
	u->home = home;
	u->leg.w = w;
	u->leg.on = &leg_events;
	if (leg_init(&u->leg, ops, u->state, false, &limits, &sink, u)) {
		leg_fini(&u->leg);
		free(u);
		return NULL;
	}
	return u;
}

/* made: of the client's pod; -1: one of the proxy's own */
static int dial_by(struct stream *s, struct upstream *u, int made, uint64_t waited_ns)
{
	struct loop *l = &s->w->thread.loop;
	const struct layers_dial d = {
		.snap = s->w->adoption.cur->snap, .conf = cluster_conf(s->pick.use), .to = s->pick.addr, .options = &options,
		.authority = s->request.authority, .client = s->info.peer, .sessions = s->w->sessions,
		.on = &leg_conn_events, .waited_ns = waited_ns,
	};

	return made < 0 ? layers_dial(&u->leg.conn, l, &d) : layers_dial_by(&u->leg.conn, l, made, &d);
}

static void say_none(struct stream *s, int err, uint64_t waited_ns)
{
	unsigned held;

	if (calm_may(&s->w->http->failures, s->w->thread.loop.now_ns, &held))
		log_info("upstream", "no socket of the client's pod for cluster %.*s: %s after %llu ms (%u more in the seconds before)",
			 SLICE_ARG(s->info.cluster), strerror(-err), (unsigned long long)(waited_ns / MSEC), held);
}

static void socket_came(void *arg, int fd, uint64_t waited_ns)
{
	struct upstream *u = CAST(upstream, arg);
	struct worker *w = u->leg.w;
	struct stream *s = u->stream;
	int err;

	u->wait = NULL;
	if (fd < 0)
		say_none(s, fd, waited_ns);
	err = fd < 0 ? -ENETDOWN : dial_by(s, u, fd, waited_ns);
	if (err) {
		end(u);
		stream_up_failed(s, err);
	}
	legs_flush(w);
}

/* 0: it connects, or waits for the pod's next socket; stream_up_open() or stream_up_failed() follows. */
static int dial(struct stream *s, struct upstream *u)
{
	uint64_t netns = s->info.peer->netns;
	const struct ip *to = &s->pick.addr.ip;
	int fd;

	if (!netns)
		return dial_by(s, u, -1, 0);
	fd = stock_take(s->w->stock, netns, to);
	if (fd == -EAGAIN)
		u->wait = stock_wait(s->w->stock, netns, to, cluster_conf(s->pick.use)->connect_ms, socket_came, u);
	return fd == -EAGAIN ? 0 : fd < 0 ? fd : dial_by(s, u, fd, 0);
}

static int open_new(struct stream *s, struct pool_host *home)
{
	struct upstream *u;
	int err;

	if (!pool_open(home, &s->pick))
		return -EBUSY;
	u = make(s->w, home);
	err = u ? dial(s, u) : -ENOMEM;
	if (!u) {
		pool_closed(home);
		return err;
	}
	stat_set(&s->w->http->stat.upstreams, stat_get(&s->w->http->stat.upstreams) + 1);
	stat_add(&s->w->http->stat.connects, 1);
	if (err) {
		end(u);
		return err;
	}
	u->stream = s;
	u->requests = 1;
	s->up = u;
	return 0;
}

int upstream_take(struct stream *s, bool idle)
{
	struct pool_host *home = pool_host_get(s->w, &s->pick, s->request.authority, s->info.peer->netns);
	struct upstream *u;

	if (!home)
		return -ENOMEM;
	u = idle ? pool_take(home) : NULL;
	if (!u)
		return open_new(s, home);
	u->stream = s;
	u->sent = false;
	u->requests++;
	s->up = u;
	return 0;
}

bool upstream_ready(const struct upstream *u)
{
	return u->leg.conn.opened;
}

/* PROXY headers name one client, so such a connection is nobody else's. */
static bool may_be_kept(const struct upstream *u)
{
	const struct codec *c = &u->leg.codec;
	const struct cluster_fact *f = cluster_conf(u->home->pool->use);
	uint32_t most = f->pool.max_requests_per_connection;

	return !u->leg.opaque && !u->leg.broken && !u->leg.in.len && !c->out.len && !u->leg.conn.eof &&
	       (!c->ops->reusable || c->ops->reusable(c)) && !f->proxy_protocol && (!most || u->requests < most) &&
	       u->home->key.settings == u->home->pool->settings && !cluster_gone(u->home->pool->use) &&
	       !u->leg.w->http->stopping && u->leg.w->level == OVERLOAD_NONE &&
	       (!u->home->key.netns || stock_has(u->leg.w->stock, u->home->key.netns));
}

static void keep_or_close(struct upstream *u)
{
	u->keep = false;
	if (may_be_kept(u))
		pool_put(u->home, u);
	else
		end(u);
}

void upstream_release(struct upstream *u, bool done)
{
	assert_always(u->magic == upstream_MAGIC);
	u->stream = NULL;
	u->id = 0;
	if (!done)
		end(u);
	else if (u->leg.decoding)
		u->keep = true;
	else
		keep_or_close(u);
}

/* ---- what the host sends ------------------------------------------------------------------------------------ */

/* Closed first: the connection that may replace it needs its place under maxConnections. */
static void lost(struct upstream *u, enum proto_why why)
{
	struct stream *s = u->stream;

	end(u);
	if (s)
		stream_up_reset(s, why, !u->sent);
}

static struct stream *of(void *arg, uint64_t id)
{
	struct upstream *u = CAST(upstream, arg);

	return u->stream && u->id == id ? u->stream : NULL;
}

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct stream *s = of(arg, id);

	return s ? stream_up_begin(s, kind) : NULL;
}

static int on_head(void *arg, uint64_t id, struct msg *m, bool last)
{
	struct stream *s = of(arg, id);

	return s ? stream_up_head(s, m, last) : 0;
}

static void on_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool last)
{
	struct stream *s = of(arg, id);

	(void)in;
	if (s)
		stream_up_data(s, d, last);
}

static void on_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct stream *s = of(arg, id);

	(void)m;
	if (s)
		stream_up_trailers(s);
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
	struct upstream *u = CAST(upstream, arg);
	struct stream *s = of(arg, id);

	u->stream = NULL;
	if (s)
		stream_up_reset(s, why, why == PROTO_REFUSED);
}

static void on_opaque(void *arg, uint64_t id)
{
	struct stream *s = of(arg, id);

	if (s)
		stream_up_opaque(s);
}

static void on_writable(void *arg, uint64_t id)
{
	struct stream *s = of(arg, id);

	if (s)
		stream_up_sent(s);
}

static void on_room(void *arg)
{
	(void)arg;
}

/* reusable() says the same when the answer is over. */
static void on_goaway(void *arg, uint64_t last, enum proto_why why)
{
	(void)arg;
	(void)last;
	(void)why;
}

static void on_ping(void *arg, uint64_t token, bool ack)
{
	(void)arg;
	(void)token;
	(void)ack;
}

static int on_glitch(void *arg)
{
	(void)arg;
	return 0;
}

static const struct proto_sink sink = { on_begin, on_head, on_data, on_trailers, on_reset, on_writable, on_room,
					on_goaway, on_ping, on_glitch, on_opaque };

/* False: the connection is gone, or not the codec's any more. */
static bool decode(struct upstream *u)
{
	int err = leg_decode(&u->leg);

	if (u->ending) {
		end(u);
		return false;
	}
	if (err && err != -EAGAIN) {
		u->keep = false;
		lost(u, u->leg.codec.why);
		return false;
	}
	if (u->keep) {
		keep_or_close(u);
		return false;
	}
	return !u->leg.opaque;
}

static void ended(struct upstream *u, int err)
{
	const struct proto_ops *ops = u->leg.codec.ops;

	if (!err && ops->eof) {
		u->leg.decoding = true;
		ops->eof(&u->leg.codec);
		u->leg.decoding = false;
	}
	lost(u, PROTO_CLOSED);
}

/* Bytes that nobody asked for end an idle connection (decode says so), as FIN does. */
void upstream_pump(struct upstream *u)
{
	struct leg *l = &u->leg;

	if (l->opaque) {
		if (u->stream)
			stream_run(u->stream);
		return;
	}
	for (;;) {
		size_t room;
		ssize_t n;

		if (u->stream && !l->in.len && stream_response_passes(u->stream))
			return;
		room = u->stream ? stream_response_room(u->stream) : LEG_READ_MAX;
		if (!room)
			return;
		n = leg_read(l, &l->in, room);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			ended(u, (int)n);
			return;
		}
		if (!decode(u) || conn_drained(&l->conn))
			return;
	}
}

/* ---- events ------------------------------------------------------------------------------------------------- */

static void open_now(struct leg *l)
{
	struct upstream *u = container_of(l, struct upstream, leg);

	if (u->stream)
		stream_up_open(u->stream);
}

static void open_failed(struct leg *l, int err)
{
	struct upstream *u = container_of(l, struct upstream, leg);
	struct stream *s = u->stream;
	const char *detail = l->conn.detail;
	char to[ADDR_TEXT_MAX];
	unsigned held;

	if (s && calm_may(&s->w->http->failures, s->w->thread.loop.now_ns, &held))
		log_info("upstream", "cluster %.*s, host %s: %s%s%s (%u more in the seconds before)", SLICE_ARG(s->info.cluster),
			 addr_text(&s->pick.addr, to), strerror(-err), detail ? ": " : "", detail ? detail : "", held);
	end(u);
	if (s)
		stream_up_failed(s, err);
}

static void readable(struct leg *l)
{
	upstream_pump(container_of(l, struct upstream, leg));
}

static void sent(struct leg *l)
{
	struct upstream *u = container_of(l, struct upstream, leg);

	u->sent = true;
	if (u->stream)
		stream_up_sent(u->stream);
}

/* What the host said before it closed may still be there, and may be an answer: reading tells. */
static void broken(struct leg *l, int err)
{
	struct upstream *u = container_of(l, struct upstream, leg);

	(void)err;
	if (l->opaque)
		lost(u, PROTO_CLOSED);
	else
		upstream_pump(u);
}

/* HTTP/1 writes at once: there is nothing that its flush could refuse. */
static void refused(struct leg *l)
{
	lost(container_of(l, struct upstream, leg), l->codec.why);
}

static const struct leg_events leg_events = { open_now, open_failed, readable, sent, broken, refused };
