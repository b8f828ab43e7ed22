// SPDX-License-Identifier: Apache-2.0
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

#define PACKET_MAX 2048
#define ROOM	   4096 /* packets under way in one direction */

struct packet {
	uint64_t due; /* ns */
	uint16_t len;
	uint8_t bytes[PACKET_MAX];
};

/* Packets under way, a heap by the time they are due. */
struct way {
	struct packet *packet; /* ROOM of them */
	uint16_t heap[ROOM], idle[ROOM];
	unsigned n, nidle;
};

struct path {
	int tun[2];
	struct path_faults faults;
	struct way way[2];
	uint64_t luck;
	atomic_bool quit;
	_Atomic unsigned long faulty;
	pthread_t thread;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void swap(struct way *w, unsigned i, unsigned k)
{
	uint16_t x = w->heap[i];

	w->heap[i] = w->heap[k];
	w->heap[k] = x;
}

static bool before(const struct way *w, unsigned i, unsigned k)
{
	return w->packet[w->heap[i]].due < w->packet[w->heap[k]].due;
}

static void way_add(struct way *w, uint16_t slot)
{
	unsigned i = w->n++;

	w->heap[i] = slot;
	for (; i && before(w, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(w, i, (i - 1) / 2);
}

static void way_drop(struct way *w)
{
	unsigned i = 0;

	w->idle[w->nidle++] = w->heap[0];
	w->heap[0] = w->heap[--w->n];
	for (;;) {
		unsigned least = i, l = 2 * i + 1, r = l + 1;

		if (l < w->n && before(w, l, least))
			least = l;
		if (r < w->n && before(w, r, least))
			least = r;
		if (least == i)
			return;
		swap(w, i, least);
		i = least;
	}
}

static bool chance(struct path *p, unsigned of_1000)
{
	bool hit = draw(&p->luck) % 1000 < of_1000;

	p->faulty += hit;
	return hit;
}

static uint64_t due(struct path *p)
{
	const struct path_faults *f = &p->faults;

	return now_ns() +
	       1000ull * (f->delay_us + (f->jitter_us ? draw(&p->luck) % f->jitter_us : 0));
}

static void take(struct path *p, struct way *w, const uint8_t *bytes, size_t n)
{
	struct packet *k = &w->packet[w->idle[--w->nidle]];

	memcpy(k->bytes, bytes, n);
	k->len = n;
	k->due = due(p);
	if (chance(p, p->faults.damage))
		k->bytes[draw(&p->luck) % n] ^= 1 << draw(&p->luck) % 8;
	way_add(w, k - w->packet);
}

static void pull(struct path *p, int i)
{
	struct way *w = &p->way[i];
	uint8_t buf[PACKET_MAX];

	while (w->nidle > 1) {
		ssize_t n = read(p->tun[i], buf, sizeof(buf));

		if (n <= 0)
			return;
		if (chance(p, p->faults.loss))
			continue;
		take(p, w, buf, n);
		if (chance(p, p->faults.twice))
			take(p, w, buf, n);
	}
}

/*
 * Sends what is due; ns until the next is. A damaged packet may be refused at once, which is as
 * good.
 */
static uint64_t push(struct path *p, int i)
{
	struct way *w = &p->way[i];
	uint64_t now = now_ns();

	while (w->n) {
		struct packet *k = &w->packet[w->heap[0]];

		if (k->due > now)
			return k->due - now;
		if (write(p->tun[!i], k->bytes, k->len) < 0 && errno == EAGAIN)
			return 100000;
		way_drop(w);
	}
	return 50000000;
}

static void *carry(void *arg)
{
	struct path *p = arg;

	while (!atomic_load(&p->quit)) {
		struct pollfd fd[2] = {{.fd = p->tun[0], .events = POLLIN},
				       {.fd = p->tun[1], .events = POLLIN}};
		uint64_t a = push(p, 0), b = push(p, 1);
		struct timespec t = {.tv_nsec = a < b ? a : b};

		ppoll(fd, 2, &t, NULL);
		pull(p, 0);
		pull(p, 1);
	}
	return NULL;
}

static void *device(void *arg)
{
	const struct pod *p = arg;
	struct ifreq ifr = {.ifr_name = "t0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int ns = open(p->netns, O_RDONLY | O_CLOEXEC), fd;

	/* A thread of its own: it stays in that namespace. */
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		return (void *)(intptr_t)-errno;
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return (void *)(intptr_t)-errno;
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return (void *)(intptr_t)fd;
	close(fd);
	return (void *)(intptr_t)-ENODEV;
}

int path_device(const struct pod *p)
{
	pthread_t t;
	void *out;

	if (pthread_create(&t, NULL, device, (void *)p))
		return -EAGAIN;
	pthread_join(t, &out);
	return (intptr_t)out;
}

int path_open(struct path **out, const struct pod *a, const struct pod *b,
	      const struct path_faults *f)
{
	struct path *p = calloc(1, sizeof(*p));
	int err = 0;

	p->faults = *f;
	p->luck = 7;
	p->tun[0] = path_device(a);
	p->tun[1] = path_device(b);
	for (int i = 0; i < 2; i++) {
		if (p->tun[i] < 0)
			err = p->tun[i];
		p->way[i].packet = calloc(ROOM, sizeof(struct packet));
		for (unsigned k = 0; k < ROOM; k++)
			p->way[i].idle[p->way[i].nidle++] = k;
	}
	if (!err)
		err = -pthread_create(&p->thread, NULL, carry, p);
	*out = p;
	if (err) {
		p->thread = 0;
		path_close(p);
		*out = NULL;
	}
	return err;
}

void path_close(struct path *p)
{
	if (!p)
		return;
	atomic_store(&p->quit, true);
	if (p->thread)
		pthread_join(p->thread, NULL);
	for (int i = 0; i < 2; i++) {
		if (p->tun[i] >= 0)
			close(p->tun[i]);
		free(p->way[i].packet);
	}
	free(p);
}

unsigned long path_faulty(const struct path *p)
{
	return p->faulty;
}
