/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: a descriptor, its stack of net filters, its readiness. Registered once, edge-triggered (IN|OUT|RDHUP):
 * the owner reads and writes whenever it likes, and after -EAGAIN (or a short read, which conn_read() remembers) an event
 * says when to try again. Without filters a read is one recv() straight into the buf and a write one send() or
 * writev(): no other system call per byte moved. Embedded in its owner's struct; idle it holds no buffer.
 *
 * One worker. Events come from the loop, never from within a call of the owner's. The owner frees itself through
 * loop_defer() only.
 */
#pragma once
#include "event/loop.h"
#include "event/timer.h"
#include "weft/net_filter.h"

struct conn;
struct conn_events {
	/* Stack open: c->peer is complete. Server: after accept; client: connected, TLS done. Readable follows by itself. */
	void (*open)(struct conn *c);
	void (*readable)(struct conn *c);       /* bytes, the peer's FIN, or an error: conn_read() says */
	void (*writable)(struct conn *c);       /* only after a write that took less than all */
	/* It never opened: err is -ETIMEDOUT, -ECONNREFUSED, -EPROTO (TLS) ...; c->detail says why. Not after open(). */
	void (*failed)(struct conn *c, int err);
};

struct net_layer {                              /* one filter of a stack, bottom first */
	const struct net_filter_ops *ops;
	const void *conf;
};

struct conn {
	struct loop *loop;
	struct loop_io io;                      /* io.fd: -1 = closed */
	const struct conn_events *on;
	struct net_peer *peer;                  /* from conn_open() to conn_close() */
	struct conn_stack *stack;               /* NULL: no filter is left, bytes are the socket's */
	struct timer timer;                     /* bounds the opening */
	const char *detail;                     /* static or the stack's: why it failed, for logs; NULL = nothing to say */
	bool opened;
	bool drained;                           /* the last read was short: nothing there until the next event */
	bool blocked;                           /* a write waits for room */
	bool eof;                               /* the peer's FIN was read */
	bool unread;                            /* a layer has bytes although the socket has none */
};

/* Takes over a connected (server) or connecting (client) non-blocking socket. layers are const and outlive it. 0 or -errno
 * (take_fd is closed). open_ms bounds connect and handshakes. */
int conn_open(struct conn *c, struct loop *l, int take_fd, bool server, const struct net_layer *layers, unsigned nlayers,
	      uint32_t open_ms, const struct conn_events *on);
/* Appends what is there, at most about `most` bytes: bytes > 0, 0 = FIN, -EAGAIN, other -errno = dead. */
ssize_t conn_read(struct conn *c, struct buf *dst, size_t most);
/* Sends from src and drops what went: bytes taken (0..), other -errno = dead. Less than src->len: writable() follows. */
ssize_t conn_write(struct conn *c, struct buf *src);
int conn_shut(struct conn *c);                  /* close_notify, FIN; reading goes on */
void conn_reset(struct conn *c);                /* the next conn_close() sends RST (SO_LINGER 0) */
void conn_close(struct conn *c);                /* no event follows; accepts a zeroed or closed one */
/* The descriptor when every layer is transparent and nothing is buffered: bytes may be moved past conn (splice). -1: not. */
int conn_raw_fd(struct conn *c);
