// SPDX-License-Identifier: Apache-2.0
/*
 * Heads from HTTP/1 to HTTP/2 and back, and from HTTP/2 to HTTP/1 and back: what was taken can be said in the other
 * protocol and is read there without an error as the same request, or is refused by the first writer.
 * The first byte says in which protocol the rest is: '1' HTTP/1 text, '2' "name=value|name=value" for an HTTP/2 head.
 */
#include "lib/http2_rig.h"
#include "base/sink.h"
#include "proto/http1.h"

struct reader {                                 /* the end of a connection that takes one head */
	struct codec c;
	struct proto_limits limits;
	struct arena arena;
	struct buf in;
	struct msg *m;
	bool whole, reset;
	int err;
};

static struct msg *on_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct reader *r = arg;

	(void)id;
	if (kind != MSG_REQUEST || r->m)
		return NULL;
	r->m = arena_alloc(&r->arena, sizeof(*r->m));
	r->m->arena = &r->arena;
	return r->m;
}

static int on_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct reader *r = arg;

	(void)id;
	(void)end;
	r->whole = m == r->m;
	return 0;
}

static void on_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	(void)arg;
	(void)id;
	(void)in;
	(void)d;
	(void)end;
}

static void on_reset(void *arg, uint64_t id, enum proto_why why)
{
	(void)id;
	(void)why;
	((struct reader *)arg)->reset = true;
}

static const struct proto_sink sink = { on_begin, on_head, on_data, sink_no_trailers, on_reset, sink_no_stream, sink_no_room,
					sink_no_goaway, sink_no_ping, sink_no_glitch, sink_no_stream };

#define LINES 200u

static void reader_open(struct reader *r, const struct proto_ops *ops, bool server)
{
	*r = (struct reader){ .limits = { .headers = LINES, .head_bytes = 100000, .target_bytes = 50000,
						 .upgrades = true } };
	arena_init(&r->arena);
	r->c = (struct codec){ .ops = ops, .limits = &r->limits, .sink = &sink, .sink_arg = r, .server = server };
	r->c.state = calloc(1, ops->state_size);
	assert_always(r->c.state && !ops->init(&r->c));
}

static void reader_close(struct reader *r)
{
	if (r->c.ops->fini)
		r->c.ops->fini(&r->c);
	free(r->c.state);
	buf_fini(&r->c.out);
	buf_fini(&r->in);
	arena_fini(&r->arena);
}

static void reader_take(struct reader *r, struct buf *bytes)
{
	int err;

	buf_move(&r->in, bytes);
	err = r->c.ops->decode(&r->c, &r->in);
	if (err && err != -EAGAIN)
		r->err = err;
}

/* Of a form that both protocols have. */
static bool same_head(const struct msg *a, const struct msg *b)
{
	return slice_eq(a->method, b->method) && slice_eq_nocase(a->authority, b->authority) && slice_eq(a->path, b->path) &&
	       slice_eq(a->upgrade, b->upgrade) && (a->body_len == b->body_len || a->upgrade.n);
}

/* HTTP/1's reader does not know every method. */
static bool is_known(struct slice method)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq_str(method, known[i]))
			return true;
	return false;
}

/* The head that `from` read goes through a connection of protocol ops. NULL: it cannot be said, and nothing was. */
static bool pass(const struct msg *m, struct reader *to, const struct proto_ops *ops)
{
	struct reader client;
	uint64_t id = 0;
	int err;

	reader_open(to, ops, true);
	/* Other servers may take what names no host; this one does not. */
	if (!m->authority.n && ops == &proto_http2)
		return false;
	reader_open(&client, ops, false);
	/* HTTP/1 has lines that HTTP/2 says otherwise: the host, the length. */
	to->limits.headers = LINES + 10;
	/* The server's settings allow a WebSocket. */
	if (ops->flush)
		ops->flush(&to->c);
	reader_take(&client, &to->c.out);
	err = ops->put_head(&client.c, &id, m, !m->body_len && !m->upgrade.n);
	if (!err) {
		if (ops->flush)
			assert_always(!ops->flush(&client.c));
		reader_take(to, &client.c.out);
	}
	reader_close(&client);
	if (err || (to->err && !is_known(m->method)))
		return false;
	assert_always(to->whole && !to->err && !to->reset);
	assert_always(same_head(m, to->m));
	return true;
}

/* There and back: what could be said once can be said again. */
static void there_and_back(const struct msg *m, const struct proto_ops *there, const struct proto_ops *back)
{
	struct reader a, b;

	if (pass(m, &a, there)) {
		assert_always(pass(a.m, &b, back));
		reader_close(&b);
	}
	reader_close(&a);
}

static void from_http1(struct slice s)
{
	struct reader r;
	struct buf bytes = { 0 };

	reader_open(&r, &proto_http1, true);
	buf_add(&bytes, s.p, s.n);
	reader_take(&r, &bytes);
	if (r.whole && !r.err)
		there_and_back(r.m, &proto_http2, &proto_http1);
	reader_close(&r);
}

static void from_http2(struct slice s)
{
	struct buf bytes = { 0 }, block = { 0 };
	struct reader r;
	char text[2001];

	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	for (size_t i = 0; i < s.n; i++)
		if (!text[i])
			text[i] = '0';
	/* A field has a '='. */
	for (char *p = text; *p; p += strcspn(p, "|"), p += *p == '|')
		if (memchr(p, '=', strcspn(p, "|")) == NULL)
			return;
	raw_open(&bytes);
	raw_headers(&bytes, 1, s.n & 1, text);
	buf_fini(&block);
	reader_open(&r, &proto_http2, true);
	reader_take(&r, &bytes);
	if (r.whole && !r.reset && !r.err)
		there_and_back(r.m, &proto_http1, &proto_http2);
	reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = { (const char *)data + 1, n - 1 };

	if (!n || n > 2000)
		return 0;
	if (data[0] == '1')
		from_http1(s);
	else
		from_http2(s);
	return 0;
}
