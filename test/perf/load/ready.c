// SPDX-License-Identifier: Apache-2.0
/* When a daemon becomes ready: asks every 2 ms, as a shell cannot. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

static bool ask(const char *path)
{
	static const char request[] = "GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	static const char yes[] = "HTTP/1.1 200";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[sizeof(yes)] = "";
	bool ok;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ok = fd >= 0 && !connect(fd, (const void *)&a, sizeof(a)) &&
	     send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1 &&
	     recv(fd, answer, sizeof(yes) - 1, MSG_WAITALL) > 0 && !strcmp(answer, yes);
	if (fd >= 0)
		close(fd);
	return ok;
}

int ready(const struct options *o)
{
	static const struct timespec pause = {.tv_nsec = 2 * MSEC};
	uint64_t start = clock_ns();
	struct timespec now;

	while (!ask(o->path)) {
		if (clock_ns() - start > o->ns)
			die("not ready in time");
		nanosleep(&pause, NULL);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	printf("{\"seconds\":%.4f}\n", now.tv_sec + now.tv_nsec / 1e9 - o->since);
	return 0;
}
