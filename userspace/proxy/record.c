// SPDX-License-Identifier: Apache-2.0
#include "proxy/record.h"

#include <stdio.h>
#include <string.h>

#include "model/hold.h"
#include "proto/grpc.h"
#include "proxy/chain.h"
#include "proxy/grpc_call.h"
#include "proxy/journal.h"
#include "proxy/record_line.h"
#include "proxy/rpc_call.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define RPC_NAME_MAX 512                        /* bytes of service and method that have a row of their own */
_Static_assert(sizeof(struct rpc_stat) == sizeof(struct route_stat) + sizeof(uint64_t), "count_rpc");

static const char *const letters[] = {
#define LETTERS_(NAME, letters, text) letters,
	STREAM_FLAGS(LETTERS_)
#undef LETTERS_
};

int record_flags(char *out, size_t size, uint64_t flags)
{
	size_t n = 0;

	for (unsigned i = 0; i < STREAM_FLAG_COUNT; i++) {
		size_t k = strlen(letters[i]);

		if (!(flags >> i & 1) || n + k + 2 > size)
			continue;
		if (n)
			out[n++] = ',';
		memcpy(out + n, letters[i], k);
		n += k;
	}
	if (!n)
		out[n++] = '-';
	out[n] = '\0';
	return (int)n;
}

static void count_status(struct http_stat *st, int status)
{
	_Atomic uint64_t *const by_class[] = { &st->answers_1xx, &st->answers_2xx, &st->answers_3xx, &st->answers_4xx,
					       &st->answers_5xx };

	if (status >= 100 && status < 600)
		stat_add(by_class[status / 100 - 1], 1);
}

/* words: those of TOOK_STATS. */
static void count_took(_Atomic uint64_t *words, uint64_t us)
{
	static const uint64_t bounds_us[] = { 1000, 5000, 25000, 100000, 500000, 2500000, 10000000 };

	stat_add(words, us);
	for (size_t i = 0; i < sizeof(bounds_us) / sizeof(bounds_us[0]); i++)
		if (us <= bounds_us[i])
			stat_add(words + 1 + i, 1);
}

/* HTTP's, or what stands for the status of a gRPC call. */
static int status_of(const struct stream *s)
{
	return grpc_call(s) && s->response_end ? grpc_call_outcome(s) : s->info.status;
}

static void count(struct route_stat *st, const struct stream *s)
{
	const struct stream_info *in = &s->info;
	int status = status_of(s);

	stat_add(&st->requests, 1);
	if (status >= 200 && status < 300)
		stat_add(&st->answers_2xx, 1);
	else if (status >= 300 && status < 400)
		stat_add(&st->answers_3xx, 1);
	else if (status >= 400 && status < 500)
		stat_add(&st->answers_4xx, 1);
	else if (status >= 500)
		stat_add(&st->answers_5xx, 1);
	if (s->cut || in->flags & ~(1ull << STREAM_FAULT_DELAY))
		stat_add(&st->failed, 1);
	stat_add(&st->tries, in->tries);
	stat_add(&st->request_bytes, in->request_bytes);
	stat_add(&st->response_bytes, in->response_bytes);
	count_took(&st->took_us, in->end_ns / 1000);
}

/* A route names it, or a host has answered it with another status than that it does not have it. */
static bool is_method(const struct stream *s)
{
	const struct route_match *r = s->hit.match;
	int code = s->info.wire_status;

	if (!s->request.service.n)
		return false;
	return (r && r->service.type == TEXT_EXACT && r->rpc_method.type == TEXT_EXACT) ||
	       (!s->reply.status && code >= 0 && code != GRPC_UNIMPLEMENTED);
}

static void count_call(const struct stream *s)
{
	const struct stream_info *in = &s->info;
	const struct msg *m = &s->request;
	int code = in->wire_status;
	struct slice name = { m->service.p, m->service.n ? m->service.n + 1 + m->rpc_method.n : 0 };
	struct call_stat *st = traffic_call(&s->w->http->traffic, name, is_method(s));

	stat_add(&st->calls, 1);
	if (code == MSG_NO_STATUS)
		stat_add(&st->no_status, 1);
	else
		stat_add((_Atomic uint64_t *)st + 1 + (code < GRPC_CODE_COUNT ? code : GRPC_UNKNOWN), 1);
	stat_add(&st->local, s->reply.status && code != MSG_NO_STATUS);
	stat_add(&st->tries, in->tries);
	stat_add(&st->request_bytes, in->request_bytes);
	stat_add(&st->response_bytes, in->response_bytes);
	count_took(&st->took_us, in->end_ns / 1000);
}

/* As route_stat has them, with oneways behind. */
static void count_rpc(const struct stream *s)
{
	const struct msg *m = &s->request;
	const struct route_match *r = s->hit.match;
	bool named = r && r->service.type == TEXT_EXACT && r->rpc_method.type == TEXT_EXACT;
	char name[RPC_NAME_MAX];
	int n = snprintf(name, sizeof(name), "%.*s/%.*s", SLICE_ARG(m->service), SLICE_ARG(m->rpc_method));
	bool fits = n > 0 && (size_t)n < sizeof(name);
	struct rpc_stat *st = traffic_rpc(&s->w->http->traffic, (struct slice){ name, fits ? (size_t)n : 0 },
					  fits && (named || (!s->reply.status && s->info.status == 200)));

	count((struct route_stat *)st, s);
	stat_add(&st->oneways, m->kind == MSG_ONEWAY);
}

/* A request that no host was found for counts for its cluster, too, if there is such a one. */
static void count_traffic(const struct stream *s)
{
	struct traffic *t = &s->w->http->traffic;
	const struct cluster *c;

	if (!s->hit.rule)
		return;
	if (s->hit.route)
		count(traffic_row(t, TRAFFIC_ROUTE, s->hit.route->fact.slot, s->hit.route->name), s);
	if (s->info.tries) {
		count(traffic_row(t, TRAFFIC_CLUSTER, s->cluster_slot, s->info.cluster), s);
		return;
	}
	c = s->backend && s->hold ? snapshot_cluster(s->hold->snap, s->backend->cluster) : NULL;
	if (c)
		count(traffic_row(t, TRAFFIC_CLUSTER, c->slot, c->name), s);
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

bool record_wanted(const struct worker *w)
{
	return w->journal && journal_on(w->journal);
}

void record_put(struct worker *w, const struct record *r)
{
	unsigned on = journal_on(w->journal);
	char line[JOURNAL_LINE_MAX];

	for (int f = 0; f < JOURNAL_FORMATS; f++) {
		size_t n;

		if (!(on >> f & 1))
			continue;
		n = record_line(r, f == JOURNAL_JSON, &w->clock, line, sizeof(line));
		if (!journal_put(w->journal, w->index, f, line, n) && w->http)
			stat_add(&w->http->stat.records_lost, 1);
	}
}

static uint64_t span(uint64_t from, uint64_t to)
{
	return from && to > from ? to - from : 0;
}

/* Who ended it, and what was under way: two letters after HAProxy's. */
static void termination(const struct stream *s, char out[2])
{
#define FLAG(name) (1ull << STREAM_##name)
	static const char during[STREAM_STATE_COUNT] = {
		[STREAM_HEAD] = 'R',	[STREAM_ROUTE] = 'Q', [STREAM_FILTER] = 'F', [STREAM_PICK] = 'Q',   [STREAM_QUEUE] = 'Q',
		[STREAM_BACKOFF] = 'Q', [STREAM_CONNECT] = 'C', [STREAM_SEND] = 'H', [STREAM_WAIT] = 'H',
		[STREAM_RESPOND] = 'D', [STREAM_RELAY] = 'D', [STREAM_TUNNEL] = 'T', [STREAM_REPLY] = 'L',
		[STREAM_FLUSH] = 'L',	[STREAM_DONE] = 'L',
	};
	const uint64_t client = FLAG(CLIENT_CLOSED) | FLAG(CLIENT_MALFORMED);
	const uint64_t late = FLAG(UPSTREAM_TIMEOUT) | FLAG(TIMEOUT);
	const uint64_t host = FLAG(CONNECT_FAILED) | FLAG(UPSTREAM_CLOSED) | FLAG(UPSTREAM_RESET) | FLAG(UPSTREAM_MALFORMED);
	uint64_t f = s->info.flags;

	out[0] = f & client ? 'C' : f & late ? 's' : f & host ? 'S' : f ? 'P' : '-';
	out[1] = f ? during[s->flagged_in] : '-';
#undef FLAG
}

/* Empty where no gRPC client got one. */
static struct slice grpc_word(const struct stream *s)
{
	return slice_str(grpc_call(s) && s->info.wire_status != MSG_NO_STATUS ? grpc_code_word(s->info.wire_status) : "");
}

static void write_line(const struct stream *s)
{
	const struct stream_info *in = &s->info;
	const struct msg *m = &s->request;
	char flags[96], status[12];
	struct record r = {
		.method = m->method, .path = m->path_raw.n ? m->path_raw : m->path, .authority = m->authority,
		.protocol = slice_str(in->proto->name), .status = in->status, .detail = slice_str(in->detail),
		.bytes_in = in->request_bytes, .bytes_out = in->response_bytes,
		.head_ns = in->head_ns, .queue_ns = span(in->head_ns, in->picked_ns),
		.connect_ns = span(in->picked_ns, in->connected_ns), .answer_ns = span(in->connected_ns, in->first_byte_ns),
		.total_ns = in->end_ns, .listener = in->listener, .route = in->route, .cluster = in->cluster,
		.host = &s->host_addr, .tries = in->tries, .client = in->client, .identity = in->peer->identity,
		.request_id = msg_get(m, SLICE_LIT("x-request-id")), .traceparent = msg_get(m, SLICE_LIT("traceparent")),
		.forwarded_for = msg_get(m, SLICE_LIT("x-forwarded-for")), .user_agent = msg_get(m, SLICE_LIT("user-agent")),
		.original = &in->peer->original, .sni = in->peer->sni, .service = m->service, .rpc_method = m->rpc_method,
		.grpc_status = grpc_word(s), .notes = s->chain ? chain_notes(s) : NULL,
	};

	if (rpc_call(s) && in->wire_status != MSG_NO_STATUS)
		r.rpc_status = (struct slice){ status, (size_t)snprintf(status, sizeof(status), "%d", in->wire_status) };
	r.flags = (struct slice){ flags, (size_t)record_flags(flags, sizeof(flags), in->flags) };
	termination(s, r.termination);
	record_put(s->w, &r);
}

void record_write(const struct stream *s)
{
	struct http_stat *st = &s->w->http->stat;

	if (s->inner) {
		count_traffic(s);
		return;
	}
	count_status(st, status_of(s));
	stat_add(&st->request_bytes, s->info.request_bytes);
	stat_add(&st->response_bytes, s->info.response_bytes);
	if (s->cut)
		stat_add(&st->cut, 1);
	count_traffic(s);
	if (grpc_call(s))
		count_call(s);
	else if (rpc_call(s))
		count_rpc(s);
	if (record_wanted(s->w))
		write_line(s);
}
