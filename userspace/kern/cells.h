/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense small numbers: indices of rr_map, svc_stat_map and open_map. They are given in turn, so that one given back
 * rests as long as possible: something may still count on it. Its cell may need clearing then: cells_take() says so.
 */
#pragma once
#include "weft/types.h"

#define CELLS_NONE UINT32_MAX

struct cells {
	uint64_t *busy, *dirty;                 /* a bit per slot */
	uint32_t max, used, next;               /* next: where to look first */
};

void cells_init(struct cells *s, uint32_t max);
void cells_fini(struct cells *s);               /* accepts zeroed cells */
uint32_t cells_take(struct cells *s, bool *dirty); /* CELLS_NONE: all taken. dirty: somebody had it before */
bool cells_claim(struct cells *s, uint32_t slot); /* false: taken already, or beyond the end */
void cells_give(struct cells *s, uint32_t slot);
void cells_all_dirty(struct cells *s);          /* after adoption: cells hold what an earlier owner left */
