// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that share a socket while the path switches under them. Every byte carries its writer in the top bits and a
 * hash of its position in that writer's own stream below, so the reader can take the streams apart and see any loss or
 * reordering within one, while interleaving between writers is free, as it is with TCP. The kill switch goes on and off,
 * the send buffer is small (writers sleep in the middle of a message), the server answers (the way back).
 */
#include "known_answers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kern/selftest_priv.h"
#include "weft/err.h"

#define WRITERS 3
#define BIG 200000                              /* the first writer's messages; the others' are small */
#define SMALL 2000
#define PATIENCE_S 60
#define WINDOW 400000                           /* bytes a writer is ahead of the reader: queues run empty now and then */

struct stage {
	struct kit *k;
	struct duo d;
	uint64_t n;                             /* bytes of each writer */
	int err;                                /* of the reader */
	uint32_t early;                         /* EAGAIN of a blocking recv() before its time was up */
	volatile uint64_t got[WRITERS];
	volatile bool done;
};

struct writer {
	struct stage *s;
	uint32_t id;
};

static uint8_t tagged(uint32_t writer, uint64_t pos)
{
	uint64_t x = pos * 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return writer << 6 | x >> 58;
}

static void *write_stream(void *arg)
{
	struct writer *w = arg;
	uint8_t *buf = malloc(BIG);
	uint32_t seed = w->id + 1;
	uint64_t pos = 0;

	while (pos < w->s->n && !w->s->done) {
		size_t n = 1 + (seed = seed * 1664525u + 1013904223u) % (w->id ? SMALL : BIG);
		ssize_t sent;

		n = n < w->s->n - pos ? n : w->s->n - pos;
		for (size_t i = 0; i < n; i++)
			buf[i] = tagged(w->id, pos + i);
		while (pos - w->s->got[w->id] > (w->id ? 4 * SMALL : WINDOW) && !w->s->done)
			sched_yield();
		sent = send(w->s->d.client, buf, n, MSG_NOSIGNAL);
		if (sent != (ssize_t)n) {
			w->s->err = w->s->err ? w->s->err : sent < 0 ? -errno : -EIO;
			break;
		}
		pos += n;
	}
	free(buf);
	return NULL;
}

static int check(struct stage *s, const uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t id = buf[i] >> 6;

		if (id >= WRITERS || buf[i] != tagged(id, s->got[id]))
			return -EILSEQ;
		s->got[id]++;
	}
	return 0;
}

/* Answers whenever it has read all there was: its publication is the way back. */
static void *read_streams(void *arg)
{
	static uint8_t buf[65536];
	struct stage *s = arg;
	uint64_t left = s->n * WRITERS;
	int err = 0;

	while (left && !err) {
		time_t start = time(NULL);
		ssize_t n = recv(s->d.server, buf, sizeof(buf), 0);

		/* A kernel defect, docs/kernel.md: woken for send space, recv() on a mapped socket gives up. */
		if (n < 0 && errno == EAGAIN && time(NULL) - start < PATIENCE_S - 1) {
			s->early++;
			continue;
		}
		if (n <= 0)
			err = n ? -errno : -ENODATA;
		else if (!(err = check(s, buf, n)))
			left -= n;
		if (!err && send(s->d.server, "k", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			err = -errno;
	}
	s->err = s->err ? s->err : err;
	s->done = true;
	return NULL;
}

static void nap_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void disturb(struct stage *s)
{
	static char sink[65536];
	uint32_t i = 0;

	while (!s->done) {
		s->k->ctl.flags ^= CTL_KILL;
		kit_ctl(s->k);
		nap_us(s->k->ctl.flags & CTL_KILL ? 50 : 200 + i++ % 7 * 150);
		while (recv(s->d.client, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	s->k->ctl.flags &= ~CTL_KILL;
	kit_ctl(s->k);
}

static int stage_open(struct stage *s)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct duo_opts o = {0};
	int err = duo_open(&s->d, &o), small = 16384, fd[2] = {s->d.client, s->d.server};

	for (int i = 0; i < 2 && !err; i++) {
		fcntl(fd[i], F_SETFL, 0);
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		setsockopt(fd[i], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		setsockopt(fd[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	}
	return err;
}

static int say(const char *name, int err, const char *what)
{
	printf("case %s threads-%s: %s%s%s\n", err ? "fail" : "pass", name, what, err ? ": " : "",
	       !err ? "" : err == -EAGAIN ? "hangs" : err == -EILSEQ ? "wrong order" : strerror(-err));
	return err != 0;
}

static int writers(struct kit *k, uint64_t n)
{
	struct stage s = {.k = k, .n = n};
	struct writer w[WRITERS];
	pthread_t reader, writer[WRITERS];
	struct pair p = {0};
	char what[120];
	int err = stage_open(&s);

	if (err)
		return say("writers", err, "connect");
	pthread_create(&reader, NULL, read_streams, &s);
	for (uint32_t i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){&s, i};
		pthread_create(&writer[i], NULL, write_stream, &w[i]);
	}
	disturb(&s);
	pthread_join(reader, NULL);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	duo_pair(k, &s.d, &p);
	snprintf(what, sizeof(what), "%u writers of %llu bytes, %.0f%% redirected, %u early EAGAIN", WRITERS,
		 (unsigned long long)n, 100.0 * p.end[0].bytes / (n * WRITERS), s.early);
	/* Both paths must have carried something, or nothing was tried. */
	err = s.err ? s.err : p.end[0].bytes < n / 50 || p.end[0].bytes > n * WRITERS - n / 50 ? -EPROTO : 0;
	duo_close(&s.d);
	return say("writers", err, what);
}

struct waiter {
	int fd, tid;
	volatile ssize_t got;
	uint8_t buf[8];
};

static void *wait_all(void *arg)
{
	struct waiter *w = arg;

	w->tid = syscall(SYS_gettid);
	w->got = recv(w->fd, w->buf, sizeof(w->buf), MSG_WAITALL);
	return NULL;
}

static bool asleep(int tid)
{
	char path[64], line[256] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (!(f = fopen(path, "r")))
		return false;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return p && p[2] == 'S';
}

/*
 * A thread has half of what it wants by the stack and sleeps inside the kernel's TCP; another answers, everything is
 * read. The second half must not be redirected: the sleeper would not see it.
 */
static int waitall(struct kit *k)
{
	struct stage s = {.k = k};
	struct waiter w = {.got = -2};
	pthread_t t;
	uint64_t tx = 0;
	int err = stage_open(&s), inq = 1;

	if (err)
		return say("waitall", err, "connect");
	w.fd = s.d.server;
	k->ctl.flags |= CTL_KILL;
	kit_ctl(k);
	err = stream_write(s.d.client, 4, &tx);
	pthread_create(&t, NULL, wait_all, &w);
	for (int i = 0; i < 2000 && (inq || !w.tid || !asleep(w.tid)); i++) {
		nap_us(500);
		ioctl(s.d.server, FIONREAD, &inq);
	}
	k->ctl.flags &= ~CTL_KILL;
	kit_ctl(k);
	if (!err && send(s.d.server, "k", 1, MSG_NOSIGNAL) != 1)
		err = -errno;
	if (!err)
		err = stream_write(s.d.client, 4, &tx);
	pthread_join(t, NULL);
	if (!err && (w.got != 8 || stream_check(w.buf, 8, 0) != 8))
		err = w.got == 4 ? -EAGAIN : -EILSEQ;
	duo_close(&s.d);
	return say("waitall", err, "half a message by the stack, a reader asleep in it");
}

int threads(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000000;
	struct err e = {0};
	struct kit k;
	int err;

	if ((err = kit_open(&k, NULL, NULL, &e)) || (err = kit_enter(&k))) {
		printf("threads: %s\n", err_text(&e));
		kit_close(&k);
		return err == -EPERM || err == -ENOENT ? 77 : 1;
	}
	k.ctl.max_outstanding = 1 << 18;
	kit_ctl(&k);
	err = waitall(&k) | writers(&k, n);
	kit_leave(&k);
	kit_close(&k);
	return err;
}
