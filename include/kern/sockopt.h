/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Options that getsockopt() of weft's own sockets has besides the kernel's, answered by programs on weft's own cgroup.
 * Where those do not run, the kernel says ENOPROTOOPT. Includes nothing.
 *
 * SO_ORIGINAL_DST (SOL_IP, struct sockaddr_in) and IP6T_SO_ORIGINAL_DST (SOL_IPV6, struct sockaddr_in6), both 80: of an
 * accepted connection that connect() had sent to its listener, what the client dialled. It can be asked once. For all
 * others the answer is the kernel's own.
 */
#pragma once

#define SOL_WEFT 0x7766
#define SO_WEFT_PAIRED 1            /* int, enum weft_paired: of a connection, may be asked at any time */

enum weft_paired {
	WEFT_PAIRED_NO,                             /* neither is it short-circuited nor will it ever be: splice(2) is safe */
	WEFT_PAIRED_MAYBE,                          /* a client's end whose server has not been seen yet */
	WEFT_PAIRED_YES,                            /* splice(2) may hang, as it does not see redirected bytes */
};
