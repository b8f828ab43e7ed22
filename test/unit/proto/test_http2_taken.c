// SPDX-License-Identifier: Apache-2.0
/* How much of a body goes out before the peer is known to have taken its request on, and what shows that it has. */
#include "http2_kit.h"

#define UNSURE 1000u

/* The peer has said how much it takes, and consumes nothing: it is silent. */
static void be_careful(struct pair *p)
{
	p->client.limits.unsure_body = UNSURE;
	p->server.hold = p->server.quiet = true;
	p->server.answer = NULL;
	talk(p);
}

static unsigned asked(struct pair *p)
{
	end_flush(&p->client);
	return raw_count(&p->client.c.out, RAW_SETTINGS, NULL);
}

static void told(struct pair *p)
{
	struct slice s = end_text(&p->raw);

	end_decode(&p->client, s);
	buf_fini(&p->raw);
}

static void put_rest(struct end *e, struct end_stream *s)
{
	put_bytes(e, s->id, 4000, false);
}

static void test_the_rest_waits_for_an_answer(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	be_careful(p);
	s = post(p);
	assert_int_equal(put_bytes(&p->client, s->id, UNSURE, false), UNSURE);
	assert_int_equal(asked(p), 0);
	assert_int_equal(put_bytes(&p->client, s->id, 4000, false), 0);
	assert_int_equal(asked(p), 1);
	assert_int_equal(put_bytes(&p->client, s->id, 4000, false), 0);
	assert_false(s->writable);
	talk(p);
	assert_true(s->writable);
	assert_int_equal(put_bytes(&p->client, s->id, 4000, false), 4000);
	assert_int_equal(asked(p), 0);
	talk(p);
	assert_int_equal(end_at(&p->server, 0)->body, 5000);
	assert_int_equal(p->server.glitches, 0);
}

/* Where the length says that it will be, the question goes with the head. */
static void test_what_is_known_to_be_long_asks_at_once(void **state)
{
	struct pair *p = *state;
	struct msg *m;
	struct end_stream *s;
	struct slice out;

	be_careful(p);
	m = end_request(&p->client, "POST", "/");
	m->body_len = 5000;
	s = end_ask(&p->client, m, false);
	assert_int_equal(put_bytes(&p->client, s->id, 5000, true), UNSURE);
	assert_int_equal(asked(p), 1);
	out = end_text(&p->client.c.out);
	assert_int_equal(out.p[3], RAW_HEADERS);
	assert_int_equal(out.p[9 + (unsigned char)out.p[2] + 3], RAW_SETTINGS);
	talk(p);
	assert_true(s->writable);
	m->body_len = UNSURE;
	end_ask(&p->client, m, false);
	assert_int_equal(asked(p), 0);
}

/* It cannot be given more before it says so, on that stream. */
static void test_a_peer_with_small_windows_is_not_asked(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	be_careful(p);
	raw_setting(&p->raw, 4, UNSURE);
	told(p);
	buf_fini(&p->client.c.out);
	s = post(p);
	assert_int_equal(put_bytes(&p->client, s->id, 5000, false), UNSURE);
	assert_int_equal(asked(p), 0);
	raw_number_frame(&p->raw, RAW_WINDOW, 1, 100);
	told(p);
	assert_true(s->writable);
	assert_int_equal(put_bytes(&p->client, s->id, 4000, false), 100);
	assert_int_equal(asked(p), 0);
}

/* Not either for what is left of a body that is short enough. */
static void test_a_short_body_is_not_asked_for(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	be_careful(p);
	raw_setting(&p->raw, 4, UNSURE - 1);
	told(p);
	s = post(p);
	assert_int_equal(put_bytes(&p->client, s->id, UNSURE, true), UNSURE - 1);
	buf_fini(&p->client.c.out);
	raw_setting(&p->raw, 4, 10 * UNSURE);
	told(p);
	assert_true(s->writable);
	assert_int_equal(put_bytes(&p->client, s->id, 1, true), 1);
	/* Its own answer to the peer's. */
	assert_int_equal(asked(p), 1);
}

static void test_an_answer_shows_it(void **state)
{
	struct pair *p = *state;
	struct end_stream *s[2];

	be_careful(p);
	for (int i = 0; i < 2; i++) {
		s[i] = post(p);
		assert_int_equal(put_bytes(&p->client, s[i]->id, 5000, false), UNSURE);
	}
	end_flush(&p->client);
	raw_headers(&p->raw, 1, 0, ":status=200");
	told(p);
	assert_true(s[0]->writable && !s[1]->writable);
	raw_number_frame(&p->raw, RAW_WINDOW, 3, 1);
	told(p);
	assert_true(s[1]->writable);
}

static void test_a_later_one_was_taken(void **state)
{
	struct pair *p = *state;
	struct end_stream *s;

	be_careful(p);
	s = post(p);
	assert_int_equal(put_bytes(&p->client, s->id, 5000, false), UNSURE);
	post(p);
	end_flush(&p->client);
	raw_headers(&p->raw, 3, RAW_END, ":status=200");
	told(p);
	assert_true(s->writable);
}

/* Only one frame is under way, which says nothing of the heads behind it, whatever else comes with its answer. */
static void test_one_question_at_a_time(void **state)
{
	struct pair *p = *state;
	struct end_stream *s[2];

	be_careful(p);
	p->client.more = put_rest;
	s[0] = post(p);
	put_bytes(&p->client, s[0]->id, 5000, false);
	assert_int_equal(asked(p), 1);
	s[1] = post(p);
	put_bytes(&p->client, s[1]->id, 5000, false);
	assert_int_equal(asked(p), 1);
	raw_frame(&p->raw, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
	raw_number_frame(&p->raw, RAW_WINDOW, 0, 1);
	told(p);
	buf_fini(&p->client.c.out);
	assert_int_equal(put_bytes(&p->client, s[0]->id, 1, false), 1);
	assert_int_equal(put_bytes(&p->client, s[1]->id, 1, false), 0);
	raw_frame(&p->raw, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
	told(p);
	assert_int_equal(put_bytes(&p->client, s[1]->id, 1, false), 1);
}

/* A peer's answers overtake what else it has to say. */
static void test_a_goaway_behind_the_answer(void **state)
{
	struct pair *p = *state;
	struct end_stream *s[2];
	unsigned char payload[8] = { 0, 0, 0, 1 };

	be_careful(p);
	p->client.more = put_rest;
	s[0] = post(p);
	s[1] = post(p);
	put_bytes(&p->client, s[1]->id, 5000, false);
	assert_int_equal(asked(p), 1);
	raw_frame(&p->raw, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
	raw_frame(&p->raw, RAW_GOAWAY, 0, 0, payload, sizeof(payload));
	told(p);
	assert_false(s[1]->writable);
	expect(&s[1]->log, "reset DRAINING\n");
	assert_int_equal(put_bytes(&p->client, s[0]->id, 5000, false), 5000);
}

/* As PINGs, a few between two frames of streams; with something in them each counts. */
static void test_whoever_asks_all_the_time(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	for (uint32_t i = 0; i < 10; i++) {
		raw_headers(&p->raw, 2 * i + 1, RAW_END, ASK);
		raw_frame(&p->raw, RAW_SETTINGS, 0, 0, NULL, 0);
		raw_frame(&p->raw, RAW_SETTINGS, 0, 0, NULL, 0);
	}
	send_raw(p);
	assert_int_equal(p->server.glitches, 0);
	raw_frame(&p->raw, RAW_SETTINGS, 0, 0, NULL, 0);
	send_raw(p);
	assert_int_equal(p->server.glitches, 1);
	raw_headers(&p->raw, 101, RAW_END, ASK);
	raw_setting(&p->raw, 4, 70000);
	send_raw(p);
	assert_int_equal(p->server.glitches, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_rest_waits_for_an_answer),
		T(test_what_is_known_to_be_long_asks_at_once),
		T(test_a_peer_with_small_windows_is_not_asked),
		T(test_a_short_body_is_not_asked_for),
		T(test_an_answer_shows_it),
		T(test_a_later_one_was_taken),
		T(test_one_question_at_a_time),
		T(test_a_goaway_behind_the_answer),
		T(test_whoever_asks_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
