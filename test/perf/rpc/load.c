// SPDX-License-Identifier: Apache-2.0
/* The clients: each answer is followed by another call; what was answered in one read is asked again in one write. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc.h"

#define TIMES_MAX (4u << 20)

static char ask[FRAME_MAX];
static size_t ask_n;
static uint32_t *times;                         /* ns, of the first TIMES_MAX calls */
static uint64_t answered, bad;

struct client {
	struct conn *conn;
	uint64_t *began;                        /* by place: a call's number is its place plus rounds of them */
	uint64_t *id;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static void call(struct client *k, const struct options *o, unsigned place, uint64_t at)
{
	char *p = conn_room(k->conn, ask_n);

	k->id[place] += (uint64_t)o->flight;
	k->began[place] = at;
	memcpy(p, ask, ask_n);
	o->framing->number(p, k->id[place]);
}

static void on_answer(struct client *k, const struct options *o, const struct frame *f, uint64_t at)
{
	unsigned place = (unsigned)(f->id % (uint64_t)o->flight);

	if (!f->answer || (o->framing->many && k->id[place] != f->id))
		die("an answer to call %llu, which is not under way", (unsigned long long)f->id);
	bad += !f->good;
	if (answered < TIMES_MAX)
		times[answered] = at - k->began[place] > UINT32_MAX ? UINT32_MAX : (uint32_t)(at - k->began[place]);
	answered++;
	call(k, o, place, at);
}

static void answers(struct client *k, const struct options *o)
{
	struct conn *c = k->conn;
	struct frame f;
	size_t at = 0;
	int r = 0;

	while (at < c->in_n && (r = o->framing->read(c->in + at, c->in_n - at, &f)) > 0 && f.n <= c->in_n - at) {
		on_answer(k, o, &f, now());
		at += f.n;
	}
	if (r < 0)
		die("not %s: %02x %02x", o->framing->name, c->in[at] & 0xff, c->in[at + 1] & 0xff);
	conn_used(c, at);
}

static void on_conn(struct client *k, const struct options *o)
{
	bool again = true;

	while (again) {
		if (!conn_read(k->conn, &again))
			die("a connection ended after %llu answers", (unsigned long long)answered);
		answers(k, o);
		if (!conn_send(k->conn))
			die("a connection ended");
	}
}

static void dial(struct client *k, const struct options *o, int set)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port), .sin_addr.s_addr = inet_addr(o->address) };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = k };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s, (struct sockaddr *)&a, sizeof(a)))
		die("cannot connect to %s:%d", o->address, o->port);
	fcntl(s, F_SETFL, O_NONBLOCK);
	k->conn = conn_new(s);
	k->began = calloc((size_t)o->flight, sizeof(*k->began));
	k->id = calloc((size_t)o->flight, sizeof(*k->id));
	if (!k->began || !k->id || epoll_ctl(set, EPOLL_CTL_ADD, s, &ev))
		die("no room for a connection");
	for (int i = 0; i < o->flight; i++) {
		k->id[i] = (uint64_t)i;
		call(k, o, (unsigned)i, now());
	}
	if (!conn_send(k->conn))
		die("a connection ended");
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double part(size_t n, unsigned percent)
{
	return times[n * percent / 100] / 1e3;
}

static void print(double seconds)
{
	size_t n = answered < TIMES_MAX ? answered : TIMES_MAX;

	if (!n)
		die("no answer came");
	qsort(times, n, sizeof(*times), by_size);
	printf("{\"requests\":%llu,\"errors\":%llu,\"per_s\":%.0f,\"p50\":%.1f,\"p99\":%.1f}\n", (unsigned long long)answered,
	       (unsigned long long)bad, (double)answered / seconds, part(n, 50), part(n, 99));
}

int load(const struct options *o)
{
	struct client *clients = calloc((size_t)o->conns, sizeof(*clients));
	int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev[256];
	uint64_t begin, end;

	times = malloc(TIMES_MAX * sizeof(*times));
	if (!clients || !times)
		die("out of memory");
	ask_n = o->framing->ask(ask, o->ask);
	begin = now();
	end = begin + (uint64_t)(o->seconds * SEC);
	for (int i = 0; i < o->conns; i++)
		dial(&clients[i], o, set);
	while (now() < end) {
		int n = epoll_wait(set, ev, 256, 100);

		for (int i = 0; i < n; i++)
			on_conn(ev[i].data.ptr, o);
	}
	print((double)(now() - begin) / SEC);
	for (int i = 0; i < o->conns; i++) {
		conn_free(clients[i].conn);
		free(clients[i].began);
		free(clients[i].id);
	}
	free(clients);
	free(times);
	return bad ? 1 : 0;
}
