// SPDX-License-Identifier: Apache-2.0
/* dubbo-thrift: golden frames both ways, answers of our own, what makes no sense, every cut. */
#include "base/bytes.h"
#include "proto/dubbo_thrift.h"
#define KIT_OPS proto_dubbo_thrift
#include "frames_kit.h"

/* Service a.Api, method echo, seqid 9; arguments {1: "hi"}. */
#define HEAD "dabc 00000034 001a 01 00000005 'a.Api' 0000000000000007 "
#define CALL "00000034 " HEAD "80010001 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00"
#define NAMES "00000005 'a.Api' "
#define OUT(id) "00000034 dabc 00000034 001a 01 " NAMES id " 80010001 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00"
#define ANSWER(id) "00000034 dabc 00000034 001a 01 " NAMES id " 80010002 00000004 'echo' 00000009 0b 0000 00000002 'hi' 00"
#define THREW(id) "0000002f dabc 0000002f 001a 01 " NAMES id " 80010002 00000004 'echo' 00000009 0c 0001 00 00"
#define FAILED(id)                                                                                                     \
	"0000003d dabc 0000003d 001a 01 " NAMES id                                                                     \
	" 80010003 00000004 'echo' 00000009 0b 0001 00000004 'what' 08 0002 00000001 00"

static void test_call(void **state)
{
	struct two *t = *state;

	client(t, CALL);
	heard_of(&t->down, "1 request a.Api/echo timeout 0 class  ser -1 len 26\n service=a.Api\n method=echo\n messageType=call\n"
			   " seqId=9\n1 data ");
	says(t, &t->up, OUT("0000000000000001"));
	host(t, ANSWER("0000000000000001"));
	heard_of(&t->up, "1 response status 200 wire -1 ");
	says(t, &t->down, ANSWER("0000000000000007"));
	assert_true(KIT_OPS.reusable(&t->up.c) && KIT_OPS.reusable(&t->down.c));
}

static void test_answers(void **state)
{
	struct two *t = *state;

	client(t, CALL CALL CALL);
	host(t, THREW("0000000000000002"));
	heard_of(&t->up, "2 threw []\n2 response status 200 ");
	says(t, &t->down, THREW("0000000000000007"));
	host(t, FAILED("0000000000000001"));
	heard_of(&t->up, "1 [what]\n1 response status 404 wire 1 ");
	says(t, &t->down, FAILED("0000000000000007"));
	/* Nothing to return; and an answer that is late. */
	host(t, "0000002b dabc 0000002b 001a 01 " NAMES "0000000000000003 80010002 00000004 'void' 00000009 00"
		"0000002b dabc 0000002b 001a 01 " NAMES "0000000000000003 80010002 00000004 'void' 00000009 00");
	heard_of(&t->up, "3 response status 200 wire -1 ");
	assert_int_equal(t->up.late, 1);
}

static void test_oneway(void **state)
{
	struct two *t = *state;

	client(t, "00000034 " HEAD "80010004 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00");
	heard_of(&t->down, "1 oneway a.Api/echo ");
	assert_true(KIT_OPS.reusable(&t->up.c) && KIT_OPS.reusable(&t->down.c));
	t->down.refuse = true;
	client(t, "00000034 " HEAD "80010004 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00");
	assert_int_equal(t->down.c.out.len, 0);
	client(t, CALL);
	says(t, &t->down, "00000046 dabc 00000046 0015 01 00000000 0000000000000007 80010003 00000000 00000009 0b 0001 00000016"
			  "'too many calls at once' 08 0002 00000006 00");
}

static void test_replies(void **state)
{
	static const struct {
		int http, wire;
	} t[] = { { 404, 1 }, { 400, 7 }, { 502, 6 }, { 503, 6 }, { 504, 6 }, { 431, 7 } };
	struct two *two = *state;
	struct msg request = { .service = SLICE_LIT("a.Api"), .rpc_method = SLICE_LIT("echo") };
	char hex[300];

	two->down.to = NULL;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct proto_reply r = { .status = t[i].http, .wire_status = MSG_NO_STATUS, .text = SLICE_LIT("what") };

		client(two, CALL);
		assert_int_equal(KIT_OPS.put_reply(&two->down.c, i + 1, &request, &r), 0);
		snprintf(hex, sizeof(hex), "0000003d dabc 0000003d 001a 01 " NAMES
			 "0000000000000007 80010003 00000004 'echo' 00000009 0b 0001 00000004 'what' 08 0002 %08x 00", t[i].wire);
		says(two, &two->down, hex);
	}
	client(two, CALL);
	assert_int_equal(KIT_OPS.put_reset(&two->down.c, 7, PROTO_TIMEOUT), 0);
	says(two, &two->down, "0000003d dabc 0000003d 0015 01 00000000 0000000000000007 80010003 00000000 00000009 0b 0001 0000000d"
			      "'took too long' 08 0002 00000006 00");
}

static void wrong(const char *hex, bool server, enum proto_why why, const char *detail)
{
	struct two t;

	two_open(&t, &KIT_OPS);
	two_hears(&t, server ? &t.down : &t.up, hex, 0);
	failed(server ? &t.down : &t.up, why, detail);
	two_close(&t);
}

static void test_no_frames(void **state)
{
	(void)state;
	wrong("00000034 dabb", true, PROTO_MALFORMED, "not dubbo-thrift: da bc does not follow the frame's length");
	wrong("00000001 dabc", true, PROTO_MALFORMED, "a frame is shorter than its head");
	wrong("ffffffff dabc", true, PROTO_MALFORMED, "a frame's length is over 2 GiB");
	wrong(ANSWER("0000000000000001"), true, PROTO_MALFORMED, "a message is of a type that this side does not send");
	wrong(CALL, false, PROTO_MALFORMED, "a message is of a type that this side does not send");
	wrong("00000034 dabc 00000034 001a 01 00010000 'a.Api' 0000000000000007 80010001 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00",
	      true, PROTO_MALFORMED, "a frame's head makes no sense");
	wrong("00000034 " HEAD "00000004 'echo' 01 00000009 0b 0001 00000002 'hi' 00 0000 0000", true, PROTO_MALFORMED,
	      "a frame's head makes no sense");
	wrong("00000013 " HEAD, true, PROTO_MALFORMED, "frame is shorter than what it says");
}

/* Long bodies pass as they come, names may be long. */
static void test_long_frames(void **state)
{
	struct two *t = *state;
	struct buf b = { 0 };
	char length[4];
	struct slice s;

	hex_add(&b, "00000000 dabc 0001074c 051d 01 00000508");
	for (int i = 0; i < 0x508; i++)
		buf_add(&b, "s", 1);
	hex_add(&b, "0000000000000007 80010001 00000004 'echo' 00000009 0b 0001 0001020e");
	for (int i = 0; i < 0x1020e; i++)
		buf_add(&b, "x", 1);
	hex_add(&b, "00");
	s = rpc_text(&b);
	bytes_put32(length, (uint32_t)s.n - 4);
	t->down.quiet = true;
	rpc_decode(&t->down, (struct slice){ length, 4 }, 1);
	rpc_decode(&t->down, (struct slice){ s.p + 4, s.n - 5 }, 900);
	assert_int_equal(t->up.c.out.len, s.n - 1);
	rpc_decode(&t->down, (struct slice){ s.p + s.n - 1, 1 }, 0);
	assert_memory_equal(rpc_text(&t->up.c.out).p + 0x600, s.p + 0x600, s.n - 0x600);
	buf_fini(&b);
}

static void test_every_cut(void **state)
{
	(void)state;
	cut_anywhere((struct two_case){ .calls = CALL CALL CALL },
		     CALL CALL "00000034 " HEAD "80010004 00000004 'echo' 00000009 0b 0001 00000002 'hi' 00",
		     FAILED("0000000000000003") ANSWER("0000000000000009") THREW("0000000000000001"));
}

static void test_detection(void **state)
{
	static const struct first_bytes t[] = { { "00", PROTO_MORE }, { "00000034 da", PROTO_MORE }, { "00000034 dabc", PROTO_YES }, { "00000034 dabb", PROTO_NO },
		  { "01", PROTO_NO }, { "'GET'", PROTO_NO }, { "dabb", PROTO_NO }, { "00000034 10", PROTO_NO } };

	(void)state;
	all_sniffed(t, sizeof(t) / sizeof(t[0]), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_call),	   T(test_answers),	T(test_oneway),	   T(test_replies),
		T(test_no_frames), T(test_long_frames), T(test_every_cut), T(test_detection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
