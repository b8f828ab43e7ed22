/* SPDX-License-Identifier: Apache-2.0 */
/* Two codecs back to back for each test, and what is said between them. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/http1_rig.h"

#define S(text) SLICE_LIT(text)

static inline int setup(void **state)
{
	static struct rig r;

	rig_init(&r);
	*state = &r;
	return 0;
}

static inline int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

static inline void expect(struct buf *b, const char *want)
{
	struct slice got = rig_text(b);

	if (!slice_eq_str(got, want))
		fail_msg("want\n%s\ngot\n%.*s", want, SLICE_ARG(got));
	buf_fini(b);
}

static inline void ask(struct rig *r, const char *text)
{
	rig_ask(r, slice_str(text));
}

static inline void reply(struct rig *r, const char *text)
{
	rig_reply(r, slice_str(text));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
