// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/http_name.h"
#include "weft/str.h"

static void tokens(void **state)
{
	(void)state;
	assert_true(http_is_token(SLICE_LIT("GET")));
	assert_true(http_is_token(SLICE_LIT("!#$%&'*+-.^_`|~09azAZ")));
	assert_false(http_is_token(SLICE_LIT("")));
	assert_false(http_is_token(SLICE_LIT("a b")));
	assert_false(http_is_token(SLICE_LIT("a:")));
	assert_false(http_is_token(SLICE_LIT("a\0b")));
	assert_false(http_is_token(SLICE_LIT("\xc3\xa4")));
}

static void what_frames(void **state)
{
	(void)state;
	assert_true(http_name_frames(SLICE_LIT("Transfer-Encoding")));
	assert_true(http_name_frames(SLICE_LIT("keep-alive")));
	assert_true(http_name_frames(SLICE_LIT("HOST")));
	assert_false(http_name_frames(SLICE_LIT("x-host")));
	assert_false(http_name_frames(SLICE_LIT("")));
}

static void paths(void **state)
{
	(void)state;
	assert_true(http_is_path(SLICE_LIT("/healthz?a=b;c")));
	assert_false(http_is_path(SLICE_LIT("healthz")));
	assert_false(http_is_path(SLICE_LIT("/a b")));
	assert_false(http_is_path(SLICE_LIT("/a\r\nx: y")));
	assert_false(http_is_path(SLICE_LIT("")));
	assert_true(http_is_cookie_path(SLICE_LIT("/a")));
	assert_false(http_is_cookie_path(SLICE_LIT("/a;b")));
	assert_false(http_is_cookie_path(SLICE_LIT("/\xc3\xa4")));
}

static void server_names(void **state)
{
	(void)state;
	assert_true(http_is_server_name(SLICE_LIT("a.example")));
	assert_true(http_is_server_name(SLICE_LIT("*.example")));
	assert_false(http_is_server_name(SLICE_LIT("*")));
	assert_false(http_is_server_name(SLICE_LIT("*.")));
	assert_false(http_is_server_name(SLICE_LIT("a.*.example")));
	assert_false(http_is_server_name(SLICE_LIT("*.*.example")));
	assert_false(http_is_server_name(SLICE_LIT("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(what_frames),
		cmocka_unit_test(paths),
		cmocka_unit_test(server_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
