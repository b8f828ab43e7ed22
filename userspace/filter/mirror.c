// SPDX-License-Identifier: Apache-2.0
/*
 * RequestMirror: some requests go to another cluster, too, and nobody waits for what it answers. The copy is sent as the
 * request comes and outlives it; where its host is slower than the request, it is given up: nothing holds up the request.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/rand.h"
#include "weft/conf.h"
#include "weft/filter.h"
#include "weft/str.h"

struct mirror {
	uint32_t line;                          /* 0: not given, but for a rule that gives it */
	struct slice cluster;
	double percent;
	uint64_t timeout;                       /* ns */
};

#define CLUSTER_HELP "whose hosts get the copies"
#define COMMON_ROWS                                                                                                    \
	CONF_ITEM(struct mirror, percent, "percent", PERCENT, .dflt = "100", .help = "of the requests that are copied"), \
	CONF_ITEM(struct mirror, timeout, "timeout", DURATION, .dflt = "10s", .min = 1000000, .max = 3600000000000ll,  \
		  .help = "of a copy, until its answer has ended")

static const struct conf_item listener_rows[] = {
	CONF_LINE_ITEM(struct mirror, line),
	CONF_ITEM(struct mirror, cluster, "cluster", CLUSTER, .help = CLUSTER_HELP "; must be given"),
	COMMON_ROWS,
	CONF_END
};
static const struct conf_item rule_rows[] = {
	CONF_ITEM(struct mirror, cluster, "cluster", CLUSTER, .required = true, .help = CLUSTER_HELP),
	COMMON_ROWS,
	CONF_END
};

static int listener_init(void *conf, struct err *e)
{
	const struct mirror *c = conf;

	return c->line && !c->cluster.n ? err_add(e, -EINVAL, "cluster is missing") : 0;
}

struct mirror_worker {
	struct rand rand;
	struct list copies;                     /* all that are under way */
};

/* Of a stream, until that has ended; of a worker, until its call has. */
struct copy {
	struct list node;
	struct client_call *call;
	struct copy **at;                       /* the stream's; NULL: it has ended */
	bool whole;                             /* all of the request was given to the call */
};

static const struct mirror *settings(const struct filter *f)
{
	return f->route_conf ? f->route_conf : f->conf;
}

static bool drawn(struct filter *f)
{
	struct mirror_worker *w = f->worker->state;

	return (double)(rand_u64(&w->rand) >> 11) * 0x1p-53 * 100 < settings(f)->percent;
}

static void forget(struct copy *c)
{
	if (c->at)
		*c->at = NULL;
	list_del(&c->node);
	free(c);
}

static void copy_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	(void)err;
	(void)status;
	(void)words;
	(void)trailers;
	forget(arg);
}

static void give_up(struct filter *f, struct copy **at)
{
	filter_note(f, SLICE_LIT("mirror"), SLICE_LIT("given up"));
	client_cancel((*at)->call);
	forget(*at);
}

/* A call of RPC is nothing that a call-out can say, and bytes behind an upgrade are not shown to filters. */
static bool is_copied(const struct msg *m)
{
	return m->method.n && !m->upgrade.n;
}

static enum filter_verdict mirror_request(struct filter *f, struct msg *m)
{
	static const struct client_events events = { .end = copy_end };
	const struct mirror *s = settings(f);
	struct client_ask ask = { .cluster = s->cluster, .method = m->method, .authority = m->authority, .path = m->path,
				  .headers = m->headers, .nheaders = m->nheaders, .timeout_ms = (uint32_t)(s->timeout / 1000000),
				  .max_body = UINT32_MAX, .stream = m->body_len != 0,
				  .body_len = m->body_len > 0 ? (uint64_t)m->body_len : 0 };
	struct mirror_worker *w = f->worker->state;
	struct copy **at = f->state, *c;
	int err;

	if (!is_copied(m) || !drawn(f))
		return FILTER_NEXT;
	c = calloc(1, sizeof(*c));
	if (c)
		c->call = client_call(f->worker->client, &ask, &events, c, &err);
	if (!c || !c->call) {
		free(c);
		filter_note(f, SLICE_LIT("mirror"), SLICE_LIT("not begun"));
		return FILTER_NEXT;
	}
	list_add_tail(&w->copies, &c->node);
	c->at = at;
	c->whole = !ask.stream;
	*at = c;
	filter_note(f, SLICE_LIT("mirror"), s->cluster);
	return FILTER_NEXT;
}

static enum filter_verdict mirror_body(struct filter *f, struct buf *b, bool end)
{
	struct copy **at = f->state;
	struct slice all;

	if (!*at)
		return FILTER_NEXT;
	all = buf_pull(b, b->len);
	if (!all.p || client_send((*at)->call, all, end))
		give_up(f, at);
	else
		(*at)->whole = end;
	return FILTER_NEXT;
}

/* What is whole goes on alone; what is not must not look so. */
static void mirror_done(struct filter *f)
{
	struct copy **at = f->state;

	if (!*at)
		return;
	if ((*at)->whole)
		(*at)->at = NULL;
	else
		give_up(f, at);
}

static int mirror_worker_init(struct filter_worker *w, struct err *e)
{
	struct mirror_worker *m = w->state;

	(void)e;
	rand_init(&m->rand);
	list_init(&m->copies);
	return 0;
}

/* The calls are gone, and have told nobody. */
static void mirror_worker_fini(struct filter_worker *w)
{
	struct mirror_worker *m = w->state;

	while (!list_empty(&m->copies))
		forget(container_of(m->copies.next, struct copy, node));
}

extern const struct filter_ops filter_mirror;
const struct filter_ops filter_mirror = {
	.name = "RequestMirror",
	.watches_bodies = true,
	.listener = { listener_rows, sizeof(struct mirror), listener_init, NULL },
	.route = { rule_rows, sizeof(struct mirror), NULL, NULL },
	.worker_size = sizeof(struct mirror_worker),
	.state_size = sizeof(struct copy *),
	.worker_init = mirror_worker_init,
	.worker_fini = mirror_worker_fini,
	.request = mirror_request,
	.request_body = mirror_body,
	.done = mirror_done,
};
