/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/range.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/mem.h"

/* Lengths below 16 have a class each, then four classes per power of two. */
static unsigned class_of(uint32_t n)
{
	if (n < 16)
		return n;
	unsigned top = 31 - (unsigned)__builtin_clz(n);

	return 16 + (top - 4) * 4 + ((n >> (top - 2)) & 3);
}

/* Smallest class whose every run holds n. */
static unsigned class_fit(uint32_t n)
{
	unsigned c = class_of(n);

	if (n < 16)
		return c;
	unsigned top = 31 - (unsigned)__builtin_clz(n);

	return n & ((1u << (top - 2)) - 1) ? c + 1 : c;
}

static void run_add(struct range *r, uint32_t row, uint32_t n)
{
	unsigned c = class_of(n);

	r->len[row] = r->len[row + n - 1] = n;
	r->prev[row] = RANGE_NONE;
	r->next[row] = r->head[c];
	if (r->head[c] != RANGE_NONE)
		r->prev[r->head[c]] = row;
	r->head[c] = row;
	r->frags++;
}

static void run_del(struct range *r, uint32_t row)
{
	uint32_t n = r->len[row];

	if (r->prev[row] == RANGE_NONE)
		r->head[class_of(n)] = r->next[row];
	else
		r->next[r->prev[row]] = r->next[row];
	if (r->next[row] != RANGE_NONE)
		r->prev[r->next[row]] = r->prev[row];
	r->len[row] = r->len[row + n - 1] = 0;
	r->frags--;
}

static void reset(struct range *r)
{
	memset(r->len, 0, r->rows * sizeof(*r->len));
	for (unsigned c = 0; c < RANGE_CLASSES; c++)
		r->head[c] = RANGE_NONE;
	r->used = r->frags = 0;
}

void range_init(struct range *r, uint32_t rows)
{
	assert_always(rows > 0);
	memset(r, 0, sizeof(*r));
	r->rows = rows;
	r->len = mem_alloc(rows * sizeof(*r->len));
	r->next = mem_alloc(rows * sizeof(*r->next));
	r->prev = mem_alloc(rows * sizeof(*r->prev));
	reset(r);
	run_add(r, 0, rows);
}

void range_fini(struct range *r)
{
	free(r->len);
	free(r->next);
	free(r->prev);
	memset(r, 0, sizeof(*r));
}

/* A run that fits: of the classes that surely do, else the first that happens to in n's own class. */
static uint32_t find(const struct range *r, uint32_t n)
{
	for (unsigned c = class_fit(n); c < RANGE_CLASSES; c++)
		if (r->head[c] != RANGE_NONE)
			return r->head[c];
	for (uint32_t row = r->head[class_of(n)]; row != RANGE_NONE; row = r->next[row])
		if (r->len[row] >= n)
			return row;
	return RANGE_NONE;
}

uint32_t range_take(struct range *r, uint32_t n, uint32_t keep)
{
	uint64_t left = r->rows - r->used;
	uint32_t row = n && left >= (uint64_t)n + keep ? find(r, n) : RANGE_NONE;

	if (row == RANGE_NONE)
		return RANGE_NONE;
	uint32_t all = r->len[row];

	run_del(r, row);
	if (all > n)
		run_add(r, row + n, all - n);
	r->used += n;
	return row;
}

void range_give(struct range *r, uint32_t row, uint32_t n)
{
	assert_always(n && row < r->rows && n <= r->rows - row && n <= r->used && !r->len[row]);
	r->used -= n;
	if (row + n < r->rows && r->len[row + n]) {
		uint32_t after = r->len[row + n];

		run_del(r, row + n);
		n += after;
	}
	if (row && r->len[row - 1]) {
		uint32_t before = r->len[row - 1];

		run_del(r, row - before);
		row -= before;
		n += before;
	}
	run_add(r, row, n);
}

static int used_cmp(const void *a, const void *b)
{
	uint32_t x = ((const struct range_used *)a)->row, y = ((const struct range_used *)b)->row;

	return (x > y) - (x < y);
}

int range_load(struct range *r, struct range_used *u, size_t n)
{
	uint32_t at = 0;

	reset(r);
	if (n)
		qsort(u, n, sizeof(*u), used_cmp);
	for (size_t i = 0; i < n; i++) {
		if (u[i].row < at || u[i].row >= r->rows || !u[i].n || u[i].n > r->rows - u[i].row) {
			reset(r);
			run_add(r, 0, r->rows);
			return -EINVAL;
		}
		if (u[i].row > at)
			run_add(r, at, u[i].row - at);
		at = u[i].row + u[i].n;
		r->used += u[i].n;
	}
	if (at < r->rows)
		run_add(r, at, r->rows - at);
	return 0;
}
