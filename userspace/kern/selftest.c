// SPDX-License-Identifier: Apache-2.0
/*
 * Runs the known-answer cases in a child, in a private cgroup and network namespace. The child writes its results into
 * shared memory; if a case hangs the kernel's way (splice does), the child is killed and another goes on after it.
 */
#include "kern/selftest.h"
#include "kern/selftest_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "weft/err.h"

#define CASE_MS 5000                            /* a case that takes longer hangs */

struct shared {
	struct selftest_report report;
	uint32_t running;                       /* index of the case under way */
	int setup;                              /* why the child could not start, -errno */
};

const char *selftest_verdict_text(enum selftest_verdict v)
{
	static const char *const text[] = {"not run", "pass", "fail", "skip"};

	return v < sizeof(text) / sizeof(text[0]) ? text[v] : "?";
}

const char *selftest_class_text(enum selftest_class c)
{
	static const char *const text[] = {"fatal", "restricting", "routes"};

	return c < sizeof(text) / sizeof(text[0]) ? text[c] : "?";
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static int loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (s < 0)
		return -errno;
	err = ioctl(s, SIOCSIFFLAGS, &ifr) ? -errno : 0;
	close(s);
	return err;
}

static bool passed(const struct selftest_report *r, const char *name)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (!strcmp(r->result[i].name, name))
			return r->result[i].verdict == SELFTEST_PASS;
	return false;
}

/* The best credit source that has passed so far; the other cases run with it. */
static uint32_t best_credit(const struct selftest_report *r)
{
	return passed(r, "credit-count") ? CREDIT_MSG_TOT_LEN :
	       passed(r, "credit-empty") ? CREDIT_QUEUE_EMPTY : CREDIT_NONE;
}

static void run_cases(struct kit *k, struct shared *sh, uint32_t from)
{
	const struct ctl ctl = k->ctl;

	for (uint32_t i = from; i < selftest_ncases; i++) {
		struct selftest_result *r = &sh->report.result[i];
		uint64_t start = now_us();
		int err;

		__atomic_store_n(&sh->running, i, __ATOMIC_RELEASE);
		k->ctl = ctl;
		k->ctl.credit = best_credit(&sh->report);
		kit_ctl(k);
		err = selftest_cases[i].run(k, r->detail, sizeof(r->detail));
		r->us = now_us() - start;
		r->verdict = err < 0 ? SELFTEST_FAIL : err ? SELFTEST_SKIP : SELFTEST_PASS;
		if (err < 0 && !r->detail[0])
			snprintf(r->detail, sizeof(r->detail), "%s", strerror(-err));
	}
	__atomic_store_n(&sh->running, selftest_ncases, __ATOMIC_RELEASE);
}

static void child(struct kit *k, struct shared *sh, uint32_t from)
{
	int err = kit_enter(k);

	if (!err && unshare(CLONE_NEWNET))
		err = -errno;
	if (!err)
		err = loopback_up();
	sh->setup = err;
	if (!err)
		run_cases(k, sh, from);
	_exit(0);
}

/* Waits for the child; kills it when one case takes too long. Index of the case to go on with. */
static uint32_t watch(pid_t pid, struct shared *sh)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	uint32_t seen, at = __atomic_load_n(&sh->running, __ATOMIC_ACQUIRE);

	do {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		seen = at;
		if (poll(&p, 1, CASE_MS) > 0)
			break;
		at = __atomic_load_n(&sh->running, __ATOMIC_ACQUIRE);
	} while (at != seen);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (fd >= 0)
		close(fd);
	at = __atomic_load_n(&sh->running, __ATOMIC_ACQUIRE);
	if (at >= selftest_ncases || sh->setup)
		return selftest_ncases;
	sh->report.result[at].verdict = SELFTEST_FAIL;
	if (!sh->report.result[at].detail[0])
		snprintf(sh->report.result[at].detail, sizeof(sh->report.result[at].detail), "hangs");
	return at + 1;
}

/* What follows from the results. */
static void conclude(struct selftest_report *r)
{
	r->works = true;
	for (uint32_t i = 0; i < r->n; i++) {
		const struct selftest_result *c = &r->result[i];

		if (c->cls == SELFTEST_FATAL && c->verdict != SELFTEST_PASS)
			r->works = false;
		if (c->cls == SELFTEST_ROUTES && c->verdict == SELFTEST_FAIL)
			r->no_routes = true;
	}
	r->splice_safe = passed(r, "splice");
	r->leave_safe = passed(r, "leave") && passed(r, "leave-reader");
	r->credit = best_credit(r);
}

static int run(struct kit *k, struct shared *sh)
{
	uint32_t next = 0;

	sh->report.n = selftest_ncases;
	for (size_t i = 0; i < selftest_ncases; i++) {
		snprintf(sh->report.result[i].name, sizeof(sh->report.result[i].name), "%s", selftest_cases[i].name);
		sh->report.result[i].cls = selftest_cases[i].cls;
	}
	while (next < selftest_ncases) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (!pid)
			child(k, sh, next);
		next = watch(pid, sh);
	}
	return sh->setup;
}

/* A machine that stood still fails a case once, a kernel that misbehaves fails it again. */
static int judge(struct kit *k, struct shared *sh)
{
	int err = 0;

	for (int i = 0; i < 2 && !err && (!sh->report.works || sh->report.no_routes); i++) {
		memset(sh, 0, sizeof(*sh));
		if (!(err = run(k, sh)))
			conclude(&sh->report);
	}
	return err;
}

int selftest_run(const struct selftest_progs *progs, const char *cgroup, struct selftest_report *report,
		 struct err *e)
{
	struct shared *sh;
	struct kit k;
	int err;

	memset(report, 0, sizeof(*report));
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		return err_errno(e, -errno, "self-test");
	memset(sh, 0, sizeof(*sh));
	if ((err = kit_open(&k, progs, cgroup, e)))
		err_add(e, err, "self-test");
	else if ((err = judge(&k, sh)))
		err_errno(e, err, "self-test: enter a private cgroup and namespace");
	else
		*report = sh->report;
	kit_close(&k);
	munmap(sh, sizeof(*sh));
	return err;
}
