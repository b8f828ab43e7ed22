// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "weft/err.h"

static void test_chain(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_string_equal(err_text(&e), "");
	assert_string_equal(err_text(NULL), "");
	assert_int_equal(err_add(&e, -EINVAL, "port %d", 70000), -EINVAL);
	assert_int_equal(err_add(&e, -EIO, "service %s", "web"), -EIO);
	assert_string_equal(err_text(&e), "service web: port 70000");
	assert_int_equal(e.code, -EINVAL);
	assert_int_equal(e.len, strlen(e.text));
	err_clear(&e);
	assert_string_equal(err_text(&e), "");
	assert_int_equal(e.code, 0);
	assert_int_equal(err_add(&e, -EIO, "again"), -EIO);
	assert_int_equal(e.code, -EIO);
	assert_string_equal(err_text(&e), "again");
}

static void test_nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(err_add(NULL, -EPERM, "x"), -EPERM);
	assert_int_equal(err_errno(NULL, -EPERM, "x"), -EPERM);
}

static void test_errno_words(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_errno(&e, -ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(err_text(&e), "open /x: No such file or directory");
	err_clear(&e);
	err_errno(&e, -123456, "odd");
	assert_string_equal(err_text(&e), "odd: error 123456");
}

static void test_no_words(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_add(&e, -EIO, "%s", "");
	assert_string_equal(err_text(&e), "");
	assert_int_equal(e.code, -EIO);
	err_add(&e, -EIO, "inner");
	err_add(&e, -EIO, "%s", "");
	assert_string_equal(err_text(&e), "inner");
}

static void test_too_long_loses_the_outermost(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_add(&e, -EINVAL, "weft.yaml:3: cause");
	for (int i = 0; i < 500; i++) {
		err_add(&e, -EIO, "wrapping %d", i);
		assert_true(e.len < ERR_TEXT_MAX);
		assert_int_equal(e.len, strlen(e.text));
		assert_string_equal(e.text + e.len - 18, "weft.yaml:3: cause");
	}
	assert_int_equal(e.len, ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "...", 3);
	assert_non_null(strstr(e.text, "wrapping 0: weft.yaml:3"));
}

static void test_one_too_long_keeps_its_beginning(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_add(&e, -EINVAL, "begin %05000d", 1);
	assert_int_equal(e.len, ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "begin 000", 9);
	err_clear(&e);
	err_errno(&e, -EINVAL, "begin %05000d", 1);
	assert_int_equal(e.len, ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "begin 000", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_errno_words),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_too_long_loses_the_outermost),
		cmocka_unit_test(test_one_too_long_keeps_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
