/* SPDX-License-Identifier: Apache-2.0 */
/* One connect() through io_uring, by the system calls themselves. */
#pragma once

#include <sys/socket.h>

/* The result of IORING_OP_CONNECT, or why there is no ring: a negative errno. Waits for it. */
int uring_connect(int fd, const struct sockaddr *sa, socklen_t len);
