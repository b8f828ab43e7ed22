// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/magic.h"
#include "net/addr.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "proxy/cluster.h"
#include "proxy/codec_conf.h"
#include "proxy/http.h"
#include "proxy/layers.h"
#include "proxy/pool.h"
#include "proxy/rpc_call.h"
#include "proxy/stock.h"
#include "proxy/stream.h"
#include "proxy/upstream_many.h"
#include "proxy/upstream_priv.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

static const struct sock_options options = { .nodelay = true, .keepalive_s = 180, .user_timeout_ms = 30000 };
static const struct proto_limits limits;        /* the codec's own */

/* ---- life --------------------------------------------------------------------------------------------------- */

static void destroy(struct loop_deferred *d)
{
	struct upstream *u = container_of(d, struct upstream, leg.more);

	upstream_many_free(u->many);
	free(u);
}

/* Of many: the host hears that it was meant, and the codec's last words, resets among them, of which the sink hears. */
static void farewell(struct upstream *u)
{
	struct codec *c = &u->leg.codec;

	timer_disarm(&u->leg.w->thread.loop, &u->many->timer);
	list_del(&u->many->roomy);
	if (!u->leg.ready || !u->leg.conn.opened || u->leg.broken)
		return;
	u->leg.decoding = true;
	if (c->ops->put_goaway)
		c->ops->put_goaway(c, true, PROTO_NONE);
	if (c->ops->flush)
		c->ops->flush(c);
	u->leg.decoding = false;
	conn_write(&u->leg.conn, &c->out);
}

void upstream_end(struct upstream *u)
{
	struct worker *w = u->leg.w;

	u->stream = NULL;
	u->ending = true;
	if (u->leg.decoding || !u->magic)
		return;
	if (u->many)
		farewell(u);
	u->magic = 0;
	stock_wait_end(u->wait);
	pool_forget(u);
	u->home->ngone -= u->many && u->many->gone;
	leg_fini(&u->leg);
	stat_set(&w->http->stat.upstreams, stat_get(&w->http->stat.upstreams) - 1);
	pool_closed(u->home);
	loop_defer(&w->thread.loop, &u->leg.more, destroy);
}

void upstream_close(struct upstream *u)
{
	upstream_end(u);
}

static bool speak(struct upstream *u, const struct proto_ops *ops, const struct proto_limits *l)
{
	const struct snapshot *s = u->leg.w->adoption.cur->snap;
	const void *conf = ops == &proto_http1 ? NULL : codec_conf_of_cluster(s, cluster_conf(u->home->pool->use), ops);

	return !leg_init(&u->leg, ops, u->state, false, l, conf, &upstream_sink, u);
}

/* What many speak, or may, waits for the connection to be open. */
static struct upstream *make(struct stream *s, struct pool_host *home, bool one)
{
	const struct proto_ops *first = home->rpc ? home->rpc : &proto_http1;
	bool either = !one && !home->rpc && proto_http2.state_size > first->state_size;
	struct upstream *u = calloc(1, sizeof(*u) + (either ? proto_http2.state_size : first->state_size));

	if (!u)
		return NULL;
	u->magic = upstream_MAGIC;
	u->home = home;
	u->leg.w = s->w;
	u->leg.on = &upstream_leg_events;
	if (!one)
		u->many = upstream_many_new(u, &s->pick.addr);
	if (one ? speak(u, first, &limits) : !!u->many)
		return u;
	leg_fini(&u->leg);
	free(u);
	return NULL;
}

/* Some stream that waits for it. */
static struct stream *whose(const struct upstream *u)
{
	if (!u->many)
		return u->stream;
	return list_empty(&u->many->waiting) ? NULL : container_of(u->many->waiting.next, struct stream, up_node);
}

/* made: of the client's pod; -1: one of the proxy's own */
static int dial_by(struct stream *s, struct upstream *u, int made, uint64_t waited_ns)
{
	struct loop *l = &s->w->thread.loop;
	const struct layers_dial d = {
		.snap = s->w->adoption.cur->snap, .conf = cluster_conf(s->pick.use), .to = s->pick.addr, .options = &options,
		.authority = s->request.authority, .client = s->inner ? NULL : s->info.peer, .sessions = s->w->sessions,
		.on = &leg_conn_events, .overload = s->w->overload, .waited_ns = waited_ns,
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

/* Whoever waited for it looks for another. */
static void fail(struct upstream *u, int err)
{
	struct stream *s = u->stream;

	stat_add(&u->leg.w->http->stat.connect_failed, 1);
	upstream_end(u);
	if (s)
		stream_up_failed(s, err);
	while (u->many && !list_empty(&u->many->waiting)) {
		s = container_of(u->many->waiting.next, struct stream, up_node);
		upstream_many_leave(u->many, s);
		stream_up_failed(s, err);
	}
}

static void socket_came(void *arg, int fd, uint64_t waited_ns)
{
	struct upstream *u = CAST(upstream, arg);
	struct worker *w = u->leg.w;
	struct stream *s = whose(u);
	int err;

	u->wait = NULL;
	if (fd < 0)
		say_none(s, fd, waited_ns);
	err = fd < 0 ? -ENETDOWN : dial_by(s, u, fd, waited_ns);
	if (err)
		fail(u, err);
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

/* ---- taken by a stream, and left ---------------------------------------------------------------------------- */

static void lend(struct upstream *u, struct stream *s)
{
	u->stream = s;
	u->requests++;
	s->up = u;
}

/* Of many: somebody waits, though a connection of this worker's could carry him, if it had one or were not told to end. */
static int busy(const struct pool_host *home, bool one)
{
	bool lonely = home->nopen == home->ngone || !list_empty(&home->retired);

	return !one && !home->one && lonely ? -EUSERS : -EBUSY;
}

static int open_new(struct stream *s, struct pool_host *home, bool one)
{
	struct upstream *u;
	int err = busy(home, one);

	if (!pool_open(home, &s->pick, !one && !home->one))
		return err;
	u = make(s, home, one);
	if (!u) {
		pool_closed(home);
		return -ENOMEM;
	}
	stat_set(&s->w->http->stat.upstreams, stat_get(&s->w->http->stat.upstreams) + 1);
	stat_add(&s->w->http->stat.connects, 1);
	err = dial(s, u);
	if (err) {
		stat_add(&s->w->http->stat.connect_failed, 1);
		upstream_end(u);
		return err;
	}
	s->up_reused = false;
	if (one) {
		lend(u, s);
		return 0;
	}
	upstream_many_join(u->many, s);
	/* Whoever comes meanwhile waits for this one, too, unless the host takes but one request at a time. */
	if (!home->one && !u->many->alone)
		list_add_tail(&home->roomy, &u->many->roomy);
	return 0;
}

/* One that is open, or the first that will be. With since: what was open before is not trusted. alone: one with no other. */
static struct upstream_many *roomy(struct pool_host *home, uint64_t since, bool alone)
{
	list_for(x, &home->roomy) {
		struct upstream_many *m = container_of(x, struct upstream_many, roomy);

		if (!upstream_many_takes(m))
			list_del(x);
		else if ((!m->open || m->opened_ns >= since) && !(alone && (m->nstreams || m->nwaiting)))
			return m;
	}
	return NULL;
}

/* Others wait for a connection already. */
static int wait_behind(struct pool_host *home, bool one)
{
	int err = busy(home, one);

	pool_host_leave(home);
	return err;
}

static int take_of_many(struct stream *s, struct pool_host *home, bool idle)
{
	struct upstream_many *m = roomy(home, idle ? 0 : s->try_ns, rpc_call_long(s));
	struct upstream *u;

	if (!m && idle && !rpc_call_long(s) && cluster_conn_overdue(s->pick.use))
		m = pool_take_back(home);
	if (m) {
		pool_forget(m->up);
		s->up_reused = m->open;
		upstream_many_join(m, s);
		return 0;
	}
	if (cluster_conn_waits(s->pick.use))
		return wait_behind(home, false);
	u = idle ? pool_take(home) : NULL;
	if (!u)
		return open_new(s, home, false);
	u->sent = false;
	s->up_reused = true;
	lend(u, s);
	return 0;
}

int upstream_take(struct stream *s, bool idle)
{
	struct pool_host *home = pool_host_get(s->w, &s->pick, s->request.authority, s->info.peer->netns, s->rpc);
	struct upstream *u;

	if (!home)
		return -ENOMEM;
	if (home->speaks != POOL_ONE && !s->tunnel)
		return take_of_many(s, home, idle);
	if (cluster_conn_waits(s->pick.use))
		return wait_behind(home, true);
	u = idle ? pool_take(home) : NULL;
	if (!u)
		return open_new(s, home, true);
	u->sent = false;
	s->up_reused = true;
	lend(u, s);
	return 0;
}

/* Whether a host takes WebSockets on streams, it says with its first settings (RFC 8441 3). */
bool upstream_ready(const struct stream *s)
{
	const struct upstream_many *m = s->up->many;

	return m ? m->open && !s->up_waits && (m->heard_room || !s->request.upgrade.n) : s->up->leg.conn.opened;
}

void upstream_began(struct stream *s)
{
	if (s->up->many)
		upstream_many_began(s->up->many, s);
	else
		s->up->id = s->up_id;
}

static bool used_up(const struct upstream *u)
{
	uint32_t most = cluster_conf(u->home->pool->use)->pool.max_requests_per_connection;

	return most && u->requests >= most;
}

/* What it was opened with is what the cluster says, and somebody may want it. */
static bool wanted(const struct upstream *u)
{
	const struct worker *w = u->leg.w;

	return u->home->key.settings == u->home->pool->settings && !cluster_gone(u->home->pool->use) && !w->http->stopping &&
	       w->level == OVERLOAD_NONE && (!u->home->key.netns || stock_has(w->stock, u->home->key.netns));
}

/* PROXY headers name one client, so such a connection is nobody else's. */
static bool may_be_kept(const struct upstream *u)
{
	const struct codec *c = &u->leg.codec;

	return !u->leg.opaque && !u->leg.broken && !u->away && !u->leg.in.len && !c->out.len && !u->leg.conn.eof &&
	       (!c->ops->reusable || c->ops->reusable(c)) && !cluster_conf(u->home->pool->use)->proxy_protocol && !used_up(u) &&
	       wanted(u);
}

void upstream_keep_or_close(struct upstream *u)
{
	u->keep = false;
	if (may_be_kept(u))
		pool_put(u->home, u);
	else
		upstream_end(u);
}

/* The last one has left, of one that nobody may join: it closes. */
void upstream_settle(struct upstream *u)
{
	struct upstream_many *m = u->many;
	bool keep;

	if (!u->magic || u->ending)
		return;
	pool_yield(u);
	upstream_many_offer(m);
	if (m->nstreams || m->nwaiting)
		return;
	keep = m->open && !m->away && !u->leg.broken && !u->leg.conn.eof && !used_up(u) && wanted(u);
	if (!keep)
		upstream_end(u);
	else if (!list_linked(&u->idle))
		pool_put(u->home, u);
}

/* What is half said has no other end. */
static bool in_the_middle(const struct stream *s)
{
	return s->up->many->alone && s->body_sent && !s->request_sent;
}

/* The windows get back what nobody here will take any more. */
static void leave_many(struct stream *s, struct upstream *u, bool done)
{
	struct codec *c = &u->leg.codec;
	uint64_t id = s->up_id;
	bool half = in_the_middle(s);

	upstream_consumed(s, 0);
	upstream_many_leave(u->many, s);
	s->up = NULL;
	/* A refused upgrade leaves the request's side open. */
	if (s->request.upgrade.n)
		done = s->host_shut && s->host_eof;
	if (id && u->magic && !done && c->ops->put_reset) {
		half |= c->ops->put_reset(c, id, s->response_end ? PROTO_NONE : PROTO_CANCELLED) == -EPIPE;
		leg_touch(&u->leg);
	}
	if (half && u->magic)
		upstream_lost(u, PROTO_CLOSED);
	else
		upstream_settle(u);
}

void upstream_release(struct stream *s, bool done)
{
	struct upstream *u = s->up;

	if (u->many) {
		leave_many(s, u, done);
		return;
	}
	assert_always(u->magic == upstream_MAGIC);
	s->up = NULL;
	s->up_id = 0;
	u->stream = NULL;
	u->id = 0;
	if (!done)
		upstream_end(u);
	else if (u->leg.decoding)
		u->keep = true;
	else
		upstream_keep_or_close(u);
}

void upstream_consumed(struct stream *s, size_t here)
{
	struct upstream *u = s->up;
	size_t n = s->up_unconsumed;

	if (!u || n <= here || !u->magic)
		return;
	s->up_unconsumed = here;
	if (u->many)
		u->many->held -= n - here;
	if (u->many && u->many->full && u->many->held <= UPSTREAM_HELD_LOW) {
		u->many->full = false;
		leg_again(&u->leg);
		upstream_many_offer(u->many);
	}
	if (!u->leg.codec.ops->consumed)
		return;
	u->leg.codec.ops->consumed(&u->leg.codec, s->up_id, n - here);
	leg_touch(&u->leg);
}

void upstream_held(struct stream *s, size_t n)
{
	struct upstream_many *m = s->up->many;

	if (!m)
		return;
	s->up_unconsumed += n;
	m->held += n;
	m->full |= m->held >= UPSTREAM_HELD_HIGH && !(s->up->leg.codec.ops->flags & PROTO_WINDOWS);
	if (m->full && !m->away)
		list_del(&m->roomy);
}

void upstream_request_sent(struct stream *s)
{
	struct upstream_many *m = s->up->many;

	if (!m || !m->alone)
		return;
	m->alone = false;
	upstream_many_offer(m);
}

bool upstream_unsent(const struct stream *s)
{
	return s->up->many ? upstream_many_unsent(s->up->many, s) : !s->up->sent;
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

/* The host picked HTTP/1.1: the first keeps the connection, the others look for theirs, and nobody waits again. */
static void open_one(struct upstream *u)
{
	struct upstream_many *m = u->many;
	struct stream *s;

	u->home->one = m->away = true;
	while (m->nwaiting > 1) {
		s = container_of(m->waiting.next->next, struct stream, up_node);
		upstream_many_leave(m, s);
		s->up = NULL;
		stream_up_open(s);
	}
	s = whose(u);
	if (!u->magic || !s)
		return;
	if (!speak(u, &proto_http1, &limits)) {
		fail(u, -ENOMEM);
		return;
	}
	upstream_many_leave(m, s);
	list_del(&m->roomy);
	u->many = NULL;
	upstream_many_free(m);
	lend(u, s);
	stream_up_open(s);
}

static void open_many(struct upstream *u, const struct proto_ops *ops)
{
	u->home->one = false;
	UPSTREAM_COUNT(u, multiplexed_connects);
	upstream_many_limits(u->many);
	if (speak(u, ops, &u->many->limits))
		upstream_many_opened(u->many);
	else
		fail(u, -ENOMEM);
}

void upstream_open(struct upstream *u)
{
	struct slice alpn = u->leg.conn.peer->alpn;
	bool two = slice_eq_str(alpn, "h2") || (u->home->speaks == POOL_MANY && !alpn.n);

	if (!u->many) {
		if (u->stream)
			stream_up_open(u->stream);
	} else if (u->home->rpc) {
		open_many(u, u->home->rpc);
	} else if (!two && u->home->speaks == POOL_MANY) {
		upstream_open_failed(u, -EPROTO, "the host does not speak HTTP/2");
	} else if (!two) {
		open_one(u);
	} else {
		open_many(u, &proto_http2);
	}
}

void upstream_open_failed(struct upstream *u, int err, const char *detail)
{
	struct stream *s = whose(u);
	char to[ADDR_TEXT_MAX];
	unsigned held;

	if (s && calm_may(&s->w->http->failures, s->w->thread.loop.now_ns, &held))
		log_info("upstream", "cluster %.*s, host %s: %s%s%s (%u more in the seconds before)", SLICE_ARG(s->info.cluster),
			 addr_text(&s->pick.addr, to), strerror(-err), detail ? ": " : "", detail ? detail : "", held);
	fail(u, err);
}
