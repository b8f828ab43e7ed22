/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of a struct proto_sink for who has nothing to do there. */
#pragma once
#include "weft/proto.h"

static inline void sink_no_trailers(void *arg, uint64_t id, struct msg *m)
{
	(void)arg;
	(void)id;
	(void)m;
}

/* For writable() and opaque(). */
static inline void sink_no_stream(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
}

static inline void sink_no_room(void *arg)
{
	(void)arg;
}

static inline void sink_no_goaway(void *arg, uint64_t last, enum proto_why why)
{
	(void)arg;
	(void)last;
	(void)why;
}

static inline void sink_no_ping(void *arg, uint64_t token, bool ack)
{
	(void)arg;
	(void)token;
	(void)ack;
}

static inline int sink_no_glitch(void *arg)
{
	(void)arg;
	return 0;
}
