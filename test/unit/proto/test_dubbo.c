// SPDX-License-Identifier: Apache-2.0
/* Dubbo frames: what they say, what is written for them, events, ids, bounds; golden bytes both ways. */
#include "dubbo_kit.h"

/* ---- what frames say ---------------------------------------------------------------------------------------- */

static void test_request(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_ECHO);
	heard_of(&t->down, "1 request g1/com.x.Echo:1.0/echo timeout 0 class  ser 2 len 108\n"
			   " path=com.x.Echo\n interface=com.x.Echo\n version=1.0\n group=g1\n dubbo=2.0.2\n1 data ");
	says(t, &t->up, DUBBO_ECHO);
	host(t, DUBBO_VALUE_HI);
	heard_of(&t->up, "1 response status 200 wire 20 class  ser 2 len 4\n1 data ");
	says(t, &t->down, DUBBO_VALUE_HI);
	assert_true(proto_dubbo.reusable(&t->up.c) && proto_dubbo.reusable(&t->down.c));
}

static void test_answers(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_ECHO);
	host(t, DUBBO_ERROR_60);
	heard_of(&t->up, "1 [502|no health upstream]\n1 response status 404 wire 60");
	says(t, &t->down, DUBBO_ERROR_60);
	client(t, DUBBO_ECHO);
	host(t, "dabb 02 14 0000000000000002 00000001 92");
	heard_of(&t->up, "2 response status 200 wire 20 class  ser 2 len 1\n2 data ");
	says(t, &t->down, DUBBO_VALUE_NULL);
	client(t, DUBBO_ECHO);
	host(t, "dabb 02 14 0000000000000003 00000000");
	heard(&t->up, "3 response status 200 wire 20 class  ser 2 len 0\n3 end\n");
	says(t, &t->down, "dabb 02 14 0000000000000001 00000000");
}

static void test_status_mapping(void **state)
{
	static const struct {
		int wire, http;
	} t[] = { { 20, 200 }, { 25, 500 }, { 30, 504 }, { 31, 504 }, { 35, 500 }, { 40, 400 }, { 50, 500 }, { 60, 404 },
		  { 70, 500 }, { 80, 500 }, { 90, 400 }, { 100, 503 }, { 0, 500 }, { 255, 500 } };
	struct two *two = *state;
	char hex[80], want[80];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		client(two, DUBBO_ECHO);
		snprintf(hex, sizeof(hex), "dabb 02 %02x 00000000000000%02zx 00000001 00", t[i].wire, i + 1);
		host(two, hex);
		snprintf(want, sizeof(want), "status %d wire %d ", t[i].http, t[i].wire);
		heard_of(&two->up, want);
	}
}

static void test_java_peers(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_JAVA_HELLO DUBBO_JAVA_BOOM DUBBO_JAVA_COLOR DUBBO_JAVA3_HELLO);
	heard_of(&t->down, " color=blue\n interface=suite.Api\n version=1.0.0\n dubbo=2.0.2\n3 data ");
	says(t, &t->up,
	     "dabbc200 0000000000000001 00000084 05'2.0.2'09'suite.Api'05'1.0.0'05'hello'12'Ljava/lang/String;'01'w'48"
	     "04'path'09'suite.Api'12'remote.application'0c'suite-client'09'interface'09'suite.Api'07'version'05'1.0.0'5a"
	     "dabbc200 0000000000000002 00000086 05'2.0.2'09'suite.Api'05'1.0.0'04'boom'12'Ljava/lang/String;'04'bang'48"
	     "04'path'09'suite.Api'12'remote.application'0c'suite-client'09'interface'09'suite.Api'07'version'05'1.0.0'5a"
	     "dabbc200 0000000000000003 00000091 05'2.0.2'09'suite.Api'05'1.0.0'03'att'12'Ljava/lang/String;'05'color'48"
	     "04'path'09'suite.Api'12'remote.application'0c'suite-client'05'color'04'blue'09'interface'09'suite.Api'"
	     "07'version'05'1.0.0'5a"
	     "dabbc200 0000000000000004 00000091 05'2.0.2'09'suite.Api'05'1.0.0'05'hello'12'Ljava/lang/String;'01'w'48"
	     "04'path'09'suite.Api'12'remote.application'0c'suite-client'09'interface'09'suite.Api'07'version'05'1.0.0'"
	     "07'timeout'04'5000'5a");
	/* In another order than they were asked, each with its caller's number again. */
	host(t, "dabb0214 0000000000000004 0000001f 94 0f'hello w from d3' 48 05'dubbo' 05'2.0.2' 5a");
	heard_of(&t->up, " dubbo=2.0.2\n");
	says(t, &t->down, DUBBO_JAVA3_ANSWER);
	host(t, "dabb0214 0000000000000001 0000001f 94 0f'hello w from d1' 48 05'dubbo' 05'2.0.2' 5a");
	says(t, &t->down, DUBBO_JAVA_HELLO_ANSWER);
	host(t, "dabb0214 0000000000000003 00000014 94 04'blue' 48 05'dubbo' 05'2.0.2' 5a");
	says(t, &t->down, DUBBO_JAVA_COLOR_ANSWER);
}

static void test_timeouts(void **state)
{
	static const struct {
		const char *value;
		const char *want;
	} t[] = { { "04'5000'", "timeout 5000 " }, { "01'0'", "timeout 0 " }, { "02'-5'", "timeout 0 " },
		  { "0a'9999999999'", "timeout 2147483647 " }, { "02'5s'", "timeout 0 " }, { "d5 86 a0", "timeout 100000 " },
		  { "e1", "timeout 1 " }, { "8f", "timeout 0 " }, { "4e", "timeout 0 " } };
	struct two *two = *state;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char body[100];

		snprintf(body, sizeof(body), "00 01'a' 4e 01'm' 00 48 07'timeout' %s 5a", t[i].value);
		client_body(two, NULL, body);
		heard_of(&two->down, t[i].want);
	}
}

static void test_threw(void **state)
{
	struct two *t = *state;
	struct buf thrown = { 0 };
	char hex[4096];

	hex_add(&thrown, DUBBO_JAVA_THROWN);
	client(t, DUBBO_ECHO DUBBO_ECHO DUBBO_ECHO);
	snprintf(hex, sizeof(hex), "dabb0214 0000000000000001 %08zx 93 %s 48 05'dubbo' 05'2.0.2' 5a", thrown.len + 15,
		 DUBBO_JAVA_THROWN);
	host(t, hex);
	heard_of(&t->up, "1 threw []\n1 response status 200 wire 20 ");
	says(t, &t->down, hex);
	/* An old one, and what is no value at all: the caller sees it. */
	host(t, "dabb0214 0000000000000002 00000002 90 4e  dabb0214 0000000000000003 00000002 93 40");
	heard_of(&t->up, "2 threw []\n2 response status 200");
	says(t, &t->down, "dabb0214 0000000000000001 00000002 90 4e  dabb0214 0000000000000001 00000002 93 40");
	buf_fini(&thrown);
}

static void test_oneway(void **state)
{
	struct two *t = *state;
	char hex[8192] = "", want[8192] = "";

	for (int i = 5; i < 12; i++) {
		sprintf(hex + strlen(hex), DUBBO_JAVA_FIRE_HEAD "%02x" DUBBO_JAVA_FIRE_BODY, i);
		sprintf(want + strlen(want), DUBBO_JAVA_FIRE_HEAD "%02x" DUBBO_JAVA_FIRE_BODY, i - 4);
	}
	client(t, hex);
	heard_of(&t->down, "7 oneway suite.Api:1.0.0/fire timeout 0");
	says(t, &t->up, want);
	assert_true(proto_dubbo.reusable(&t->up.c) && proto_dubbo.reusable(&t->down.c));
	/* Nobody waits for an answer. */
	host(t, DUBBO_VALUE_HI);
	assert_int_equal(t->up.late, 1);
	assert_int_equal(t->down.c.out.len, 0);
}

static void test_generic_call(void **state)
{
	struct two *t = *state;

	client_body(t, NULL, "05'2.0.2' 05'a.Api' 05'0.0.0' 07'$invoke' 30 38"
		  "'Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;' 05'hello' 71 07'[string'"
		  " 10'java.lang.String' 71 07'[object' 01'x' 48 5a");
	heard_of(&t->down, "request a.Api/hello timeout 0");
	client_body(t, NULL, "05'2.0.2' 05'a.Api' 05'0.0.0' 0c'$invokeAsync' 12'Ljava/lang/String;' 4e 48 06 "
		  "'abcdef' 01'1' 02'cd' 00 5a");
	heard_of(&t->down, "request a.Api/$invokeAsync timeout 0");
}

static void test_services(void **state)
{
	static const struct {
		const char *body, *want;
	} t[] = {
		{ "00 05'a.Api' 4e 01'm' 00 48 5a", "a.Api/m" },
		{ "00 05'a.Api' 05'0.0.0' 01'm' 00 48 05'group' 01'g' 5a", "g/a.Api/m" },
		{ "00 05'a.Api' 01'2' 01'm' 00 4e", "a.Api:2/m" },
		{ "00 05'a.Api' 01'2' 01'm' 00 48 07'version' 01'3' 09'interface' 01'b' 5a", "b:3/m" },
		{ "4e 4e 4e 01'm' 4e 48 5a", "/m" },
		{ "00 05'a.Api' 4e 01'm' 0d 'I[[J[Lx/y;ZBC' 90 78 78 46 91 92 48 05'group' 01'g' 5a", "g/a.Api/m" },
		{ "00 52 00 02 'a.' 03 'Api' 4e 01'm' 00 48 52 00 02 'gr' 03'oup' 52 00 01 'g' 01 '2' 5a", "g2/a.Api/m" },
	};
	struct two *two = *state;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char hex[100];

		client_body(two, NULL, t[i].body);
		snprintf(hex, sizeof(hex), "%zu request %s timeout 0", i + 1, t[i].want);
		heard_of(&two->down, hex);
	}
}

/* ---- events ------------------------------------------------------------------------------------------------- */

static void test_heartbeats(void **state)
{
	struct two *t = *state;

	client(t, DUBBO_HEARTBEAT);
	heard(&t->down, "ping 2\n");
	says(t, &t->down, DUBBO_HEARTBEAT_ACK);
	host(t, DUBBO_HEARTBEAT);
	says(t, &t->up, DUBBO_HEARTBEAT_ACK);
	host(t, DUBBO_HEARTBEAT_ACK);
	heard(&t->up, "ping 2\nping 2 ack\n");
	assert_int_equal(t->up.glitches, 1);
	/* As older proxies answer; as fastjson2 says it; that which wants no answer. */
	host(t, "dabb 22 14 0000000000000002 00000002 4e 4e");
	client(t, "dabb f7 00 0000000000000002 00000004 'null' dabb a2 00 0000000000000002 00000001 4e");
	says(t, &t->down, "dabb 37 14 0000000000000002 00000004 'null'");
	assert_int_equal(proto_dubbo.put_ping(&t->up.c, 0x0102030405060708), 0);
	says(t, &t->up, "dabb e2 00 0102030405060708 00000001 4e");
	t->down.glitches_max = 5;
	for (int i = 0; i < 4 && !t->down.err; i++)
		two_hears(t, &t->down, DUBBO_HEARTBEAT, 0);
	failed(&t->down, PROTO_ABUSE, "too many frames that are no calls");
}

static void test_readonly(void **state)
{
	struct two *t = *state;
	struct msg *m = rpc_msg(&t->up, MSG_REQUEST);
	uint64_t id;

	client(t, DUBBO_ECHO);
	says(t, &t->up, DUBBO_ECHO);
	host(t, DUBBO_READONLY);
	heard(&t->up, "goaway 0\n");
	assert_int_equal(proto_dubbo.room(&t->up.c), 0);
	m->proto = &proto_dubbo;
	assert_int_equal(rpc_ask(&t->up, m, &id), -ESHUTDOWN);
	host(t, DUBBO_VALUE_HI);
	says(t, &t->down, DUBBO_VALUE_HI);
	assert_false(proto_dubbo.reusable(&t->up.c));
	assert_int_equal(proto_dubbo.put_goaway(&t->down.c, false, PROTO_NONE), 0);
	assert_int_equal(proto_dubbo.put_goaway(&t->down.c, true, PROTO_NONE), 0);
	says(t, &t->down, DUBBO_READONLY);
	/* Nor is a heartbeat that wants no answer one; in another serialization it is the only event of that kind. */
	two_close(t);
	two_open(t, &proto_dubbo);
	host(t, "dabb a2 00 0000000000000000 00000001 4e  dabb a2 00 0000000000000000 00000002 01 'W'");
	heard(&t->up, "");
	assert_true(proto_dubbo.room(&t->up.c));
	host(t, "dabb b7 00 0000000000000000 00000003 '\"R\"'");
	heard(&t->up, "goaway 0\n");
	/* A client has nothing to say by it. */
	client(t, DUBBO_READONLY);
	assert_int_equal(t->down.glitches, 1);
}

static void test_calls_of_a_host(void **state)
{
	struct two *t = *state;

	host(t, DUBBO_ECHO);
	says(t, &t->up, "dabb 02 50 0000000000000001 00000033 30 31 'calls from a host to its caller are not passed on'");
	host(t, "dabb 82 00 0000000000000001 00000001 00");
	assert_int_equal(t->up.c.out.len, 0);
	assert_int_equal(t->up.glitches, 2);
	heard(&t->up, "");
}

/* Large ones are passed over as they come. */
static void test_large_events(void **state)
{
	struct two *t = *state;
	char frame[16 + 1000] = "\xda\xbb\xe2\0\0\0\0\0\0\0\0\1\0\0\3\xe8";

	assert_int_equal(rpc_decode(&t->down, (struct slice){ frame, sizeof(frame) }, 1), 0);
	assert_int_equal(t->down.c.out.len, 0);
	client(t, DUBBO_ECHO);
	heard_of(&t->down, "1 request g1/com.x.Echo");
}

/* ---- answers of our own ------------------------------------------------------------------------------------- */

static void reply(struct two *t, int status, int wire, const char *text)
{
	struct proto_reply r = { .status = status, .wire_status = wire, .text = slice_str(text) };

	t->down.to = NULL;
	client(t, DUBBO_ECHO);
	assert_int_equal(proto_dubbo.put_reply(&t->down.c, t->down.last, NULL, &r), 0);
}

static void test_replies(void **state)
{
	static const struct {
		int http, wire;
	} t[] = { { 404, 60 }, { 502, 60 }, { 503, 100 }, { 504, 30 }, { 429, 100 }, { 403, 80 }, { 500, 70 }, { 401, 70 } };
	struct two *two = *state;
	char hex[100];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		reply(two, t[i].http, MSG_NO_STATUS, "no host");
		snprintf(hex, sizeof(hex), "dabb 02 %02x 0000000000000001 00000008 07 'no host'", t[i].wire);
		says(two, &two->down, hex);
	}
	reply(two, 200, DUBBO_OK, "");
	says(two, &two->down, "dabb 02 14 0000000000000001 00000001 00");
	assert_true(proto_dubbo.reusable(&two->down.c));
	assert_int_equal(proto_dubbo.put_reply(&two->down.c, 1, NULL, &(struct proto_reply){ .status = 500 }), 0);
	assert_int_equal(two->down.c.out.len, 0);
}

static void test_resets(void **state)
{
	struct two *t = *state;

	t->down.to = NULL;
	client(t, DUBBO_ECHO);
	assert_int_equal(proto_dubbo.put_reset(&t->down.c, 1, PROTO_CLOSED), 0);
	says(t, &t->down, "dabb 02 3c 0000000000000001 00000020 1f 'connection closed in the middle'");
	assert_int_equal(proto_dubbo.put_reset(&t->down.c, 1, PROTO_CLOSED), 0);
	assert_int_equal(t->down.c.out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request),       T(test_answers),      T(test_status_mapping), T(test_java_peers),      T(test_timeouts),
		T(test_threw),	       T(test_oneway),	     T(test_generic_call),   T(test_services),	      T(test_heartbeats),
		T(test_readonly),      T(test_calls_of_a_host), T(test_large_events), T(test_replies),	      T(test_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
