/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /explain?http=METHOD and ?rpc=SERVICE: which rule a request would meet, and what would become of it. Asked of the routers of the
 * agent's own snapshot, which are the proxy's: same facts, same code.
 */
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/explain_request.h"
#include "agent/route_words.h"
#include "agent/taking.h"
#include "agent/view.h"
#include "base/clock.h"
#include "model/dump.h"
#include "model/matcher.h"
#include "model/rewrite.h"
#include "proxy/foresee.h"
#include "proto/grpc.h"
#include "weft/str.h"

#define RUNNERS_UP_MAX 20

static json_t *take_words(char *take_text)
{
	json_t *j = dump_text(slice_str(take_text));

	free(take_text);
	return j;
}

static json_t *mark_text(const struct fact *f)
{
	struct fact_mark m = fact_mark(f);
	char out[256];

	return dump_text(slice_str(fact_mark_name(&m, out, sizeof(out))));
}

static json_t *request_json(const struct msg *m)
{
	json_t *headers = json_array();

	for (uint32_t i = 0; i < m->nheaders; i++)
		json_array_append_new(headers, json_pack("[oo]", dump_text(m->headers[i].name), dump_text(m->headers[i].value)));
	return json_pack("{so so so so so}", "method", dump_text(m->method), "scheme", dump_text(m->scheme), "authority",
			 dump_text(m->authority), "path", dump_text(m->path), "headers", headers);
}

/* ---- the rule and those behind it --------------------------------------------------------------------------- */

static json_t *rule_json(const struct route_hit *hit)
{
	return json_pack("{so si si so so so}", "route", dump_text(hit->route->name), "rule", (int)hit->rule_index, "match",
			 (int)hit->match_index, "matches", take_words(route_match_words(hit->match)), "action",
			 take_words(route_action_words(hit->rule)), "source", mark_text(&hit->route->fact));
}

struct others {
	const struct explain_request *q;
	json_t *list;
	size_t more;                            /* beyond those listed */
	size_t elsewhere;                       /* another path is asked for */
	const char *why;                        /* the first one behind the winner is behind because of ... */
	bool won;                               /* the winner was seen */
};

/* 'header x-user Exact bob: the request has "alice"' */
static json_t *lack_text(const struct route_candidate *c, const struct explain_request *q)
{
	char *want;
	json_t *j;

	if (c->lack == ROUTE_LACK_METHOD)
		return json_sprintf("method %.*s: the request has %.*s", SLICE_ARG(c->hit.match->method), SLICE_ARG(q->m.method));
	if (c->lack == ROUTE_LACK_IDENTITY)
		return json_string(q->identity.n ? "another client identity" : "a client identity (--from)");
	want = route_condition_words(c->lack, c->condition);
	if ((c->lack == ROUTE_LACK_SERVICE || c->lack == ROUTE_LACK_RPC_METHOD) && !(q->m.flags & MSG_GRPC) && !q->rpc)
		j = json_sprintf("%s: the request is no gRPC call: a POST with content-type application/grpc", want);
	else
		j = c->has.p ? json_sprintf("%s: the request has \"%.*s\"", want, SLICE_ARG(c->has)) :
		       json_sprintf("%s: the request has none", want);
	free(want);
	/* Not UTF-8: what the request has cannot be shown. */
	return j ? j : json_string(route_lack_words[c->lack]);
}

static bool other_add(void *arg, const struct route_candidate *c)
{
	struct others *o = arg;
	json_t *row;

	if (c->lack == ROUTE_LACK_NOTHING && !o->won) {
		o->won = true;
		return true;
	}
	if (c->lack == ROUTE_LACK_PATH) {
		o->elsewhere++;
		return true;
	}
	if (c->behind && !o->why)
		o->why = c->behind;
	if (json_array_size(o->list) == RUNNERS_UP_MAX) {
		o->more++;
		return true;
	}
	row = rule_json(&c->hit);
	if (c->behind)
		json_object_set_new(row, "behind", json_string(c->behind));
	else
		json_object_set_new(row, "lacks", lack_text(c, o->q));
	json_array_append_new(o->list, row);
	return true;
}

/* ---- where it goes ------------------------------------------------------------------------------------------ */

/* Where the hash leads, when that is known beforehand. */
static void sent_to(const struct agent *a, const struct cluster *c, const struct route_backend *b, const struct route_hash *h, json_t *o)
{
	struct cluster_ask ask = { .backend = b, .lb = { .now_ns = clock_ns(), .has_hash = true, .hash = h->value } };
	const struct host *host;
	struct conf_address at;
	char text[64];

	if (!h->has || h->set_cookie.n || !foresee_can(c->conf))
		return;
	host = foresee_host(a->publish.now, &a->states.overlay, a->conf.lbs, &ask);
	if (!host)
		return;
	at = (struct conf_address){ host->ip, host->port };
	json_object_set_new(o, "sentTo", json_string(conf_address_name(&at, text)));
}

static json_t *backend_json(const struct agent *a, const struct route_backend *b, const struct route_hash *h, uint64_t sum)
{
	const struct cluster *c = snapshot_cluster(a->publish.now, b->cluster);
	json_t *o = json_pack("{so so si sf}", "cluster", dump_text(b->cluster), "subset",
			      take_words(route_subset_words(b->subset, b->nsubset)), "weight", (int)b->weight, "share",
			      sum ? (double)b->weight / (double)sum : 0.0);
	const char *fallback;

	if (!c)
		return o;
	if (c->conf->absent) {
		json_object_set_new(o, "absent", json_true());
		return o;
	}
	json_object_set_new(o, "algorithm", dump_text(cluster_balancer(c->conf)));
	json_object_set_new(o, "hosts", taking_json(a, c, b, &fallback));
	if (fallback)
		json_object_set_new(o, "fallback", json_string(fallback));
	sent_to(a, c, b, h, o);
	return o;
}

static json_t *backends_json(const struct agent *a, const struct route_rule *r, const struct route_hash *h)
{
	json_t *list = json_array();
	uint64_t sum = 0;

	for (size_t i = 0; i < r->nbackends; i++)
		sum += r->backends[i].weight;
	for (size_t i = 0; i < r->nbackends; i++)
		json_array_append_new(list, backend_json(a, &r->backends[i], h, sum));
	return list;
}

static json_t *retry_on_json(const struct route_rule *r)
{
#define RETRY_ON_WORD_(NAME, word) word,
	static const char *const words[] = { RETRY_ONS(RETRY_ON_WORD_) };
#undef RETRY_ON_WORD_
	json_t *list = json_array();

	for (unsigned i = 0; i < RETRY_ON_COUNT; i++) {
		if (r->retry_on >> i & 1)
			json_array_append_new(list, json_string(words[i]));
	}
	return list;
}

/* What a request with JSON is made: docs/rpc.md. */
static json_t *calls_json(const struct route_rule *r)
{
	json_t *types = json_array();

	for (size_t i = 0; i < r->nrpc_arguments; i++)
		json_array_append_new(types, dump_text(r->rpc_arguments[i].value));
	return json_pack("{so so so so so}", "service", dump_text(r->rpc_service), "version", dump_text(r->rpc_version), "group",
			 dump_text(r->rpc_group), "method", dump_text(r->rpc_method), "arguments", types);
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

static bool wants_client(const struct route_rule *r)
{
	for (size_t i = 0; i < r->nhash; i++) {
		if (r->hash[i].kind == HASH_SOURCE_IP)
			return true;
	}
	return false;
}

static void hash_add(json_t *o, const struct route_hit *hit, struct matcher *mt, struct explain_request *q, struct route_hash *h)
{
	*h = (struct route_hash){ 0 };
	if (!hit->rule->nhash)
		return;
	if (wants_client(hit->rule) && !q->has_client) {
		json_object_set_new(o, "hash", json_null());
		json_object_set_new(o, "hashWants", json_string("the client's address: --client IP"));
		return;
	}
	if (route_hash(hit, mt, &q->m, &q->client, slice_eq_str(q->m.scheme, "https"), h))
		return;
	json_object_set_new(o, "hash", h->has ? json_sprintf("%016llx", (unsigned long long)h->value) : json_null());
	if (h->set_cookie.n)
		json_object_set_new(o, "setCookie", dump_text(h->set_cookie));
}

static void forward(struct agent *a, json_t *o, const struct route_hit *hit, struct matcher *mt, struct explain_request *q)
{
	const struct route_rule *r = hit->rule;
	struct route_hash h;
	int err;

	hash_add(o, hit, mt, q, &h);
	if (r->rpc_method.n && !q->rpc)
		json_object_set_new(o, "calls", calls_json(r));
	json_object_set_new(o, "backends", backends_json(a, r, &h));
	json_object_set_new(o, "timeouts", json_pack("{sI sI sI}", "requestMs", (json_int_t)r->timeout_ms, "backendRequestMs",
						     (json_int_t)r->try_timeout_ms, "idleMs", (json_int_t)r->idle_ms));
	json_object_set_new(o, "retries", json_pack("{si so si si si}", "attempts", (int)r->retries, "on", retry_on_json(r),
						    "budgetPercent", (int)r->budget_percent, "minPerSecond", (int)r->budget_min,
						    "otherHostsToConnect", ROUTE_CONNECTS_MORE));
	if (!router_backend(hit, mt)) {
		json_object_set_new(o, "outcome", json_pack("{ss si ss}", "type", "error", "status", 503, "why",
							    "no backend of the rule weighs anything"));
		return;
	}
	err = rewrite_request(hit, mt, &q->m);
	if (err) {
		json_object_set_new(o, "outcome", json_pack("{ss si ss*}", "type", "error", "status", 400, "why", rewrite_words(err)));
		return;
	}
	json_object_set_new(o, "outcome", json_pack("{ss}", "type", "forward"));
	json_object_set_new(o, "forwarded", request_json(&q->m));
}

static void outcome(struct agent *a, json_t *o, const struct route_hit *hit, struct matcher *mt, struct explain_request *q)
{
	const struct route_rule *r = hit->rule;

	if (r->redirect_status && q->rpc)
		json_object_set_new(o, "outcome", json_pack("{ss si ss}", "type", "error", "status", 404, "why",
							    "the route redirects, which is for HTTP alone"));
	else if (r->redirect_status)
		json_object_set_new(o, "outcome", json_pack("{ss si so}", "type", "redirect", "status", r->redirect_status, "location",
							    dump_text(redirect_location(hit, &q->m))));
	else if (r->direct_status)
		json_object_set_new(o, "outcome", json_pack("{ss si so}", "type", "direct", "status", r->direct_status, "body",
							    dump_text(r->direct_body)));
	else
		forward(a, o, hit, mt, q);
}

/* What a gRPC client hears where weft answers by itself; one of RPC hears what stands for the status in its protocol. */
static json_t *as_call(json_t *o, const struct explain_request *q)
{
	const struct msg *m = &q->m;
	json_t *outcome = json_object_get(o, "outcome"), *status = json_object_get(outcome, "status");
	int code = grpc_code_of_http((int)json_integer_value(status));

	if (!(m->flags & MSG_GRPC) && !q->rpc)
		return o;
	json_object_set_new(o, "call", json_pack("{so so}", "service", dump_text(m->service), "method", dump_text(m->rpc_method)));
	if (status && !q->rpc)
		json_object_set_new(outcome, "grpcStatus", json_pack("{si ss}", "code", code, "word", grpc_code_word(code)));
	return o;
}

static json_t *answer(struct agent *a, struct explain_request *q, struct matcher *mt)
{
	struct others others = { .q = q, .list = json_array() };
	struct slice host = router_host(q->router, &q->m);
	struct route_hit hit;
	bool met = router_match(q->router, mt, &q->m, q->identity, &hit);
	json_t *o = json_pack("{sO so so}", "at", q->at, "request", request_json(&q->m), "host",
			      host.p ? dump_text(host) : json_null());

	router_each(q->router, mt, &q->m, q->identity, other_add, &others);
	json_object_set_new(o, "runnersUp", others.list);
	json_object_set_new(o, "more", json_integer((json_int_t)others.more));
	json_object_set_new(o, "otherPaths", json_integer((json_int_t)others.elsewhere));
	if (met) {
		json_object_set_new(o, "rule", rule_json(&hit));
		json_object_set_new(o, "filters", view_filters_of(q->listener, hit.rule));
		json_object_set_new(o, "why", others.why ? json_sprintf("it %s", others.why) : json_string("no other rule matches"));
		outcome(a, o, &hit, mt, q);
		return as_call(o, q);
	}
	json_object_set_new(o, "why", json_string(host.p ? "no rule matches" : "no route has this host"));
	json_object_set_new(o, "outcome", json_pack("{ss si ss}", "type", "error", "status", 404, "why", "no route"));
	return as_call(o, q);
}

void view_explain_http(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct explain_request q;
	struct matcher *mt;
	struct err e = { 0 };

	if (!a->publish.now) {
		view_error(rs, 503, "there is no snapshot yet");
		return;
	}
	if (explain_request_init(&q, a->publish.now, rq, &e)) {
		view_error(rs, 400, "%s", err_text(&e));
	} else {
		mt = matcher_new();
		view_json(rs, answer(a, &q, mt));
		matcher_free(mt);
	}
	explain_request_fini(&q);
}
