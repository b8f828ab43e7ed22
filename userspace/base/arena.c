// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/poison.h"

#define ALIGN 16
#define CHUNK_MIN 1024u /* bytes with the head: many arenas hold one small cluster */
#define CHUNK_MAX 65536u

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;                            /* of data */
	size_t used;                            /* of data, multiple of ALIGN */
	size_t pad;
	char data[];
};

_Static_assert(sizeof(struct arena_chunk) % ALIGN == 0,
	       "data is aligned as malloc aligns the head");

void arena_init(struct arena *a)
{
	*a = (struct arena){ 0 };
}

static void chunk_free(struct arena *a, struct arena_chunk *c)
{
	a->held -= sizeof(*c) + c->size;
	unpoison(c->data, c->size);
	free(c);
}

void arena_fini(struct arena *a)
{
	struct arena_chunk *next;

	for (struct arena_chunk *c = a->head; c; c = next) {
		next = c->next;
		chunk_free(a, c);
	}
	arena_init(a);
}

static bool chunk_ordinary(const struct arena_chunk *c)
{
	return sizeof(*c) + c->size <= CHUNK_MAX;
}

void arena_reset(struct arena *a)
{
	struct arena_chunk *keep = NULL, *next;

	for (struct arena_chunk *c = a->head; c; c = next) {
		next = c->next;
		if (!keep && chunk_ordinary(c))
			keep = c;
		else
			chunk_free(a, c);
	}
	if (keep) {
		keep->next = NULL;
		keep->used = 0;
		poison(keep->data, keep->size);
	}
	a->head = keep;
	a->used = 0;
}

/*
 * Twice the newest one's size, enough for n; or a chunk of exactly n when that is more than
 * CHUNK_MAX.
 */
static size_t chunk_size(const struct arena *a, size_t n)
{
	size_t size = CHUNK_MIN;

	if (sizeof(struct arena_chunk) + n > CHUNK_MAX)
		return n;
	if (a->head)
		size = 2 * (sizeof(struct arena_chunk) + a->head->size);
	while (size < sizeof(struct arena_chunk) + n)
		size *= 2;
	return (size > CHUNK_MAX ? CHUNK_MAX : size) - sizeof(struct arena_chunk);
}

/* An oversized chunk goes behind the head, so that the head's free rest stays in use. */
static struct arena_chunk *chunk_new(struct arena *a, size_t n)
{
	size_t size = chunk_size(a, n);
	struct arena_chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	c->size = size;
	c->used = 0;
	poison(c->data, size);
	a->held += sizeof(*c) + size;
	if (a->head && !chunk_ordinary(c)) {
		c->next = a->head->next;
		a->head->next = c;
	} else {
		c->next = a->head;
		a->head = c;
	}
	return c;
}

/* Room for n bytes, not zeroed; n is a multiple of ALIGN. */
static void *take(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->head;
	void *p;

	if (!c || c->size - c->used < n)
		c = chunk_new(a, n);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += n;
	a->used += n;
	return p;
}

void *arena_try_room(struct arena *a, size_t n)
{
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	/* At least one byte, so that every answer is a place of its own. */
	p = take(a, ((n ? n : 1) + ALIGN - 1) & ~(size_t)(ALIGN - 1));
	if (p)
		unpoison(p, n);
	return p;
}

void *arena_try_alloc(struct arena *a, size_t n)
{
	void *p = arena_try_room(a, n);

	return p ? memset(p, 0, n) : NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_try_alloc(a, n);

	if (!p) {
		fprintf(stderr, "out of memory (%zu bytes)\n", n);
		abort();
	}
	return p;
}

char *arena_dup(struct arena *a, const void *p, size_t n)
{
	char *d = arena_alloc(a, n + 1);

	if (n)
		memcpy(d, p, n);
	return d;
}

char *arena_str(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s));
}

struct slice arena_slice(struct arena *a, struct slice s)
{
	return (struct slice){ arena_dup(a, s.p, s.n), s.n };
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *s;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
	if (n > 0)
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}
