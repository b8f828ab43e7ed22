/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that was read of an answer. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/hex.h"
#include "weft/str.h"

/* What reading gave: an error, or a status and in out the text, which is freed. */
struct json_got {
	int err, status;
	struct buf out;
};

static inline void json_is(struct json_got *got, int err, int status, const char *json)
{
	assert_int_equal(got->err, err);
	if (!err) {
		assert_int_equal(got->status, status);
		if (!slice_eq_str(hex_all(&got->out), json))
			fail_msg("got %.*s, want %s", SLICE_ARG(hex_all(&got->out)), json);
	}
	buf_fini(&got->out);
}
