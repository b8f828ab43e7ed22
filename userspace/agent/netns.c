/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weft/log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int netns_enter(int fd, int *back)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), err;

	if (own < 0)
		return -errno;
	if (!setns(fd, CLONE_NEWNET)) {
		*back = own;
		return 0;
	}
	err = -errno;
	close(own);
	return err;
}

void netns_leave(int take_back)
{
	if (setns(take_back, CLONE_NEWNET)) {
		log_error("agent", "cannot come back from another network namespace: %s", strerror(errno));
		abort();
	}
	close(take_back);
}

int netns_cookie_of(int sock_fd, uint64_t *out)
{
	socklen_t n = sizeof(*out);

	return getsockopt(sock_fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &n) ? -errno : 0;
}

int netns_cookie(uint64_t *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : netns_cookie_of(fd, out);

	if (fd >= 0)
		close(fd);
	return err;
}
