/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of the snapshot's listeners. The agent opens them, as it has the privileges, one for each worker of the
 * proxy (SO_REUSEPORT), and keeps its own copies: whatever becomes of the proxy, its listeners stay open, clients wait
 * in the backlog, and the next proxy gets the same sockets. A proxy that a former agent left gives them back before
 * anything is bound. What cannot be opened is said and tried again. Control thread.
 */
#pragma once
#include "agent/child.h"
#include "base/vec.h"
#include "event/timer.h"
#include "kern/limits.h"
#include "kern/steering.h"
#include "model/snapshot.h"
#include "weft/net_filter.h"
#include "weft/stat.h"

#define DOORS_STATS(X)                                                                                                 \
	X(COUNTER, opened, "sockets of listeners opened")                                                              \
	X(COUNTER, taken_over, "sockets of listeners that a former agent's proxy gave back")                           \
	X(COUNTER, refused, "tries to open a listener that failed")                                                    \
	X(COUNTER, hashed, "times that the kernel's hash had to do, as no reuseport program could be attached")           \
	X(GAUGE, listening, "listeners whose sockets are open")                                                        \
	X(GAUGE, closed, "listeners that could not be opened")
STAT_DECLARE(doors_stat, DOORS_STATS);

struct door_place {                             /* what a socket is bound to: whoever wants the same may have it */
	uint64_t netns;                         /* cookie; 0: the agent's own */
	struct net_addr addr;
	bool udp, transparent;
};

struct door {                                   /* one listener */
	struct door_place place;
	char *name, *where;                     /* where: file and line of the fact */
	int fds[WORKERS_MAX];
	unsigned n;                             /* open sockets; 0 with err 0: no proxy has said yet how many */
	bool was_open;
	bool steered;                           /* its program chooses the worker, not the kernel's hash */
	int err;                                /* why it is closed */
	char why[256];
	bool wanted;                            /* by the snapshot being looked at */
};

struct door_spare {                             /* a socket that nobody claims yet */
	struct door_place place;
	unsigned index;
	int fd;
};

struct doors {
	struct loop *loop;
	struct child *child;
	struct steering *steer;
	VEC(struct door *) all;
	VEC(struct door_spare) spare;
	unsigned workers;                       /* sockets of each; 0: not known yet */
	uint64_t own_netns;                     /* cookie of ours; 0: before Linux 5.14 */
	int (*netns)(void *arg, uint64_t cookie); /* descriptor to enter it, borrowed, or -errno; NULL: none is known */
	struct timer retry, resteer;
	void (*changed)(void *arg);             /* one opened, or closed against its will; NULL: nobody asks */
	void *arg;
	struct doors_stat stat;
};

void doors_init(struct doors *d, struct loop *l, struct child *c, struct steering *s);
void doors_fini(struct doors *d);               /* closes all; accepts a zeroed one */
/* Before the proxy is told of s: opens what is new and hands it over, closes what is gone. */
void doors_sync(struct doors *d, const struct snapshot *s);
/* A proxy with n workers said hello, 0: it is gone; s as above, may be NULL. Sockets are never fewer than before. */
void doors_workers(struct doors *d, unsigned n, const struct snapshot *s);
void doors_give_all(struct doors *d);           /* to a new proxy */
/* A socket that an adopted proxy has. Its word is not trusted: the socket itself says where it is bound. */
void doors_take(struct doors *d, unsigned index, int take_fd);
/*
 * Whether a listener of another configuration gets its sockets: it has that place or gets it from a listener of now, or
 * nobody else has it. False: why, in words.
 */
bool doors_would_open(const struct doors *d, const struct listener *f, char *why, size_t size);
const struct door *doors_find(const struct doors *d, struct slice name); /* NULL: none */
/* The first one that is closed and why, "" when all are open. */
const char *doors_health(const struct doors *d, char *out, size_t size);
