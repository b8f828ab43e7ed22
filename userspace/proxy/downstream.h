/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection: its codec, its streams, and the time it is given. listener.c accepts and hands the descriptor
 * over; from then on the connection is the downstream's until it closes. An idle one holds no buffer, no stream, no snapshot
 * and no state of its codec, if that forgets between requests anyway. One worker.
 */
#pragma once
#include "base/list.h"
#include "proxy/leg.h"
#include "base/odd.h"
#include "proxy/turns.h"

struct arrival;
struct listener_use;
struct stream;
struct worker;

#define DOWNSTREAM_HEAR_MS 2000u                /* for the client to answer the ping behind the first GOAWAY */
#define DOWNSTREAM_FLOOD_MAX (256u << 10)       /* bytes that a client who was told to stop may go on sending before it is cut off */
#define DOWNSTREAM_LINGER_MS 1000u              /* for the client to read the last answer before it would see a reset */

enum downstream_phase {
	DOWNSTREAM_OPENING,                     /* the connection keeps the time itself */
	DOWNSTREAM_IDLE,                        /* between requests */
	DOWNSTREAM_HEAD,                        /* some of a head is there */
	DOWNSTREAM_BUSY,                        /* streams keep their own time */
	DOWNSTREAM_LINGER,                      /* all is said: what still comes is dropped until the client's FIN */
	DOWNSTREAM_INNER,                       /* no connection at all, nor magic nor listener: who calls out (callout.h) */
};

/* Much of what idle clients cost: kept below 432 bytes. */
struct downstream {
	unsigned magic;
	uint16_t nstreams;
	uint8_t phase : 4;                      /* enum downstream_phase */
	bool foreign : 1;                       /* its listener does not speak its protocol any more */
	bool many : 1;                          /* its codec has many streams at once */
	bool away : 1;                          /* the client begins no more streams */
	bool told : 1;                          /* the first GOAWAY is said: the client may not begin others */
	bool heard : 1;                         /* and its ping was answered: nothing else is on its way */
	bool last : 1;                          /* no request after the one under way */
	bool refused : 1;                       /* the codec has said its last words */
	bool ending : 1;                        /* closed in the middle of decode() */
	bool aged : 1;                          /* age is when its grace is over */
	uint32_t age;                           /* tenths of a second of the loop's clock: when it is to go; 0: never */
	union {
		uint32_t begun;                 /* requests so far, where they are limited */
		uint32_t dropped;               /* refused: bytes that came behind the end of a flood */
	};
	struct leg leg;
	struct listener_use *listener;
	struct list all;                        /* in the worker's list */
	struct list streams;                    /* oldest first */
	struct odd odd;
	struct timer timer;                     /* may be armed for earlier than due_ns */
	uint64_t due_ns;                        /* UINT64_MAX: never */
};
_Static_assert(sizeof(struct downstream) <= 424, "a block of 432 bytes of malloc's");

/*
 * For a listener of HTTP or RPC. take_a: accepted, non-blocking; listener_enter(l) was called for it. Opened by
 * listener_conn_open(), left by listener_leave() when the connection is gone. Settings are read from l->conf at each
 * request, and NULL there means to drain. 0 or -errno: then the descriptor is closed and l was left.
 */
int downstream_open(struct worker *w, struct listener_use *l, const struct arrival *take_a);
/*
 * Idle connections of l (NULL: of all) close, busy ones after the answer that is under way, which says so. Those of HTTP/2 hear
 * GOAWAY twice first.
 */
void downstream_drain(struct worker *w, const struct listener_use *l);
/* Its protocol has changed: the same for those that do not speak what it does now. proxy: it was, or is, http-proxy. */
void downstream_drain_foreign(struct worker *w, const struct listener_use *l, bool proxy);
void downstream_drain_netns(struct worker *w, uint64_t netns); /* the same for those that came from a namespace */
bool downstreams_quiet(const struct worker *w); /* no answer is under way, and every client has read what was for it */
void downstream_close_all(struct worker *w);    /* at the worker's end, at once */

/* ---- for its streams ---------------------------------------------------------------------------------------- */

const struct listener *downstream_conf(const struct downstream *d); /* NULL: the listener is no more, or of another protocol */
bool downstream_draining(const struct downstream *d);
void downstream_stream_done(struct downstream *d, struct stream *s); /* its last byte is with the socket, or it was cut */
void downstream_consumed(struct downstream *d, struct stream *s, size_t n); /* of the request's body: it went on */
void downstream_last_answer(struct downstream *d); /* not many streams: its head comes next, and it is to say so */
/* NULL: its answers may be mixed. */
static inline struct turns *downstream_turns(const struct downstream *d)
{
	return d->leg.codec.state && turns_wanted(d->leg.codec.ops) ? turns_of(d->leg.codec.state) : NULL;
}
void downstream_held(struct downstream *d, struct stream *s, size_t n); /* bytes of its body came */
void downstream_pump(struct downstream *d);     /* there is room again for what the client sends */
