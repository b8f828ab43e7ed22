// SPDX-License-Identifier: Apache-2.0
/* The router and the reference give the same answer over 10,000 random models, ten random requests each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "model/fact.h"
#include "model/matcher.h"
#include "route_kit.h"

#define MODELS 10000
#define REQUESTS 10
#define ROUTES_MAX 4

/* Few words, so that conditions and requests meet. */
static const char *const hosts[] = {
	"*", "example.org", "*.example.org", "a.example.org", "*.a.example.org", "Example.ORG:8080", "*.example.org:8080", "*:8080",
	"*:443", "example.org:80", "*.org", "[::1]", "[::1]:8080", "xample.org", "b.org.",
};
static const char *const asked_hosts[] = {
	"example.org", "example.org:8080", "EXAMPLE.org:80", "a.example.org", "b.a.example.org", "x.b.a.example.org:8080", "",
	"org", "b.org", "[::1]", "[::1]:8080", "example.org.", "xexample.org", "example.org:443", ":8080", "a.example.org:",
	".example.org", "example.org:08080",
};
static const char *const paths[] = {
	"=/", "=/a", "=/a/b", "=/a/", "^/", "^/a", "^/a/", "^/a/b", "^/ab", "^/a/b/c", "~/a.*", "~/[ab]/?", "~/(a/)*b", "^/a//",
};
static const char *const asked_paths[] = {
	"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/a/bc", "/b", "/b/", "*", "", "/a//", "/a//b", "/abc/d",
};
static const char *const names[] = { "x-a", "X-B", "g" };
static const char *const values[] = { "1", "12", "-5", "v1", "v", "007", "99999999999", "1x" };
static const char *const signs[] = { "=1", "=v1", "^v", "^1", "$1", "*2", "?", "!", "#1..13", "#-13..2", "#0..4000000000", "~v[0-9]?", "~[0-9]+" };
static const char *const identities[] = { "spiffe://a", "spiffe://b" };

#define PICK(r, list) ((list)[rand_below(r, sizeof(list) / sizeof((list)[0]))])

struct text {
	char v[2048];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->v + t->n, sizeof(t->v) - t->n, fmt, ap);
	va_end(ap);
	assert_true(t->n < sizeof(t->v));
}

static bool one_in(struct rand *r, uint32_t n)
{
	return !rand_below(r, n);
}

static void random_match(struct rand *r, struct text *t)
{
	static const char *const kinds[] = { "h", "q", "c" };

	if (!one_in(r, 4))
		put(t, "path%s ", PICK(r, paths));
	if (one_in(r, 3))
		put(t, "m=%s ", one_in(r, 2) ? "GET" : "PUT");
	for (uint32_t n = one_in(r, 2) ? 0 : rand_below(r, 4); n; n--)
		put(t, "%s:%s%s ", PICK(r, kinds), PICK(r, names), PICK(r, signs));
	if (one_in(r, 8))
		put(t, "svc%s ", PICK(r, signs));
	if (one_in(r, 8))
		put(t, "rpc%s ", PICK(r, signs));
	if (one_in(r, 6))
		put(t, "id=%s ", PICK(r, identities));
	put(t, " ");
}

static struct route *random_route(struct rand *r, unsigned i)
{
	struct kit_route k = { 0 };
	struct text name = { .n = 0 }, on = { .n = 0 };
	static struct text rules[KIT_RULES];
	struct route *route;

	put(&name, "r%u", i);
	put(&on, "%s", PICK(r, hosts));
	for (uint32_t n = rand_below(r, 3); n; n--)
		put(&on, ",%s", PICK(r, hosts));
	for (uint32_t n = 1 + rand_below(r, 5), at = 0; at < n; at++) {
		rules[at].n = 0;
		rules[at].v[0] = 0;
		for (uint32_t m = rand_below(r, 4); m; m--) {
			random_match(r, &rules[at]);
			if (m > 1)
				put(&rules[at], " | ");
		}
		k.rules[at] = rules[at].v;
	}
	k.name = name.v;
	k.hosts = on.v;
	route = kit_route(&k);
	return route;
}

static void random_request(struct rand *r, struct text *t)
{
	put(t, "%s %s://%s%s", one_in(r, 2) ? "GET" : "PUT", one_in(r, 4) ? "https" : "http", PICK(r, asked_hosts),
	    PICK(r, asked_paths));
	for (uint32_t n = rand_below(r, 4), i = 0; i < n; i++) {
		const char *equals = one_in(r, 8) ? "" : "=";

		put(t, "%c%s%s%s", i ? '&' : '?', PICK(r, names), equals, *equals ? PICK(r, values) : "");
	}
	for (uint32_t n = rand_below(r, 4); n; n--)
		put(t, "|%s: %s", PICK(r, names), one_in(r, 8) ? "" : PICK(r, values));
	for (uint32_t n = rand_below(r, 3); n; n--)
		put(t, "|Cookie: %s=%s;%s = \"%s\"; ;", PICK(r, names), PICK(r, values), PICK(r, names), PICK(r, values));
	if (one_in(r, 4))
		put(t, "|@svc=%s", PICK(r, values));
	if (one_in(r, 4))
		put(t, "|@rpc=%s", PICK(r, values));
	if (one_in(r, 2))
		put(t, "|@id=%s", PICK(r, identities));
}

struct first {
	char name[128];
};

static bool keep_first(void *arg, const struct route_candidate *c)
{
	struct first *f = arg;

	if (c->lack != ROUTE_LACK_NOTHING)
		return true;
	kit_hit_name(&c->hit, f->name);
	return false;
}

static void one_request(struct rand *r, struct arena *a, const struct router *router, struct matcher *mt,
			const struct route *const *routes, size_t n, unsigned model, size_t *hits)
{
	struct first listed = { "-" };
	char want[128], got[128] = "-";
	struct text text = { .n = 0 };
	struct kit_request q;
	struct route_hit hit;

	random_request(r, &text);
	kit_request(a, text.v, &q);
	reference_match(routes, n, &q, want);
	if (router_match(router, mt, &q.m, q.identity, &hit))
		kit_hit_name(&hit, got);
	if (strcmp(got, want))
		fail_msg("model %u, %s: %s, but the reference says %s", model, text.v, got, want);
	router_each(router, mt, &q.m, q.identity, keep_first, &listed);
	if (strcmp(listed.name, want))
		fail_msg("model %u, %s: listed %s, but the reference says %s", model, text.v, listed.name, want);
	*hits += got[0] != '-';
}

static void test_random(void **state)
{
	struct matcher *mt = matcher_new();
	struct arena a;
	struct rand r;
	size_t hits = 0;

	(void)state;
	rand_seed(&r, 20240611);
	arena_init(&a);
	for (unsigned model = 0; model < MODELS; model++) {
		const struct route *routes[ROUTES_MAX];
		uint32_t n = 1 + rand_below(&r, ROUTES_MAX);
		struct router *router;

		for (uint32_t i = 0; i < n; i++)
			routes[i] = random_route(&r, i);
		router = router_new(routes, n, 0, model + 1);
		for (unsigned i = 0; i < REQUESTS; i++)
			one_request(&r, &a, router, mt, routes, n, model, &hits);
		assert_true(router_drop(router));
		for (uint32_t i = 0; i < n; i++)
			fact_drop((struct fact *)&routes[i]->fact);
		arena_reset(&a);
	}
	/* Words that never meet would prove nothing. */
	assert_in_range(hits, MODELS * REQUESTS / 5, MODELS * REQUESTS * 4 / 5);
	arena_fini(&a);
	matcher_free(mt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("router against its reference", tests, NULL, NULL);
}
