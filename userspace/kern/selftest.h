/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known-answer tests of the kernel short-circuit, and of what services with routes need, run at start in a cgroup and network namespaces of their own, with
 * maps of their own. What a kernel cannot do right is found here and not by its version. Takes about a second.
 *
 * Fatal cases turn the short-circuit off when they fail; restricting ones only narrow it (selftest_report says how); those
 * of routes leave services with routes to their fail mode.
 * A case that hangs is killed and counts as failed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum selftest_class { SELFTEST_FATAL, SELFTEST_RESTRICTING, SELFTEST_ROUTES };
enum selftest_verdict { SELFTEST_NOT_RUN, SELFTEST_PASS, SELFTEST_FAIL, SELFTEST_SKIP };

struct selftest_result {
	char name[24];
	uint8_t cls;                            /* enum selftest_class */
	uint8_t verdict;                        /* enum selftest_verdict */
	uint32_t us;                            /* how long it took */
	char detail[160];                       /* what was seen; "" when there is nothing to say */
};

#define SELFTEST_CASES_MAX 32

struct selftest_report {
	struct selftest_result result[SELFTEST_CASES_MAX];
	uint32_t n;
	bool works;                             /* no fatal case failed, and each was run */
	bool splice_safe;                       /* splice(2) reads redirected data: no promise is needed */
	bool leave_safe;                        /* CTL_LEAVE_MAP may be set */
	bool no_routes;                         /* a case of routes failed; not that one was skipped */
	uint32_t credit;                        /* enum credit_source that holds here */
};

/* Objects under test, as ELF images; NULL = the program built into weft. Borrowed for the call. */
struct selftest_progs {
	const void *sockops, *redirect, *sockopt;
	size_t sockops_len, redirect_len, sockopt_len;
};

/*
 * Runs all cases. Returns 0 when they were run, whatever they showed, and fills *report; else -errno with words in *e:
 * no cgroup2, no privilege, a program that does not load. Blocks; forks a child, so call it before threads start.
 * cgroup: a cgroup2 directory under which to make a private one; NULL = the root of the first cgroup2 mount.
 */
int selftest_run(const struct selftest_progs *progs, const char *cgroup, struct selftest_report *report,
		 struct err *e);

/* For tables and logs: "pass", "fail", "skip", "not run"; "fatal", "restricting", "routes". */
const char *selftest_verdict_text(enum selftest_verdict v);
const char *selftest_class_text(enum selftest_class c);
