/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: a descriptor, its stack of net filters, its readiness. Registered once, edge-triggered (IN|OUT|RDHUP):
 * the owner reads and writes whenever it likes, and after -EAGAIN an event says when to try again. conn remembers that a
 * read was short or a write partial, so asking again before the event costs no system call: always read until -EAGAIN, 0
 * or an error, or read on by yourself later, no event comes for what is left. Without filters a read is one recv()
 * straight into the buf and a write one send() or sendmsg(): no other system call per byte moved. Embedded in its
 * owner's struct; idle it holds no buffer.
 *
 * One worker. Events come from the loop, never from within a call of the owner's. The owner frees itself through
 * loop_defer() only; it may conn_close() anywhere, but not from within a net filter's method.
 */
#pragma once
#include "event/loop.h"
#include "event/timer.h"
#include "weft/net_filter.h"

struct conn;
struct conn_stack;
struct tls_sessions;
struct conn_events {
	/*
	 * Stack open: c->peer is complete. Server: after accept and handshakes; client: connected, TLS done. readable()
	 * follows by itself.
	 */
	void (*open)(struct conn *c);
	void (*readable)(struct conn *c);       /* bytes, the peer's FIN, an error, or nothing: conn_read() says */
	void (*writable)(struct conn *c);       /* only after a write that took less than all */
	/*
	 * It never opened: err is -ETIMEDOUT, -ECONNREFUSED, -EPROTO (TLS, PROXY protocol), -EACCES (policy) ...;
	 * c->detail says why. Not after open(). The owner closes.
	 */
	void (*failed)(struct conn *c, int err);
	/*
	 * A server's connection without layers may be over in a moment: its owner reads when open() and readable() were
	 * called, at once, and says conn_watch() whenever it waits for more than room (loop_add_late()).
	 */
	bool late;
};

struct net_layer {                              /* one filter of a stack, bottom first */
	const struct net_filter_ops *ops;
	const void *conf;
	void *owner;                            /* whom keep holds while the layer lives, and with it conf */
	const struct net_keep {
		void (*hold)(void *owner);
		void (*drop)(void *owner);
		/* By whom the layer calls out; NULL: out of memory. Its end, with all calls: before any layer closes. */
		struct client *(*call)(void *owner, struct loop *l);
		void (*call_end)(struct client *take_c);
	} *keep;                                /* NULL: conf need not live behind start() */
};

struct conn {
	struct loop *loop;
	struct loop_io io;                      /* io.fd when io.active */
	const struct conn_events *on;
	/*
	 * From conn_open() to conn_close(). Until the loop's next turn the owner may put in what the layers are to say:
	 * source and original (PROXY protocol towards a host; capture), and sni by conn_ask_for().
	 */
	struct net_peer *peer;
	/* Of hosts, for TLS towards them; put in as what the layers are to say. NULL: each handshake is done in full. */
	struct tls_sessions *sessions;
	struct conn_stack *stack;               /* NULL: no filter is left, bytes are the socket's */
	struct timer timer;                     /* bounds the opening; then see guess() in conn.c */
	const char *detail;                     /* why it failed, for logs; lives as long as peer; NULL = nothing to say */
	int16_t read_err, write_err;            /* -errno: that direction is dead, and is asked no more */
	uint8_t guess_ms;                       /* of the last short read, by the loop's time, low bits */
	uint8_t asked;                          /* times that somebody wanted to know whether it is short-circuited */
	bool server : 1;
	bool connected : 1;                     /* client: TCP is */
	bool opened : 1;
	bool drained : 1;                       /* nothing there until the next event */
	bool guessed : 1;                       /* for a short read says so, no -EAGAIN */
	bool blocked : 1;                       /* a write waits for room */
	bool denied : 1;                        /* and there is room already, but no memory: tried again by time */
	bool wait : 1;                          /* the owner waits for writable() */
	bool hup : 1;                           /* the peer's FIN, or an error, has arrived: reads are never short */
	bool eof : 1;                           /* and was read */
	bool shutting : 1;                      /* conn_shut() waits for room for its close_notify */
	bool bare : 1;                          /* it is not short-circuited, nor will it ever be */
	bool many : 1;                          /* the last read filled its room: the next gets a large one */
};

/*
 * Takes over a connected (server) or connecting (client) non-blocking socket. layers need not outlive the call. 0 or -errno
 * (take_fd is closed). open_ms bounds connect and handshakes, 0: nothing does. c is zeroed or closed.
 */
int conn_open(struct conn *c, struct loop *l, int take_fd, bool server, const struct net_layer *layers, unsigned nlayers,
	      uint32_t open_ms, const struct conn_events *on);
/* conn_open() of what was accepted, whose addresses are known; NULL: the socket is asked. */
int conn_open_accepted(struct conn *c, struct loop *l, int take_fd, const struct net_addr *remote, const struct net_addr *local,
		       const struct net_layer *layers, unsigned nlayers, uint32_t open_ms, const struct conn_events *on);
int conn_ask_for(struct conn *c, struct slice sni); /* copied, unless a layer knows better; 0 or -ENOMEM */
/*
 * Appends what is there, about `most` bytes (without layers never more): bytes > 0, 0 = FIN (again and again), -EAGAIN,
 * other -errno = dead.
 */
ssize_t conn_read(struct conn *c, struct buf *dst, size_t most);
/* Sends from src and drops what went: bytes taken (0..), other -errno = dead. Less than src->len: writable() follows. */
ssize_t conn_write(struct conn *c, struct buf *src);
void conn_watch(struct conn *c);                /* see conn_events.late; harmless for others */
/* Nothing more is to be read until the next event: what conn_read() would say, too. */
static inline bool conn_drained(const struct conn *c)
{
	return c->drained && !c->stack && !c->hup;
}

/* close_notify, FIN; reading goes on. After all was written. 0 or -errno; what has no room yet goes by itself. */
int conn_shut(struct conn *c);
const char *conn_opening(const struct conn *c); /* name of the layer that is not open; NULL: none */
void conn_reset(struct conn *c);                /* the next conn_close() sends RST (SO_LINGER 0) */
void conn_close(struct conn *c);                /* no event follows; accepts a zeroed or closed one */
bool conn_is_open(const struct conn *c);        /* between conn_open() and conn_close() */
/*
 * The descriptor when every layer leaves the bytes of this direction (NET_WANT_*) as they are, and none is buffered: they
 * may be moved past conn (splice), if the socket is not short-circuited. Who gets EAGAIN there waits for the events here.
 * With layers left, an end or an error of reading is what conn_read() says. -1: not.
 */
int conn_raw_fd(struct conn *c, unsigned want);
bool conn_was_reset(const struct conn *c);      /* known though bytes before it are not read; the owner ends it then */
bool conn_may_splice(struct conn *c);           /* whether the socket is not; asked of the kernel, and remembered */
void conn_wait_writable(struct conn *c);        /* somebody else's write there got EAGAIN: writable() follows */
