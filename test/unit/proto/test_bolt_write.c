// SPDX-License-Identifier: Apache-2.0
/* What goes out: frames as they came under other numbers, written anew where something changed, and those of our own. */
#include "bolt_kit.h"
#include "base/rand.h"

#define HEARTBEAT "01 01 0000 01 00000009 01 ffffffff 0000 0000 00000000"
#define ACK "01 00 0000 01 00000009 01 0000 0000 0000 00000000"
#define ANSWER(id) "01 00 0002 01 " id " 01 0000 0000 0000 00000002 6f6b"

/* The frame with another number, and its checksum right. */
static struct slice numbered(const char *hex, uint32_t id, char *frame)
{
	size_t n = rpc_hex(hex, frame);

	bytes_put32(frame + (frame[0] == 2 ? 6 : 5), id);
	two_repair(frame, n);
	return (struct slice){ frame, n };
}

/* Each as the client's number 77, to a host under number 1, and its answer back. */
static void test_real_frames_pass(void **state)
{
	static const char *const pairs[][2] = {
		{ bolt_call, bolt_call_answer }, { bolt_protobuf, bolt_protobuf_answer }, { bolt_raw, bolt_raw_answer },
		{ bolt_v2, bolt_v2_answer }, { bolt_v2_ver1_2, bolt_v2_ver1_2_answer }, { bolt_v2_crc, bolt_v2_crc_answer },
	};
	char a[FRAME_MAX], b[FRAME_MAX];

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct two *t = *state;

		assert_int_equal(rpc_decode(&t->down, numbered(pairs[i][0], 77, a), 0), 0);
		says_bytes(&t->up.c.out, numbered(pairs[i][0], 1, b));
		assert_int_equal(rpc_decode(&t->up, numbered(pairs[i][1], 1, a), 0), 0);
		says_bytes(&t->down.c.out, numbered(pairs[i][1], 77, b));
		assert_true(proto_bolt.reusable(&t->up.c));
		teardown(state);
		setup(state);
	}
}

static void test_oneway(void **state)
{
	struct two *t = *state;
	char a[FRAME_MAX], b[FRAME_MAX];

	assert_int_equal(rpc_decode(&t->down, numbered(bolt_oneway, 5, a), 0), 0);
	says_bytes(&t->up.c.out, numbered(bolt_oneway, 1, b));
	/* Nothing is under way, and nothing may come back. */
	assert_int_equal(bolt_of(&t->down.c)->calls.n + bolt_of(&t->up.c)->calls.n, 0);
	assert_int_equal(hears(&t->up, ANSWER("00000001")), 0);
	assert_int_equal(t->up.late, 1);
	says_nothing(&t->down);
}

/* Each in its own version, on one connection; what a host answers in another is written in the caller's. */
static void test_versions_mixed(void **state)
{
	struct two *t = *state;

	two_calls(t);
	t->down.quiet = t->up.quiet = false;
	assert_int_equal(hears(&t->up, ANSWER("00000001") ANSWER("00000003")), 0);
	says(&t->down, "01 00 0002 01 00000065 01 0000 0000 0000 00000002 6f6b"
		       "02 02 00 0002 01 00000067 01 01 0000 0000 0000 00000002 6f6b 28674ace");
	assert_int_equal(hears(&t->up, "02 01 00 0002 01 00000004 0b 00 0007 0001 0009 00000000 58 00000000 00000001 79"), 0);
	says(&t->down, "01 00 0002 01 00000068 0b 0007 0001 0009 00000000 58 00000000 00000001 79");
}

static void test_numbers_wrap(void **state)
{
	struct two *t = *state;
	struct bolt *s = bolt_of(&t->up.c);
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t id[4];

	t->up.to = NULL;
	/* 1, 2 and 5 are under way when the numbers begin again. */
	assert_int_equal(rpc_ask(&t->up, m, &id[0]), 0);
	assert_int_equal(rpc_ask(&t->up, m, &id[1]), 0);
	s->last = 4;
	assert_int_equal(rpc_ask(&t->up, m, &id[2]), 0);
	s->last = UINT32_MAX - 1;
	assert_int_equal(rpc_ask(&t->up, m, &id[3]), 0);
	assert_int_equal(id[3], UINT32_MAX);
	for (uint64_t want = (1ull << 32) + 3; want < (1ull << 32) + 7; want += want % 8 == 4 ? 2 : 1) {
		uint64_t got;

		buf_drop(&t->up.c.out, t->up.c.out.len);
		assert_int_equal(rpc_ask(&t->up, m, &got), 0);
		assert_int_equal(got, want);
		assert_int_equal(bytes_get32(rpc_text(&t->up.c.out).p + 5), (uint32_t)want);
	}
	/* The answers find the old ones, and the new. */
	t->up.quiet = false;
	assert_int_equal(hears(&t->up, "01 00 0002 01 00000001 01 0000 0000 0000 00000000"
				       "01 00 0002 01 ffffffff 01 0000 0000 0000 00000000"
				       "01 00 0002 01 00000003 01 0000 0000 0000 00000000"
				       "01 00 0002 01 00000003 01 0000 0000 0000 00000000"), 0);
	heard(&t->up, "1 response status 200 wire 0 class  ser 1 len 0\n1 end\n"
		      "4294967295 response status 200 wire 0 class  ser 1 len 0\n4294967295 end\n"
		      "4294967299 response status 200 wire 0 class  ser 1 len 0\n4294967299 end\n");
	assert_int_equal(t->up.late, 1);
	/* A heartbeat's number is in use, too. */
	s->last = (2ull << 32) - 1;
	assert_int_equal(proto_bolt.put_ping(&t->up.c, 42), 0);
	s->last = (3ull << 32) - 1;
	assert_int_equal(rpc_ask(&t->up, m, &id[0]), 0);
	assert_int_equal(id[0], (3ull << 32) + 3);
}

/* A peer may use one number twice, and gets two answers. */
static void test_same_number_twice(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, "01 01 0001 01 00000007 01 00000000 0000 0000 00000000"
					 "01 01 0001 01 00000007 01 00000000 0000 0000 00000000"), 0);
	says(&t->up, "01 01 0001 01 00000001 01 00000000 0000 0000 00000000"
		     "01 01 0001 01 00000002 01 00000000 0000 0000 00000000");
	assert_int_equal(hears(&t->up, ANSWER("00000002") ANSWER("00000001")), 0);
	says(&t->down, ANSWER("00000007") ANSWER("00000007"));
}

#define MANY 1000u

static void test_many_answered_in_reverse(void **state)
{
	struct two *t = *state;
	char frame[FRAME_MAX], want[FRAME_MAX];
	size_t n = 0;

	for (uint32_t i = 1; i <= MANY; i++)
		assert_int_equal(rpc_decode(&t->down, numbered(bolt_raw, 5000 + i, frame), 0), 0);
	assert_int_equal(bolt_of(&t->up.c)->calls.n, MANY);
	assert_int_equal(bolt_room(&t->up.c), BOLT_STREAMS_MAX - MANY);
	for (uint32_t i = MANY; i; i--) {
		assert_int_equal(rpc_decode(&t->up, numbered(bolt_raw_answer, i, frame), 0), 0);
		says_bytes(&t->down.c.out, numbered(bolt_raw_answer, 5000 + i, want));
		n++;
	}
	assert_int_equal(n, MANY);
	assert_int_equal(bolt_of(&t->up.c)->calls.n + bolt_of(&t->down.c)->calls.n, 0);
}

/* As the filter of a route would. */
static struct msg *changed(struct two *t, const char *hex)
{
	char frame[FRAME_MAX];
	struct rpc_stream *s;

	t->down.to = NULL;
	assert_int_equal(rpc_decode(&t->down, (struct slice){ frame, rpc_hex(hex, frame) }, 0), 0);
	s = rpc_find(&t->down, t->down.last);
	assert_int_equal(msg_set(s->m, S("x"), S("1")), 0);
	return s->m;
}

static void put_body(struct rpc_end *e, uint64_t id, const char *text)
{
	struct buf b = { 0 };

	buf_add(&b, text, strlen(text));
	assert_int_equal(proto_bolt.put_data(&e->c, id, &b, true), strlen(text));
	assert_int_equal(b.len, 0);
}

static void test_headers_written_anew(void **state)
{
	struct two *t = *state;
	uint64_t id;
	/* What belongs to a key that is null does not go on. */
	struct msg *m = changed(t, "01 01 0001 01 00000007 0b 00000bb8 0002 0013 00000002 632e"
				   "00000001 61 00000001 62  ffffffff 00000001 78  6869");

	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	put_body(&t->up, id, "hi");
	says(&t->up, "01 01 0001 01 00000001 0b 00000bb8 0002 0014 00000002 632e"
		     "00000001 61 00000001 62  00000001 78 00000001 31  6869");
	/* Other fields, too; -1 stays what it was. */
	m = changed(t, "02 01 01 0001 01 00000007 01 00 ffffffff 0000 0000 00000000");
	m->class_name = S("C");
	m->serialization = 12;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	says(&t->up, "02 01 01 0001 01 00000002 0c 00 ffffffff 0001 000a 00000000 43 00000001 78 00000001 31");
	m->timeout_ms = 5;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	says(&t->up, "02 01 01 0001 01 00000003 0c 00 00000005 0001 000a 00000000 43 00000001 78 00000001 31");
	/* A copy that nobody is to answer, and one with another body. */
	m->nheaders = 0;
	m->class_name.n = 0;
	m->flags &= ~(unsigned)MSG_CHANGED;
	m->kind = MSG_ONEWAY;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	says(&t->up, "02 01 02 0001 01 00000004 0c 00 00000005 0000 0000 00000000");
	m->body_len = 2;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	put_body(&t->up, id, "hi");
	says(&t->up, "02 01 02 0001 01 00000005 0c 00 00000005 0000 0000 00000002 6869");
}

static void test_changed_with_checksum(void **state)
{
	struct two *t = *state;
	uint64_t id;
	struct msg *m = changed(t, bolt_v2_crc);
	char body[62] = "";
	struct bolt_fixed f;
	struct slice s;

	memset(body, 'b', 61);
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	put_body(&t->up, id, body);
	s = rpc_text(&t->up.c.out);
	assert_null(bolt_fixed_read(s, &f));
	assert_int_equal(f.header_n, 10);
	assert_int_equal(bolt_frame_n(&f), s.n);
	assert_int_equal(bytes_get32(s.p + s.n - 4), crc32(0, (const Bytef *)s.p, (uInt)s.n - 4));
	assert_int_equal(hears(&t->up, HEARTBEAT), 0);
}

static void test_heads_that_cannot_be(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	char *large = calloc(1, 70000);
	uint64_t id;

	memset(large, 'v', 69999);
	m->body_len = MSG_LENGTH_UNKNOWN;
	assert_int_equal(rpc_ask(&t->up, m, &id), -ENOTSUP);
	m->body_len = 1ll << 32;
	assert_int_equal(rpc_ask(&t->up, m, &id), -ENOTSUP);
	m->body_len = 0;
	m->upgrade = S("websocket");
	assert_int_equal(rpc_ask(&t->up, m, &id), -ENOTSUP);
	m->upgrade.n = 0;
	msg_add(m, S("x"), (struct slice){ large, 69999 });
	assert_int_equal(rpc_ask(&t->up, m, &id), -ENOTSUP);
	assert_int_equal(id, 0);
	m->nheaders = 0;
	m->class_name = (struct slice){ large, 65536 };
	assert_int_equal(rpc_ask(&t->up, m, &id), -ENOTSUP);
	says_nothing(&t->up);
	assert_int_equal(bolt_of(&t->up.c)->calls.n, 0);
	m = rpc_msg(&t->down, MSG_INFO);
	assert_int_equal(hears(&t->down, bolt_raw), 0);
	id = t->down.last;
	assert_int_equal(proto_bolt.put_head(&t->down.c, &id, m, true), -ENOTSUP);
	id = 99;
	m->kind = MSG_RESPONSE;
	assert_int_equal(proto_bolt.put_head(&t->down.c, &id, m, true), -ENOENT);
	free(large);
}

/* What another protocol's message says in fields. */
static void test_foreign_messages(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t id;

	m->service = S("s");
	m->rpc_method = S("m");
	m->timeout_ms = 9;
	m->body_len = 2;
	msg_add(m, S("service"), S("t"));
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	put_body(&t->up, id, "hi");
	says(&t->up, "01 01 0001 01 00000001 01 00000009 0000 002e 00000002 00000007 73657276696365 00000001 74"
		     "00000015 736f66615f686561645f6d6574686f645f6e616d65 00000001 6d 6869");
	t->down.to = NULL;
	assert_int_equal(hears(&t->down, "02 01 01 0001 01 00000007 0b 00 00000000 0000 0000 00000000"), 0);
	m = rpc_msg(&t->down, MSG_RESPONSE);
	m->status = 404;
	m->wire_status = 12;
	id = 1;
	assert_int_equal(proto_bolt.put_head(&t->down.c, &id, m, true), 0);
	says(&t->down, "02 01 00 0002 01 00000007 0b 00 0006 0000 0000 00000000");
	assert_int_equal(proto_bolt.put_data(&t->down.c, id, &t->down.in, true), 0);
}

static void test_replies(void **state)
{
	static const int statuses[][2] = { { 404, 6 }, { 502, 6 }, { 503, 4 }, { 429, 4 }, { 504, 7 }, { 408, 7 }, { 403, 2 }, { 401, 2 },
					   { 400, 9 }, { 413, 9 }, { 500, 3 }, { 509, 3 }, { 200, 0 } };
	struct two *t = *state;
	struct proto_reply r = { .wire_status = MSG_NO_STATUS, .text = S("words"), .content_type = S("text/plain") };
	struct msg_header h = { S("a"), S("b") };
	char want[200];

	t->down.to = NULL;
	for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		assert_int_equal(hears(&t->down, "01 01 0001 01 00000007 01 00000bb8 0000 0000 00000000"), 0);
		r.status = statuses[i][0];
		assert_int_equal(proto_bolt.put_reply(&t->down.c, t->down.last, NULL, &r), 0);
		snprintf(want, sizeof(want), "01 00 0002 01 00000007 01 %04x 0000 0000 00000000", (unsigned)statuses[i][1]);
		says(&t->down, want);
		assert_int_equal(bolt_status_wire(bolt_status_http(statuses[i][1])),
				 statuses[i][1] == 4 || statuses[i][1] == 7 || !statuses[i][1] ? statuses[i][1] : 3);
	}
	assert_int_equal(bolt_status_http(16), 502);
	assert_int_equal(proto_bolt.put_reply(&t->down.c, t->down.last, NULL, &r), -ENOENT);
	/* In the caller's version, with its checksum; a status of the filter's own, and headers. */
	assert_int_equal(rpc_decode(&t->down, numbered(bolt_v2_crc, 7, want), 0), 0);
	r = (struct proto_reply){ .status = 403, .wire_status = 18, .headers = &h, .nheaders = 1 };
	assert_int_equal(proto_bolt.put_reply(&t->down.c, t->down.last, NULL, &r), 0);
	numbered("02 02 00 0002 01 00000007 01 01 0012 0000 000a 00000000 00000001 61 00000001 62 00000000", 7, want);
	says_bytes(&t->down.c.out, (struct slice){ want, 36 });
}

static void test_pings(void **state)
{
	struct two *t = *state;

	assert_int_equal(proto_bolt.put_ping(&t->up.c, 77), 0);
	says(&t->up, "01 01 0000 01 00000001 01 ffffffff 0000 0000 00000000");
	assert_int_equal(hears(&t->up, "01 00 0000 01 00000002 01 0000 0000 0000 00000000"), 0);
	heard(&t->up, "");
	assert_int_equal(t->up.glitches, 1);
	assert_int_equal(hears(&t->up, "01 00 0000 01 00000001 01 0000 0000 0000 00000000"), 0);
	heard(&t->up, "ping 77 ack\n");
	assert_int_equal(hears(&t->up, "01 00 0000 01 00000001 01 0000 0000 0000 00000000"), 0);
	assert_int_equal(t->up.glitches, 2);
	/* The version that was spoken last. */
	assert_int_equal(hears(&t->down, bolt_v2), 0);
	buf_drop(&t->up.c.out, t->up.c.out.len);
	assert_int_equal(proto_bolt.put_ping(&t->up.c, 78), 0);
	says(&t->up, "02 01 01 0000 01 00000003 01 00 ffffffff 0000 0000 00000000");
}

static void test_goaway_of_ours(void **state)
{
	struct two *t = *state;
	struct bolt_conf conf = { .goaway = false };

	assert_int_equal(proto_bolt.put_goaway(&t->down.c, false, PROTO_NONE), 0);
	t->down.c.conf = &conf;
	assert_int_equal(proto_bolt.put_goaway(&t->down.c, false, PROTO_NONE), 0);
	says_nothing(&t->down);
	conf.goaway = true;
	assert_int_equal(proto_bolt.put_goaway(&t->down.c, false, PROTO_NONE), 0);
	says(&t->down, "01 01 0064 01 00000001 01 00000000 0000 0000 00000000");
	assert_int_equal(proto_bolt.put_goaway(&t->down.c, true, PROTO_NONE), 0);
	t->up.c.conf = &conf;
	assert_int_equal(proto_bolt.put_goaway(&t->up.c, true, PROTO_NONE), 0);
	says_nothing(&t->down);
	says_nothing(&t->up);
}

/* Heartbeats, refusals and replies do not get into the middle of an answer. */
static void test_our_frames_wait(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->down, MSG_RESPONSE);
	struct buf b = { 0 };
	uint64_t id;

	t->down.to = NULL;
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000007 01 00000bb8 0000 0000 00000000"
					 "01 01 0001 01 00000008 01 00000bb8 0000 0000 00000000"), 0);
	m->status = 200;
	m->body_len = 2;
	id = 1;
	assert_int_equal(proto_bolt.put_head(&t->down.c, &id, m, false), 0);
	assert_int_equal(hears(&t->down, HEARTBEAT), 0);
	assert_int_equal(proto_bolt.put_reply(&t->down.c, 2, NULL, &(struct proto_reply){ .status = 504, .wire_status = MSG_NO_STATUS }),
			 0);
	buf_add(&b, "o", 1);
	assert_int_equal(proto_bolt.put_data(&t->down.c, 1, &b, false), 1);
	assert_int_equal(proto_bolt.put_reply(&t->down.c, 1, NULL, &(struct proto_reply){ .status = 504, .wire_status = MSG_NO_STATUS }),
			 -EPIPE);
	put_body(&t->down, 1, "k");
	says(&t->down, "01 00 0002 01 00000007 01 0000 0000 0000 00000002 6f6b"
		       ACK "01 00 0002 01 00000008 01 0007 0000 0000 00000000");
	buf_fini(&b);
}

static void test_resets(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->down, MSG_RESPONSE);
	uint64_t id = 2;

	t->down.to = NULL;
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000007 01 00000bb8 0000 0000 00000000"
					 "01 01 0001 01 00000008 01 00000bb8 0000 0000 00000000"
					 "01 01 0001 01 00000009 01 00000bb8 0000 0000 00000004 6869"), 0);
	/* Nobody waits any more; somebody does; half of the answer is written; half of the request is read. */
	assert_int_equal(proto_bolt.put_reset(&t->down.c, 1, PROTO_CANCELLED), 0);
	says_nothing(&t->down);
	m->status = 200;
	m->body_len = 2;
	assert_int_equal(proto_bolt.put_reset(&t->down.c, 3, PROTO_CLOSED), 0);
	says(&t->down, "01 00 0002 01 00000009 01 0006 0000 0000 00000000");
	heard(&t->down, "1 request / timeout 3000 class  ser 1 len 0\n1 end\n2 request / timeout 3000 class  ser 1 len 0\n2 end\n"
			"3 request / timeout 3000 class  ser 1 len 4\n3 data hi");
	assert_int_equal(hears(&t->down, "6869" HEARTBEAT), 0);
	heard(&t->down, "\nping 9\n");
	assert_int_equal(proto_bolt.put_head(&t->down.c, &id, m, false), 0);
	assert_int_equal(proto_bolt.put_reset(&t->down.c, 2, PROTO_CLOSED), -EPIPE);
	assert_int_equal(bolt_of(&t->down.c)->calls.n, 0);
}

/* Given up before its head was whole, and before its checksum. */
static void test_reset_of_what_comes_in(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, "01 01 0001 01 00000007 01 00000bb8 0002 0000 00000002 61"), 0);
	assert_int_equal(proto_bolt.put_reset(&t->down.c, 1, PROTO_TIMEOUT), 0);
	says(&t->down, "01 00 0002 01 00000007 01 0007 0000 0000 00000000");
	assert_int_equal(hears(&t->down, "62 6869" HEARTBEAT), 0);
	heard(&t->down, "ping 9\n");
	says(&t->down, ACK);
	assert_int_equal(hears(&t->down, "02 02 02 0001 01 00000007 01 01 00000bb8 0000 0000 00000002 6869 1a02"), 0);
	assert_int_equal(proto_bolt.put_reset(&t->down.c, 2, PROTO_NONE), 0);
	assert_int_equal(hears(&t->down, "b0be" HEARTBEAT), 0);
	says(&t->down, ACK);
}

/* A request that is given up frees its number; a late answer is skipped, also when half of it is here. */
static void test_given_up(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t a, b;

	t->up.to = NULL;
	t->up.limits.streams = 2;
	assert_int_equal(rpc_ask(&t->up, m, &a), 0);
	assert_int_equal(rpc_ask(&t->up, m, &b), 0);
	assert_int_equal(bolt_room(&t->up.c), 0);
	assert_int_equal(rpc_ask(&t->up, m, &b), -EAGAIN);
	assert_int_equal(proto_bolt.put_reset(&t->up.c, a, PROTO_CANCELLED), 0);
	assert_int_equal(bolt_room(&t->up.c), 1);
	rpc_find(&t->up, a)->id = 0;
	assert_int_equal(hears(&t->up, ANSWER("00000001") "01 00 0002 01 00000002 01 0000 0000 0000 00000002 6f"), 0);
	assert_int_equal(t->up.late, 1);
	heard(&t->up, "2 response status 200 wire 0 class  ser 1 len 2\n2 data o");
	assert_int_equal(proto_bolt.put_reset(&t->up.c, 2, PROTO_CANCELLED), 0);
	rpc_find(&t->up, 2)->id = 0;
	assert_int_equal(hears(&t->up, "6b" HEARTBEAT), 0);
	heard(&t->up, "\nping 9\n");
	/* Half of the request is written: nothing but closing helps. */
	m->body_len = 2;
	assert_int_equal(rpc_ask(&t->up, m, &a), 0);
	assert_int_equal(proto_bolt.put_reset(&t->up.c, a, PROTO_CANCELLED), -EPIPE);
	assert_int_equal(rpc_ask(&t->up, m, &b), -EPROTO);
	assert_string_equal(t->up.c.detail, "a frame in the middle of another");
}

static void test_room_is_told(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t a, b;

	t->up.to = NULL;
	t->up.limits.streams = 2;
	assert_int_equal(rpc_ask(&t->up, m, &a), 0);
	assert_int_equal(rpc_ask(&t->up, m, &b), 0);
	assert_int_equal(hears(&t->up, ANSWER("00000001") ANSWER("00000002")), 0);
	assert_int_equal(t->up.rooms, 1);
	assert_true(proto_bolt.reusable(&t->up.c));
}

static void test_answers_over_limits(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t a, b;

	t->up.to = NULL;
	t->up.limits = (struct proto_limits){ .head_bytes = 30, .frame_bytes = 3, .streams = 2 };
	assert_int_equal(rpc_ask(&t->up, m, &a), 0);
	assert_int_equal(rpc_ask(&t->up, m, &b), 0);
	assert_int_equal(hears(&t->up, "01 00 0002 01 00000001 01 0000 0000 0000 00000004 01020304"
				       "01 00 0002 01 00000002 01 0000 000b 0000 00000000 0102030405060708090a0b" HEARTBEAT), 0);
	heard(&t->up, "1 reset TOO_LARGE\n2 reset HEAD_TOO_LARGE\nping 9\n");
	assert_int_equal(bolt_room(&t->up.c), 2);
}

static void test_bodies_of_other_lengths(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	struct buf b = { 0 };
	uint64_t id;

	m->body_len = 2;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	buf_add(&b, "abc", 3);
	assert_int_equal(proto_bolt.put_data(&t->up.c, id + 1, &b, false), -ENOENT);
	assert_int_equal(proto_bolt.put_data(&t->up.c, id, &b, false), -EPROTO);
	buf_drop(&b, 2);
	assert_int_equal(proto_bolt.put_data(&t->up.c, id, &b, true), -EPROTO);
	assert_string_equal(t->up.c.detail, "body of another length than its head says");
	buf_fini(&b);
}

#define BODY (300u << 10)

/* A long body, with a checksum, in pieces of any size: the same bytes, and a checksum that the next one verifies. */
static void test_long_bodies(void **state)
{
	struct two *t = *state;
	char head[] = "02 02 01 0001 01 00000001 01 01 00000bb8 0000 0000 0004b000";
	char *frame = malloc(BODY + 64);
	size_t n = rpc_hex(head, frame);
	struct rand dice;
	struct slice got;

	rand_seed(&dice, 1);
	t->down.quiet = t->up.quiet = true;
	for (size_t i = 0; i < BODY; i++)
		frame[n + i] = (char)rand_u64(&dice);
	n += BODY;
	bytes_put32(frame + n, (uint32_t)crc32(0, (const Bytef *)frame, (uInt)n));
	n += 4;
	for (size_t at = 0, k; at < n; at += k) {
		k = 1 + rand_below(&dice, 40000);
		k = k < n - at ? k : n - at;
		assert_int_equal(rpc_decode(&t->down, (struct slice){ frame + at, k }, 0), 0);
	}
	got = rpc_text(&t->up.c.out);
	assert_int_equal(got.n, n);
	assert_memory_equal(got.p, frame, n);
	free(frame);
}

/* What was corrupt on its way here does not go on with a checksum that is right, nor as a frame that has none. */
static void test_corrupt_body(void **state)
{
	struct two *t = *state;
	char frame[FRAME_MAX];
	struct slice whole = numbered(bolt_v2_crc, 1, frame);

	frame[whole.n - 6] ^= 1;
	assert_int_equal(rpc_decode(&t->down, whole, 0), -EPROTO);
	failed(&t->down, PROTO_CORRUPT, "checksum of a bolt frame is wrong");
	says_bytes(&t->up.c.out, (struct slice){ frame, whole.n - 5 });
	assert_int_equal(proto_bolt.put_reset(&t->up.c, 1, PROTO_CANCELLED), -EPIPE);
	teardown(state);
	setup(state);
	assert_int_equal(hears(&t->down, bolt_raw), 0);
	whole = numbered(bolt_v2_crc_answer, 1, frame);
	frame[whole.n - 6] ^= 1;
	assert_int_equal(rpc_decode(&t->up, whole, 0), -EPROTO);
	assert_int_equal(t->down.c.out.len, strlen(bolt_raw_answer) / 2 - 1);
}

/* Bodies of a few bytes, whose last one is held back, at every cut. */
static void test_short_bodies_with_checksum(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 4, 5, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
	char frame[FRAME_MAX];

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		rpc_hex("02 02 01 0001 01 00000001 01 01 00000bb8 0000 0000 00000000 61626364 00000000", frame);
		bytes_put32(frame + 20, n);
		two_repair(frame, 24 + n + 4);
		two_check((struct slice){ frame, 24 + n + 4 }, false, false, steps, sizeof(steps) / sizeof(steps[0]));
	}
}

#define FRAMES 3000000u
#define BATCH 50u

/* Frames by the thousand through both codecs, there and back, whatever the size of a read: nothing is lost, and nothing kept. */
static void test_millions_of_frames(void **state)
{
	struct two *t = *state;
	char ask[64], answer[64], all[BATCH * 64];
	size_t n, asked = rpc_hex("01 01 0001 01 00000000 01 00000bb8 0003 0000 00000002 612e62 6869", ask);
	size_t answered = rpc_hex(ANSWER("00000000"), answer);

	t->down.quiet = t->up.quiet = true;
	for (uint32_t i = 0; i < FRAMES / 2; i += BATCH) {
		for (uint32_t k = 0; k < BATCH; k++) {
			memcpy(all + k * asked, ask, asked);
			bytes_put32(all + k * asked + 5, 7 * k + i);
		}
		assert_int_equal(rpc_decode(&t->down, (struct slice){ all, BATCH * asked }, 1 + i % 1500), 0);
		assert_int_equal(t->up.c.out.len, BATCH * asked);
		buf_drop(&t->up.c.out, t->up.c.out.len);
		for (uint32_t k = 0; k < BATCH; k++) {
			memcpy(all + k * answered, answer, answered);
			bytes_put32(all + k * answered + 5, i + BATCH - k);
		}
		assert_int_equal(rpc_decode(&t->up, (struct slice){ all, BATCH * answered }, 1 + i % 1300), 0);
		n = BATCH * answered;
		assert_int_equal(t->down.c.out.len, n);
		assert_int_equal(bytes_get32(rpc_text(&t->down.c.out).p + n - answered + 5), i);
		buf_drop(&t->down.c.out, n);
		arena_reset(&t->down.arena);
		arena_reset(&t->up.arena);
	}
	assert_int_equal(t->down.heads + t->up.heads, FRAMES);
	assert_int_equal(bolt_of(&t->down.c)->calls.n + bolt_of(&t->up.c)->calls.n, 0);
	assert_int_equal(bolt_of(&t->down.c)->calls.cap + bolt_of(&t->up.c)->calls.cap, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_real_frames_pass),
		T(test_oneway),
		T(test_versions_mixed),
		T(test_numbers_wrap),
		T(test_same_number_twice),
		T(test_many_answered_in_reverse),
		T(test_headers_written_anew),
		T(test_changed_with_checksum),
		T(test_heads_that_cannot_be),
		T(test_foreign_messages),
		T(test_replies),
		T(test_pings),
		T(test_goaway_of_ours),
		T(test_our_frames_wait),
		T(test_resets),
		T(test_reset_of_what_comes_in),
		T(test_given_up),
		T(test_room_is_told),
		T(test_answers_over_limits),
		T(test_bodies_of_other_lengths),
		T(test_long_bodies),
		T(test_corrupt_body),
		T(test_short_bodies_with_checksum),
		T(test_millions_of_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
