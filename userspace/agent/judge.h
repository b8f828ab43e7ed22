/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known-answer tests of the kernel, run once at start in a process beside the agent, so that the agent serves and
 * balances meanwhile; their report decides what kern_judge() allows.
 */
#pragma once
#include <sys/types.h>
#include "event/loop.h"
#include "kern/kern.h"
#include "kern/selftest.h"
#include "weft/buf.h"

enum judge_state { JUDGE_IDLE, JUDGE_RUNNING, JUDGE_DONE, JUDGE_FAILED };
extern const char *const judge_state_names[];

struct judge {
	struct loop *loop;
	struct kern *kern;
	enum judge_state state;
	pid_t pid;
	struct loop_io io;
	size_t got;
	struct judge_answer {
		int err;                        /* of selftest_run */
		char words[512];
		struct selftest_report report;
	} answer;
	void (*done)(void *arg);
	void *arg;
	bool fatal;                             /* kernel.mode is required, and this kernel does not do */
};

/* Nothing happens when the kernel side is off. done: kern has been told the answer. */
void judge_start(struct judge *j, struct loop *l, struct kern *k, void (*done)(void *arg), void *arg);
void judge_stop(struct judge *j);               /* accepts a zeroed one */
/* What a report allows; the same for weft doctor. */
struct kern_verdict judge_verdict(const struct judge_answer *a);
void judge_metrics(const struct judge *j, struct buf *out); /* Prometheus text */
