/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream whose every byte is a function of its seed and its position: loss, repetition,
 * reordering and bytes of another stream all show. Sockets are non-blocking; each wait ends at
 * PATIENCE_MS. Errors are negative: -EILSEQ a wrong byte, -ENODATA an early end, -ETIMEDOUT nothing
 * moved, others from the kernel.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PATIENCE_MS 60000

struct stream {
	uint64_t seed;
	uint64_t off;	/* bytes so far */
	uint64_t wrong; /* position of the first wrong byte, once there is one */
};

uint64_t mix64(uint64_t x);
/* The next number of a sequence; for sizes and choices. */
uint64_t draw(uint64_t *state);

void stream_bytes(const struct stream *s, uint64_t off, uint8_t *buf, size_t n);
/* buf is what came next. 0, or -EILSEQ with s->wrong. */
int stream_check(struct stream *s, const uint8_t *buf, size_t n);

/* Writes the next n bytes with send(flags); stream_hear() reads and checks exactly n. */
int stream_say(int fd, struct stream *s, size_t n, int flags);
int stream_hear(int fd, struct stream *s, size_t n);
/* The end of the stream comes next: 0, -EMSGSIZE when there are bytes, -ECONNRESET ... */
int stream_end(int fd);
/* poll() for events: 1 yes, 0 not within ms. */
int ready(int fd, short events, int ms);
/* Writes until the socket has taken no more for ms, or most bytes. How many, or -errno. */
ssize_t stream_fill(int fd, struct stream *s, size_t step, size_t most, int ms);
