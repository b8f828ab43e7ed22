/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What programs on getsockopt() and setsockopt() share. */
#pragma once

#define OPTVAL_MAX 4096                             /* the kernel shows one page of a longer value */

enum { SOCKOPT_REFUSED, SOCKOPT_OK };

/* Not ours: as the application, or the kernel, gave it. */
static __always_inline int pass(struct bpf_sockopt *ctx)
{
	if (ctx->optlen > OPTVAL_MAX)
		ctx->optlen = 0;
	return SOCKOPT_OK;
}

/* getsockopt(): so many bytes of optval are the answer. */
static __always_inline int answered(struct bpf_sockopt *ctx, __s32 len)
{
	ctx->optlen = len;
	/* The two lie side by side, and one store of both is refused. */
	asm volatile("" ::: "memory");
	ctx->retval = 0;
	return SOCKOPT_OK;
}
