/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/health_call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/protocols.h"
#include "net/addr.h"
#include "net/conn.h"
#include "net/sock.h"
#include "net/tlsctx.h"
#include "netio/proxy_protocol.h"
#include "netio/tls.h"
#include "weft/log.h"
#include "weft/str.h"

#define ANSWER_MAX 65536u                       /* bytes looked at for the head of an answer */
#define FIRST_MS 1000u                          /* first checks are spread over so much at most */
#define WHY_MAX 256
#define TURN_NS (10 * MSEC)                     /* asks again when too many are under way */

STAT_DEFINE(health_stat, "health", HEALTH_STATS);

enum known { UNKNOWN, HEALTHY, UNHEALTHY };

struct check {
	struct health *health;
	const struct cluster *cluster;          /* of the newest snapshot, as is host */
	const struct host *host;
	struct slice key;                       /* own */
	struct timer timer;                     /* until the next one; while one runs, its end */
	struct conn conn;
	struct tlsctx *tls;                     /* of its last connection; NULL: plain */
	struct buf in;
	llhttp_t parser;
	struct health_call *call;               /* over HTTP/2, while it runs */
	size_t got;                             /* bytes of the answer */
	bool running, seen;                     /* of this snapshot */
	enum known known;
	uint32_t row;                           /* results in a row that contradict known */
	char why[WHY_MAX];                      /* of the last failure */
};

static void begin(struct timer *t);

static const struct health_check *conf_of(const struct check *c)
{
	return &c->cluster->conf->health;
}

/* Whom checks ask for. */
static struct slice host_of(const struct check *c)
{
	return conf_of(c)->host.n ? conf_of(c)->host : c->cluster->name;
}

static struct slice path_of(const struct check *c)
{
	return conf_of(c)->path.n ? conf_of(c)->path : SLICE_LIT("/");
}

static struct net_addr addr_of(const struct check *c)
{
	uint16_t port = conf_of(c)->port;

	return (struct net_addr){ c->host->ip, port ? port : c->host->port };
}

/* ---- results ------------------------------------------------------------------------------------------------ */

/* Ten percent either way, so that checks which began together part. */
static uint64_t interval_ns(struct check *c)
{
	uint64_t ms = conf_of(c)->interval_ms;

	return (ms * 900 + rand_below(&c->health->rand, (uint32_t)(ms > 1 << 20 ? 1 << 20 : ms) + 1) * 200ull) * MSEC / 1000;
}

static void say(const struct check *c)
{
	struct net_addr a = addr_of(c);
	char subject[64], text[ADDR_TEXT_MAX];

	snprintf(subject, sizeof(subject), "%.*s", SLICE_ARG(c->cluster->name));
	if (c->known == HEALTHY)
		log_info(subject, "host %s is healthy", addr_text(&a, text));
	else
		log_warn(subject, "host %s is unhealthy: %s", addr_text(&a, text), c->why);
}

static void turn(struct check *c, enum known to)
{
	struct health *h = c->health;
	bool first = c->known == UNKNOWN;

	stat_set(&h->stat.unhealthy, stat_get(&h->stat.unhealthy) + (to == UNHEALTHY) - (c->known == UNHEALTHY));
	c->known = to;
	c->row = 0;
	/* A host whose first check is well is as it was thought to be. */
	if (!first || to == UNHEALTHY) {
		stat_add(&h->stat.turns, 1);
		say(c);
	}
	h->turned(h->arg, c->key, to == HEALTHY);
}

static void judge(struct check *c, bool ok)
{
	enum known is = ok ? HEALTHY : UNHEALTHY;
	uint32_t enough = ok ? conf_of(c)->healthy : conf_of(c)->unhealthy;

	stat_add(&c->health->stat.checks, 1);
	stat_add(&c->health->stat.failures, !ok);
	if (c->known == is)
		c->row = 0;
	else if (c->known == UNKNOWN || ++c->row >= enough)
		turn(c, is);
}

static void stop(struct check *c)
{
	/* A host that speaks TLS takes less for an attack. */
	if (c->tls && c->conn.opened)
		conn_shut(&c->conn);
	conn_close(&c->conn);
	buf_fini(&c->in);
	health_call_free(c->call);
	c->call = NULL;
	timer_disarm(c->health->loop, &c->timer);
	c->health->under_way -= c->running;
	c->running = false;
}

static void finish(struct check *c, const char *why)
{
	stop(c);
	if (why)
		snprintf(c->why, sizeof(c->why), "%s", why);
	timer_arm(c->health->loop, &c->timer, interval_ns(c), begin, c);
	judge(c, !why);
}

/* ---- TLS ---------------------------------------------------------------------------------------------------- */

static const struct secret *find_secret(void *arg, struct slice name)
{
	return (const struct secret *)snapshot_fact(arg, FACT_SECRET, name);
}

/* A port of its own may be anything. */
static bool by_http2(const struct check *c)
{
	const struct health_check *h = conf_of(c);

	return h->type == HEALTH_GRPC ||
	       (h->type == HEALTH_HTTP && !h->port && slice_eq_str(c->cluster->conf->protocol, "http2"));
}

/* The cluster's settings, with the one protocol that a check speaks. The same as the last time while no file changed. */
static int use_tls(struct check *c, struct err *e)
{
	static const struct slice http1[] = { { "http/1.1", 8 } }, http2[] = { { "h2", 2 } };
	const struct tlsctx_secrets secrets = { find_secret, (void *)c->health->snap };
	struct cluster_tls t = c->cluster->conf->tls;
	struct tlsctx *old = c->tls;

	if (by_http2(c) || (conf_of(c)->type == HEALTH_HTTP && t.nalpn)) {
		t.alpn = by_http2(c) ? http2 : http1;
		t.nalpn = 1;
	}
	c->tls = tlsctx_client(c->health->tls, &t, &secrets, e);
	tlsctx_drop(old);
	return c->tls ? 0 : -ENOKEY;
}

/* ---- one check ---------------------------------------------------------------------------------------------- */

static bool expected(const struct health_check *h, unsigned status)
{
	for (size_t i = 0; i < h->nexpect; i++)
		if (status >= h->expect[i].low && status <= h->expect[i].high)
			return true;
	return !h->nexpect && status == 200;
}

static int on_head(llhttp_t *p)
{
	/* Interim answers are followed by another. */
	return p->status_code < 200 ? 0 : HPE_PAUSED;
}

static const llhttp_settings_t settings = { .on_headers_complete = on_head };

/* finish() with what a layer said, or with the number in words. */
static void failed(struct check *c, int err)
{
	char why[WHY_MAX];

	snprintf(why, sizeof(why), "%s", c->conn.detail ? c->conn.detail : strerror(-err));
	finish(c, why);
}

static void ask(struct check *c)
{
	struct slice host = host_of(c), path = path_of(c);
	char *text = mem_printf("GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: weft-health/" WEFT_VERSION
				"\r\nAccept: */*\r\nConnection: close\r\n\r\n",
				SLICE_ARG(path), SLICE_ARG(host));
	struct buf out;
	ssize_t n;

	buf_init(&out);
	buf_add(&out, text, strlen(text));
	free(text);
	n = conn_write(&c->conn, &out);
	/* A new socket has room for a request. */
	if (n < 0 || out.len)
		finish(c, n < 0 ? strerror((int)-n) : "the request could not be sent");
	buf_fini(&out);
}

static void call_send(struct check *c)
{
	struct buf *out = health_call_out(c->call);
	ssize_t n = out->len ? conn_write(&c->conn, out) : 0;

	if (n < 0)
		finish(c, strerror((int)-n));
}

static void call(struct check *c)
{
	const struct health_check *h = conf_of(c);

	c->call = h->type == HEALTH_HEARTBEAT ? health_call_ping(protocol_rpc(c->cluster->conf->protocol)) :
		  h->type == HEALTH_GRPC      ? health_call_new(host_of(c), h->service, h->tls) :
						health_call_get(host_of(c), path_of(c), h->tls);
	if (c->call)
		call_send(c);
	else
		finish(c, "the call cannot be said in the host's protocol");
}

static void on_open(struct conn *conn)
{
	struct check *c = container_of(conn, struct check, conn);

	stat_add(&c->health->stat.handshakes, conn->peer->tls);
	if (conf_of(c)->type == HEALTH_TCP) {
		finish(c, NULL);
		return;
	}
	if (by_http2(c) || conf_of(c)->type == HEALTH_HEARTBEAT) {
		call(c);
		return;
	}
	llhttp_init(&c->parser, HTTP_RESPONSE, &settings);
	ask(c);
}

static void answered(struct check *c, unsigned status)
{
	char why[64];

	snprintf(why, sizeof(why), "HTTP status %u", status);
	finish(c, expected(conf_of(c), status) ? NULL : why);
}

static bool call_read(struct check *c)
{
	char words[WHY_MAX];

	if (health_call_read(c->call, &c->in)) {
		const char *why = health_call_why(c->call);
		int status = health_call_status(c->call);

		if (!why && status) {
			answered(c, (unsigned)status);
			return true;
		}
		/* The call goes before its last words are read. */
		snprintf(words, sizeof(words), "%s", why ? why : "");
		finish(c, why ? words : NULL);
		return true;
	}
	call_send(c);
	return !c->running;
}

/* True: there is no more to be read. */
static bool parse(struct check *c)
{
	if (c->call)
		return call_read(c);
	while (c->in.len) {
		struct slice s = buf_head(&c->in);
		llhttp_errno_t e = llhttp_execute(&c->parser, s.p, s.n);

		if (e == HPE_PAUSED) {
			answered(c, c->parser.status_code);
			return true;
		}
		if (e != HPE_OK) {
			finish(c, "the answer is not HTTP");
			return true;
		}
		buf_drop(&c->in, s.n);
	}
	return false;
}

static void on_readable(struct conn *conn)
{
	struct check *c = container_of(conn, struct check, conn);

	while (c->running) {
		ssize_t n = conn_read(&c->conn, &c->in, 4096);

		if (n == -EAGAIN)
			return;
		c->got += n > 0 ? (size_t)n : 0;
		if (n < 0)
			failed(c, (int)n);
		else if (!n)
			finish(c, "closed without an answer");
		else if (c->got > ANSWER_MAX)
			finish(c, "the head of the answer is too long");
		else if (parse(c))
			return;
	}
}

static void on_writable(struct conn *conn)
{
	struct check *c = container_of(conn, struct check, conn);

	if (c->call)
		call_send(c);
}

static void on_failed(struct conn *conn, int err)
{
	struct check *c = container_of(conn, struct check, conn);

	if (err == -ETIMEDOUT)
		finish(c, conn->connected ? "no TLS handshake in time" : "no connection in time");
	else if (conn->connected)
		failed(c, err);
	else
		finish(c, strerror(-err));
}

static const struct conn_events events = { on_open, on_readable, on_writable, on_failed, false };

static void too_late(struct timer *t)
{
	finish(t->arg, "no answer in time");
}

/* The PROXY header of a check is nobody's (LOCAL), and for the port that requests go to: another one is not behind it. */
static unsigned layers_of(const struct check *c, struct net_layer out[2])
{
	unsigned n = 0;

	if (c->cluster->conf->proxy_protocol && addr_of(c).port == c->host->port)
		out[n++] = (struct net_layer){ .ops = &proxy_protocol_out_ops };
	if (conf_of(c)->tls)
		out[n++] = (struct net_layer){ .ops = &tls_ops, .conf = c->tls };
	return n;
}

static int dial(struct check *c, struct err *e)
{
	const struct net_addr a = addr_of(c);
	const struct sock_options o = { .nodelay = true };
	struct net_layer layers[2];
	int err = conf_of(c)->tls ? use_tls(c, e) : 0, fd;

	if (err)
		return err;
	fd = a.port ? sock_connect(&a, NULL, &o) : -EDESTADDRREQ;
	if (fd < 0)
		return fd;
	err = conn_open(&c->conn, c->health->loop, fd, false, layers, layers_of(c, layers), conf_of(c)->timeout_ms, &events);
	return err || !conf_of(c)->tls ? err : conn_ask_for(&c->conn, host_of(c));
}

static void begin(struct timer *t)
{
	struct check *c = t->arg;
	struct health *h = c->health;
	struct err e = { 0 };
	int err;

	if (h->under_way >= HEALTH_PARALLEL) {
		timer_arm(h->loop, &c->timer, TURN_NS, begin, c);
		return;
	}
	c->running = true;
	c->got = 0;
	h->under_way++;
	c->conn = (struct conn){ .io.fd = -1 };
	buf_init(&c->in);
	err = dial(c, &e);
	if (err)
		finish(c, err_text(&e)[0] ? err_text(&e) : strerror(-err));
	else
		timer_arm(h->loop, &c->timer, conf_of(c)->timeout_ms * MSEC, too_late, c);
}

/* ---- which hosts -------------------------------------------------------------------------------------------- */

static void check_free(struct check *c)
{
	stop(c);
	tlsctx_drop(c->tls);
	stat_set(&c->health->stat.unhealthy, stat_get(&c->health->stat.unhealthy) - (c->known == UNHEALTHY));
	table_del(&c->health->checks, c->key);
	free((char *)c->key.p);
	free(c);
}

static struct check *check_new(struct health *h, const struct host *host, const struct cluster *cl)
{
	struct check *c = mem_alloc(sizeof(*c));
	uint32_t spread = cl->conf->health.interval_ms < FIRST_MS ? cl->conf->health.interval_ms : FIRST_MS;

	c->health = h;
	c->key = (struct slice){ mem_dup(host->fact.key.p, host->fact.key.n), host->fact.key.n };
	c->conn.io.fd = -1;
	table_put(&h->checks, c->key, c);
	/* Few are asked at once; many not all at the same time. */
	timer_arm(h->loop, &c->timer, cl->nhosts > 8 ? rand_below(&h->rand, spread + 1) * MSEC : 0, begin, c);
	return c;
}

/* What was checked before this change, and is no more. A healthy word clears what the checks said. */
static void forget(struct health *h, const struct cluster *old)
{
	for (size_t i = 0; old && i < old->nhosts; i++) {
		struct check *c = table_get(&h->checks, old->hosts[i]->fact.key);

		if (!c || c->seen)
			continue;
		if (c->known == UNHEALTHY)
			h->turned(h->arg, c->key, true);
		check_free(c);
	}
}

static bool checked(const struct cluster *c)
{
	return c && c->conf->health.type != HEALTH_NONE;
}

static void update_cluster(struct health *h, const struct cluster_change *change)
{
	const struct cluster *now = change->now;

	for (size_t i = 0; checked(now) && i < now->nhosts; i++) {
		struct check *c = table_get(&h->checks, now->hosts[i]->fact.key);

		if (!c)
			c = check_new(h, now->hosts[i], now);
		c->cluster = now;
		c->host = now->hosts[i];
		c->seen = true;
	}
	forget(h, change->old);
	for (size_t i = 0; checked(now) && i < now->nhosts; i++)
		((struct check *)table_get(&h->checks, now->hosts[i]->fact.key))->seen = false;
}

void health_update(struct health *h, const struct diff *d)
{
	/* The last snapshots are those of sources that stop, behind health_fini(). */
	if (!h->loop)
		return;
	h->snap = d->now;
	for (size_t i = 0; i < d->clusters.n; i++)
		update_cluster(h, &d->clusters.v[i]);
	stat_set(&h->stat.checked, h->checks.n);
	tlsctx_sweep(h->tls);
}

const char *health_words(const struct health *h, struct slice host_key)
{
	static char words[WHY_MAX + 16];
	const struct check *c = table_get(&h->checks, host_key);

	if (!c)
		return NULL;
	snprintf(words, sizeof(words), "unhealthy: %s", c->why);
	return c->known == UNKNOWN ? "not checked yet" : c->known == HEALTHY ? "healthy" : words;
}

void health_init(struct health *h, struct loop *l, void (*turned)(void *arg, struct slice host_key, bool healthy), void *arg)
{
	*h = (struct health){ .loop = l, .turned = turned, .arg = arg };
	rand_init(&h->rand);
	h->tls = tlsctx_maker_new();
	table_init(&h->checks, 0);
}

void health_fini(struct health *h)
{
	struct table_entry *e;

	if (!h->loop)
		return;
	while ((e = table_next(&h->checks, NULL)))
		check_free(e->value);
	table_fini(&h->checks);
	tlsctx_maker_free(h->tls);
	h->loop = NULL;
}
