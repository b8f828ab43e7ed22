/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll set, its timers, its deferred work and its mail. A loop belongs to the thread that runs
 * it; only mailbox_post() (mailbox.h) may be called by others. Callbacks never block. A callback
 * may close its own descriptor and must free its own object only through loop_defer().
 */
#pragma once
#include "base/list.h"
#include "weft/stat.h"
#include "weft/types.h"

enum { LOOP_READ = 1u << 0, LOOP_WRITE = 1u << 1, LOOP_HUP = 1u << 2, LOOP_ERR = 1u << 3 };

struct loop;
struct loop_io;
typedef void loop_io_fn(struct loop_io *io, unsigned events);

/*
 * One watched descriptor; embed it, zero it before the first use. It is off by loop_del(), and only
 * then closed: a descriptor that someone else holds too (dup, fork, SCM_RIGHTS) stays in the epoll
 * set after our close(2). HUP and ERR come whether wanted or not, together with the wanted READ and
 * WRITE; with want 0 they come again and again until the descriptor is deleted. RDHUP, the peer's
 * shutdown for writing, comes as HUP when HUP is wanted.
 */
struct loop_io {
	int fd;
	uint8_t want;
	bool active;
	uint16_t revents; /* what epoll said, while on the loop's ready list */
	loop_io_fn *fn;
	void *arg;
	struct list ready;
};

struct loop_deferred;
typedef void loop_deferred_fn(struct loop_deferred *d);
/* Zero it before the first use. */
struct loop_deferred {
	struct list node;
	loop_deferred_fn *fn;
};

/*
 * Instead of going to sleep at once, a loop may ask again for a while: an event that comes meanwhile costs no wake-up. Only
 * while the last waits were short, and while nobody else wants the CPU: a sched_yield() that takes its time says that
 * somebody does.
 */
#define LOOP_SPIN_STATS(X)                                                                                             \
	X(COUNTER, spins, "times that a worker went on asking for events instead of sleeping")                         \
	X(COUNTER, hits, "of them those that found some")                                                              \
	X(COUNTER, yields, "of them those that ended as somebody else wanted the CPU")
STAT_DECLARE(loop_spin_stat, LOOP_SPIN_STATS);

struct timer_wheel;
struct loop {
	unsigned magic;
	int epoll_fd;
	uint64_t now_ns;                        /* read once per wake-up */
	struct timer_wheel *timers;
	struct list deferred;
	struct list ready; /* events of this batch that wait for their callback */
	struct list late[2];                    /* added late, not told of to epoll: since late_ns at least, younger ones */
	uint64_t late_ns;
	bool stop;
	uint64_t iterations;
	/* called once per iteration when set (heartbeat) */
	void (*tick)(struct loop *l, void *arg);
	void *tick_arg;
	uint64_t spin_ns;                       /* longest spin; 0: none. Set by the loop's thread */
	unsigned spin_score;                    /* waits of late that were shorter, less those that were not */
	struct loop_spin_stat spin;
	uint64_t tick_max_ns;                   /* longest sleep while tick is set; 0 = no bound */
};

int loop_init(struct loop *l);
/* Runs what is deferred, disarms the timers; accepts a zeroed loop. */
void loop_fini(struct loop *l);
/*
 * Level-triggered unless edge. 0 or -errno; -EEXIST: io is in use, -EPERM: not a descriptor that
 * can be waited for.
 */
int loop_add(struct loop *l, struct loop_io *io, int fd, unsigned want, loop_io_fn *fn, void *arg);
/* IN|OUT|RDHUP|ET, once */
int loop_add_edge(struct loop *l, struct loop_io *io, int fd, loop_io_fn *fn, void *arg);
/*
 * The same for a descriptor that may be gone again within a moment, and whose owner tries it at once: its first event, for
 * reading and writing, is made up, and epoll is told of it after a few milliseconds, which spares all that epoll costs. Who
 * cannot wait so long for an event (a call said EAGAIN, the peer is to say something) says loop_watch(), which does nothing
 * otherwise.
 */
void loop_add_late(struct loop *l, struct loop_io *io, int fd, loop_io_fn *fn, void *arg);
void loop_watch(struct loop *l, struct loop_io *io);
/* -EINVAL: edge, or not added */
int loop_want(struct loop *l, struct loop_io *io, unsigned want);
/* Does not close; safe when never added; no event follows. */
void loop_del(struct loop *l, struct loop_io *io);
/*
 * Runs after the current batch of events, before the next wait, in order. Work deferred by deferred
 * work runs in the next turn, which does not sleep. Deferring what is already waiting changes fn
 * only.
 */
void loop_defer(struct loop *l, struct loop_deferred *d, loop_deferred_fn *fn);
/*
 * One turn. -1: sleep until something happens (a signal also ends the sleep). 0 or -errno. Not from
 * a callback.
 */
int loop_once(struct loop *l, int64_t max_wait_ns);
int loop_run(struct loop *l); /* until loop_stop(), also one from before; 0 or -errno */
void loop_stop(struct loop *l);
