// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "base/path.h"
#include "base/rand.h"
#include "weft/str.h"

#define MERGE PATH_MERGE_SLASHES
#define REJECT PATH_REJECT_ESCAPED_SLASHES

/* want NULL: as it came, the same bytes; "!words": refused with them */
static const struct {
	const char *in, *want;
	unsigned options;
} table[] = {
	{ "/", NULL, 0 },
	{ "*", NULL, 0 },
	{ "/a/b/c", NULL, 0 },
	{ "/a/b?c=/../%zz//\\", NULL, MERGE | REJECT },
	{ "/?", NULL, 0 },
	{ "/a;b=c,d!$&'()*+:@", NULL, 0 },
	{ "/a/.hidden/..more/...", NULL, 0 },
	{ "//a", NULL, 0 },
	{ "/a//", NULL, 0 },
	{ "/caf\xc3\xa9", NULL, 0 },

	{ "/%61%2D%2e%5F%7e%30", "/a-._~0", 0 },
	{ "/%41", "/A", 0 },
	{ "/a%2fb", "/a%2Fb", 0 },
	{ "/a%2Fb", NULL, 0 },
	{ "/a%2Fb", "!escaped slash in the path", REJECT },
	{ "/a%5cb", "/a%5Cb", 0 },
	{ "/a%5cb", "!escaped slash in the path", REJECT },
	{ "/a%252fb", NULL, REJECT },
	{ "/%25%32%66", "/%252f", REJECT },
	{ "/a%20b", NULL, 0 },
	{ "/a%0d%0ab", "/a%0D%0Ab", 0 },
	{ "/a?b=%2f%61", NULL, REJECT },

	{ "/.", "/", 0 },
	{ "/..", "/", 0 },
	{ "/./", "/", 0 },
	{ "/../", "/", 0 },
	{ "/../../a", "/a", 0 },
	{ "/a/.", "/a/", 0 },
	{ "/a/./b", "/a/b", 0 },
	{ "/a/..", "/", 0 },
	{ "/a/../b", "/b", 0 },
	{ "/a/b/../c", "/a/c", 0 },
	{ "/a/b/..", "/a/", 0 },
	{ "/a/b/../../c", "/c", 0 },
	{ "/a/b/c/./../../g", "/a/g", 0 },
	{ "/%2e%2e/%2E/a", "/a", 0 },
	{ "/public/%2e%2e/admin", "/admin", 0 },
	{ "/a/..?b/../c", "/?b/../c", 0 },
	{ "/a/.%2e", "/", 0 },
	{ "/a/..;/b", NULL, 0 },

	{ "//", "/", MERGE },
	{ "/a//b", "/a/b", MERGE },
	{ "///a///b//", "/a/b/", MERGE },
	{ "/a//../b", "/a/b", 0 },
	{ "/a//../b", "/b", MERGE },
	{ "/a/.//b", "/a//b", 0 },
	{ "/a/.//b", "/a/b", MERGE },
	{ "/a/..//b", "//b", 0 },
	{ "/a/..//b", "/b", MERGE },
	{ "/a?b//c", NULL, MERGE },

	{ "", "!the path does not begin with a slash", 0 },
	{ "a", "!the path does not begin with a slash", 0 },
	{ "?a", "!the path does not begin with a slash", 0 },
	{ "**", "!the path does not begin with a slash", 0 },
	{ "%2fa", "!the path does not begin with a slash", 0 },
	{ "/a%00b", "!%00 in the path", 0 },
	{ "/a%0", "!percent sign without two hex digits in the path", 0 },
	{ "/a%", "!percent sign without two hex digits in the path", 0 },
	{ "/a%g1", "!percent sign without two hex digits in the path", 0 },
	{ "/a%u0041", "!percent sign without two hex digits in the path", 0 },
	{ "/a\\b", "!backslash in the path", 0 },
	{ "/a\\..\\b", "!backslash in the path", 0 },
	{ "/a#b", "!fragment in the request target", 0 },
	{ "/a?b#c", "!fragment in the request target", 0 },
	{ "/a b", "!control character or space in the path", 0 },
	{ "/a\tb", "!control character or space in the path", 0 },
	{ "/a\x7f", "!control character or space in the path", 0 },
	{ "/a\x01", "!control character or space in the path", 0 },
	{ "/a?b\x01", "!control character or space in the query", 0 },
	{ "/a?b c", "!control character or space in the query", 0 },
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice in = slice_str(table[i].in), out = { 0 };
		const char *want = table[i].want, *why = NULL;
		char room[64];
		int err = path_normalise(in, table[i].options, room, &out, &why);
		bool right;

		if (!want)
			right = !err && out.p == in.p && out.n == in.n;
		else if (*want == '!')
			right = err == -EINVAL && why && !strcmp(why, want + 1);
		else
			right = !err && slice_eq_str(out, want);
		if (!right)
			fail_msg("%s with %u: %d %.*s (%s)", table[i].in, table[i].options, err, SLICE_ARG(out), why ? why : "");
	}
}

static void test_nul(void **state)
{
	struct slice out;
	const char *why;
	char room[8];

	(void)state;
	assert_int_equal(path_normalise((struct slice){ "/a\0b", 4 }, 0, room, &out, &why), -EINVAL);
	assert_int_equal(path_normalise((struct slice){ "/?\0b", 4 }, 0, room, &out, &why), -EINVAL);
}

/* No dot segment stays, no double slash when they are merged, and once more changes nothing. */
static void test_random(void **state)
{
	static const char *const parts[] = { "/", "/", ".", "..", "a", "%2e", "%2F", "%61", "%5c", "~", "b" };
	struct rand r;

	(void)state;
	rand_seed(&r, 7);
	for (int i = 0; i < 200000; i++) {
		char in[64] = "/", room[64], again[64];
		unsigned options = rand_below(&r, 2) ? PATH_MERGE_SLASHES : 0;
		struct slice out, twice;
		const char *why;

		for (unsigned k = rand_below(&r, 14); k; k--)
			strcat(in, parts[rand_below(&r, sizeof(parts) / sizeof(parts[0]))]);
		assert_int_equal(path_normalise(slice_str(in), options, room, &out, &why), 0);
		assert_true(out.n <= strlen(in) && out.p[0] == '/');
		assert_int_equal(path_normalise(out, options, again, &twice, &why), 0);
		assert_ptr_equal(twice.p, out.p);
		snprintf(again, sizeof(again), "%.*s/", SLICE_ARG(out));
		if (strstr(again, "/../") || strstr(again, "/./"))
			fail_msg("%s became %.*s", in, SLICE_ARG(out));
		assert_true(!(options & PATH_MERGE_SLASHES) || !memmem(out.p, out.n, "//", 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
