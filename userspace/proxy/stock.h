/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets for connections to hosts that are opened in a pod's network namespace. This process may enter no namespace: the
 * agent makes them there and hands them over. A worker keeps some of each pod that uses them, asks for more before they
 * run out, and gives up what nobody takes for a while; who finds none waits. One worker, its thread.
 */
#pragma once
#include "event/loop.h"
#include "weft/stat.h"
#include "weft/model.h"

#define STOCK_FEW 4u                            /* sockets of a pod and family that are kept at first */
#define STOCK_MOST 64u                          /* and when it uses many */

#define STOCK_STATS(X)                                                                                                 \
	X(COUNTER, asked, "sockets of pods' namespaces that the agent was asked for")                                  \
	X(COUNTER, taken, "of them those that a connection to a host was begun with")                                  \
	X(COUNTER, waited, "connections to hosts that waited for one")                                                 \
	X(COUNTER, late, "of them those for which none came in connectTimeout")                                        \
	X(GAUGE, kept, "sockets of pods' namespaces at hand")
STAT_DECLARE(stock_stat, STOCK_STATS);

struct stock;
struct stock_wait;

struct stock_times {
	uint64_t again_ns;                      /* what has not come by then is asked for again */
	uint64_t look_ns;                       /* between two looks at what is not needed */
	uint64_t unused_ns;                     /* after which the last ones are given up */
};

struct stock_conf {
	struct loop *loop;
	struct stock_times times;               /* zeros: 250 ms, 10 s, 30 s */
	/* n more are wanted; those that come go to stock_put(), and it is asked again when they do not. */
	void (*ask)(void *arg, uint64_t netns, uint8_t family, uint32_t n);
	void (*gone)(void *arg, uint64_t netns); /* the pod's listener is no more */
	void *arg;
};

struct stock *stock_new(const struct stock_conf *c); /* copied */
const struct stock_stat *stock_stats(const struct stock *s);
void stock_free(struct stock *s);               /* nobody waits any more; NULL is allowed */

/* Which pods there are: each by its cookie, then those that were not named go, and who waits for one is told. */
void stock_keep(struct stock *s, uint64_t netns);
void stock_add(struct stock *s, uint64_t netns); /* until the next sweep, or for longer by stock_keep() */
void stock_sweep(struct stock *s);
bool stock_has(const struct stock *s, uint64_t netns);

/* One that the agent made. Somebody who waits gets it. */
void stock_put(struct stock *s, uint64_t netns, uint8_t family, int take_fd);
void stock_ask_again(struct stock *s);          /* of what was asked for nothing will come */

/* ---- for connections ------------------------------------------------------------------------------------------- */

/* Never within stock_wait(). take_fd, or -ETIMEDOUT: none came in time, -ENETDOWN: the pod is gone. The wait is over. */
typedef void stock_came_fn(void *arg, int take_fd, uint64_t waited_ns);

/* A TCP socket that can connect to `to`: the descriptor. -EAGAIN: none is at hand, stock_wait(); -ENETDOWN: no such pod. */
int stock_take(struct stock *s, uint64_t netns, const struct ip *to);
/* After stock_take() said -EAGAIN. ms 0: as long as it takes. */
struct stock_wait *stock_wait(struct stock *s, uint64_t netns, const struct ip *to, uint32_t ms, stock_came_fn *fn, void *arg);
void stock_wait_end(struct stock_wait *w);      /* its fn is not called; NULL is allowed */
