/* SPDX-License-Identifier: Apache-2.0 */
#include "client/grpc.h"

#include <stdio.h>
#include "proto/grpc.h"
#include "weft/str.h"

size_t grpc_ask_headers(struct msg_header *room, const struct msg_header *own, size_t n, uint32_t timeout_ms, char *time)
{
	static const struct msg_header always[] = {
		{ SLICE_LIT("te"), SLICE_LIT("trailers") },
		{ SLICE_LIT("user-agent"), SLICE_LIT("weft/" WEFT_VERSION) },
		/* What comes is not decompressed. */
		{ SLICE_LIT("grpc-accept-encoding"), SLICE_LIT("identity") },
	};
	size_t k = 0;
	bool typed = false;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		room[k++] = always[i];
	for (size_t i = 0; i < n; i++) {
		room[k++] = own[i];
		typed |= slice_eq_nocase(own[i].name, SLICE_LIT("content-type"));
	}
	if (!typed)
		room[k++] = (struct msg_header){ SLICE_LIT("content-type"), SLICE_LIT("application/grpc") };
	if (timeout_ms)
		room[k++] = (struct msg_header){ SLICE_LIT("grpc-timeout"),
						 { time, grpc_timeout_write(timeout_ms * 1000000ull, time) } };
	return k;
}

static const char *printed(struct exchange *x, const char *fmt, int n)
{
	char text[64];

	snprintf(text, sizeof(text), fmt, n);
	return arena_str(&x->arena, text);
}

static const char *message(struct exchange *x, const struct msg *m)
{
	struct slice text = msg_get(m, SLICE_LIT("grpc-message"));
	char *out = arena_alloc(&x->arena, text.n + 1);

	grpc_message_read(text, out);
	return out;
}

static const struct msg *last_of(const struct exchange *x)
{
	return x->trailed ? &x->trailers : &x->head;
}

bool grpc_said(const struct exchange *x)
{
	return x->head.status == 200 && grpc_status(last_of(x)) != MSG_NO_STATUS;
}

int grpc_outcome(struct exchange *x, const char **words)
{
	const struct msg *last = last_of(x);
	int status = grpc_status(last);

	if (x->head.status != 200) {
		*words = printed(x, "HTTP status %d", x->head.status);
		return grpc_code_of_http(x->head.status);
	}
	if (status != MSG_NO_STATUS) {
		*words = message(x, last);
		return status;
	}
	*words = "the answer has no grpc-status";
	return GRPC_UNKNOWN;
}
