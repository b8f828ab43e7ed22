/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a host. HTTP/1's, and one of calls without numbers, is opened for one stream, kept by the pool between
 * streams, closed when the host closes, sends what nobody asked for, or was used long enough. Others carry many streams:
 * upstream_many.h has what they have beside. Belongs to its pool; lent to streams. One worker.
 */
#pragma once
#include "proxy/leg.h"

struct pool_host;
struct stock_wait;
struct stream;
struct upstream_many;

struct upstream {
	unsigned magic;
	struct leg leg;
	struct pool_host *home;
	struct stream *stream;                  /* HTTP/1's. NULL: idle, or nobody's any more, or with many */
	uint64_t id;                            /* of that stream in the codec */
	struct upstream_many *many;             /* its streams, where there may be many; NULL: HTTP/1 */
	struct list idle;                       /* among the idle ones of its host */
	uint64_t idle_ns;                       /* since */
	uint32_t idle_ms;                       /* the host closes it after so long, it said; 0: it did not */
	uint32_t requests;                      /* with those under way */
	struct stock_wait *wait;                /* for a socket of the client's pod; NULL: not */
	bool sent;                              /* some of this request went to the socket */
	bool away;                              /* the host takes nothing more, it said; of many, they know */
	bool keep;                              /* released in the middle of decode(): to the pool when that is back */
	bool ending;                            /* closed in the middle of decode() */
	_Alignas(16) char state[];              /* the codec's */
};

/*
 * A connection to s->pick becomes s->up: one with room, or an idle one, if there is and idle says so, else one that is being
 * opened, of which stream_up_open() or stream_up_failed() tells. 0, -EBUSY: maxConnections, -EUSERS: the same, but none of
 * this worker's takes requests, where one carries many; or another -errno.
 */
int upstream_take(struct stream *s, bool idle);
bool upstream_ready(const struct stream *s);    /* s->up is open: its request may be put */
void upstream_began(struct stream *s);          /* s->up_id is known: its head was put */
/*
 * The stream lets go of s->up. done: request and answer went through whole. HTTP/1: kept if it may be, else closed. HTTP/2:
 * the stream is reset, if it is not done.
 */
void upstream_release(struct stream *s, bool done);
void upstream_close(struct upstream *u);        /* with no stream */
void upstream_pump(struct upstream *u);         /* there is room again for what the host sends */
void upstream_request_sent(struct stream *s);   /* the last of its request was put: others may follow on its connection */
bool upstream_unsent(const struct stream *s);   /* the host has seen nothing of it */
void upstream_held(struct stream *s, size_t n); /* bytes of its answer's body came, on a connection that carries many */
/* stream_up_sent() comes when what lies in out has gone: of many, only to who asks, each time. */
void upstream_tell_sent(struct stream *s);
/* What of the answer's body came and was not given back to the host's windows yet, but for `here` bytes, is. */
void upstream_consumed(struct stream *s, size_t here);
