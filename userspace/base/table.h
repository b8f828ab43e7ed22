/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash table from bytes to a pointer. Keys are borrowed unless TABLE_COPY_KEYS; XXH3 with a seed of the process's own,
 * so that peers cannot choose collisions. One thread. Iteration order is insertion order as long as nothing was
 * removed; removing keeps the others' order.
 */
#pragma once
#include "weft/str.h"

#define TABLE_COPY_KEYS 1u

struct table_entry {
	struct slice key;
	void *value;
	uint64_t hash;
};

struct table {
	struct table_entry *v;                  /* dense; removed ones have value NULL until the next growth */
	uint32_t *index;
	size_t n, used, cap, icap;
	unsigned flags;
};

void table_init(struct table *t, unsigned flags);
void table_fini(struct table *t);               /* accepts a zeroed table; values are the caller's */
void *table_get(const struct table *t, struct slice key); /* NULL: absent */
/* Returns the value that was there, or NULL. value must not be NULL. */
void *table_put(struct table *t, struct slice key, void *value);
void *table_del(struct table *t, struct slice key);
/* for (struct table_entry *e = table_next(t, NULL); e; e = table_next(t, e)) */
struct table_entry *table_next(const struct table *t, const struct table_entry *e);
