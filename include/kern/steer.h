/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* How many connections each worker of the proxy has: what the reuseport programs choose by. Includes nothing. */
#pragma once

/*
 * A client of the same machine gets a worker of its own CPU, if that has not more connections than the worker with fewest
 * has, and so many: both are not to be woken across CPUs, and still the workers share the work.
 */
#define STEER_LOCAL(least) ((least) + (least) / 4 + 2)

/*
 * steer_map: ARRAY[WORKERS_MAX], mmap-able; one cache line a worker. Its connections are `open` and those that were given
 * to it since it last found its backlogs empty: given - base, as they wait there or are about to.
 */
struct steer_cell {
	__u32 given;                                /* writer: the programs; only grows */
	__u32 base;                                 /* given, when the worker last found nothing to accept; writer: the worker */
	__u32 open;                                 /* writer: the worker */
	__u32 cpu;                                  /* where it last ran, plus 1; 0 = not said; writer: the worker */
	__u32 pad[12];
};
_Static_assert(sizeof(struct steer_cell) == 64, "one cache line");
