/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between those who call out (weft/client.h) and those who carry it: an owner with all that it has under way,
 * and what every carrier does alike: defaults, bounds, gRPC's frames, and that nothing is heard after the owner's end.
 * One thread for each owner.
 */
#pragma once
#include "base/list.h"
#include "weft/buf.h"
#include "weft/client.h"

struct loop;

#define CLIENT_TIMEOUT_MS 10000u                /* of a call that is no stream and says none */
#define CLIENT_BODY_MAX (1u << 20)              /* the same of an answer's bytes */
#define CLIENT_MESSAGE_MAX (4u << 20)           /* bytes of one gRPC message, where the ask does not say */
#define CLIENT_UNSENT_MAX (256u << 10)          /* bytes that wait to be sent; then client_send() says -EAGAIN */

/* A carrier. A call of its own begins with a struct client_call. */
struct client_ops {
	/*
	 * Begins it; of the base nothing is to be filled, and no event comes before it returns. NULL with *err.
	 */
	struct client_call *(*call)(struct client *owner, const struct client_ask *ask, int *err);
	/* Takes all of data (framed), or -EAGAIN, or -errno: it has ended. */
	int (*send)(struct client_call *c, struct buf *data, bool end);
	void (*pause)(struct client_call *c);   /* c->paused is another */
	void (*release)(struct client_call *c); /* its owner wants nothing any more: it ends, and is freed */
};

/* Whoever may call: embed it, client_init() it, client_fini() it when it ends. */
struct client {
	unsigned magic;
	const struct client_ops *ops;
	struct loop *loop;
	void *carrier;                          /* what ops need to know of it */
	const char *name;                       /* for log lines, kept by who made it; NULL: nobody in particular */
	uint64_t rewatches;                     /* tries of its watches, but for the first ones */
	struct list things;                     /* under way, oldest first */
	unsigned ncalls, max_calls;             /* 0: as many as it likes */
};

/* What ends with its owner: a call, a watch. A watch is older than its call, so it is stopped first. */
struct client_thing {
	struct list node;
	void (*stop)(struct client_thing *t);   /* no event follows */
};

struct client_call {
	unsigned magic;
	struct client_thing thing;
	struct client *owner;                   /* NULL: it has left it */
	const struct client_ops *ops;
	struct client_events on;
	void *arg;
	uint64_t left;                          /* bytes of the answer that may still come; UINT64_MAX: no bound */
	uint32_t message_max;
	bool grpc, stream, paused;
	bool sent;                              /* the last byte was given to the carrier */
	bool telling;                           /* an event is being told */
	bool gone;                              /* cancelled meanwhile */
};

void client_init(struct client *c, const struct client_ops *ops, struct loop *loop, void *carrier);
void client_fini(struct client *c);             /* stops what is under way, without a further event; accepts a zeroed one */
void client_add(struct client *c, struct client_thing *t); /* taken out by list_del(&t->node) */

/* ---- for carriers ------------------------------------------------------------------------------------------- */

uint32_t client_timeout_ms(const struct client_ask *ask); /* 0: none */
/* The first bytes of the request's body, in gRPC's frame where it is one, at the end of out. 0 or -ENOMEM. */
int client_body(const struct client_ask *ask, struct buf *out);
/*
 * What came, for the owner. Each: 0, or -ECANCELED, then the carrier releases the call. From where a call may be released,
 * so not inside a codec.
 */
int client_tell_head(struct client_call *c, const struct msg *m);
/*
 * All of in, but while paused and what is no whole gRPC message yet: that stays. Also -EMSGSIZE, -EPROTO (a frame that makes
 * no sense), -ENOMEM: the carrier ends the call with it.
 */
int client_tell_data(struct client_call *c, struct buf *in);
/* The last word; the carrier releases the call behind it. */
void client_tell_end(struct client_call *c, int err, int status, const char *words, const struct msg *trailers);
