/* SPDX-License-Identifier: Apache-2.0 */
/* Dubbo's codecs as a proxy joins them, for each test; frames as hex.h has them. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/dubbo_samples.h"
#include "lib/frames_two.h"
#include "proto/dubbo_priv.h"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline int setup(void **state)
{
	static struct two t;

	two_open(&t, &proto_dubbo);
	*state = &t;
	return 0;
}

static inline int teardown(void **state)
{
	two_close(*state);
	return 0;
}

/* Bytes put out so far are these, and gone. */
static inline void says(struct two *t, struct rpc_end *e, const char *hex)
{
	struct buf *b = &e->c.out;
	struct slice got = rpc_text(b), want;

	buf_fini(&t->scratch);
	hex_add(&t->scratch, hex);
	want = rpc_text(&t->scratch);
	if (!slice_eq(got, want)) {
		for (size_t i = 0; i < got.n; i++)
			fprintf(stderr, "%02x", (uint8_t)got.p[i]);
		fail_msg(" is not what %s is", hex);
	}
	buf_drop(b, b->len);
}

static inline void heard(struct rpc_end *e, const char *want)
{
	struct slice got = rpc_text(&e->log);

	if (!slice_eq_str(got, want))
		fail_msg("want\n%s\ngot\n%.*s", want, SLICE_ARG(got));
	buf_drop(&e->log, e->log.len);
}

static inline void client(struct two *t, const char *hex)
{
	assert_int_equal(two_hears(t, &t->down, hex, 0), 0);
}

/* A request, or with `first` another frame, with that body. */
static inline void client_body(struct two *t, const char *first, const char *body)
{
	struct buf bytes = { 0 };
	char hex[4096];

	hex_add(&bytes, body);
	snprintf(hex, sizeof(hex), "%s %08zx %s", first ? first : "dabbc200 0000000000000001", bytes.len, body);
	buf_fini(&bytes);
	client(t, hex);
}

static inline void host(struct two *t, const char *hex)
{
	assert_int_equal(two_hears(t, &t->up, hex, 0), 0);
}

/* Only that this stands in what was heard, which is gone then. */
static inline void heard_of(struct rpc_end *e, const char *part)
{
	struct slice got = rpc_text(&e->log);

	if (!memmem(got.p, got.n, part, strlen(part)))
		fail_msg("no %s in\n%.*s", part, SLICE_ARG(got));
	buf_drop(&e->log, e->log.len);
}

static inline void failed(struct rpc_end *e, enum proto_why why, const char *detail)
{
	assert_int_equal(e->err, -EPROTO);
	assert_int_equal(e->c.why, why);
	assert_string_equal(e->c.detail, detail);
}
