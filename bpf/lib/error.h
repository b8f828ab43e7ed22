/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Records of what should not have failed. A client that loops on a refused connect() must not drown the records of
 * others: at most EMIT_BURST records of a kind a second and CPU; the counters by reason count all of them.
 */
#pragma once

#include "lib/count.h"

static __always_inline bool emit_allowed(__u32 kind, __u64 now_ns)
{
	struct emit_rate *r = bpf_map_lookup_elem(&emit_map, &kind);

	if (!r)
		return false;
	if (now_ns - r->since_ns >= 1000000000) {
		r->since_ns = now_ns;
		r->n = 0;
	}
	return r->n++ < EMIT_BURST;
}

/* Something that should not fail did: counted always, told at a bounded rate. */
static __always_inline void emit_error(__u32 reason, long err)
{
	struct event_error e = {
		.head = { .ns = bpf_ktime_get_ns(), .type = EVENT_ERROR, .reason = reason, .len = sizeof(e) },
		.err = err,
	};

	count_reason(reason);
	if (emit_allowed(EMIT_FAULT, e.head.ns) && bpf_ringbuf_output(&event_map, &e, sizeof(e), 0))
		count_reason(REASON_EVENT_LOST);
}
