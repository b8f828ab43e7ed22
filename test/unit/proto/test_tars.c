// SPDX-License-Identifier: Apache-2.0
/* Tars: golden frames both ways, context written again, numbers of other widths, answers of our own, every cut. */
#include "base/bytes.h"
#include "proto/tars.h"
#include "proto/tars_field.h"
#define KIT_OPS proto_tars
#include "frames_kit.h"

/* Behind the number: servant, function, two bytes, 3 s, context {k: v}, status {}. */
#define REST "56 09 'App.S.Obj' 66 04 'echo' 7d 00 00 02 ffff 81 0bb8 98 00 01 06 01 'k' 16 01 'v' a8 0c"
#define CALL(id, n) "000000" n " 10 01 2c 3c " id " " REST
#define ANSWER(id, n) "000000" n " 10 01 2c " id " 4c 5c 6d 00 00 01 ff 78 0c 86 00 98 0c"

static void set_header(struct msg *m)
{
	msg_set(m, SLICE_LIT("k"), SLICE_LIT("w"));
	msg_add(m, SLICE_LIT("x"), SLICE_LIT("weft"));
}

static void test_call(void **state)
{
	struct two *t = *state;

	client(t, CALL("40 07", "2f"));
	heard_of(&t->down, "1 request App.S.Obj/echo timeout 3000 class  ser 1 len 37\n k=v\n1 data ");
	says(t, &t->up, CALL("40 01", "2f"));
	host(t, ANSWER("30 01", "16"));
	heard_of(&t->up, "1 response status 200 wire 0 ");
	says(t, &t->down, ANSWER("30 07", "16"));
	assert_true(KIT_OPS.reusable(&t->up.c) && KIT_OPS.reusable(&t->down.c));
}

/* A number takes as many bytes as it needs, on each side its own. */
static void test_numbers_of_other_widths(void **state)
{
	struct two *t = *state;

	client(t, CALL("4c", "2e") CALL("41 7fff", "30") CALL("42 80000000", "32"));
	says(t, &t->up, CALL("40 01", "2f") CALL("40 02", "2f") CALL("40 03", "2f"));
	host(t, ANSWER("32 00000003", "19") ANSWER("31 0002", "17") ANSWER("30 01", "16"));
	says(t, &t->down, ANSWER("32 80000000", "19") ANSWER("31 7fff", "17") ANSWER("3c", "15"));
}

static void test_context_written_again(void **state)
{
	struct two *t = *state;

	t->change = set_header;
	client(t, CALL("40 07", "2f"));
	says(t, &t->up, "00000038 10 01 2c 3c 40 01 56 09 'App.S.Obj' 66 04 'echo' 7d 00 00 02 ffff 81 0bb8"
			"98 00 02 06 01 'k' 16 01 'w' 06 01 'x' 16 04 'weft' a8 0c");
	/* Where there was none: in its place, before the status or at the end. */
	client(t, "0000001e 10 01 2c 3c 40 07 56 09 'App.S.Obj' 66 04 'echo' 7c a8 0c");
	says(t, &t->up, "00000030 10 01 2c 3c 40 02 56 09 'App.S.Obj' 66 04 'echo' 7c 98 00 02 06 01 'k' 16 01 'w' 06 01 'x' 16 04 'weft' a8 0c");
	client(t, "0000001b 10 01 2c 3c 40 07 56 09 'App.S.Obj' 66 04 'echo'");
	says(t, &t->up, "0000002d 10 01 2c 3c 40 03 56 09 'App.S.Obj' 66 04 'echo' 98 00 02 06 01 'k' 16 01 'w' 06 01 'x' 16 04 'weft'");
	host(t, ANSWER("30 01", "16"));
	says(t, &t->down, "00000026 10 01 2c 30 07 4c 5c 6d 00 00 01 ff 78 0c 86 00 98 00 02 06 01 'k' 16 01 'w' 06 01 'x' 16 04 'weft'");
}

static void test_status(void **state)
{
	static const struct {
		const char *ret, *heard;
	} t[] = { { "50 ff", "response status 400 wire 1 " }, { "50 fc", "response status 404 wire 4 " },
		  { "50 f9", "response status 504 wire 7 " }, { "50 f7", "response status 503 wire 9 " },
		  { "50 9d", "response status 500 wire 99 " }, { "50 01", " threw []\n" }, { "51 0100", "response status 200 wire 256 " },
		  { "51 ff00", "response status 500 wire 256 " } };
	struct two *two = *state;
	char hex[200];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf b = { 0 };

		client(two, CALL("40 07", "2f"));
		snprintf(hex, sizeof(hex), "10 01 2c 30 %02zx 4c %s 6d 00 00 01 ff 78 0c 86 00 98 0c", i + 1, t[i].ret);
		hex_add(&b, hex);
		snprintf(hex, sizeof(hex), "%08zx 10 01 2c 30 %02zx 4c %s 6d 00 00 01 ff 78 0c 86 00 98 0c", b.len + 4, i + 1, t[i].ret);
		host(two, hex);
		heard_of(&two->up, t[i].heard);
		buf_fini(&b);
	}
}

static void test_tup(void **state)
{
	struct two *t = *state;
	struct msg request = { .service = SLICE_LIT("S"), .rpc_method = SLICE_LIT("f") };
	struct proto_reply r = { .status = 502, .wire_status = MSG_NO_STATUS, .text = SLICE_LIT("no") };

	client(t, "00000018 10 03 2c 3c 40 07 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 0c");
	says(t, &t->up, "00000018 10 03 2c 3c 40 01 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 0c");
	host(t, "0000003c 10 03 2c 3c 40 01 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 00 02"
		"06 12 'STATUS_RESULT_CODE' 16 02 '-4' 06 01 'x' 16 06 'longer'");
	heard_of(&t->up, "1 response status 404 wire 4 ");
	assert_memory_equal(rpc_text(&t->down.c.out).p, "\0\0\0\x3c\x10\3\x2c\x3c\x40\7\x56", 11);
	buf_fini(&t->down.c.out);
	t->down.to = NULL;
	client(t, "00000018 10 03 2c 3c 40 07 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 0c");
	assert_int_equal(KIT_OPS.put_reply(&t->down.c, 2, &request, &r), 0);
	says(t, &t->down, "00000049 10 03 2c 3c 40 07 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 00 02"
			  "06 12 'STATUS_RESULT_CODE' 16 02 '-8' 06 12 'STATUS_RESULT_DESC' 16 02 'no'");
}

static void test_replies(void **state)
{
	static const struct {
		int http, ret;
	} t[] = { { 404, -4 }, { 400, -1 }, { 502, -8 }, { 503, -9 }, { 504, -7 }, { 500, -99 } };
	struct two *two = *state;
	char hex[100];

	two->down.to = NULL;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct proto_reply r = { .status = t[i].http, .wire_status = MSG_NO_STATUS, .text = SLICE_LIT("what") };

		client(two, CALL("40 07", "2f"));
		assert_int_equal(KIT_OPS.put_reply(&two->down.c, i + 1, NULL, &r), 0);
		snprintf(hex, sizeof(hex), "00000017 10 01 2c 30 07 4c 50 %02x 6d 00 0c 78 0c 86 04 'what'", t[i].ret & 0xff);
		says(two, &two->down, hex);
	}
}

static void test_oneway(void **state)
{
	struct two *t = *state;

	client(t, "0000002f 10 01 20 01 3c 4c " REST);
	heard_of(&t->down, "1 oneway App.S.Obj/echo ");
	assert_true(KIT_OPS.reusable(&t->up.c) && KIT_OPS.reusable(&t->down.c));
}

static void wrong(const char *hex, const char *detail)
{
	struct two t;

	two_open(&t, &KIT_OPS);
	two_hears(&t, &t.down, hex, 0);
	failed(&t.down, PROTO_MALFORMED, detail);
	two_close(&t);
}

static void test_what_makes_no_sense(void **state)
{
	struct two *t = *state;

	wrong("00000033 da", "not Tars: a packet does not begin with its version");
	wrong("00000002 10 01 2c", "a packet is shorter than its head");
	wrong("80000000 10 01 2c", "a packet's length is over 2 GiB");
	wrong("0000000c 10 01 2c 3c 2c 40 07 4c", "a packet's fields make no sense");
	wrong("00000008 10 01 2c 3c", "a packet's fields make no sense");
	wrong("0000000d 10 01 2c 3c 40 07 56 09 'A'", "a packet's fields make no sense");
	wrong("0000000d 10 01 2c 3c 40 07 50 09 60", "a packet's fields make no sense");
	/* Values that are no text: of a context it is said, the connection lives. */
	client(t, "00000011 10 01 2c 3c 40 07 98 00 01 00 01 10 02");
	heard_of(&t->down, "1 reset MALFORMED\n");
	assert_memory_equal(rpc_text(&t->down.c.out).p + 4, "\x10\1\x2c\x30\7\x4c\x50\xff", 8);
	t->down.limits.headers = 1;
	t->down.limits.head_bytes = 40;
	client(t, "00000017 10 01 2c 3c 40 07 98 00 02 06 01 'k' 16 00 06 01 'l' 16 00");
	heard_of(&t->down, "2 reset HEAD_TOO_LARGE\n");
	client(t, CALL("40 07", "2f"));
	heard_of(&t->down, "3 request App.S.Obj/echo");
}

/* Values inside one another: bounded, and passed on where that is too much. */
static void test_deep_values(void **state)
{
	struct two *t = *state;
	char hex[1000] = "000000ee 10 01 2c 3c 40 07 56 01 'S' 66 01 'f' 7d 00 0c 8c 98 0c a8 0c b9 00 01", body[600] = "";

	for (int i = 0; i < 70; i++)
		strcat(body, "09 00 01");
	strcat(body, "0c");
	strcat(hex, body);
	client(t, hex);
	heard_of(&t->down, "1 request S/f timeout 0 class  ser 1 len 228\n1 data ");
	assert_int_equal(t->up.c.out.len, 238);
}

static void test_fields(void **state)
{
	static const struct {
		const char *hex;
		int result;
	} t[] = {
		{ "0b", -EPROTO },	  { "0a 0b", 0 },	       { "0a 1c 2a 0b 0b", 0 }, { "09 00 02 0c 00 01", 0 },
		{ "08 00 01 06 01 'k' 1c", 0 }, { "08 0c", 0 },	       { "09 00 ff", -EPROTO }, { "04 00000000", 0 },
		{ "05 0000000000000000", 0 },	{ "07 00000002 'hi'", 0 }, { "0d 00 00 02 'hi'", 0 }, { "0d 01 00 02 'hi'", -EPROTO },
		{ "03 0000000000000001", 0 },	{ "f6 20 01 'x'", 0 },	   { "0e", -EPROTO },	      { "09 02 7fffffff 0c", -ENODATA },
		{ "09 02 80000000", -EPROTO },	{ "09 06 00", -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf b = { 0 };
		struct tars_reader r = { 0 };
		struct tars_field f;

		hex_add(&b, t[i].hex);
		r.in = rpc_text(&b);
		assert_int_equal(tars_head(&r, &f), 0);
		assert_int_equal(tars_skip(&r, f), t[i].result);
		for (size_t n = 0; n < b.len && !t[i].result; n++) {
			r = (struct tars_reader){ { r.in.p, n }, 0 };
			assert_int_equal(tars_head(&r, &f) ? -ENODATA : tars_skip(&r, f), -ENODATA);
		}
		if (!t[i].result)
			assert_int_equal(r.at <= b.len, 1);
		buf_fini(&b);
	}
}

static void test_long_frames(void **state)
{
	struct two *t = *state;
	struct buf b = { 0 };
	char length[4];
	struct slice s;

	t->down.limits.frame_bytes = 1000;
	hex_add(&b, "00000015 10 01 2c 3c 40 07 56 01 'S' 66 01 'f' 7d 00 01 7000");
	for (int i = 0; i < 0x7000; i++)
		buf_add(&b, "x", 1);
	hex_add(&b, "8c 98 00 01 06 01 'k' 16 01 'v' a8 0c");
	s = rpc_text(&b);
	bytes_put32(length, (uint32_t)s.n);
	t->change = set_header;
	rpc_decode(&t->down, (struct slice){ length, 4 }, 1);
	rpc_decode(&t->down, (struct slice){ s.p + 4, s.n - 5 }, 100);
	heard_of(&t->down, "1 request S/f timeout 0 class  ser 1 len 28695\n k=w\n x=weft\n1 data ");
	assert_int_equal(t->up.c.out.len, s.n - 1);
	rpc_decode(&t->down, (struct slice){ s.p + s.n - 1, 1 }, 0);
	assert_memory_equal(rpc_text(&t->up.c.out).p + 10, s.p + 10, s.n - 10);
	buf_fini(&b);
}

static void test_every_cut(void **state)
{
	(void)state;
	cut_anywhere((struct two_case){ .calls = CALL("40 07", "2f") CALL("40 07", "2f") CALL("40 07", "2f"), .change = set_header },
		     CALL("4c", "2e") CALL("41 7fff", "30") CALL("42 80000000", "32"),
		     ANSWER("30 03", "16") ANSWER("30 01", "16") ANSWER("30 09", "16"));
}

static void test_detection(void **state)
{
	static const struct first_bytes t[] = { { "00", PROTO_MORE }, { "00000035 10", PROTO_MORE }, { "00000035 10 01 2c", PROTO_YES }, { "00000035 10 03 20", PROTO_YES },
		  { "00000035 dabc", PROTO_NO }, { "00000035 10 04 2c", PROTO_NO }, { "00000035 10 01 3c", PROTO_NO }, { "01", PROTO_NO },
		  { "'P'", PROTO_NO } };

	(void)state;
	all_sniffed(t, sizeof(t) / sizeof(t[0]), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_call),	   T(test_numbers_of_other_widths), T(test_context_written_again), T(test_status),
		T(test_tup),	   T(test_replies),		    T(test_oneway),		   T(test_what_makes_no_sense),
		T(test_deep_values), T(test_fields),		    T(test_long_frames),	   T(test_every_cut),
		T(test_detection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
