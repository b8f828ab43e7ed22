/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The indices are open addressing with linear probing. Removal closes the gap: what follows in the same run moves back
 * as far as its hash lets it, so that a lookup may end at the first free place.
 */
#include "kern/backs.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/magic.h"

#define CHUNK 256u                              /* backends, 12 KiB */
#define CAP_MIN 16u

typedef uint32_t back_hash(const struct back *b);

static struct back *back_at(const struct backs *s, uint32_t at)
{
	return &s->chunks.v[at / CHUNK][at % CHUNK];
}

static uint32_t key_hash(const struct back *b)
{
	char k[sizeof(b->addr) + sizeof(b->service) + sizeof(b->port)];

	memcpy(k, &b->addr, sizeof(b->addr));
	memcpy(k + sizeof(b->addr), &b->service, sizeof(b->service));
	memcpy(k + sizeof(b->addr) + sizeof(b->service), &b->port, sizeof(b->port));
	return (uint32_t)hash_bytes((struct slice){ k, sizeof(k) }, hash_seed());
}

/* Ids are given in turn and by nobody but us: the bits need spreading, not hiding. */
static uint32_t id_hash(const struct back *b)
{
	return (uint32_t)((b->id * 0x9e3779b97f4a7c15ull) >> 32);
}

static void index_put(const struct backs *s, uint32_t *index, uint32_t hash, uint32_t at)
{
	uint32_t i = hash & (s->cap - 1);

	while (index[i])
		i = (i + 1) & (s->cap - 1);
	index[i] = at + 1;
}

static void index_del(const struct backs *s, uint32_t *index, back_hash *hash, const struct back *b)
{
	uint32_t mask = s->cap - 1, gap = hash(b) & mask;

	while (index[gap] != b->at + 1)
		gap = (gap + 1) & mask;
	for (uint32_t i = (gap + 1) & mask; index[i]; i = (i + 1) & mask) {
		uint32_t home = hash(back_at(s, index[i] - 1)) & mask;

		/* It may move unless its home lies behind the gap. */
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		index[gap] = index[i];
		gap = i;
	}
	index[gap] = 0;
}

/* Room for one more, with a quarter free. */
static void indices_grow(struct backs *s)
{
	if (s->n < s->cap / 4 * 3)
		return;
	s->cap = s->cap ? 2 * s->cap : CAP_MIN;
	assert_always(s->cap);
	free(s->by_key);
	free(s->by_id);
	s->by_key = mem_alloc(s->cap * sizeof(*s->by_key));
	s->by_id = mem_alloc(s->cap * sizeof(*s->by_id));
	for (struct back *b = backs_next(s, NULL); b; b = backs_next(s, b)) {
		index_put(s, s->by_key, key_hash(b), b->at);
		index_put(s, s->by_id, id_hash(b), b->at);
	}
}

static uint32_t place_take(struct backs *s)
{
	uint32_t at;

	if (s->free) {
		at = s->free - 1;
		s->free = back_at(s, at)->at;
		return at;
	}
	if (s->used == s->chunks.n * CHUNK)
		vec_push(&s->chunks, mem_alloc(CHUNK * sizeof(struct back)));
	return s->used++;
}

void backs_fini(struct backs *s)
{
	for (size_t i = 0; i < s->chunks.n; i++)
		free(s->chunks.v[i]);
	vec_fini(&s->chunks);
	free(s->by_key);
	free(s->by_id);
	memset(s, 0, sizeof(*s));
}

struct back *backs_by_id(const struct backs *s, uint32_t id)
{
	struct back want = { .id = id };

	for (uint32_t i = id_hash(&want); s->n && s->by_id[i & (s->cap - 1)]; i++) {
		struct back *b = back_at(s, s->by_id[i & (s->cap - 1)] - 1);

		if (b->id == id)
			return b;
	}
	return NULL;
}

struct back *backs_by_key(const struct backs *s, const struct addr16 *addr, uint16_t port, uint32_t service)
{
	struct back want = { .addr = *addr, .port = port, .service = service };

	for (uint32_t i = key_hash(&want); s->n && s->by_key[i & (s->cap - 1)]; i++) {
		struct back *b = back_at(s, s->by_key[i & (s->cap - 1)] - 1);

		if (b->service == service && b->port == port && !memcmp(&b->addr, addr, sizeof(*addr)))
			return b;
	}
	return NULL;
}

struct back *backs_add(struct backs *s, const struct addr16 *addr, uint16_t port, uint32_t service, uint32_t id)
{
	uint32_t at;
	struct back *b;

	assert_always(id);
	indices_grow(s);
	at = place_take(s);
	b = back_at(s, at);
	*b = (struct back){ .addr = *addr, .port = port, .service = service, .id = id, .at = at };
	index_put(s, s->by_key, key_hash(b), at);
	index_put(s, s->by_id, id_hash(b), at);
	s->n++;
	return b;
}

void backs_del(struct backs *s, struct back *b)
{
	uint32_t at = b->at;

	index_del(s, s->by_key, key_hash, b);
	index_del(s, s->by_id, id_hash, b);
	*b = (struct back){ .at = s->free };
	s->free = at + 1;
	s->n--;
}

struct back *backs_next(const struct backs *s, const struct back *b)
{
	for (uint32_t at = b ? b->at + 1 : 0; at < s->used; at++) {
		struct back *next = back_at(s, at);

		if (next->id)
			return next;
	}
	return NULL;
}

struct backend back_wanted(const struct back *b)
{
	return (struct backend){ .addr = b->addr, .port = b->port, .state = b->state, .slot = b->slot,
				 .service = b->service, .weight = b->weight };
}

struct backend back_written(const struct back *b)
{
	struct backend v = back_wanted(b);

	v.state = b->written_state;
	v.weight = b->written_weight;
	return v;
}

bool back_differs(const struct back *b)
{
	return !b->written || b->state != b->written_state || b->weight != b->written_weight;
}
