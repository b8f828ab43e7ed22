// SPDX-License-Identifier: Apache-2.0
/* Windows, resets and goaways: what is bounded, what is told, and to whom. */
#include "http2_kit.h"

/* ---- windows ---- */

static void test_a_sender_waits_for_what_is_consumed(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	talk(p);
	p->server.hold = p->server.quiet = true;
	s = post(p);
	assert_int_equal(put_bytes(&p->client, s->id, 1 << 20, false), 256 << 10);
	talk(p);
	assert_int_equal(p->server.held, 256 << 10);
	assert_int_equal(put_bytes(&p->client, s->id, 10, false), 0);
	assert_false(s->writable);
	end_release(&p->server, end_at(&p->server, 0)->id);
	talk(p);
	assert_true(s->writable);
	assert_int_equal(put_bytes(&p->client, s->id, 10, true), 10);
	talk(p);
	expect(&s->log, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
}

/* One that nobody reads holds back its own stream; all of them together the connection. */
static void test_a_full_stream_leaves_the_others_alone(void **state)
{
	struct pair *p = *state;
	struct end_stream *s[5];
	uint64_t first;

	talk(p);
	p->server.hold = p->server.quiet = true;
	for (int i = 0; i < 4; i++) {
		s[i] = post(p);
		assert_int_equal(put_bytes(&p->client, s[i]->id, 300 << 10, false), 256 << 10);
		talk(p);
	}
	s[4] = post(p);
	assert_int_equal(put_bytes(&p->client, s[4]->id, 1, true), 0);
	first = end_at(&p->server, 0)->id;
	p->server.c.ops->consumed(&p->server.c, first, p->server.held);
	talk(p);
	assert_true(s[0]->writable && s[4]->writable && !s[1]->writable);
	assert_int_equal(put_bytes(&p->client, s[4]->id, 1, true), 1);
	talk(p);
	expect(&s[4]->log, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
}

/* The connection's window must not leak away with streams that were reset. */
static void test_bytes_of_a_dead_stream_are_credited(void **state)
{
	struct pair *p = *state;

	talk(p);
	p->server.quiet = true;
	for (int i = 0; i < 20; i++) {
		struct end_stream *s = post(p), *at;

		assert_int_equal(put_bytes(&p->client, s->id, 200 << 10, false), 200 << 10);
		p->server.hold = true;
		talk(p);
		at = end_at(&p->server, (unsigned)i);
		assert_int_equal(p->server.c.ops->put_reset(&p->server.c, at->id, PROTO_CANCELLED), 0);
		talk(p);
		end_release(&p->server, at->id);
		talk(p);
		expect(&s->log, "reset CANCELLED\n");
	}
	assert_int_equal(p->client.nstreams, 20);
}

static void test_windows_of_nothing_and_of_one_byte(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	raw_open(&p->raw);
	raw_setting(&p->raw, 4, 0);
	raw_headers(&p->raw, 1, RAW_END, ASK);
	send_raw(p);
	s = end_at(&p->server, 0);
	/* Nothing went out: end_answer_ok() was told so, and of the room that comes now. */
	assert_int_equal(raw_count(&p->server.c.out, RAW_DATA, NULL), 0);
	assert_false(s->writable);
	assert_int_equal(p->server.glitches, 1);
	raw_number_frame(&p->raw, RAW_WINDOW, 1, 1);
	send_raw(p);
	assert_true(s->writable);
	assert_int_equal(end_put(&p->server, s->id, "ok", true), 1);
	assert_int_equal(p->server.glitches, 2);
	raw_number_frame(&p->raw, RAW_WINDOW, 1, 1);
	send_raw(p);
	assert_int_equal(end_put(&p->server, s->id, "k", true), 1);
	end_flush(&p->server);
	assert_int_equal(raw_count(&p->server.c.out, RAW_DATA, NULL), 2);
	assert_int_equal(p->server.glitches, 2);
}

/* The last byte of a window, whatever the size of those before it; but not bytes alone. */
static void test_what_is_left_of_a_window_is_not_odd(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;
	struct msg *m;

	p->server.answer = NULL;
	raw_open(&p->raw);
	raw_headers(&p->raw, 1, RAW_END, ASK);
	send_raw(p);
	s = end_at(&p->server, 0);
	m = end_msg(&p->server, MSG_RESPONSE);
	m->status = 200;
	assert_int_equal(p->server.c.ops->put_head(&p->server.c, &s->id, m, false), 0);
	assert_int_equal(put_bytes(&p->server, s->id, 65534, false), 65534);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(put_bytes(&p->server, s->id, 10, false), 1);
		end_flush(&p->server);
		raw_number_frame(&p->raw, RAW_WINDOW, 0, 1000);
		raw_number_frame(&p->raw, RAW_WINDOW, 1, 1000);
		send_raw(p);
		assert_int_equal(put_bytes(&p->server, s->id, 999, false), 999);
	}
	assert_int_equal(p->server.glitches, 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(put_bytes(&p->server, s->id, 10, false), 1);
		end_flush(&p->server);
		raw_number_frame(&p->raw, RAW_WINDOW, 0, 1);
		raw_number_frame(&p->raw, RAW_WINDOW, 1, 1);
		send_raw(p);
	}
	assert_int_equal(p->server.glitches, 4);
}

/* A window that was taken back after the bytes were taken: they wait in the codec, trailers behind them. */
static void test_a_window_that_is_taken_back(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;
	struct msg *m, *t;

	p->server.answer = NULL;
	raw_open(&p->raw);
	raw_headers(&p->raw, 1, RAW_END, ASK);
	send_raw(p);
	s = end_at(&p->server, 0);
	m = end_msg(&p->server, MSG_RESPONSE);
	t = end_msg(&p->server, MSG_TRAILERS);
	m->status = 200;
	assert_int_equal(p->server.c.ops->put_head(&p->server.c, &s->id, m, false), 0);
	end_flush(&p->server);
	assert_int_equal(put_bytes(&p->server, s->id, 60000, false), 60000);
	msg_add(t, S("x-sum"), S("1"));
	assert_int_equal(p->server.c.ops->put_trailers(&p->server.c, s->id, t), 0);
	/* The core is done with it, and with its memory. */
	arena_reset(&p->server.arena);
	arena_alloc(&p->server.arena, 4096);
	raw_setting(&p->raw, 4, 100);
	send_raw(p);
	assert_int_equal(raw_count(&p->server.c.out, RAW_DATA, NULL), 1);
	raw_number_frame(&p->raw, RAW_WINDOW, 1, 100000);
	send_raw(p);
	assert_int_equal(raw_count(&p->server.c.out, RAW_HEADERS, NULL), 2);
	assert_true(p->server.c.ops->reusable(&p->server.c));
}

/* ---- resets ---- */

static void test_resets_reach_the_other_side(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	s = post(p);
	talk(p);
	assert_int_equal(p->client.c.ops->put_reset(&p->client.c, s->id, PROTO_CANCELLED), 0);
	assert_int_equal(end_put(&p->client, s->id, "late", false), -ENOENT);
	talk(p);
	expect_log(&p->server, 0, "request POST http://shop / len -1\nreset CANCELLED\n");
	assert_int_equal(p->server.glitches, 1);
	s = post(p);
	talk(p);
	assert_int_equal(p->server.c.ops->put_reset(&p->server.c, end_at(&p->server, 1)->id, PROTO_OVERLOAD), 0);
	talk(p);
	expect(&s->log, "reset ABUSE\n");
	assert_true(!p->client.err && !p->server.err);
	assert_true(p->client.c.ops->reusable(&p->client.c) && p->server.c.ops->reusable(&p->server.c));
}

static void test_a_request_that_is_reset_before_it_went_out(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	talk(p);
	s = post(p);
	end_put(&p->client, s->id, "x", true);
	p->client.c.ops->put_reset(&p->client.c, s->id, PROTO_CANCELLED);
	talk(p);
	assert_int_equal(p->server.nstreams, 0);
	assert_int_equal(p->client.c.ops->room(&p->client.c), 100);
}

/* The answer is whole before the request is: what is left of that is not wanted, which is no error. */
static void test_an_answer_before_the_end_of_the_request(void **state)
{
	struct pair *p = *state;
	struct end_stream *c, *s;

	for (unsigned late = 0; late < 2; late++) {
		c = post(p);
		end_put(&p->client, c->id, "some", false);
		talk(p);
		s = end_at(&p->server, late);
		end_answer_ok(&p->server, s);
		if (late)
			talk(p);
		assert_int_equal(p->server.c.ops->put_reset(&p->server.c, s->id, PROTO_NONE), 0);
		talk(p);
		expect(&c->log, "response 200 len 2\n content-length: 2\ndata ok\nend\nreset NONE\n");
		assert_int_equal(p->server.glitches, 0);
		assert_true(p->server.c.ops->reusable(&p->server.c));
	}
}

static void test_a_request_that_is_not_taken(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	p->server.refuse = true;
	s = post(p);
	talk(p);
	expect(&s->log, "reset REFUSED\n");
	assert_true(!p->client.err && !p->server.err);
}

/* ---- room, goaway ---- */

static void test_room_is_what_both_allow(void **state)
{
	struct pair *p = *state;

	assert_int_equal(p->client.c.ops->room(&p->client.c), 100);
	p->client.limits.streams = 7;
	assert_int_equal(p->client.c.ops->room(&p->client.c), 7);
	p->client.limits.streams = 1000;
	talk(p);
	assert_int_equal(p->client.c.ops->room(&p->client.c), 100);
	assert_int_equal(p->server.c.ops->room(&p->server.c), 0);
	post(p);
	assert_int_equal(p->client.c.ops->room(&p->client.c), 99);
	assert_true(p->client.rooms >= 1);
}

static void test_goaway_twice(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;
	uint64_t id = 0;

	s = post(p);
	talk(p);
	assert_int_equal(p->server.c.ops->put_goaway(&p->server.c, false, PROTO_DRAINING), 0);
	talk(p);
	expect(&p->client.news, "goaway last 2147483647 why 0\n");
	assert_int_equal(p->client.c.ops->room(&p->client.c), 0);
	assert_int_equal(p->client.c.ops->put_head(&p->client.c, &id, end_request(&p->client, "GET", "/"), true), -ESHUTDOWN);
	assert_int_equal(p->server.c.ops->put_goaway(&p->server.c, true, PROTO_NONE), 0);
	talk(p);
	expect(&p->client.news, "goaway last 1 why 0\n");
	assert_int_equal(end_put(&p->client, s->id, "x", true), 1);
	talk(p);
	expect(&s->log, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
	assert_true(!p->client.err && !p->server.err);
	assert_false(p->client.c.ops->reusable(&p->client.c) || p->server.c.ops->reusable(&p->server.c));
}

/* Requests that cross the last GOAWAY are safe to send again, and are told of before it. */
static void test_requests_that_cross_the_goaway(void **state)
{
	struct pair *p = *state;
	struct end_stream *on_wire, *queued;
	struct buf held = { 0 };

	talk(p);
	on_wire = post(p);
	end_flush(&p->client);
	buf_move(&held, &p->client.c.out);
	assert_int_equal(p->server.c.ops->put_goaway(&p->server.c, true, PROTO_NONE), 0);
	queued = post(p);
	end_talk(&p->server, &p->client, 0);
	expect(&on_wire->log, "reset REFUSED\n");
	expect(&queued->log, "reset REFUSED\n");
	end_decode(&p->server, end_text(&held));
	buf_fini(&held);
	talk(p);
	assert_int_equal(p->server.nstreams, 0);
	assert_int_equal(p->client.c.ops->room(&p->client.c), 0);
}

/* ---- pieces ---- */

/* A request on stream 1, then frames of its body: flags and text of each; to be sent in one read. */
static void write_body(struct pair *p, const char *head, unsigned n, const unsigned *flags, const char *const *text)
{
	raw_open(&p->raw);
	raw_headers(&p->raw, 1, 0, head);
	for (unsigned i = 0; i < n; i++)
		raw_frame(&p->raw, RAW_DATA, flags[i], 1, text[i], strlen(text[i]));
}

static bool has(struct end_stream *s, const char *words)
{
	struct slice log = end_text(&s->log);

	return memmem(log.p, log.n, words, strlen(words)) != NULL;
}

static void test_the_last_piece_is_told_with_the_end(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	p->server.answer = NULL;
	write_body(p, POST, 2, (const unsigned[]){ 0, RAW_END }, (const char *const[]){ "one ", "two" });
	send_raw(p);
	s = end_at(&p->server, 0);
	assert_int_equal(s->pieces, 2);
	assert_true(has(s, "data one two\nend\n"));
}

static void test_the_first_half_of_a_frame_is_not_held_back(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;
	struct slice all;

	write_body(p, POST, 1, (const unsigned[]){ RAW_END }, (const char *const[]){ "hello" });
	all = end_text(&p->raw);
	end_decode(&p->server, (struct slice){ all.p, all.n - 3 });
	s = end_at(&p->server, 0);
	assert_true(s->body == 2 && !has(s, "end\n"));
	end_decode(&p->server, (struct slice){ all.p + all.n - 3, 3 });
	assert_true(has(s, "data hello\nend\n"));
}

static void test_a_piece_is_given_before_a_reset(void **state)
{
	struct pair *p = *state;

	write_body(p, POST, 1, (const unsigned[]){ 0 }, (const char *const[]){ "hello" });
	raw_number_frame(&p->raw, RAW_RST, 1, 8);
	send_raw(p);
	assert_true(has(end_at(&p->server, 0), "data hello\nreset CANCELLED\n"));
}

/* nghttp2 finds it before it calls the frame complete. */
static void test_a_last_piece_that_is_longer_than_was_said(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	write_body(p, POST "|content-length=4", 1, (const unsigned[]){ RAW_END }, (const char *const[]){ "hello" });
	raw_headers(&p->raw, 3, RAW_END, ASK);
	send_raw(p);
	s = end_at(&p->server, 0);
	assert_true(!has(s, "end\n") && has(s, "reset MALFORMED\n"));
	assert_int_equal(p->server.err, 0);
	assert_true(has(end_at(&p->server, 1), "request GET"));
}

/* ---- memory ---- */

static void test_large_bodies_are_not_copied(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;
	struct buf b = { 0 };
	const char *first;

	talk(p);
	s = post(p);
	for (int i = 0; i < 4; i++) {
		struct buf chunk = { 0 };
		size_t n;

		memset(buf_room(&chunk, 16384, &n), 'x', 16384);
		buf_commit(&chunk, 16384);
		buf_move(&b, &chunk);
	}
	first = buf_head(&b).p;
	assert_int_equal(p->client.c.ops->put_data(&p->client.c, s->id, &b, true), 65536);
	end_flush(&p->client);
	while (buf_head(&p->client.c.out).n < 16384)
		buf_drop(&p->client.c.out, buf_head(&p->client.c.out).n);
	assert_ptr_equal(buf_head(&p->client.c.out).p, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_sender_waits_for_what_is_consumed),
		T(test_a_full_stream_leaves_the_others_alone),
		T(test_bytes_of_a_dead_stream_are_credited),
		T(test_windows_of_nothing_and_of_one_byte),
		T(test_what_is_left_of_a_window_is_not_odd),
		T(test_a_window_that_is_taken_back),
		T(test_resets_reach_the_other_side),
		T(test_a_request_that_is_reset_before_it_went_out),
		T(test_an_answer_before_the_end_of_the_request),
		T(test_a_request_that_is_not_taken),
		T(test_room_is_what_both_allow),
		T(test_goaway_twice),
		T(test_requests_that_cross_the_goaway),
		T(test_the_last_piece_is_told_with_the_end),
		T(test_the_first_half_of_a_frame_is_not_held_back),
		T(test_a_piece_is_given_before_a_reset),
		T(test_a_last_piece_that_is_longer_than_was_said),
		T(test_large_bodies_are_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
