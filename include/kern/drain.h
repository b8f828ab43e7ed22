/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the iterator drain_sockets writes for each socket of the sockhash. */
#pragma once

enum drain_state {
	DRAIN_EMPTY,                                /* no redirected byte waits: it may leave the map */
	DRAIN_BUSY,                                 /* none waits, but a thread is inside send() or recv() */
	DRAIN_UNREAD,                               /* some wait for the reader */
};

struct drain_row {
	__u64 cookie;                               /* key of sock_map */
	__u32 state;                                /* enum drain_state */
	__u32 pad;
};
_Static_assert(sizeof(struct drain_row) == 16, "");
