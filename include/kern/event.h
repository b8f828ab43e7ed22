/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Ring-buffer records of event_map. The consumer is kern/events.c; producers are sockops and connect. */
#pragma once
#include "kern/maps.h"

enum event_type {
	EVENT_CLOSE = 1,                            /* a paired connection has ended: struct event_conn */
	EVENT_REFUSED = 2,                          /* connect() was refused: struct event_refused */
	EVENT_ERROR = 3,                            /* an insertion failed: struct event_error */
	EVENT_NETNS = 4,                            /* an L7 service was dialled where nobody listens: struct event_netns */
};

struct event_head {
	__u64 ns;                                   /* CLOCK_MONOTONIC */
	__u16 type;                                 /* enum event_type */
	__u16 reason;                               /* enum reason */
	__u32 len;                                  /* of the whole record */
};

struct event_conn {
	struct event_head head;
	__u64 cookie[2];                            /* client, server */
	__u64 bytes[2];                             /* redirected: client to server, server to client */
	__u64 opened_ns;
	__u32 service, backend;
	__u32 workload[2];
};

struct event_refused {
	struct event_head head;
	struct addr16 addr;
	__u64 cgroup;
	__u16 port;                                 /* network order */
	__u8 proto;
	__u8 pad;
	__u32 service;
};

struct event_error {
	struct event_head head;
	__s32 err;                                  /* negative errno */
	__u32 pad;
};

struct event_netns {
	struct event_head head;
	__u64 netns;                                /* cookie of the client's namespace */
	__u64 cgroup;                               /* of its workload, else its own */
};
_Static_assert(sizeof(struct event_head) == 16, "");
_Static_assert(sizeof(struct event_conn) == 72, "");
_Static_assert(sizeof(struct event_refused) == 48, "");
_Static_assert(sizeof(struct event_error) == 24, "");
_Static_assert(sizeof(struct event_netns) == 32, "");
