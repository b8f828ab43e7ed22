/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lifetime of memory: everything allocated from an arena is freed with it, whole. Chunks double up to 64 KiB; a
 * larger request gets a chunk of its own. One thread at a time. Never returns NULL: out of memory on the control path
 * aborts with a message (arena_try_alloc is there for input whose size a peer chose).
 */
#pragma once
#include "weft/types.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *head;               /* newest first */
	size_t used;                            /* bytes handed out */
	size_t held;                            /* bytes taken from malloc */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);               /* accepts a zeroed arena */
void arena_reset(struct arena *a);              /* forget everything, keep one chunk */
void *arena_alloc(struct arena *a, size_t n);   /* zeroed, aligned to 16 */
void *arena_try_alloc(struct arena *a, size_t n); /* NULL when malloc fails */
void *arena_try_room(struct arena *a, size_t n); /* the same, not zeroed */
char *arena_dup(struct arena *a, const void *p, size_t n); /* copy, NUL-terminated after n */
char *arena_str(struct arena *a, const char *s);
struct slice arena_slice(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_NEWN(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (n)))
