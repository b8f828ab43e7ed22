// SPDX-License-Identifier: Apache-2.0
/* One thread, one epoll set. A connection that says nothing is closed when its client goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BATCH 64
#define ROOM (256 << 10)

struct peer {
	int fd;
	struct hello hello;
	size_t told;                            /* bytes of hello */
	size_t got;                             /* KIND_ECHO: of the message that is coming in */
	uint64_t sunk;                          /* KIND_SINK */
	char *message;
};

static char room[ROOM];

static void peer_free(struct peer *p)
{
	close(p->fd);
	free(p->message);
	free(p);
}

static void peer_accept(int ep, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};
	struct peer *p;

	if (fd < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory");
	p->fd = fd;
	ev.data.ptr = p;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static bool peer_hello(struct peer *p)
{
	size_t left = sizeof(p->hello) - p->told;
	ssize_t n = recv(p->fd, (char *)&p->hello + p->told, left, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	p->told += n;
	if (p->told < sizeof(p->hello))
		return true;
	if (p->hello.kind == KIND_ECHO && !(p->message = malloc(p->hello.size)))
		die("out of memory");
	return p->hello.kind == KIND_ECHO || p->hello.kind == KIND_SINK;
}

static bool peer_echo(struct peer *p)
{
	ssize_t n = recv(p->fd, p->message + p->got, p->hello.size - p->got, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	p->got += n;
	if (p->got < p->hello.size)
		return true;
	p->got = 0;
	return send(p->fd, p->message, p->hello.size, MSG_NOSIGNAL) == (ssize_t)p->hello.size;
}

static bool peer_sink(struct peer *p)
{
	ssize_t n = recv(p->fd, room, sizeof(room), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	p->sunk += n;
	if (!n)
		send(p->fd, &p->sunk, sizeof(p->sunk), MSG_NOSIGNAL);
	return n > 0;
}

static bool peer_step(struct peer *p)
{
	if (p->told < sizeof(p->hello))
		return peer_hello(p);
	return p->hello.kind == KIND_ECHO ? peer_echo(p) : peer_sink(p);
}

static int listener_open(const struct options *o)
{
	int fd = tcp_socket();

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (const void *)&o->to, sizeof(o->to)) || listen(fd, 4096))
		die("port %d: %s", ntohs(o->to.sin_port), strerror(errno));
	return fd;
}

int serve(const struct options *o)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), listener = listener_open(o);
	struct epoll_event ev[BATCH] = {{.events = EPOLLIN}};

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev[0]);
	puts("ready");
	for (;;) {
		int n = epoll_wait(ep, ev, BATCH, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = ev[i].data.ptr;

			if (!p)
				peer_accept(ep, listener);
			else if (!peer_step(p))
				peer_free(p);
		}
	}
}
