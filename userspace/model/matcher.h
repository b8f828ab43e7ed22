/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one thread needs to ask routers with: memory that is used again for each request, the turns of weighted backends,
 * and counters. One per worker; it grows to the largest router that it has seen.
 */
#pragma once
#include "weft/stat.h"
#include "weft/types.h"

#define MATCHER_STATS(X)                                                                                               \
	X(COUNTER, matched, "requests that met a rule")                                                                \
	X(COUNTER, unmatched, "requests that met none")
STAT_DECLARE(matcher_stat, MATCHER_STATS);

struct matcher;
struct regex_desk;

struct matcher *matcher_new(void);
void matcher_free(struct matcher *m);           /* NULL is allowed */
const struct matcher_stat *matcher_stats(const struct matcher *m);
/* The route one of whose expressions was given up at a bound since the last call; p NULL: none was. Lives as its snapshot. */
struct slice matcher_gave_up(struct matcher *m);
struct regex_desk *matcher_regex(struct matcher *m);
