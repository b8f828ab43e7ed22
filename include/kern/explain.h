/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The argument of explain_decide (SEC("syscall"), BPF_PROG_TEST_RUN with ctx_in and ctx_out): the connect programs'
 * decision, run without a trace. For equal rnd, client and maps the answer is what connect() would get; connect()
 * itself draws rnd at random. Round robin shows the turn that comes next, with `later` the one rnd turns after it; least-request
 * compares the counts of now.
 * Which other backends there are, and their shares, is in table_map[service.off .. service.off + service.n).
 */
#pragma once

#include "kern/limits.h"
#include "kern/maps.h"

enum explain_path { EXPLAIN_PATH_NONE, EXPLAIN_PATH_KERNEL, EXPLAIN_PATH_PROXY };

struct explain_ask {
	struct addr16 addr;
	__u16 port;                                 /* network order */
	__u8 proto;                                 /* IPPROTO_TCP | IPPROTO_UDP */
	__u8 later;                                 /* 1: of round robin the turn that comes rnd turns after the next one */
	__u32 rnd;                                  /* stands for the random number of connect() */
	__u64 netns;                                /* cookie of the client's namespace; 0 = the host's */
	__u64 now_ns;                               /* CLOCK_MONOTONIC; 0 = now */
	__u64 cgroup[CGROUP_LEVELS];                /* ids of the client's cgroups, level 1 first; 0 beyond the deepest */
	struct prefix own, any;                     /* of prefix_map for the port and for any; read_explain() fills them in */
};
_Static_assert(sizeof(struct explain_ask) == 184, "");

struct explain_answer {
	struct service service;                     /* zero if there is none; see SERVICE_RANGE */
	struct backend backend;                     /* zero if none was chosen */
	struct workload workload;                   /* of the client: tells whether it may be short-circuited; zero = none */
	struct addr16 target_addr;                  /* where the connection goes; zero unless path says so */
	__u64 client;                               /* identity for affinity and Maglev */
	__u64 cgroup;                               /* of the client's workload, else its deepest */
	__u32 verdict;                              /* enum verdict */
	__u32 reason;                               /* enum reason */
	__u32 service_id, backend_id;               /* 0 = none; ORIGIN_RANGE */
	__u32 path;                                 /* enum explain_path; NONE = the address is left alone, or refused */
	__s32 err;                                  /* what connect() returns: 0 or a negative errno */
	__u32 tries;                                /* table slots looked at */
	__u16 target_port;                          /* network order */
	__u8 bad_table;                             /* the balancing table and the service disagree */
	__u8 exempt;                                /* the client is never translated */
};
_Static_assert(sizeof(struct explain_answer) == 136, "");

struct explain {
	struct explain_ask ask;
	struct explain_answer answer;
};
