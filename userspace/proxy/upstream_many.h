/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of one connection to a host that carries many (HTTP/2): which there are, by the codec's id; which wait until
 * it is open; whether it takes another; and whether the host still lives. Part of its upstream. One worker.
 */
#pragma once
#include "event/timer.h"
#include "net/addr.h"
#include "base/odd.h"
#include "proxy/upstream.h"

struct cluster_fact;

struct upstream_many {
	struct upstream *up;
	struct list streams, waiting;           /* by stream.up_node: those under way; those that wait until it is open, or not clogged */
	unsigned nstreams, nwaiting;
	struct list roomy;                      /* among those of its host that take streams */
	struct list told;                       /* streams that upstream_tell_sent() was said for */
	struct stream **slots;                  /* by id; 2^n, each a chain by stream.up_next */
	uint32_t nslots;
	bool open;
	bool away;                              /* the host takes no more streams */
	bool gone;                              /* as it said GOAWAY */
	bool alone;                             /* a long request is on its way that nothing may come between */
	bool full;                              /* so much of answers lies here that nothing is read: there are no windows */
	bool clogged;                           /* so much is unsent that nothing is added: the host does not read */
	size_t held;                            /* bytes of answers' bodies that did not go on yet */
	bool heard_room;                        /* it has said how many it takes */
	uint64_t flushes;                       /* what was put since the last one, the host has not seen */
	uint64_t opened_ns;
	uint64_t busy_ns;                       /* its first stream of now began */
	uint64_t heard_ns, said_ns;             /* last bytes; last bytes of a stream */
	uint64_t asked_ns;                      /* last ping; 0: none */
	bool asking;                            /* and it is not answered */
	struct timer timer;                     /* of both */
	struct odd odd;
	struct net_addr addr;                   /* of the host, for the log */
	struct proto_limits limits;
};

struct upstream_many *upstream_many_new(struct upstream *u, const struct net_addr *addr); /* NULL: out of memory */
void upstream_many_free(struct upstream_many *m); /* accepts NULL */
void upstream_many_limits(struct upstream_many *m); /* as the cluster says now */

#define UPSTREAM_HELD_HIGH (1u << 20)
#define UPSTREAM_HELD_LOW (UPSTREAM_HELD_HIGH / 2)
#define UPSTREAM_UNSENT_HIGH (1u << 20)         /* bytes that a write left; those of requests that were given up are among them */
#define UPSTREAM_UNSENT_LOW (UPSTREAM_UNSENT_HIGH / 2)

/* May another stream come? Before it is open, and while it is clogged: may another wait? */
bool upstream_many_takes(struct upstream_many *m);
void upstream_many_offer(struct upstream_many *m); /* to its host, if it takes another */
void upstream_many_join(struct upstream_many *m, struct stream *s); /* under way, or waiting */
void upstream_many_leave(struct upstream_many *m, struct stream *s); /* from wherever it is; knows no id of it any more */
void upstream_many_began(struct upstream_many *m, struct stream *s);
struct stream *upstream_many_find(const struct upstream_many *m, uint64_t id);
bool upstream_many_unsent(const struct upstream_many *m, const struct stream *s); /* the host has seen nothing of it */
void upstream_many_heard(struct upstream_many *m); /* bytes came: it lives */
void upstream_many_heard_room(struct upstream_many *m); /* the host's first settings came: who waits for them goes on */
void upstream_many_sent(struct upstream_many *m); /* as leg_events.sent */
void upstream_many_opened(struct upstream_many *m); /* who waited goes on */
