/* SPDX-License-Identifier: Apache-2.0 */
/* Load for benchmarks: a server that answers, swallows or accepts, and a client for each work. */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WARM_UP_NS (50 * MSEC)                  /* before the clock starts: pairing, first ACKs */

/* What the client says first; the server does as it is told on that connection. */
enum kind { KIND_ECHO = 1, KIND_SINK };

struct hello {
	uint32_t kind;                          /* enum kind */
	uint32_t size;                          /* bytes of a message, KIND_ECHO */
};

struct options {
	struct sockaddr_in to;
	const char *path;                       /* unix socket */
	size_t size;                            /* bytes of a message */
	int conns;
	int cpu;                                /* -1: the scheduler decides */
	pid_t server;                           /* its CPU time counts too; 0: unknown */
	uint64_t ns;                            /* how long */
	double since;                           /* CLOCK_REALTIME seconds */
};

/* CPU time since boot or since the process began, ns. */
struct cpu_use {
	uint64_t self, server;                  /* schedstat of all their threads */
	uint64_t machine, stolen;               /* /proc/stat, ticks: not idle; the host's */
};

/* Durations in ns; keeps the first SAMPLES_MAX. */
struct samples {
	uint32_t *ns;
	size_t n;
};

/* All of these end the program with a sentence when something fails: there are no half results. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void pin(int cpu);                              /* -1: nothing */
int tcp_socket(void);                           /* TCP_NODELAY */
int tcp_dial(const struct options *o, enum kind kind);
void write_whole(int fd, const void *p, size_t n);
void read_whole(int fd, void *p, size_t n);

void cpu_read(const struct options *o, struct cpu_use *u);
/* `"client_us":..,"server_us":..,"machine_us":..` per unit of work since *from, no braces. */
void cpu_print(const struct options *o, const struct cpu_use *from, double units);

void samples_init(struct samples *s);
bool samples_add(struct samples *s, uint64_t ns); /* false: full */
void samples_print(struct samples *s, const char *name); /* `"NAME_p50":us,..`; sorts */
void samples_fini(struct samples *s);

int serve(const struct options *o);             /* until killed; prints "ready" */
int trips(const struct options *o);             /* round trips */
int stream(const struct options *o);            /* one way */
int dials(const struct options *o);             /* connect(), close() */
int ready(const struct options *o);             /* waits for 200 of GET /ready */
