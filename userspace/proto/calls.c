// SPDX-License-Identifier: Apache-2.0
#include "proto/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"

#define CALLS_FIRST 16u

void calls_fini(struct calls *t)
{
	free(t->v);
	*t = (struct calls){ 0 };
}

static uint32_t home_of(const struct calls *t, uint64_t id)
{
	return (uint32_t)id & (t->cap - 1);
}

static uint32_t distance(const struct calls *t, uint32_t i)
{
	return (i - home_of(t, t->v[i].id)) & (t->cap - 1);
}

/* Whoever is nearer to its home makes way: so what lies at home ends every search, and every gap. */
static void place(struct calls *t, struct call c)
{
	uint32_t i = home_of(t, c.id);

	for (uint32_t far = 0; t->v[i].id; i = (i + 1) & (t->cap - 1), far++) {
		struct call there = t->v[i];
		uint32_t its = distance(t, i);

		if (its >= far)
			continue;
		t->v[i] = c;
		c = there;
		far = its;
	}
	t->v[i] = c;
}

static int grow(struct calls *t)
{
	struct calls more = { .cap = t->cap ? 2 * t->cap : CALLS_FIRST, .n = t->n };

	more.v = calloc(more.cap, sizeof(*more.v));
	if (!more.v)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->v[i].id)
			place(&more, t->v[i]);
	free(t->v);
	*t = more;
	return 0;
}

int calls_add(struct calls *t, struct call c)
{
	assert_always(c.id);
	if (2 * t->n >= t->cap && grow(t))
		return -ENOMEM;
	place(t, c);
	t->n++;
	return 0;
}

struct call *calls_find(const struct calls *t, uint64_t id)
{
	if (!t->n)
		return NULL;
	for (uint32_t i = home_of(t, id), far = 0; t->v[i].id && distance(t, i) >= far; i = (i + 1) & (t->cap - 1), far++)
		if (t->v[i].id == id)
			return &t->v[i];
	return NULL;
}

struct call *calls_find_low(const struct calls *t, uint32_t low)
{
	if (!t->n)
		return NULL;
	for (uint32_t i = home_of(t, low), far = 0; t->v[i].id && distance(t, i) >= far; i = (i + 1) & (t->cap - 1), far++)
		if ((uint32_t)t->v[i].id == low)
			return &t->v[i];
	return NULL;
}

/* Those behind it that are not at home move up. */
void calls_del(struct calls *t, struct call *c)
{
	uint32_t mask = t->cap - 1, gap = (uint32_t)(c - t->v);

	assert_always(gap <= mask && c->id);
	for (uint32_t i = (gap + 1) & mask; t->v[i].id && distance(t, i); i = (i + 1) & mask) {
		t->v[gap] = t->v[i];
		gap = i;
	}
	memset(&t->v[gap], 0, sizeof(t->v[gap]));
	t->n--;
}
