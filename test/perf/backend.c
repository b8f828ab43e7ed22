/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server behind every proxy of a benchmark: HTTP/1.1, one thread, as cheap as it gets. Any path answers 1,024 bytes,
 * /10m answers 10 MiB, /100 100 bytes; keep-alive unless the request says otherwise.
 *   backend PORT [ADDRESS]     ADDRESS: 127.0.0.1
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n"
#define SMALL 1024
#define LARGE (10 << 20)
#define TINY 100
#define KINDS 3
#define IN 4096

struct conn {
	int fd;
	bool closing;
	const char *out;                        /* of one of the answers */
	size_t left;
	size_t n;                               /* of in */
	char in[IN];
};

static char *answer[2 * KINDS];                 /* small, large, tiny; the same before closing */
static size_t answer_n[2 * KINDS];
static const int bodies[KINDS] = { SMALL, LARGE, TINY };
static int set;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void answer_make(int i, int body)
{
	answer[i] = malloc((size_t)body + 256);
	if (!answer[i])
		die("malloc");
	int head = sprintf(answer[i], HEAD, body, i < KINDS ? "" : "Connection: close\r\n");

	memset(answer[i] + head, 'x', (size_t)body);
	answer_n[i] = (size_t)(head + body);
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c);
}

/* True: all is sent. False: later, or the connection is gone (then *gone). */
static bool conn_send(struct conn *c, bool *gone)
{
	while (c->left) {
		ssize_t n = send(c->fd, c->out, c->left, MSG_NOSIGNAL);

		if (n < 0) {
			*gone = errno != EAGAIN;
			return false;
		}
		c->out += n;
		c->left -= (size_t)n;
	}
	*gone = c->closing;
	return !c->closing;
}

/* Takes one request out of in; false: there is no whole one. */
static bool conn_request(struct conn *c)
{
	char *end = memmem(c->in, c->n, "\r\n\r\n", 4);
	size_t used;
	int which;

	if (!end)
		return false;
	*end = '\0';
	c->closing = strcasestr(c->in, "\r\nconnection: close") != NULL;
	which = !strncmp(c->in, "GET /10m", 8) ? 1 : !strncmp(c->in, "GET /100 ", 9) ? 2 : 0;
	which += KINDS * c->closing;
	c->out = answer[which];
	c->left = answer_n[which];
	used = (size_t)(end - c->in) + 4;
	memmove(c->in, c->in + used, c->n - used);
	c->n -= used;
	return true;
}

static void conn_event(struct conn *c)
{
	bool gone = false;

	while (conn_send(c, &gone)) {
		if (conn_request(c))
			continue;
		ssize_t n = recv(c->fd, c->in + c->n, IN - c->n, 0);

		if (n <= 0) {
			gone = n == 0 || errno != EAGAIN;
			break;
		}
		c->n += (size_t)n;
	}
	if (gone)
		conn_close(c);
}

static void on_accept(int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };

		if (!c)
			die("calloc");
		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev))
			die("epoll_ctl");
	}
}

static int listen_on(const char *address, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(address) };
	struct epoll_event ev = { .events = EPOLLIN };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 4096))
		die("listen");
	if (epoll_ctl(set, EPOLL_CTL_ADD, s, &ev))
		die("epoll_ctl");
	return s;
}

int main(int argc, char **argv)
{
	struct epoll_event ev[256];
	struct rlimit files;
	int listener;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: backend PORT [ADDRESS]\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < 2 * KINDS; i++)
		answer_make(i, bodies[i % KINDS]);
	set = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on(argc == 3 ? argv[2] : "127.0.0.1", atoi(argv[1]));
	for (;;) {
		int n = epoll_wait(set, ev, 256, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				conn_event(ev[i].data.ptr);
			else
				on_accept(listener);
		}
	}
}
