/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks of struct buf: taken from and given back to a pool of the calling thread, which ends
 * with the thread.
 */
#pragma once
#include "weft/types.h"

struct buf_chunk {
	struct buf_chunk *next;
	uint32_t cap, r, w;                     /* bytes of data; read and write positions */
	char data[];
};

#define BUF_SMALL (4096u - sizeof(struct buf_chunk))
#define BUF_LARGE 16384u                        /* the largest buf_room() may be asked for */
/* Chunks that an idle thread keeps: 1 MiB of each kind. */
#define BUF_POOL_SMALL 256u
#define BUF_POOL_LARGE 64u

/* Holds at least n bytes: BUF_SMALL, BUF_LARGE, or a power of two above. NULL: out of memory. */
struct buf_chunk *buf_chunk_new(size_t n);
void buf_chunk_free(struct buf_chunk *c);
void buf_pool_trim(void);                       /* of this thread: what is kept for the next use goes */
/* Bytes that this thread took from the heap less those it gave back: over all threads, the bytes of all chunks. */
int64_t buf_pool_bytes(void);
