/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Head of one message, whatever protocol it came in: request, oneway request, response,
 * informational response (1xx) or trailers. The body is not in it: bytes flow beside it.
 * Heartbeats, goaways and settings are no messages, a codec answers or reports them itself
 * (proto.h).
 *
 * A msg and all that its slices point to live in its stream's arena, that is until the stream's
 * last byte is sent and its access record is written. One thread: the worker's. The functions below
 * are implemented in base/msg.c.
 */
#pragma once
#include "weft/types.h"

struct proto_ops;

enum msg_kind {
	MSG_REQUEST,
	/* a request that nobody answers: bolt type 2, Dubbo without 0x40 */
	MSG_ONEWAY,
	MSG_RESPONSE,
	/* 1xx but 101: any number before the response (RFC 9110 15.2) */
	MSG_INFO,
	/* headers only; ends its direction (RFC 9110 6.5) */
	MSG_TRAILERS,
};

enum {
	/* raw no longer says what the fields say; set by the functions below */
	MSG_CHANGED = 1u << 0,
	/* header names differ by case (bolt, Dubbo); else they do not (HTTP) */
	MSG_EXACT_NAMES = 1u << 1,
	/* content-type application/grpc*: status comes in the trailers */
	MSG_GRPC = 1u << 2,
	/* gRPC response whose head is its end: wire_status is final */
	MSG_TRAILERS_ONLY = 1u << 3,
	/* the client waits for 100 before the body (RFC 9110 10.1.1) */
	MSG_EXPECT_CONTINUE = 1u << 4,
	/* has none whatever its headers say: answer to HEAD, 204, 304 */
	MSG_NO_BODY = 1u << 5,
	/* sender will not use the connection again (Connection: close) */
	MSG_CLOSE = 1u << 6,
	/* RPC: the call was made and what it called threw; status says 200 (Dubbo: tags 0 and 3 of an answer) */
	MSG_EXCEPTION = 1u << 7,
};

/*
 * In order, as they came: case kept, duplicates kept. h2 pseudo-headers and hop-by-hop headers are
 * not among them.
 */
struct msg_header {
	struct slice name, value;
};

#define MSG_LENGTH_UNKNOWN (-1)
#define MSG_NO_STATUS (-1)

struct msg {
	enum msg_kind kind;
	unsigned flags;                         /* MSG_* */
	struct arena *arena;                    /* of the stream */

	struct slice method;                    /* "GET"; empty for RPC */
	/* h1: from the absolute form, else Host (RFC 9112 3.2.2) */
	struct slice scheme, authority;
	/* with query, normalised once, before any route or policy looks */
	struct slice path;
	struct slice path_raw;                  /* as received, for the access record */
	/* what the stream shall become: "websocket", "connect" (RFC 9110 7.8) */
	struct slice upgrade;

	/* RPC: "com.example.Orders:1.0", Dubbo "group/interface:version" */
	struct slice service;
	struct slice rpc_method;                /* RPC; for gRPC both are cut from path */
	struct slice class_name;                /* bolt: class of the content */
	/* number of the protocol (bolt codec, Dubbo id); MSG_NO_STATUS = none */
	int serialization;
	/* the sender closes the connection when it was idle so long (Keep-Alive: timeout=N); 0 = not said */
	uint32_t idle_ms;
	/* from the frame or grpc-timeout, from the head on; the route's bounds it. <= 0: not said */
	int32_t timeout_ms;

	/* HTTP's, or mapped to HTTP's: what retries, health, counters read */
	int status;
	/* the protocol's own (bolt, Dubbo, grpc-status); MSG_NO_STATUS */
	int wire_status;
	struct slice reason;                    /* h1 reason phrase, Dubbo error text */

	/* bytes, 0 when the head is the end, or MSG_LENGTH_UNKNOWN */
	int64_t body_len;
	struct msg_header *headers;
	uint32_t nheaders, headers_room;        /* array grows in the arena */

	/*
	 * The head's bytes as received, contiguous, without the body: a codec of the same kind
	 * sends them again while MSG_CHANGED is not set. Both are meaningful only to a codec whose
	 * ops == proto.
	 */
	const struct proto_ops *proto;
	struct slice raw;
	/* the codec's own, in the arena (Dubbo: undecoded attachments) */
	void *priv;
};

/*
 * Zeroed memory of the message's lifetime; NULL: out of memory, or the stream's limit is reached.
 */
void *msg_alloc(struct msg *m, size_t n);
/* Copy that lives as long as the message; empty slice with p NULL when out of memory. */
struct slice msg_dup(struct msg *m, struct slice s);

/* First header of that name, NULL when absent. */
const struct msg_header *msg_find(const struct msg *m, struct slice name);
/* The next one of the same name after h. */
const struct msg_header *msg_find_next(const struct msg *m, const struct msg_header *h);
/* Value of the first one; p is NULL when absent, which an empty value is not. */
struct slice msg_get(const struct msg *m, struct slice name);

/*
 * Changes: name and value are copied, MSG_CHANGED is set. 0, -ENOMEM, or -EINVAL for a name or
 * value that no protocol may carry (empty name; NUL, CR or LF; a name that starts with ':'). add
 * appends; set replaces all of that name, in the place of the first; del returns how many went.
 */
int msg_add(struct msg *m, struct slice name, struct slice value);
int msg_set(struct msg *m, struct slice name, struct slice value);
unsigned msg_del(struct msg *m, struct slice name);
/*
 * For a codec that decodes: appends without copying, checking or marking. name and value live in
 * the arena. 0, -ENOMEM.
 */
int msg_push(struct msg *m, struct slice name, struct slice value);
/* Fields other than headers are assigned, and then: */
static inline void msg_touch(struct msg *m)
{
	m->flags |= MSG_CHANGED;
}
