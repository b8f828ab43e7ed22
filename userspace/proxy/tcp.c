/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/magic.h"
#include "base/rand.h"
#include "net/addr.h"
#include "net/sock.h"
#include "proto/client_hello.h"
#include "proxy/cluster.h"
#include "proxy/layers.h"
#include "proxy/record.h"
#include "proxy/record_line.h"
#include "proxy/relay.h"
#include "proxy/stock.h"
#include "proxy/stream_rule.h"
#include "weft/log.h"
#include "weft/str.h"

#define tcp_MAGIC 0x7c9c0e11u
#define TRIES 5                                 /* hosts, the first one among them */
#define HALF_CLOSED_NS (300 * SEC)
#define KEEPALIVE_S 180
#define HELLO_BYTES (CLIENT_HELLO_MAX + 4096)   /* with the heads of its records; who needs more has no name */
#define USER_TIMEOUT_MS 300000                  /* a peer that acknowledges nothing for so long is gone */

/* A client's connection and its host's. */
struct tcp {
	unsigned magic;
	struct list node;
	struct tcps *all;
	struct listener_use *listener;
	struct hold *hold;                      /* until a host is reached: of conf */
	const struct listener *conf;
	struct conn down, up;
	struct relay request, response;         /* down to up, up to down */
	struct pick pick;                       /* pick.use: something was picked */
	struct cluster_ask ask;
	struct stock_wait *wait;                /* for a socket of the client's pod; NULL: not */
	struct cluster_wait place;              /* under maxConnections */
	struct net_addr host;                   /* last one dialled; port 0: none */
	uint64_t began_ns, chosen_ns, dialled_ns, took_ns; /* chosen: its cluster; took: until the host was reached */
	uint64_t last_ns, idle_ns;              /* last: something moved */
	uint64_t counted_up, counted_down, counted_spliced; /* bytes in the listener's counters already */
	struct timer idle;                      /* before a host is reached: for what the client has to say first */
	char *sni;                              /* of TLS that is passed on; NULL: not looked at */
	struct loop_deferred later;             /* more to move, or its end */
	bool sniffing, ended;
};

struct tcps {
	struct worker *worker;
	struct list list;
	struct relay_pipes pipes;
	struct rand rand;
	char hello[CLIENT_HELLO_MAX];
};

static const struct tcp_end_text {
	const char *flag, *text;
} ends[TCP_END_COUNT] = {
#define TCP_END_TEXT_(NAME, flag, text) { flag, text },
	TCP_ENDS(TCP_END_TEXT_)
#undef TCP_END_TEXT_
};

static struct loop *loop_of(const struct tcp *t)
{
	return &t->all->worker->thread.loop;
}

/* ---- its end ------------------------------------------------------------------------------------------------ */

static void tcp_free(struct loop_deferred *d)
{
	struct tcp *t = container_of(d, struct tcp, later);

	t->magic = 0;
	free(t->sni);
	free(t);
}

static void unpick(struct tcp *t, bool ok)
{
	struct lb_result r = { .now_ns = loop_of(t)->now_ns, .ok = ok };

	if (!t->pick.use)
		return;
	r.took_ns = ok ? t->took_ns : 0;
	pick_done(&t->pick, &r);
}

/* What its client broke, or we did, says neither good nor bad of a host. */
static void judge(struct tcp *t, enum tcp_end end)
{
	if (t->pick.use && (end == TCP_CLIENT || end == TCP_STOPPED))
		pick_done(&t->pick, NULL);
	else
		unpick(t, end != TCP_HOST && end != TCP_CONNECT);
}

static void say(const struct tcp *t, enum tcp_end end)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];

	if (!log_enabled(LOG_LEVEL_DEBUG) || !t->down.peer)
		return;
	log_debug(t->listener->name, "%s -> %s, %llu bytes in, %llu out, %llu ms, %u hosts tried: %s %s%s%s",
		  addr_text(&t->down.peer->source, from), t->pick.use ? addr_text(&t->pick.addr, to) : "nowhere",
		  (unsigned long long)t->request.bytes, (unsigned long long)t->response.bytes,
		  (unsigned long long)((loop_of(t)->now_ns - t->began_ns) / MSEC), t->ask.ntried, ends[end].flag, ends[end].text,
		  t->up.detail ? ": " : "", t->up.detail ? t->up.detail : "");
}

/* Who ended it and what was under way, as HTTP has it. */
static void termination(const struct tcp *t, enum tcp_end end, char out[2])
{
	static const char who[TCP_END_COUNT] = {
		[TCP_DONE] = '-', [TCP_NO_RULE] = 'P', [TCP_NO_CLUSTER] = 'P', [TCP_NO_HOST] = 'P', [TCP_OVERFLOW] = 'P',
		[TCP_CONNECT] = 'S', [TCP_IDLE] = 's', [TCP_CLIENT] = 'C', [TCP_HOST] = 'S', [TCP_HANDSHAKE] = 'C', [TCP_STOPPED] = 'P',
	};

	out[0] = who[end];
	out[1] = end == TCP_DONE ? '-' : !t->chosen_ns ? 'R' : t->up.opened ? 'T' : t->ask.ntried ? 'C' : 'Q';
}

static void record(const struct tcp *t, enum tcp_end end)
{
	static const struct net_peer nobody;
	const struct net_peer *peer = t->down.peer ? t->down.peer : &nobody;
	uint64_t now = loop_of(t)->now_ns;
	struct record r = {
		.protocol = SLICE_LIT("tcp"), .flags = slice_str(ends[end].flag),
		.detail = end == TCP_DONE ? (struct slice){ 0 } : slice_str(t->up.detail ? t->up.detail : ends[end].text),
		.bytes_in = t->request.bytes, .bytes_out = t->response.bytes,
		.head_ns = (t->chosen_ns ? t->chosen_ns : now) - t->began_ns,
		.queue_ns = t->dialled_ns ? t->dialled_ns - t->chosen_ns : 0,
		.connect_ns = t->took_ns, .total_ns = now - t->began_ns,
		.listener = slice_str(t->listener->name), .host = &t->host, .tries = t->ask.ntried, .client = &peer->source,
		.identity = peer->identity, .original = &peer->original, .sni = peer->sni,
	};

	/* The cluster outlives the rule that named it. */
	if (t->pick.use)
		r.cluster = cluster_conf(t->pick.use)->name;
	else if (t->hold && t->ask.backend)
		r.cluster = t->ask.backend->cluster;
	termination(t, end, r.termination);
	record_put(t->all->worker, &r);
}

static void count(struct tcp *t)
{
	stat_add(&t->listener->stat->received, t->request.bytes - t->counted_up);
	stat_add(&t->listener->stat->sent, t->response.bytes - t->counted_down);
	stat_add(&t->listener->stat->spliced, t->request.spliced + t->response.spliced - t->counted_spliced);
	t->counted_up = t->request.bytes;
	t->counted_down = t->response.bytes;
	t->counted_spliced = t->request.spliced + t->response.spliced;
}

static void flag_host(const struct tcp *t, enum tcp_end end)
{
	if (end == TCP_HOST)
		pick_flag(&t->pick, STREAM_UPSTREAM_CLOSED);
	else if (end == TCP_CLIENT)
		pick_flag(&t->pick, STREAM_CLIENT_CLOSED);
	else if (end == TCP_IDLE)
		pick_flag(&t->pick, STREAM_TIMEOUT);
}

/* What ended badly ends with RST, so that nobody takes a part for the whole. */
static void tcp_finish(struct tcp *t, enum tcp_end end)
{
	if (t->ended)
		return;
	t->ended = true;
	count(t);
	say(t, end);
	if (record_wanted(t->all->worker))
		record(t, end);
	stat_add(&(&t->listener->stat->done)[end], 1);
	if (end != TCP_DONE && conn_is_open(&t->down))
		conn_reset(&t->down);
	if (end != TCP_DONE && conn_is_open(&t->up))
		conn_reset(&t->up);
	flag_host(t, end);
	judge(t, end);
	cluster_wait_end(&t->place);
	stock_wait_end(t->wait);
	relay_fini(&t->request, &t->all->pipes);
	relay_fini(&t->response, &t->all->pipes);
	conn_close(&t->up);
	conn_close(&t->down);
	timer_disarm(loop_of(t), &t->idle);
	hold_drop(t->hold);
	list_del(&t->node);
	listener_leave(t->listener);
	loop_defer(loop_of(t), &t->later, tcp_free);
}

/* ---- bytes -------------------------------------------------------------------------------------------------- */

static void arm_idle(struct tcp *t, uint64_t ns);

static void on_idle(struct timer *timer)
{
	struct tcp *t = CAST(tcp, timer->arg);
	uint64_t quiet = loop_of(t)->now_ns - t->last_ns;

	if (quiet >= t->idle_ns)
		tcp_finish(t, TCP_IDLE);
	else
		arm_idle(t, t->idle_ns - quiet);
}

static void arm_idle(struct tcp *t, uint64_t ns)
{
	if (t->idle_ns)
		timer_arm(loop_of(t), &t->idle, ns, on_idle, t);
}

static void half_closed(struct tcp *t)
{
	if (t->idle_ns && t->idle_ns <= HALF_CLOSED_NS)
		return;
	t->idle_ns = HALF_CLOSED_NS;
	arm_idle(t, t->idle_ns);
}

static void move(struct tcp *t);

static void move_later(struct loop_deferred *d)
{
	move(container_of(d, struct tcp, later));
}

static bool move_one(struct tcp *t, struct relay *r, struct conn *from, struct conn *to)
{
	bool was_shut = r->shut;

	switch (relay_move(r, from, to, &t->all->pipes)) {
	case RELAY_FROM_BROKE:
		tcp_finish(t, from == &t->down ? TCP_CLIENT : TCP_HOST);
		return false;
	case RELAY_TO_BROKE:
		tcp_finish(t, to == &t->down ? TCP_CLIENT : TCP_HOST);
		return false;
	case RELAY_MORE:
		loop_defer(loop_of(t), &t->later, move_later);
		break;
	case RELAY_WAIT:
		break;
	}
	if (r->shut && !was_shut)
		half_closed(t);
	return true;
}

static void move(struct tcp *t)
{
	uint64_t before = t->request.bytes + t->response.bytes;

	if (!move_one(t, &t->request, &t->down, &t->up) || !move_one(t, &t->response, &t->up, &t->down))
		return;
	if (t->request.bytes + t->response.bytes != before) {
		t->last_ns = loop_of(t)->now_ns;
		count(t);
	}
	if (t->request.shut && t->response.shut)
		tcp_finish(t, TCP_DONE);
}

/* ---- the host ----------------------------------------------------------------------------------------------- */

static void dial(struct tcp *t);
static void next_host(struct tcp *t, int err);

static void up_open(struct conn *c)
{
	struct tcp *t = container_of(c, struct tcp, up);

	/* Long connections keep no snapshot alive but by their cluster. */
	hold_drop(t->hold);
	t->hold = NULL;
	t->conf = NULL;
	t->last_ns = loop_of(t)->now_ns;
	t->took_ns = t->last_ns - t->dialled_ns;
	arm_idle(t, t->idle_ns);
	move(t);
}

static void up_failed(struct conn *c, int err)
{
	next_host(container_of(c, struct tcp, up), err);
}

static void up_event(struct conn *c)
{
	struct tcp *t = container_of(c, struct tcp, up);

	move(t);
}

static const struct conn_events up_events = { up_open, up_event, up_event, up_failed, false };

/* made: of the client's pod; -1: one of the proxy's own */
static int connect_by(struct tcp *t, int made, uint64_t waited_ns)
{
	const struct sock_options o = { .nodelay = true, .keepalive_s = KEEPALIVE_S, .user_timeout_ms = USER_TIMEOUT_MS };
	const struct layers_dial d = {
		.snap = t->all->worker->adoption.cur->snap, .conf = cluster_conf(t->pick.use), .to = t->pick.addr,
		.options = &o, .authority = t->down.peer->sni, .client = t->down.peer,
		.sessions = t->all->worker->sessions, .on = &up_events, .overload = t->all->worker->overload, .waited_ns = waited_ns,
	};

	return made < 0 ? layers_dial(&t->up, loop_of(t), &d) : layers_dial_by(&t->up, loop_of(t), made, &d);
}

static void next_host(struct tcp *t, int err)
{
	char to[ADDR_TEXT_MAX];

	log_debug(t->listener->name, "%s: %s%s%s", addr_text(&t->pick.addr, to), strerror(-err), t->up.detail ? ": " : "",
		  t->up.detail ? t->up.detail : "");
	conn_close(&t->up);
	pick_flag(&t->pick, STREAM_CONNECT_FAILED);
	unpick(t, false);
	dial(t);
}

/* Without a socket, or one of the pod, no other host can be asked either, and this one is not to blame. */
static void no_socket(struct tcp *t, int err)
{
	log_debug(t->listener->name, "no socket for the host: %s", strerror(-err));
	pick_undo(&t->pick);
	tcp_finish(t, TCP_CONNECT);
}

static void socket_came(void *arg, int fd, uint64_t waited_ns)
{
	struct tcp *t = CAST(tcp, arg);
	int err;

	t->wait = NULL;
	if (fd < 0) {
		no_socket(t, fd);
		return;
	}
	err = connect_by(t, fd, waited_ns);
	if (err)
		next_host(t, err);
}

/* -ENETDOWN: the pod is gone. */
static int connect_to(struct tcp *t)
{
	struct stock *stock = t->all->worker->stock;
	uint64_t netns = t->down.peer->netns;
	const struct ip *to = &t->pick.addr.ip;
	int fd;

	t->dialled_ns = loop_of(t)->now_ns;
	if (!netns)
		return connect_by(t, -1, 0);
	fd = stock_take(stock, netns, to);
	if (fd >= 0)
		return connect_by(t, fd, 0);
	if (fd == -EAGAIN)
		t->wait = stock_wait(stock, netns, to, cluster_conf(t->pick.use)->connect_ms, socket_came, t);
	return fd == -EAGAIN ? 0 : fd;
}

static enum tcp_end end_of(int err, const struct tcp *t)
{
	if (t->ask.ntried)
		return TCP_CONNECT;
	return err == -ENOENT ? TCP_NO_CLUSTER : err == -EBUSY || err == -ENOSPC ? TCP_OVERFLOW : TCP_NO_HOST;
}

static bool was_tried(const struct tcp *t)
{
	for (uint32_t i = 0; i < t->ask.ntried; i++) {
		if (t->ask.tried[i] == t->pick.key)
			return true;
	}
	return false;
}

static void place_came(struct cluster_wait *w, int err)
{
	struct tcp *t = container_of(w, struct tcp, place);

	if (err)
		tcp_finish(t, TCP_OVERFLOW);
	else
		dial(t);
}

/* As requests do, and in their queue. */
static bool waits_for_place(struct tcp *t)
{
	return !cluster_wait_begin(t->all->worker->clusters, t->ask.backend->cluster, &t->place, LIMIT_CONNECTIONS, place_came);
}

/* One host after another, until one can be connected to or none is left that was not tried. */
static void dial(struct tcp *t)
{
	while (t->ask.ntried < TRIES) {
		int err;

		t->ask.lb.now_ns = loop_of(t)->now_ns;
		err = cluster_pick(t->all->worker->clusters, &t->ask, CLUSTER_CONNECTION, &t->pick);
		if (err == -EBUSY && waits_for_place(t))
			return;
		if (err) {
			tcp_finish(t, end_of(err, t));
			return;
		}
		if (was_tried(t)) {
			pick_undo(&t->pick);
			break;
		}
		stat_add(&t->listener->stat->retried, t->ask.ntried > 0);
		t->ask.tried[t->ask.ntried++] = t->pick.key;
		t->host = t->pick.addr;
		err = connect_to(t);
		if ((err == -ENETDOWN && t->down.peer->netns) || err == -EMFILE || err == -ENFILE)
			no_socket(t, err);
		if (!err || !t->pick.use)
			return;
		pick_flag(&t->pick, STREAM_CONNECT_FAILED);
		unpick(t, false);
	}
	tcp_finish(t, TCP_CONNECT);
}

/* ---- the client --------------------------------------------------------------------------------------------- */

static void choose(struct tcp *t)
{
	const struct net_peer *peer = t->down.peer;
	const struct stream_rule *r = stream_rule_find(t->conf, peer);
	const struct route_backend *b = r ? stream_rule_backend(r, rand_u64(&t->all->rand)) : NULL;

	t->chosen_ns = loop_of(t)->now_ns;
	if (!b) {
		tcp_finish(t, TCP_NO_RULE);
		return;
	}
	t->ask = (struct cluster_ask){
		.lb = { .has_hash = true, .original = &peer->original },
		.backend = b, .listener = t->conf, .local = &peer->local,
	};
	t->ask.lb.hash = hash_bytes((struct slice){ (const char *)peer->source.ip.b, 16 }, HASH_STABLE);
	dial(t);
}

static void too_quiet(struct timer *timer)
{
	tcp_finish(CAST(tcp, timer->arg), TCP_HANDSHAKE);
}

/* Reads until the rules have what they ask for: the name in a ClientHello that is passed on, or that there is none. */
static void sniff(struct tcp *t)
{
	struct buf *b = &t->request.buf;
	struct slice sni = { 0 };
	ssize_t n;
	int err;

	do
		n = conn_read(&t->down, b, HELLO_BYTES - b->len);
	while (n > 0 && b->len < HELLO_BYTES);
	if (n < 0 && n != -EAGAIN) {
		tcp_finish(t, TCP_CLIENT);
		return;
	}
	t->request.bytes = b->len;
	t->request.eof = !n;
	err = client_hello_sni(buf_pull(b, b->len), t->all->hello, &sni);
	if (err == -EAGAIN && n == -EAGAIN && b->len < HELLO_BYTES)
		return;
	t->sniffing = false;
	timer_disarm(loop_of(t), &t->idle);
	t->sni = mem_dup(sni.p ? sni.p : "", sni.n);
	t->down.peer->sni = (struct slice){ t->sni, sni.n };
	choose(t);
}

static void down_open(struct conn *c)
{
	struct tcp *t = container_of(c, struct tcp, down);

	listener_conn_opened(t->listener, c);
	t->sniffing = !c->peer->tls && stream_rule_asks_sni(t->conf);
	if (!t->sniffing) {
		choose(t);
		return;
	}
	timer_arm(loop_of(t), &t->idle, t->conf->head_ms * MSEC, too_quiet, t);
	sniff(t);
}

static void down_failed(struct conn *c, int err)
{
	struct tcp *t = container_of(c, struct tcp, down);

	listener_conn_failed(t->listener, c, err);
	tcp_finish(t, TCP_HANDSHAKE);
}

/* While the host takes nothing the client is not read either, and its reset would be found behind what it sent. */
static bool is_gone(const struct tcp *t)
{
	bool waits = t->request.buf.len || (t->request.pipe && t->request.pipe->len);

	return waits && conn_was_reset(&t->down);
}

static void down_event(struct conn *c)
{
	struct tcp *t = container_of(c, struct tcp, down);

	if (t->sniffing)
		sniff(t);
	else if ((t->place.use && conn_was_reset(c)) || (t->up.opened && is_gone(t)))
		tcp_finish(t, TCP_CLIENT);
	else if (t->up.opened)
		move(t);
}

static const struct conn_events down_events = { down_open, down_event, down_event, down_failed, false };

void tcp_accepted(struct listener_use *u, const struct arrival *take_a)
{
	const struct sock_options o = { .keepalive_s = KEEPALIVE_S, .user_timeout_ms = USER_TIMEOUT_MS };
	struct tcps *all = u->worker->tcps;
	struct tcp *t = mem_alloc(sizeof(*t));

	t->magic = tcp_MAGIC;
	t->all = all;
	t->listener = u;
	t->conf = u->conf;
	t->hold = hold_use(&u->worker->adoption);
	t->idle_ns = (uint64_t)u->conf->idle_ms * MSEC;
	t->began_ns = t->last_ns = loop_of(t)->now_ns;
	list_add_tail(&all->list, &t->node);
	sock_configure(take_a->fd, &o);
	if (listener_conn_open(u, &t->down, take_a, &down_events))
		tcp_finish(t, TCP_HANDSHAKE);
}

/* ---- all of a worker ---------------------------------------------------------------------------------------- */

struct tcps *tcps_new(struct worker *w, bool splice)
{
	struct tcps *all = mem_alloc(sizeof(*all));

	all->worker = w;
	all->pipes.off = !splice;
	all->pipes.overload = w->overload;
	list_init(&all->list);
	rand_init(&all->rand);
	return all;
}

void tcps_free(struct tcps *all)
{
	if (!all)
		return;
	list_for(p, &all->list)
		tcp_finish(container_of(p, struct tcp, node), TCP_STOPPED);
	relay_pipes_fini(&all->pipes);
	free(all);
}
