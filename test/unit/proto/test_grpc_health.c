// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "proto/grpc_health.h"
#include "weft/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1

static void what_is_asked(void **state)
{
	static char name[HEALTH_SERVICE_MAX];
	char out[GRPC_HEALTH_ASK_MAX];

	(void)state;
	assert_int_equal(grpc_health_ask((struct slice){ NULL, 0 }, out), 5);
	assert_memory_equal(out, "\0\0\0\0\0", 5);
	assert_int_equal(grpc_health_ask(SLICE_LIT("shop.Orders"), out), 18);
	assert_memory_equal(out, "\0\0\0\0\x0d\x0a\x0bshop.Orders", 18);
	memset(name, 'a', sizeof(name));
	assert_int_equal(grpc_health_ask((struct slice){ name, 200 }, out), 5 + 3 + 200);
	assert_memory_equal(out, "\0\0\0\0\xcb\x0a\xc8\x01" "aa", 10);
	assert_int_equal(grpc_health_ask((struct slice){ name, sizeof(name) }, out), 5 + 3 + sizeof(name));
	assert_memory_equal(out, "\0\0\0\x04\x03\x0a\x80\x08" "aa", 10);
}

static void answers(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		int err;
		enum grpc_health h;
	} rows[] = {
		{ BYTES("\0\0\0\0\0"), 0, GRPC_HEALTH_UNKNOWN },
		{ BYTES("\0\0\0\0\2\x08\1"), 0, GRPC_HEALTH_SERVING },
		{ BYTES("\0\0\0\0\2\x08\2"), 0, GRPC_HEALTH_NOT_SERVING },
		{ BYTES("\0\0\0\0\2\x08\3"), 0, GRPC_HEALTH_SERVICE_UNKNOWN },
		{ BYTES("\0\0\0\0\2\x08\4"), 0, GRPC_HEALTH_UNKNOWN },
		/* Enums are varints of any length; the last one counts; other fields are skipped. */
		{ BYTES("\0\0\0\0\3\x08\x81\0"), 0, GRPC_HEALTH_SERVING },
		{ BYTES("\0\0\0\0\4\x08\2\x08\1"), 0, GRPC_HEALTH_SERVING },
		{ BYTES("\0\0\0\0\x18\x12\3abc\x1d" "1234\x21" "12345678\x28\x96\1\x08\1"), 0, GRPC_HEALTH_SERVING },
		{ BYTES(""), -EINVAL, 0 }, { BYTES("\0\0\0\0"), -EINVAL, 0 }, { BYTES("\1\0\0\0\2\x08\1"), -EINVAL, 0 },
		{ BYTES("\0\0\0\0\2\x08"), -EINVAL, 0 }, { BYTES("\0\0\0\0\1\x08\1"), -EINVAL, 0 },
		{ BYTES("\0\0\0\0\2\x08\x81"), -EINVAL, 0 }, { BYTES("\0\0\0\0\1\x80"), -EINVAL, 0 },
		{ BYTES("\0\0\0\0\2\x12\5"), -EINVAL, 0 }, { BYTES("\0\0\0\0\2\x0b\0"), -EINVAL, 0 },
		{ BYTES("\0\0\0\0\3\x1d" "12"), -EINVAL, 0 }, { BYTES("\0\x80\0\0\0"), -EINVAL, 0 },
		{ BYTES("\0\0\0\0\x0d\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"), -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *exact = malloc(rows[i].n + 1);
		enum grpc_health h = GRPC_HEALTH_NOT_SERVING;

		memcpy(exact, rows[i].p, rows[i].n);
		exact = realloc(exact, rows[i].n ? rows[i].n : 1);
		if (grpc_health_read((struct slice){ exact, rows[i].n }, &h) != rows[i].err)
			fail_msg("row %zu", i);
		if (!rows[i].err)
			assert_int_equal(h, rows[i].h);
		free(exact);
	}
	assert_string_equal(grpc_health_word(GRPC_HEALTH_NOT_SERVING), "NOT_SERVING");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
