// SPDX-License-Identifier: Apache-2.0
/* What a rule does to a request: paths, hosts, headers, redirects, hashes. Path tables are the Gateway API's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "model/fact.h"
#include "model/matcher.h"
#include "model/rewrite.h"
#include "route_kit.h"
#include "weft/str.h"

/* One route of one rule, and one request that meets it. */
struct rig {
	struct route *route;
	struct route_rule *rule;
	struct router *router;
	struct matcher *mt;
	struct arena arena;
	struct kit_request q;
	struct route_hit hit;
};

static void rig_init(struct rig *g, const char *match)
{
	*g = (struct rig){ .mt = matcher_new(), .route = kit_route(&(struct kit_route){ "r", "*", { match } }) };
	arena_init(&g->arena);
	g->rule = (struct route_rule *)g->route->rules;
}

static void rig_ask(struct rig *g, const char *request)
{
	const struct route *routes[] = { g->route };

	if (!g->router)
		g->router = router_new(routes, 1, 0, 1);
	kit_request(&g->arena, request, &g->q);
	assert_true(router_match(g->router, g->mt, &g->q.m, g->q.identity, &g->hit));
}

static void rig_fini(struct rig *g)
{
	assert_true(router_drop(g->router));
	fact_drop(&g->route->fact);
	arena_fini(&g->arena);
	matcher_free(g->mt);
}

#define assert_slice(s, text)                                                                                          \
	do {                                                                                                           \
		struct slice s_ = (s);                                                                                 \
		if (!slice_eq_str(s_, text))                                                                           \
			fail_msg("\"%.*s\", want \"%s\"", SLICE_ARG(s_), text);                                        \
	} while (0)

static void test_prefix(void **state)
{
	static const struct {
		const char *prefix, *with, *path, *want;
	} cases[] = {
		{ "/foo", "/xyz", "/foo/bar", "/xyz/bar" },
		{ "/foo", "/xyz/", "/foo/bar", "/xyz/bar" },
		{ "/foo/", "/xyz", "/foo/bar", "/xyz/bar" },
		{ "/foo/", "/xyz/", "/foo/bar", "/xyz/bar" },
		{ "/foo", "/xyz", "/foo", "/xyz" },
		{ "/foo", "/xyz", "/foo/", "/xyz/" },
		{ "/foo", "", "/foo/bar", "/bar" },
		{ "/foo", "", "/foo/", "/" },
		{ "/foo", "", "/foo", "/" },
		{ "/foo", "/", "/foo/", "/" },
		{ "/foo", "/", "/foo", "/" },
		{ "/foo", "/", "/foo/bar", "/bar" },
		{ "/foo", "/a", "/foo?x=/foo", "/a?x=/foo" },
		{ "/foo", "", "/foo?x", "/?x" },
		{ "/", "/a", "/b", "/a/b" },
		{ "/", "/a", "/", "/a/" },
		{ "/foo", "/foo", "/foo/x?y", "/foo/x?y" },
		{ "", "/a", "/b", "/a/b" },     /* no path in the match */
		{ "", "/", "/b/", "/b/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char match[64], request[64];
		struct rig g;

		snprintf(match, sizeof(match), *cases[i].prefix ? "path^%s" : "m=GET", cases[i].prefix);
		snprintf(request, sizeof(request), "GET http://h%s", cases[i].path);
		rig_init(&g, match);
		g.rule->rewrite = PATH_PREFIX;
		g.rule->rewrite_path = slice_str(cases[i].with);
		rig_ask(&g, request);
		assert_int_equal(rewrite_request(&g.hit, g.mt, &g.q.m), 0);
		assert_slice(g.q.m.path, cases[i].want);
		assert_slice(g.q.m.path_raw, cases[i].path);
		assert_true(g.q.m.flags & MSG_CHANGED);
		rig_fini(&g);
	}
}

static void test_full_and_regex(void **state)
{
	static const struct {
		uint8_t kind;
		const char *regex, *with, *path, *want;
	} cases[] = {
		{ PATH_FULL, "", "/new", "/old/x", "/new" },
		{ PATH_FULL, "", "/new", "/old?a=b", "/new?a=b" },
		{ PATH_FULL, "", "/new", "*", "*" },
		{ PATH_REGEX, "^/u/([0-9]+)/(.*)$", "/$2/by/$1", "/u/17/orders?x=1", "/orders/by/17?x=1" },
		{ PATH_REGEX, "/v[0-9]", "", "/v1/a", "/a" },
		{ PATH_REGEX, "/v[0-9]/", "", "/v1/a", "/a" },
		{ PATH_REGEX, ".*", "", "/v1/a?q", "/?q" },
		{ PATH_REGEX, "nothing", "x", "/v1/a?q", "/v1/a?q" },
		{ PATH_REGEX, "a", "b", "*", "*" },
		{ PATH_KEEP, "", "", "/v1?q", "/v1?q" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request[64];
		struct rig g;

		snprintf(request, sizeof(request), "GET http://h%s", cases[i].path);
		rig_init(&g, "");
		g.rule->rewrite = cases[i].kind;
		g.rule->rewrite_regex = slice_str(cases[i].regex);
		g.rule->rewrite_path = slice_str(cases[i].with);
		rig_ask(&g, request);
		assert_int_equal(rewrite_request(&g.hit, g.mt, &g.q.m), 0);
		assert_slice(g.q.m.path, cases[i].want);
		assert_int_equal(!!(g.q.m.flags & MSG_CHANGED), strcmp(cases[i].path, cases[i].want) != 0);
		rig_fini(&g);
	}
}

/* What an expression leaves of a path is brought into its one form; what has none is refused. */
static void test_regex_leaves_a_path(void **state)
{
	static const struct {
		const char *regex, *path, *want;
	} cases[] = {
		{ "x", "/a/.x./b", "/b" },
		{ "x", "/a/x/b", "/a//b" },
		{ "x", "/.x./.x./etc", "/etc" },
		{ "2", "/a%2Fz", NULL },
		{ "2F", "/a%2F41", "/aA" },
		{ "x", "/a%2Fx?%", "/a%2F?%" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request[64];
		struct rig g;

		snprintf(request, sizeof(request), "GET http://h%s", cases[i].path);
		rig_init(&g, "");
		g.rule->rewrite = PATH_REGEX;
		g.rule->rewrite_regex = slice_str(cases[i].regex);
		g.rule->rewrite_path = SLICE_LIT("");
		rig_ask(&g, request);
		assert_int_equal(rewrite_request(&g.hit, g.mt, &g.q.m), cases[i].want ? 0 : -EINVAL);
		assert_slice(g.q.m.path, cases[i].want ? cases[i].want : cases[i].path);
		rig_fini(&g);
	}
}

/* Of a path with which the expression reaches its bound half way nothing is replaced, and no host gets it. */
static void test_regex_bound(void **state)
{
	static char path[4096];
	struct slice before;
	char request[4200];
	struct rig g;

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	memcpy(path + 1, "x/", 2);
	snprintf(request, sizeof(request), "GET http://h%s", path);
	rig_init(&g, "");
	g.rule->rewrite = PATH_REGEX;
	g.rule->rewrite_regex = SLICE_LIT("x|(a*)*b");
	g.rule->rewrite_path = SLICE_LIT("y");
	rig_ask(&g, request);
	before = g.q.m.path;
	assert_int_equal(rewrite_request(&g.hit, g.mt, &g.q.m), -E2BIG);
	assert_ptr_equal(g.q.m.path.p, before.p);
	assert_non_null(strstr(rewrite_words(-E2BIG), "bound"));
	assert_int_equal(matcher_gave_up(g.mt).n > 0, g.hit.route != NULL);
	rig_fini(&g);
}

static void test_host_and_headers(void **state)
{
	static const struct header_change request[] = {
		{ HEADER_SET, SLICE_LIT("x-a"), SLICE_LIT("new") },
		{ HEADER_ADD, SLICE_LIT("x-b"), SLICE_LIT("2") },
		{ HEADER_REMOVE, SLICE_LIT("X-C"), { NULL, 0 } },
		{ HEADER_SET, SLICE_LIT("x-d"), SLICE_LIT("") },
	}, response[] = { { HEADER_SET, SLICE_LIT("server"), SLICE_LIT("weft") } };
	struct rig g;

	(void)state;
	rig_init(&g, "");
	g.rule->rewrite_host = SLICE_LIT("inner.local");
	g.rule->request_headers = request;
	g.rule->nrequest_headers = 4;
	g.rule->response_headers = response;
	g.rule->nresponse_headers = 1;
	rig_ask(&g, "GET http://outer/|Host: outer|X-A: 1|x-a: 2|x-b: 1|x-c: 1|x-c: 2");
	assert_int_equal(rewrite_request(&g.hit, g.mt, &g.q.m), 0);
	assert_slice(g.q.m.authority, "inner.local");
	assert_slice(msg_get(&g.q.m, SLICE_LIT("host")), "inner.local");
	assert_slice(msg_get(&g.q.m, SLICE_LIT("x-a")), "new");
	assert_int_equal(g.q.m.nheaders, 5);
	assert_slice(msg_get(&g.q.m, SLICE_LIT("x-b")), "1");
	assert_slice(msg_find_next(&g.q.m, msg_find(&g.q.m, SLICE_LIT("x-b")))->value, "2");
	assert_null(msg_find(&g.q.m, SLICE_LIT("x-c")));
	assert_non_null(msg_find(&g.q.m, SLICE_LIT("x-d")));
	assert_int_equal(rewrite_response(&g.hit, &g.q.m), 0);
	assert_slice(msg_get(&g.q.m, SLICE_LIT("server")), "weft");
	rig_fini(&g);
}

static void test_redirect(void **state)
{
	static const struct {
		const char *request, *scheme, *host;
		uint16_t port;
		uint8_t change;
		const char *path, *want;
	} cases[] = {
		{ "GET http://h/a?b", "", "", 0, PATH_KEEP, "", "http://h/a?b" },
		{ "GET http://h:8080/a", "", "", 0, PATH_KEEP, "", "http://h:8080/a" },
		{ "GET http://h:80/a", "", "", 0, PATH_KEEP, "", "http://h/a" },
		{ "GET https://h:443/a", "", "", 0, PATH_KEEP, "", "https://h/a" },
		{ "GET https://h:80/a", "", "", 0, PATH_KEEP, "", "https://h:80/a" },
		{ "GET http://h:8080/a", "https", "", 0, PATH_KEEP, "", "https://h/a" },
		{ "GET http://h:8080/a", "http", "", 0, PATH_KEEP, "", "http://h/a" },
		{ "GET http://h/a", "https", "", 8443, PATH_KEEP, "", "https://h:8443/a" },
		{ "GET http://h/a", "https", "", 443, PATH_KEEP, "", "https://h/a" },
		{ "GET http://h/a", "", "", 8080, PATH_KEEP, "", "http://h:8080/a" },
		{ "GET http://h:8080/a", "", "", 80, PATH_KEEP, "", "http://h/a" },
		{ "GET http://h:8080/a", "", "example.org", 0, PATH_KEEP, "", "http://example.org:8080/a" },
		{ "GET http://[::1]:8080/a", "", "", 0, PATH_KEEP, "", "http://[::1]:8080/a" },
		{ "GET http://[::1]/a", "https", "", 0, PATH_KEEP, "", "https://[::1]/a" },
		{ "GET http://h/a/b?q", "", "", 0, PATH_PREFIX, "/x", "http://h/x/b?q" },
		{ "GET http://h/a?q", "", "", 0, PATH_PREFIX, "", "http://h/?q" },
		{ "GET http://h/a/b?q", "", "", 0, PATH_FULL, "/x", "http://h/x?q" },
		{ "GET http:///a//evil", "", "", 0, PATH_PREFIX, "", "/evil" },
		{ "GET http:///a", "", "", 0, PATH_KEEP, "", "/a" },
		{ "GET http:///a", "https", "example.org", 0, PATH_KEEP, "", "https://example.org/a" },
		{ "GET http://h/a//evil", "", "", 0, PATH_PREFIX, "", "http://h//evil" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig g;

		rig_init(&g, "path^/a");
		g.rule->redirect_status = 302;
		g.rule->redirect_scheme = slice_str(cases[i].scheme);
		g.rule->redirect_host = slice_str(cases[i].host);
		g.rule->redirect_port = cases[i].port;
		g.rule->redirect_change = cases[i].change;
		g.rule->redirect_path = slice_str(cases[i].path);
		rig_ask(&g, cases[i].request);
		assert_slice(redirect_location(&g.hit, &g.q.m), cases[i].want);
		rig_fini(&g);
	}
}

/* ---- hashes ------------------------------------------------------------------------------------------------- */

static struct route_hash hash(struct rig *g, const char *request, uint8_t last_byte_of_source)
{
	struct net_peer peer = { 0 };
	struct route_hash h;

	peer.source.ip.b[15] = last_byte_of_source;
	rig_ask(g, request);
	assert_int_equal(route_hash(&g->hit, g->mt, &g->q.m, &peer.source.ip, slice_eq_str(g->q.m.scheme, "https"), &h), 0);
	return h;
}

static void hash_one(const struct hash_policy *p, const char *a, const char *b, const char *none)
{
	struct rig g;

	rig_init(&g, "");
	g.rule->hash = p;
	g.rule->nhash = 1;
	assert_true(hash(&g, a, 1).has);
	assert_int_equal(hash(&g, a, 1).value, hash(&g, a, 2).value);
	assert_int_not_equal(hash(&g, a, 1).value, hash(&g, b, 1).value);
	assert_false(hash(&g, none, 1).has);
	rig_fini(&g);
}

static void test_hash(void **state)
{
	struct rig g;

	(void)state;
	hash_one(&(struct hash_policy){ .kind = HASH_HEADER, .name = SLICE_LIT("x-user") }, "GET http://h/|X-User: a",
		 "GET http://h/|x-user: b", "GET http://h/");
	hash_one(&(struct hash_policy){ .kind = HASH_PARAM, .name = SLICE_LIT("u") }, "GET http://h/?u=a", "GET http://h/?u=b", "GET http://h/?v=a");
	hash_one(&(struct hash_policy){ .kind = HASH_COOKIE, .name = SLICE_LIT("sid") }, "GET http://h/|cookie: sid=1",
		 "GET http://h/|cookie: sid=2", "GET http://h/|cookie: x=1");
	rig_init(&g, "");
	g.rule->hash = &(struct hash_policy){ .kind = HASH_SOURCE_IP };
	g.rule->nhash = 1;
	assert_int_equal(hash(&g, "GET http://a/", 1).value, hash(&g, "GET http://b/x", 1).value);
	assert_int_not_equal(hash(&g, "GET http://a/", 1).value, hash(&g, "GET http://a/", 2).value);
	rig_fini(&g);
}

/* The value must not change: other nodes and other versions send the same client to the same host. */
static void test_hash_is_stable(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, "");
	g.rule->hash = &(struct hash_policy){ .kind = HASH_HEADER, .name = SLICE_LIT("x-user") };
	g.rule->nhash = 1;
	assert_int_equal(hash(&g, "GET http://h/|x-user: bob", 1).value, 0x1dba91e7a3afbcb2ull);
	rig_fini(&g);
}

static void test_hash_list(void **state)
{
	struct hash_policy list[] = {
		{ .kind = HASH_HEADER, .name = SLICE_LIT("a") },
		{ .kind = HASH_HEADER, .name = SLICE_LIT("b"), .terminal = true },
		{ .kind = HASH_HEADER, .name = SLICE_LIT("c") },
	};
	struct rig g;

	(void)state;
	rig_init(&g, "");
	g.rule->hash = list;
	g.rule->nhash = 3;
	/* b is terminal: c counts only without it. */
	assert_int_equal(hash(&g, "GET http://h/|b: 1|c: 1", 1).value, hash(&g, "GET http://h/|b: 1|c: 2", 1).value);
	assert_int_not_equal(hash(&g, "GET http://h/|a: 1|c: 1", 1).value, hash(&g, "GET http://h/|a: 1|c: 2", 1).value);
	assert_int_not_equal(hash(&g, "GET http://h/|a: 1|b: 1", 1).value, hash(&g, "GET http://h/|a: 2|b: 1", 1).value);
	/* The same text twice does not cancel out. */
	assert_int_not_equal(hash(&g, "GET http://h/|a: 1|b: 1", 1).value, hash(&g, "GET http://h/|a: 2|b: 2", 1).value);
	assert_int_not_equal(hash(&g, "GET http://h/|a: 1|b: 2", 1).value, hash(&g, "GET http://h/|a: 2|b: 1", 1).value);
	assert_false(hash(&g, "GET http://h/", 1).has);
	rig_fini(&g);
}

/* A new client gets a cookie by which it comes back to the host that it was given. */
static void test_hash_cookie(void **state)
{
	struct route_hash first, second, again;
	char request[128];
	struct rig g;

	(void)state;
	rig_init(&g, "");
	g.rule->hash = &(struct hash_policy){ .kind = HASH_COOKIE, .name = SLICE_LIT("sid"), .ttl_s = 3600, .http_only = true };
	g.rule->nhash = 1;
	first = hash(&g, "GET http://h/", 1);
	second = hash(&g, "GET http://h/", 1);
	assert_true(first.has);
	assert_int_not_equal(first.value, second.value);
	assert_true(slice_starts(first.set_cookie, SLICE_LIT("sid=")));
	assert_slice(((struct slice){ first.set_cookie.p + 20, first.set_cookie.n - 20 }), "; Max-Age=3600; Path=/; HttpOnly");
	snprintf(request, sizeof(request), "GET http://h/|cookie: %.20s", first.set_cookie.p);
	again = hash(&g, request, 1);
	assert_int_equal(again.value, first.value);
	assert_int_equal(again.set_cookie.n, 0);
	rig_fini(&g);
}

/* What a made cookie says beside its value, by policy and by how the client came. */
static void test_hash_cookie_words(void **state)
{
	static const struct {
		struct hash_policy policy;
		const char *request, *want;
	} cases[] = {
		{ { .ttl_s = 60 }, "GET http://h/", "; Max-Age=60; Path=/" },
		{ { .ttl_s = 60 }, "GET https://h/", "; Max-Age=60; Path=/; Secure" },
		{ { .session = true, .http_only = true, .path = SLICE_LIT("/a") }, "GET http://h/", "; Path=/a; HttpOnly" },
		{ { .ttl_s = 1, .secure = COOKIE_SECURE_NEVER, .same_site = SAME_SITE_LAX }, "GET https://h/", "; Max-Age=1; Path=/; SameSite=Lax" },
		{ { .session = true, .secure = COOKIE_SECURE_ALWAYS, .same_site = SAME_SITE_NONE, .http_only = true }, "GET http://h/",
		  "; Path=/; Secure; HttpOnly; SameSite=None" },
		{ { .session = true, .same_site = SAME_SITE_STRICT }, "GET http://h/", "; Path=/; SameSite=Strict" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hash_policy p = cases[i].policy;
		struct route_hash h;
		struct rig g;

		p.kind = HASH_COOKIE;
		p.name = SLICE_LIT("sid");
		rig_init(&g, "");
		g.rule->hash = &p;
		g.rule->nhash = 1;
		h = hash(&g, cases[i].request, 1);
		assert_true(h.has && h.set_cookie.n > 20);
		assert_slice(((struct slice){ h.set_cookie.p + 20, h.set_cookie.n - 20 }), cases[i].want);
		rig_fini(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix), cmocka_unit_test(test_full_and_regex), cmocka_unit_test(test_host_and_headers),
		cmocka_unit_test(test_regex_leaves_a_path), cmocka_unit_test(test_regex_bound),
		cmocka_unit_test(test_redirect), cmocka_unit_test(test_hash), cmocka_unit_test(test_hash_is_stable),
		cmocka_unit_test(test_hash_list), cmocka_unit_test(test_hash_cookie),
		cmocka_unit_test(test_hash_cookie_words),
	};

	return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
