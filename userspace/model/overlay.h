/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found out about hosts and is no fact: active checks call one unhealthy, the proxy ejects one. Kept beside
 * snapshots, by the host's key, so that no state makes a new snapshot. Control thread.
 */
#pragma once
#include "base/table.h"
#include "weft/model.h"

enum {
	HOST_EJECTED = 1u << 0,                 /* by the proxy, for errors of its requests */
	HOST_UNHEALTHY = 1u << 1,               /* by active checks */
};

struct overlay {
	struct table hosts;                     /* by key; only those that are not well */
};

void overlay_init(struct overlay *o);
void overlay_fini(struct overlay *o);           /* accepts a zeroed one */
uint32_t overlay_get(const struct overlay *o, struct slice key); /* HOST_*; 0 = well, or not known; o NULL: 0 */
bool overlay_set(struct overlay *o, struct slice key, uint32_t set, uint32_t clear); /* false: nothing changed */
