// SPDX-License-Identifier: Apache-2.0
/* Heads that are not as they came: edited, of another protocol, made here; and what cannot be said. */
#include "http1_kit.h"

/* Edits as the core makes them, on the way from one codec to the other. */
static struct msg *edited;
static int edit_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rig *r = arg;

	(void)id;
	edited = m;
	assert_int_equal(msg_set(m, S("x-b"), S("new")), 0);
	assert_int_equal(msg_del(m, S("x-c")), 1);
	assert_int_equal(msg_add(m, S("x-request-id"), S("7")), 0);
	m->path = S("/rewritten");
	m->authority = S("other:81");
	msg_touch(m);
	r->up_id = 0;
	assert_int_equal(r->up.ops->put_head(&r->up, &r->up_id, m, end), 0);
	return 0;
}

static void test_edits(void **state)
{
	struct rig *r = *state;
	struct proto_sink sink = rig_down_sink;

	sink.head = edit_head;
	r->down.sink = &sink;
	ask(r, "POST /x HTTP/1.1\r\nX-A: 1\r\nHost: a\r\nX-B: 2\r\nX-C: 3\r\nContent-Length: 0\r\nX-D:  4\r\n\r\n");
	expect(&r->to_server, "POST /rewritten HTTP/1.1\r\nX-A: 1\r\nHost: other:81\r\nx-b: new\r\n"
			      "Content-Length: 0\r\nX-D:  4\r\nx-request-id: 7\r\n\r\n");
}

/* Slices of the head, put together otherwise, are not the lines that stand there. */
static int swap_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rig *r = arg;
	struct slice one = m->headers[1].value;

	(void)id;
	m->headers[1].value = m->headers[2].value;
	m->headers[2].value = one;
	m->headers[3].name.p++;
	m->headers[3].name.n--;
	msg_touch(m);
	return r->up.ops->put_head(&r->up, &r->up_id, m, end);
}

static void test_values_changed_round(void **state)
{
	struct rig *r = *state;
	struct proto_sink sink = rig_down_sink;

	sink.head = swap_head;
	r->down.sink = &sink;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nB: 2\r\nCC: 3\r\n\r\n");
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: a\r\nA: 2\r\nB: 1\r\nC: 3\r\n\r\n");
}

static int new_status;
static struct slice new_reason;
static int status_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct rig *r = arg;

	(void)id;
	if (new_status)
		m->status = new_status;
	if (new_reason.p)
		m->reason = new_reason;
	msg_touch(m);
	return r->down.ops->put_head(&r->down, &r->down_id, m, end);
}

static void test_status_is_edited(void **state)
{
	struct rig *r = *state;
	struct proto_sink sink = rig_up_sink;

	sink.head = status_head;
	r->up.sink = &sink;
	new_status = 404;
	new_reason = (struct slice){ NULL, 0 };
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 404 OK\r\nContent-Length: 2\r\n\r\nok");
	new_status = 0;
	new_reason = S("No");
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&r->to_client, "HTTP/1.1 200 No\r\nContent-Length: 2\r\n\r\nok");
}

/* ---- messages of another protocol ---- */

static void test_head_of_another_protocol(void **state)
{
	struct rig *r = *state;
	struct msg m = { .arena = &r->arena, .method = S("POST"), .path = S("/x"), .authority = S("a:1") };
	struct msg t = { .arena = &r->arena };
	struct buf b = { 0 };
	uint64_t id = 0;

	m.body_len = MSG_LENGTH_UNKNOWN;
	msg_push(&m, S("cookie"), S("a=1"));
	msg_push(&m, S("x"), S("y"));
	msg_push(&m, S("cookie"), S("b=2"));
	msg_push(&m, S("transfer-encoding"), S("gzip"));
	msg_push(&m, S("connection"), S("x"));
	msg_push(&m, S("content-length"), S("77"));
	msg_push(&m, S("host"), S("b"));
	msg_push(&m, S("te"), S("trailers"));
	msg_push(&t, S("content-length"), S("1"));
	msg_push(&t, S("x-sum"), S("2"));
	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, false), 0);
	buf_add(&b, "abc", 3);
	assert_int_equal(r->up.ops->put_data(&r->up, id, &b, false), 3);
	assert_int_equal(r->up.ops->put_trailers(&r->up, id, &t), 0);
	rig_send(r);
	expect(&r->to_server, "POST /x HTTP/1.1\r\nHost: a:1\r\ncookie: a=1; b=2\r\nx: y\r\nte: trailers\r\n"
			      "Transfer-Encoding: chunked\r\nConnection: TE\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 2\r\n\r\n");
}

static void test_raw_of_another_protocol_is_nothing(void **state)
{
	struct rig *r = *state;
	static const char raw[] = "GET / HTTP/1.1\r\ncontent-length: 1:\r\nX:  y\r\n\r\n";
	struct msg m = { .arena = &r->arena, .method = S("PUT"), .path = S("/"), .authority = S("a"), .body_len = 20 };
	uint64_t id = 0;

	m.raw = slice_str(raw);
	m.method = (struct slice){ raw, 3 };
	m.path = (struct slice){ raw + 4, 1 };
	msg_push(&m, (struct slice){ raw + 16, 14 }, (struct slice){ raw + 32, 2 });
	msg_push(&m, (struct slice){ raw + 36, 1 }, (struct slice){ raw + 40, 1 });
	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, false), 0);
	rig_send(r);
	expect(&r->to_server, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 20\r\n\r\n");
}

static void test_what_is_not_supported(void **state)
{
	struct rig *r = *state;
	struct msg m = { .method = S("GET"), .path = S("/"), .authority = S("a"), .upgrade = S("h2c") };
	struct msg a = { .kind = MSG_RESPONSE, .status = 101 };
	uint64_t id = 0;

	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, true), -ENOTSUP);
	assert_int_equal(r->up.ops->room(&r->up), 1);
	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	id = r->down_id;
	assert_int_equal(r->down.ops->put_head(&r->down, &id, &a, true), -ENOTSUP);
	reply(r, RIG_ANSWER);
	expect(&r->to_client, RIG_ANSWER);
}

static void test_empty_body_of_unknown_length(void **state)
{
	struct rig *r = *state;
	struct msg m = { .method = S("POST"), .path = S("/"), .authority = S("a"), .body_len = MSG_LENGTH_UNKNOWN };
	uint64_t id = 0;

	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, true), 0);
	rig_send(r);
	expect(&r->to_server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
}

static void test_what_http1_cannot_say(void **state)
{
	const struct msg bad[] = {
		{ .method = S("GET"), .path = S("/ HTTP/1.1\r\nX: y"), .authority = S("a") },
		{ .method = S("GET"), .path = S("/a b"), .authority = S("a") },
		{ .method = S("GET"), .path = S("x"), .authority = S("a") },
		{ .method = S("GET"), .path = S(""), .authority = S("a") },
		{ .method = S("G T"), .path = S("/"), .authority = S("a") },
		{ .method = S("GET"), .path = S("/"), .authority = S("a\r\nX: y") },
		{ .method = S("CONNECT"), .path = S("/"), .authority = S("a b") },
		{ .method = S("GET"), .path = S("/"), .authority = S("a"),
		  .headers = (struct msg_header[]){ { S("a b"), S("c") } }, .nheaders = 1 },
		{ .method = S("GET"), .path = S("/"), .authority = S("a"),
		  .headers = (struct msg_header[]){ { S("a"), S("c\r\nd: e") } }, .nheaders = 1 },
		{ .method = S("GET"), .path = S("/"), .authority = S("a"),
		  .headers = (struct msg_header[]){ { S("cookie"), S("c\n") } }, .nheaders = 1 },
		{ .method = S("GET"), .path = S("/"), .authority = S("a"),
		  .headers = (struct msg_header[]){ { S("a:"), S("c") } }, .nheaders = 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig r;
		uint64_t id = 0;

		rig_init(&r);
		assert_int_equal(r.up.ops->put_head(&r.up, &id, &bad[i], true), -EPROTO);
		assert_string_equal(r.up.detail, "header that HTTP/1 cannot carry");
		assert_int_equal(r.up.out.len, 0);
		assert_false(r.up.ops->reusable(&r.up));
		rig_fini(&r);
	}
}

static void test_body_that_lies_about_its_length(void **state)
{
	struct rig *r = *state;
	struct msg m = { .method = S("POST"), .path = S("/"), .authority = S("a"), .body_len = 3 };
	struct buf b = { 0 };
	uint64_t id = 0;

	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, false), 0);
	buf_add(&b, "abcd", 4);
	assert_int_equal(r->up.ops->put_data(&r->up, id, &b, true), -EPROTO);
	assert_string_equal(r->up.detail, "body longer than its Content-Length");
	buf_fini(&b);
	rig_fini(r);
	rig_init(r);
	id = 0;
	assert_int_equal(r->up.ops->put_head(&r->up, &id, &m, false), 0);
	buf_add(&b, "ab", 2);
	assert_int_equal(r->up.ops->put_data(&r->up, id, &b, true), -EPROTO);
	assert_string_equal(r->up.detail, "body shorter than its Content-Length");
	assert_int_equal(r->up.ops->put_data(&r->up, id, &b, true), -ENOENT);
}

static void test_local_answer(void **state)
{
	struct rig *r = *state;
	struct msg m = { .kind = MSG_RESPONSE, .status = 404, .body_len = 3 };
	struct buf b = { 0 };
	uint64_t id;

	r->answer = NULL;
	ask(r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	id = r->down_id;
	assert_int_equal(r->down.ops->put_head(&r->down, &id, &m, false), 0);
	buf_add(&b, "no\n", 3);
	assert_int_equal(r->down.ops->put_data(&r->down, id, &b, true), 3);
	rig_send(r);
	expect(&r->to_client, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
	assert_true(r->down.ops->reusable(&r->down));
	assert_int_equal(r->down.ops->put_head(&r->down, &id, &m, true), -ENOENT);
	/* To HEAD the same answer has no body. */
	ask(r, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	id = r->down_id;
	assert_int_equal(r->down.ops->put_head(&r->down, &id, &m, false), 0);
	buf_add(&b, "no\n", 3);
	assert_int_equal(r->down.ops->put_data(&r->down, id, &b, true), 3);
	rig_send(r);
	expect(&r->to_client, "HTTP/1.1 404 Not Found\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_edits), T(test_values_changed_round), T(test_status_is_edited),
		T(test_head_of_another_protocol), T(test_raw_of_another_protocol_is_nothing),
		T(test_what_is_not_supported), T(test_empty_body_of_unknown_length), T(test_what_http1_cannot_say),
		T(test_body_that_lies_about_its_length), T(test_local_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
