// SPDX-License-Identifier: Apache-2.0
/*
 * What nghttp2 allocates: blocks of a few sizes, kept by the thread for the next stream and connection, and counted for
 * each connection, so that no peer makes it hold more than HTTP2_MEMORY_MAX.
 *
 * Every session asks for a frame's room to write in, which it does while it sends and at no other time: what is in it is copied
 * before the next frame, and nothing is left when send_all() returns. So one of these serves all connections of a thread.
 */
#include "proto/http2_priv.h"

#include <stdlib.h>
#include "base/at_end.h"
#include "base/poison.h"

#define SMALLEST 64u
#define CLASSES 20u                             /* 64 bytes to 32 KiB and half as much again; larger ones are malloc's alone */
#define FRAME_ROOM (9u + 1 + 16384)             /* of nghttp2 for a frame that it writes: head, length of padding, payload */
#define CLASS_KEEP (128u << 10)                 /* bytes of one class that a thread keeps */

struct block {
	uint32_t size;                          /* of data */
	uint32_t class;                         /* CLASSES: malloc's alone */
	struct block *next;                     /* while it is free; itself: the thread's room for a frame */
	char data[];
};
_Static_assert(sizeof(struct block) == 16, "data is aligned as malloc's");

struct pool {
	struct block *free[CLASSES];
	uint32_t n[CLASSES];
	struct block *frame;                    /* NULL: not needed yet */
	struct at_end end;
};

/* Of programs, not of a library that is loaded later: an offset, no call. */
static __thread struct pool pool __attribute__((tls_model("initial-exec")));

static void pool_empty(struct at_end *e)
{
	struct pool *p = container_of(e, struct pool, end);

	free(p->frame);
	p->frame = NULL;
	for (unsigned k = 0; k < CLASSES; k++) {
		while (p->free[k]) {
			struct block *b = p->free[k];

			p->free[k] = b->next;
			unpoison(b->data, b->size);
			free(b);
		}
		p->n[k] = 0;
	}
}

/* Even ones are powers of two, odd ones half as much again. */
static size_t class_size(unsigned k)
{
	return (size_t)(k % 2 ? SMALLEST + SMALLEST / 2 : SMALLEST) << k / 2;
}

static unsigned class_of(size_t n)
{
	unsigned bits = n <= SMALLEST ? 6 : 64 - (unsigned)__builtin_clzll(n - 1), k = 2 * (bits - 6);

	/* Three quarters of the power of two are the odd class before it. */
	if (k && n <= 3ull << (bits - 2))
		k--;
	return k < CLASSES ? k : CLASSES;
}

static struct block *block_new(size_t n)
{
	unsigned k = class_of(n);
	struct block *b = k < CLASSES ? pool.free[k] : NULL;

	if (b) {
		pool.free[k] = b->next;
		pool.n[k]--;
		unpoison(b->data, b->size);
		b->next = NULL;
		return b;
	}
	if (k < CLASSES)
		n = class_size(k);
	b = malloc(sizeof(*b) + n);
	if (b)
		*b = (struct block){ .size = (uint32_t)n, .class = k };
	return b;
}

static void block_free(struct block *b)
{
	unsigned k = b->class;

	if (k == CLASSES || (uint64_t)pool.n[k] * b->size >= CLASS_KEEP ||
	    (!pool.end.known && !at_end_call(&pool.end, pool_empty))) {
		free(b);
		return;
	}
	b->next = pool.free[k];
	pool.free[k] = b;
	pool.n[k]++;
	poison(b->data, b->size);
}

/* The first room that a session asks for; of a head that takes more it gets its own. */
static void *frame_room(struct http2 *h)
{
	struct block *b = pool.frame;

	if (!b && at_end_call(&pool.end, pool_empty))
		b = pool.frame = malloc(sizeof(*b) + FRAME_ROOM);
	if (!b)
		return NULL;
	b->size = FRAME_ROOM;
	b->next = b;
	h->frame_room = true;
	return b->data;
}

static void *take(size_t n, void *arg)
{
	struct http2 *h = arg;
	struct block *b;

	if (n == FRAME_ROOM && !h->frame_room)
		return frame_room(h);
	/* The last block may be larger than what it is for. */
	if (h->held >= HTTP2_MEMORY_MAX || n > HTTP2_MEMORY_MAX - h->held)
		return NULL;
	b = block_new(n);
	if (!b)
		return NULL;
	h->held += b->size;
	return b->data;
}

static void give(void *p, void *arg)
{
	struct http2 *h = arg;
	struct block *b;

	if (!p)
		return;
	b = container_of(p, struct block, data);
	if (b->next == b) {
		h->frame_room = false;
		return;
	}
	h->held -= b->size;
	block_free(b);
}

static void *take_zeroed(size_t k, size_t n, void *arg)
{
	void *p = n && k > SIZE_MAX / n ? NULL : take(k * n, arg);

	if (p)
		memset(p, 0, k * n);
	return p;
}

static void *resize(void *p, size_t n, void *arg)
{
	struct block *b = p ? container_of(p, struct block, data) : NULL;
	void *q;

	if (b && n <= b->size)
		return p;
	q = take(n, arg);
	if (q && b) {
		memcpy(q, p, b->size);
		give(p, arg);
	}
	return q;
}

void http2_memory_init(struct http2 *h)
{
	h->mem = (nghttp2_mem){ h, take, give, take_zeroed, resize };
}
