// SPDX-License-Identifier: Apache-2.0
/* Round trips: a message of SIZE bytes out and the same number back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "load.h"

struct caller {
	int fd;
	size_t got;                             /* of the answer that is coming in */
	uint64_t sent_ns;
};

struct run {
	const struct options *o;
	char *out, *in;
	struct samples samples;
	struct cpu_use cpu;
	uint64_t start;                         /* 0: warming up */
	size_t warm;                            /* trips of the warm-up */
	bool done;
};

static void run_init(struct run *r, const struct options *o)
{
	*r = (struct run){.o = o, .out = calloc(1, o->size), .in = malloc(o->size)};
	if (!r->out || !r->in)
		die("out of memory");
	samples_init(&r->samples);
}

/* One trip from sent to now. The warm-up ends and the clock starts between two of them. */
static void run_count(struct run *r, uint64_t born, uint64_t sent, uint64_t now)
{
	if (r->start) {
		r->done = !samples_add(&r->samples, now - sent) || now - r->start >= r->o->ns;
		return;
	}
	r->warm++;
	if (now - born >= WARM_UP_NS) {
		cpu_read(r->o, &r->cpu);
		r->start = clock_ns();
	}
}

static void run_print(struct run *r)
{
	double seconds = (clock_ns() - r->start) / 1e9;
	size_t n = r->samples.n;

	printf("{");
	cpu_print(r->o, &r->cpu, n);
	printf(",");
	samples_print(&r->samples, "trip");
	printf("\"trips\":%zu,\"warm\":%zu,\"per_s\":%.1f}\n", n, r->warm, n / seconds);
	samples_fini(&r->samples);
	free(r->out);
	free(r->in);
}

static void trips_blocking(struct run *r)
{
	int fd = tcp_dial(r->o, KIND_ECHO);
	uint64_t born = clock_ns();

	while (!r->done) {
		uint64_t sent = clock_ns();

		write_whole(fd, r->out, r->o->size);
		read_whole(fd, r->in, r->o->size);
		run_count(r, born, sent, clock_ns());
	}
}

static void caller_step(struct run *r, struct caller *c, uint64_t born)
{
	ssize_t n = recv(c->fd, r->in, r->o->size - c->got, MSG_DONTWAIT);
	uint64_t now;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("recv: %s", n ? strerror(errno) : "the server has closed");
	c->got += n;
	if (c->got < r->o->size)
		return;
	now = clock_ns();
	run_count(r, born, c->sent_ns, now);
	c->got = 0;
	c->sent_ns = now;
	write_whole(c->fd, r->out, r->o->size);
}

static void trips_epoll(struct run *r)
{
	struct caller *callers = calloc(r->o->conns, sizeof(*callers));
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev[64];
	uint64_t born = clock_ns();

	if (!callers)
		die("out of memory");
	for (int i = 0; i < r->o->conns; i++) {
		struct caller *c = &callers[i];

		*c = (struct caller){.fd = tcp_dial(r->o, KIND_ECHO), .sent_ns = clock_ns()};
		ev[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev[0]);
		write_whole(c->fd, r->out, r->o->size);
	}
	while (!r->done) {
		int n = epoll_wait(ep, ev, 64, 5000);

		if (!n)
			die("no answer for 5 s");
		for (int i = 0; i < n && !r->done; i++)
			caller_step(r, ev[i].data.ptr, born);
	}
	free(callers);
}

int trips(const struct options *o)
{
	struct run r;

	run_init(&r, o);
	if (o->conns == 1)
		trips_blocking(&r);
	else
		trips_epoll(&r);
	run_print(&r);
	return 0;
}
