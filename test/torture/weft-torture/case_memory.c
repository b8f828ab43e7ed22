// SPDX-License-Identifier: Apache-2.0
/*
 * No memory for TCP. The marks of net.ipv4.tcp_mem count for every socket of the machine and can be
 * set only in its first network namespace (run.sh hands it on as $HOST_NET): these cases are run
 * when asked for, each lowers the marks for moments, and run.sh puts them back whatever happens.
 */
#include "swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NHOGS	  4
#define HOG_PAGES 1000
#define BIG	  21600
#define PLENTY	  100000000l

/* Plain connections full of bytes that nobody reads, and the marks as they were. */
struct squeeze {
	int fd; /* tcp_mem */
	int hog[NHOGS][2];
	char was[64];
};

/* In pages; of all sockets of the machine. */
static long used(void)
{
	FILE *f = fopen("/proc/net/sockstat", "re");
	char line[256], *mem;
	long n = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "TCP:", 4) && (mem = strstr(line, " mem ")))
			n = atol(mem + 5);
	if (f)
		fclose(f);
	return n;
}

static int marks(struct rig *r, const struct squeeze *q, long low, long pressure, long high)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%ld %ld %ld", low, pressure, high);

	return pwrite(q->fd, text, n, 0) == n ? 0 : fault(r, -errno, "write tcp_mem");
}

static int marks_back(struct rig *r, const struct squeeze *q)
{
	ssize_t n = strlen(q->was);

	return pwrite(q->fd, q->was, n, 0) == n ? 0 : fault(r, -errno, "restore tcp_mem");
}

/* A namespace cannot see the marks unless it is the first one. */
static int marks_open(struct rig *r, struct squeeze *q)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const char *host = getenv("HOST_NET");
	ssize_t n;

	if (!host || setns(atoi(host), CLONE_NEWNET))
		return fault(r, -ENOENT, "$HOST_NET is no descriptor of a network namespace");
	q->fd = open("/proc/sys/net/ipv4/tcp_mem", O_RDWR | O_CLOEXEC);
	n = q->fd < 0 ? -1 : read(q->fd, q->was, sizeof(q->was) - 1);
	if (setns(own, CLONE_NEWNET) || n <= 0)
		return fault(r, -errno, "net.ipv4.tcp_mem");
	close(own);
	return 0;
}

static int hog(struct rig *r, int pair[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	struct stream junk = {0};
	ssize_t n;

	if (bind(l, (void *)&a, len) || listen(l, 1) || getsockname(l, (void *)&a, &len))
		return fault(r, -errno, "listener of a hog");
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(pair[0], (void *)&a, len) || (pair[1] = accept(l, NULL, NULL)) < 0)
		return fault(r, -errno, "hog");
	close(l);
	n = stream_fill(pair[0], &junk, 65536, 64 << 20, 50);
	return n < 0 ? fault(r, n, "fill a hog") : 0;
}

static int squeeze_open(struct rig *r, struct squeeze *q)
{
	int err = marks_open(r, q);

	for (int i = 0; i < NHOGS && !err; i++)
		err = hog(r, q->hog[i]);
	if (!err && used() < HOG_PAGES)
		err = fault(r, -ENODATA, "the hogs hold %ld pages", used());
	return err;
}

static void squeeze_close(struct rig *r, struct squeeze *q)
{
	marks_back(r, q);
	for (int i = 0; i < NHOGS; i++) {
		close(q->hog[i][0]);
		close(q->hog[i][1]);
	}
	close(q->fd);
}

/* A wire whose two directions are redirected, and what they carried. */
static int wire_running(struct rig *r, struct wire *w, struct pair *p)
{
	int err = wire_open(r, w, NULL);

	if (err)
		return err;
	if (!(err = trips(r, w, 5, 3000)) && !(err = want_all(r, w)))
		err = pair_of(r, w, p);
	if (err)
		wire_close(w);
	return err;
}

/* Under pressure by the stack, in both directions; after it as before. */
static int pressed(struct rig *r, struct squeeze *q, struct wire *w, const struct pair *before)
{
	int err = marks(r, q, 1, 2, PLENTY);
	struct pair p, after;

	if (!err)
		err = trips(r, w, 8, BIG);
	marks_back(r, q);
	if (err || (err = pair_of(r, w, &p)))
		return err;
	for (int i = 0; i < 2; i++)
		if (p.end[i].bytes != before->end[i].bytes || p.end[i].reason != REASON_MEMORY)
			return fault(r, -EPROTO, "end %d redirects under pressure (%s)", i,
				     reason_label(p.end[i].reason));
	if ((err = trips(r, w, 8, 3000)) || (err = pair_of(r, w, &after)))
		return err;
	for (int i = 0; i < 2; i++)
		if (after.end[i].bytes == p.end[i].bytes)
			return fault(r, -EPROTO, "end %d does not come back", i);
	return 0;
}

static int case_pressure(struct rig *r)
{
	struct squeeze q = {.fd = -1};
	int err = squeeze_open(r, &q);
	struct pair before;
	struct wire w;

	if (!err && !(err = wire_running(r, &w, &before))) {
		err = pressed(r, &q, &w, &before);
		wire_close(&w);
	}
	squeeze_close(r, &q);
	return err;
}

static bool both_left(struct rig *r, const struct wire *w)
{
	struct pair p;

	return !pair_of(r, w, &p) && (p.end[0].flags & p.end[1].flags & END_LEFT);
}

/* Near the end of memory who talks leaves the map; then it goes on without any, as plain TCP does. */
static int starved(struct rig *r, struct squeeze *q, struct wire *w)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	int err = 0;

	while (!err && !both_left(r, w)) {
		if (now_ms() > until)
			return fault(r, -ETIMEDOUT, "the ends stay in the map");
		if (!(err = marks(r, q, 1, 2, used() + used() / 4)))
			err = trips(r, w, 1, 500);
	}
	if (err || (err = marks(r, q, 1, 2, 3)))
		return err;
	return trips(r, w, 5, 500);
}

static int case_short(struct rig *r)
{
	struct squeeze q = {.fd = -1};
	int err = squeeze_open(r, &q);
	struct pair before;
	struct wire w;

	if (!err && !(err = wire_running(r, &w, &before))) {
		err = starved(r, &q, &w);
		marks_back(r, &q);
		if (!err)
			err = trips(r, &w, 5, 3000);
		wire_close(&w);
	}
	squeeze_close(r, &q);
	return err;
}

/*
 * All is gone at once: a writer may be told to wait, and is told nothing else. Small messages do not
 * even reach the verdict, so these are larger than any send buffer that the kernel leaves a socket.
 */
static int gone(struct rig *r, struct squeeze *q, struct wire *w)
{
	uint8_t buf[BIG];
	int err = marks(r, q, 1, 2, 3);

	for (int i = 0; i < 200 && !err; i++) {
		ssize_t n;

		stream_bytes(&w->up, w->up.off, buf, sizeof(buf));
		n = send(w->c, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			w->up.off += n;
		else if (errno != EAGAIN)
			err = fault(r, -errno, "write() without memory");
	}
	marks_back(r, q);
	return err ? err : drain(r, w);
}

static int case_gone(struct rig *r)
{
	struct squeeze q = {.fd = -1};
	int err = squeeze_open(r, &q);
	struct pair before;
	struct wire w;

	if (!err && !(err = wire_running(r, &w, &before))) {
		if (!(err = gone(r, &q, &w)))
			err = trips(r, &w, 5, 3000);
		wire_close(&w);
	}
	squeeze_close(r, &q);
	return err;
}

/* Pressure that comes and goes: directions turn all the time, and no byte is lost or out of order. */
static int storm(struct rig *r, const struct squeeze *q, struct swarm *s)
{
	uint64_t heard = 0;
	int err = 0;

	for (int i = 0; i < 60 && !err; i++) {
		err = i & 1 ? marks_back(r, q) : marks(r, q, 1, 2, PLENTY);
		for (int k = 0; k < 200 && swarm_messages(s) < heard + 5; k++)
			poll(NULL, 0, 1);
		heard = swarm_messages(s);
	}
	marks_back(r, q);
	return err ? err : swarm_watch(r, s);
}

static int case_storm(struct rig *r)
{
	struct swarm s = {.nwires = 8};
	struct squeeze q = {.fd = -1};
	int err = squeeze_open(r, &q);

	if (!err && !(err = swarm_open(r, &s))) {
		if (!(err = swarm_start(r, &s)) && !(err = storm(r, &q, &s)))
			err = swarm_accelerates(r, &s);
		swarm_stop(&s);
		if (swarm_wait(r, &s) && !err)
			err = -EPROTO;
	}
	swarm_close(&s);
	squeeze_close(r, &q);
	return err;
}

/* clang-format off */
const struct torture_case memory_cases[] = {
	CASE("memory-pressure", case_pressure, ON_TWO,
	     "TCP memory under pressure: by the stack, and back afterwards", .asked = true),
	CASE("memory-short", case_short, ON_TWO,
	     "TCP memory nearly gone: who talks leaves the map and goes on", .asked = true),
	CASE("memory-storm", case_storm, ON_TWO,
	     "TCP memory under pressure again and again, under traffic", .asked = true),
	CASE("memory-gone", case_gone, ON_TWO,
	     "TCP memory gone: write() never says ENOMEM", .asked = true),
	{.name = NULL},
};
/* clang-format on */
