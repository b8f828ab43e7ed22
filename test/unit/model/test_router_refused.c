// SPDX-License-Identifier: Apache-2.0
/* Routes that are refused when they are given, with the words and the line that their writer sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/router.h"
#include "model/store.h"
#include "route_kit.h"

/* NULL: accepted; else what was said. */
static void refused(struct route *r, const char *words)
{
	struct store *s = store_new();
	struct store_tx *tx = store_begin(s, SLICE_LIT("test"));
	struct registry_verdict v;
	bool taken;

	store_put(tx, facts_cluster("c"));
	store_put(tx, &r->fact);
	taken = store_commit(tx, 1, &v);
	if (taken != !words)
		fail_msg("%s: %s", words ? words : "nothing wrong", taken ? "taken" : v.refused[0].why);
	if (words) {
		if (!strstr(v.refused[0].why, words))
			fail_msg("\"%s\" does not say \"%s\"", v.refused[0].why, words);
		assert_int_equal(v.refused[0].mark.line, 1);
		assert_string_equal(v.refused[0].mark.file.p, "all.yaml");
	}
	store_end(tx);
	store_free(s);
}

static struct route *route_with(const char *hosts, const char *rule)
{
	return kit_route(&(struct kit_route){ "r", hosts, { rule } });
}

static struct route_rule *rule_of(struct route *r)
{
	return (struct route_rule *)r->rules;
}

static void test_regexes(void **state)
{
	struct route *r;

	(void)state;
	refused(route_with("*", "path~/a.*"), NULL);
	refused(route_with("*", "path~/(a"), "rules[0].matches[0].path: regular expression, byte 4: missing closing parenthesis");
	refused(route_with("*", "path=/ | h:x~(?=a)"), "rules[0].matches[1].headers[0]: regular expression, byte 1: look-arounds");
	refused(route_with("*", "q:x~(a)\\1"), "params[0]: regular expression, byte 4: back-references");
	refused(route_with("*", "c:x~["), "cookies[0]: regular expression");
	refused(route_with("*", "svc~(*"), "service: regular expression");
	refused(route_with("*", "rpc~(?R)"), "rpc_method: regular expression");
	r = route_with("*", "");
	rule_of(r)->rewrite = PATH_REGEX;
	rule_of(r)->rewrite_regex = SLICE_LIT("(a");
	rule_of(r)->rewrite_path = SLICE_LIT("/");
	refused(r, "rewrite_regex: regular expression");
	r = route_with("*", "");
	rule_of(r)->rewrite = PATH_REGEX;
	rule_of(r)->rewrite_regex = SLICE_LIT("(a)");
	rule_of(r)->rewrite_path = SLICE_LIT("/$2");
	refused(r, "rewrite_regex: replacement, byte 2: $2, but the expression has 1 groups");
}

static void test_hosts(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} hosts[] = {
		{ "*", true }, { "*:8080", true }, { "*.org", true }, { "*.a.org:1", true }, { "a", true }, { "a.", true },
		{ "a_b-c.d:65535", true }, { "10.0.0.1", true }, { "[::1]", true }, { "[::1]:80", true }, { "A.Org", true },
		{ "", false }, { "*a", false }, { "**", false }, { "*.", false }, { "*.*", false }, { "a*", false }, { "a.*", false },
		{ ".a", false }, { "a..b", false }, { "a:0", false }, { "a:65536", false }, { "a:", false }, { ":80", false },
		{ "::1", false }, { "[::1", false }, { "[1.2.3.4]", false }, { "a/b", false }, { "a b", false }, { "a:80:80", false },
		{ "http://a", false }, { "user@a", false },
	};
	static char longest[257];

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (router_host_valid(slice_str(hosts[i].text)) != hosts[i].valid)
			fail_msg("%s", hosts[i].text);
	}
	memset(longest, 'a', 256);
	assert_false(router_host_valid(slice_str(longest)));
	assert_true(router_host_valid(slice_str(longest + 1)));
	refused(route_with("a.org,*a", ""), "hosts[1] \"*a\": want *, *.NAME or NAME");
}

static void test_headers(void **state)
{
	static const struct {
		const char *name, *words;
	} cases[] = {
		{ "x-mesh", NULL }, { "Host", "URLRewrite has a hostname" }, { "Content-Length", "not to be changed" }, { "transfer-encoding", "not to be" },
		{ "connection", "not to be changed" }, { "", "no name" }, { "a b", "no name of a header" }, { ":path", "no name of" },
		{ "a:b", "no name of a header" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct header_change change = { HEADER_SET, slice_str(cases[i].name), SLICE_LIT("v") };
		struct route *r = route_with("*", "");

		rule_of(r)->request_headers = &change;
		rule_of(r)->nrequest_headers = 1;
		refused(r, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regexes), cmocka_unit_test(test_hosts), cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests_name("routes that are refused", tests, NULL, NULL);
}
