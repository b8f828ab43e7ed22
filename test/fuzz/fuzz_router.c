// SPDX-License-Identifier: Apache-2.0
/*
 * Routes and a request of any content. The first line of the input is a little program that makes routes of the words on
 * the other lines; the request is made of the same words. What the router answers is the first of what it lists, what the
 * reference says where that one can be asked, and what a rule does to the request leaves a request.
 */
#include <stdlib.h>
#include "lib/facts.h"
#include "model/matcher.h"
#include "model/regex.h"
#include "model/rewrite.h"
#include "unit/model/route_kit.h"
#include "unit/model/route_kit.c"
#include "unit/model/route_reference.c"

#define WORDS_MAX 32
#define ROUTES_MAX 3

struct input {
	struct source program;
	struct slice words[WORDS_MAX];
	size_t nwords;
	bool plain;                             /* the reference can be asked: no expression, no NUL */
};

static struct slice word(struct input *in)
{
	return in->words[source_below(&in->program, in->nwords)];
}

static void *make(struct fact *f, size_t n, size_t size)
{
	return n ? fact_alloc(f, n * size) : NULL;
}

static struct text_match text(struct input *in, bool path)
{
	static const uint8_t paths[] = { TEXT_ANY, TEXT_EXACT, TEXT_PREFIX, TEXT_REGEX };
	struct text_match t = { .type = source_below(&in->program, TEXT_MATCHES), .value = word(in) };

	if (path)
		t.type = paths[t.type % 4];
	if (t.type == TEXT_REGEX && regex_check(t.value, NULL))
		t.type = TEXT_EXACT;
	if (t.type == TEXT_REGEX)
		in->plain = false;
	t.low = source_below(&in->program, 3);
	t.high = t.low + source_below(&in->program, 200);
	return t;
}

static const struct text_match *texts(struct input *in, struct fact *f, size_t *n)
{
	struct text_match *v;

	*n = source_below(&in->program, 3);
	v = make(f, *n, sizeof(*v));
	for (size_t i = 0; i < *n; i++) {
		v[i] = text(in, false);
		v[i].name = word(in);
		/* As accepted routes have it. */
		if (!v[i].name.n)
			v[i].name = SLICE_LIT("x");
		if (v[i].type == TEXT_ANY)
			v[i].type = TEXT_PRESENT;
	}
	return v;
}

static void fill_match(struct input *in, struct fact *f, struct route_match *m)
{
	m->path = text(in, true);
	if (m->path.type == TEXT_PREFIX && (!m->path.value.n || m->path.value.p[0] != '/'))
		m->path.value = SLICE_LIT("/a");
	if (source_below(&in->program, 2))
		m->method = word(in);
	m->headers = texts(in, f, &m->nheaders);
	m->params = texts(in, f, &m->nparams);
	m->cookies = texts(in, f, &m->ncookies);
	if (source_below(&in->program, 4) == 0)
		m->service = text(in, true);
	if (source_below(&in->program, 4) == 0)
		m->rpc_method = text(in, true);
}

static void fill_rule(struct input *in, struct fact *f, struct route_rule *r)
{
	struct route_match *m;
	struct hash_policy *h = make(f, 1, sizeof(*h));

	r->nmatches = source_below(&in->program, 3);
	m = make(f, r->nmatches, sizeof(*m));
	for (size_t i = 0; i < r->nmatches; i++)
		fill_match(in, f, &m[i]);
	r->matches = m;
	r->rewrite = source_below(&in->program, PATH_REGEX + 1);
	r->rewrite_regex = word(in);
	r->rewrite_path = word(in);
	r->redirect_path = word(in);
	if (r->rewrite == PATH_REGEX && regex_check_replacement(r->rewrite_regex, r->rewrite_path, NULL))
		r->rewrite = PATH_KEEP;
	if (r->rewrite != PATH_REGEX && (!r->rewrite_path.n || r->rewrite_path.p[0] != '/'))
		r->rewrite_path = SLICE_LIT("/to");
	if (!r->redirect_path.n || r->redirect_path.p[0] != '/')
		r->redirect_path = SLICE_LIT("/to");
	r->redirect_change = source_below(&in->program, PATH_REGEX);
	r->redirect_port = source_below(&in->program, 2) * 8080;
	h->kind = source_below(&in->program, HASH_PARAM + 1);
	h->name = word(in);
	h->ttl_s = source_below(&in->program, 2);
	r->hash = h;
	r->nhash = 1;
}

static const struct route *route_of(struct input *in)
{
	struct fact *f = facts_named(FACT_ROUTE, "r", 1);
	struct route *r = (struct route *)f;
	struct slice *hosts = make(f, 2, sizeof(*hosts));
	struct route_rule *rules = make(f, 2, sizeof(*rules));

	for (r->nhosts = 0; r->nhosts < 2; r->nhosts++) {
		hosts[r->nhosts] = word(in);
		if (!router_host_valid(hosts[r->nhosts]))
			hosts[r->nhosts] = SLICE_LIT("*");
	}
	r->nrules = 1 + source_below(&in->program, 2);
	for (size_t i = 0; i < r->nrules; i++)
		fill_rule(in, f, &rules[i]);
	r->hosts = hosts;
	r->rules = rules;
	return r;
}

static void request_of(struct input *in, struct arena *a, struct kit_request *q)
{
	*q = (struct kit_request){ .m = { .kind = MSG_REQUEST, .arena = a } };
	q->m.method = word(in);
	q->m.scheme = word(in);
	q->m.authority = word(in);
	q->m.path = word(in);
	q->m.service = word(in);
	q->m.rpc_method = word(in);
	for (uint32_t n = source_below(&in->program, 6); n; n--) {
		struct slice name = source_below(&in->program, 2) ? word(in) : SLICE_LIT("cookie");

		assert_always(!msg_push(&q->m, name, word(in)));
	}
}

struct first {
	bool any;
	struct route_hit hit;
};

static bool first_that_matches(void *arg, const struct route_candidate *c)
{
	struct first *f = arg;

	if (c->lack != ROUTE_LACK_NOTHING)
		return true;
	f->any = true;
	f->hit = c->hit;
	return false;
}

static void act(const struct route_hit *hit, struct matcher *mt, struct msg *m)
{
	struct net_peer peer = { 0 };
	struct route_hash h, again;
	bool rooted = m->path.n && m->path.p[0] == '/';

	assert_always(!route_hash(hit, mt, m, &peer.source.ip, false, &h) && !route_hash(hit, mt, m, &peer.source.ip, false, &again));
	assert_always(h.has == again.has && (h.set_cookie.n || h.value == again.value));
	assert_always(redirect_location(hit, m).n);
	if (rewrite_request(hit, mt, m))
		assert_always(hit->rule->rewrite == PATH_REGEX);
	assert_always(!rooted || (m->path.n && m->path.p[0] == '/'));
}

static void ask(struct input *in, const struct route *const *routes, size_t n)
{
	struct router *router = router_new(routes, n, 0, 1);
	char want[128], got[128] = "-";
	struct matcher *mt = matcher_new();
	struct first first = { 0 };
	struct kit_request q;
	struct route_hit hit;
	struct arena a;
	bool met;

	arena_init(&a);
	request_of(in, &a, &q);
	met = router_match(router, mt, &q.m, q.identity, &hit);
	router_each(router, mt, &q.m, q.identity, first_that_matches, &first);
	assert_always(met == first.any);
	assert_always(!met || (hit.match == first.hit.match && hit.rule == first.hit.rule));
	if (met)
		kit_hit_name(&hit, got);
	if (in->plain)
		assert_always(!strcmp(reference_match(routes, n, &q, want), got));
	if (met)
		act(&hit, mt, &q.m);
	arena_fini(&a);
	matcher_free(mt);
	assert_always(router_drop(router));
}

static void read_words(struct input *in, const char *p, size_t n)
{
	const char *end = p + n;

	in->plain = !memchr(p, 0, n);
	while (in->nwords < WORDS_MAX - 1 && p < end) {
		const char *line = memchr(p, '\n', end - p);

		line = line ? line : end;
		in->words[in->nwords++] = (struct slice){ p, line - p };
		p = line + 1;
	}
	in->words[in->nwords++] = SLICE_LIT("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	const struct route *routes[ROUTES_MAX];
	struct input in = { 0 };
	size_t n;

	if (!line || size > 4096)
		return 0;
	in.program.p = data;
	in.program.n = line - data;
	read_words(&in, (const char *)line + 1, size - (line - data) - 1);
	n = 1 + source_below(&in.program, ROUTES_MAX);
	for (size_t i = 0; i < n; i++)
		routes[i] = route_of(&in);
	ask(&in, routes, n);
	for (size_t i = 0; i < n; i++)
		fact_drop((struct fact *)&routes[i]->fact);
	return 0;
}
