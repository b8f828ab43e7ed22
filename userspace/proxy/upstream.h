/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a host: opened for one stream, kept by the pool between streams, closed when the host closes, sends
 * what nobody asked for, or was used long enough. Belongs to its pool; lent to a stream. One worker.
 */
#pragma once
#include "proxy/leg.h"

struct pool_host;
struct stock_wait;
struct stream;

struct upstream {
	unsigned magic;
	struct leg leg;
	struct pool_host *home;
	struct stream *stream;                  /* NULL: idle, or nobody's any more */
	uint64_t id;                            /* of that stream in the codec */
	struct list idle;                       /* among the idle ones of its host */
	uint64_t idle_ns;                       /* since */
	uint32_t idle_ms;                       /* the host closes it after so long, it said; 0: it did not */
	uint32_t requests;                      /* with the one under way */
	struct stock_wait *wait;                /* for a socket of the client's pod; NULL: not */
	bool sent;                              /* some of this request went to the socket */
	bool keep;                              /* released in the middle of decode(): to the pool when that is back */
	bool ending;                            /* closed in the middle of decode() */
	_Alignas(16) char state[];              /* the codec's */
};

/*
 * A connection to s->pick becomes s->up: an idle one, if there is and idle says so, else one that is being opened, of which
 * stream_up_open() or stream_up_failed() tells. 0, -EBUSY: maxConnections, or another -errno.
 */
int upstream_take(struct stream *s, bool idle);
bool upstream_ready(const struct upstream *u);  /* open: requests may be put */
/* The stream lets go. done: request and answer went through whole. Kept if it may be, else closed. */
void upstream_release(struct upstream *u, bool done);
void upstream_close(struct upstream *u);        /* with no stream */
void upstream_pump(struct upstream *u);         /* there is room again for what the host sends */
