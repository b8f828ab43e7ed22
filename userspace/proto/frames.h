/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocols whose messages are one frame each, many calls at a time on a connection (Dubbo, dubbo-thrift, Tars): which frame
 * is being read and which is being written, ids, calls under way, late answers. What a frame says is struct frame_ops'. The
 * functions here are methods of proto_ops or called by those of the codec, whose state is struct frames.
 *
 * A frame with a message is collected as far as read() asks, then its head goes to the sink and its body passes as it comes.
 * What is no message may come out in the middle of a long frame that is being written: it waits until that is through.
 */
#pragma once
#include "proto/calls.h"
#include "weft/proto.h"

struct frame {
	enum { FRAME_MESSAGE, FRAME_CONTROL } kind;
	enum msg_kind msg;
	bool numbered;                          /* look() knows the caller's number, else number() tells */
	uint64_t number;
	uint32_t note;                          /* of a request: what its answer is to look like */
	uint64_t size;                          /* of the whole frame */
	uint64_t want;                          /* its first bytes that are to be collected; at least those looked at */
};

/* An answer of the codec's own. */
struct frame_answer {
	uint64_t number;                        /* the caller's */
	uint32_t note;                          /* of the request's frame */
	const struct msg *request;              /* NULL: not known */
	int status, wire;                       /* HTTP's; MSG_NO_STATUS = that which stands for it */
	struct slice text;
};

struct frame_ops {
	size_t fixed;                           /* first bytes that tell kind and size */
	bool short_numbers;                     /* calls have 32 bits, else 64 */
	/*
	 * The first s.n of them, perhaps not all yet: then only whether they may be a frame's. 0 or -EPROTO with why
	 * and detail.
	 */
	int (*look)(struct codec *c, struct slice s, struct frame *f);
	/* Caller's number, kind and note; NULL where look() knows. s as for read(). 0, -EAGAIN = more of the frame is needed, -EPROTO. */
	int (*number)(struct codec *c, struct slice s, struct frame *f);
	/*
	 * The first bytes of a frame, whole when s.n is its size, into m. Returns how many of them are no body; -EAGAIN =
	 * more are needed; -EPROTO, -E2BIG or -ENOMEM: the message is refused, with frames.detail.
	 */
	ssize_t (*read)(struct codec *c, struct slice s, const struct frame *f, struct msg *m);
	int (*control)(struct codec *c, struct slice s, const struct frame *f); /* 0 or -errno with why; NULL: all are messages */
	int (*answer)(struct codec *c, const struct frame_answer *a); /* 0 or -ENOMEM */
};

enum frames_rx { FRAMES_IDLE, FRAMES_COLLECT, FRAMES_BODY };

/* What is being written: `at` bytes of the body as they come, then `drop` of them are replaced by `instead`, then the rest. */
struct frames_tx {
	uint64_t id;
	uint64_t at, drop, left;                /* left: of the body, in all */
	struct buf instead;
};

struct frames {
	const struct frame_ops *ops;
	struct calls calls;                     /* server: with the caller's number; client: the number is the id, or its lower half */
	uint64_t last;                          /* id begun last */
	const char *detail;                     /* static: why a message was refused */
	bool away;                              /* the host takes no more calls */
	/* of the frame that is being read */
	enum frames_rx rx;
	bool skip;                              /* nobody wants it any more */
	uint64_t id, left;                      /* left: bytes of the frame that are to come */
	struct msg *m;
	struct frame frame;
	struct frames_tx tx;
	struct buf later;                       /* waits until tx is through */
};

static inline struct frames *frames_of(const struct codec *c)
{
	return c->state;
}

void frames_init(struct codec *c, const struct frame_ops *ops);
void frames_fini(struct codec *c);
int frames_fail(struct codec *c, enum proto_why why, const char *detail); /* -EPROTO */
/* Where a whole frame may be appended now. */
struct buf *frames_out(struct codec *c);
/* The peer did something odd: 0, or -EPROTO when it is enough. */
int frames_glitch(struct codec *c);

/* ---- put_head of the codec ---- */

/*
 * Whether m may be said now: 0, -ENOTSUP, -EAGAIN, -ESHUTDOWN, -ENOENT (nobody waits for that answer). *id is set for a
 * request, *number is what the frame is to carry.
 */
int frames_put_begin(struct codec *c, uint64_t *id, const struct msg *m, uint64_t *number);
/* The frame's head is in out; what follows of it. edit: where the body is changed, whose buf is taken; NULL = nowhere. */
void frames_put_body(struct codec *c, uint64_t id, uint64_t body, struct frames_tx *edit);

/* ---- methods ---- */

int frames_decode(struct codec *c, struct buf *in);
unsigned frames_room(const struct codec *c);
ssize_t frames_put_data(struct codec *c, uint64_t id, struct buf *data, bool end);
int frames_put_reset(struct codec *c, uint64_t id, enum proto_why why);
int frames_put_reply(struct codec *c, uint64_t id, const struct msg *request, const struct proto_reply *r);
bool frames_reusable(const struct codec *c);

/* What proto_ops of all these codecs say alike. */
#define FRAMES_METHODS                                                                                                 \
	.flags = PROTO_MULTIPLEX | PROTO_NEEDS_LENGTH | PROTO_RPC, .state_size = sizeof(struct frames), .fini = frames_fini, \
	.decode = frames_decode, .room = frames_room, .put_data = frames_put_data, .put_reset = frames_put_reset,      \
	.put_reply = frames_put_reply, .reusable = frames_reusable
