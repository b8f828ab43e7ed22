// SPDX-License-Identifier: Apache-2.0
/* The server: as many answers in one write as there were calls in one read. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rpc.h"

static char answer[FRAME_MAX], pong[64];
static size_t answer_n, pong_n;

static void put(struct conn *c, const struct framing *f, const char *frame, size_t n, uint64_t id)
{
	char *p = conn_room(c, n);

	memcpy(p, frame, n);
	f->number(p, id);
}

/* False: it spoke nonsense. */
static bool answer_all(struct conn *c, const struct framing *f)
{
	struct frame frame;
	size_t at = 0;
	int r = 0;

	while (at < c->in_n && (r = f->read(c->in + at, c->in_n - at, &frame)) > 0 && frame.n <= c->in_n - at) {
		if (frame.event && !frame.answer)
			put(c, f, pong, pong_n, frame.id);
		else if (!frame.answer)
			put(c, f, answer, answer_n, frame.id);
		at += frame.n;
	}
	conn_used(c, at);
	return r >= 0;
}

static void on_conn(struct conn *c, const struct framing *f)
{
	bool again = true, good = conn_send(c);

	while (good && again && c->out_n < FRAME_MAX)
		good = conn_read(c, &again) && answer_all(c, f) && conn_send(c);
	if (!good)
		conn_free(c);
}

static void on_accept(int set, int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn_new(fd) };

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev))
			die("epoll_ctl");
	}
}

int serve(const struct options *o)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port), .sin_addr.s_addr = inet_addr(o->address) };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), set = epoll_create1(EPOLL_CLOEXEC), one = 1;
	struct epoll_event ev[256] = { { .events = EPOLLIN } };

	answer_n = o->framing->answer(answer, o->answer);
	pong_n = o->framing->pong ? o->framing->pong(pong) : 0;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 4096) || epoll_ctl(set, EPOLL_CTL_ADD, s, ev))
		die("cannot listen on %s:%d", o->address, o->port);
	for (;;) {
		int n = epoll_wait(set, ev, 256, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				on_conn(ev[i].data.ptr, o->framing);
			else
				on_accept(set, s);
		}
	}
}
