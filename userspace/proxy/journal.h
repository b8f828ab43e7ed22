/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log's way from the workers to its files: a ring for each worker and format, and one thread that writes what
 * is in them. A worker never waits: a line that finds no room is lost, and counted by the worker. Off until there is a
 * file, and then one load a request.
 */
#pragma once
#include <stdatomic.h>

#include "event/thread.h"
#include "event/timer.h"
#include "kern/limits.h"
#include "weft/model.h"

#define JOURNAL_RING (1u << 20)                 /* bytes of lines that wait, for each worker and format */
#define JOURNAL_LINE_MAX 19456u
#define JOURNAL_FILES_MAX ACCESS_LOGS_MAX

enum journal_format { JOURNAL_TEXT, JOURNAL_JSON, JOURNAL_FORMATS };

struct journal_ring {
	_Alignas(64) _Atomic uint64_t head;     /* bytes put; the worker's */
	_Alignas(64) _Atomic uint64_t tail;     /* bytes taken; the writing thread's */
	char *data;                             /* from before the format is on until the end */
};

struct journal {
	struct thread thread;
	_Atomic unsigned on;                    /* a bit for each format that some file has */
	unsigned workers;
	struct timer timer;
	struct journal_file {
		int fd;
		enum journal_format format;
		bool failing;                   /* said so */
	} files[JOURNAL_FILES_MAX];             /* the writing thread's */
	unsigned nfiles;
	struct journal_ring ring[WORKERS_MAX][JOURNAL_FORMATS];
};

/* Control thread. 0 or -errno. */
int journal_start(struct journal *j, unsigned workers);
void journal_stop(struct journal *j);           /* writes what is left; no worker may write any more; accepts a zeroed one */
/*
 * index 0: in the place of all files there were. Another format than "text" and "json", or one file too many: closed; no
 * format with index 0: there are no files any more.
 */
void journal_add(struct journal *j, struct slice format, unsigned index, int take_fd);

/* Worker. False: no room. n is at most JOURNAL_LINE_MAX. */
bool journal_put(struct journal *j, unsigned worker, enum journal_format f, const char *line, size_t n);
static inline unsigned journal_on(const struct journal *j)
{
	return atomic_load_explicit(&j->on, memory_order_acquire);
}
