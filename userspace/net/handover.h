/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream with descriptors in it, over a unix stream socket. A descriptor travels with the byte that is appended
 * next, and the kernel delivers it no later than that byte: so a frame that is about a descriptor finds it with
 * handover_take(), in the order in which they were given. One thread.
 */
#pragma once
#include "base/vec.h"
#include "weft/buf.h"

#define HANDOVER_WAITING_MAX 1024               /* received and not taken: more is a peer that makes no sense */

struct handover_fd {
	uint64_t at;                            /* place in the stream */
	int fd;
};

struct handover {
	int fd;                                 /* not owned */
	struct buf in, out;                     /* read by, and written by, the owner */
	uint64_t sent;                          /* bytes of out that went */
	VEC(struct handover_fd) going;
	VEC(int) come;
};

void handover_init(struct handover *h, int fd);
void handover_fini(struct handover *h);         /* closes what was neither sent nor taken; accepts a zeroed one */
void handover_give(struct handover *h, int take_fd); /* goes with the next byte put into out; one each byte */
int handover_take(struct handover *h);          /* the oldest descriptor that came, the caller's now; -1: none */
/* Sends what the socket takes. 0: all of it, -EAGAIN: when writable again, other -errno. *n, unless NULL: bytes sent. */
int handover_flush(struct handover *h, size_t *n);
/* One read into in: bytes, 0 = end, -EAGAIN, -EMSGSIZE: too many descriptors, other -errno. */
ssize_t handover_receive(struct handover *h);
