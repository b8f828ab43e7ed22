/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/cells.h"
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/mem.h"

static uint32_t words(const struct cells *s)
{
	return (s->max + 63) / 64;
}

void cells_init(struct cells *s, uint32_t max)
{
	memset(s, 0, sizeof(*s));
	s->max = max;
	s->busy = mem_alloc(words(s) * sizeof(*s->busy));
	s->dirty = mem_alloc(words(s) * sizeof(*s->dirty));
	if (max % 64)
		s->busy[max / 64] = ~0ull << max % 64;
}

void cells_fini(struct cells *s)
{
	free(s->busy);
	free(s->dirty);
	memset(s, 0, sizeof(*s));
}

uint32_t cells_take(struct cells *s, bool *dirty)
{
	if (s->used == s->max)
		return CELLS_NONE;
	uint32_t w = s->next / 64;
	uint64_t free = ~s->busy[w] & ~0ull << s->next % 64;

	while (!free) {
		w = (w + 1) % words(s);
		free = ~s->busy[w];
	}
	uint64_t bit = free & -free;

	s->busy[w] |= bit;
	s->used++;
	*dirty = s->dirty[w] & bit;
	s->dirty[w] |= bit;
	s->next = w * 64 + (uint32_t)__builtin_ctzll(bit);
	uint32_t slot = s->next;

	s->next = (slot + 1) % s->max;
	return slot;
}

bool cells_claim(struct cells *s, uint32_t slot)
{
	uint64_t bit = 1ull << slot % 64;

	if (slot >= s->max || s->busy[slot / 64] & bit)
		return false;
	s->busy[slot / 64] |= bit;
	s->dirty[slot / 64] |= bit;
	s->used++;
	return true;
}

void cells_give(struct cells *s, uint32_t slot)
{
	uint64_t bit = 1ull << slot % 64;

	assert_always(slot < s->max && s->busy[slot / 64] & bit);
	s->busy[slot / 64] &= ~bit;
	s->used--;
}

void cells_all_dirty(struct cells *s)
{
	memset(s->dirty, 0xff, words(s) * sizeof(*s->dirty));
}
