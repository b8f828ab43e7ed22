// SPDX-License-Identifier: Apache-2.0
/*
 * How a client is asked to go: because its listener goes, the process stops or sheds load, or the connection is old enough. In
 * HTTP/1 the next answer says so. In HTTP/2 it hears GOAWAY twice, with a ping behind the first: what is on its way to us is
 * still answered, and the answer to the ping says that nothing else is (RFC 9113 6.8).
 */
#include "proxy/downstream_priv.h"

#include "base/clock.h"
#include "base/rand.h"
#include "proxy/detect.h"
#include "proxy/http.h"
#include "proxy/listener.h"
#include "proxy/worker.h"

#define DRAIN_TOKEN 0x7766746472616e31ull       /* of the ping behind the first GOAWAY */
#define AGE_UNIT (100 * MSEC)
#define AGE_JITTER 10u                          /* percent, both ways: connections of one moment do not go in one */

void downstream_tell(struct downstream *d)
{
	struct codec *c = &d->leg.codec;

	if (d->told)
		return;
	d->told = true;
	if (c->ops->put_goaway)
		c->ops->put_goaway(c, false, PROTO_DRAINING);
	/* Clients of RPC do not expect to be asked: they are waited for by time. */
	if (!(c->ops->flags & PROTO_RPC))
		c->ops->put_ping(c, DRAIN_TOKEN);
	leg_touch(&d->leg);
}

void downstream_last_answer(struct downstream *d)
{
	struct codec *c = &d->leg.codec;

	if (d->told || !c->ops->put_goaway)
		return;
	c->ops->put_goaway(c, true, PROTO_DRAINING);
	d->told = c->ops->flags & PROTO_RPC;
}

void downstream_farewell(struct downstream *d)
{
	struct codec *c = &d->leg.codec;

	if (d->refused)
		return;
	if (!(d->many ? d->heard : d->told) && c->ops->put_goaway)
		c->ops->put_goaway(c, true, PROTO_NONE);
	d->refused = true;
	downstream_enter(d, DOWNSTREAM_BUSY, DOWNSTREAM_LINGER_MS);
	leg_touch(&d->leg);
}

/*
 * With unread bytes in its socket, close(2) sends RST, which may overtake the answer on its way: so FIN first, and what
 * comes is dropped for a while (RFC 9112 9.6).
 */
void downstream_linger(struct downstream *d)
{
	if (d->leg.broken || d->leg.conn.eof || conn_shut(&d->leg.conn)) {
		downstream_end(d);
		return;
	}
	downstream_enter(d, DOWNSTREAM_LINGER, DOWNSTREAM_LINGER_MS);
	downstream_pump(d);
}

/* Who floods goes on when he was told to stop, too. */
bool downstream_drop(struct downstream *d)
{
	bool flood = d->leg.ready && d->leg.codec.why == PROTO_ABUSE;

	if (flood)
		d->dropped += (uint32_t)d->leg.in.len;
	buf_drop(&d->leg.in, d->leg.in.len);
	if (!flood || d->dropped <= DOWNSTREAM_FLOOD_MAX)
		return true;
	downstream_end(d);
	return false;
}

/* What it begins now is not answered, and the last GOAWAY says so. */
void downstream_heard(struct downstream *d, uint64_t token)
{
	struct codec *c = &d->leg.codec;

	if (!d->told || d->heard || d->refused || token != DRAIN_TOKEN)
		return;
	d->heard = true;
	c->ops->put_goaway(c, true, PROTO_NONE);
	if (!downstream_busy(d))
		downstream_rest(d);
}

/* One whose protocol is not known yet hears it when it is; one whose calls are in turn in front of the answer that it waits for. */
static void drain_told(struct downstream *d)
{
	bool first = !d->told && !d->refused && d->phase != DOWNSTREAM_LINGER;

	if (!first || (downstream_in_turn(d) && downstream_busy(d)))
		return;
	downstream_tell(d);
	if (!downstream_busy(d))
		downstream_rest(d);
}

void downstream_drain_one(struct downstream *d)
{
	d->last = true;
	if (downstream_tells(d))
		drain_told(d);
	else if (d->phase == DOWNSTREAM_IDLE && !downstream_busy(d) && !d->leg.in.len)
		downstream_end(d);
}

void downstream_drain(struct worker *w, const struct listener_use *l)
{
	list_for(x, &w->http->downstreams) {
		struct downstream *d = container_of(x, struct downstream, all);

		if (!l || d->listener == l)
			downstream_drain_one(d);
	}
	legs_flush(w);
}

/* One that is being opened, or has said nothing yet, may turn out to speak what the listener does. */
static bool is_foreign(const struct downstream *d, const struct listener *conf, bool proxy)
{
	const struct proto_ops *ops = d->leg.ready ? d->leg.codec.ops : NULL;

	return ops ? !detect_takes(conf, ops) || (proxy && !(ops->flags & PROTO_RPC)) : !detect_any(conf);
}

void downstream_drain_foreign(struct worker *w, const struct listener_use *l, bool proxy)
{
	list_for(x, &w->http->downstreams) {
		struct downstream *d = container_of(x, struct downstream, all);

		if (d->listener != l || !is_foreign(d, l->conf, proxy))
			continue;
		d->foreign = true;
		downstream_drain_one(d);
	}
	legs_flush(w);
}

void downstream_drain_netns(struct worker *w, uint64_t netns)
{
	list_for(x, &w->http->downstreams) {
		struct downstream *d = container_of(x, struct downstream, all);

		if (d->leg.conn.peer->netns == netns)
			downstream_drain_one(d);
	}
	legs_flush(w);
}

/* An answer is on its way, or the client may not have read the last one yet. A tunnel has no end to wait for. */
static bool in_the_middle(const struct downstream *d)
{
	if (d->told || d->refused || d->phase == DOWNSTREAM_LINGER)
		return true;
	list_for(x, &d->streams)
		if (container_of(x, struct stream, node)->state != STREAM_TUNNEL)
			return true;
	return false;
}

bool downstreams_quiet(const struct worker *w)
{
	list_for(x, &w->http->downstreams)
		if (in_the_middle(container_of(x, struct downstream, all)))
			return false;
	return true;
}

/* ---- age ---------------------------------------------------------------------------------------------------- */

static void age_set(struct downstream *d, uint64_t ms)
{
	d->age = (uint32_t)((d->leg.w->thread.loop.now_ns + ms * MSEC) / AGE_UNIT) + 1;
}

void downstream_age_begin(struct downstream *d)
{
	uint32_t ms = d->listener->conf->age_ms, spread = ms / AGE_JITTER;

	if (ms)
		age_set(d, (uint64_t)ms - spread + rand_below(&d->leg.w->http->rand, 2 * spread + 1));
}

uint64_t downstream_age_due(const struct downstream *d)
{
	return d->age ? d->age * AGE_UNIT : UINT64_MAX;
}

/* An idle client of HTTP/1 may be about to ask: it hears of it from its next answer, and is closed when the grace is over. */
void downstream_aged(struct downstream *d)
{
	const struct listener *conf = downstream_conf(d);

	if (d->aged) {
		downstream_end(d);
		return;
	}
	stat_add(&d->leg.w->http->stat.aged, 1);
	d->aged = d->last = true;
	d->age = 0;
	if (conf && conf->grace_ms)
		age_set(d, conf->grace_ms);
	if (downstream_tells(d))
		drain_told(d);
}

void downstream_count(struct downstream *d)
{
	const struct listener *conf = downstream_conf(d);

	if (!conf || !conf->max_conn_requests || ++d->begun != conf->max_conn_requests)
		return;
	stat_add(&d->leg.w->http->stat.aged, 1);
	d->last = true;
	if (downstream_tells(d))
		drain_told(d);
}
