/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of a proxy: a relay that parses nothing. One thread, one edge-triggered epoll set, one connection to the
 * server for each of a client; read until short, send at once. What it costs is what the kernel costs.
 *   relay -l [ADDRESS:]PORT -u [ADDRESS:]PORT [-s]     127.0.0.1; -s: a direction that fills a whole read goes on by splice(2)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUF (64 << 10)
#define PIPE (1 << 20)

/* One end of a relayed connection. What it has read and the other could not take yet waits in it. */
struct end {
	int fd;
	struct end *peer;
	bool rdhup, eof, shut;                  /* rdhup: said by epoll, so that a short read is not the end of it */
	char *left;                             /* bytes [at, n) that wait */
	size_t at, n;
	bool bulk;                              /* -s: its pipe is open */
	int pipe[2];
	size_t piped;
	struct end *next_dead;
};

static int set;
static bool use_splice;
static struct end *dead;                        /* closed in this round: later events may still name them */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Port 0: it is none. */
static struct sockaddr_in address(char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char *port = strchr(text, ':');

	if (port)
		*port++ = 0;
	if (!port || inet_pton(AF_INET, text, &a.sin_addr) == 1)
		a.sin_port = htons((uint16_t)atoi(port ? port : text));
	return a;
}

static void both_close(struct end *e)
{
	struct end *both[2] = { e, e->peer };

	if (e->fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		close(both[i]->fd);
		both[i]->fd = -1;
		both[i]->next_dead = dead;
		dead = both[i];
	}
}

static void bury(void)
{
	while (dead) {
		struct end *e = dead;

		dead = e->next_dead;
		free(e->left);
		if (e->bulk) {
			close(e->pipe[0]);
			close(e->pipe[1]);
		}
		free(e);
	}
}

/* ---- moving: true when more may follow at once, false when the kernel has to say so --------------------------- */

static bool flush_left(struct end *e)
{
	while (e->at < e->n) {
		ssize_t n = send(e->peer->fd, e->left + e->at, e->n - e->at, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN)
				both_close(e);
			return false;
		}
		e->at += (size_t)n;
	}
	return true;
}

static void keep(struct end *e, const char *p, size_t n)
{
	if (!e->left && !(e->left = malloc(BUF)))
		die("malloc");
	memcpy(e->left, p, n);
	e->at = 0;
	e->n = n;
}

static void bulk_begin(struct end *e)
{
	if (!use_splice || pipe2(e->pipe, O_NONBLOCK | O_CLOEXEC))
		return;
	(void)fcntl(e->pipe[1], F_SETPIPE_SZ, PIPE); /* a user may have so many large ones */
	e->bulk = true;
}

static bool move_copy(struct end *e)
{
	static char buf[BUF];
	ssize_t got, put;

	if (!flush_left(e))
		return false;
	got = recv(e->fd, buf, sizeof(buf), 0);
	if (got <= 0) {
		e->eof = got == 0;
		if (got < 0 && errno != EAGAIN)
			both_close(e);
		return false;
	}
	put = send(e->peer->fd, buf, (size_t)got, MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN) {
		both_close(e);
		return false;
	}
	if (got == BUF)
		bulk_begin(e);
	if (put < got)
		keep(e, buf + (put > 0 ? put : 0), (size_t)(got - (put > 0 ? put : 0)));
	return put == got && (got == BUF || e->rdhup);
}

static bool move_splice(struct end *e)
{
	ssize_t n;

	if (!flush_left(e))
		return false;
	n = e->piped ? 0 : splice(e->fd, NULL, e->pipe[1], NULL, PIPE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (!e->piped && n <= 0) {
		e->eof = n == 0;
		if (n < 0 && errno != EAGAIN)
			both_close(e);
		return false;
	}
	e->piped += (size_t)n;
	while (e->piped) {
		n = splice(e->pipe[0], NULL, e->peer->fd, NULL, e->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n <= 0) {
			if (n == 0 || errno != EAGAIN)
				both_close(e);
			return false;
		}
		e->piped -= (size_t)n;
	}
	return true;
}

static void drain(struct end *e)
{
	while (e->fd >= 0 && !e->eof && (e->bulk ? move_splice(e) : move_copy(e)))
		;
	if (e->fd < 0 || !e->eof || e->shut || e->at < e->n || e->piped)
		return;
	e->shut = true;
	shutdown(e->peer->fd, SHUT_WR);
	if (e->peer->shut)
		both_close(e);
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static struct end *end_new(int fd)
{
	struct end *e = calloc(1, sizeof(*e));
	int one = 1;

	if (!e)
		die("calloc");
	e->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return e;
}

static void watch(struct end *e)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = e };

	if (epoll_ctl(set, EPOLL_CTL_ADD, e->fd, &ev))
		die("epoll_ctl");
}

static void take(int client, const struct sockaddr_in *to)
{
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct end *c, *s;

	/* Blocking: on loopback it is over at once. */
	if (server < 0 || connect(server, (const struct sockaddr *)to, sizeof(*to))) {
		close(client);
		if (server >= 0)
			close(server);
		return;
	}
	fcntl(server, F_SETFL, O_NONBLOCK);
	c = end_new(client);
	s = end_new(server);
	c->peer = s;
	s->peer = c;
	watch(c);
	watch(s);
}

static int listen_on(const struct sockaddr_in *here)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (const struct sockaddr *)here, sizeof(*here)) || listen(s, 4096))
		die("listen");
	if (epoll_ctl(set, EPOLL_CTL_ADD, s, &ev))
		die("epoll_ctl");
	return s;
}

static void run(int listener, const struct sockaddr_in *to)
{
	struct epoll_event ev[256];

	for (;;) {
		int n = epoll_wait(set, ev, 256, -1), fd;

		for (int i = 0; i < n; i++) {
			struct end *e = ev[i].data.ptr;

			if (!e) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
					take(fd, to);
				continue;
			}
			e->rdhup |= (ev[i].events & (EPOLLRDHUP | EPOLLHUP)) != 0;
			if (e->fd >= 0 && ev[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
				drain(e);
			if (e->fd >= 0 && ev[i].events & EPOLLOUT && (e->peer->at < e->peer->n || e->peer->piped))
				drain(e->peer);
		}
		bury();
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct sockaddr_in here = { 0 }, server = { 0 };
	int o;

	while ((o = getopt(argc, argv, "l:u:s")) != -1) {
		if (o == 'l')
			here = address(optarg);
		else if (o == 'u')
			server = address(optarg);
		else if (o == 's')
			use_splice = true;
		else
			return 2;
	}
	if (!here.sin_port || !server.sin_port) {
		fprintf(stderr, "usage: relay -l [ADDRESS:]PORT -u [ADDRESS:]PORT [-s]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);               /* splice() knows no MSG_NOSIGNAL */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	set = epoll_create1(EPOLL_CLOEXEC);
	run(listen_on(&here), &server);
}
