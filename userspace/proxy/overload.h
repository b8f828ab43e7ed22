/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How full this process is, and what follows from it: the control thread measures, ten times a second where a limit is
 * set, and tells the workers each change of level by letter (worker_overload()). Only the number of clients is counted by
 * the workers themselves, in one atomic word, and they look there before they accept.
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
};

/* Before the sandbox: it opens files of /proc. */
void overload_init(struct overload *o);
void overload_start(struct overload *o, struct loop *l, struct worker *workers, unsigned n); /* control thread */
void overload_fini(struct overload *o);         /* accepts a zeroed one; before the loop goes, after the workers */
void overload_set(struct overload *o, const struct overload_limits *l); /* control thread */
bool overload_full(const struct overload *o);   /* any worker: no place for another client, but for one a worker */
void overload_open(struct overload *o, int n);  /* any worker: so many clients more */
