/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of one worker by route and by cluster. A row lives as long as the worker, under its name, so that what was
 * counted is never lost; the control thread reads rows while the worker counts.
 */
#pragma once
#include "model/http_stat.h"
#include "weft/types.h"

enum traffic_kind { TRAFFIC_ROUTE, TRAFFIC_CLUSTER, TRAFFIC_KINDS };

struct traffic_row {
	struct traffic_row *next;               /* older; never changes once it can be seen */
	char *name;
	struct route_stat stat;
};

struct traffic {
	_Atomic(struct traffic_row *) rows[TRAFFIC_KINDS]; /* newest first */
	struct traffic_slot {
		struct traffic_row **v;         /* by the slot of the fact; the worker's */
		uint32_t n;
	} slot[TRAFFIC_KINDS];
};

/* The row of this name; slot: of its fact, to find it by. Worker. */
struct route_stat *traffic_row(struct traffic *t, enum traffic_kind kind, uint32_t slot, struct slice name);
void traffic_fini(struct traffic *t);           /* accepts a zeroed one; nobody may read any more */
