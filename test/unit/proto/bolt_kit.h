/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs as a proxy joins them, for each test; frames in hexadecimal. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/bolt_two.h"

#define S(text) SLICE_LIT(text)
#define FRAME_MAX 4096u

static inline int setup(void **state)
{
	static struct two t;

	memset(&t, 0, sizeof(t));
	two_open(&t);
	*state = &t;
	return 0;
}

static inline int teardown(void **state)
{
	two_close(*state);
	return 0;
}

/* What the end reads; its error. */
static inline int hears(struct rpc_end *e, const char *hex)
{
	char frame[FRAME_MAX];

	return rpc_decode(e, (struct slice){ frame, rpc_hex(hex, frame) }, 0);
}

static inline void says_bytes(struct buf *b, struct slice want)
{
	struct slice got = rpc_text(b);

	assert_int_equal(got.n, want.n);
	assert_memory_equal(got.p, want.p, want.n);
	buf_drop(b, b->len);
}

static inline void says(struct rpc_end *e, const char *hex)
{
	char frame[FRAME_MAX];

	says_bytes(&e->c.out, (struct slice){ frame, rpc_hex(hex, frame) });
}

static inline void says_nothing(const struct rpc_end *e)
{
	assert_int_equal(e->c.out.len, 0);
}

static inline void heard(struct rpc_end *e, const char *want)
{
	struct slice got = rpc_text(&e->log);

	if (!slice_eq_str(got, want))
		fail_msg("want\n%s\ngot\n%.*s", want, SLICE_ARG(got));
	buf_drop(&e->log, e->log.len);
}

static inline void failed(struct rpc_end *e, enum proto_why why, const char *detail)
{
	assert_int_equal(e->err, -EPROTO);
	assert_int_equal(e->c.why, why);
	assert_string_equal(e->c.detail, detail);
	e->err = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
