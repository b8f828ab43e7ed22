// SPDX-License-Identifier: Apache-2.0
/* Where a request goes: its rule, what the rule does to it, its backend. Nothing here waits. */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "base/path.h"
#include "model/hold.h"
#include "model/matcher.h"
#include "model/rewrite.h"
#include "model/routers.h"
#include "proxy/downstream.h"
#include "proxy/filters.h"
#include "proxy/forward_proxy.h"
#include "proxy/grpc_call.h"
#include "proxy/headers.h"
#include "proxy/json_call.h"
#include "proxy/refusal.h"
#include "proxy/rpc_call.h"
#include "proxy/http.h"
#include "proxy/web_call.h"
#include "proxy/worker.h"
#include "weft/str.h"

int stream_head(struct stream *s, bool end)
{
	s->info.head_ns = stream_age_ns(s);
	s->active_ns = s->w->thread.loop.now_ns;
	if (!rpc_call(s)) {
		if (web_call_begin(s)) {
			stream_refuse(s, 503, STREAM_OVERLOADED, "out of memory");
			return 0;
		}
		grpc_call_begin(s);
	}
	/* Nothing follows an offered upgrade unless it is granted. */
	if (end || s->request.upgrade.n) {
		s->request_end = true;
		s->info.request_end_ns = s->info.head_ns;
	}
	if (s->w->level == OVERLOAD_HARD) {
		stat_add(&s->w->http->stat.shed, 1);
		stream_go(s, stream_say(s, 503, STREAM_OVERLOADED, "the proxy sheds load"));
	} else {
		stream_go(s, STREAM_ROUTE);
	}
	stream_run(s);
	return 0;
}

static bool upgrade_allowed(const struct stream *s)
{
	unsigned bit = slice_eq_str(s->request.upgrade, "connect") ? UPGRADE_CONNECT : UPGRADE_WEBSOCKET;

	return s->hit.rule->upgrades & bit;
}

/* An upgrade that the route does not allow is not offered to the host; CONNECT has no other meaning. */
static enum stream_state check_upgrade(struct stream *s)
{
	if (!s->request.upgrade.n || upgrade_allowed(s))
		return STREAM_BLOCKED;
	if (slice_eq_str(s->request.upgrade, "connect"))
		return stream_say(s, 405, STREAM_NO_ROUTE, "CONNECT is not allowed by the route");
	/* There it is CONNECT, too. */
	if (s->down->many)
		return stream_say(s, 501, STREAM_NO_ROUTE, "WebSocket is not allowed by the route");
	s->request.upgrade = (struct slice){ 0 };
	msg_touch(&s->request);
	return STREAM_BLOCKED;
}

static enum stream_state redirect(struct stream *s)
{
	s->location = redirect_location(&s->hit, &s->request);
	s->reply = (struct proto_reply){ .status = s->hit.rule->redirect_status, .wire_status = MSG_NO_STATUS };
	if (!s->location.p)
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	return STREAM_REPLY;
}

static enum stream_state answer_directly(struct stream *s)
{
	const struct route_rule *r = s->hit.rule;

	s->reply = (struct proto_reply){ .status = r->direct_status, .wire_status = MSG_NO_STATUS,
					 .text = r->direct_body, .content_type = SLICE_LIT("text/plain") };
	return STREAM_REPLY;
}

static bool through_forward_proxy(const struct listener *l)
{
	return slice_eq_str(l->protocol, "http-proxy");
}

/* Of expressions; what they should have matched goes on as if it did not. */
static void note_bound(struct stream *s)
{
	struct slice route = matcher_gave_up(s->w->http->matcher);

	if (route.p)
		refusal_gave_up(s->w->http, route, s->info.peer, s->w->thread.loop.now_ns);
}

static int prepare_http(struct stream *s, struct slice host)
{
	const struct listener *l = downstream_conf(s->down);
	int err = through_forward_proxy(l) ? forward_proxy_sign(s) : 0;

	return err ? err : headers_request(s, l, host);
}

/* Hashes look at the request as it came, so before it is rewritten. */
static int prepare(struct stream *s)
{
	const struct route_rule *r = s->hit.rule;
	struct slice host = s->request.authority;
	struct route_hash hash = { 0 };
	int err = 0;

	if (r->nhash)
		err = route_hash(&s->hit, s->w->http->matcher, &s->request, &s->info.client->ip,
				 slice_eq_str(s->client_proto, "https"), &hash);
	s->ask.lb.hash = hash.value;
	s->ask.lb.has_hash = hash.has;
	s->set_cookie = hash.set_cookie;
	if (!err)
		err = rewrite_request(&s->hit, s->w->http->matcher, &s->request);
	note_bound(s);
	return err || rpc_call(s) ? err : prepare_http(s, host);
}

/* A cluster that is not there is the pick's to say; what passes as bytes may be anything. */
static bool speaks(struct stream *s)
{
	const struct cluster *c = snapshot_cluster(s->hold->snap, s->backend->cluster);

	return !c || s->tunnel || rpc_call_speaks(s, c->conf->protocol);
}

static enum stream_state forward(struct stream *s)
{
	int err;

	stream_choose(s);
	if (!s->backend)
		return stream_say(s, 503, STREAM_NO_CLUSTER, "route has no backend");
	if (!speaks(s))
		return stream_say(s, 502, STREAM_NO_CLUSTER, "the cluster speaks another protocol than the client");
	s->ask.backend = s->chain ? chain_backend(s) : s->backend;
	err = s->ask.backend ? prepare(s) : -ENOMEM;
	if (rewrite_words(err))
		return stream_say(s, 400, STREAM_CLIENT_MALFORMED, rewrite_words(err));
	if (err)
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	s->ask.lb.original = &s->info.peer->original;
	s->ask.listener = s->listener;
	s->ask.local = &s->info.peer->local;
	retry_start(s);
	stream_deadline(s);
	return STREAM_PICK;
}

/*
 * One form of the path before a rule or a policy looks, which is also what the host gets; and the scheme, which a request
 * in origin-form does not say. NULL, or why the request is not to be forwarded.
 */
static const char *canonical(struct stream *s, const struct listener *l)
{
	unsigned options = (l->merge_slashes ? PATH_MERGE_SLASHES : 0) |
			   (l->reject_escaped_slashes ? PATH_REJECT_ESCAPED_SLASHES : 0);
	struct msg *m = &s->request;
	struct slice path = m->path;
	const char *why = NULL;
	char *room;

	if (!m->scheme.n)
		m->scheme = s->client_proto;
	if (!m->path.n)
		return NULL;
	room = msg_alloc(m, m->path.n);
	if (!room)
		return "out of memory";
	if (path_normalise(m->path, options, room, &path, &why))
		return why;
	if (path.p == m->path.p)
		return NULL;
	m->path = path;
	msg_touch(m);
	grpc_call_begin(s);
	return NULL;
}

static enum stream_state match(struct stream *s, const struct listener *l)
{
	s->router = snapshot_router(s->hold->snap, &l->fact);
	if (!s->router || !router_match(s->router, s->w->http->matcher, &s->request, s->info.peer->identity, &s->hit))
		return stream_say(s, 404, STREAM_NO_ROUTE, "no route for this request");
	return STREAM_BLOCKED;
}

static enum stream_state look_up(struct stream *s)
{
	const struct listener *l = s->listener;
	enum stream_state next;
	const char *why;

	why = rpc_call(s) ? NULL : canonical(s, l);
	if (why)
		return stream_say(s, 400, STREAM_CLIENT_MALFORMED, why);
	next = through_forward_proxy(l) ? forward_proxy_route(s) : match(s, l);
	note_bound(s);
	if (next != STREAM_BLOCKED)
		return next;
	if (s->hit.route)
		s->info.route = s->hit.route->name;
	return s->tunnel ? STREAM_BLOCKED : check_upgrade(s);
}

enum stream_state step_route(struct stream *s)
{
	const struct listener *l = downstream_conf(s->down);
	enum stream_state next;

	s->hold = hold_use(&s->w->adoption);
	if (!l || !s->hold)
		return stream_say(s, 503, STREAM_NO_ROUTE, "listener is being removed");
	s->listener = l;
	s->info.listener = l->name;
	if (!rpc_call(s) && headers_client(s, l))
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	next = look_up(s);
	if (next != STREAM_BLOCKED)
		return next;
	return filters_any(s->hold->snap) ? chain_begin(s) : stream_routed(s);
}

enum stream_state stream_look_up_again(struct stream *s)
{
	s->hit = (struct route_hit){ 0 };
	s->router = NULL;
	s->backend = NULL;
	s->tunnel = false;
	s->info.route = s->info.cluster = (struct slice){ 0 };
	return look_up(s);
}

void stream_choose(struct stream *s)
{
	if (!s->backend && s->hit.rule->nbackends)
		s->backend = router_backend(&s->hit, s->w->http->matcher);
	if (s->backend)
		s->info.cluster = s->backend->cluster;
}

enum stream_state stream_routed(struct stream *s)
{
	if (s->hit.rule->redirect_status && rpc_call(s))
		return stream_say(s, 404, STREAM_NO_ROUTE, "the route redirects, which is for HTTP alone");
	if (s->hit.rule->redirect_status)
		return redirect(s);
	if (s->hit.rule->direct_status)
		return answer_directly(s);
	return forward(s);
}

static enum stream_state no_host(struct stream *s, int err)
{
	if (err == -ENOENT)
		return stream_say(s, 503, STREAM_NO_CLUSTER, "no such cluster");
	if (err == -EHOSTUNREACH)
		return stream_say(s, 503, STREAM_NO_HEALTHY_HOST, "no usable host");
	return stream_say(s, 503, STREAM_OVERFLOW, "limit of the cluster is reached");
}

static void waited(struct cluster_wait *x, int err)
{
	struct stream *s = container_of(x, struct stream, wait);
	struct worker *w = s->w;

	s->ask.wait = err ? NULL : x;
	stream_go(s, err ? stream_say(s, 503, STREAM_OVERFLOW, "waited too long for a place under maxRequests") : STREAM_PICK);
	stream_run(s);
	legs_flush(w);
}

static void conn_waited(struct cluster_wait *x, int err)
{
	struct stream *s = container_of(x, struct stream, wait);
	struct worker *w = s->w;

	/* The try begins now, and what was waited is no part of the time to connect. */
	s->try_ns = w->thread.loop.now_ns;
	s->info.picked_ns = stream_age_ns(s);
	stream_go(s, err ? stream_say(s, 503, STREAM_OVERFLOW, "waited too long for a connection under maxConnections") : STREAM_CONNECT);
	stream_run(s);
	legs_flush(w);
}

enum stream_state stream_wait_conn(struct stream *s, bool lonely)
{
	if (cluster_wait_begin(s->w->clusters, s->backend->cluster, &s->wait, LIMIT_CONNECTIONS, conn_waited))
		return stream_say(s, 503, STREAM_OVERFLOW, "maxConnections of the cluster is reached, and maxPending wait already");
	s->wait.lonely = lonely;
	return STREAM_QUEUE;
}

enum stream_state step_pick(struct stream *s)
{
	int err;

	if (json_call(s) && !s->call) {
		enum stream_state next = json_call_ask(s);

		if (next != STREAM_BLOCKED || !s->call)
			return next;
	}
	if (rpc_call_collects(s))
		return STREAM_BLOCKED;
	s->ask.lb.now_ns = s->try_ns = s->w->thread.loop.now_ns;
	err = cluster_pick(s->w->clusters, &s->ask, CLUSTER_REQUEST, &s->pick);
	s->ask.wait = NULL;
	if (err == -EBUSY && !cluster_wait_begin(s->w->clusters, s->backend->cluster, &s->wait, LIMIT_REQUESTS, waited))
		return STREAM_QUEUE;
	if (err)
		return no_host(s, err);
	s->picked = true;
	if (s->ask.ntried < CLUSTER_TRIED_MAX)
		s->ask.tried[s->ask.ntried++] = s->pick.key;
	s->cluster_slot = cluster_conf(s->pick.use)->fact.slot;
	s->host_addr = s->pick.addr;
	s->info.host = s->pick.host;
	s->info.tries++;
	s->info.picked_ns = stream_age_ns(s);
	return STREAM_CONNECT;
}

enum stream_state step_queue(struct stream *s)
{
	stream_deadline(s);
	return STREAM_BLOCKED;
}
