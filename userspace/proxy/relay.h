/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from one connection to another, as they come: at most RELAY_BUFFER of them wait here, then the sender is not read
 * until the receiver takes some. What moves much goes through a pipe past this process (splice). One direction; one worker.
 */
#pragma once
#include "base/vec.h"
#include "net/conn.h"

#define RELAY_BUFFER 65536u
#define RELAY_SPLICE_FROM 65536u                /* bytes in a row, much of them at a time, before a pipe is worth its calls */
#define RELAY_MUCH 16384u                       /* at a time: below, two system calls and a copy cost less than three */
#define RELAY_LITTLE 4096u                      /* at a time: the pipe is left */
#define RELAY_PIPE_BYTES (256u * 1024)         /* in a pipe: more gives nothing, 64 KiB costs 15 % */
#define RELAY_BUDGET (1u << 20)                 /* bytes of one call: other work of the loop goes on */

struct relay_pipe {
	int in, out;                            /* written to, read from */
	size_t len;                             /* bytes within */
};

struct overload;

/* Pipes of one worker: empty ones are kept for the next. */
struct relay_pipes {
	VEC(struct relay_pipe *) idle;
	bool off;                               /* none is to be used */
	struct overload *overload;              /* the process's; NULL: its descriptors have no limit */
};
struct relay_pipe *relay_pipe_get(struct relay_pipes *pool); /* NULL: no descriptors */
void relay_pipe_put(struct relay_pipes *pool, struct relay_pipe *p); /* bytes within are dropped */
/* 0 = end, -EAGAIN, other -errno. One end is a pipe. */
ssize_t relay_splice(int from, int to, size_t n);
void relay_pipes_fini(struct relay_pipes *p);   /* accepts a zeroed one */

struct relay {                                  /* zeroed */
	struct buf buf;                         /* read and not yet written; the owner may put the first bytes there */
	struct relay_pipe *pipe;
	uint64_t bytes;                         /* taken from `from` */
	uint64_t spliced;                       /* of them, through a pipe */
	uint32_t run;                           /* of them, the last ones that came RELAY_MUCH at a time; counted to RELAY_SPLICE_FROM */
	bool eof;                               /* its FIN was read */
	bool shut;                              /* and passed on: nothing more comes */
};

enum relay_state { RELAY_WAIT, RELAY_MORE, RELAY_FROM_BROKE, RELAY_TO_BROKE };

/* On every event of either. WAIT: another event will come; MORE: call again later, no event will. */
enum relay_state relay_move(struct relay *r, struct conn *from, struct conn *to, struct relay_pipes *pipes);
void relay_fini(struct relay *r, struct relay_pipes *pipes); /* before the pipes; accepts a zeroed one */
