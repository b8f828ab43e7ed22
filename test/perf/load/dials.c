// SPDX-License-Identifier: Apache-2.0
/* Connections opened and closed one after another: how long connect() takes, and both together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

struct dialled {
	struct samples connect, whole;
};

static bool dial(const struct options *o, struct dialled *d, bool count)
{
	static const struct linger at_once = {.l_onoff = 1};
	uint64_t t[3];
	int fd = tcp_socket();

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	t[0] = clock_ns();
	if (connect(fd, (const void *)&o->to, sizeof(o->to)))
		die("connect: %s", strerror(errno));
	t[1] = clock_ns();
	close(fd);
	t[2] = clock_ns();
	if (!count)
		return true;
	return samples_add(&d->connect, t[1] - t[0]) && samples_add(&d->whole, t[2] - t[0]);
}

int dials(const struct options *o)
{
	uint64_t born = clock_ns(), start;
	struct cpu_use cpu;
	struct dialled d;
	size_t warm = 0;
	double seconds;

	samples_init(&d.connect);
	samples_init(&d.whole);
	for (; clock_ns() - born < WARM_UP_NS; warm++)
		dial(o, &d, false);
	cpu_read(o, &cpu);
	start = clock_ns();
	while (clock_ns() - start < o->ns && dial(o, &d, true))
		;
	seconds = (clock_ns() - start) / 1e9;
	printf("{");
	cpu_print(o, &cpu, d.whole.n);
	printf(",");
	samples_print(&d.connect, "connect");
	samples_print(&d.whole, "whole");
	printf("\"dials\":%zu,\"warm\":%zu,\"per_s\":%.1f}\n", d.whole.n, warm,
	       d.whole.n / seconds);
	samples_fini(&d.connect);
	samples_fini(&d.whole);
	return 0;
}
