/* SPDX-License-Identifier: Apache-2.0 */
/* One bolt connection's codec: the state that its files share. */
#pragma once
#include "proto/bolt.h"
#include "proto/bolt_head.h"
#include "proto/calls.h"

/* Unless the limits say: */
#define BOLT_HEAD_MAX (64u << 10)
#define BOLT_HEADERS_MAX 200u
#define BOLT_CONTENT_MAX (64u << 20)
#define BOLT_STREAMS_MAX 65535u
#define BOLT_CONTROL_MAX 1000u
#define BOLT_OUT_IDLE (16u << 10)               /* bytes in out below which its peer is said to read */

/* Where reading stands. X(NAME, function): one function each, bolt.c drives them. */
#define BOLT_RX(X) \
	X(FIXED, fixed) \
	X(HEAD, head)                   /* the frame's first byte is still in the input */ \
	X(BODY, body) \
	X(CRC, crc)                     /* the body's last byte and the checksum */ \
	X(SKIP, skip)
enum bolt_rx {
#define BOLT_RX_ENUM_(NAME, function) BOLT_RX_##NAME,
	BOLT_RX(BOLT_RX_ENUM_)
#undef BOLT_RX_ENUM_
};

struct bolt {
	/* Server: requests to be answered. Client: requests under way; the lower half of an id is the wire's number. */
	struct calls calls;
	uint64_t last;                          /* id given last */
	struct {
		enum bolt_rx state;
		uint64_t id;                    /* whose frame comes in, 0 = nobody's */
		uint64_t left;                  /* bytes of its body; of what is skipped */
		uint32_t crc;                   /* of what was read of it */
		struct bolt_fixed f;
		struct msg *m;
	} rx;
	struct {
		uint64_t id;                    /* whose frame goes out, 0 = none is begun */
		uint32_t left;                  /* bytes of its body, more than 0 then */
		uint32_t crc;
		bool with_crc;
	} tx;
	struct buf later;                       /* frames of our own that wait for tx's end */
	uint64_t ping_id, ping_token;           /* asked last; id 0 = answered */
	uint32_t control;                       /* frames of our own in out, since the peer was seen to read */
	uint8_t proto;                          /* version of the last frame, either way */
	bool away, told;                        /* the peer takes nothing new; we said that we do not */
};

static inline struct bolt *bolt_of(const struct codec *c)
{
	return c->state;
}

static inline uint32_t bolt_limit(uint32_t set, uint32_t dflt)
{
	return set ? set : dflt;
}

/* Sets why and detail; what comes is dropped from now on. Always -EPROTO. */
int bolt_fail(struct codec *c, enum proto_why why, const char *detail);
/* The next id, whose number on the wire nobody uses. */
uint64_t bolt_next_id(struct bolt *s);
void bolt_rx_abandon(struct bolt *s);           /* what is left of the frame that comes in is nobody's */

unsigned bolt_room(const struct codec *c);
/* Frames of our own. 0, -ENOMEM; or, for what answers the peer, a failure as above. */
int bolt_put_ack(struct codec *c, const struct bolt_fixed *heartbeat);
int bolt_put_refusal(struct codec *c, const struct bolt_fixed *request, enum bolt_status status);

int bolt_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end);
ssize_t bolt_put_data(struct codec *c, uint64_t id, struct buf *data, bool end);
int bolt_put_reset(struct codec *c, uint64_t id, enum proto_why why);
int bolt_put_reply(struct codec *c, uint64_t id, const struct msg *request, const struct proto_reply *r);
int bolt_put_goaway(struct codec *c, bool final, enum proto_why why);
int bolt_put_ping(struct codec *c, uint64_t token);

/* What an answer is to look like, kept in call.note: proto, ver1, switch, codec. */
static inline uint32_t bolt_note(const struct bolt_fixed *f)
{
	return f->proto | (uint32_t)f->ver1 << 8 | (uint32_t)f->protocol_switch << 16 | (uint32_t)f->codec << 24;
}
