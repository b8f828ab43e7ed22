// SPDX-License-Identifier: Apache-2.0
/* What the programs cost: round trips and one-way streams with and without them, interleaved, and run time per program. */
#include "known_answers.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kern/selftest_priv.h"
#include "link.h"
#include "weft/err.h"

#define PORT 7002
#define TRIPS 20000
#define STREAM_BYTES (512ull << 20)
#define ROUNDS 5

struct job {
	bool mesh, veth, stream;
	int size;
	int cpu[2];                             /* client, server; -1 = scheduler decides */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void place(const struct kit *k, const struct link *l, const struct job *j, int side)
{
	cpu_set_t set;

	if ((j->mesh && kit_enter(k)) || (j->veth && link_enter(l, side)))
		exit(1);
	CPU_ZERO(&set);
	CPU_SET(j->cpu[side], &set);
	if (j->cpu[side] >= 0)
		sched_setaffinity(0, sizeof(set), &set);
}

static bool whole(int fd, char *buf, size_t size, bool out)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = out ? send(fd, buf + done, size - done, MSG_NOSIGNAL) : recv(fd, buf + done, size - done, 0);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

static void serve(const struct job *j, int ready)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = socket(AF_INET, SOCK_STREAM, 0), c, one = 1;
	static char buf[1 << 18];

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (void *)&a, sizeof(a)) || listen(s, 8) || write(ready, "r", 1) != 1)
		exit(1);
	c = accept(s, NULL, NULL);
	setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (j->stream) {
		uint64_t got = 0;
		ssize_t n;

		while (got < STREAM_BYTES && (n = recv(c, buf, sizeof(buf), 0)) > 0)
			got += n;
		whole(c, buf, 1, true);
	} else {
		while (whole(c, buf, j->size, false) && whole(c, buf, j->size, true))
			;
	}
	exit(0);
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

/* us of the median round trip, or Gbit/s of the stream. */
static double client(const struct job *j)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	static double took[TRIPS];
	static char buf[1 << 18];
	double start = now();

	inet_pton(AF_INET, j->veth ? "10.77.0.2" : "127.0.0.1", &a.sin_addr);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s, (void *)&a, sizeof(a)))
		exit(1);
	if (j->stream) {
		for (uint64_t sent = 0; sent < STREAM_BYTES; sent += j->size)
			if (!whole(s, buf, j->size, true))
				exit(1);
		if (!whole(s, buf, 1, false))
			exit(1);
		return STREAM_BYTES * 8 / (now() - start) / 1e9;
	}
	for (int i = 0; i < TRIPS; i++) {
		double t = now();

		if (!whole(s, buf, j->size, true) || !whole(s, buf, j->size, false))
			exit(1);
		took[i] = now() - t;
	}
	qsort(took, TRIPS, sizeof(*took), by_value);
	return took[TRIPS / 2] * 1e6;
}

static double run(const struct kit *k, const struct link *l, const struct job *j)
{
	double *out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), r;
	int pipefd[2];
	pid_t srv, cli;
	char c;

	if (out == MAP_FAILED || pipe(pipefd))
		return -1;
	if (!(srv = fork())) {
		place(k, l, j, 1);
		serve(j, pipefd[1]);
	}
	if (read(pipefd[0], &c, 1) != 1)
		return -1;
	if (!(cli = fork())) {
		place(k, l, j, 0);
		*out = client(j);
		exit(0);
	}
	waitpid(cli, NULL, 0);
	kill(srv, SIGKILL);
	waitpid(srv, NULL, 0);
	close(pipefd[0]);
	close(pipefd[1]);
	r = *out;
	munmap(out, sizeof(*out));
	return r;
}

/* Plain and meshed by turns; medians. */
static void compare(const struct kit *k, const struct link *l, struct job j, const char *name, const char *unit)
{
	double v[2][ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		for (int m = 0; m < 2; m++) {
			j.mesh = m ^ (i & 1);
			v[j.mesh][i] = run(k, l, &j);
		}
	for (int m = 0; m < 2; m++)
		qsort(v[m], ROUNDS, sizeof(double), by_value);
	printf("%-34s plain %7.2f [%.2f-%.2f]  weft %7.2f [%.2f-%.2f] %s  ratio %.2f\n", name, v[0][ROUNDS / 2], v[0][0],
	       v[0][ROUNDS - 1], v[1][ROUNDS / 2], v[1][0], v[1][ROUNDS - 1], unit,
	       v[1][ROUNDS / 2] / v[0][ROUNDS / 2]);
}

static void program_cost(const struct bpf_object *o)
{
	struct bpf_program *p = bpf_object__next_program(o, NULL);
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (p && !bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) && info.run_cnt)
		printf("%-34s %.0f ns a run, %llu runs\n", bpf_program__name(p), (double)info.run_time_ns / info.run_cnt,
		       (unsigned long long)info.run_cnt);
}

static void all(const struct kit *k, const struct link *l)
{
	static const int sizes[] = {100, 4096}, writes[] = {1024, 16384, 65536};

	for (int veth = 0; veth < 2; veth++)
		for (int i = 0; i < 2; i++) {
			struct job j = {.veth = veth, .size = sizes[i], .cpu = {0, 0}};
			char name[64];

			snprintf(name, sizeof(name), "%s %d B round trip, one core", veth ? "veth" : "lo", j.size);
			compare(k, l, j, name, "us");
			j.cpu[1] = 1;
			snprintf(name, sizeof(name), "%s %d B round trip, two cores", veth ? "veth" : "lo", j.size);
			compare(k, l, j, name, "us");
		}
	for (int i = 0; i < 3; i++) {
		struct job j = {.veth = true, .stream = true, .size = writes[i], .cpu = {0, 1}};
		char name[64];

		snprintf(name, sizeof(name), "veth one way, %d B writes", j.size);
		compare(k, l, j, name, "Gbit/s");
	}
}

static void programs(const struct kit *k, const struct link *l)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	run(k, l, &(struct job){.mesh = true, .size = 100, .cpu = {0, 0}});
	program_cost(k->redirect);
	program_cost(k->sockops);
	close(stats);
}

int cost(bool programs_only)
{
	struct err e = {0};
	struct link l;
	struct kit k;
	int err;

	if ((err = kit_open(&k, NULL, NULL, &e))) {
		printf("cost: %s\n", err_text(&e));
	} else if ((err = link_open(&l, 0))) {
		printf("cost: link: %s\n", strerror(-err));
	} else {
		k.ctl.flags |= CTL_LEAVE_MAP;
		kit_ctl(&k);
		if (!programs_only)
			all(&k, &l);
		programs(&k, &l);
	}
	kit_close(&k);
	return err ? 1 : 0;
}
