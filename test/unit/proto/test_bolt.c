// SPDX-License-Identifier: Apache-2.0
/* What comes in: frames as the standard's page and real peers have them, their limits, and what is none. */
#include "bolt_kit.h"

/* Version 1, id 7, 3 s, class SofaRequest, two headers, content "hi". */
#define CALL                                                                                                           \
	"01 01 0001 01 00000007 01 00000bb8 002c 003e 00000002"                                                        \
	"636f6d2e616c697061792e736f66612e7270632e636f72652e726571756573742e536f666152657175657374"                     \
	"00000007 73657276696365 0000000e 636f6d2e782e4563686f3a312e30"                                                \
	"00000015 736f66615f686561645f6d6574686f645f6e616d65 00000004 6563686f"                                        \
	"6869"
#define HEARTBEAT "01 01 0000 01 00000009 01 ffffffff 0000 0000 00000000"
#define ACK "01 00 0000 01 00000009 01 0000 0000 0000 00000000"
#define V2_CRC "02 02 01 0001 01 00000007 01 01 00000bb8 0000 0000 00000002 6869 1a02b0be"

static void test_call(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, CALL), 0);
	heard(&t->down, "1 request com.x.Echo:1.0/echo timeout 3000 class com.alipay.sofa.rpc.core.request.SofaRequest ser 1 len 2\n"
			" service=com.x.Echo:1.0\n"
			" sofa_head_method_name=echo\n"
			"1 data hi\n"
			"1 end\n");
	says_nothing(&t->down);
}

static void test_heartbeats(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, HEARTBEAT), 0);
	says(&t->down, ACK);
	heard(&t->down, "ping 9\n");
	assert_int_equal(hears(&t->down, "02 01 01 0000 01 00000009 01 00 ffffffff 0000 0000 00000000"), 0);
	says(&t->down, "02 01 00 0000 01 00000009 01 00 0000 0000 0000 00000000");
	assert_int_equal(hears(&t->down, "02 02 01 0000 01 00000009 01 01 ffffffff 0000 0000 00000000 e22f5b7e"), -EPROTO);
	failed(&t->down, PROTO_CORRUPT, "checksum of a bolt frame is wrong");
	assert_int_equal(t->down.glitches, 2);
}

static void test_heartbeat_with_checksum(void **state)
{
	struct two *t = *state;
	char frame[] = "\x02\x02\x01\0\0\x01\0\0\0\x09\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0crc.";
	struct bolt_fixed f;
	struct slice s;

	two_repair(frame, 28);
	assert_int_equal(rpc_decode(&t->down, (struct slice){ frame, 28 }, 1), 0);
	heard(&t->down, "ping 9\n");
	s = rpc_text(&t->down.c.out);
	assert_int_equal(s.n, 26);
	assert_null(bolt_fixed_read(s, &f));
	assert_true(bolt_has_crc(&f) && f.type == BOLT_RESPONSE && !f.command && f.id == 9);
	assert_int_equal(bytes_get32(s.p + 22), crc32(0, (const Bytef *)s.p, 22));
}

/* One that brings something is answered all the same, and what it brings is skipped; a one-way one is not answered. */
static void test_odd_heartbeats(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, "01 01 0000 01 00000009 01 ffffffff 0001 0002 00000003 aabbccddeeff" HEARTBEAT), 0);
	says(&t->down, ACK ACK);
	heard(&t->down, "ping 9\nping 9\n");
	assert_int_equal(hears(&t->down, "01 02 0000 01 00000009 01 ffffffff 0000 0000 00000000"), 0);
	says_nothing(&t->down);
	t->down.glitches_max = 3;
	assert_int_equal(hears(&t->down, HEARTBEAT), -EPROTO);
	failed(&t->down, PROTO_ABUSE, "flood of heartbeats");
}

static void test_answers_not_read(void **state)
{
	struct two *t = *state;
	struct buf many = { 0 };
	char frame[64];
	size_t n = rpc_hex(HEARTBEAT, frame);

	for (unsigned i = 0; i < 1200; i++) {
		assert_int_equal(hears(&t->down, HEARTBEAT), 0);
		says(&t->down, ACK);
		buf_add(&many, frame, n);
	}
	assert_int_equal(rpc_decode(&t->down, rpc_text(&many), 0), -EPROTO);
	failed(&t->down, PROTO_ABUSE, "answers that are not read");
	buf_fini(&many);
}

static void test_goaway(void **state)
{
	struct two *t = *state;
	uint64_t id;

	/* A client's is odd and nothing more. */
	assert_int_equal(hears(&t->down, "01 01 0064 01 00000001 01 00000000 0000 0000 00000000"), 0);
	heard(&t->down, "");
	assert_int_equal(t->down.glitches, 1);
	assert_int_equal(hears(&t->up, "01 01 0064 01 00000005 01 00000000 0000 0000 00000000"), 0);
	heard(&t->up, "goaway 5\n");
	assert_int_equal(bolt_room(&t->up.c), 0);
	assert_int_equal(rpc_ask(&t->up, rpc_msg(&t->up, MSG_REQUEST), &id), -ESHUTDOWN);
	assert_false(proto_bolt.reusable(&t->up.c));
}

static void test_service_names(void **state)
{
	struct two *t = *state;

	/* No header map; sofa_head_target_service; null key, null value, empty value, twice the same, empty service. */
	assert_int_equal(hears(&t->down, "01 02 0001 01 00000007 0b ffffffff 0003 0000 00000000 612e42"), 0);
	heard(&t->down, "1 oneway a.B/ timeout -1 class a.B ser 11 len 0\n1 end\n");
	assert_int_equal(hears(&t->down, "01 02 0001 01 00000007 01 00000000 0000 0021 00000000"
					 "00000018 736f66615f686561645f7461726765745f73657276696365 00000001 54"), 0);
	heard(&t->down, "2 oneway T/ timeout 0 class  ser 1 len 0\n sofa_head_target_service=T\n2 end\n");
	assert_int_equal(hears(&t->down, "01 02 0001 01 00000007 01 00000000 0001 003e 00000000 43"
					 "ffffffff 00000001 78  00000001 6b ffffffff  00000001 65 00000000"
					 "00000001 64 00000001 31  00000001 64 00000001 32  00000007 73657276696365 00000000"), 0);
	heard(&t->down, "3 oneway C/ timeout 0 class C ser 1 len 0\n e=\n d=1\n d=2\n service=\n3 end\n");
}

static void test_nonsense_in_a_map(void **state)
{
	static const char *const maps[] = { "00000002 61", "00000001 61", "00000001 61 00000002 62", "fffffffe", "000000", "7fffffff",
					    "ffffffff" };
	struct two *t = *state;
	char hex[256];

	for (unsigned i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		char bytes[16], want[64];
		unsigned n = (unsigned)rpc_hex(maps[i], bytes);

		snprintf(hex, sizeof(hex), "01 01 0001 01 0000000%x 01 00000bb8 0000 %04x 00000002 %s 6869" HEARTBEAT, i, n, maps[i]);
		assert_int_equal(hears(&t->down, hex), 0);
		snprintf(want, sizeof(want), "%u reset MALFORMED\nping 9\n", i + 1);
		heard(&t->down, want);
		assert_string_equal(t->down.c.detail, "header map that does not fit its length");
		snprintf(hex, sizeof(hex), "01 00 0002 01 0000000%x 01 0009 0000 0000 00000000" ACK, i);
		says(&t->down, hex);
	}
	/* Nobody waits for this one. */
	assert_int_equal(hears(&t->down, "01 02 0001 01 00000007 01 00000000 0000 0001 00000000 00"), 0);
	says_nothing(&t->down);
	heard(&t->down, "8 reset MALFORMED\n");
}

static void test_limits_of_requests(void **state)
{
	struct two *t = *state;

	t->down.limits = (struct proto_limits){ .head_bytes = 40, .headers = 1, .frame_bytes = 3, .streams = 1 };
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000001 01 00000000 0010 0003 00000000"
					 "00112233445566778899aabbccddeeff 010203 " HEARTBEAT), 0);
	heard(&t->down, "1 reset HEAD_TOO_LARGE\nping 9\n");
	says(&t->down, "01 00 0002 01 00000001 01 0009 0000 0000 00000000" ACK);
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000002 01 00000000 0000 0000 00000004 01020304" HEARTBEAT), 0);
	heard(&t->down, "2 reset TOO_LARGE\nping 9\n");
	assert_string_equal(t->down.c.detail, "content over its size limit");
	says(&t->down, "01 00 0002 01 00000002 01 0009 0000 0000 00000000" ACK);
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000002 01 00000000 0000 0012 00000000"
					 "00000001 61 00000000 00000001 62 00000000"), 0);
	heard(&t->down, "3 reset HEAD_TOO_LARGE\n");
	assert_string_equal(t->down.c.detail, "too many headers");
	says(&t->down, "01 00 0002 01 00000002 01 0009 0000 0000 00000000");
	/* One under way; the next one is told that this is enough. */
	assert_int_equal(hears(&t->down, "01 01 0001 01 00000002 01 00000000 0000 0000 00000000"
					 "01 01 0001 01 00000003 01 00000000 0000 0000 00000002 6869"), 0);
	heard(&t->down, "4 request / timeout 0 class  ser 1 len 0\n4 end\n");
	says(&t->down, "01 00 0002 01 00000003 01 0004 0000 0000 00000000");
}

static void test_nobody_takes_it(void **state)
{
	struct two *t = *state;

	t->down.refuse = true;
	assert_int_equal(hears(&t->down, CALL HEARTBEAT), 0);
	heard(&t->down, "ping 9\n");
	says(&t->down, "01 00 0002 01 00000007 01 0004 0000 0000 00000000" ACK);
	/* A host has nothing to ask, and is told. */
	assert_int_equal(hears(&t->up, CALL), 0);
	says(&t->up, "01 00 0002 01 00000007 01 0006 0000 0000 00000000");
	assert_int_equal(t->up.glitches, 1);
}

static void test_frames_that_are_none(void **state)
{
	static const struct {
		const char *hex, *detail;
	} cases[] = {
		{ "47", "not bolt: a frame begins with its version, 1 or 2" },
		{ "00", "not bolt: a frame begins with its version, 1 or 2" },
		{ "010300", "type of frame that bolt does not have" },
		{ "020203", "type of frame that bolt does not have" },
		{ "01 01 0002 01 00000001 01 00000000 0000 0000 00000000", "command that bolt does not have, or not for this type of frame" },
		{ "01 01 0063 01 00000001 01 00000000 0000 0000 00000000", "command that bolt does not have, or not for this type of frame" },
		{ "01 00 0001 01 00000001 01 0000 0000 0000 00000000 0000", "command that bolt does not have, or not for this type of frame" },
		{ "01 00 0002 01 00000001 01 0000 0000 0000 00000000 0000", "an answer where requests come" },
		{ "02 02 01 0001 01 00000001 01 80 00000000 0000 0000 00000000", "protocol switch above 127" },
	};
	struct two *t = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(hears(&t->down, cases[i].hex), -EPROTO);
		failed(&t->down, PROTO_MALFORMED, cases[i].detail);
		/* Nothing that comes behind it is looked at. */
		assert_int_equal(hears(&t->down, HEARTBEAT), 0);
		heard(&t->down, "");
		says_nothing(&t->down);
		teardown(state);
		setup(state);
	}
}

static void test_longest_lengths(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, "01 01 0001 01 00000001 01 00000000 ffff ffff ffffffff"), 0);
	heard(&t->down, "1 reset HEAD_TOO_LARGE\n");
	assert_int_equal(bolt_of(&t->down.c)->rx.left, 2ull * 0xffff + 0xffffffff);
	assert_int_equal(t->down.in.len, 0);
	assert_int_equal(hears(&t->down, HEARTBEAT), 0);
	heard(&t->down, "");
	/* Of a host's answer, that nobody waits for. */
	assert_int_equal(hears(&t->up, "02 02 00 0002 01 00000001 01 01 0000 ffff ffff ffffffff 01"), 0);
	assert_int_equal(bolt_of(&t->up.c)->rx.left, 22 + 2ull * 0xffff + 0xffffffff + 4 - 23);
	assert_int_equal(t->up.late, 1);
}

static void test_checksum(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, V2_CRC), 0);
	heard(&t->down, "1 request / timeout 3000 class  ser 1 len 2\n1 data hi\n1 end\n");
	assert_int_equal(hears(&t->down, "02 02 01 0001 01 00000007 01 01 00000bb8 0000 0000 00000002 6869 1a02b0bf"), -EPROTO);
	failed(&t->down, PROTO_CORRUPT, "checksum of a bolt frame is wrong");
	heard(&t->down, "2 request / timeout 3000 class  ser 1 len 2\n2 data h");
	/* Without a body nobody hears of it. */
	teardown(state);
	setup(state);
	assert_int_equal(hears(&t->down, "02 02 01 0001 01 00000007 01 01 00000bb8 0000 0000 00000000 01020304"), -EPROTO);
	heard(&t->down, "");
}

/* Version 2, a version 1 of which (ver1) says that there is no checksum: the switch means nothing. */
static void test_switch_without_checksum(void **state)
{
	struct two *t = *state;

	assert_int_equal(hears(&t->down, "02 01 01 0001 01 00000007 01 01 00000bb8 0000 0000 00000002 6869" HEARTBEAT), 0);
	heard(&t->down, "1 request / timeout 3000 class  ser 1 len 2\n1 data hi\n1 end\nping 9\n");
}

static void test_head_says_stop(void **state)
{
	struct two *t = *state;

	t->down.stop = true;
	assert_int_equal(hears(&t->down, CALL HEARTBEAT), 0);
	assert_int_equal(t->down.in.len, 24);
	assert_int_equal(proto_bolt.decode(&t->down.c, &t->down.in), 0);
	heard(&t->down, "1 request com.x.Echo:1.0/echo timeout 3000 class com.alipay.sofa.rpc.core.request.SofaRequest ser 1 len 2\n"
			" service=com.x.Echo:1.0\n"
			" sofa_head_method_name=echo\n"
			"1 data hi\n"
			"1 end\n"
			"ping 9\n");
}

static void sniffed(const char *hex, enum proto_match want, size_t need)
{
	char bytes[64];
	size_t n = rpc_hex(hex, bytes), got = 0;

	assert_int_equal(proto_bolt.sniff((struct slice){ bytes, n }, &got), want);
	if (want == PROTO_MORE)
		assert_int_equal(got, need);
}

static void test_sniff(void **state)
{
	(void)state;
	sniffed("", PROTO_MORE, 4);
	sniffed("01", PROTO_MORE, 4);
	sniffed("0101", PROTO_MORE, 4);
	sniffed("010100", PROTO_MORE, 4);
	sniffed("01010000", PROTO_YES, 0);
	sniffed("01010001", PROTO_YES, 0);
	sniffed("01020001", PROTO_YES, 0);
	sniffed("02", PROTO_MORE, 5);
	sniffed("02020100", PROTO_MORE, 5);
	sniffed("0202010001", PROTO_YES, 0);
	sniffed("0201010000", PROTO_YES, 0);
	sniffed("01000002", PROTO_NO, 0);
	sniffed("01010064", PROTO_NO, 0);
	sniffed("010101", PROTO_NO, 0);
	sniffed("0103", PROTO_NO, 0);
	sniffed("0203", PROTO_NO, 0);
	sniffed("03", PROTO_NO, 0);
	sniffed("00", PROTO_NO, 0);
	sniffed("47455420", PROTO_NO, 0);       /* GET */
	sniffed("50524920", PROTO_NO, 0);       /* HTTP/2 */
	sniffed("16030102", PROTO_NO, 0);       /* TLS */
	sniffed("dabbc200", PROTO_NO, 0);       /* Dubbo */
}

/* All of it together, cut at every byte. */
static void test_every_split(void **state)
{
	static const char *const requests[] = { bolt_call, HEARTBEAT, bolt_oneway, bolt_v2_crc, V2_CRC, bolt_protobuf, bolt_v2,
						bolt_raw, bolt_v2_ver1_2 };
	static const char *const answers[] = { bolt_call_answer, ACK, bolt_v2_crc_answer, bolt_raw_answer, bolt_v2_ver1_2_answer };
	static char frames[FRAME_MAX];
	static size_t steps[FRAME_MAX];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < FRAME_MAX; i++)
		steps[i] = i + 1;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		n += rpc_hex(requests[i], frames + n);
	for (unsigned strict = 0; strict < 2; strict++)
		two_check((struct slice){ frames, n }, false, strict, steps, n);
	n = 0;
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		size_t k = rpc_hex(answers[i], frames + n);

		if (i != 1)
			bytes_put32(frames + n + (frames[n] == 2 ? 6 : 5), 1 + i);
		two_repair(frames + n, k);
		n += k;
	}
	two_check((struct slice){ frames, n }, true, false, steps, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_call),
		T(test_heartbeats),
		T(test_heartbeat_with_checksum),
		T(test_odd_heartbeats),
		T(test_answers_not_read),
		T(test_goaway),
		T(test_service_names),
		T(test_nonsense_in_a_map),
		T(test_limits_of_requests),
		T(test_nobody_takes_it),
		T(test_frames_that_are_none),
		T(test_longest_lengths),
		T(test_checksum),
		T(test_switch_without_checksum),
		T(test_head_says_stop),
		T(test_sniff),
		T(test_every_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
