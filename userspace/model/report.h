/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy tells the agent: little-endian frames of {u32 length of what follows, u8 type, body}, the way back of
 * wire.h's stream. The agent trusts none of it: lengths are checked, numbers are only shown.
 */
#pragma once
#include "weft/buf.h"
#include "weft/err.h"

#define REPORT_VERSION 1
#define REPORT_FRAME_MAX 256

#define REPORT_ALIVE_MS 1000                    /* between two REPORT_ALIVE of a proxy that is well */

enum report_type { REPORT_HELLO = 1, REPORT_SNAPSHOT, REPORT_ALIVE };

struct report_hello {                           /* first, on every connection */
	uint32_t version;                       /* REPORT_VERSION */
	uint32_t wire;                          /* WIRE_VERSION it understands */
	uint32_t workers;
	char build[32];                         /* WEFT_VERSION, NUL-terminated */
};

/* Each appends one frame; 0 or -ENOMEM. */
int report_hello(struct buf *b, const struct report_hello *h);
int report_snapshot(struct buf *b, uint64_t number); /* every worker has adopted it */
int report_alive(struct buf *b, uint32_t stalest_ms); /* age of the oldest heartbeat among the workers */

struct report_sink {
	void (*hello)(void *arg, const struct report_hello *h);
	void (*snapshot)(void *arg, uint64_t number);
	void (*alive)(void *arg, uint32_t stalest_ms);
};

/* Consumes the whole frames of b and leaves the rest. 0, or -EPROTO with words. Unknown types are skipped. */
int report_feed(struct buf *b, const struct report_sink *sink, void *arg, struct err *e);
