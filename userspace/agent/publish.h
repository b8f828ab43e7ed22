/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a taken transaction becomes: a snapshot, then map writes, then sockets and frames to the proxy. Transactions that come
 * together are published together, at the end of the loop's iteration. Holds the current snapshot. Control thread.
 */
#pragma once
#include "event/timer.h"
#include "model/diff.h"
#include "model/store.h"
#include "weft/stat.h"

struct kern;
struct child;
struct doors;

#define PUBLISH_STATS(X)                                                                                               \
	X(COUNTER, runs, "snapshots published")                                                                        \
	X(COUNTER, kernel_errors, "snapshots that the kernel side could not take")                                     \
	X(GAUGE, snapshot, "number of the current snapshot")                                                           \
	X(GAUGE, build_us, "microseconds that the last build took")                                                    \
	X(GAUGE, kernel_us, "microseconds that the last step of the kernel side took")
STAT_DECLARE(publish_stat, PUBLISH_STATS);

struct publish {
	struct loop *loop;
	struct store *store;
	struct kern *kern;
	struct child *child;
	struct doors *doors;
	struct snapshot *now;                   /* NULL before the first */
	/* After each: what follows a snapshot in the agent itself. NULL = nothing. */
	void (*published)(void *arg, const struct diff *d);
	void *arg;
	struct loop_deferred soon;
	bool waiting;
	struct timer trim;                      /* after a large change */
	char kernel_error[256];                 /* of the last run; "" = none */
	struct publish_stat stat;
};

void publish_init(struct publish *p, struct loop *l, struct store *s, struct kern *k, struct child *c, struct doors *d);
void publish_fini(struct publish *p);           /* accepts a zeroed one */
void publish_soon(struct publish *p);           /* at the end of this iteration */
void publish_now(struct publish *p);
/* States of hosts have changed (kern_set_overlay()), not the snapshot: d names their clusters. */
void publish_kernel(struct publish *p, const struct diff *d);
