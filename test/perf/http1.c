// SPDX-License-Identifier: Apache-2.0
/*
 * Cost of the HTTP/1 codecs in user space: one request of about 200 bytes and its answer of 1 KiB,
 * decoded and written again on both sides, as a proxy does. http1 [EXCHANGES] prints ns per exchange;
 * under callgrind, instructions per exchange do not depend on the machine's mood:
 *	valgrind --tool=callgrind --toggle-collect=exchange http1 1000
 */
#include "lib/http1_rig.h"
#include "base/clock.h"

static const char request[] = "GET /api/v1/orders?customer=42&limit=10 HTTP/1.1\r\nHost: orders.default.svc:8080\r\n"
			      "User-Agent: Go-http-client/1.1\r\nAccept: application/json\r\n"
			      "Accept-Encoding: gzip\r\nX-Request-Id: 0d2f7b0e-5a7a-4d7c\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"
			     "Date: Sat, 01 Jan 2028 00:00:00 GMT\r\nServer: nginx\r\nX-Served-By: 7\r\n\r\n";

struct relay {
	struct codec down, up;
	struct proto_limits limits;
	struct arena arena;
	uint64_t down_id, up_id;
};

static struct msg *begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct relay *r = arg;
	struct msg *m = arena_alloc(&r->arena, sizeof(*m));

	if (kind == MSG_REQUEST)
		r->down_id = id;
	m->arena = &r->arena;
	return m;
}

static int down_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct relay *r = arg;

	(void)id;
	r->up_id = 0;
	return r->up.ops->put_head(&r->up, &r->up_id, m, end);
}

static int up_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	struct relay *r = arg;

	(void)id;
	return r->down.ops->put_head(&r->down, &r->down_id, m, end);
}

static void up_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	struct relay *r = arg;
	struct buf b = { 0 };

	(void)id;
	(void)in;
	buf_add(&b, d.p, d.n);
	r->down.ops->put_data(&r->down, r->down_id, &b, end);
}

static const struct proto_sink down_sink = { .begin = begin, .head = down_head, .goaway = rig_goaway };
static const struct proto_sink up_sink = { .begin = begin, .head = up_head, .data = up_data, .goaway = rig_goaway };

static void open_codec(struct relay *r, struct codec *c, bool server)
{
	*c = (struct codec){ .ops = &proto_http1, .limits = &r->limits, .sink_arg = r, .server = server };
	c->sink = server ? &down_sink : &up_sink;
	c->state = calloc(1, c->ops->state_size);
	assert_always(c->state && !c->ops->init(c));
}

/* Everything but the reads and writes, which drop what would have been sent. */
__attribute__((noinline)) static void exchange(struct relay *r, struct buf *q, struct buf *a)
{
	arena_reset(&r->arena);
	assert_always(!r->down.ops->decode(&r->down, q));
	buf_drop(&r->up.out, r->up.out.len);
	assert_always(!r->up.ops->decode(&r->up, a));
	assert_always(r->down.out.len > 1024);
	buf_drop(&r->down.out, r->down.out.len);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000000;
	struct relay r = { 0 };
	struct buf q = { 0 }, a = { 0 };
	char body[1024] = { 0 };
	uint64_t spent = 0;

	open_codec(&r, &r.down, true);
	open_codec(&r, &r.up, false);
	for (int i = 0; i < n; i++) {
		uint64_t start;

		buf_add(&q, request, sizeof(request) - 1);
		buf_add(&a, answer, sizeof(answer) - 1);
		buf_add(&a, body, sizeof(body));
		start = clock_ns();
		exchange(&r, &q, &a);
		spent += clock_ns() - start;
	}
	printf("%zu byte request, %zu byte answer: %.0f ns an exchange\n", sizeof(request) - 1,
	       sizeof(answer) - 1 + sizeof(body), (double)spent / n);
	rig_close(&r.down);
	rig_close(&r.up);
	arena_fini(&r.arena);
	return 0;
}
