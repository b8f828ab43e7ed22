/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters that a snapshot names, with their settings: made on the control thread when it comes, carried by it, and
 * shared with the snapshot before where nothing was said anew, so that what settings hold (a bucket) is not emptied by a
 * reload of something else. Each worker has its own filter_worker of each, for as long as it holds a snapshot with it.
 */
#pragma once
#include "base/extensions.h"
#include "model/router.h"
#include "model/snapshot.h"
#include "proxy/callout.h"
#include "weft/filter.h"
#include "weft/stat.h"

struct worker;

#define FILTERS_MAX (EXTENSIONS_MAX + 1)        /* the last is for names that nobody has */

#define FILTER_STATS(X)                                                                                                \
	X(COUNTER, requests, "requests that reached it")                                                               \
	X(COUNTER, waits, "times that it let a message wait")                                                          \
	X(COUNTER, replies, "requests that it answered itself")                                                        \
	X(COUNTER, resets, "requests that it ended")                                                                   \
	X(COUNTER, reroutes, "requests that it had looked up again")                                                   \
	X(COUNTER, too_large, "requests whose body, or answer, was longer than what it collects")                      \
	X(COUNTER, unusable, "requests refused because it cannot run")                                                 \
	X(GAUGE, active, "requests under way that have reached it")
STAT_DECLARE(filter_stat, FILTER_STATS);

/* One filter with settings of one place. */
struct filter_unit {
	uint32_t refs;                          /* control thread */
	unsigned index;                         /* of ops in extensions.filters, and of its counters */
	const struct filter_ops *ops;
	const void *conf;                       /* NULL: it could not be made */
	struct settings *settings;
	struct slice text;                      /* what they were made of */
	/* By worker, each its own. Of a listener's units, and those of defaults. */
	struct filter_seat {
		struct filter_worker worker;
		struct callout_owner calls;     /* worker.client */
		uint32_t users;                 /* snapshots that the worker holds */
		bool usable;
	} seat[];
};

struct filter_set {                             /* of a listener, or of a rule */
	uint32_t n;
	struct filter_unit *unit[];
};

/* Control thread; the snapshot must not have been sent yet. before: the one sent last, or NULL. */
void filters_attach(struct snapshot *s, const struct snapshot *before, unsigned workers);
/* One pointer, and NULL where the snapshot names none at all. */
static inline bool filters_any(const struct snapshot *s)
{
	return s->annex[SNAPSHOT_FILTERS].p;
}
/* Any thread that holds the snapshot. NULL: none. */
const struct filter_set *filters_of_listener(const struct snapshot *s, const struct listener *l);
const struct filter_set *filters_of_rule(const struct snapshot *s, const struct route_hit *hit);
/* The defaults of what only rules name; NULL: it lacks a setting, or could not be made. */
struct filter_unit *filters_default(const struct snapshot *s, const struct filter_unit *rules);

/* The worker's thread: it holds one more, or one fewer. */
void filters_enter(struct worker *w, const struct snapshot *s);
void filters_leave(struct worker *w, const struct snapshot *s);
