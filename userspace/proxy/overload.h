/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How full this process is, and what follows from it: the control thread measures, ten times a second where a limit is
 * set, and tells the workers each change of level by letter (worker_overload()). Limits themselves are kept at once, by the
 * workers: the number of clients is one atomic word in which each takes a place before it accepts; and as a descriptor is
 * always the lowest free number, one that is as high as the limit says that so many are in use.
 */
#pragma once
#include <stdatomic.h>
#include "event/timer.h"
#include "model/overload.h"

struct worker;

struct overload {
	struct loop *loop;
	struct timer timer;
	struct worker *workers;
	unsigned nworkers;
	struct overload_limits limits;          /* descriptors: what holds */
	uint64_t own;                           /* descriptors that the process may have; 0: any number */
	int statm_fd, fds_fd;                   /* of /proc/self; -1: not to be had */
	uint64_t trimmed_ns;
	enum overload_level memory, descriptors, connections, level;
	struct overload_stat stat;
	_Alignas(64) _Atomic uint64_t open;     /* clients of the node; by any worker */
	_Atomic uint64_t most;                  /* of them; 0: no limit */
	_Atomic uint64_t fd_most, fd_line;      /* numbers of descriptors: none as high; clients wait from here on. 0: any */
	_Atomic bool fd_short;                  /* the line was reached; until the control thread sees fewer */
};

/* Before the sandbox: it opens files of /proc. */
void overload_init(struct overload *o);
void overload_start(struct overload *o, struct loop *l, struct worker *workers, unsigned n); /* control thread */
void overload_fini(struct overload *o);         /* accepts a zeroed one; before the loop goes, after the workers */
void overload_set(struct overload *o, const struct overload_limits *l); /* control thread */
/* By any worker, from here on. A client's place; false: there is none. */
bool overload_enter(struct overload *o);
void overload_leave(struct overload *o);
bool overload_full(const struct overload *o);   /* another client would have to wait: for a place, or for descriptors */
/* fd, which was just opened by a worker, or -errno; closed and -EMFILE when it is one more than there may be. o NULL: fd */
int overload_fd(struct overload *o, int fd);
