/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free ranges of table_map, in rows of TABLE_ROW slots. Take and give cost O(1): runs of free rows carry their length at
 * both ends and hang in a list per size class, neighbours coalesce at once. The smallest class that surely fits is used,
 * so at most a quarter of a run's length is passed over in search of a fit.
 */
#pragma once
#include "weft/types.h"

#define RANGE_NONE UINT32_MAX
#define RANGE_CLASSES 128

struct range {
	uint32_t rows;
	uint32_t used;                          /* rows taken */
	uint32_t frags;                         /* free runs */
	uint32_t *len;                          /* of the free run that begins or ends here; 0 elsewhere */
	uint32_t *next, *prev;                  /* of the run that begins here, in its class */
	uint32_t head[RANGE_CLASSES];
};

struct range_used {
	uint32_t row, n;
};

void range_init(struct range *r, uint32_t rows);
void range_fini(struct range *r);               /* accepts a zeroed range */
/* First row. RANGE_NONE: no run is long enough, or fewer than keep rows would stay free. */
uint32_t range_take(struct range *r, uint32_t n, uint32_t keep);
void range_give(struct range *r, uint32_t row, uint32_t n); /* what range_take() or range_load() gave */
/*
 * Starts over with these rows taken (sorted in place). -EINVAL: they overlap or lie outside; then all is free.
 */
int range_load(struct range *r, struct range_used *u, size_t n);
