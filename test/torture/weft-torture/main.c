// SPDX-License-Identifier: Apache-2.0
/*
 * weft-torture: what can be done to a TCP connection, done to short-circuited ones. Runs next to a
 * kernel side that is already attached (by weftd, or by "weft-torture attach"), in pods that exist
 * already; test/torture/run.sh makes both.
 *
 *   weft-torture run --maps PINS --pod NAME,NETNS,CGROUP,V4,V6 ... [--layout NAME] [--long]
 *                    [--suffix S] [CASE...]
 *   weft-torture attach ...      see attach.c
 *   weft-torture list
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "hang.h"
#include "rig.h"

static const struct layout layouts[] = {
	{"veth4", POD_A, POD_B, AF_INET, false},   {"veth6", POD_A, POD_B, AF_INET6, false},
	{"lo4", POD_A, POD_A, AF_INET, true},	   {"lo6", POD_A, POD_A, AF_INET6, true},
	{"mapped", POD_A, POD_B, AF_INET6, false},
};
#define NLAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static const struct torture_case *const tables[] = {
	order_cases,  close_cases, look_cases, send_cases,
	refuse_cases, share_cases, many_cases, path_cases, memory_cases,
};
#define NTABLES (sizeof(tables) / sizeof(tables[0]))

struct run {
	struct rig rig;
	const char *layout, *suffix; /* NULL = all the case's; what is appended to names */
	char **names;
	int nnames;
	int npassed, nfailed, nskipped;
};

static bool chosen(const struct run *run, const struct torture_case *c)
{
	for (int i = 0; i < run->nnames; i++)
		if (!fnmatch(run->names[i], c->name, 0))
			return true;
	return !run->nnames && !c->asked;
}

/* In a child of its own: a case that hangs is reported and killed, the others go on. */
static void child(struct rig *r, const struct torture_case *c)
{
	int rc;

	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	books_ctl(&r->books, &r->ctl);
	for (int i = 0; i < REASON_MAX; i++)
		r->before[i] = books_reason(&r->books, i);
	for (int i = 0; i < r->npods; i++)
		if (pod_start(&r->pod[i]))
			_exit(1);
	rc = c->run(r);
	for (int i = 0; i < r->npods; i++)
		pod_stop(&r->pod[i]);
	_exit(rc == SKIP ? SKIP : rc ? 1 : 0);
}

/* Exit code of the child, or -1 after it was reported as hanging and killed. */
static int attend(pid_t pid, int limit_s)
{
	int fd = syscall(SYS_pidfd_open, pid, 0), status = 0, rc = -1;

	setpgid(pid, pid);
	if (ready(fd, POLLIN, limit_s * 1000)) {
		waitpid(pid, &status, 0);
		rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	} else {
		hang_report(pid);
	}
	kill(-pid, SIGKILL);
	if (rc < 0 && ready(fd, POLLIN, 10000))
		waitpid(pid, NULL, 0);
	close(fd);
	return rc;
}

struct left {
	unsigned pairs, socks, waits;
};

static struct left count_left(const struct books *b)
{
	return (struct left){books_count(b->pair), books_count(b->sock), books_count(b->wait)};
}

/* Every connection of the case is closed: nothing of it may stay in the maps. */
static int orphans(struct rig *r, struct left before)
{
	uint64_t until = now_ms() + 8000;
	struct left l;

	for (;;) {
		l = count_left(&r->books);
		if (l.pairs <= before.pairs && l.socks <= before.socks && l.waits <= before.waits)
			return 0;
		if (now_ms() > until)
			break;
		poll(NULL, 0, 20);
	}
	return fault(r, -EPROTO, "left behind: %d pairs, %d sockets, %d fingerprints",
		     (int)(l.pairs - before.pairs), (int)(l.socks - before.socks),
		     (int)(l.waits - before.waits));
}

static void one(struct run *run, const struct torture_case *c, const struct layout *lay)
{
	struct rig *r = &run->rig;
	int limit = r->whole && c->limit_long_s ? c->limit_long_s
		    : c->limit_s		? c->limit_s
						: 60,
	    rc;
	struct left before = count_left(&r->books);
	uint64_t start = now_ms();
	pid_t pid;

	r->lay = lay;
	r->why[0] = 0;
	fflush(stdout);
	pid = fork();
	if (!pid)
		child(r, c);
	rc = attend(pid, limit);
	if (!rc && orphans(r, before))
		rc = 1;
	if (rc < 0)
		snprintf(r->why, r->room, "hangs for %d s", limit);
	else if (rc > 1 && rc != SKIP)
		snprintf(r->why, r->room, "ended with %d", rc);
	run->npassed += !rc;
	run->nskipped += rc == SKIP;
	run->nfailed += rc && rc != SKIP;
	printf("case %s %s%s%s%s%s%s\n",
	       !rc	    ? "pass"
	       : rc == SKIP ? "skip"
			    : "fail",
	       c->name, lay ? "-" : "", lay ? lay->name : "", run->suffix, rc ? ": " : "",
	       rc ? r->why : "");
	printf("  %llu ms\n", (unsigned long long)(now_ms() - start));
}

static void all(struct run *run)
{
	for (size_t t = 0; t < NTABLES; t++)
		for (const struct torture_case *c = tables[t]; c->name; c++)
			for (size_t l = 0; l < NLAYOUTS && chosen(run, c); l++)
				if (run->layout ? !strcmp(run->layout, layouts[l].name)
						: (c->on >> l & 1))
					one(run, c, &layouts[l]);
}

static int list(void)
{
	for (size_t t = 0; t < NTABLES; t++)
		for (const struct torture_case *c = tables[t]; c->name; c++)
			printf("%-24s %s\n", c->name, c->what);
	return 0;
}

static int options(struct run *run, int argc, char **argv)
{
	static const struct option longs[] = {
		{"maps", 1, NULL, 'm'},	     {"pod", 1, NULL, 'p'},    {"layout", 1, NULL, 'l'},
		{"long", 0, NULL, 'L'},	     {"dial", 1, NULL, 'd'},   {"port", 1, NULL, 'P'},
		{"dial-port", 1, NULL, 'D'}, {"suffix", 1, NULL, 's'}, {"seed", 1, NULL, 'S'},
		{"flag", 1, NULL, 'f'},	     {NULL, 0, NULL, 0},
	};
	struct rig *r = &run->rig;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'm':
			if (books_open(&r->books, optarg))
				return 2;
			break;
		case 'p':
			if (r->npods == PODS_MAX || pod_parse(&r->pod[r->npods++], optarg))
				return 2;
			break;
		case 'l': run->layout = optarg; break;
		case 'L': r->whole = true; break;
		case 'd': r->dial = optarg; break;
		case 'P': r->port = atoi(optarg); break;
		case 'D': r->dial_port = atoi(optarg); break;
		case 's': run->suffix = optarg; break;
		case 'S': r->seed = strtoull(optarg, NULL, 0); break;
		case 'f': r->flag = optarg; break;
		default: return 2;
		}
	run->names = argv + optind;
	run->nnames = argc - optind;
	return r->npods < 2 || !r->books.pair ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct run run = {.suffix = "", .rig = {.seed = 1, .room = 1024}};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "list"))
		return list();
	if (argc > 1 && !strcmp(argv[1], "attach"))
		return attach(argc - 1, argv + 1);
	if (argc < 2 || strcmp(argv[1], "run") || options(&run, argc - 1, argv + 1)) {
		fprintf(stderr, "usage: weft-torture run|attach|list ... (see main.c)\n");
		return 2;
	}
	run.rig.why =
		mmap(NULL, run.rig.room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.rig.why == MAP_FAILED)
		return 1;
	all(&run);
	printf("%d passed, %d failed, %d skipped\n", run.npassed, run.nfailed, run.nskipped);
	return run.nfailed || !(run.npassed + run.nskipped) ? 1 : 0;
}
