/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether a proxy worker is alive, by the heartbeat words: needs nobody to notice that it was killed or stopped. */
#pragma once

#include "lib/addr.h"

static __always_inline bool beat_fresh(__u64 beat_ns, __u64 now_ns, __u32 timeout_ms)
{
	return beat_ns && (__s64)(now_ns - beat_ns) <= (__s64)timeout_ms * 1000000;
}

static __always_inline bool proxy_alive(const struct ctl *ctl, __u64 now_ns)
{
	for (__u32 i = 0; i < WORKERS_MAX && i < ctl->nworkers; i++) {
		__u32 worker = i;
		__u64 *beat = bpf_map_lookup_elem(&beat_map, &worker);

		if (beat && beat_fresh(*beat, now_ns, ctl->beat_timeout_ms))
			return true;
	}
	return false;
}
