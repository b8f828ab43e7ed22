// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Another tool's program on the cgroup above, which lets nobody ask for SO_ORIGINAL_DST. */
#include "lib/kernel.h"

#define SO_ORIGINAL_DST 80

SEC("cgroup/getsockopt")
int foreign_ask(struct bpf_sockopt *ctx)
{
	return ctx->optname != SO_ORIGINAL_DST;
}

char LICENSE[] SEC("license") = "GPL";
