// SPDX-License-Identifier: Apache-2.0
/* Messages through the codec: heads, bodies, trailers, 1xx, upgrades, however the bytes are cut. */
#include "http2_kit.h"

#include "base/rand.h"

/* ---- the same whatever the cut ---- */

static void echo(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_INFO), *t = end_msg(e, MSG_TRAILERS);

	m->status = 103;
	msg_add(m, S("Link"), S("</a>"));
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
	m = end_msg(e, MSG_RESPONSE);
	m->status = 200;
	msg_add(m, S("X-One"), S("1"));
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
	assert_int_equal(end_put(e, s->id, "pong", false), 4);
	msg_add(t, S("grpc-status"), S("7"));
	assert_int_equal(e->c.ops->put_trailers(&e->c, s->id, t), 0);
}

static void run(struct pair *p, size_t step)
{
	struct msg *m = end_request(&p->client, "POST", "/x?y"), *t = end_msg(&p->client, MSG_TRAILERS);
	struct end_stream *s, *other;

	p->server.answer = echo;
	msg_add(m, S("X-Two"), S("2"));
	m->body_len = 4;
	s = end_ask(&p->client, m, false);
	other = end_ask(&p->client, end_request(&p->client, "GET", "/"), true);
	assert_int_equal(end_put(&p->client, s->id, "ping", false), 4);
	msg_add(t, S("X-Sum"), S("3"));
	assert_int_equal(p->client.c.ops->put_trailers(&p->client.c, s->id, t), 0);
	ends_talk(&p->client, &p->server, step);
	assert_true(s->id != other->id && !p->client.err && !p->server.err);
}

static void check(struct pair *p)
{
	static const char answer[] = "info 103 flags 20\n link: </a>\nresponse 200 len -1\n x-one: 1\ndata pong\n"
				     "trailers wire 7\n grpc-status: 7\nend\n";

	expect_log(&p->server, 0, "request POST http://shop /x?y len 4\n x-two: 2\n content-length: 4\ndata ping\n"
				  "trailers\n x-sum: 3\nend\n");
	expect_log(&p->server, 1, "request GET http://shop / len 0\nend\n");
	expect_log(&p->client, 0, answer);
	expect_log(&p->client, 1, answer);
	assert_int_equal(p->server.glitches + p->client.glitches, 0);
	assert_true(p->client.c.ops->reusable(&p->client.c) && p->server.c.ops->reusable(&p->server.c));
}

static void test_every_cut_says_the_same(void **state)
{
	static const size_t steps[] = { 0, 1, 2, 3, 5, 8, 9, 10, 17, 24, 33, 64, 100 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run(*state, steps[i]);
		check(*state);
		teardown(state);
		setup(state);
	}
}

/* ---- heads ---- */

static void test_names_are_lower_and_hop_by_hop_stays_here(void **state)
{
	struct pair *p = *state;
	struct msg *m = end_request(&p->client, "GET", "/");

	msg_add(m, S("X-Mixed-Case"), S("Value"));
	msg_add(m, S("Connection"), S("x"));
	msg_add(m, S("Keep-Alive"), S("5"));
	msg_add(m, S("Transfer-Encoding"), S("chunked"));
	msg_add(m, S("Upgrade"), S("h2c"));
	msg_add(m, S("Proxy-Connection"), S("x"));
	msg_add(m, S("HTTP2-Settings"), S("x"));
	msg_add(m, S("Host"), S("other"));
	msg_add(m, S("TE"), S("gzip"));
	msg_add(m, S("te"), S("trailers"));
	end_ask(&p->client, m, true);
	talk(p);
	expect_log(&p->server, 0, "request GET http://shop / len 0\n x-mixed-case: Value\n te: trailers\nend\n");
}

static void test_what_cannot_be_said_is_not(void **state)
{
	static const struct {
		struct slice name, value;
	} bad[] = { { SLICE_LIT("a b"), SLICE_LIT("x") }, { SLICE_LIT("a"), SLICE_LIT("x\x01") }, { SLICE_LIT("a"), SLICE_LIT(" x") },
		    { SLICE_LIT("a"), SLICE_LIT("x\t") }, { SLICE_LIT("a:"), SLICE_LIT("x") }, { SLICE_LIT("a"), SLICE_LIT("\x7f") } };
	struct pair *p = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct msg *m = end_request(&p->client, "GET", "/");
		uint64_t id = 0;

		msg_push(m, bad[i].name, bad[i].value);
		assert_int_equal(p->client.c.ops->put_head(&p->client.c, &id, m, true), -ENOTSUP);
	}
	end_ask(&p->client, end_request(&p->client, "GET", "/fine"), true);
	talk(p);
	expect_log(&p->client, 0, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
}

static void test_more_headers_than_the_stack_has_room_for(void **state)
{
	struct pair *p = *state;
	struct msg *m = end_request(&p->client, "GET", "/");

	for (int i = 0; i < 96; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x-%d", i);
		msg_add(m, slice_str(name), S("v"));
	}
	end_ask(&p->client, m, true);
	talk(p);
	assert_int_equal(end_at(&p->server, 0)->m->nheaders, 96);
	assert_true(slice_eq_str(end_at(&p->server, 0)->m->headers[95].name, "x-95"));
}

static void test_crumbs_of_a_cookie_are_one_header(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, RAW_END, ASK "|a=1|cookie=x=1|b=2|cookie=y=2; z=3|cookie=w=4|c=3");
	send_raw(p);
	expect_log(&p->server, 0, "request GET http://a / len 0\n a: 1\n cookie: x=1; y=2; z=3; w=4\n b: 2\n c: 3\nend\n");
}

static void test_an_expectation_without_a_body(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, RAW_END, ASK "|expect=100-continue|a=1|expect=100-continue");
	raw_headers(&p->raw, 3, 0, POST "|expect=100-continue");
	send_raw(p);
	expect_log(&p->server, 0, "request GET http://a / len 0\n a: 1\nend\n");
	assert_true(end_at(&p->server, 1)->m->flags & MSG_EXPECT_CONTINUE);
}

/* An extended CONNECT has none of its own (RFC 8441 5); what a client says there is not a second one. */
static void test_keys_of_a_websocket_that_came(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, 0, ":method=CONNECT|:protocol=websocket|:scheme=http|:path=/|:authority=a|sec-websocket-key=1|"
				   "sec-websocket-key=2");
	send_raw(p);
	expect_log(&p->server, 0, "request GET http://a / up websocket len -1\n sec-websocket-key: *\n");
}

static void test_host_and_authority_are_one(void **state)
{
	struct pair *p = *state;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, RAW_END, ":method=GET|:scheme=http|:path=/|host=a:1");
	raw_headers(&p->raw, 3, RAW_END, ASK "|host=A");
	raw_headers(&p->raw, 5, RAW_END, ASK "|host=b");
	send_raw(p);
	expect_log(&p->server, 0, "request GET http://a:1 / len 0\nend\n");
	expect_log(&p->server, 1, "request GET http://a / len 0\nend\n");
	expect_log(&p->server, 2, "reset MALFORMED\n");
}

static void test_grpc_is_recognised(void **state)
{
	struct pair *p = *state;
	struct msg *m;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, 0, ":method=POST|:scheme=http|:path=/pkg.Svc/Do|:authority=a|te=trailers|content-type=application/grpc+proto");
	raw_headers(&p->raw, 3, 0, ":method=POST|:scheme=http|:path=/pkg.Svc/Do|:authority=a|content-type=application/grpc-web");
	send_raw(p);
	m = end_at(&p->server, 0)->m;
	assert_true(m->flags & MSG_GRPC && slice_eq_str(m->service, "pkg.Svc") && slice_eq_str(m->rpc_method, "Do"));
	m = end_at(&p->server, 1)->m;
	assert_true(!(m->flags & MSG_GRPC) && !m->service.n);
}

static void trailers_only(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = 200;
	msg_add(m, S("content-type"), S("application/grpc"));
	msg_add(m, S("grpc-status"), S("14"));
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, true), 0);
}

static void test_grpc_trailers_only(void **state)
{
	struct pair *p = *state;

	p->server.answer = trailers_only;
	end_ask(&p->client, end_request(&p->client, "POST", "/s/m"), true);
	talk(p);
	expect_log(&p->client, 0, "response 200 len 0 wire 14 flags c\n content-type: application/grpc\n grpc-status: 14\nend\n");
}

/* ---- answers without a body ---- */

static int status;

static void answer_with_status(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = status;
	m->body_len = 5;
	msg_add(m, S("Content-Length"), S("5"));
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
	assert_int_equal(end_put(e, s->id, "hello", true), 5);
}

static void test_answers_without_a_body(void **state)
{
	struct pair *p = *state;

	p->server.answer = answer_with_status;
	status = 200;
	end_ask(&p->client, end_request(&p->client, "HEAD", "/"), true);
	talk(p);
	status = 304;
	end_ask(&p->client, end_request(&p->client, "GET", "/"), true);
	talk(p);
	status = 204;
	end_ask(&p->client, end_request(&p->client, "GET", "/"), true);
	talk(p);
	expect_log(&p->client, 0, "response 200 len 0 flags 20\n content-length: 5\nend\n");
	expect_log(&p->client, 1, "response 304 len 0 flags 20\n content-length: 5\nend\n");
	expect_log(&p->client, 2, "response 204 len 0 flags 20\nend\n");
	assert_true(!p->client.err && p->client.c.ops->reusable(&p->client.c));
}

static void test_a_body_is_as_long_as_it_says(void **state)
{
	struct pair *p = *state;
	struct msg *m = end_request(&p->client, "POST", "/");
	struct end_stream *s;

	m->body_len = 3;
	s = end_ask(&p->client, m, false);
	assert_int_equal(end_put(&p->client, s->id, "four", true), -ENOENT);
	s = end_ask(&p->client, m, false);
	assert_int_equal(end_put(&p->client, s->id, "ab", true), -ENOENT);
	s = end_ask(&p->client, m, false);
	assert_int_equal(end_put(&p->client, s->id, "abc", true), 3);
	talk(p);
	expect_log(&p->client, 0, "reset INTERNAL\n");
	expect_log(&p->client, 1, "reset INTERNAL\n");
	expect_log(&p->client, 2, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
	assert_int_equal(p->server.nstreams, 1);
}

/* ---- upgrades ---- */

static void grant(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = slice_eq_str(s->m->upgrade, "websocket") ? 101 : 200;
	m->upgrade = s->m->upgrade;
	msg_add(m, S("Sec-WebSocket-Accept"), S("whatever the host said"));
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
}

static struct msg *websocket(struct end *e)
{
	struct msg *m = end_request(e, "GET", "/chat");

	m->upgrade = SLICE_LIT("websocket");
	msg_add(m, S("Sec-WebSocket-Key"), S("dGhlIHNhbXBsZSBub25jZQ=="));
	msg_add(m, S("Sec-WebSocket-Version"), S("13"));
	return m;
}

/* The key and its answer are RFC 6455's own. */
static void test_a_websocket_is_an_extended_connect(void **state)
{
	struct pair *p = *state;
	struct end_stream *c, *s;

	talk(p);
	p->server.answer = grant;
	c = end_ask(&p->client, websocket(&p->client), false);
	talk(p);
	expect_log(&p->server, 0, "request GET http://shop /chat up websocket len -1\n sec-websocket-version: 13\n"
				  " sec-websocket-key: *\n");
	expect(&c->log, "response 101 up websocket len -1\n sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n");
	s = end_at(&p->server, 0);
	assert_int_equal(end_put(&p->client, c->id, "to", false), 2);
	assert_int_equal(end_put(&p->server, s->id, "fro", false), 3);
	talk(p);
	assert_int_equal(end_put(&p->client, c->id, "", true), 0);
	talk(p);
	assert_int_equal(end_put(&p->server, s->id, "!", true), 1);
	talk(p);
	expect(&s->log, "data to\nend\n");
	expect(&c->log, "data fro!\nend\n");
	assert_true(p->client.c.ops->reusable(&p->client.c) && !p->client.err && !p->server.err);
}

static void test_a_peer_without_extended_connect(void **state)
{
	struct pair *p = *state;
	uint64_t id = 0;

	/* Its settings did not come yet. */
	assert_int_equal(p->client.c.ops->put_head(&p->client.c, &id, websocket(&p->client), false), -ENOTSUP);
}

static void test_connect(void **state)
{
	struct pair *p = *state;
	struct msg *m = end_msg(&p->client, MSG_REQUEST);
	struct end_stream *c;

	p->server.answer = grant;
	m->method = S("CONNECT");
	m->authority = S("db:5432");
	m->upgrade = S("connect");
	c = end_ask(&p->client, m, false);
	talk(p);
	expect_log(&p->server, 0, "request CONNECT ://db:5432 up connect len -1\n");
	expect(&c->log, "response 200 up connect len -1\n");
	assert_int_equal(end_put(&p->server, end_at(&p->server, 0)->id, "hi", true), 2);
	talk(p);
	expect(&c->log, "data hi\nend\n");
}

static void forbid(struct end *e, struct end_stream *s)
{
	struct msg *m = end_msg(e, MSG_RESPONSE);

	m->status = 200;
	m->body_len = 2;
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), -ENOTSUP);
	m->status = 403;
	assert_int_equal(e->c.ops->put_head(&e->c, &s->id, m, false), 0);
	assert_int_equal(end_put(e, s->id, "no", true), 2);
}

/* The request has ended with its head: what still comes is dropped, and the stream ends with the answer. */
static void test_an_upgrade_that_is_refused(void **state)
{
	struct pair *p = *state;
	struct end_stream *c;

	talk(p);
	p->server.answer = forbid;
	c = end_ask(&p->client, websocket(&p->client), false);
	assert_int_equal(end_put(&p->client, c->id, "early", false), 5);
	talk(p);
	expect(&c->log, "response 403 len 2\n content-length: 2\ndata no\nend\nreset NONE\n");
	assert_int_equal(end_at(&p->server, 0)->body, 0);
	assert_int_equal(p->client.c.ops->room(&p->client.c), 100);
	assert_true(p->server.c.ops->reusable(&p->server.c) && !p->server.glitches);
}

static void test_upgrades_of_other_kinds(void **state)
{
	struct pair *p = *state;
	uint32_t code = 0;

	raw_open(&p->raw);
	raw_headers(&p->raw, 1, 0, ":method=CONNECT|:protocol=quic|:scheme=http|:path=/|:authority=a");
	raw_headers(&p->raw, 3, 0, ":method=CONNECT|:authority=a");
	send_raw(p);
	expect_log(&p->server, 0, "reset UNSUPPORTED\n");
	expect_log(&p->server, 1, "reset MALFORMED\n");
	assert_int_equal(raw_count(&p->server.c.out, RAW_HEADERS, NULL), 1);
	assert_int_equal(raw_count(&p->server.c.out, RAW_RST, &code), 2);
}

/* ---- life ---- */

static void test_sniff(void **state)
{
	struct slice s = S(RAW_PREFACE);
	size_t need = 0;

	(void)state;
	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(proto_http2.sniff((struct slice){ s.p, i }, &need), PROTO_MORE);
	assert_int_equal(need, s.n);
	assert_int_equal(proto_http2.sniff(s, &need), PROTO_YES);
	assert_int_equal(proto_http2.sniff(S("PRI * HTTP/1.1"), &need), PROTO_NO);
	assert_int_equal(proto_http2.sniff(S("POST / HTTP/1.1"), &need), PROTO_NO);
}

static void test_pings(void **state)
{
	struct pair *p = *state;

	assert_int_equal(p->client.c.ops->put_ping(&p->client.c, 0x1234), 0);
	talk(p);
	expect(&p->server.news, "ping 1234\n");
	expect(&p->client.news, "ping 1234 ack\n");
	assert_int_equal(p->server.glitches, 0);
}

static void test_many_streams_on_one_connection(void **state)
{
	struct pair *p = *state;

	talk(p);
	for (int round = 0; round < 60; round++) {
		assert_int_equal(p->client.c.ops->room(&p->client.c), 100);
		p->client.nstreams = p->server.nstreams = 0;
		for (int i = 0; i < 100; i++)
			end_ask(&p->client, end_request(&p->client, "GET", "/"), true);
		assert_int_equal(p->client.c.ops->room(&p->client.c), 0);
		talk(p);
		for (unsigned i = 0; i < 100; i++) {
			expect_log(&p->client, i, "response 200 len 2\n content-length: 2\ndata ok\nend\n");
			buf_fini(&end_at(&p->server, i)->log);
		}
		arena_reset(&p->client.arena);
		arena_reset(&p->server.arena);
	}
	assert_int_equal(p->server.glitches + p->client.glitches, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_cut_says_the_same),
		T(test_names_are_lower_and_hop_by_hop_stays_here),
		T(test_what_cannot_be_said_is_not),
		T(test_more_headers_than_the_stack_has_room_for),
		T(test_crumbs_of_a_cookie_are_one_header),
		T(test_an_expectation_without_a_body),
		T(test_keys_of_a_websocket_that_came),
		T(test_host_and_authority_are_one),
		T(test_grpc_is_recognised),
		T(test_grpc_trailers_only),
		T(test_answers_without_a_body),
		T(test_a_body_is_as_long_as_it_says),
		T(test_a_websocket_is_an_extended_connect),
		T(test_a_peer_without_extended_connect),
		T(test_connect),
		T(test_an_upgrade_that_is_refused),
		T(test_upgrades_of_other_kinds),
		T(test_sniff),
		T(test_pings),
		T(test_many_streams_on_one_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
