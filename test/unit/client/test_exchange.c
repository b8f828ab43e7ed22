// SPDX-License-Identifier: Apache-2.0
/* One request and its answer against a codec of the other end: bodies through windows, pauses, and every end there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "client/exchange.h"
#include "lib/http2_rig.h"
#include "proto/http1.h"

#define LARGE 600000u                           /* more than any window */

static struct {
	struct exchange *x;
	struct end server;
	struct buf answer;                      /* what the server has not sent yet */
} t;

static void send_more(struct end *e, struct end_stream *s)
{
	e->c.ops->put_data(&e->c, s->id, &t.answer, true);
}

/* 200, and all of t.answer. */
static void answer_large(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = 200;
	e->more = send_more;
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
	send_more(e, s);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	end_open(&t.server, true);
	t.server.answer = end_answer_ok;
	t.server.quiet = true;
	t.x = exchange_new(&proto_http2);
	assert_non_null(t.x);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exchange_free(t.x);
	end_close(&t.server);
	buf_fini(&t.answer);
	return 0;
}

static void ask(int64_t body_len)
{
	const struct exchange_ask a = { .method = SLICE_LIT("POST"), .scheme = SLICE_LIT("http"), .authority = SLICE_LIT("a"),
					.path = SLICE_LIT("/"), .body_len = body_len };

	assert_int_equal(exchange_ask(t.x, &a), 0);
}

static void fill(struct buf *b, size_t n)
{
	static const char piece[1000];

	for (; n; n -= n < sizeof(piece) ? n : sizeof(piece))
		buf_add(b, piece, n < sizeof(piece) ? n : sizeof(piece));
}

/* Until both are silent. */
static void talk(void)
{
	bool said = true;

	while (said) {
		struct buf pipe = { 0 };

		buf_move(&pipe, &t.x->codec.out);
		said = pipe.len;
		if (said)
			end_decode(&t.server, buf_pull(&pipe, pipe.len));
		buf_fini(&pipe);
		end_flush(&t.server);
		said |= t.server.c.out.len;
		exchange_read(t.x, &t.server.c.out, 0);
	}
}

static void whole(void **state)
{
	(void)state;
	ask(0);
	talk();
	assert_true(t.x->over && t.x->headed && !t.x->trailed && !t.x->broken);
	assert_int_equal(t.x->why, PROTO_NONE);
	assert_int_equal(t.x->head.status, 200);
	assert_true(slice_eq_str(buf_pull(&t.x->body, t.x->body.len), "ok"));
}

static void request_through_windows(void **state)
{
	struct buf b = { 0 };

	(void)state;
	ask(MSG_LENGTH_UNKNOWN);
	t.server.hold = true;
	fill(&b, LARGE);
	assert_int_equal(exchange_put(t.x, &b, true), 0);
	talk();
	assert_false(t.x->over);
	assert_true(exchange_unsent(t.x) > 0);
	assert_int_equal(exchange_put(t.x, &b, true), -EPIPE);
	t.server.hold = false;
	end_release(&t.server, end_at(&t.server, 0)->id);
	talk();
	assert_int_equal(exchange_unsent(t.x), 0);
	assert_int_equal(end_at(&t.server, 0)->body, LARGE);
	assert_true(t.x->over);
}

static void answer_while_paused(void **state)
{
	size_t held;

	(void)state;
	t.server.answer = answer_large;
	fill(&t.answer, LARGE);
	exchange_pause(t.x, true);
	ask(0);
	talk();
	held = t.x->body.len;
	assert_true(held && held < LARGE && !t.x->over && t.x->owed == held && exchange_reads(t.x));
	talk();
	assert_int_equal(t.x->body.len, held);
	exchange_pause(t.x, false);
	talk();
	assert_true(t.x->over);
	assert_int_equal(t.x->body.len, LARGE);
}

static void reset(void **state)
{
	(void)state;
	t.server.answer = NULL;
	ask(0);
	talk();
	t.server.c.ops->put_reset(&t.server.c, end_at(&t.server, 0)->id, PROTO_REFUSED);
	talk();
	assert_true(t.x->over && !t.x->broken);
	assert_int_equal(t.x->why, PROTO_REFUSED);
	assert_string_equal(exchange_why(t.x), "refused before it was processed");
}

static void goaway(void **state)
{
	(void)state;
	t.server.answer = NULL;
	ask(0);
	talk();
	t.server.c.ops->put_goaway(&t.server.c, false, PROTO_NONE);
	talk();
	assert_true(t.x->drains && !t.x->over);
	assert_string_equal(exchange_why(t.x), "the server drains the connection (GOAWAY)");
	end_answer_ok(&t.server, end_at(&t.server, 0));
	talk();
	assert_true(t.x->over);
	assert_int_equal(t.x->why, PROTO_NONE);
}

static void pings(void **state)
{
	(void)state;
	ask(MSG_LENGTH_UNKNOWN);
	assert_int_equal(exchange_ping(t.x, 7), 0);
	assert_false(t.x->ponged);
	talk();
	assert_true(t.x->ponged && !t.x->over);
}

static void the_end_of_the_connection(void **state)
{
	(void)state;
	ask(0);
	exchange_eof(t.x);
	assert_true(t.x->over && !t.x->broken);
	assert_int_equal(t.x->why, PROTO_CLOSED);
}

static void no_http(void **state)
{
	struct buf in = { 0 };

	(void)state;
	ask(0);
	buf_add(&in, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	exchange_read(t.x, &in, 0);
	assert_true(t.x->over && t.x->broken);
	buf_fini(&in);
}

/* ---- HTTP/1.1 ----------------------------------------------------------------------------------------------- */

static void http1(void **state)
{
	static const char answer[] = "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n";
	const struct exchange_ask a = { .method = SLICE_LIT("GET"), .authority = SLICE_LIT("a:1"), .path = SLICE_LIT("/p") };
	struct exchange *x = exchange_new(&proto_http1);
	struct buf in = { 0 };

	(void)state;
	assert_int_equal(exchange_ask(x, &a), 0);
	assert_true(slice_eq_str(buf_pull(&x->codec.out, x->codec.out.len), "GET /p HTTP/1.1\r\nHost: a:1\r\n\r\n"));
	exchange_pause(x, true);
	assert_false(exchange_reads(x));
	exchange_pause(x, false);
	for (size_t i = 0; i < sizeof(answer) - 1; i++) {
		assert_false(x->over);
		buf_add(&in, answer + i, 1);
		exchange_read(x, &in, 0);
	}
	assert_true(x->over && x->headed && x->trailed);
	assert_int_equal(x->why, PROTO_NONE);
	assert_int_equal(x->head.status, 200);
	assert_true(slice_eq_str(buf_pull(&x->body, x->body.len), "abcde"));
	exchange_free(x);
	buf_fini(&in);
}

static void http1_until_the_end(void **state)
{
	const struct exchange_ask a = { .method = SLICE_LIT("GET"), .authority = SLICE_LIT("a"), .path = SLICE_LIT("/") };
	struct buf in = { 0 };

	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		struct exchange *x = exchange_new(&proto_http1);

		exchange_ask(x, &a);
		buf_printf(&in, "HTTP/1.1 200 OK\r\n%s\r\nabc", cut ? "Content-Length: 9\r\n" : "");
		exchange_read(x, &in, 0);
		assert_false(x->over);
		exchange_eof(x);
		assert_true(x->over);
		assert_int_equal(x->why, cut ? PROTO_CLOSED : PROTO_NONE);
		exchange_free(x);
	}
	buf_fini(&in);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole), T(request_through_windows), T(answer_while_paused), T(reset), T(goaway), T(pings), T(the_end_of_the_connection),
		T(no_http), cmocka_unit_test(http1), cmocka_unit_test(http1_until_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
