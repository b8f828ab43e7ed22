// SPDX-License-Identifier: Apache-2.0
/* Which rule a request meets: a table of routes and requests. Each line is asked of the router and of the reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/fact.h"
#include "model/matcher.h"
#include "model/regex.h"
#include "route_kit.h"
#include "weft/str.h"

#define GROUP_ROUTES 5
#define GROUP_CASES 40

struct group {
	const char *what;
	struct kit_route routes[GROUP_ROUTES];
	struct {
		const char *request, *want;
	} cases[GROUP_CASES];
};

#define GET "GET http://h"

static const struct group groups[] = {
	{ "a rule without conditions takes all",
	  { { "r", "*", { "" } } },
	  { { GET "/", "r/0/0" }, { GET "/a?b=c", "r/0/0" }, { "OPTIONS http://h*", "r/0/0" }, { "CONNECT http://h:80", "r/0/0" },
	    { "GET http:///", "r/0/0" } } },

	{ "exact path",
	  { { "r", "*", { "path=/a", "path=/a/", "path=/A", "path=/" } } },
	  { { GET "/a", "r/0/0" }, { GET "/a/", "r/1/0" }, { GET "/A", "r/2/0" }, { GET "/", "r/3/0" }, { GET "/a?x", "r/0/0" },
	    { GET "/a?", "r/0/0" }, { GET "/a/b", "-" }, { GET "/ab", "-" }, { GET "/aa", "-" }, { GET "//a", "-" }, { GET "/a//", "-" }, { GET "/?/a", "r/3/0" }, { GET "a", "-" },
	    { GET "/a;x", "-" }, { "POST http://h/a", "r/0/0" },
	    { GET "*", "-" }, { "CONNECT http://h", "-" }, { GET "/a%2f", "-" }, { GET "/a?/a/", "r/0/0" } } },

	{ "prefix: whole segments",
	  { { "r", "*", { "path^/v2", "path^/v20", "path^/v2/users", "path^/v2/users/all/" } } },
	  { { GET "/v2", "r/0/0" }, { GET "/v2/", "r/0/0" }, { GET "/v2/x", "r/0/0" }, { GET "/v2?x=/v20", "r/0/0" },
	    { GET "/v20", "r/1/0" }, { GET "/v20/x", "r/1/0" }, { GET "/v200", "-" }, { GET "/v2x", "-" }, { GET "/v", "-" },
	    { GET "/", "-" }, { GET "/v2/users", "r/2/0" }, { GET "/v2/users/", "r/2/0" }, { GET "/v2/users/7", "r/2/0" },
	    { GET "/v2/usersx", "r/0/0" }, { GET "/v2/users/all", "r/3/0" }, { GET "/v2/users/all/", "r/3/0" },
	    { GET "/v2/users/all/x", "r/3/0" }, { GET "/v2/users/allx", "r/2/0" }, { GET "/V2", "-" }, { GET "/x/v2", "-" },
	    { GET "*", "-" }, { "CONNECT http://h", "-" }, { GET "/v2//users", "r/0/0" } } },

	{ "prefix /",
	  { { "r", "*", { "path^/" } } },
	  { { GET "/", "r/0/0" }, { GET "/a", "r/0/0" }, { GET "/?", "r/0/0" }, { GET "//", "r/0/0" }, { GET "*", "-" },
	    { "CONNECT http://h:443", "-" }, { "OPTIONS http://h*", "-" } } },

	{ "path: exact before expression before the longest prefix",
	  { { "r", "*", { "path^/", "path^/a/b/c", "path~/a/.*", "path^/a", "path=/a/b", "path~/a/b", "" } } },
	  { { GET "/a/b", "r/4/0" }, { GET "/a/b/c", "r/2/0" }, { GET "/a/", "r/2/0" }, { GET "/a", "r/3/0" }, { GET "/ax", "r/0/0" },
	    { GET "/", "r/0/0" }, { GET "*", "r/6/0" } } },

	{ "expressions match the whole path, without the query",
	  { { "r", "*", { "path~/v[0-9]+", "path~/a|/b.*", "path~/[ab]" } } },
	  { { GET "/v1", "r/0/0" }, { GET "/v12?x", "r/0/0" }, { GET "/v1/", "-" }, { GET "/xv1", "-" }, { GET "/v", "-" },
	    { GET "/a", "r/1/0" }, { GET "/bcd", "r/1/0" }, { GET "/ab", "-" }, { GET "/x/a", "-" }, { GET "/b", "r/1/0" } } },

	{ "expressions and quantifiers",
	  { { "r", "*", { "path~/(?i:Mixed)", "path~/u/(?P<id>[0-9]{1,3})/x", "path~/\\w+\\.js", "path~/[^/]+/z$" } } },
	  { { GET "/mixed", "r/0/0" }, { GET "/MIXED", "r/0/0" }, { GET "/mixedx", "-" }, { GET "/u/123/x", "r/1/0" },
	    { GET "/u/1234/x", "-" }, { GET "/u//x", "-" }, { GET "/main.js", "r/2/0" }, { GET "/mainxjs", "-" },
	    { GET "/a/z", "r/3/0" }, { GET "/a/b/z", "-" } } },

	{ "method",
	  { { "r", "*", { "m=GET", "m=PUT", "path^/a", "path^/a m=PUT" } } },
	  { { GET "/", "r/0/0" }, { "PUT http://h/", "r/1/0" }, { "POST http://h/", "-" }, { "get http://h/", "-" },
	    { "GET http://h/a", "r/2/0" }, { "PUT http://h/a", "r/3/0" }, { "POST http://h/a", "r/2/0" },
	    { "GETX http://h/", "-" }, { "PUT http://h/ab", "r/1/0" } } },

	{ "a longer prefix that does not hold gives way to a shorter",
	  { { "r", "*", { "path^/a h:x=1", "path^/a/b h:x=2", "path^/a/b/c h:x=3", "path=/a/b/c h:x=4" } } },
	  { { GET "/a/b/c|x: 1", "r/0/0" }, { GET "/a/b/c|x: 2", "r/1/0" }, { GET "/a/b/c|x: 3", "r/2/0" },
	    { GET "/a/b/c|x: 4", "r/3/0" }, { GET "/a/b/c|x: 5", "-" }, { GET "/a/b|x: 3", "-" }, { GET "/a/b/c", "-" } } },

	{ "most headers, then most parameters, then order",
	  { { "r", "*", { "", "h:a?", "h:a? h:b?", "q:a? q:b? q:c?", "h:a? q:a?", "h:b?", "q:a?", "c:g?" } } },
	  { { GET "/", "r/0/0" }, { GET "/|a: 1", "r/1/0" }, { GET "/|b: 1", "r/5/0" }, { GET "/|a: 1|b: 1", "r/2/0" },
	    { GET "/?a&b&c", "r/3/0" }, { GET "/?a&b&c|a: 1", "r/4/0" }, { GET "/?a&b&c|b: 1", "r/5/0" }, { GET "/?a", "r/6/0" },
	    { GET "/?a|cookie: g=1", "r/6/0" }, { GET "/|cookie: g=1", "r/7/0" }, { GET "/?a|a: 1|b: 1", "r/2/0" } } },

	{ "method before headers",
	  { { "r", "*", { "h:a? h:b? h:c?", "m=GET", "m=GET h:a?" } } },
	  { { GET "/|a: 1|b: 1|c: 1", "r/2/0" }, { GET "/|b: 1|c: 1", "r/1/0" }, { "PUT http://h/|a: |b: |c: ", "r/0/0" } } },

	{ "ties: the first route, its first rule, its first match",
	  { { "b", "*", { "path=/x | path=/x", "path=/x" } }, { "a", "*", { "path=/x", "path^/y" } }, { "c", "*", { "path^/y" } } },
	  { { GET "/x", "b/0/0" }, { GET "/y", "a/1/0" }, { GET "/z", "-" } } },

	{ "matches of one rule count each by itself",
	  { { "r", "*", { "path=/b | path^/a", "path^/a/x | h:k=1", "path^/" } } },
	  { { GET "/b", "r/0/0" }, { GET "/a", "r/0/1" }, { GET "/a/x", "r/1/0" }, { GET "/c|k: 1", "r/1/1" }, { GET "/c", "r/2/0" },
	    { GET "/a|k: 1", "r/0/1" } } },

	{ "header: kinds of condition",
	  { { "r", "*", { "h:e=Bob", "h:p^ab", "h:s$yz", "h:c*mid", "h:x~[a-c]+", "h:n#10..20", "h:there?", "h:gone! h:asked?" } } },
	  { { GET "/|e: Bob", "r/0/0" }, { GET "/|e: bob", "-" }, { GET "/|E: Bob", "r/0/0" }, { GET "/|e: Bobb", "-" },
	    { GET "/|e: ", "-" }, { GET "/|p: ab", "r/1/0" }, { GET "/|p: abc", "r/1/0" }, { GET "/|p: xab", "-" },
	    { GET "/|p: a", "-" }, { GET "/|s: xyz", "r/2/0" }, { GET "/|s: yz", "r/2/0" }, { GET "/|s: z", "-" },
	    { GET "/|s: yzx", "-" }, { GET "/|c: amidb", "r/3/0" }, { GET "/|c: mi d", "-" }, { GET "/|x: abc", "r/4/0" },
	    { GET "/|x: abcd", "-" }, { GET "/|x: dabc", "-" }, { GET "/|x: ", "-" }, { GET "/|n: 10", "r/5/0" },
	    { GET "/|n: 19", "r/5/0" }, { GET "/|n: 20", "-" }, { GET "/|n: 9", "-" }, { GET "/|n: -15", "-" },
	    { GET "/|n: 15.0", "-" }, { GET "/|n: 0015", "r/5/0" }, { GET "/|n: 15x", "-" }, { GET "/|n: ", "-" },
	    { GET "/|n: 0xf", "-" }, { GET "/|n: 99999999999999999999", "-" }, { GET "/|n:  15", "-" }, { GET "/|there: ", "r/6/0" },
	    { GET "/|There: x", "r/6/0" }, { GET "/|asked: 1", "r/7/0" }, { GET "/|asked: 1|gone: ", "-" },
	    { GET "/|asked: 1|Gone: 1", "-" } } },

	{ "range: the ends of what a number can be",
	  { { "r", "*", { "h:a#0..1", "h:b#4294967294..4294967295", "h:c#0..4294967295" } } },
	  { { GET "/|a: 0", "r/0/0" }, { GET "/|a: 00", "r/0/0" }, { GET "/|a: 1", "-" }, { GET "/|a: -1", "-" },
	    { GET "/|b: 4294967294", "r/1/0" }, { GET "/|b: 4294967295", "-" }, { GET "/|b: 4294967293", "-" },
	    { GET "/|c: 4294967296", "-" }, { GET "/|c: -4294967295", "-" }, { GET "/|c: 8589934592", "-" } } },

	{ "range: below zero, and 64 bits",
	  { { "r", "*", { "h:a#-5..-2", "h:b#-9223372036854775808..-9223372036854775807", "h:c#-1..9223372036854775807" } } },
	  { { GET "/|a: -5", "r/0/0" }, { GET "/|a: -3", "r/0/0" }, { GET "/|a: -2", "-" }, { GET "/|a: -6", "-" }, { GET "/|a: 4294967293", "-" },
	    { GET "/|a: 3", "-" }, { GET "/|a: --3", "-" }, { GET "/|a: -", "-" },
	    { GET "/|b: -9223372036854775808", "r/1/0" }, { GET "/|b: -9223372036854775807", "-" }, { GET "/|b: -9223372036854775809", "-" },
	    { GET "/|b: 9223372036854775808", "-" }, { GET "/|c: 9223372036854775806", "r/2/0" }, { GET "/|c: 9223372036854775807", "-" },
	    { GET "/|c: -1", "r/2/0" }, { GET "/|c: -0", "r/2/0" }, { GET "/|c: 18446744073709551615", "-" } } },

	{ "header: the first of a name, and all conditions on it",
	  { { "r", "*", { "h:a^x h:a$y", "h:a=2" } } },
	  { { GET "/|a: xy", "r/0/0" }, { GET "/|a: x|a: y", "-" }, { GET "/|a: 2|a: xy", "r/1/0" }, { GET "/|a: 1|a: 2", "-" },
	    { GET "/|b: 1|A: 2", "r/1/0" } } },

	{ "header host is the authority, whatever stands among the headers",
	  { { "r", "*", { "h:Host=good", "h::authority^ex" } } },
	  { { "GET http://good/", "r/0/0" }, { "GET http://bad/|Host: good", "-" }, { "GET http://good/|Host: bad", "r/0/0" } } },

	{ "query parameters",
	  { { "r", "*", { "q:a=1", "q:b~[0-9]+", "q:c?", "q:d! q:e?", "q:f=", "q:g=1 h:h=2", "q:n#1..5" } } },
	  { { GET "/?a=1", "r/0/0" }, { GET "/?a=2", "-" }, { GET "/?a=2&a=1", "-" }, { GET "/?a=1&a=2", "r/0/0" }, { GET "/?x=1&a=1", "r/0/0" },
	    { GET "/?A=1", "-" }, { GET "/?a=1&", "r/0/0" }, { GET "/?&&a=1", "r/0/0" }, { GET "/?a", "-" }, { GET "/?a=1=1", "-" },
	    { GET "/?%61=%31", "r/0/0" }, { GET "/?a=%3", "-" }, { GET "/?b=12", "r/1/0" }, { GET "/?b=1x", "-" }, { GET "/?b=", "-" },
	    { GET "/?c", "r/2/0" }, { GET "/?c=", "r/2/0" }, { GET "/?c=%zz", "r/2/0" }, { GET "/?e", "r/3/0" }, { GET "/?e&d", "-" },
	    { GET "/?f", "r/4/0" }, { GET "/?f=", "r/4/0" }, { GET "/?f=1", "-" }, { GET "/", "-" }, { GET "/?", "-" },
	    { GET "/?n=4", "r/6/0" }, { GET "/?n=5", "-" }, { GET "/?n=-1", "-" }, { GET "/a=1", "-" }, { GET "/|a: 1", "-" },
	    { GET "/?b=%31%32", "r/1/0" }, { GET "/??a=1", "-" }, { GET "/?x?a=1&a=1", "r/0/0" } } },

	{ "blanks in parameters",
	  { { "r", "*", { "q:a~x.y", "q:b^a+b" } } },
	  { { GET "/?a=x+y", "r/0/0" }, { GET "/?a=x%20y", "r/0/0" }, { GET "/?a=x%2by", "r/0/0" }, { GET "/?a=x++y", "-" },
	    { GET "/?b=a%2Bb", "r/1/0" }, { GET "/?b=a+b", "-" } } },

	{ "cookies",
	  { { "r", "*", { "c:g=canary", "c:q=v", "c:p?", "c:not! c:z?" } } },
	  { { GET "/|Cookie: g=canary", "r/0/0" }, { GET "/|cookie: a=b; g=canary", "r/0/0" }, { GET "/|cookie: a=b;g=canary;c=d", "r/0/0" },
	    { GET "/|cookie: g=canary2", "-" }, { GET "/|cookie: xg=canary", "-" }, { GET "/|cookie: G=canary", "-" },
	    { GET "/|cookie: g=other; g=canary", "-" }, { GET "/|cookie: g=canary; g=other", "r/0/0" },
	    { GET "/|cookie: a=1|cookie: g=canary", "r/0/0" }, { GET "/|cookie: g=x|cookie: g=canary", "-" },
	    { GET "/|cookie: g = canary ", "r/0/0" }, { GET "/|cookie: q=\"v\"", "r/1/0" }, { GET "/|cookie: q=\"v", "-" },
	    { GET "/|cookie: p", "r/2/0" }, { GET "/|cookie: p=", "r/2/0" }, { GET "/|cookie: ;;p=;", "r/2/0" },
	    { GET "/|cookie: z=1", "r/3/0" }, { GET "/|cookie: z=1; not=", "-" }, { GET "/|set-cookie: p=1", "-" },
	    { GET "/|cookie: ", "-" }, { GET "/?g=canary", "-" }, { GET "/|cookie: g=canary=1", "-" } } },

	{ "client identity",
	  { { "r", "*", { "id=spiffe://a", "h:x? id=spiffe://b", "h:x?", "path=/o", "path=/none id=" } } },
	  { { GET "/|@id=spiffe://a", "r/0/0" }, { GET "/|@id=spiffe://ab", "-" }, { GET "/|@id=spiffe://b", "-" }, { GET "/", "-" },
	    { GET "/|x: 1|@id=spiffe://b", "r/1/0" }, { GET "/|x: 1|@id=spiffe://a", "r/2/0" }, { GET "/|x: 1", "r/2/0" },
	    { GET "/o|@id=spiffe://a", "r/3/0" }, { GET "/none", "-" } } },

	{ "RPC",
	  { { "r", "*", { "svc=com.Order:1.0 rpc=create", "svc=com.Order:1.0", "svc^com.", "svc~.*:1\\.0", "rpc=list", "svc^com.Or" } } },
	  { { "X http://h|@svc=com.Order:1.0|@rpc=create", "r/0/0" }, { "X http://h|@svc=com.Order:1.0|@rpc=x", "r/1/0" },
	    { "X http://h|@svc=com.Order:2.0", "r/5/0" }, { "X http://h|@svc=com.User:1.0", "r/2/0" },
	    { "X http://h|@svc=org.User:1.0", "r/3/0" }, { "X http://h|@svc=org.User:2.0|@rpc=list", "r/4/0" },
	    { "X http://h|@svc=org.User:2.0", "-" }, { GET "/com.Order", "-" } } },

	{ "hosts: name, wildcard, any",
	  { { "any", "*", { "" } }, { "org", "*.org", { "" } }, { "ex", "example.org", { "" } }, { "sub", "*.example.org", { "" } } },
	  { { "GET http://example.org/", "ex/0/0" }, { "GET http://EXAMPLE.org/", "ex/0/0" }, { "GET http://example.org./", "ex/0/0" },
	    { "GET http://example.org:8080/", "ex/0/0" }, { "GET http://a.example.org/", "sub/0/0" },
	    { "GET http://b.a.example.org:1/", "sub/0/0" }, { "GET http://xexample.org/", "org/0/0" }, { "GET http://org/", "any/0/0" },
	    { "GET http://example.org.evil.com/", "any/0/0" }, { "GET http://example.com/", "any/0/0" }, { "GET http:///", "any/0/0" },
	    { "GET http://.example.org/", "org/0/0" }, { "GET http://example.org../", "any/0/0" }, { "GET http://1.2.3.4:80/", "any/0/0" },
	    { "GET http://[::1]:80/", "any/0/0" }, { "GET http://a.example.org.:443/", "sub/0/0" } } },

	{ "hosts: ports",
	  { { "p", "example.org:8080", { "" } }, { "n", "example.org", { "" } }, { "w", "*.example.org:8080", { "" } },
	    { "s", "s.org:443,t.org:80", { "" } }, { "a", "*:9000", { "" } } },
	  { { "GET http://example.org:8080/", "p/0/0" }, { "GET http://example.org:08080/", "p/0/0" }, { "GET http://example.org/", "n/0/0" },
	    { "GET http://example.org:80/", "n/0/0" }, { "GET http://example.org:/", "n/0/0" }, { "GET http://example.org:80800/", "n/0/0" },
	    { "GET http://a.example.org:8080/", "w/0/0" }, { "GET http://a.example.org/", "-" }, { "GET https://s.org/", "s/0/0" },
	    { "GET http://s.org/", "-" }, { "GET http://s.org:443/", "s/0/0" }, { "GET http://t.org/", "s/0/0" },
	    { "GET https://t.org/", "-" }, { "GET http://x:9000/", "a/0/0" }, { "GET http://x/", "-" }, { "GET http://:9000/", "a/0/0" },
	    { "GET http://example.org:9000/", "n/0/0" } } },

	{ "hosts: the most specific decides alone",
	  { { "any", "*", { "path^/x" } }, { "ex", "example.org", { "path^/y" } }, { "sub", "*.example.org", { "path^/y" } } },
	  { { "GET http://example.org/x", "-" }, { "GET http://example.org/y", "ex/0/0" }, { "GET http://a.example.org/x", "-" },
	    { "GET http://other/x", "any/0/0" }, { "GET http://other/y", "-" } } },

	{ "hosts: several routes of one host are asked together",
	  { { "a", "example.org", { "path^/a" } }, { "b", "Example.org,*.example.org", { "path^/a/b", "path^/b" } } },
	  { { "GET http://example.org/a/b", "b/0/0" }, { "GET http://example.org/a", "a/0/0" }, { "GET http://example.org/b", "b/1/0" },
	    { "GET http://x.example.org/a/b", "b/0/0" }, { "GET http://x.example.org/a", "-" } } },

	{ "hosts: addresses",
	  { { "v6", "[::1]", { "" } }, { "v6p", "[::1]:8080", { "" } }, { "v4", "10.0.0.1", { "" } } },
	  { { "GET http://[::1]/", "v6/0/0" }, { "GET http://[::1]:80/", "v6/0/0" }, { "GET http://[::1]:8080/", "v6p/0/0" },
	    { "GET http://[::2]/", "-" }, { "GET http://10.0.0.1/", "v4/0/0" }, { "GET http://10.0.0.1:81/", "v4/0/0" },
	    { "GET http://110.0.0.1/", "-" } } },
};

static void ask(const struct group *g, const struct router *router, struct matcher *mt, const struct route *const *routes, size_t n,
		const char *request, const char *want)
{
	char got[128] = "-", reference[128];
	struct kit_request q;
	struct route_hit hit;
	struct arena a;

	arena_init(&a);
	kit_request(&a, request, &q);
	if (router_match(router, mt, &q.m, q.identity, &hit))
		kit_hit_name(&hit, got);
	if (strcmp(got, want))
		fail_msg("%s: %s: got %s, want %s", g->what, request, got, want);
	if (!strstr(g->what, "expressions") && strcmp(reference_match(routes, n, &q, reference), want))
		fail_msg("%s: %s: the reference says %s, want %s", g->what, request, reference, want);
	arena_fini(&a);
}

static size_t group_run(const struct group *g, struct matcher *mt, uint64_t serial)
{
	const struct route *routes[GROUP_ROUTES];
	struct router *router;
	size_t n = 0, i;

	while (n < GROUP_ROUTES && g->routes[n].name) {
		routes[n] = kit_route(&g->routes[n]);
		n++;
	}
	router = router_new(routes, n, 0, serial);
	for (i = 0; i < GROUP_CASES && g->cases[i].request; i++)
		ask(g, router, mt, routes, n, g->cases[i].request, g->cases[i].want);
	assert_true(router_drop(router));
	while (n)
		fact_drop((struct fact *)&routes[--n]->fact);
	return i;
}

static void test_table(void **state)
{
	struct matcher *mt = matcher_new();
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		n += group_run(&groups[i], mt, i + 1);
	assert_in_range(n, 300, 10000);
	matcher_free(mt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
