/* SPDX-License-Identifier: Apache-2.0 */
/* Words that every other header uses. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Borrowed bytes: not terminated, may be empty; p may be NULL when n is 0. Valid as long as their owner says. */
struct slice {
	const char *p;
	size_t n;
};

struct arena;                                   /* one lifetime of memory (base/arena.h) */
struct buf;                                     /* owned byte queue (buf.h) */
struct err;                                     /* chain of words, control path only (err.h) */
struct msg;                                     /* head of one request or response (msg.h) */
