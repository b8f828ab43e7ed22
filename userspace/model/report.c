/* SPDX-License-Identifier: Apache-2.0 */
#include "model/report.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEAD 5                                  /* u32 length, u8 type */
#define HELLO_WORDS 20

static int put_frame(struct buf *b, uint8_t type, const void *body, uint32_t n)
{
	char frame[HEAD + REPORT_FRAME_MAX];
	uint32_t len = htole32(n + 1);

	memcpy(frame, &len, 4);
	frame[4] = type;
	if (n)
		memcpy(frame + HEAD, body, n);
	return buf_add(b, frame, HEAD + n);
}

int report_hello(struct buf *b, const struct report_hello *h)
{
	char body[HELLO_WORDS + sizeof(h->build)];
	uint32_t word[3] = { htole32(h->version), htole32(h->wire), htole32(h->workers) };
	uint64_t plugins = htole64(h->plugins);

	memcpy(body, word, 12);
	memcpy(body + 12, &plugins, sizeof(plugins));
	memcpy(body + HELLO_WORDS, h->build, sizeof(h->build));
	return put_frame(b, REPORT_HELLO, body, sizeof(body));
}

int report_snapshot(struct buf *b, uint64_t number)
{
	uint64_t word = htole64(number);

	return put_frame(b, REPORT_SNAPSHOT, &word, sizeof(word));
}

int report_alive(struct buf *b, uint32_t stalest_ms)
{
	uint32_t word = htole32(stalest_ms);

	return put_frame(b, REPORT_ALIVE, &word, sizeof(word));
}

int report_socket(struct buf *b, struct slice listener, uint32_t index)
{
	char body[REPORT_FRAME_MAX];
	uint32_t word = htole32(index);

	if (listener.n > REPORT_NAME_MAX)
		return -EMSGSIZE;
	memcpy(body, &word, sizeof(word));
	memcpy(body + sizeof(word), listener.p, listener.n);
	return put_frame(b, REPORT_SOCKET, body, sizeof(word) + listener.n);
}

int report_stat(struct buf *b, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	char body[REPORT_FRAME_MAX], *p = body;

	if (n > REPORT_STATS_MAX || set.n > UINT8_MAX || name.n > REPORT_NAME_MAX)
		return -EMSGSIZE;
	*p++ = n;
	for (size_t i = 0; i < n; i++, p += 8)
		memcpy(p, &(uint64_t){ htole64(v[i]) }, 8);
	*p++ = set.n;
	memcpy(p, set.p, set.n);
	p += set.n;
	memcpy(p, name.p, name.n);
	return put_frame(b, REPORT_STAT, body, p + name.n - body);
}

int report_host(struct buf *b, struct slice host_key, uint32_t for_ms)
{
	char body[REPORT_FRAME_MAX];
	uint32_t word = htole32(for_ms);

	if (host_key.n > sizeof(body) - sizeof(word) - 1)
		return -EMSGSIZE;
	memcpy(body, &word, sizeof(word));
	memcpy(body + sizeof(word), host_key.p, host_key.n);
	return put_frame(b, REPORT_HOST, body, sizeof(word) + (uint32_t)host_key.n);
}

struct want_body {
	uint64_t netns;
	uint32_t worker, n;
	uint8_t family;
} __attribute__((packed));

int report_want(struct buf *b, const struct report_want *w)
{
	struct want_body body = { htole64(w->netns), htole32(w->worker), htole32(w->n), w->family };

	return put_frame(b, REPORT_WANT, &body, sizeof(body));
}

int report_tickets(struct buf *b)
{
	return put_frame(b, REPORT_TICKETS, NULL, 0);
}

static int take_hello(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	struct report_hello h;
	uint32_t word[3];

	if (body.n != HELLO_WORDS + sizeof(h.build) || body.p[body.n - 1])
		return err_add(e, -EPROTO, "hello of %zu bytes", body.n);
	memcpy(word, body.p, 12);
	h.version = le32toh(word[0]);
	h.wire = le32toh(word[1]);
	h.workers = le32toh(word[2]);
	memcpy(&h.plugins, body.p + 12, sizeof(h.plugins));
	h.plugins = le64toh(h.plugins);
	memcpy(h.build, body.p + HELLO_WORDS, sizeof(h.build));
	if (sink->hello)
		sink->hello(arg, &h);
	return 0;
}

static int take_snapshot(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	uint64_t word;

	if (body.n != sizeof(word))
		return err_add(e, -EPROTO, "snapshot of %zu bytes", body.n);
	memcpy(&word, body.p, sizeof(word));
	if (sink->snapshot)
		sink->snapshot(arg, le64toh(word));
	return 0;
}

static int take_alive(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	uint32_t word;

	if (body.n != sizeof(word))
		return err_add(e, -EPROTO, "alive of %zu bytes", body.n);
	memcpy(&word, body.p, sizeof(word));
	if (sink->alive)
		sink->alive(arg, le32toh(word));
	return 0;
}

static int take_socket(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	uint32_t word;

	if (body.n < sizeof(word))
		return err_add(e, -EPROTO, "socket of %zu bytes", body.n);
	memcpy(&word, body.p, sizeof(word));
	if (sink->socket)
		sink->socket(arg, (struct slice){ body.p + sizeof(word), body.n - sizeof(word) }, le32toh(word));
	return 0;
}

static int take_stat(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	uint64_t v[REPORT_STATS_MAX];
	const char *p = body.p + 1, *end = body.p + body.n;
	size_t n = body.n ? (uint8_t)body.p[0] : 0;
	struct slice set;

	if (n > REPORT_STATS_MAX || body.n < 2 + n * 8 || (size_t)(end - p) < n * 8 + 1 + (uint8_t)p[n * 8])
		return err_add(e, -EPROTO, "counters of %zu bytes", body.n);
	for (size_t i = 0; i < n; i++, p += 8) {
		memcpy(&v[i], p, 8);
		v[i] = le64toh(v[i]);
	}
	set = (struct slice){ p + 1, (uint8_t)*p };
	p += 1 + set.n;
	if (sink->stat)
		sink->stat(arg, set, (struct slice){ p, end - p }, v, n);
	return 0;
}

static int take_host(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	uint32_t word;

	if (body.n < sizeof(word))
		return err_add(e, -EPROTO, "host of %zu bytes", body.n);
	memcpy(&word, body.p, sizeof(word));
	if (sink->host)
		sink->host(arg, (struct slice){ body.p + sizeof(word), body.n - sizeof(word) }, le32toh(word));
	return 0;
}

static int take_want(struct slice body, const struct report_sink *sink, void *arg, struct err *e)
{
	struct want_body w;

	if (body.n != sizeof(w))
		return err_add(e, -EPROTO, "want of %zu bytes", body.n);
	memcpy(&w, body.p, sizeof(w));
	if (sink->want)
		sink->want(arg, &(struct report_want){ le64toh(w.netns), le32toh(w.worker), le32toh(w.n), w.family });
	return 0;
}

static int take_frame(struct slice frame, const struct report_sink *sink, void *arg, struct err *e)
{
	struct slice body = { frame.p + HEAD, frame.n - HEAD };

	switch (frame.p[4]) {
	case REPORT_HELLO:
		return take_hello(body, sink, arg, e);
	case REPORT_SNAPSHOT:
		return take_snapshot(body, sink, arg, e);
	case REPORT_ALIVE:
		return take_alive(body, sink, arg, e);
	case REPORT_HOST:
		return take_host(body, sink, arg, e);
	case REPORT_SOCKET:
		return take_socket(body, sink, arg, e);
	case REPORT_STAT:
		return take_stat(body, sink, arg, e);
	case REPORT_WANT:
		return take_want(body, sink, arg, e);
	case REPORT_TICKETS:
		if (sink->tickets)
			sink->tickets(arg);
		return 0;
	default:
		return 0;
	}
}

int report_feed(struct buf *b, const struct report_sink *sink, void *arg, struct err *e)
{
	while (b->len >= HEAD) {
		struct slice head = buf_pull(b, HEAD);
		uint32_t len;
		int err;

		if (!head.p)
			return -ENOMEM;
		memcpy(&len, head.p, 4);
		len = le32toh(len);
		if (len < 1 || len > REPORT_FRAME_MAX)
			return err_add(e, -EPROTO, "frame of %u bytes", len);
		if (b->len < len + 4)
			return 0;
		head = buf_pull(b, len + 4);
		if (!head.p)
			return -ENOMEM;
		err = take_frame(head, sink, arg, e);
		if (err)
			return err;
		buf_drop(b, len + 4);
	}
	return 0;
}
