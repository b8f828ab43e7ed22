/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs of KIT_OPS as a proxy joins them, for each test; frames as hex.h has them. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/frames_two.h"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline int setup(void **state)
{
	static struct two t;

	two_open(&t, &KIT_OPS);
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

/* What these first bytes are taken for. */
static inline void sniffed(const char *hex, enum proto_match match, size_t of)
{
	struct buf b = { 0 };
	size_t need = 0;

	hex_add(&b, hex);
	assert_int_equal(KIT_OPS.sniff(rpc_text(&b), &need), match);
	assert_int_equal(need, of);
	buf_fini(&b);
}

struct first_bytes {
	const char *hex;
	enum proto_match match;
};

static inline void all_sniffed(const struct first_bytes *v, size_t n, size_t of)
{
	for (size_t i = 0; i < n; i++)
		sniffed(v[i].hex, v[i].match, of);
}

/* Frames of a client, and answers to k's calls: what is read of them does not depend on how they come in. */
static inline void cut_anywhere(struct two_case k, const char *client, const char *host)
{
	struct buf bytes = { 0 };

	k.ops = &KIT_OPS;
	hex_add(&bytes, client);
	k.bytes = rpc_text(&bytes);
	two_check(&k);
	buf_fini(&bytes);
	hex_add(&bytes, host);
	k.bytes = rpc_text(&bytes);
	k.answers = true;
	two_check(&k);
	buf_fini(&bytes);
}
