// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/utf8.h"
#include "weft/str.h"

#define GOOD(s) assert_true(utf8_valid(SLICE_LIT(s)))
#define BAD(s) assert_false(utf8_valid(SLICE_LIT(s)))

static void test_valid(void **state)
{
	(void)state;
	GOOD("");
	GOOD("web.default");
	GOOD("h\xc3\xbcttchen \xe2\x82\xac \xf0\x9f\x90\x91");
	GOOD("\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80");
}

static void test_invalid(void **state)
{
	(void)state;
	BAD("\x80");
	BAD("a\xff");
	BAD("\xc3");
	BAD("\xc3z");
	BAD("\xe2\x82");
	BAD("\xc0\xaf");
	BAD("\xc1\xbf");
	BAD("\xe0\x9f\xbf");
	BAD("\xf0\x8f\xbf\xbf");
	BAD("\xed\xa0\x80");
	BAD("\xf4\x90\x80\x80");
	BAD("\xf5\x80\x80\x80");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_valid), cmocka_unit_test(test_invalid) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
