// SPDX-License-Identifier: Apache-2.0
/* What comes from a host: of its codec, and of its connection. */
#include "proxy/upstream_priv.h"

#include <errno.h>

#include "base/magic.h"
#include "base/sink.h"
#include "net/addr.h"
#include "proxy/cluster.h"
#include "proxy/http.h"
#include "proxy/pool.h"
#include "proxy/refusal.h"
#include "proxy/stream.h"
#include "proxy/upstream_many.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

/* ---- of the codec ------------------------------------------------------------------------------------------- */

static struct stream *of(void *arg, uint64_t id)
{
	struct upstream *u = CAST(upstream, arg);

	if (u->many)
		return upstream_many_find(u->many, id);
	return u->stream && u->id == id ? u->stream : NULL;
}

/* Hosts that ask whether we live are told; one that was asked has answered with this, too. */
static void said(struct upstream *u)
{
	if (u->many)
		u->many->said_ns = u->leg.w->thread.loop.now_ns;
}

/* Where answers have no numbers, the next one would be taken for another call's. */
static void not_asked(struct upstream *u)
{
	stat_add(&u->leg.w->http->stat.late_answers, 1);
	if (!u->many)
		upstream_end(u);
}

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct stream *s = of(arg, id);

	if (!s && kind == MSG_RESPONSE)
		not_asked(CAST(upstream, arg));
	return s ? stream_up_begin(s, kind) : NULL;
}

static int on_head(void *arg, uint64_t id, struct msg *m, bool last)
{
	struct stream *s = of(arg, id);

	said(CAST(upstream, arg));
	return s ? stream_up_head(s, m, last) : 0;
}

/* What is nobody's any more leaves the windows at once. */
static void on_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool last)
{
	struct upstream *u = CAST(upstream, arg);
	struct stream *s = of(arg, id);

	said(u);
	if (s)
		stream_up_data(s, in, d, last);
	else if (u->many && d.n && u->leg.codec.ops->consumed)
		u->leg.codec.ops->consumed(&u->leg.codec, id, d.n);
}

static void on_trailers(void *arg, uint64_t id, struct msg *m)
{
	struct stream *s = of(arg, id);

	(void)m;
	said(CAST(upstream, arg));
	if (s)
		stream_up_trailers(s);
}

struct upstream_stats upstream_stats(const struct upstream *u)
{
	struct cluster_use *use = u->home->pool->use;
	const struct cluster_fact *f = cluster_conf(use);
	struct http *h = u->leg.w->http;

	return (struct upstream_stats){ &h->stat, traffic_cluster(&h->traffic, f->fact.slot, f->name),
					cluster_host_stat(use, u->home->key.host) };
}

static void reset_one_of_many(struct upstream *u, struct stream *s, enum proto_why why)
{
	UPSTREAM_COUNT(u, multiplexed_resets);
	upstream_consumed(s, 0);
	upstream_many_leave(u->many, s);
	stream_up_reset(s, why, why == PROTO_REFUSED || why == PROTO_DRAINING);
	upstream_settle(u);
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
	struct upstream *u = CAST(upstream, arg);
	struct stream *s = of(arg, id);

	if (u->many && s) {
		reset_one_of_many(u, s, why);
		return;
	}
	u->stream = NULL;
	if (s)
		stream_up_reset(s, why, why == PROTO_REFUSED || why == PROTO_DRAINING);
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

/* What the host takes at once is known for its other connections, too; of one that takes none any more it is not. */
static void on_room(void *arg)
{
	struct upstream *u = CAST(upstream, arg);
	struct upstream_many *m = u->many;
	unsigned room = u->leg.codec.ops->room(&u->leg.codec);

	if (!m || m->away || u->ending)
		return;
	if (!m->heard_room)
		upstream_many_heard_room(m);
	if (m->nstreams + room) {
		u->home->streams_max = m->nstreams + room;
		upstream_settle(u);
	} else if (!m->nwaiting) {
		upstream_end(u);
	}
}

/* One that has no calls now may be closed at once; HTTP/1 says the same by reusable() when the answer is over. */
static void on_goaway(void *arg, uint64_t last, enum proto_why why)
{
	struct upstream *u = CAST(upstream, arg);
	struct upstream_many *m = u->many;
	char to[ADDR_TEXT_MAX];
	unsigned held;

	if (!m) {
		u->away = true;
		if (!u->stream)
			upstream_end(u);
		return;
	}
	UPSTREAM_COUNT(u, multiplexed_goaways);
	if (why != PROTO_NONE && calm_may(&u->leg.w->http->failures, u->leg.w->thread.loop.now_ns, &held))
		log_info("upstream", "cluster %.*s, host %s: GOAWAY behind stream %llu: %s (%u more in the seconds before)",
			 SLICE_ARG(cluster_conf(u->home->pool->use)->name), addr_text(&m->addr, to), (unsigned long long)last,
			 refusal_text(why), held);
	u->home->ngone += !m->gone;
	m->away = m->gone = true;
	list_del(&m->roomy);
	upstream_settle(u);
}

static int on_glitch(void *arg)
{
	struct upstream *u = CAST(upstream, arg);

	if (!u->many)
		return u->leg.codec.out.len > UPSTREAM_OUT_HIGH;
	return odd_flood(&u->many->odd, u->leg.w->thread.loop.now_ns);
}

const struct proto_sink upstream_sink = { on_begin, on_head, on_data, on_trailers, on_reset, on_writable, on_room,
					  on_goaway, sink_no_ping, on_glitch, on_opaque };

/* ---- the end ------------------------------------------------------------------------------------------------ */

/* One that was never on its way waited for a connection that was being opened. */
static void lose_many(struct upstream *u, enum proto_why why)
{
	struct upstream_many *m = u->many;

	for (;;) {
		struct list *from = list_empty(&m->streams) ? &m->waiting : &m->streams;
		struct stream *s;
		bool unsent;

		if (list_empty(from))
			return;
		s = container_of(from->next, struct stream, up_node);
		unsent = upstream_many_unsent(m, s);
		upstream_many_leave(m, s);
		stream_up_reset(s, why, unsent);
	}
}

void upstream_lost(struct upstream *u, enum proto_why why)
{
	struct stream *s = u->stream;

	upstream_end(u);
	if (s)
		stream_up_reset(s, why, !u->sent);
	if (u->many)
		lose_many(u, why);
}

/* What the codec ended the connection for. One of HTTP/1 that is idle owes nobody a word. */
static void note(struct upstream *u)
{
	const struct codec *c = &u->leg.codec;
	const struct net_addr *addr = u->many ? &u->many->addr : u->stream ? &u->stream->pick.addr : NULL;
	bool other = u->many && !u->many->heard_room && c->why == PROTO_MALFORMED;
	char to[ADDR_TEXT_MAX];
	unsigned held;

	if (!addr)
		return;
	if (u->many && c->why == PROTO_ABUSE)
		UPSTREAM_COUNT(u, multiplexed_abuse);
	else if (u->many)
		UPSTREAM_COUNT(u, multiplexed_malformed);
	if (calm_may(&u->leg.w->http->failures, u->leg.w->thread.loop.now_ns, &held))
		log_info("upstream", "cluster %.*s, host %s: connection closed: %s (%u more in the seconds before)",
			 SLICE_ARG(cluster_conf(u->home->pool->use)->name), addr_text(addr, to),
			 other ? "not HTTP/2, which the cluster's protocol is" : c->detail ? c->detail : refusal_text(c->why), held);
}

/* False: the connection is gone, or not the codec's any more. */
static bool decode(struct upstream *u)
{
	int err = leg_decode(&u->leg);

	if (err && err != -EAGAIN) {
		u->keep = false;
		note(u);
		upstream_lost(u, u->leg.codec.why);
		return false;
	}
	if (u->ending) {
		upstream_end(u);
		return false;
	}
	if (u->keep) {
		upstream_keep_or_close(u);
		return false;
	}
	/* The first bytes of what nobody asked for. */
	if (!u->many && !u->stream && u->leg.in.len) {
		upstream_end(u);
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
	upstream_lost(u, PROTO_CLOSED);
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
		/* Of many streams all is read, where their windows bound what comes. */
		room = u->stream ? stream_response_room(u->stream) : u->many && u->many->full ? 0 : LEG_READ_MAX;
		if (!room)
			return;
		n = leg_read(l, &l->in, room);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			ended(u, (int)n);
			return;
		}
		if (u->many)
			upstream_many_heard(u->many);
		if (!decode(u) || conn_drained(&l->conn))
			return;
	}
}

/* ---- of the connection -------------------------------------------------------------------------------------- */

static void open_now(struct leg *l)
{
	upstream_open(container_of(l, struct upstream, leg));
}

static void open_failed(struct leg *l, int err)
{
	upstream_open_failed(container_of(l, struct upstream, leg), err, l->conn.detail);
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
	else if (u->ending)
		upstream_end(u);
	else if (u->many)
		upstream_many_sent(u->many);
}

/* What the host said before it closed may still be there, and may be an answer: reading tells. */
static void broken(struct leg *l, int err)
{
	struct upstream *u = container_of(l, struct upstream, leg);

	(void)err;
	if (l->opaque)
		upstream_lost(u, PROTO_CLOSED);
	else
		upstream_pump(u);
}

/* HTTP/1 writes at once: there is nothing that its flush could refuse. */
static void refused(struct leg *l)
{
	struct upstream *u = container_of(l, struct upstream, leg);

	note(u);
	upstream_lost(u, l->codec.why);
}

const struct leg_events upstream_leg_events = { open_now, open_failed, readable, sent, broken, refused };
