/* SPDX-License-Identifier: Apache-2.0 */
#include "model/overload.h"

STAT_DEFINE(overload_stat, "overload", OVERLOAD_STATS);

#define NAME_(NAME, word) word,
const char *const overload_level_names[] = { OVERLOAD_LEVELS(NAME_) };

/* used is at least so many percent of limit. */
static bool reaches(uint64_t used, uint64_t limit, uint32_t percent)
{
	return used >= limit / 100 * percent + limit % 100 * percent / 100;
}

/* A level that holds ends lower than it begins, so that it does not come and go with each connection. */
static bool holds(bool already, uint64_t used, uint64_t limit, uint32_t percent)
{
	return reaches(used, limit, already && percent > OVERLOAD_HYSTERESIS ? percent - OVERLOAD_HYSTERESIS : percent);
}

enum overload_level overload_next(enum overload_level now, uint64_t used, uint64_t limit, const struct overload_limits *l)
{
	if (!limit)
		return OVERLOAD_NONE;
	if (holds(now == OVERLOAD_HARD, used, limit, l->hard))
		return OVERLOAD_HARD;
	return holds(now >= OVERLOAD_SOFT, used, limit, l->soft) ? OVERLOAD_SOFT : OVERLOAD_NONE;
}
