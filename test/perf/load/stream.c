// SPDX-License-Identifier: Apache-2.0
/*
 * One way: as many writes as fit in the time; ends when the server has read the last one. The clock
 * starts after WARM_UP_BYTES: how a connection begins is not what a stream is about.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "load.h"

#define WARM_UP_BYTES (32ull << 20)

int stream(const struct options *o)
{
	char *out = calloc(1, o->size);
	int fd = tcp_dial(o, KIND_SINK);
	uint64_t born = clock_ns(), start = 0, bytes = 0, before = 0, sunk, ns;
	struct cpu_use cpu;

	if (!out)
		die("out of memory");
	for (uint64_t now = born; !start || now - start < o->ns; now = clock_ns()) {
		if (!start && now - born >= WARM_UP_NS && bytes >= WARM_UP_BYTES) {
			cpu_read(o, &cpu);
			start = clock_ns();
			before = bytes;
		}
		write_whole(fd, out, o->size);
		bytes += o->size;
	}
	shutdown(fd, SHUT_WR);
	read_whole(fd, &sunk, sizeof(sunk));
	ns = clock_ns() - start;
	if (sunk != bytes)
		die("%" PRIu64 " bytes were sent, %" PRIu64 " arrived", bytes, sunk);
	bytes -= before;
	printf("{");
	cpu_print(o, &cpu, bytes / 1024.0);
	printf(",\"bytes\":%" PRIu64 ",\"ns_per_byte\":%.5f,\"gbit_per_s\":%.3f}\n", bytes,
	       (double)ns / bytes, bytes * 8.0 / ns);
	free(out);
	return 0;
}
