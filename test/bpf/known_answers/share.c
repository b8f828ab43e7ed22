// SPDX-License-Identifier: Apache-2.0
/* The share of accelerated directions when clients write at once: two namespaces, client on core 0, server on core 1. */
#include "known_answers.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/event.h"
#include "kern/selftest_priv.h"
#include "link.h"
#include "weft/err.h"

#define PORT 7001
#define SIZE 100                                /* bytes of a message */
#define CLIENTS 8                               /* processes */

struct options {
	int n, rounds, delay_us, percent;
	bool defer;
};

struct tally {
	unsigned closed, accelerated[2];
};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static bool whole(int fd, uint8_t *buf, bool out)
{
	for (size_t done = 0; done < SIZE;) {
		ssize_t n = out ? send(fd, buf + done, SIZE - done, MSG_NOSIGNAL) : recv(fd, buf + done, SIZE - done, 0);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* Echoes whole messages until killed. */
static void serve(const struct options *o, int ready)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), ep = epoll_create1(0), one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = s};
	uint8_t buf[SIZE];

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (o->defer)
		setsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){5}, sizeof(int));
	if (bind(s, (void *)&a, sizeof(a)) || listen(s, 1024))
		exit(1);
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	if (write(ready, "r", 1) != 1)
		exit(1);
	while (epoll_wait(ep, &ev, 1, -1) == 1) {
		int fd = ev.data.fd;

		if (fd == s) {
			ev = (struct epoll_event){.events = EPOLLIN, .data.fd = accept(s, NULL, NULL)};
			epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
		} else if (!whole(fd, buf, false) || !whole(fd, buf, true)) {
			close(fd);
		}
	}
	exit(0);
}

static int one_connection(const struct options *o)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = socket(AF_INET, SOCK_STREAM, 0), bad = 0;
	struct timeval patience = {.tv_sec = 60};
	uint64_t off = 0;

	inet_pton(AF_INET, "10.77.0.2", &a.sin_addr);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(s, (void *)&a, sizeof(a)))
		bad = 1;
	for (int i = 0; i < o->rounds && !bad; i++, off += SIZE) {
		uint8_t buf[SIZE];

		stream_fill(buf, SIZE, off);
		bad = !whole(s, buf, true);
		memset(buf, 0, sizeof(buf));
		if (!bad)
			bad = !whole(s, buf, false) || stream_check(buf, SIZE, off) != SIZE;
	}
	close(s);
	return bad;
}

static void dial(const struct options *o, int n)
{
	int bad = 0;

	while (n-- > 0)
		bad += one_connection(o);
	exit(bad > 255 ? 255 : bad);
}

static int on_event(void *ctx, void *data, size_t len)
{
	const struct event_conn *ev = data;
	struct tally *t = ctx;

	if (len < sizeof(*ev) || ev->head.type != EVENT_CLOSE)
		return 0;
	t->closed++;
	for (int i = 0; i < 2; i++)
		t->accelerated[i] += ev->bytes[i] > 0;
	return 0;
}

/* A child in namespace i of the link and in the cgroup, on a core of its own. */
static pid_t spawn(const struct kit *k, const struct link *l, int i)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (kit_enter(k) || link_enter(l, i))
		exit(255);
	pin(i % sysconf(_SC_NPROCESSORS_ONLN));
	return 0;
}

static int measure(const struct options *o, struct kit *k, const struct link *l)
{
	struct tally t = {0};
	struct ring_buffer *rb = ring_buffer__new(k->map[KIT_EVENT], on_event, &t, NULL);
	int pipefd[2], status, bad = 0, left = CLIENTS;
	pid_t server, client[CLIENTS];
	double share;
	char c;

	if (!rb || pipe(pipefd))
		return 1;
	if (!(server = spawn(k, l, 1)))
		serve(o, pipefd[1]);
	if (read(pipefd[0], &c, 1) != 1)
		return 1;
	for (int i = 0; i < CLIENTS; i++)
		if (!(client[i] = spawn(k, l, 0)))
			dial(o, o->n / CLIENTS);
	while (left) {
		ring_buffer__poll(rb, 50);
		ring_buffer__consume(rb);
		while (left && waitpid(client[CLIENTS - left], &status, WNOHANG) > 0) {
			bad += WEXITSTATUS(status);
			left--;
		}
	}
	/* Records of closed connections wake nobody: they are looked for. */
	for (int i = 0; i < 20 && t.closed < (unsigned)o->n; i++) {
		ring_buffer__poll(rb, 50);
		ring_buffer__consume(rb);
	}
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ring_buffer__free(rb);
	share = 100.0 * (t.accelerated[0] + t.accelerated[1]) / (2.0 * o->n);
	printf("share connections=%d delay_us=%d defer=%d round_trips=%d paired=%u client_to_server=%.2f%% "
	       "server_to_client=%.2f%% share=%.2f%% wrong=%d\n",
	       o->n, o->delay_us, o->defer, o->rounds, t.closed, 100.0 * t.accelerated[0] / o->n,
	       100.0 * t.accelerated[1] / o->n, share, bad);
	return bad || share < o->percent;
}

static void options_read(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:r:d:m:D")) != -1)
		switch (c) {
		case 'n': o->n = atoi(optarg) / CLIENTS * CLIENTS; break;
		case 'r': o->rounds = atoi(optarg); break;
		case 'd': o->delay_us = atoi(optarg); break;
		case 'm': o->percent = atoi(optarg); break;
		case 'D': o->defer = true; break;
		default: exit(2);
		}
}

int share(int argc, char **argv)
{
	struct options o = {.n = 10000, .rounds = 3};
	struct err e = {0};
	struct link l;
	struct kit k;
	int err;

	options_read(&o, argc, argv);
	if ((err = kit_open(&k, NULL, NULL, &e)))
		printf("share: %s\n", err_text(&e));
	else if ((err = link_open(&l, o.delay_us)))
		printf("share: link: %s\n", strerror(-err));
	else
		err = measure(&o, &k, &l);
	kit_close(&k);
	return err == -EPERM || err == -ENOENT ? 77 : err != 0;
}
