/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned byte queue: written at the tail, read at the head, chunks from the process's pool. One thread. An empty buf holds
 * no memory, so an idle connection costs none.
 */
#pragma once
#include <sys/uio.h>
#include "weft/types.h"

struct buf_chunk;
struct buf {
	struct buf_chunk *head, *tail;
	size_t len;                             /* readable bytes in all */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);                   /* accepts a zeroed buf */
/* Room of at least want bytes at the tail (want <= 16 KiB); *n says how much there is. NULL: out of memory. */
void *buf_room(struct buf *b, size_t want, size_t *n);
void buf_commit(struct buf *b, size_t n);       /* n bytes of that room were written */
int buf_add(struct buf *b, const void *p, size_t n); /* copies; 0 or -ENOMEM */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct slice buf_head(const struct buf *b);     /* first contiguous readable bytes; empty slice when none */
unsigned buf_iov(const struct buf *b, struct iovec *v, unsigned max); /* the first pieces, at most max; how many */
void buf_drop(struct buf *b, size_t n);         /* n bytes were consumed */
void buf_move(struct buf *to, struct buf *from); /* all of from to the end of to, no copy */
/* The first n bytes of from to the end of to: whole chunks move, of the last one a part may be copied. 0 or -ENOMEM. */
int buf_take(struct buf *to, struct buf *from, size_t n);
/* The first n bytes made contiguous (copied when split over chunks); NULL p when fewer are there or out of memory. */
struct slice buf_pull(struct buf *b, size_t n);
