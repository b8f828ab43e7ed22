/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Ring-buffer records of the balancer, at the bounded rate of lib/error.h. */
#pragma once

#include "lib/service.h"
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

	if (emit_allowed(ask->now_ns) && bpf_ringbuf_output(&event_map, &e, sizeof(e), 0))
		count_reason(REASON_EVENT_LOST);
}
