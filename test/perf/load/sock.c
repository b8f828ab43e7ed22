// SPDX-License-Identifier: Apache-2.0
/* Sockets that either work or end the program. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

void die(const char *format, ...)
{
	va_list ap;

	fputs("load: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("CPU %d: %s", cpu, strerror(errno));
}

int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

int tcp_dial(const struct options *o, enum kind kind)
{
	struct hello hi = {.kind = kind, .size = o->size};
	int fd = tcp_socket();

	if (connect(fd, (const void *)&o->to, sizeof(o->to)))
		die("connect: %s", strerror(errno));
	write_whole(fd, &hi, sizeof(hi));
	return fd;
}

void write_whole(int fd, const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = send(fd, (const char *)p + done, n - done, MSG_NOSIGNAL);

		if (k <= 0)
			die("send: %s", strerror(errno));
		done += k;
	}
}

void read_whole(int fd, void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = recv(fd, (char *)p + done, n - done, 0);

		if (k <= 0)
			die("recv: %s", k ? strerror(errno) : "the server has closed");
		done += k;
	}
}
