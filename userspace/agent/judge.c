/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/log.h"

const char *const judge_state_names[] = { "not run", "running", "done", "failed" };

/* The words of the first fatal case stay; short of one, of the last case that did not pass. */
static void verdict_words(struct kern_verdict *v, const struct selftest_result *c, bool *fatal)
{
	if (c->verdict == SELFTEST_PASS)
		return;
	if (c->cls == SELFTEST_ROUTES) {
		if (c->verdict == SELFTEST_FAIL)
			snprintf(v->no_routes, sizeof(v->no_routes), "self-test %s: %.100s", c->name, c->detail);
		return;
	}
	if (*fatal || (c->cls == SELFTEST_RESTRICTING && !v->usable))
		return;
	*fatal = c->cls == SELFTEST_FATAL;
	if (!strcmp(c->name, "splice"))
		snprintf(v->why, sizeof(v->why), "only to workloads that say `splice: never` (%.100s)", c->detail);
	else
		snprintf(v->why, sizeof(v->why), "self-test %s: %s%s%.100s", c->name, selftest_verdict_text(c->verdict),
			 c->detail[0] ? ": " : "", c->detail);
}

struct kern_verdict judge_verdict(const struct judge_answer *a)
{
	const struct selftest_report *r = &a->report;
	struct kern_verdict v = { 0 };
	bool fatal = false;

	if (a->err) {
		snprintf(v.why, sizeof(v.why), "the self-test could not run: %.120s", a->words);
		return v;
	}
	v.usable = r->works;
	v.splice_safe = r->splice_safe;
	v.leave_map = r->leave_safe;
	v.credit = r->credit;
	for (uint32_t i = 0; i < r->n; i++)
		verdict_words(&v, &r->result[i], &fatal);
	return v;
}

static void finish(struct judge *j)
{
	struct kern_verdict v;
	struct err e = { 0 };

	loop_del(j->loop, &j->io);
	close(j->io.fd);
	waitpid(j->pid, NULL, 0);
	j->pid = 0;
	if (j->got != sizeof(j->answer)) {
		j->answer.err = -ECHILD;
		snprintf(j->answer.words, sizeof(j->answer.words), "its process ended without an answer");
	}
	v = judge_verdict(&j->answer);
	j->state = j->answer.err ? JUDGE_FAILED : JUDGE_DONE;
	if (v.usable)
		log_info("kernel", "self-test passed%s%s", v.why[0] ? "; " : "", v.why);
	else
		log_warn("kernel", "no short-circuit: %s", v.why);
	if (kern_judge(j->kern, &v, &e)) {
		log_error("kernel", "%s", err_text(&e));
		j->fatal = true;
		loop_stop(j->loop);
	}
	j->done(j->arg);
}

static void on_answer(struct loop_io *io, unsigned events)
{
	struct judge *j = io->arg;
	ssize_t n = read(io->fd, (char *)&j->answer + j->got, sizeof(j->answer) - j->got);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		j->got += n;
	if (n <= 0 || j->got == sizeof(j->answer))
		finish(j);
}

/*
 * It ends with the agent, and holds nothing of it meanwhile: an agent that was killed during its tests has left its
 * addresses and its lock on the pins to the next one.
 */
static void leave_agent(int fd, pid_t agent)
{
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != agent)
		_exit(1);
	syscall(SYS_close_range, fd + 1, ~0u, 0);
	if (fd > 3)
		syscall(SYS_close_range, 3, fd - 1, 0);
}

static _Noreturn void run(int fd, const char *cgroup)
{
	struct judge_answer a = { 0 };
	struct err e = { 0 };
	const char *p = (const char *)&a;
	size_t left = sizeof(a);

	a.err = selftest_run(NULL, cgroup, &a.report, &e);
	snprintf(a.words, sizeof(a.words), "%s", err_text(&e));
	while (left) {
		ssize_t n = write(fd, p, left);

		if (n <= 0)
			_exit(1);
		p += n;
		left -= n;
	}
	_exit(0);
}

static bool start(struct judge *j, const char *cgroup)
{
	pid_t agent = getpid();
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return false;
	j->pid = fork();
	if (j->pid == 0) {
		leave_agent(fd[1], agent);
		run(fd[1], cgroup);
	}
	close(fd[1]);
	if (j->pid < 0 || loop_add(j->loop, &j->io, fd[0], LOOP_READ, on_answer, j)) {
		close(fd[0]);
		return false;
	}
	return true;
}

void judge_start(struct judge *j, struct loop *l, struct kern *k, void (*done)(void *arg), void *arg)
{
	struct kern_status s;

	*j = (struct judge){ .loop = l, .kern = k, .done = done, .arg = arg };
	kern_status(k, &s);
	if (s.rung == KERN_RUNG_OFF)
		return;
	j->state = JUDGE_RUNNING;
	if (!start(j, s.cgroup)) {
		log_error("kernel", "the self-test cannot be started: %s", strerror(errno));
		j->state = JUDGE_FAILED;
	}
}

void judge_stop(struct judge *j)
{
	if (!j->pid)
		return;
	loop_del(j->loop, &j->io);
	close(j->io.fd);
	kill(j->pid, SIGTERM);
	waitpid(j->pid, NULL, 0);
	j->pid = 0;
}

void judge_metrics(const struct judge *j, struct buf *out)
{
	const struct selftest_report *r = &j->answer.report;

	buf_printf(out, "# HELP weft_kernel_selftest 1 for a known-answer case that this kernel passes\n"
			"# TYPE weft_kernel_selftest gauge\n");
	for (uint32_t i = 0; j->state == JUDGE_DONE && i < r->n; i++)
		buf_printf(out, "weft_kernel_selftest{case=\"%s\",class=\"%s\"} %d\n", r->result[i].name,
			   selftest_class_text(r->result[i].cls), r->result[i].verdict == SELFTEST_PASS);
}
