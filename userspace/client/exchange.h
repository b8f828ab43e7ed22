/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, on a connection that has no other, by any codec of the project. Only bytes: whoever has the
 * connection gives what came to exchange_read(), sends what is in codec.out, and afterwards looks at what there is of the
 * answer. Nothing is called back.
 */
#pragma once
#include "base/arena.h"
#include "base/odd.h"
#include "weft/proto.h"

/* Copied. */
struct exchange_ask {
	struct slice method, scheme, authority, path;
	const struct msg_header *headers;
	size_t nheaders;
	int64_t body_len;                       /* or MSG_LENGTH_UNKNOWN; 0: the head is the end */
};

struct exchange {
	struct codec codec;
	struct proto_limits limits;
	struct arena arena;
	struct msg request, head, trailers, other;
	uint64_t id;
	struct buf unsent;                      /* of the request's body: what the codec does not take yet */
	struct buf body;                        /* of the answer: the reader takes it out */
	size_t owed;                            /* bytes of it that the peer may not send anew, for the reader is paused */
	uint64_t now_ns;
	struct odd odd;
	bool ended;                             /* unsent is the last of the request */
	bool paused, reading;
	bool headed, trailed;                   /* head, trailers are there */
	bool over;                              /* nothing comes any more, but for what is in body */
	bool broken;                            /* over: the bytes make no sense to the codec */
	bool drains;                            /* the peer wants no more of this connection */
	bool ponged;                            /* answered the last ping */
	enum proto_why drain_why;
	enum proto_why why;                     /* over: NONE if the answer is whole */
	const char *detail;                     /* static words beside why, or NULL */
	_Alignas(16) char state[];
};

struct exchange *exchange_new(const struct proto_ops *ops); /* NULL: out of memory */
void exchange_free(struct exchange *x);         /* NULL is allowed */
int exchange_ask(struct exchange *x, const struct exchange_ask *a); /* 0 or -errno: it cannot be said in this protocol */
/* More of the request's body, all of data; end: nothing follows. What cannot be sent yet waits. 0 or -EPIPE: over. */
int exchange_put(struct exchange *x, struct buf *data, bool end);
int exchange_ping(struct exchange *x, uint64_t token); /* for a codec that has pings; then ponged says the answer */
/* What came; all of it is taken but while an answer without windows is paused. */
void exchange_read(struct exchange *x, struct buf *in, uint64_t now_ns);
void exchange_eof(struct exchange *x);          /* the peer's FIN */
void exchange_pause(struct exchange *x, bool paused);
bool exchange_reads(const struct exchange *x);  /* whether there is a use in reading now */
size_t exchange_unsent(const struct exchange *x);
const char *exchange_why(const struct exchange *x); /* in words, of one that is over or drains */
