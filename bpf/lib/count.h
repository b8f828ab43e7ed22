/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Counters by reason, one array per CPU. */
#pragma once

static __always_inline void count_reason(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&reason_map, &reason);

	if (n)
		*n += 1;
}
