/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody else decides: filter "ext-authz" asks a service of a cluster about each request, net filter "ext-admit" about each
 * connection. Over HTTP the service gets the request's path, or of RPC its service, and its body where `body` is set: 200 lets it
 * pass, with the answer's x-auth-* headers; any other answer is the client's. Over gRPC it gets the path in one message: status 0
 * lets it pass, with what the answer says as x-auth-user; any other is 403 with its words. As a stream it gets the path, and each
 * message that it says comes back to it, until it says "yes" or ends. With `keys` each worker fetches them at its start, and again
 * from time to time, and requests wait for the first ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/plugin.h>

enum { AUTH_HEADERS = 16, AUTH_WORDS = 200, AUTH_KEYS = 64 };

enum how { BY_HTTP, BY_GRPC, BY_STREAM };
static const char *const hows[] = { "http", "grpc", "stream", NULL };

struct authz_conf {
	struct slice cluster, path, keys;
	uint8_t how;                    /* enum how */
	uint64_t timeout_ns, body, max_answer;
	bool open;
};

static const struct conf_item authz_rows[] = {
	CONF_ITEM(struct authz_conf, cluster, "cluster", CLUSTER, .required = true, .help = "whose hosts decide"),
	CONF_ITEM(struct authz_conf, how, "protocol", ENUM, .names = hows, .dflt = "http", .help = "how they are asked"),
	CONF_ITEM(struct authz_conf, path, "path", STRING, .min = 1, .max = 200, .dflt = "/check", .help = "that is asked for"),
	CONF_ITEM(struct authz_conf, keys, "keys", STRING, .max = 200, .help = "path of keys that each worker fetches first; empty: none"),
	CONF_ITEM(struct authz_conf, timeout_ns, "timeout", DURATION, .min = 1000000, .dflt = "60s", .help = "of one question"),
	CONF_ITEM(struct authz_conf, open, "failOpen", BOOL, .dflt = "false", .help = "no answer: requests pass"),
	CONF_ITEM(struct authz_conf, body, "body", SIZE, .max = 1 << 20, .dflt = "0", .help = "bytes of the request's body that are shown; 0: none"),
	CONF_ITEM(struct authz_conf, max_answer, "maxAnswer", SIZE, .max = 1 << 20, .dflt = "64KiB", .help = "bytes of an answer"),
	CONF_END
};

/* One question, of a filter or a net filter. */
struct authz {
	struct filter *f;
	struct net_filter *nf;
	struct client_call *call;
	struct msg *head;               /* of the request, which waits */
	struct authz *next;             /* waits for keys, too */
	bool waits, allowed, over;
	int status;
	char words[AUTH_WORDS];
	struct slice type, body;        /* of the answer */
	struct msg_header headers[AUTH_HEADERS];
	size_t nheaders;
};

struct authz_worker {
	const struct authz_conf *conf;
	bool asks;
	struct authz *waiting;
	bool has_keys;
	size_t n;
	char keys[AUTH_KEYS];
};

static const struct authz_conf *conf_of(const struct authz *a)
{
	return a->f ? a->f->route_conf ? a->f->route_conf : a->f->conf : a->nf->conf;
}

/* ---- the answer ---- */

static void deny(struct authz *a)
{
	struct proto_reply r = { .status = a->status, .wire_status = MSG_NO_STATUS, .text = a->body, .content_type = a->type,
				 .headers = a->headers, .nheaders = a->nheaders };

	filter_note(a->f, SLICE_LIT("authz"), slice_str(a->words));
	filter_reply(a->f, &r, STREAM_DENIED, "the authorization service says no");
	filter_resume(a->f, FILTER_REPLY);
}

static void decide(struct authz *a)
{
	a->over = true;
	if (a->nf) {
		net_filter_resume(a->nf);
		return;
	}
	for (size_t i = 0; a->allowed && i < a->nheaders; i++)
		if (a->headers[i].name.n > 7 && !memcmp(a->headers[i].name.p, "x-auth-", 7))
			msg_set(a->head, a->headers[i].name, a->headers[i].value);
	if (a->allowed)
		filter_resume(a->f, FILTER_NEXT);
	else
		deny(a);
}

static void on_head(void *arg, const struct msg *m)
{
	struct authz *a = arg;

	a->status = m->status;
	for (uint32_t i = 0; a->f && i < m->nheaders && a->nheaders < AUTH_HEADERS; i++) {
		const struct msg_header *h = &m->headers[i];

		if (slice_eq_nocase(h->name, SLICE_LIT("content-type")))
			a->type = msg_dup(a->head, h->value);
		else if (h->name.n > 2 && !memcmp(h->name.p, "x-", 2))
			a->headers[a->nheaders++] = (struct msg_header){ msg_dup(a->head, h->name), msg_dup(a->head, h->value) };
	}
}

static void add_body(struct authz *a, struct slice d)
{
	char *p = msg_alloc(a->head, a->body.n + d.n);

	if (!p)
		return;
	if (a->body.n)
		memcpy(p, a->body.p, a->body.n);
	memcpy(p + a->body.n, d.p, d.n);
	a->body = (struct slice){ p, a->body.n + d.n };
}

static void on_data(void *arg, struct slice d)
{
	struct authz *a = arg;
	const struct authz_conf *c = conf_of(a);

	if (c->how == BY_STREAM && !(d.n == 3 && !memcmp(d.p, "yes", 3))) {
		if (client_send(a->call, d, false))
			client_send(a->call, (struct slice){ 0 }, true);
		return;
	}
	if (c->how == BY_STREAM) {
		client_cancel(a->call);
		a->call = NULL;
		a->allowed = true;
		decide(a);
	} else if (a->f && c->how == BY_GRPC && a->nheaders < AUTH_HEADERS) {
		a->headers[a->nheaders++] = (struct msg_header){ SLICE_LIT("x-auth-user"), msg_dup(a->head, d) };
	} else if (a->f) {
		add_body(a, d);
	}
}

static void on_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	struct authz *a = arg;
	const struct authz_conf *c = conf_of(a);

	a->call = NULL;
	snprintf(a->words, sizeof(a->words), "%d %s%s", err ? err : status, words, trailers ? " +" : "");
	log_info("ext-authz", "%.*s: %s", SLICE_ARG(c->cluster), a->words);
	a->allowed = err ? c->open : status == (c->how == BY_HTTP ? 200 : 0);
	if (err || c->how != BY_HTTP) {
		a->status = err ? 503 : 403;
		a->body = slice_str(a->words);
		a->nheaders = a->allowed ? a->nheaders : 0;
	}
	decide(a);
}

static const struct client_events events = { on_head, on_data, on_end };

/* ---- the question ---- */

static int ask(struct authz *a, struct client *by, struct slice what, struct slice body)
{
	const struct authz_conf *c = conf_of(a);
	struct msg_header headers[2] = { { SLICE_LIT("x-original"), what }, { SLICE_LIT("content-length"), SLICE_LIT("7") } };
	struct client_ask q = { .cluster = c->cluster, .path = c->path, .method = SLICE_LIT("POST"), .headers = headers,
				.nheaders = 2, .timeout_ms = (uint32_t)(c->timeout_ns / 1000000),
				.max_body = (uint32_t)c->max_answer, .body = body };
	int err = 0;

	if (c->how != BY_HTTP) {
		q.grpc = true;
		q.stream = c->how == BY_STREAM;
		q.body = what;
		q.max_body = q.stream ? 0 : q.max_body;
	}
	a->call = client_call(by, &q, &events, a, &err);
	if (a->call)
		return 0;
	snprintf(a->words, sizeof(a->words), "%d", err);
	a->allowed = c->open;
	a->status = 503;
	a->body = slice_str(a->words);
	return err;
}

static enum filter_verdict begin(struct authz *a, struct slice body)
{
	struct proto_reply r = { .status = 503, .wire_status = MSG_NO_STATUS };

	if (!ask(a, a->f->client, a->head->path.n ? a->head->path : a->head->service, body))
		return FILTER_WAIT;
	if (a->allowed)
		return FILTER_NEXT;
	filter_reply(a->f, &r, STREAM_DENIED, "the authorization service cannot be asked");
	return FILTER_REPLY;
}

/* ---- the filter ---- */

static enum filter_verdict authz_request(struct filter *f, struct msg *m)
{
	struct authz_worker *w = f->worker->state;
	struct authz *a = f->state;

	a->f = f;
	a->head = m;
	if (!w->has_keys) {
		a->waits = true;
		a->next = w->waiting;
		w->waiting = a;
		return FILTER_WAIT;
	}
	if (w->n)
		msg_set(m, SLICE_LIT("x-keys"), (struct slice){ w->keys, w->n });
	if (conf_of(a)->body && m->body_len) {
		filter_collect_body(f, (uint32_t)conf_of(a)->body);
		return FILTER_NEXT;
	}
	return begin(a, (struct slice){ 0 });
}

static enum filter_verdict authz_body(struct filter *f, struct buf *b, bool end)
{
	struct authz *a = f->state;

	if (!conf_of(a)->body || a->over || !end)
		return FILTER_NEXT;
	return begin(a, buf_pull(b, b->len));
}

static void authz_done(struct filter *f)
{
	struct authz_worker *w = f->worker->state;
	struct authz *a = f->state, **at = &w->waiting;

	if (a->waits) {
		while (*at != a)
			at = &(*at)->next;
		*at = a->next;
	}
	if (!a->over)
		log_info("ext-authz", "request ended before it was decided");
}

/* ---- keys of a worker ---- */

static void keys_data(void *arg, struct slice d)
{
	struct authz_worker *w = arg;
	size_t n = d.n < AUTH_KEYS - w->n ? d.n : AUTH_KEYS - w->n;

	memcpy(w->keys + w->n, d.p, n);
	w->n += n;
}

/* Without keys requests are asked about all the same. */
static void keys_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	struct authz_worker *w = arg;

	(void)trailers;
	log_info("ext-authz", "keys: %d %d %s", err, status, words);
	w->asks = false;
	w->has_keys = true;
	while (w->waiting) {
		struct authz *a = w->waiting;
		enum filter_verdict v;

		w->waiting = a->next;
		a->waits = false;
		v = authz_request(a->f, a->head);
		if (v != FILTER_WAIT)
			filter_resume(a->f, v);
	}
}

static int keys_ask(void *arg, struct client_ask *ask, bool again)
{
	struct authz_worker *w = arg;

	(void)again;
	*ask = (struct client_ask){ .cluster = w->conf->cluster, .path = w->conf->keys, .timeout_ms = 600000 };
	w->n = 0;
	w->asks = true;
	return 0;
}

static int64_t keys_wait(void *arg, int err, int status)
{
	(void)arg;
	return err || status != 200 ? 60000 : 300000;
}

static int authz_worker_init(struct filter_worker *w, struct err *e)
{
	static const struct client_watch_events keys = { keys_ask, { NULL, keys_data, keys_end }, keys_wait };
	struct authz_worker *s = w->state;

	s->conf = w->conf;
	s->has_keys = !s->conf->keys.n;
	if (s->has_keys || client_watch_start(w->client, &keys, NULL, s))
		return 0;
	return err_add(e, -ENOMEM, "keys: out of memory");
}

static void authz_worker_fini(struct filter_worker *w)
{
	const struct authz_worker *s = w->state;

	log_info("ext-authz", "worker ends%s", s->asks ? ", and its call with it" : "");
}

static const struct filter_ops ext_authz = {
	.name = "ext-authz",
	.listener = { authz_rows, sizeof(struct authz_conf), NULL, NULL },
	.route = { authz_rows, sizeof(struct authz_conf), NULL, NULL },
	.worker_size = sizeof(struct authz_worker),
	.state_size = sizeof(struct authz),
	.worker_init = authz_worker_init,
	.worker_fini = authz_worker_fini,
	.request = authz_request,
	.request_body = authz_body,
	.done = authz_done,
};

/* ---- the net filter ---- */

static int admit_open(struct net_filter *f)
{
	struct authz *a = f->state;
	char port[16];

	if (!a->nf) {
		a->nf = f;
		snprintf(port, sizeof(port), "%u", f->peer->source.port);
		if (!ask(a, f->client, slice_str(port), (struct slice){ 0 }))
			return -EAGAIN;
		a->over = true;
	}
	if (!a->over)
		return -EAGAIN;
	if (a->allowed)
		return 0;
	net_filter_why(f, "not admitted: %s", a->words);
	return -EACCES;
}

static void admit_close(struct net_filter *f)
{
	const struct authz *a = f->state;

	if (a->nf && !a->over)
		log_info("ext-authz", "connection ended before it was decided");
}

static const struct net_filter_ops ext_admit = {
	.name = "ext-admit",
	.conf = authz_rows,
	.conf_size = sizeof(struct authz_conf),
	.state_size = sizeof(struct authz),
	.open = admit_open,
	.close = admit_close,
};

WEFT_PLUGIN(.name = "ext-authz", .version = "1", .filters = (const struct filter_ops *const[]){ &ext_authz, NULL },
	    .net_filters = (const struct net_filter_ops *const[]){ &ext_admit, NULL });
