/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Ring-buffer records of the balancer, at the bounded rate of lib/error.h. */
#pragma once

#include "lib/range.h"
#include "lib/error.h"

static __always_inline void emit_refused(const struct ask *ask, const struct answer *a, __u64 cgroup)
{
	struct event_refused e = {
		.head = { .ns = ask->now_ns, .type = EVENT_REFUSED, .reason = a->reason, .len = sizeof(e) },
		.addr = ask->addr,
		.cgroup = cgroup,
		.port = ask->port,
		.proto = ask->proto,
		.service = a->service_id,
	};

	if (emit_allowed(EMIT_FAULT, ask->now_ns) && bpf_ringbuf_output(&event_map, &e, sizeof(e), 0))
		count_reason(REASON_EVENT_LOST);
}

/* The agent looks at the workload of this cgroup: has it a namespace that is not known yet? Not inline: the stack is full. */
static __noinline void emit_netns(const struct ask *ask, __u64 cgroup)
{
	struct event_netns e = {
		.head = { .ns = ask->now_ns, .type = EVENT_NETNS, .len = sizeof(e) },
		.netns = ask->netns,
		.cgroup = cgroup,
	};

	if (emit_allowed(EMIT_NETNS, ask->now_ns) && bpf_ringbuf_output(&event_map, &e, sizeof(e), 0))
		count_reason(REASON_EVENT_LOST);
}
