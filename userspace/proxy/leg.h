/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client's and a host's connection have in common: the connection, its codec, and the bytes between the two.
 * What codecs put into `out` while an event is handled is sent once, at the end of it, by legs_flush(): a head and its
 * body are one system call, and one wake-up of the peer. A connection of many streams is sent at the end of the loop's turn: what
 * several hosts or clients brought in one turn is one system call, too.
 */
#pragma once
#include "base/list.h"
#include "net/conn.h"
#include "weft/proto.h"

struct worker;

#define LEG_HIGH (64u << 10)                    /* bytes that may lie between two connections, one direction */
#define LEG_LOW (32u << 10)                     /* reading goes on below */
#define LEG_READ_MAX (16u << 10)                /* one read of what is not a body */
#define LEG_READS 16u                           /* of one leg in one turn of the loop, before the others get theirs */

struct leg;
/* After each of these but sent() and broken() everything touched is flushed. */
struct leg_events {
	void (*open)(struct leg *l);
	void (*failed)(struct leg *l, int err); /* it never opened; see conn_events */
	void (*readable)(struct leg *l);
	void (*sent)(struct leg *l);            /* all, or as much as the socket takes for now */
	void (*broken)(struct leg *l, int err); /* it cannot be written any more */
	void (*refused)(struct leg *l);         /* the codec's flush() has ended the connection; its last words are in out */
};
extern const struct conn_events leg_conn_events; /* for conn_open() of l->conn; late, for those that were accepted */

struct leg {
	struct conn conn;
	struct worker *w;
	const struct leg_events *on;
	struct codec codec;
	struct buf in;                          /* read, not decoded */
	struct list dirty;                      /* in the worker's list: something may be in codec.out */
	struct loop_deferred more;              /* reads were used up: goes on in the next turn */
	uint32_t written;                       /* bytes given to the socket so far: the low bits of their number */
	uint16_t turn;                          /* in which reads were counted: its low bits */
	uint8_t reads;
	bool ready : 1;                         /* codec is made */
	bool opaque : 1;                        /* the codec has nothing more to say: bytes go past it */
	bool broken : 1;
	bool decoding : 1;                      /* inside decode() or flush(): neither codec nor connection may go */
};

/*
 * w and on are set. limits, sink and state live as long as the leg. state: ops->state_size zeroed bytes. take_conf: of
 * codec_conf.h, or NULL. 0 or -errno.
 */
int leg_init(struct leg *l, const struct proto_ops *ops, void *state, bool server, const struct proto_limits *limits,
	     const void *take_conf, const struct proto_sink *sink, void *sink_arg);
void leg_fini(struct leg *l);                   /* closes too; accepts a zeroed one. l->more is free for its owner's end then */
/* As conn_read(), within its share of this turn: -EAGAIN then, and readable() comes in the next one. */
ssize_t leg_read(struct leg *l, struct buf *dst, size_t most);
void leg_again(struct leg *l);                  /* readable() comes in the next turn */
int leg_decode(struct leg *l);                  /* as proto_ops.decode */
void leg_touch(struct leg *l);                  /* something was put into out: it will be flushed */
/* Sends what touched legs of the worker hold, those of many streams not yet. At the end of each event that may have touched one. */
void legs_flush(struct worker *w);
