/* SPDX-License-Identifier: Apache-2.0 */
/* A client and a server for each test, joined by nothing but ends_talk(), or a server whose client is the test. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/http2_rig.h"

#define S(text) SLICE_LIT(text)

struct pair {
	struct end client, server;
	struct buf raw;                         /* what a client without a codec sends */
};

static inline int setup(void **state)
{
	static struct pair p;

	p = (struct pair){ 0 };
	end_open(&p.client, false);
	end_open(&p.server, true);
	p.server.answer = end_answer_ok;
	*state = &p;
	return 0;
}

static inline int teardown(void **state)
{
	struct pair *p = *state;

	end_close(&p->client);
	end_close(&p->server);
	buf_fini(&p->raw);
	return 0;
}

static inline void expect(struct buf *b, const char *want)
{
	struct slice got = end_text(b);

	if (!slice_eq_str(got, want))
		fail_msg("want\n%s\ngot\n%.*s", want, SLICE_ARG(got));
	buf_fini(b);
}

static inline void expect_log(struct end *e, unsigned i, const char *want)
{
	expect(&end_at(e, i)->log, want);
}

static inline void talk(struct pair *p)
{
	ends_talk(&p->client, &p->server, 0);
}

/* What the test wrote goes to the server. */
static inline void send_raw(struct pair *p)
{
	struct slice s = end_text(&p->raw);

	end_decode(&p->server, s);
	buf_fini(&p->raw);
	end_flush(&p->server);
}

static inline ssize_t put_bytes(struct end *e, uint64_t id, size_t n, bool end)
{
	struct buf b = { 0 };
	ssize_t took;

	while (b.len < n)
		buf_add(&b, "0123456789abcdef", n - b.len < 16 ? n - b.len : 16);
	took = e->c.ops->put_data(&e->c, id, &b, end);
	assert_int_equal(b.len, n - (size_t)took);
	buf_fini(&b);
	return took;
}

static inline struct end_stream *post(struct pair *p)
{
	return end_ask(&p->client, end_request(&p->client, "POST", "/"), false);
}

#define ASK ":method=GET|:scheme=http|:path=/|:authority=a"
#define POST ":method=POST|:scheme=http|:path=/|:authority=a"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
