// SPDX-License-Identifier: Apache-2.0
/* The codec's own contract: heads and bodies both ways, keep-alive, pipelining, 1xx, upgrades, bounds. */
#include "http1_kit.h"

/* ---- heads ---- */

static void test_unchanged_head_is_the_same_bytes(void **state)
{
	struct rig *r = *state;
	const char *q = "GET /a?b HTTP/1.1\r\nhOsT:a\r\nX-One:  1 \t\r\nx-one:\r\nX_Two: \r\nB: \xc3\xa9\r\n\r\n";

	ask(r, q);
	expect(&r->to_server, q);
	expect(&r->to_client, RIG_ANSWER);
	assert_true(r->down.ops->reusable(&r->down) && r->up.ops->reusable(&r->up));
}

static void test_hop_by_hop_headers_stay_here(void **state)
{
	struct rig *r = *state;

	ask(r, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nX-Mine: 1\r\n"
	       "Proxy-Connection: close\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-Other: 2\r\n\r\n");
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: a\r\nX-Other: 2\r\n\r\n");
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
}

static void test_time_of_an_idle_host(void **state)
{
	static const struct {
		const char *value;
		uint32_t ms;
	} t[] = {
		{ "timeout=5, max=100", 5000 }, { "max=100,TIMEOUT=60", 60000 }, { "timeout=0", 1 }, { "x, timeout=7 ", 7000 },
		{ "timeout=99999999999", UINT32_MAX }, { "timeout=5s", 0 }, { "timeout", 0 }, { "timeout=", 0 }, { "timeout=,", 0 }, { "5", 0 }, { "", 0 },
		{ ",", 0 }, { "max=1, ", 0 }, { "xtimeout=5", 0 },
	};
	struct rig *r = *state;
	static char answer[128];

	r->answer = answer;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nKeep-Alive: %s\r\nContent-Length: 0\r\n\r\n", t[i].value);
		ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		if (r->idle_ms != t[i].ms)
			fail_msg("%s: got %u", t[i].value, r->idle_ms);
		assert_null(memmem(rig_text(&r->to_client).p, r->to_client.len, "Keep-Alive", 10));
	}
}

static void test_absolute_form(void **state)
{
	struct rig *r = *state;

	ask(r, "GET HTTP://b:8/x?y HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
	expect(&r->to_server, "GET /x?y HTTP/1.1\r\nHost: b:8\r\nX: y\r\n\r\n");
	ask(r, "GET http://b HTTP/1.1\r\nHost: b\r\n\r\n");
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
	ask(r, "GET https://b?x HTTP/1.1\r\nHost: b\r\n\r\n");
	expect(&r->to_server, "GET /?x HTTP/1.1\r\nHost: b\r\n\r\n");
	ask(r, "OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n");
	expect(&r->to_server, "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n");
}

static void test_fields_of_a_request(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "PUT /p?q HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	expect(&r->events, "q begin\nq head kind 0 flags 10 len 3 status 0 end 0\n"
			   "  [PUT] [] [h:1] [/p?q] [] []\n"
			   "  [Host] [h:1]\n  [Content-Length] [3]\n  [Expect] [100-continue]\n");
}

static void test_expectation_without_a_body(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
	assert_non_null(memmem(rig_text(&r->events).p, r->events.len, "flags 0", 7));
	reply(r, RIG_ANSWER);
	expect(&r->to_client, RIG_ANSWER);
}

/* ---- bodies ---- */

static void test_body_of_known_length(void **state)
{
	struct rig *r = *state;
	const char *q = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

	ask(r, q);
	expect(&r->to_server, q);
}

static void test_chunked_request(void **state)
{
	struct rig *r = *state;

	ask(r, "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a\r\n\r\n"
	       "5;x=\"a;\\\"b\";y\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n");
	expect(&r->to_server, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n");
	expect(&r->to_client, RIG_ANSWER);
}

static void test_chunked_body_without_trailers(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
	expect(&r->events, "q begin\nq head kind 0 flags 0 len -1 status 0 end 0\n"
			   "  [POST] [] [a] [/] [] []\n  [Host] [a]\nq data x\nq end\n");
}

static void test_trailers_both_ways(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n";
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "1\r\nx\r\n0\r\nX-T: 1\r\nX-U:\r\n\r\n");
	expect(&r->to_server, "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "1\r\nx\r\n0\r\nX-T: 1\r\nX-U: \r\n\r\n");
	expect(&r->to_client, r->answer);
	assert_true(r->down.ops->reusable(&r->down));
}

static void test_response_until_eof(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply(r, "HTTP/1.1 200 Fine\r\nX: y\r\n\r\nabc");
	reply(r, "def");
	assert_int_equal(r->up.ops->eof(&r->up), 0);
	rig_send(r);
	expect(&r->to_client, "HTTP/1.1 200 Fine\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
	assert_true(r->down.ops->reusable(&r->down));
	assert_false(r->up.ops->reusable(&r->up));
	assert_int_equal(r->up.ops->room(&r->up), 0);
}

static void test_eof_inside_a_body_ends_nothing(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply(r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	buf_fini(&r->events);
	assert_int_equal(r->up.ops->eof(&r->up), 0);
	assert_int_equal(r->events.len, 0);
	assert_false(r->up.ops->reusable(&r->up));
}

static void head_only(struct rig *r, const char *answer, const char *want)
{
	r->answer = NULL;
	ask(r, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply(r, answer);
	expect(&r->to_client, want);
}

static void test_bodiless_responses(void **state)
{
	struct rig *r = *state;

	head_only(r, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	head_only(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
	r->answer = "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: x\r\n\r\n";
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, r->answer);
	r->answer = "HTTP/1.1 204 No Content\r\n\r\n";
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, r->answer);
	assert_true(r->down.ops->reusable(&r->down) && r->up.ops->reusable(&r->up));
	assert_int_equal(r->ups, 1);
}

/* ---- one after the other ---- */

static void test_pipelined_requests_wait_for_their_turn(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_server, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(r->down.ops->decode(&r->down, &r->from_client), -EAGAIN);
	reply(r, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
	assert_int_equal(r->down.ops->decode(&r->down, &r->from_client), -EAGAIN);
	reply(r, "k");
	ask(r, "");
	expect(&r->to_server, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void test_answer_before_the_body(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET /");
	reply(r, RIG_ANSWER);
	expect(&r->to_client, RIG_ANSWER);
	assert_false(r->down.ops->reusable(&r->down) || r->up.ops->reusable(&r->up));
	ask(r, " HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(r->to_client.len, 0);
	assert_true(r->down.ops->reusable(&r->down) && r->up.ops->reusable(&r->up));
}

static void test_connection_close_and_http_10(void **state)
{
	static const struct {
		const char *ask, *answer;
		bool again;
	} t[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false },
		{ "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", true },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rig r;

		rig_init(&r);
		ask(&r, t[i].ask);
		expect(&r.to_client, t[i].answer);
		assert_int_equal(r.down.ops->reusable(&r.down), t[i].again);
		assert_true(r.up.ops->reusable(&r.up));
		/* What comes behind a last request is dropped. */
		ask(&r, "GET /2 HTTP/1.0\r\n\r\n");
		assert_int_equal(r.to_client.len > 0, t[i].again);
		assert_int_equal(r.from_client.len, 0);
		rig_fini(&r);
	}
	(void)state;
}

static void test_http_10_client_gets_no_chunks(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
	ask(r, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: \r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok");
	assert_false(r->down.ops->reusable(&r->down));
	assert_true(r->up.ops->reusable(&r->up));
}

static void test_server_that_closes(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, RIG_ANSWER);
	assert_int_equal(r->ups, 2);
	assert_non_null(memmem(rig_text(&r->events).p, r->events.len, "goaway", 6));
	r->answer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, RIG_ANSWER);
	assert_int_equal(r->ups, 3);
	r->answer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok";
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(r->ups, 3);
}

static void test_goaway_says_close_with_the_next_answer(void **state)
{
	struct rig *r = *state;

	assert_int_equal(r->down.ops->put_goaway(&r->down, false, PROTO_DRAINING), 0);
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
	assert_false(r->down.ops->reusable(&r->down));
}

static void test_bytes_behind_an_answer(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply(r, RIG_ANSWER "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(r->up_err, -EPROTO);
	assert_string_equal(r->up.detail, "bytes that answer no request");
	assert_false(r->up.ops->reusable(&r->up));
	expect(&r->to_client, RIG_ANSWER);
}

/* A first line without a word of HTTP is another protocol's: it is not answered in this one. */
static void test_another_protocol_gets_no_answer(void **state)
{
	struct rig *r = *state;

	ask(r, "INVALID CONNECTION PREFACE\r\n\r\n");
	assert_int_equal(r->down_err, -EPROTO);
	assert_int_equal(r->down.why, PROTO_MALFORMED);
	assert_int_equal(r->to_client.len, 0);
	teardown(state);
	setup(state);
	r = *state;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\nBREW\r\n\r\n");
	assert_int_equal(r->down_err, -EPROTO);
	assert_true(r->to_client.len > sizeof(RIG_ANSWER));
}

/* CONNECT offers no upgrade that a 101 could take. */
static void test_a_101_is_no_answer_to_connect(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
	reply(r, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	assert_int_equal(r->up_err, -EPROTO);
	assert_string_equal(r->up.detail, "101 to what nobody asked for");
}

static void test_room_and_reset(void **state)
{
	struct rig *r = *state;
	struct msg m = { .method = S("GET"), .path = S("/"), .authority = S("a") };
	uint64_t id = 0, other = 0;

	assert_int_equal(r->up.ops->room(&r->up), 1);
	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, true), 0);
	assert_int_not_equal(id, 0);
	rig_send(r);
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(r->up.ops->room(&r->up), 0);
	assert_int_equal(r->up.ops->put_head(&r->up, &other, &m, true), -EAGAIN);
	assert_int_equal(r->up.ops->put_reset(&r->up, id + 1, PROTO_CANCELLED), 0);
	assert_int_equal(r->up.ops->put_reset(&r->up, id, PROTO_CANCELLED), -EPIPE);
	assert_int_equal(r->up.ops->put_head(&r->up, &other, &m, true), -ESHUTDOWN);
	/* A late answer is nobody's. */
	reply(r, RIG_ANSWER);
	assert_int_equal(r->up_err, 0);
	assert_int_equal(r->from_server.len, 0);
}

/* ---- 1xx ---- */

static void test_continue_is_passed_on(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	reply(r, "HTTP/1.1 100 Continue\r\n\r\n");
	reply(r, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	ask(r, "hi");
	reply(r, RIG_ANSWER);
	expect(&r->to_client, RIG_ANSWER);
	assert_true(r->down.ops->reusable(&r->down));
}

static void test_refused_expectation_ends_the_connection(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	reply(r, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_false(r->down.ops->reusable(&r->down));
	assert_false(r->up.ops->reusable(&r->up));
}

static void test_http_10_client_gets_no_1xx(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 103 Early Hints\r\n\r\n" RIG_ANSWER;
	ask(r, "GET / HTTP/1.0\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

static void test_flood_of_1xx(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 16; i++)
		reply(r, "HTTP/1.1 103 Early Hints\r\n\r\n");
	assert_int_equal(r->up_err, 0);
	reply(r, "HTTP/1.1 103 Early Hints\r\n\r\n");
	assert_int_equal(r->up_err, -EPROTO);
	assert_int_equal(r->up.why, PROTO_ABUSE);
	assert_string_equal(r->up.detail, "too many informational responses");
}

/* ---- what becomes of the connection ---- */

#define WS "GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void test_websocket_granted(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, WS "early");
	expect(&r->to_server, WS);
	assert_int_equal(r->from_client.len, 5);
	reply(r, SWITCHING "frame");
	expect(&r->to_client, SWITCHING "frame");
	ask(r, "+late");
	expect(&r->to_server, "early+late");
	reply(r, "more");
	expect(&r->to_client, "more");
	assert_false(r->down.ops->reusable(&r->down) || r->up.ops->reusable(&r->up));
	assert_int_equal(r->opaques, 2);
	/* FIN of one side ends its direction alone. */
	buf_fini(&r->events);
	r->last = 0;
	assert_int_equal(r->down.ops->eof(&r->down), 0);
	expect(&r->events, "q end\n");
	reply(r, "still");
	expect(&r->to_client, "still");
}

static void test_websocket_refused(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, WS);
	reply(r, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
	expect(&r->to_client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
	assert_true(r->down.ops->reusable(&r->down) && r->up.ops->reusable(&r->up));
	/* Frames that came before the answer are no requests. */
	ask(r, WS "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
	buf_fini(&r->to_server);
	reply(r, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
	expect(&r->to_client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
	ask(r, "");
	assert_int_equal(r->to_server.len, 0);
}

static void test_connect(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\nhello");
	expect(&r->to_server, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
	reply(r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\nbytes");
	assert_int_equal(r->up_err, -EPROTO);
}

static void test_connect_granted_and_refused(void **state)
{
	struct rig *r = *state;

	r->answer = NULL;
	ask(r, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nhello");
	reply(r, "HTTP/1.1 200 Connection established\r\nContent-Length: 9\r\nX: y\r\n\r\nbytes");
	expect(&r->to_client, "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nbytes");
	ask(r, "!");
	expect(&r->to_server, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nhello!");

	rig_fini(r);
	rig_init(r);
	r->answer = NULL;
	ask(r, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
	reply(r, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_false(r->down.ops->reusable(&r->down));
	assert_true(r->up.ops->reusable(&r->up));
}

/* ---- bounds ---- */

static void refused(struct rig *r, const char *status, enum proto_why why, const char *detail)
{
	assert_int_equal(r->down_err, -EPROTO);
	assert_int_equal(r->down.why, why);
	assert_string_equal(r->down.detail, detail);
	assert_memory_equal(rig_text(&r->to_client).p, status, strlen(status));
	assert_non_null(memmem(rig_text(&r->to_client).p, r->to_client.len, "Connection: close\r\n", 19));
	assert_false(r->down.ops->reusable(&r->down));
	rig_fini(r);
	rig_init(r);
}

static void test_bounds_of_a_head(void **state)
{
	struct rig *r = *state;

	r->limits = (struct proto_limits){ .head_bytes = 64, .headers = 3, .target_bytes = 10 };
	ask(r, "GET /123456789 HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 1\r\n\r\n");
	assert_int_equal(r->down_err, 0);
	buf_fini(&r->to_client);
	ask(r, "GET /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n");
	refused(r, "HTTP/1.1 414 ", PROTO_HEAD_TOO_LARGE, "request target over its size limit");
	r->limits = (struct proto_limits){ .headers = 3 };
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 1\r\nConnection: d\r\n\r\n");
	refused(r, "HTTP/1.1 431 ", PROTO_HEAD_TOO_LARGE, "more headers than the limit");
	r->limits = (struct proto_limits){ .head_bytes = 40 };
	ask(r, "GET / HTTP/1.1\r\nHost: abcdefghijklmn\r\n\r\n");
	assert_int_equal(r->down_err, 0);
	buf_fini(&r->to_client);
	ask(r, "GET / HTTP/1.1\r\nHost: abcdefghijklmno\r\n\r\n");
	refused(r, "HTTP/1.1 431 ", PROTO_HEAD_TOO_LARGE, "head over its size limit");
	r->limits = (struct proto_limits){ .head_bytes = 30 };
	ask(r, "GET /123456789012345678901234567890");
	refused(r, "HTTP/1.1 414 ", PROTO_HEAD_TOO_LARGE, "request target over its size limit");
}

static void test_default_bounds(void **state)
{
	struct rig *r = *state;
	char *q = calloc(1, 80000);
	size_t n;

	n = sprintf(q, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	memset(q + n, 'x', 60000);
	strcpy(q + n + 60000, "\r\n\r\n");
	ask(r, q);
	expect(&r->to_server, q);
	expect(&r->to_client, RIG_ANSWER);
	memset(q + n, 'x', 66000);
	ask(r, q);
	refused(r, "HTTP/1.1 431 ", PROTO_HEAD_TOO_LARGE, "head over its size limit");
	n = sprintf(q, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 100; i++)
		n += sprintf(q + n, "A%d: b\r\n", i);
	strcpy(q + n, "\r\n");
	ask(r, q);
	refused(r, "HTTP/1.1 431 ", PROTO_HEAD_TOO_LARGE, "more headers than the limit");
	free(q);
}

static void test_bounds_of_chunk_extensions(void **state)
{
	struct rig *r = *state;
	char line[1100];

	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	memset(line, 'x', sizeof(line));
	memcpy(line, "1;", 2);
	memcpy(line + 800, "\r\na\r\n", 6);
	for (int i = 0; i < 20; i++)
		ask(r, line);
	assert_int_equal(r->down_err, 0);
	ask(r, line);
	refused(r, "HTTP/1.1 413 ", PROTO_TOO_LARGE, "chunk extensions over their size limit");
	ask(r, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	memset(line, 'x', sizeof(line));
	memcpy(line, "1;", 2);
	line[1099] = '\0';
	ask(r, line);
	refused(r, "HTTP/1.1 413 ", PROTO_TOO_LARGE, "chunk extensions over their size limit");
}

static struct msg *begin_nobody(void *arg, uint64_t id, enum msg_kind kind)
{
	(void)arg;
	(void)id;
	(void)kind;
	return NULL;
}

static void test_begin_that_takes_nothing(void **state)
{
	struct rig *r = *state;
	struct proto_sink sink = rig_down_sink;

	sink.begin = begin_nobody;
	r->down.sink = &sink;
	ask(r, "G");
	refused(r, "HTTP/1.1 503 ", PROTO_REFUSED, "nobody takes this message");
}

static int head_again(void *arg, uint64_t id, struct msg *m, bool end)
{
	rig_down_head(arg, id, m, end);
	return -EAGAIN;
}

static void test_head_may_stop_decoding(void **state)
{
	struct rig *r = *state;
	struct proto_sink sink = rig_down_sink;

	sink.head = head_again;
	r->down.sink = &sink;
	r->answer = NULL;
	buf_add(&r->from_client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 49);
	assert_int_equal(r->down.ops->decode(&r->down, &r->from_client), -EAGAIN);
	assert_int_equal(r->from_client.len, 2);
	assert_int_equal(r->down.ops->decode(&r->down, &r->from_client), 0);
	rig_send(r);
	expect(&r->to_server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
}

static void test_sniff(void **state)
{
	size_t need = 0;

	(void)state;
	assert_int_equal(proto_http1.sniff(S("GET / HTTP/1.1\r\n"), &need), PROTO_YES);
	assert_int_equal(proto_http1.sniff(S("M-SEARCH *"), &need), PROTO_YES);
	assert_int_equal(proto_http1.sniff(S("PRI * HTTP/2.0\r\n"), &need), PROTO_NO);
	assert_int_equal(proto_http1.sniff(S("\x16\x03\x01"), &need), PROTO_NO);
	assert_int_equal(proto_http1.sniff(S("get / "), &need), PROTO_NO);
	assert_int_equal(proto_http1.sniff(S("GETX"), &need), PROTO_NO);
	assert_int_equal(proto_http1.sniff(S("OPT"), &need), PROTO_MORE);
	assert_int_equal(need, 8);
	assert_int_equal(proto_http1.sniff(S(""), &need), PROTO_MORE);
	assert_true(need > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_unchanged_head_is_the_same_bytes), T(test_time_of_an_idle_host), T(test_hop_by_hop_headers_stay_here),
		T(test_answer_before_the_body), T(test_absolute_form), T(test_fields_of_a_request),
		T(test_expectation_without_a_body), T(test_chunked_body_without_trailers),
		T(test_body_of_known_length), T(test_chunked_request), T(test_trailers_both_ways),
		T(test_response_until_eof), T(test_eof_inside_a_body_ends_nothing), T(test_bodiless_responses),
		T(test_pipelined_requests_wait_for_their_turn), T(test_connection_close_and_http_10),
		T(test_http_10_client_gets_no_chunks), T(test_server_that_closes),
		T(test_goaway_says_close_with_the_next_answer), T(test_bytes_behind_an_answer),
		T(test_another_protocol_gets_no_answer),
		T(test_a_101_is_no_answer_to_connect),
		T(test_room_and_reset), T(test_continue_is_passed_on),
		T(test_refused_expectation_ends_the_connection), T(test_http_10_client_gets_no_1xx),
		T(test_flood_of_1xx), T(test_websocket_granted), T(test_websocket_refused), T(test_connect),
		T(test_connect_granted_and_refused), T(test_bounds_of_a_head), T(test_default_bounds),
		T(test_bounds_of_chunk_extensions), T(test_begin_that_takes_nothing), T(test_head_may_stop_decoding),
		T(test_sniff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
