// SPDX-License-Identifier: Apache-2.0
/* Any text as each of gRPC's fields: read within its bytes, and what is written is read back as it was. */
#include <stdlib.h>
#include "base/arena.h"
#include "base/buf_pool.h"
#include "base/magic.h"
#include "proto/grpc.h"
#include "proto/grpc_health.h"
#include "proto/grpc_web.h"
#include "weft/buf.h"
#include "weft/str.h"

static void message(struct slice text)
{
	char *wire = malloc(3 * text.n + 1), *back = malloc(3 * text.n + 1);
	size_t n = grpc_message_write(text, wire);

	assert_always(n <= 3 * text.n);
	for (size_t i = 0; i < n; i++)
		assert_always(wire[i] >= ' ' && wire[i] <= '~');
	assert_always(slice_eq((struct slice){ back, grpc_message_read((struct slice){ wire, n }, back) }, text));
	assert_always(grpc_message_read(text, back) <= text.n);
	free(wire);
	free(back);
}

static void timeout(struct slice text)
{
	char out[GRPC_TIMEOUT_MAX];
	uint64_t ns, back;

	if (grpc_timeout_read(text, &ns))
		return;
	assert_always(!grpc_timeout_read((struct slice){ out, grpc_timeout_write(ns, out) }, &back));
	/* No longer, and as exact as eight digits are of which a step between units takes nearly two. */
	assert_always(!ns || (back <= ns && ns - back <= ns / 1600000 + 1));
}

/* Whatever pieces it comes in; and back. */
static void web(struct slice text)
{
	struct grpc_web_text whole = { 0 }, parts = { 0 };
	char *a = malloc(GRPC_WEB_DECODED(text.n)), *b = malloc(GRPC_WEB_DECODED(text.n) + 3);
	ssize_t n = grpc_web_decode(&whole, text, a), m = 0;
	struct buf out;

	for (size_t i = 0; i < text.n && m >= 0; i++) {
		ssize_t k = grpc_web_decode(&parts, (struct slice){ text.p + i, 1 }, b + m);

		m = k < 0 ? k : m + k;
	}
	assert_always(n == m && (n < 0 || !memcmp(a, b, (size_t)n)));
	free(b);
	buf_init(&out);
	assert_always(!grpc_web_encode(text, &out));
	b = malloc(GRPC_WEB_DECODED(out.len));
	whole = (struct grpc_web_text){ 0 };
	m = 0;
	for (const struct buf_chunk *c = out.head; c; c = c->next)
		m += grpc_web_decode(&whole, (struct slice){ (char *)c->data + c->r, c->w - c->r }, b + m);
	assert_always(grpc_web_ended(&whole) && slice_eq((struct slice){ b, (size_t)m }, text));
	buf_fini(&out);
	free(a);
	free(b);
}

static void whole(struct slice text, enum msg_kind kind, bool end)
{
	static const char *const names[] = { "content-type", "grpc-status", "grpc-timeout", "grpc-retry-pushback-ms",
					     "grpc-previous-rpc-attempts" };
	struct msg m = { .kind = kind, .path = text, .wire_status = MSG_NO_STATUS };
	struct arena a;

	arena_init(&a);
	m.arena = &a;
	msg_push(&m, SLICE_LIT("content-type"), SLICE_LIT("application/grpc"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		msg_push(&m, slice_str(names[i]), text);
	grpc_recognise(&m, end);
	assert_always(m.wire_status >= MSG_NO_STATUS && m.wire_status < 1000 && m.timeout_ms >= 0);
	assert_always(grpc_pushback_ms(&m) >= GRPC_PUSHBACK_STOP);
	grpc_previous_attempts(&m);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = { (const char *)data, n }, service, method, format;
	enum grpc_health health;

	if (!grpc_health_read(text, &health))
		grpc_health_word(health);
	web(text);
	message(text);
	timeout(text);
	if (grpc_path(text, &service, &method))
		assert_always(service.n && method.n && service.n + method.n + 2 <= n);
	if (grpc_kind_of(text, &format))
		assert_always(format.n < n);
	for (int kind = MSG_REQUEST; kind <= MSG_TRAILERS; kind++)
		whole(text, (enum msg_kind)kind, n & 1);
	return 0;
}
