/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the self-test: the kit (loaded programs, maps, cgroup) and connections to try them on. */
#pragma once
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kern/limits.h"
#include "kern/maps.h"
#include "kern/reason.h"
#include "kern/selftest.h"

struct bpf_object;
struct capture_bpf;

enum kit_map { KIT_CTL, KIT_SOCK, KIT_WAIT, KIT_PAIR, KIT_WORKLOAD, KIT_REASON, KIT_END, KIT_EVENT, KIT_FLOW, KIT_NMAPS };

struct kit {
	struct bpf_object *sockops, *redirect, *sockopt;
	struct capture_bpf *capture;            /* NULL: this kernel does not take it */
	int map[KIT_NMAPS];
	int cgroup;                             /* directory descriptor; -1 = none */
	char path[256];                         /* of the private cgroup */
	struct ctl ctl;                         /* as last written */
};

int kit_open(struct kit *k, const struct selftest_progs *progs, const char *cgroup, struct err *e);
void kit_close(struct kit *k);
/* Moves the calling process into the private cgroup: sockets belong to the cgroup of who makes them. */
int kit_enter(const struct kit *k);
/* ... and out of it again, to the cgroup above, so that kit_close can remove it. */
void kit_leave(const struct kit *k);
/* Writes k->ctl to the map. */
void kit_ctl(struct kit *k);
/* The counter of one reason, summed over CPUs. */
uint64_t kit_reason(const struct kit *k, enum reason r);

/* One connection, both ends in this process, non-blocking. */
struct duo {
	int listener, client, server;
	uint64_t cookie;                        /* of the client = key of its pair */
};

struct duo_opts {
	int family;                             /* AF_INET | AF_INET6; 0 = AF_INET */
	bool defer;                             /* TCP_DEFER_ACCEPT; the server is accepted by duo_accept() */
	bool early;                             /* leave the server unaccepted */
	const struct origin *dialled;           /* the address of a service, sent here; by flow_map */
	int flow_map;
};

int duo_open(struct duo *d, const struct duo_opts *o);
int duo_accept(struct duo *d);
void duo_close(struct duo *d);
/* 0 and the pair, or -ENOENT. */
int duo_pair(const struct kit *k, const struct duo *d, struct pair *p);

/* Byte number `off` of every test stream: any loss, repetition or reordering shows. */
void stream_fill(uint8_t *buf, size_t n, uint64_t off);
/* Index of the first wrong byte, or n. */
size_t stream_check(const uint8_t *buf, size_t n, uint64_t off);
/* Writes n bytes from stream position *off, blocking up to 2 s; advances *off. 0 or -errno. */
int stream_write(int fd, size_t n, uint64_t *off);
/* Reads and checks exactly n bytes. 0, -EILSEQ at a wrong byte, -ENODATA at a premature end, -ETIMEDOUT. */
int stream_read(int fd, size_t n, uint64_t *off);
/* Waits for readability: true if readable within ms. */
bool readable(int fd, int ms);

typedef int (*case_fn)(struct kit *k, char *detail, size_t room);

struct selftest_case {
	const char *name;
	enum selftest_class cls;
	case_fn run;                            /* 0 pass, > 0 skip, < 0 fail; says more in detail */
};

extern const struct selftest_case selftest_cases[];
extern const size_t selftest_ncases;
