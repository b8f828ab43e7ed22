// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * `weft explain`: what connect() would decide, by the same functions over the same maps, leaving no trace.
 */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/explain.h"
#include "lib/maps.h"
#include "lib/explain.h"

const volatile __u64 host_netns = 0;                /* cookie of the host's network namespace */

enum { EXPLAIN_DONE, EXPLAIN_NO_CTL };

/* Its own frame: the lineage is gone from the stack before the decision needs the room. */
static __noinline int client_find(struct explain *ctx, const struct ctl *ctl, struct caller *c)
{
	struct lineage of = {};

#pragma unroll
	for (int i = 0; i < CGROUP_LEVELS; i++) {
		of.cgroup[i] = ctx->ask.cgroup[i];
		if (of.cgroup[i])
			of.n = i + 1;
	}
	return caller_find(c, ctl, &of);
}

/* Its own frame too, after the decision. */
static __noinline int answer_write(struct explain *ctx, const struct ask *ask, const struct caller *c, const struct answer *a)
{
	struct explain_answer e = {};

	explain_answer(&e, ask, c, a);
	ctx->answer = e;
	return 0;
}

SEC("syscall")
int explain_decide(struct explain *ctx)
{
	__u32 zero = 0;
	struct ctl *ctl = bpf_map_lookup_elem(&ctl_map, &zero);
	struct answer a = {};
	struct caller c = {};
	struct ask ask = {};

	if (!ctl)
		return EXPLAIN_NO_CTL;
	client_find(ctx, ctl, &c);
	ask.addr = ctx->ask.addr;
	ask.port = ctx->ask.port;
	ask.proto = ctx->ask.proto;
	ask.dry = ctx->ask.later ? DRY_LATER : DRY_NEXT;
	ask.rnd = ctx->ask.rnd;
	ask.now_ns = ctx->ask.now_ns ?: bpf_ktime_get_ns();
	ask.client = client_id(&c, ctx->ask.netns, host_netns);
	ask.netns = netns_key(ctx->ask.netns, host_netns);
	explain_choose(&a, &ask, &ctx->ask, &c, ctl);
	answer_write(ctx, &ask, &c, &a);
	return EXPLAIN_DONE;
}

char LICENSE[] SEC("license") = "GPL";
