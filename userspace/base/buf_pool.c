// SPDX-License-Identifier: Apache-2.0
#include "base/buf_pool.h"

#include <stdlib.h>
#include "base/at_end.h"
#include "base/list.h"
#include "base/poison.h"

enum { SMALL, LARGE, KINDS };

struct pool {
	struct buf_chunk *free[KINDS];
	unsigned n[KINDS];
	int64_t bytes;
	struct at_end end;
};

/* Of programs, not of a library that is loaded later: an offset, no call. */
static __thread struct pool pool __attribute__((tls_model("initial-exec")));

static void pool_empty(struct pool *p)
{
	for (int k = 0; k < KINDS; k++) {
		while (p->free[k]) {
			struct buf_chunk *c = p->free[k];

			p->free[k] = c->next;
			unpoison(c->data, c->cap);
			p->bytes -= c->cap;
			free(c);
		}
		p->n[k] = 0;
	}
}

static void pool_end(struct at_end *e)
{
	pool_empty(container_of(e, struct pool, end));
}

void buf_pool_trim(void)
{
	pool_empty(&pool);
}

int64_t buf_pool_bytes(void)
{
	return pool.bytes;
}

static int kind(size_t cap)
{
	return cap == BUF_SMALL ? SMALL : cap == BUF_LARGE ? LARGE : KINDS;
}

static size_t round_up(size_t n)
{
	size_t cap = BUF_LARGE;

	if (n <= BUF_SMALL)
		return BUF_SMALL;
	while (cap < n)
		cap *= 2;
	return cap;
}

struct buf_chunk *buf_chunk_new(size_t n)
{
	struct buf_chunk *c;
	size_t cap;
	int k;

	if (n > UINT32_MAX / 2)
		return NULL;
	cap = round_up(n);
	k = kind(cap);
	if (k < KINDS && pool.free[k]) {
		c = pool.free[k];
		pool.free[k] = c->next;
		pool.n[k]--;
		unpoison(c->data, cap);
	} else {
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		pool.bytes += (int64_t)cap;
	}
	c->next = NULL;
	c->cap = cap;
	c->r = c->w = 0;
	return c;
}

void buf_chunk_free(struct buf_chunk *c)
{
	static const unsigned most[KINDS] = { BUF_POOL_SMALL, BUF_POOL_LARGE };
	int k = kind(c->cap);

	if (k == KINDS || pool.n[k] >= most[k] || (!pool.end.known && !at_end_call(&pool.end, pool_end))) {
		pool.bytes -= c->cap;
		free(c);
		return;
	}
	c->next = pool.free[k];
	pool.free[k] = c;
	pool.n[k]++;
	poison(c->data, c->cap);
}
