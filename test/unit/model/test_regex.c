// SPDX-License-Identifier: Apache-2.0
/* What is refused, what matches, and that nothing costs more than its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "model/regex.h"
#include "weft/model.h"
#include "weft/str.h"

static void test_refused(void **state)
{
	static const struct {
		const char *pattern, *words;
	} cases[] = {
		{ "(a)\\1", "back-references" },
		{ "(?P<x>a)\\k<x>", "back-references" },
		{ "(a)\\g{1}", "back-references" },
		{ "(?P<x>a)(?P=x)", "back-references" },
		{ "a(?=b)", "look-arounds" },
		{ "a(?!b)", "look-arounds" },
		{ "(?<=a)b", "look-arounds" },
		{ "(?<!a)b", "look-arounds" },
		{ "(a(?R)?b)", "recursion" },
		{ "(a(?1)?b)", "recursion" },
		{ "(a(?-1)?b)", "recursion" },
		{ "(a(?+1)?b)(c)", "recursion" },
		{ "(?P<x>a(?&x)?)", "recursion" },
		{ "(?P<x>a(?P>x)?)", "recursion" },
		{ "(?>a+)b", "groups" },
		{ "(?|(a)|(b))", "groups" },
		{ "(?#words)a", "groups" },
		{ "(?C1)a", "groups" },
		{ "(?(1)a|b)", "groups" },
		{ "(?x) a # [\n(b)", "groups" },
		{ "(?'x'a)", "groups" },
		{ "(*LIMIT_MATCH=1000000000)a", "verbs" },
		{ "a(*COMMIT)b", "verbs" },
		{ "\\Cx", "\\C" },
		{ "a\\Kb", "\\K" },
		{ "\\Ga", "\\G" },
		{ "\\ca", "control" },
		{ "[\\c]](a)", "control" },
		{ "[a](?=b)", "byte 4: look-arounds" },
		{ "[]a](?=b)", "look-arounds" },
		{ "[^]a](?=b)", "look-arounds" },
		{ "[[:alpha:]](?=b)", "look-arounds" },
		{ "[\\]](?=b)", "look-arounds" },
		{ "[\\Q]\\E](?=b)", "look-arounds" },
		{ "\\Q[\\E(?=b)", "look-arounds" },
		{ "[[:](?=b)", "look-arounds" },
		{ "(a", "byte 3: missing closing parenthesis" },
		{ "a)", "unmatched closing parenthesis" },
		{ "[a", "missing terminating ]" },
		{ "*a", "quantifier" },
		{ "a{2,1}", "numbers out of order" },
		{ "\\", "\\ at end" },
		{ "((((((((((((((((((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))))))))))))))))))",
		  "parentheses are too deeply nested" },
		{ "((a{1,1000}){1,1000}){1,1000}", "regular expression" },
	};
	static char longest[REGEX_MAX + 2];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err_clear(&e);
		assert_null(regex_new(slice_str(cases[i].pattern), REGEX_WHOLE, &e));
		if (!strstr(err_text(&e), cases[i].words))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].pattern, err_text(&e), cases[i].words);
		assert_true(regex_check(slice_str(cases[i].pattern), NULL) < 0);
	}
	memset(longest, 'a', REGEX_MAX + 1);
	err_clear(&e);
	assert_true(regex_check(slice_str(longest), &e) < 0);
	assert_non_null(strstr(err_text(&e), "at most 4096"));
	longest[REGEX_MAX] = 0;
	assert_int_equal(regex_check(slice_str(longest), NULL), 0);
}

static void test_accepted(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "a|b", "b", true },
		{ "a|b", "ab", false },
		{ "a|ab", "ab", true },
		{ "(?:a|b)+", "abba", true },
		{ "(?i)abc", "aBC", true },
		{ "(?s:a.b)", "a\nb", true },
		{ "a.b", "a\nb", false },
		{ "a$", "a\n", false },
		{ "(?P<year>[0-9]{4})", "2024", true },
		{ "(?<year>[0-9]{4})", "20245", false },
		{ "[[:alpha:]]+", "abc", true },
		{ "[]]", "]", true },
		{ "[(?=]+", "(?=", true },
		{ "\\(\\?=b", "(?=b", true },
		{ "\\Q(?=b)\\E", "(?=b)", true },
		{ "\\Q(?=b)", "(?=b)", true },
		{ "\\Qa\\\\E", "a\\", true },
		{ "[\\w.]+@\\d+\\.x", "a.b@12.x", true },
		{ "\\x41\\.", "A.", true },
		{ "\\bword\\b", "word", true },
		{ "[h\xc3\xbc]{2}", "h\xc3\xbc", true },
		{ "h.", "h\xc3\xbc", false },
		{ "\xc3\xbc.", "\xc3\xbc\xc3\xbc", true },
		{ "\xc3\xbc.*", "\xc3\xbc\xff", false },
		{ ".*", "\xff\xfe", true },
		{ "a++b", "aab", true },
		{ "\\0", "", false },
	};
	struct regex_desk *d = regex_desk_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { 0 };
		struct regex *r = regex_new(slice_str(cases[i].pattern), REGEX_WHOLE, &e);

		if (!r || regex_match(r, d, slice_str(cases[i].text)) != cases[i].matches)
			fail_msg("%s with \"%s\": %s", cases[i].pattern, cases[i].text, r ? "the other way" : err_text(&e));
		regex_free(r);
	}
	assert_int_equal(stat_get(&regex_stats(d)->limit), 0);
	regex_desk_free(d);
}

/* Patterns that take exponential time in a backtracking matcher: given up, counted, and soon. */
static void test_bounded(void **state)
{
	static const char *const patterns[] = {
		"(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*x", "(a*)*(a*)*(a*)*b", "(a?){30}a{30}b", "(.*a){20}b", "((a*)*)*b",
		"(x+x+)+y|(a+a+)+b", "(?:a(?:a(?:a)*)*)*b",
	};
	struct regex_desk *d = regex_desk_new();
	char text[REGEX_TEXT_MAX + 1];
	uint64_t given_up = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct regex *r = regex_new(slice_str(patterns[i]), REGEX_WHOLE, NULL);
		clock_t before = clock();

		assert_non_null(r);
		/* Letters that must be there are, so that no short cut says no. */
		assert_false(regex_match(r, d, SLICE_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabxy!")));
		memcpy(text + REGEX_TEXT_MAX - 4, "bxy!", 4);
		assert_false(regex_match(r, d, (struct slice){ text, REGEX_TEXT_MAX }));
		if (clock() - before > CLOCKS_PER_SEC / 20)
			fail_msg("%s took %ld ms", patterns[i], (long)((clock() - before) * 1000 / CLOCKS_PER_SEC));
		regex_free(r);
	}
	given_up = stat_get(&regex_stats(d)->limit);
	assert_in_range(given_up, 5, 2 * sizeof(patterns) / sizeof(patterns[0]));
	regex_desk_free(d);
}

static void test_long_text(void **state)
{
	struct regex *r = regex_new(SLICE_LIT("a*"), REGEX_WHOLE, NULL);
	struct regex_desk *d = regex_desk_new();
	char text[REGEX_TEXT_MAX + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(regex_match(r, d, (struct slice){ text, REGEX_TEXT_MAX }));
	assert_int_equal(stat_get(&regex_stats(d)->too_long), 0);
	assert_false(regex_match(r, d, (struct slice){ text, REGEX_TEXT_MAX + 1 }));
	assert_int_equal(stat_get(&regex_stats(d)->too_long), 1);
	regex_free(r);
	regex_desk_free(d);
}

static void test_replace(void **state)
{
	static const struct {
		const char *pattern, *with, *text, *want;
	} cases[] = {
		{ "/v([0-9]+)/(.*)", "/$2/$1", "/v2/orders", "/orders/2" },
		{ "a", "b", "/banana", "/bbnbnb" },
		{ "^/a", "/b", "/a/a", "/b/a" },
		{ "(x)?y", "[$1]", "xyy", "[x][]" },
		{ "b", "$$1", "abc", "a$1c" },
		{ "b", "<$0>", "abc", "a<b>c" },
		{ "x", "y", "abc", NULL },
		{ "z*", "-", "abc", NULL },
		{ "c$", "", "abc", "ab" },
		{ "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "$9$1", "abcdefghij", "ia" },
		{ ".*", "", "abc", "" },
	};
	struct regex_desk *d = regex_desk_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct regex *r = regex_new(slice_str(cases[i].pattern), REGEX_PARTS, NULL);
		struct slice out = { NULL, 0 };

		assert_non_null(r);
		assert_int_equal(regex_check_replacement(slice_str(cases[i].pattern), slice_str(cases[i].with), NULL), 0);
		assert_int_equal(regex_replace(r, d, slice_str(cases[i].text), slice_str(cases[i].with), &out), cases[i].want != NULL);
		if (cases[i].want && !slice_eq_str(out, cases[i].want))
			fail_msg("%s in %s: %.*s", cases[i].pattern, cases[i].text, SLICE_ARG(out));
		regex_free(r);
	}
	regex_desk_free(d);
}

static void test_replacement_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_true(regex_check_replacement(SLICE_LIT("(a)"), SLICE_LIT("$2"), &e) < 0);
	assert_non_null(strstr(err_text(&e), "has 1 groups"));
	assert_true(regex_check_replacement(SLICE_LIT("(a)"), SLICE_LIT("x$"), NULL) < 0);
	assert_true(regex_check_replacement(SLICE_LIT("(a)"), SLICE_LIT("$x"), NULL) < 0);
	assert_true(regex_check_replacement(SLICE_LIT("(a"), SLICE_LIT("x"), NULL) < 0);
	assert_int_equal(regex_check_replacement(SLICE_LIT("(a)"), SLICE_LIT("$1$0$$"), NULL), 0);
}

/* What grows with each replacement is bounded too. */
static void test_replace_bounded(void **state)
{
	struct regex *r = regex_new(SLICE_LIT("a"), REGEX_PARTS, NULL);
	struct regex_desk *d = regex_desk_new();
	char text[4096];
	struct slice out;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_false(regex_replace(r, d, (struct slice){ text, sizeof(text) }, SLICE_LIT("0123456789012345678901234567890"), &out));
	assert_int_equal(stat_get(&regex_stats(d)->limit), 1);
	assert_true(regex_replace(r, d, (struct slice){ text, sizeof(text) }, SLICE_LIT("b"), &out));
	assert_int_equal(out.n, sizeof(text));
	regex_free(r);
	regex_desk_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_accepted), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_replace), cmocka_unit_test(test_replacement_refused),
		cmocka_unit_test(test_replace_bounded),
	};

	return cmocka_run_group_tests_name("regex", tests, NULL, NULL);
}
