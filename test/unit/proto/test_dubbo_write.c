// SPDX-License-Identifier: Apache-2.0
/* Dubbo: attachments written again, frames that are malformed or over a bound, long ones, and what waits behind these. */
#include "dubbo_kit.h"

/* ---- attachments -------------------------------------------------------------------------------------------- */

static void set_color(struct msg *m)
{
	msg_set(m, SLICE_LIT("color"), SLICE_LIT("red"));
}

static void del_color(struct msg *m)
{
	assert_int_equal(msg_del(m, SLICE_LIT("color")), 1);
	msg_add(m, SLICE_LIT("x"), SLICE_LIT("\xf0\x9f\x98\x80\xff"));
}

static void move_elsewhere(struct msg *m)
{
	msg_set(m, SLICE_LIT("version"), SLICE_LIT("2.0"));
	msg_set(m, SLICE_LIT("interface"), SLICE_LIT("b.Api"));
	msg_set(m, SLICE_LIT("dubbo"), SLICE_LIT("2.0.3"));
}

static void only_touch(struct msg *m)
{
	msg_touch(m);
}

/* A body before, and the frame after. */
static void check_change(struct two *t, void (*change)(struct msg *m), const char *body, const char *want)
{
	struct buf b = { 0 };
	char hex[2000];

	t->change = change;
	client_body(t, NULL, body);
	hex_add(&b, want);
	snprintf(hex, sizeof(hex), "dabb c2 00 %016llx %08zx %s", (unsigned long long)t->up.last, b.len, want);
	says(t, &t->up, hex);
	buf_fini(&b);
}

#define CALL "05'2.0.2' 05'a.Api' 03'1.0' 01'm' 01'I' 91 "

static void test_attachments_written_again(void **state)
{
	struct two *t = *state;

	check_change(t, set_color, CALL "48 05'color' 04'blue' 01'a' 00 5a", CALL "48 05'color' 03'red' 01'a' 00 5a");
	check_change(t, set_color, CALL "48 01'a' 00 5a", CALL "48 01'a' 00 05'color' 03'red' 5a");
	check_change(t, set_color, CALL "4e", CALL "48 05'color' 03'red' 5a");
	check_change(t, set_color, CALL "48 5a", CALL "48 05'color' 03'red' 5a");
	check_change(t, del_color, CALL "48 05'color' 04'blue' 5a", CALL "48 01'x' 03 ed a0 bd ed b8 80 c3 bf 5a");
	check_change(t, only_touch, CALL "4d 01'M' 05'color' 04'blue' 5a", CALL "4d 01'M' 05'color' 04'blue' 5a");
	/* What stands behind the map stays. */
	check_change(t, set_color, CALL "48 5a 01'z'", CALL "48 05'color' 03'red' 5a 01'z'");
}

/* Names that are said before the arguments are written among the attachments, where Java looks first, once they change. */
static void test_names_that_are_no_attachments(void **state)
{
	struct two *t = *state;

	check_change(t, only_touch, CALL "48 5a", CALL "48 5a");
	check_change(t, move_elsewhere, CALL "48 01'a' 00 5a",
		     CALL "48 01'a' 00 05'dubbo' 05'2.0.3' 09'interface' 05'b.Api' 07'version' 03'2.0' 5a");
	check_change(t, move_elsewhere, CALL "48 07'version' 03'1.0' 09'interface' 05'a.Api' 5a",
		     CALL "48 07'version' 03'2.0' 09'interface' 05'b.Api' 05'dubbo' 05'2.0.3' 5a");
}

/* Byte for byte, in their order, before the others: a later one of the same key counts. */
static void test_values_that_are_no_text(void **state)
{
	struct two *t = *state;

	check_change(t, set_color, CALL "48 01'n' 49 00 00 00 01 05'color' 4e 01'o' 43 01'K' 91 01'f' 60 91 91 90 01'p' 60 92 5a",
		     CALL "48 01'n' 49 00 00 00 01 05'color' 4e 01'o' 43 01'K' 91 01'f' 60 91 91 90 01'p' 60 92 05'color' 03'red' 5a");
	check_change(t, set_color, CALL "48 4e 01'v' 00 01'w' 01'x' 48 5a 5a",
		     CALL "48 4e 01'v' 00 01'w' 01'x' 48 5a 05'color' 03'red' 5a");
}

static void test_answers_attachments(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_ECHO DUBBO_ECHO DUBBO_ECHO DUBBO_ECHO);
	t->change = set_color;
	host(t, "dabb0214 0000000000000001 00000014 94 04'blue' 48 05'dubbo' 05'2.0.2' 5a");
	says(t, &t->down, "dabb0214 0000000000000001 0000001e 94 04'blue' 48 05'dubbo' 05'2.0.2' 05'color' 03'red' 5a");
	host(t, "dabb0214 0000000000000002 00000003 95 48 5a  dabb0214 0000000000000003 00000004 93 4e 48 5a");
	says(t, &t->down, "dabb0214 0000000000000001 0000000d 95 48 05'color' 03'red' 5a"
			  "dabb0214 0000000000000001 0000000e 93 4e 48 05'color' 03'red' 5a");
	/* Without a map there is nowhere to write it. */
	host(t, "dabb0214 0000000000000004 00000004 91 02'hi'");
	says(t, &t->down, DUBBO_VALUE_HI);
}

/* Each way to cut body and data gives the same frame. */
static void test_changed_in_pieces(void **state)
{
	static struct two whole, cut;
	static struct buf bytes;
	struct two_case k = { .ops = &proto_dubbo, .change = set_color };

	(void)state;
	hex_add(&bytes, DUBBO_JAVA_COLOR DUBBO_JAVA_HELLO DUBBO_HEARTBEAT DUBBO_ECHO DUBBO_JAVA3_HELLO);
	k.bytes = rpc_text(&bytes);
	two_run(&whole, &k, 0, 0);
	for (size_t at = 1; at < k.bytes.n; at++) {
		two_run(&cut, &k, at, 0);
		two_equal(&whole, &cut);
		two_close(&cut);
	}
	two_close(&whole);
	two_check(&k);
	buf_fini(&bytes);
}

/* ---- what makes no sense ------------------------------------------------------------------------------------ */

static void test_malformed_bodies(void **state)
{
	static const char *const t[] = {
		"",			 "05'2.0.2'",		"90",			     CALL,	CALL "48 01'a'",
		CALL "91",		 CALL "48 01'a' 90 91", "00 00 00 4e 00",	     "00 00 00 01'm' 01'Q' 48 5a",
		"00 00 00 01'm' 02'Lx' 4e", "00 00 00 01'm' 01'[' 4e", "00 00 00 01'm' 00 40", "00 00 00 07'$invoke' 00",
	};
	struct two *two = *state;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		client_body(two, NULL, t[i]);
		heard_of(&two->down, "reset MALFORMED\n");
		assert_memory_equal(rpc_text(&two->down.c.out).p, "\xda\xbb\x02\x28\0\0\0\0\0\0\0\1", 12);
		buf_fini(&two->down.c.out);
		client_body(two, "dabb8200 0000000000000001", t[i]);
		heard_of(&two->down, "reset MALFORMED\n");
		assert_int_equal(two->down.c.out.len, 0);
	}
	client(two, "dabbc200 0000000000000001 00000001 4e");
	says(two, &two->down, "dabb 02 28 0000000000000001 00000022 30 20 'body of a request makes no sense'");
	assert_int_equal(two->up.c.out.len, 0);
	client(two, DUBBO_ECHO);
	says(two, &two->up, DUBBO_ECHO);
}

static void test_no_frames(void **state)
{
	struct two *t = *state;

	assert_int_equal(two_hears(t, &t->down, "da bc", 0), -EPROTO);
	failed(&t->down, PROTO_MALFORMED, "not Dubbo: a frame does not begin with da bb");
	two_close(t);
	two_open(t, &proto_dubbo);
	two_hears(t, &t->down, DUBBO_VALUE_HI, 0);
	failed(&t->down, PROTO_MALFORMED, "an answer came from a client");
	two_close(t);
	two_open(t, &proto_dubbo);
	two_hears(t, &t->up, "dabb 02 14 0000000000000001 80000000", 0);
	failed(&t->up, PROTO_MALFORMED, "a body's length is over 2 GiB");
}

static void test_bounds(void **state)
{
	struct two *t = *state;

	t->down.limits = (struct proto_limits){ .headers = 3, .head_bytes = 100, .streams = 2 };
	client_body(t, NULL, CALL "48 01'a' 00 01'b' 00 01'c' 00 01'd' 00 5a");
	heard_of(&t->down, "reset HEAD_TOO_LARGE\n");
	says(t, &t->down, "dabb 02 28 0000000000000001 00000015 14 'too many attachments'");
	client_body(t, NULL, CALL "48 01'a' 30 60 '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef' 5a");
	heard_of(&t->down, "reset HEAD_TOO_LARGE\n");
	says(t, &t->down, "dabb 02 28 0000000000000001 0000002d 30 2b 'names and attachments are over a size limit'");
	client_body(t, NULL, CALL "48 5a");
	client_body(t, NULL, CALL "48 5a");
	client_body(t, NULL, CALL "48 5a");
	says(t, &t->down, "dabb 02 64 0000000000000001 00000017 16 'too many calls at once'");
	t->down.refuse = true;
	t->down.limits.streams = 0;
	client_body(t, NULL, CALL "48 5a");
	says(t, &t->down, "dabb 02 64 0000000000000001 00000017 16 'too many calls at once'");
	client_body(t, "dabb8200 0000000000000001", CALL "48 5a");
	assert_int_equal(t->down.c.out.len, 0);
	t->up.limits.streams = 3;
	assert_int_equal(proto_dubbo.room(&t->up.c), 1);
}

/* Values deeper than is looked at pass, with nothing known of what is behind them. */
static void test_deep_values(void **state)
{
	struct two *t = *state;
	static char body[3000] = "00 05'a.Api' 00 01'm' 01'J' ";

	for (int i = 0; i < 1100; i++)
		strcat(body, "79");
	strcat(body, "90 48 05'color' 04'blue' 5a");
	t->change = set_color;
	client_body(t, NULL, body);
	heard_of(&t->down, "1 request a.Api/m timeout 0 class  ser 2 len 1126\n interface=a.Api\n color=red\n1 data ");
	assert_int_equal(t->up.c.out.len, 16 + 1126);
}

/* ---- long frames -------------------------------------------------------------------------------------------- */

/* A call with a string of n bytes. */
static void long_call(struct buf *b, uint32_t n, const char *flags)
{
	struct buf body = { 0 };
	char hex[64];

	hex_add(&body, "05'2.0.2' 05'a.Api' 03'1.0' 04'echo' 12'Ljava/lang/String;'");
	for (uint32_t i = 0; i < n / 32768; i++) {
		hex_add(&body, "52 80 00");
		for (int k = 0; k < 1024; k++)
			buf_add(&body, "0123456789abcdef0123456789abcdef", 32);
	}
	hex_add(&body, "00 48 05'color' 04'blue' 07'timeout' 01'7' 5a");
	snprintf(hex, sizeof(hex), "dabb %s 00 0000000000000007 %08zx", flags, body.len);
	hex_add(b, hex);
	buf_move(b, &body);
}

static void check_long(struct two *t, uint32_t n, const char *heard)
{
	struct buf b = { 0 };
	struct slice all;
	struct slice out;

	long_call(&b, n, "c2");
	all = rpc_text(&b);
	t->down.quiet = true;
	rpc_decode(&t->down, (struct slice){ all.p, all.n - 1 }, 16000);
	t->down.quiet = false;
	if (heard)
		assert_true(t->up.c.out.len >= all.n - 17);
	else
		assert_int_equal(t->up.c.out.len, 0);
	rpc_decode(&t->down, (struct slice){ all.p + all.n - 1, 1 }, 0);
	out = rpc_text(&t->up.c.out);
	assert_int_equal(out.n, all.n);
	assert_memory_equal(out.p + 12, all.p + 12, all.n - 12);
	buf_fini(&b);
}

/* Up to 1 MiB a frame is collected for its attachments; of a longer one names are known, and it passes as it comes. */
static void test_long_frames(void **state)
{
	struct two *t = *state;

	check_long(t, 31 * 32768, NULL);
	buf_fini(&t->up.c.out);
	buf_fini(&t->down.log);
	check_long(t, 320 * 32768, "as it came");
	assert_true(proto_dubbo.decode(&t->down.c, &t->down.in) == 0 && !t->down.in.len);
}

static void test_prefix_of_a_long_frame(void **state)
{
	struct two *t = *state;
	struct buf b = { 0 };

	t->down.limits = (struct proto_limits){ .frame_bytes = 50, .head_bytes = 4096 };
	t->change = set_color;
	long_call(&b, 32768, "c2");
	rpc_decode(&t->down, rpc_text(&b), 0);
	heard_of(&t->down, "1 request a.Api:1.0/echo timeout 0 class  ser 2 len 32835\n dubbo=2.0.2\n interface=a.Api\n"
			   " version=1.0\n color=red\n1 data ");
	assert_int_equal(t->up.c.out.len, b.len);
	buf_fini(&b);
	/* Names that take more than a first look; and too much of them. */
	hex_add(&b, "00 53 08 00");
	for (int i = 0; i < 2048; i++)
		buf_add(&b, "s", 1);
	hex_add(&b, "00 01'm' 00 4e");
	assert_int_equal(b.len, 0x809);
	client(t, "dabbc200 0000000000000001 00000809");
	rpc_decode(&t->down, rpc_text(&b), 100);
	heard_of(&t->down, "sss/m timeout 0");
	t->down.limits.head_bytes = 1500;
	client(t, "dabbc200 0000000000000001 00000809");
	rpc_decode(&t->down, rpc_text(&b), 100);
	heard_of(&t->down, "3 reset HEAD_TOO_LARGE\n");
	buf_fini(&b);
}

static void test_other_serializations(void **state)
{
	struct two *t = *state;

	t->change = set_color;
	client(t, "dabb d7 00 0000000000000009 00000005 '{\"a\"}'");
	heard(&t->down, "1 request / timeout 0 class  ser 23 len 5\n color=red\n1 data {\"a\"}\n1 end\n");
	says(t, &t->up, "dabb d7 00 0000000000000001 00000005 '{\"a\"}'");
	host(t, "dabb 17 14 0000000000000001 00000002 '{}'");
	says(t, &t->down, "dabb 17 14 0000000000000009 00000002 '{}'");
}

/* ---- in the middle of a frame ------------------------------------------------------------------------------- */

static uint64_t half_a_frame(struct two *t)
{
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	struct buf b = { 0 };
	uint64_t id;

	m->proto = &proto_dubbo;
	m->serialization = 2;
	m->body_len = 10;
	assert_int_equal(rpc_ask(&t->up, m, &id), 0);
	buf_add(&b, "01234", 5);
	assert_int_equal(proto_dubbo.put_data(&t->up.c, id, &b, false), 5);
	return id;
}

static void test_what_waits_behind_a_frame(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	struct buf b = { 0 };
	uint64_t id = half_a_frame(t), other;

	host(t, DUBBO_HEARTBEAT);
	assert_int_equal(proto_dubbo.put_ping(&t->up.c, 5), 0);
	m->proto = &proto_dubbo;
	assert_int_equal(rpc_ask(&t->up, m, &other), -EAGAIN);
	assert_false(proto_dubbo.reusable(&t->up.c));
	says(t, &t->up, "dabb c2 00 0000000000000001 0000000a '01234'");
	assert_int_equal(proto_dubbo.put_data(&t->up.c, id + 1, &b, false), -ENOENT);
	buf_add(&b, "56789", 5);
	assert_int_equal(proto_dubbo.put_data(&t->up.c, id, &b, true), 5);
	says(t, &t->up, "'56789'" DUBBO_HEARTBEAT_ACK "dabb e2 00 0000000000000005 00000001 4e");
}

static void test_half_a_frame_cannot_be_taken_back(void **state)
{
	struct two *t = *state;
	uint64_t id = half_a_frame(t);
	struct buf none = { 0 };

	assert_int_equal(proto_dubbo.put_reset(&t->up.c, id, PROTO_CANCELLED), -EPIPE);
	assert_int_equal(proto_dubbo.put_data(&t->up.c, id, &none, true), -EPROTO);
	assert_int_equal(t->up.c.why, PROTO_INTERNAL);
}

static void test_late_answers(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_ECHO DUBBO_ECHO);
	assert_int_equal(proto_dubbo.put_reset(&t->up.c, 1, PROTO_TIMEOUT), 0);
	host(t, DUBBO_VALUE_HI DUBBO_VALUE_HI "dabb 02 14 0000000000000000 00000001 92 dabb 02 14 0000000000000002 00000001 92");
	assert_int_equal(t->up.late, 3);
	says(t, &t->down, DUBBO_VALUE_NULL);
	assert_true(proto_dubbo.reusable(&t->up.c));
}

/* The answer of a call that is given up while it comes in is dropped to its end. */
static void test_given_up_in_the_middle(void **state)
{
	struct two *t = *state;

	t->down.to = NULL;
	client(t, "dabbc200 0000000000000001 00000020 05");
	assert_int_equal(proto_dubbo.put_reset(&t->down.c, 1, PROTO_TIMEOUT), 0);
	says(t, &t->down, "dabb 02 1e 0000000000000001 0000000e 0d 'took too long'");
	client(t, "'2.0.200000000000000000000000000' dabb c2");
	heard(&t->down, "");
	client(t, "00 0000000000000001 0000006c " DUBBO_ECHO_BODY);
	heard_of(&t->down, "2 request g1/");
}

/* ---- many --------------------------------------------------------------------------------------------------- */

/* Other values each time: what a call was is what its answer goes to. */
static void test_a_million_frames(void **state)
{
	struct two *t = *state;
	struct buf ask = { 0 }, answer = { 0 };
	struct slice q, r;
	char head[16];

	hex_add(&ask, DUBBO_ECHO);
	hex_add(&answer, "dabb0214 0000000000000001 00000014 94 04'blue' 48 05'dubbo' 05'2.0.2' 5a");
	q = rpc_text(&ask);
	r = rpc_text(&answer);
	t->down.quiet = t->up.quiet = true;
	for (uint64_t i = 1; i <= 500000; i++) {
		memcpy(head, r.p, 16);
		for (int k = 0; k < 8; k++)
			head[4 + k] = (char)(i >> 8 * (7 - k));
		rpc_decode(&t->down, q, i % 7 ? 0 : 50);
		rpc_decode(&t->up, (struct slice){ head, 16 }, 0);
		rpc_decode(&t->up, (struct slice){ r.p + 16, r.n - 16 }, 0);
		if (t->up.c.out.len != q.n || t->down.c.out.len != r.n)
			fail_msg("frame %llu", (unsigned long long)i);
		assert_memory_equal(buf_head(&t->down.c.out).p, r.p, 16);
		buf_drop(&t->up.c.out, q.n);
		buf_drop(&t->down.c.out, r.n);
		arena_reset(&t->down.arena);
		arena_reset(&t->up.arena);
	}
	buf_fini(&ask);
	buf_fini(&answer);
}

static void test_detection(void **state)
{
	static const struct first_bytes t[] = {
		{ "da", PROTO_MORE },		{ "dabb", PROTO_MORE },		{ "dabbc2", PROTO_MORE },     { "dabbc200", PROTO_YES },
		{ "dabb8200 00", PROTO_YES },	{ "dabbe200", PROTO_YES },	{ "dabbd700", PROTO_YES },    { "dabc", PROTO_NO },
		{ "00000034 dabc", PROTO_NO },	{ "dabb0214", PROTO_NO },	{ "dabbc000", PROTO_NO },     { "dabbc214", PROTO_NO },
		{ "47", PROTO_NO },
	};

	(void)state;
	all_sniffed(t, sizeof(t) / sizeof(t[0]), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_attachments_written_again),
		T(test_names_that_are_no_attachments),
		T(test_values_that_are_no_text),
		T(test_answers_attachments),
		T(test_changed_in_pieces),
		T(test_malformed_bodies),
		T(test_no_frames),
		T(test_bounds),
		T(test_deep_values),
		T(test_long_frames),
		T(test_prefix_of_a_long_frame),
		T(test_other_serializations),
		T(test_what_waits_behind_a_frame),
		T(test_half_a_frame_cannot_be_taken_back),
		T(test_late_answers),
		T(test_given_up_in_the_middle),
		T(test_a_million_frames),
		T(test_detection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
