/* SPDX-License-Identifier: Apache-2.0 */
/* What downstream.c, downstream_drain.c and downstream_room.c share. */
#pragma once
#include "proxy/downstream.h"
#include "proxy/stream.h"

static inline bool downstream_busy(const struct downstream *d)
{
	return !list_empty(&d->streams);
}

static inline struct stream *downstream_newest(const struct downstream *d)
{
	return container_of(d->streams.prev, struct stream, node);
}

/* Its calls have no numbers: the next one waits for the answer to the last. */
static inline bool downstream_in_turn(const struct downstream *d)
{
	return d->leg.codec.ops->flags & PROTO_RPC && !d->many;
}

/* It is told that it is to go, and waited for. HTTP/1 hears of it in answers only; while it is being opened nothing is spoken. */
static inline bool downstream_tells(const struct downstream *d)
{
	return d->many || (d->leg.ready && d->leg.codec.ops->flags & PROTO_RPC);
}

/* From now on; ms 0: for as long as it takes. */
void downstream_enter(struct downstream *d, enum downstream_phase phase, uint64_t ms);
/* Between requests; a connection that drains is one step nearer to its end. */
void downstream_rest(struct downstream *d);
void downstream_end(struct downstream *d);      /* now, or behind decode(); streams that are left lose their client */

/* ---- downstream_drain.c ---- */

/* No request is begun any more: the client is told, by the next answer or by GOAWAY. What is under way ends well. */
void downstream_drain_one(struct downstream *d);
void downstream_tell(struct downstream *d);     /* of many streams: the first GOAWAY, unless it was said */
void downstream_farewell(struct downstream *d); /* the last GOAWAY, and the end behind it */
void downstream_linger(struct downstream *d);   /* all is said, and the client may not have read it yet */
bool downstream_drop(struct downstream *d);     /* what came behind that; false: that is enough, the connection has ended */
void downstream_heard(struct downstream *d, uint64_t token); /* an answer to a ping */
/* Its listener's timeouts.connectionAge begins. */
void downstream_age_begin(struct downstream *d);
uint64_t downstream_age_due(const struct downstream *d); /* ns of the loop; UINT64_MAX: never */
void downstream_aged(struct downstream *d);     /* that time has come */
void downstream_count(struct downstream *d);    /* a request is begun: the last one that the listener allows drains */

/* ---- downstream_room.c ---- */

/* How much may be read now. Behind a whole request still a little: it tells of a client that goes away. */
size_t downstream_room(struct downstream *d);
void downstream_unclog(struct downstream *d);   /* the socket took some of its answers */
