/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listeners of one worker: it accepts from its own sockets, and gives each connection to the protocol of its
 * listener. Sockets come from the agent, before the snapshot that names their listener; a listener that the newest
 * snapshot does not have closes its sockets, and ends when its last connection has ended. Worker's thread, but for what is
 * marked.
 */
#pragma once
#include "base/calm.h"
#include "base/vec.h"
#include <linux/types.h>
#include "kern/limits.h"
#include "kern/steer.h"
#include "model/listener_stat.h"
#include "net/conn.h"
#include "proxy/worker.h"
#include "weft/proto.h"

/* What all workers' uses of one listener have in common. Any thread; lives until the last use and the inventory let go. */
struct listener_shared {
	_Atomic uint32_t refs;
	_Atomic uint32_t open;                  /* connections of the node */
	struct listener_cell {
		_Alignas(64) struct listener_stat stat; /* writer: that worker */
	} worker[WORKERS_MAX];
};
struct listener_shared *listener_shared_new(void);
struct listener_shared *listener_shared_hold(struct listener_shared *s);
void listener_shared_drop(struct listener_shared *s);

struct listeners;                               /* of one worker */
struct listener_use;

struct listener_socket {                        /* one of its descriptors */
	struct loop_io io;
	struct listener_use *use;
	unsigned index;                         /* the agent's number */
	int fd;
	struct net_addr local;                  /* bound to; port 0: to every address */
	void (*stop)(struct listener_socket *s); /* of a protocol that reads it by itself; else NULL */
	void *udp;                              /* udp.c's */
	struct loop_deferred more;              /* budget was spent, or it ends */
};

/* One listener on one worker. */
struct listener_use {
	unsigned magic;
	struct worker *worker;
	char *name;
	const struct listener *conf;            /* of the worker's newest snapshot; NULL: it has none of this name */
	VEC(struct listener_socket *) sockets;
	uint64_t speaks;                        /* hash of what its clients speak, by the last conf that there was */
	bool proxies;                           /* they have it for their HTTP proxy */
	struct proto_limits limits;             /* by the last conf that there was: codecs look there at each head */
	struct timer pause;
	struct listener_shared *shared;
	struct listener_stat *stat;             /* this worker's */
	unsigned users;                         /* connections and sessions */
	struct calm failures;                   /* lines about connections that did not open */
};

/* How a connection came. */
struct arrival {
	int fd;
	struct net_addr remote, local;          /* local: port 0 where the socket is to be asked */
	uint64_t netns;                         /* cookie of the namespace of the listener that accepted it; 0: the proxy's own */
	struct net_addr original;               /* that was dialled, as far as is known; port 0: the listener's capture tells */
};

struct listeners *listeners_new(struct worker *w);
void listeners_free(struct listeners *l);       /* every connection is gone */
void listeners_adopt(struct listeners *l);      /* the worker has a new snapshot */
/* Control thread: the index-th socket of a listener; takes the place of one of the same index. -1: it has no sockets. */
void listeners_give(struct worker *w, struct slice name, unsigned index, int take_fd, struct listener_shared *hold);

/*
 * Any thread. Whether the socket is of the kind, stream or datagrams, and bound where the listener wants it: a listener may
 * become one of the other kind or move, and its new sockets come before the snapshot that says so.
 */
bool listener_fits(const struct listener *conf, int fd);

/* Control thread: where this worker's connections are counted from now on. Stays mapped as long as the worker. */
void listeners_steer(struct worker *w, struct steer_cell *cell);
void listeners_ran(struct listeners *l);        /* in each turn: notes the CPU for clients of the same one */

/* ---- for the owners of connections ---------------------------------------------------------------------------- */

/* A connection or session begins; mirrored by listener_leave(), after which u may be gone. False: maxConnections. */
bool listener_admits(const struct listener_use *u); /* false: the process sheds load, new clients wait */
bool listener_enter(struct listener_use *u);
/* A client of u goes on as one of to; false: to is full, and it stays u's. The process's clients are as many as before. */
bool listener_move(struct listener_use *u, struct listener_use *to);
void listener_leave(struct listener_use *u);
struct listener_use *listeners_find(struct worker *w, struct slice name); /* NULL: no such */
bool listener_takes_others(const struct listener_use *u); /* what another listener accepted: its protocol allows that */
/* Such a connection, to whom its protocol gives it. A place was entered. */
void listener_deliver(struct listener_use *u, const struct arrival *take_a);
/* conn_open() with the listener's layers, capture done: peer->original is what the client dialled. 0 or -errno. */
int listener_conn_open(struct listener_use *u, struct conn *c, const struct arrival *take_a, const struct conn_events *on);
/* In its open() and failed(): counts, and says in the log why not. */
void listener_conn_opened(struct listener_use *u, const struct conn *c);
void listener_conn_failed(struct listener_use *u, const struct conn *c, int err);
