// SPDX-License-Identifier: Apache-2.0
/* What is refused, and what is counted until it is stopped (RFC 9113 8.1, 10.5). */
#include "http2_kit.h"

/* ---- requests that break a rule ---- */

enum verdict { TAKEN, RESET, CONNECTION };

static const struct {
	const char *fields;
	enum verdict verdict;
} requests[] = {
	{ ASK, TAKEN },
	{ ASK "|x-y_z=1|x=\xc3\xa9", TAKEN },
	{ ASK "|te=trailers", TAKEN },
	{ ":method=OPTIONS|:scheme=https|:path=*|:authority=a", TAKEN },
	/* names */
	{ ASK "|X-Upper=1", RESET },
	{ ASK "|=empty name", RESET },
	{ ASK "|a b=1", RESET },
	{ ASK "|a:b=1", RESET },
	{ ASK "|a\r\nb=1", RESET },
	{ ASK "|a\x01=1", RESET },
	/* values */
	{ ASK "|a=1\r\nb: 2", RESET },
	{ ASK "|a=1\nb: 2", RESET },
	{ ASK "|a= 1", RESET },
	{ ASK "|a=1 ", RESET },
	{ ASK "|a=1\x7f", RESET },
	/* what belongs to a connection */
	{ ASK "|connection=close", RESET },
	{ ASK "|transfer-encoding=chunked", RESET },
	{ ASK "|upgrade=h2c", RESET },
	{ ASK "|keep-alive=5", RESET },
	{ ASK "|proxy-connection=close", RESET },
	{ ASK "|te=gzip", RESET },
	{ ASK "|te=trailers, gzip", RESET },
	/* pseudo-headers */
	{ ":method=GET|:scheme=http|:path=/|a=1|:authority=a", RESET },
	{ ASK "|:path=/b", RESET },
	{ ASK "|:method=GET", RESET },
	{ ASK "|:status=200", RESET },
	{ ASK "|:made-up=1", RESET },
	{ ASK "|:protocol=websocket", RESET },
	{ ":scheme=http|:path=/|:authority=a", RESET },
	{ ":method=GET|:path=/|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/", RESET },
	{ ":method=GET|:scheme=http|:path=|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=x|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=*|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/ HTTP/1.1|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/\r\nx: y|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/#x|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/\xc3\xa9|:authority=a", RESET },
	{ ":method=GET /|:scheme=http|:path=/|:authority=a", RESET },
	{ ":method=|:scheme=http|:path=/|:authority=a", RESET },
	{ ":method=GET|:scheme=gopher|:path=/|:authority=a", RESET },
	{ ":method=GET|:scheme=http|:path=/|:authority=", RESET },
	{ ":method=GET|:scheme=http|:path=/|:authority=u@a", RESET },
	{ ":method=GET|:scheme=http|:path=/|:authority=a/b", RESET },
	{ ":method=GET|:scheme=http|:path=/|:authority=a:b", RESET },
	{ ":method=GET|:scheme=http|:path=/|:authority=a,b", RESET },
	{ ASK "|host=b", RESET },
	{ ASK "|host=a|host=a", RESET },
	{ ":method=CONNECT|:authority=a", RESET },
	{ ":method=CONNECT|:authority=a:1|:path=/", RESET },
	{ ":method=CONNECT|:authority=a:1|:scheme=http", RESET },
	{ ":method=CONNECT|:protocol=websocket|:authority=a:1", RESET },
	{ ":method=TRACE|:scheme=http|:path=/|:authority=a|content-length=0", TAKEN },
	/* length */
	{ ASK "|content-length=1", RESET },
	{ ASK "|content-length=", RESET },
	{ ASK "|content-length=+0", RESET },
	{ ASK "|content-length=0, 0", RESET },
	{ ASK "|content-length=0|content-length=0", RESET },
	{ ASK "|content-length=99999999999999999999", RESET },
};

static void test_requests_that_break_a_rule(void **state)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct pair *p = *state;
		struct end_stream *s;
		uint32_t code = 0;
		enum verdict got;

		raw_open(&p->raw);
		raw_headers(&p->raw, 1, RAW_END, requests[i].fields);
		raw_headers(&p->raw, 3, RAW_END, ASK);
		send_raw(p);
		s = end_at(&p->server, 0);
		got = p->server.err ? CONNECTION : raw_count(&p->server.c.out, RAW_RST, &code) ? RESET : TAKEN;
		if (got != requests[i].verdict)
			fail_msg("%s: verdict %d", requests[i].fields, got);
		if (got != RESET)
			assert_null(memmem(end_text(&s->log).p, s->log.len, "reset", 5));
		else
			assert_int_equal(code, 1);
		if (got == RESET)
			assert_string_equal(slice_eq_str(end_text(&s->log), "reset MALFORMED\n") ? "" : requests[i].fields, "");
		/* The other one is none the worse. */
		assert_non_null(memmem(end_text(&end_at(&p->server, 1)->log).p, 30, "request GET", 11));
		teardown(state);
		setup(state);
	}
}

static void test_a_nul_anywhere(void **state)
{
	static const struct slice bad[][2] = { { SLICE_LIT("a\0b"), SLICE_LIT("1") }, { SLICE_LIT("a"), SLICE_LIT("1\0") } };

	for (int i = 0; i < 2; i++) {
		struct pair *p = *state;
		struct buf block = { 0 };
		struct slice s;

		raw_open(&p->raw);
		raw_fields(&block, ASK);
		raw_field(&block, bad[i][0], bad[i][1]);
		s = end_text(&block);
		raw_frame(&p->raw, RAW_HEADERS, RAW_END | RAW_END_HEADERS, 1, s.p, s.n);
		buf_fini(&block);
		send_raw(p);
		expect_log(&p->server, 0, "reset MALFORMED\n");
		teardown(state);
		setup(state);
	}
}

static void test_bodies_and_trailers_that_break_a_rule(void **state)
{
	static const char *const trailers[] = { ":path=/", "A=1", "connection=close", ":status=200", "a=1\r\nb" };

	for (size_t i = 0; i < sizeof(trailers) / sizeof(trailers[0]); i++) {
		struct pair *p = *state;

		p->server.answer = NULL;
		raw_open(&p->raw);
		raw_headers(&p->raw, 1, 0, POST);
		raw_headers(&p->raw, 1, RAW_END, trailers[i]);
		raw_headers(&p->raw, 3, 0, POST "|content-length=3");
		raw_frame(&p->raw, RAW_DATA, RAW_END, 3, "ab", 2);
		raw_headers(&p->raw, 5, 0, POST "|content-length=3");
		raw_frame(&p->raw, RAW_DATA, 0, 5, "abcd", 4);
		send_raw(p);
		for (unsigned k = 0; k < 3; k++)
			assert_non_null(memmem(end_text(&end_at(&p->server, k)->log).p, end_at(&p->server, k)->log.len,
					       "reset MALFORMED", 15));
		assert_int_equal(p->server.err, 0);
		teardown(state);
		setup(state);
	}
}

/* Those that only a head may have are dropped (RFC 9110 6.5.1). */
static void test_trailers_that_are_not_passed_on(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, 0, POST);
	raw_headers(&p->raw, 1, RAW_END, "authorization=x|content-type=y|x-sum=1|host=b");
	send_raw(p);
	expect_log(&p->server, 0, "request POST http://a / len -1\ntrailers\n x-sum: 1\nend\n");
}

/* ---- heads over a limit ---- */

static void test_heads_over_a_limit(void **state)
{
	static char many[4096], path[400];
	struct pair *p = *state;

	p->server.limits = (struct proto_limits){ .head_bytes = 2000, .headers = 20, .target_bytes = 100 };
	raw_open(&p->raw);
	strcpy(many, ASK);
	for (int i = 0; i < 21; i++)
		strcat(many, "|a=1");
	raw_headers(&p->raw, 1, RAW_END, many);
	snprintf(many, sizeof(many), ASK "|a=%02000d", 1);
	raw_headers(&p->raw, 3, RAW_END, many);
	snprintf(path, sizeof(path), ":method=GET|:scheme=http|:authority=a|:path=/%0100d", 1);
	raw_headers(&p->raw, 5, RAW_END, path);
	raw_headers(&p->raw, 7, RAW_END, ASK);
	send_raw(p);
	for (unsigned i = 0; i < 3; i++)
		expect_log(&p->server, i, "reset HEAD_TOO_LARGE\n");
	expect_log(&p->server, 3, "request GET http://a / len 0\nend\n");
	/* Each of them was answered. */
	assert_int_equal(raw_count(&p->server.c.out, RAW_HEADERS, NULL), 4);
	assert_int_equal(raw_count(&p->server.c.out, RAW_RST, NULL), 0);
	assert_int_equal(p->server.err, 0);
}

static void expect_abuse(struct pair *p, enum proto_why why, uint32_t code)
{
	uint32_t said = 0;

	assert_int_equal(p->server.err, -EPROTO);
	assert_int_equal(p->server.c.why, why);
	assert_non_null(p->server.c.detail);
	assert_int_equal(raw_count(&p->server.c.out, RAW_GOAWAY, &said), 1);
	assert_int_equal(said, code);
	/* And nothing more is taken in. */
	said = p->server.nstreams;
	raw_headers(&p->raw, 2001, RAW_END, ASK);
	send_raw(p);
	assert_int_equal(p->server.nstreams, said);
	assert_int_equal(p->server.in.len, 0);
}

/* A field of 4 KiB in the table, then one byte for each time it is said. */
static void test_an_hpack_bomb(void **state)
{
	struct pair *p = *state;
	struct buf block = { 0 };
	unsigned char n[16];
	char big[3800], refs[16000];
	struct slice s;

	memset(big, 'x', sizeof(big));
	memset(refs, 0xbe, sizeof(refs));
	raw_open(&p->raw);
	raw_fields(&block, ASK);
	buf_add(&block, "\x40\x01z", 3);
	buf_add(&block, n, raw_number(n, 7, 0, sizeof(big)));
	buf_add(&block, big, sizeof(big));
	s = end_text(&block);
	raw_frame(&p->raw, RAW_HEADERS, RAW_END | RAW_END_HEADERS, 1, s.p, s.n);
	send_raw(p);
	buf_fini(&p->server.c.out);
	buf_fini(&block);
	raw_fields(&block, ASK);
	buf_add(&block, refs, sizeof(refs));
	s = end_text(&block);
	raw_frame(&p->raw, RAW_HEADERS, RAW_END | RAW_END_HEADERS, 3, s.p, s.n);
	send_raw(p);
	buf_fini(&block);
	expect_abuse(p, PROTO_ABUSE, 11);
	assert_true(p->server.arena.used < 100000);
}

/* Nine pieces of a frame's head are one frame. */
static void test_continuations_byte_by_byte(void **state)
{
	struct pair *p = *state;
	struct buf block = { 0 };
	struct slice s;

	raw_open(&p->raw);
	raw_fields(&block, ASK);
	s = end_text(&block);
	raw_frame(&p->raw, RAW_HEADERS, RAW_END, 1, s.p, s.n);
	for (int i = 0; i < 8; i++)
		raw_frame(&p->raw, RAW_CONTINUATION, i == 7 ? RAW_END_HEADERS : 0, 1, NULL, 0);
	s = end_text(&p->raw);
	for (size_t i = 0; i < s.n; i++)
		end_decode(&p->server, (struct slice){ s.p + i, 1 });
	buf_fini(&block);
	assert_int_equal(p->server.err, 0);
	expect_log(&p->server, 0, "request GET http://a / len 0\nend\n");
}

static void test_a_continuation_flood(void **state)
{
	struct pair *p = *state;
	struct buf block = { 0 };
	struct slice s;

	raw_open(&p->raw);
	raw_fields(&block, ASK);
	s = end_text(&block);
	raw_frame(&p->raw, RAW_HEADERS, RAW_END, 1, s.p, s.n);
	for (int i = 0; i < 20; i++)
		raw_frame(&p->raw, RAW_CONTINUATION, 0, 1, NULL, 0);
	send_raw(p);
	buf_fini(&block);
	expect_abuse(p, PROTO_ABUSE, 11);
}

/* ---- floods: each is stopped when the core has had enough ---- */

#define ENOUGH 50u

static void flood_settings(struct buf *b, uint32_t i)
{
	(void)i;
	raw_frame(b, RAW_SETTINGS, 0, 0, NULL, 0);
}

static void flood_pings(struct buf *b, uint32_t i)
{
	(void)i;
	raw_frame(b, RAW_PING, 0, 0, "12345678", 8);
}

static void flood_priority(struct buf *b, uint32_t i)
{
	raw_frame(b, RAW_PRIORITY, 0, 2 * i + 1, "\0\0\0\0\1", 5);
}

static void flood_unknown(struct buf *b, uint32_t i)
{
	(void)i;
	raw_frame(b, 0x77, 0, 0, "x", 1);
}

static void flood_window_updates(struct buf *b, uint32_t i)
{
	(void)i;
	raw_number_frame(b, RAW_WINDOW, 0, 1);
}

static void flood_empty_data(struct buf *b, uint32_t i)
{
	if (!i)
		raw_headers(b, 1, 0, POST);
	raw_frame(b, RAW_DATA, 0, 1, NULL, 0);
}

static void flood_padding(struct buf *b, uint32_t i)
{
	if (!i)
		raw_headers(b, 1, 0, POST);
	raw_frame(b, RAW_DATA, RAW_PADDED, 1, "\x03\0\0\0", 4);
}

static void flood_rapid_reset(struct buf *b, uint32_t i)
{
	raw_headers(b, 2 * i + 1, RAW_END, ASK);
	raw_number_frame(b, RAW_RST, 2 * i + 1, 8);
}

/* Makes the server reset its streams: by the overflow of a window. */
static void flood_made_resets(struct buf *b, uint32_t i)
{
	raw_headers(b, 2 * i + 1, 0, POST);
	raw_number_frame(b, RAW_WINDOW, 2 * i + 1, 0x7fffffff);
}

static void flood_malformed(struct buf *b, uint32_t i)
{
	raw_headers(b, 2 * i + 1, RAW_END, ASK "|=");
}

static void flood_refused(struct buf *b, uint32_t i)
{
	raw_headers(b, 2 * i + 1, 0, POST);
}

static void flood_continuations(struct buf *b, uint32_t i)
{
	struct buf block = { 0 };
	struct slice s;

	raw_fields(&block, ASK);
	s = end_text(&block);
	raw_frame(b, RAW_HEADERS, RAW_END, 2 * i + 1, s.p, s.n);
	raw_frame(b, RAW_CONTINUATION, RAW_END_HEADERS, 2 * i + 1, NULL, 0);
	buf_fini(&block);
}

/* Heads for a stream that the server has reset, which are thrown away. */
static void flood_closed_stream(struct buf *b, uint32_t i)
{
	raw_headers(b, 1, 0, POST);
	if (!i)
		raw_number_frame(b, RAW_WINDOW, 1, 0x7fffffff);
}

static void flood_goaways(struct buf *b, uint32_t i)
{
	(void)i;
	raw_frame(b, RAW_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
}

/* Requests whose answers go out a byte at a time. */
static void flood_tiny_windows(struct buf *b, uint32_t i)
{
	if (!i)
		raw_setting(b, 4, 1);
	raw_headers(b, 2 * i + 1, RAW_END, ASK);
}

static void test_floods_are_stopped(void **state)
{
	static const struct {
		const char *name;
		void (*add)(struct buf *b, uint32_t i);
	} floods[] = {
		{ "settings", flood_settings }, { "pings", flood_pings }, { "priority", flood_priority },
		{ "unknown frames", flood_unknown }, { "window updates", flood_window_updates },
		{ "empty data", flood_empty_data }, { "padding", flood_padding }, { "rapid reset", flood_rapid_reset },
		{ "made resets", flood_made_resets }, { "malformed", flood_malformed }, { "refused", flood_refused },
		{ "continuations", flood_continuations }, { "closed stream", flood_closed_stream }, { "goaways", flood_goaways }, { "tiny windows", flood_tiny_windows },
	};

	for (size_t f = 0; f < sizeof(floods) / sizeof(floods[0]); f++) {
		struct pair *p = *state;
		uint32_t i = 0;

		p->server.glitches_max = ENOUGH;
		raw_open(&p->raw);
		for (; i < 500 && !p->server.err; i++) {
			floods[f].add(&p->raw, i);
			send_raw(p);
			/* The peer reads, so it is not the answers that end this. */
			if (!p->server.err)
				buf_fini(&p->server.c.out);
			if (p->server.nstreams > 100)
				break;
		}
		if (!p->server.err || i < ENOUGH)
			fail_msg("%s: %u of them, %u glitches, error %d", floods[f].name, i, p->server.glitches, p->server.err);
		expect_abuse(p, PROTO_ABUSE, 11);
		teardown(state);
		setup(state);
	}
}

/* Answers that nobody reads do not pile up, even when nothing else is odd. */
static void test_answers_that_are_not_read(void **state)
{
	struct pair *p = *state;

	p->server.limits.control_frames = 100;
	raw_open(&p->raw);
	for (int i = 0; i < 200; i++) {
		flood_pings(&p->raw, 0);
		send_raw(p);
	}
	expect_abuse(p, PROTO_ABUSE, 11);
	assert_true(p->server.c.out.len < 5000);
}

static void test_what_a_good_client_does_is_not_odd(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_number_frame(&p->raw, RAW_WINDOW, 0, 1 << 20);
	for (uint32_t i = 0; i < 90; i++) {
		raw_headers(&p->raw, 2 * i + 1, 0, POST);
		raw_frame(&p->raw, RAW_DATA, RAW_END, 2 * i + 1, "body", 4);
		flood_pings(&p->raw, 0);
		raw_number_frame(&p->raw, RAW_WINDOW, 0, 2);
		send_raw(p);
		raw_number_frame(&p->raw, RAW_WINDOW, 0, 2);
		buf_fini(&p->server.c.out);
	}
	assert_int_equal(p->server.glitches, 0);
}

/* Frames that crossed a reset of ours on their way, and the end of a body behind it. */
static void test_what_was_on_its_way_is_let_pass(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	for (uint32_t i = 0; i < END_STREAMS; i++) {
		raw_headers(&p->raw, 7 * i * 2 + 1, 0, POST);
		send_raw(p);
		p->server.c.ops->put_reset(&p->server.c, end_at(&p->server, i)->id, PROTO_OVERLOAD);
		end_flush(&p->server);
		raw_frame(&p->raw, RAW_DATA, 0, 7 * i * 2 + 1, "x", 1);
		raw_frame(&p->raw, RAW_DATA, RAW_END, 7 * i * 2 + 1, "x", 1);
		send_raw(p);
		buf_fini(&p->server.c.out);
		assert_int_equal(p->server.err, 0);
	}
}

/* ---- the connection itself ---- */

static void bad_preface(struct buf *b)
{
	buf_fini(b);
	buf_add(b, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
}

static void bad_first_frame(struct buf *b)
{
	buf_fini(b);
	buf_add(b, RAW_PREFACE, 24);
	flood_pings(b, 0);
}

static void bad_length(struct buf *b)
{
	raw_frame(b, RAW_PING, 0, 0, "1234567", 7);
}

static void bad_hpack(struct buf *b)
{
	raw_frame(b, RAW_HEADERS, RAW_END | RAW_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6);
}

static void bad_even_stream(struct buf *b)
{
	raw_headers(b, 2, RAW_END, ASK);
}

static void bad_data_on_idle(struct buf *b)
{
	raw_frame(b, RAW_DATA, RAW_END, 5, "x", 1);
}

static void bad_window_of_connection(struct buf *b)
{
	raw_number_frame(b, RAW_WINDOW, 0, 0x7fffffff);
}

static void bad_push(struct buf *b)
{
	raw_frame(b, RAW_PUSH, RAW_END_HEADERS, 1, "\0\0\0\2", 4);
}

static void bad_continuation(struct buf *b)
{
	raw_frame(b, RAW_CONTINUATION, RAW_END_HEADERS, 1, NULL, 0);
}

static void bad_old_stream(struct buf *b)
{
	raw_headers(b, 5, 0, POST);
	raw_headers(b, 3, 0, POST);
}

static void bad_priority(struct buf *b)
{
	raw_frame(b, RAW_PRIORITY, 0, 0, "\0\0\0\1\1", 5);
}

static void bad_priority_of_itself(struct buf *b)
{
	raw_frame(b, RAW_PRIORITY, 0, 3, "\0\0\0\3\1", 5);
}

static void bad_data_behind_reset(struct buf *b)
{
	raw_headers(b, 1, 0, POST);
	raw_number_frame(b, RAW_RST, 1, 8);
	raw_frame(b, RAW_DATA, RAW_END, 1, "x", 1);
}

static void bad_head_behind_reset(struct buf *b)
{
	raw_headers(b, 1, 0, POST);
	raw_number_frame(b, RAW_RST, 1, 8);
	raw_headers(b, 1, RAW_END, ASK);
}

static void bad_head_behind_end(struct buf *b)
{
	raw_headers(b, 1, RAW_END, ASK);
	raw_headers(b, 3, RAW_END, ASK);
	raw_headers(b, 1, RAW_END, ASK);
}

static void bad_settings(struct buf *b)
{
	raw_setting(b, 4, 0x80000000);
}

static void bad_many_settings(struct buf *b)
{
	static const char v[6 * 200] = { 0 };

	raw_frame(b, RAW_SETTINGS, 0, 0, v, sizeof(v));
}

static void test_errors_of_the_connection(void **state)
{
	static const struct {
		void (*add)(struct buf *b);
		enum proto_why why;
		uint32_t code;
	} bad[] = {
		{ bad_preface, PROTO_MALFORMED, 1 }, { bad_first_frame, PROTO_MALFORMED, 1 },
		{ bad_length, PROTO_MALFORMED, 6 }, { bad_hpack, PROTO_MALFORMED, 9 },
		{ bad_even_stream, PROTO_MALFORMED, 1 }, { bad_data_on_idle, PROTO_MALFORMED, 1 },
		{ bad_window_of_connection, PROTO_FLOW, 3 }, { bad_push, PROTO_MALFORMED, 1 },
		{ bad_continuation, PROTO_MALFORMED, 1 }, { bad_old_stream, PROTO_MALFORMED, 1 },
		{ bad_priority, PROTO_MALFORMED, 1 }, { bad_priority_of_itself, PROTO_MALFORMED, 1 },
		{ bad_data_behind_reset, PROTO_MALFORMED, 5 }, { bad_head_behind_reset, PROTO_MALFORMED, 5 },
		{ bad_head_behind_end, PROTO_MALFORMED, 5 }, { bad_settings, PROTO_FLOW, 3 }, { bad_many_settings, PROTO_ABUSE, 11 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair *p = *state;

		raw_open(&p->raw);
		bad[i].add(&p->raw);
		send_raw(p);
		if (!p->server.err || p->server.c.why != bad[i].why)
			fail_msg("case %zu: error %d, why %d, %s", i, p->server.err, p->server.c.why, p->server.c.detail);
		expect_abuse(p, bad[i].why, bad[i].code);
		teardown(state);
		setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_requests_that_break_a_rule),
		T(test_a_nul_anywhere),
		T(test_bodies_and_trailers_that_break_a_rule),
		T(test_trailers_that_are_not_passed_on),
		T(test_heads_over_a_limit),
		T(test_an_hpack_bomb),
		T(test_continuations_byte_by_byte),
		T(test_a_continuation_flood),
		T(test_floods_are_stopped),
		T(test_answers_that_are_not_read),
		T(test_what_a_good_client_does_is_not_odd),
		T(test_what_was_on_its_way_is_let_pass),
		T(test_errors_of_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
