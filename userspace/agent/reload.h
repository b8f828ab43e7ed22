/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another configuration while the daemon runs: on SIGHUP, on POST /reload, and when the file or its conf.d changes. The
 * new one is read whole and used whole, or refused whole and the old stays in force. What only a restart can change
 * keeps its value, and is named. Control thread.
 */
#pragma once
#include "event/timer.h"
#include "weft/buf.h"
#include "weft/conf.h"
#include "weft/stat.h"

#define RELOAD_STATS(X)                                                                                                \
	X(COUNTER, taken, "configurations taken while running")                                                        \
	X(COUNTER, refused, "configurations refused while running; the old one stayed in force")                       \
	X(GAUGE, unwell, "1 while the files on disk are not what is in force, because they were refused")
STAT_DECLARE(reload_stat, RELOAD_STATS);

struct agent;
struct config;

struct reload {
	struct agent *agent;
	struct config *first;                   /* of the start: settings that need a restart lie in it */
	int fd;                                 /* inotify; -1: none */
	struct loop_io io;
	struct timer timer;
	uint64_t event_ns;                      /* of the first event that the timer waits behind */
	uint64_t hash;                          /* of the files as they were looked at last */
	char *refusal;                          /* first line of what was wrong; NULL: the files are in force */
	struct reload_stat stat;
};

void reload_init(struct reload *r, struct agent *a); /* a->config is in force */
void reload_fini(struct reload *r);             /* accepts a zeroed one; frees the configurations */
/*
 * 0: taken; restart: names of settings that differ and wait for a restart, "kernel.maps workers". -EINVAL: refused,
 * said in errors. Both are logged.
 */
int reload_now(struct reload *r, struct buf *restart, struct conf_errors *errors);
