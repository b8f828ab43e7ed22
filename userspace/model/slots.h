/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense small numbers for the keys of one kind of fact. A key keeps its number while any fact object of it lives, in the
 * store or in a snapshot, even when it is deleted and comes back; the lowest free number is given next. Control thread.
 */
#pragma once
#include "base/table.h"
#include "base/vec.h"

struct slots {
	VEC(uint32_t) users;                    /* living fact objects per slot; 0 = free */
	size_t low;                             /* no slot below it is free */
	struct table ghosts;                    /* keys that were deleted while somebody still knows them -> slot + 1 */
};

void slots_init(struct slots *s);
void slots_fini(struct slots *s);               /* accepts a zeroed one */
uint32_t slots_take(struct slots *s, struct slice key); /* first object of a key that the store does not have */
void slots_share(struct slots *s, uint32_t slot); /* one more object of the same key */
void slots_forget(struct slots *s, uint32_t slot, struct slice key); /* the store deleted key; its objects live on */
void slots_drop(struct slots *s, uint32_t slot, struct slice key); /* an object was freed */
