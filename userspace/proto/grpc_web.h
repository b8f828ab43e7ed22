/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC-Web's bytes (PROTOCOL-WEB.md of grpc/grpc): base64 of its -text kind as it comes, and the frame that trailers are. Pure. */
#pragma once
#include "weft/msg.h"

struct buf;

/* Base64 that comes in pieces (RFC 4648 4); each message, or piece of one, may be padded by itself. Zeroed: at the start. */
struct grpc_web_text {
	uint32_t bits;
	uint8_t have;                           /* letters of the group of four */
	uint8_t pads;
};

#define GRPC_WEB_DECODED(n) ((n) / 4 * 3 + 3)   /* bytes that n letters make at most */
/* Returns the length, or -EINVAL: that is no base64. */
ssize_t grpc_web_decode(struct grpc_web_text *t, struct slice in, char *out);
static inline bool grpc_web_ended(const struct grpc_web_text *t)
{
	return !t->have;                        /* no group is half there */
}

/* Appends it as base64, padded: whoever reads it need not wait for more. 0 or -ENOMEM. */
int grpc_web_encode(struct slice in, struct buf *out);
/* Appends trailers as the frame that ends a body. 0 or -ENOMEM. */
int grpc_web_trailers(const struct msg *m, struct buf *out);
