/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other network namespaces: a few calls inside, and back. The agent has one thread, so nobody sees it away; whoever goes
 * comes back before anything else is done, and a process that cannot come back ends, as nothing it does would be right.
 */
#pragma once
#include "weft/types.h"

/* Into the namespace of descriptor fd. 0 and *back for netns_leave(), or -errno: nothing has changed. */
int netns_enter(int fd, int *back);
void netns_leave(int take_back);
int netns_cookie(uint64_t *out);                /* of the one this thread is in; 0 or -errno, before Linux 5.14 */
int netns_cookie_of(int sock_fd, uint64_t *out); /* of the one in which a socket was made */
