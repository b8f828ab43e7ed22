/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy tells the agent: little-endian frames of {u32 length of what follows, u8 type, body}, the way back of
 * wire.h's stream. The agent trusts none of it: lengths are checked, numbers are only shown.
 */
#pragma once
#include "weft/buf.h"
#include "weft/err.h"

#define REPORT_VERSION 4
#define REPORT_FRAME_MAX 4096
#define REPORT_NAME_MAX 2048                    /* of a listener */
#define REPORT_STATS_MAX 64                     /* words of one set */

#define REPORT_ALIVE_MS 1000                    /* between two REPORT_ALIVE of a proxy that is well */

enum report_type {
	REPORT_HELLO = 1, REPORT_SNAPSHOT, REPORT_ALIVE, REPORT_SOCKET, REPORT_STAT, REPORT_HOST, REPORT_WANT, REPORT_TICKETS
};

struct report_hello {                           /* on every connection, behind the sockets that it has */
	uint32_t version;                       /* REPORT_VERSION */
	uint32_t wire;                          /* WIRE_VERSION it understands */
	uint32_t workers;
	uint64_t plugins;                       /* which ones it has loaded, by a hash; 0: none */
	char build[32];                         /* WEFT_VERSION, NUL-terminated */
};

/* Each appends one frame; 0 or -ENOMEM. */
int report_hello(struct buf *b, const struct report_hello *h);
int report_snapshot(struct buf *b, uint64_t number); /* every worker has adopted it */
int report_alive(struct buf *b, uint32_t stalest_ms); /* age of the oldest heartbeat among the workers */
/* A listening socket that a former agent has given it, back to the next one; its descriptor comes with the frame. Before
 * hello, so that no address is bound that is bound already. -EMSGSIZE: name beyond
 * REPORT_NAME_MAX. */
int report_socket(struct buf *b, struct slice listener, uint32_t index);
/* Counters of one set (weft/stat.h) for one name, a listener's say, summed over workers. -EMSGSIZE: too long a name. */
int report_stat(struct buf *b, struct slice set, struct slice name, const uint64_t *v, size_t n);

/* A host was ejected for so long; 0: it is back. */
int report_host(struct buf *b, struct slice host_key, uint32_t for_ms);

/* Sockets for connections to hosts, made in a namespace: as many frames come back (wire_sockets()), or fewer, or later. */
struct report_want {
	uint64_t netns;                         /* of a listener; others are refused */
	uint32_t worker;                        /* for which: comes back as it is */
	uint32_t n;
	uint8_t family;                         /* AF_INET, AF_INET6 */
};
int report_want(struct buf *b, const struct report_want *w);

int report_tickets(struct buf *b);              /* as report_socket(): the page of tickets' keys, back to the next agent */

struct report_sink {
	void (*hello)(void *arg, const struct report_hello *h);
	void (*snapshot)(void *arg, uint64_t number);
	void (*alive)(void *arg, uint32_t stalest_ms);
	void (*socket)(void *arg, struct slice listener, uint32_t index);
	/* Slices and v: for the call only. */
	void (*stat)(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n);
	void (*host)(void *arg, struct slice key, uint32_t for_ms); /* key: for the call only */
	void (*want)(void *arg, const struct report_want *w);
	void (*tickets)(void *arg);
};

/* Consumes the whole frames of b and leaves the rest. 0, or -EPROTO with words. Unknown types are skipped. */
int report_feed(struct buf *b, const struct report_sink *sink, void *arg, struct err *e);
