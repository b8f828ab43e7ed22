// SPDX-License-Identifier: Apache-2.0
/*
 * Entries lie dense in order of insertion; index[] is open addressing with linear probing over
 * them: 0 is free, i + 1 means v[i]. A removed entry stays where it is, with value NULL, so that
 * probing goes past it; growth leaves it behind.
 */
#include "base/table.h"

#include <stdlib.h>
#include "base/hash.h"
#include "base/magic.h"
#include "base/mem.h"

#define CAP_MIN 8u

void table_init(struct table *t, unsigned flags)
{
	*t = (struct table){ .flags = flags };
}

static void key_free(const struct table *t, struct table_entry *e)
{
	if (t->flags & TABLE_COPY_KEYS)
		free((char *)e->key.p);
}

void table_fini(struct table *t)
{
	for (struct table_entry *e = table_next(t, NULL); e; e = table_next(t, e))
		key_free(t, e);
	free(t->v);
	free(t->index);
	table_init(t, t->flags);
}

static void index_put(struct table *t, size_t i)
{
	size_t at = t->v[i].hash & (t->icap - 1);

	while (t->index[at])
		at = (at + 1) & (t->icap - 1);
	t->index[at] = i + 1;
}

/* A new index over the living entries, with room for as many again. */
static void rebuild(struct table *t)
{
	size_t cap = CAP_MIN, n = 0;
	struct table_entry *v;

	while (cap < 2 * t->n)
		cap *= 2;
	assert_always(cap < UINT32_MAX / 2);
	v = mem_alloc(cap * sizeof(*v));
	for (struct table_entry *e = table_next(t, NULL); e; e = table_next(t, e))
		v[n++] = *e;
	free(t->v);
	free(t->index);
	t->v = v;
	t->cap = cap;
	t->used = n;
	t->icap = 2 * cap;
	t->index = mem_alloc(t->icap * sizeof(*t->index));
	for (size_t i = 0; i < n; i++)
		index_put(t, i);
}

static struct table_entry *find(const struct table *t, struct slice key, uint64_t hash)
{
	if (!t->n)
		return NULL;
	for (size_t at = hash & (t->icap - 1); t->index[at]; at = (at + 1) & (t->icap - 1)) {
		struct table_entry *e = &t->v[t->index[at] - 1];

		if (e->value && e->hash == hash && slice_eq(e->key, key))
			return e;
	}
	return NULL;
}

void *table_get(const struct table *t, struct slice key)
{
	struct table_entry *e = t->n ? find(t, key, hash_bytes(key, hash_seed())) : NULL;

	return e ? e->value : NULL;
}

void *table_put(struct table *t, struct slice key, void *value)
{
	uint64_t hash = hash_bytes(key, hash_seed());
	struct table_entry *e = find(t, key, hash);

	assert_always(value);
	if (e) {
		void *old = e->value;

		e->value = value;
		/* A borrowed key often lies in the value that goes now. */
		if (!(t->flags & TABLE_COPY_KEYS))
			e->key = key;
		return old;
	}
	if (t->used == t->cap)
		rebuild(t);
	if (t->flags & TABLE_COPY_KEYS)
		key.p = mem_dup(key.p, key.n);
	t->v[t->used] = (struct table_entry){ key, value, hash };
	index_put(t, t->used++);
	t->n++;
	return NULL;
}

void *table_del(struct table *t, struct slice key)
{
	struct table_entry *e = t->n ? find(t, key, hash_bytes(key, hash_seed())) : NULL;
	void *old;

	if (!e)
		return NULL;
	old = e->value;
	key_free(t, e);
	e->value = NULL;
	e->key = (struct slice){ NULL, 0 };
	t->n--;
	return old;
}

struct table_entry *table_next(const struct table *t, const struct table_entry *e)
{
	for (size_t i = e ? (size_t)(e - t->v) + 1 : 0; i < t->used; i++) {
		if (t->v[i].value)
			return &t->v[i];
	}
	return NULL;
}
