/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for benchmarks, of RPC protocols and HTTP/1.1 alike: a server that answers, and clients with so many under way. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What stands at the head of some bytes. */
struct frame {
	size_t n;                               /* bytes in all */
	uint64_t id;
	bool answer, event;                     /* event: a heartbeat */
	bool good;                              /* an answer that says so */
};

/* How one protocol is written and read. Frames are made once; only their numbers differ. */
struct framing {
	const char *name;
	bool many;                              /* several calls at once on one connection */
	size_t (*ask)(char *out, size_t body);
	size_t (*answer)(char *out, size_t body);
	size_t (*pong)(char *out);              /* NULL: it has no heartbeats */
	void (*number)(char *frame, uint64_t id);
	/* 1: *f is filled; 0: more is needed; -1: no such frame. */
	int (*read)(const char *p, size_t n, struct frame *f);
};
const struct framing *framing_of(const char *name); /* ends the program where there is none */

#define FRAME_MAX (1u << 20)

struct conn {
	int fd;
	char *in, *out;
	size_t in_n, in_room, out_n, out_room;
	void *owner;
};

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
struct conn *conn_new(int fd);
void conn_free(struct conn *c);
bool conn_read(struct conn *c, bool *again);    /* once. False: it is over; *again: there may be more */
void conn_used(struct conn *c, size_t n);       /* the first n bytes of in */
char *conn_room(struct conn *c, size_t n);      /* to write n bytes to; they count */
bool conn_send(struct conn *c);                 /* as much as goes. False: it is over */

struct options {
	const struct framing *framing;
	const char *address;
	int port, conns, flight;                /* flight: calls under way on each connection */
	size_t ask, answer;                     /* bytes of bodies */
	double seconds;
};
int serve(const struct options *o);             /* until killed */
int load(const struct options *o);
