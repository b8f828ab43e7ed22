/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the proxy as one process, and what it says of them: the agent sends limits (wire.h), the proxy reports the
 * numbers, docs/overload.md tells what each level does.
 */
#pragma once
#include "weft/stat.h"

struct overload_limits {                        /* 0: no limit; of descriptors: the process's own */
	uint64_t memory;                        /* bytes */
	uint64_t connections, descriptors;
	uint32_t soft, hard;                    /* percent; soft < hard */
};
#define OVERLOAD_HYSTERESIS 5                   /* percent below where a level began, at which it ends */

#define OVERLOAD_LEVELS(X) X(NONE, "none") X(SOFT, "soft") X(HARD, "hard")
enum overload_level {
#define OVERLOAD_ENUM_(NAME, word) OVERLOAD_##NAME,
	OVERLOAD_LEVELS(OVERLOAD_ENUM_)
#undef OVERLOAD_ENUM_
	OVERLOAD_LEVEL_COUNT
};
extern const char *const overload_level_names[];

/* The level that follows; used and limit of one resource, limit 0: none. */
enum overload_level overload_next(enum overload_level now, uint64_t used, uint64_t limit, const struct overload_limits *l);

#define OVERLOAD_STATS(X)                                                                                              \
	X(GAUGE, level, "0 none, 1 soft, 2 hard: docs/overload.md")                                                    \
	X(GAUGE, memory, "bytes of memory that count against overload.memory")                                         \
	X(GAUGE, memory_limit, "overload.memory, 0 none")                                                              \
	X(GAUGE, resident, "bytes resident, as the kernel counts them")                                                \
	X(GAUGE, buffers, "bytes of buffers, in use and kept for the next use")                                        \
	X(GAUGE, connections, "connections and sessions of clients")                                                   \
	X(GAUGE, connections_limit, "overload.connections, 0 none")                                                    \
	X(GAUGE, descriptors, "descriptors in use")                                                                    \
	X(GAUGE, descriptors_limit, "descriptors that the process may have")                                           \
	X(COUNTER, short_of, "times that clients had to wait at once, as descriptors were short")                      \
	X(COUNTER, over, "descriptors that were given back at once, as there were as many as there may be")            \
	X(COUNTER, soft, "times that the level became soft from none")                                                 \
	X(COUNTER, hard, "times that the level became hard")                                                           \
	X(COUNTER, recovered, "times that the level became none again")
STAT_DECLARE(overload_stat, OVERLOAD_STATS);
