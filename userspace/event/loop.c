// SPDX-License-Identifier: Apache-2.0
/*
 * One turn: wait, tick, descriptors, timers, deferred work. What epoll reports is first put on the
 * list `ready`, whole; so a callback that deletes another's descriptor also takes back the event
 * that was waiting for it, and a descriptor number that is closed and opened again within one batch
 * does not get its predecessor's event.
 */
#include "event/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "event/wheel.h"

#define loop_MAGIC 0x6c6f6f70u
#define BATCH 256 /* events per turn: timers and deferred work get theirs too */
#define EDGE (1u << 7)                          /* in loop_io.want */
#define LATE (1u << 6)                          /* beside EDGE: epoll does not know it yet */
#define LATE_NS (2 * MSEC)                      /* so long it does not, at least; at most twice that */

int loop_init(struct loop *l)
{
	*l = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (l->epoll_fd < 0)
		return -errno;
	l->magic = loop_MAGIC;
	l->now_ns = clock_ns();
	l->timers = mem_alloc(sizeof(*l->timers));
	wheel_init(l->timers, l->now_ns);
	list_init(&l->deferred);
	list_init(&l->ready);
	list_init(&l->late[0]);
	list_init(&l->late[1]);
	return 0;
}

static void run_deferred(struct list *todo)
{
	while (!list_empty(todo)) {
		struct loop_deferred *d = container_of(todo->next, struct loop_deferred, node);

		list_del(&d->node);
		d->fn(d);
	}
}

void loop_fini(struct loop *l)
{
	if (!l->magic)
		return;
	run_deferred(&l->deferred);
	wheel_fini(l->timers);
	free(l->timers);
	close(l->epoll_fd);
	*l = (struct loop){ .epoll_fd = -1 };
}

static uint32_t epoll_bits(unsigned want)
{
	if (want & EDGE)
		return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	return (want & LOOP_READ ? EPOLLIN : 0) | (want & LOOP_WRITE ? EPOLLOUT : 0) |
	       (want & LOOP_HUP ? EPOLLRDHUP : 0);
}

static int control(struct loop *l, int op, struct loop_io *io, unsigned want)
{
	struct epoll_event ev = { .events = epoll_bits(want), .data.ptr = io };

	if (epoll_ctl(l->epoll_fd, op, io->fd, &ev))
		return -errno;
	io->want = (uint8_t)want;
	return 0;
}

static void prepare(struct loop_io *io, int fd, loop_io_fn *fn, void *arg)
{
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	io->revents = 0;
}

static int add(struct loop *l, struct loop_io *io, int fd, unsigned want, loop_io_fn *fn, void *arg)
{
	int err;

	if (io->active)
		return -EEXIST;
	prepare(io, fd, fn, arg);
	err = control(l, EPOLL_CTL_ADD, io, want);
	io->active = !err;
	return err;
}

int loop_add(struct loop *l, struct loop_io *io, int fd, unsigned want, loop_io_fn *fn, void *arg)
{
	return add(l, io, fd, want, fn, arg);
}

int loop_add_edge(struct loop *l, struct loop_io *io, int fd, loop_io_fn *fn, void *arg)
{
	return add(l, io, fd, LOOP_READ | LOOP_WRITE | LOOP_HUP | EDGE, fn, arg);
}

void loop_add_late(struct loop *l, struct loop_io *io, int fd, loop_io_fn *fn, void *arg)
{
	assert_always(!io->active);
	prepare(io, fd, fn, arg);
	io->want = LOOP_READ | LOOP_WRITE | LOOP_HUP | EDGE | LATE;
	io->revents = EPOLLIN | EPOLLOUT;
	io->active = true;
	list_add_tail(&l->ready, &io->ready);
}

/* Told of what there is already, too. Without memory for it now, there will be some in a moment. */
void loop_watch(struct loop *l, struct loop_io *io)
{
	if (!io->active || !(io->want & LATE))
		return;
	list_del(&io->ready);
	if (control(l, EPOLL_CTL_ADD, io, io->want & ~LATE))
		list_add_tail(&l->late[1], &io->ready);
}

/* Two generations: what came just before their turn waits for the next. */
static void late_turn(struct loop *l)
{
	struct list *old = &l->late[0], *young = &l->late[1];

	if ((list_empty(old) && list_empty(young)) || l->now_ns - l->late_ns < LATE_NS)
		return;
	list_for(n, old)
		loop_watch(l, container_of(n, struct loop_io, ready));
	while (!list_empty(young)) {
		struct list *n = young->next;

		list_del(n);
		list_add_tail(old, n);
	}
	l->late_ns = l->now_ns;
}

static void become_late(struct loop *l, struct loop_io *io)
{
	if (list_empty(&l->late[0]) && list_empty(&l->late[1]))
		l->late_ns = l->now_ns;
	list_add_tail(&l->late[1], &io->ready);
}

int loop_want(struct loop *l, struct loop_io *io, unsigned want)
{
	if (!io->active || io->want & EDGE)
		return -EINVAL;
	return want == io->want ? 0 : control(l, EPOLL_CTL_MOD, io, want);
}

void loop_del(struct loop *l, struct loop_io *io)
{
	list_del(&io->ready);
	if (!io->active)
		return;
	io->active = false;
	if (io->want & LATE)
		return;
	/* Fails when its owner closed it first: then there is nothing left to delete. */
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
}

void loop_defer(struct loop *l, struct loop_deferred *d, loop_deferred_fn *fn)
{
	d->fn = fn;
	if (!list_linked(&d->node))
		list_add_tail(&l->deferred, &d->node);
}

/*
 * What the callback sees of what epoll said: only what is wanted now, which an earlier callback of
 * this batch may have changed. A hang-up or an error also wakes the wanted reader or writer, whose
 * next call then tells what happened.
 */
static unsigned events_of(const struct loop_io *io)
{
	unsigned events = 0, rw = io->want & (LOOP_READ | LOOP_WRITE);

	if (io->revents & EPOLLIN)
		events |= io->want & LOOP_READ;
	if (io->revents & EPOLLOUT)
		events |= io->want & LOOP_WRITE;
	if (io->revents & EPOLLRDHUP)
		events |= io->want & LOOP_HUP;
	if (io->revents & EPOLLHUP)
		events |= LOOP_HUP | rw;
	if (io->revents & EPOLLERR)
		events |= LOOP_ERR | rw;
	return events;
}

static void dispatch(struct loop *l)
{
	while (!list_empty(&l->ready)) {
		struct loop_io *io = container_of(l->ready.next, struct loop_io, ready);
		unsigned events = events_of(io);

		list_del(&io->ready);
		if (io->want & LATE)
			become_late(l, io);
		if (events)
			io->fn(io, events);
	}
}

/*
 * Deferred work that was added by deferred work waits for the next turn, so that yielding by it
 * starves nobody.
 */
static void deferred_turn(struct loop *l)
{
	struct list todo;

	if (list_empty(&l->deferred))
		return;
	/* todo takes the head's place in the ring */
	list_init(&todo);
	list_add_tail(&l->deferred, &todo);
	list_del(&l->deferred);
	list_init(&l->deferred);
	run_deferred(&todo);
}

/*
 * Milliseconds for epoll_wait(2), rounded up: waking before a timer's tick would only mean to wait
 * again.
 */
static int timeout_ms(const struct loop *l, int64_t max_wait_ns)
{
	uint64_t wait = max_wait_ns < 0 ? UINT64_MAX : (uint64_t)max_wait_ns, next, now;

	if (!list_empty(&l->deferred) || !list_empty(&l->ready) || l->stop || !wait)
		return 0;
	if (l->tick && l->tick_max_ns && l->tick_max_ns < wait)
		wait = l->tick_max_ns;
	next = wheel_next_ns(l->timers);
	if (!(list_empty(&l->late[0]) && list_empty(&l->late[1])) && l->late_ns + LATE_NS < next)
		next = l->late_ns + LATE_NS;
	if (next != WHEEL_NEVER) {
		now = clock_ns();
		if (next <= now)
			return 0;
		if (next - now < wait)
			wait = next - now;
	}
	if (wait == UINT64_MAX)
		return -1;
	wait = wait / MSEC + (wait % MSEC != 0);
	return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

/* ---- waiting ------------------------------------------------------------------------------------------------ */

STAT_DEFINE(loop_spin_stat, "spin", LOOP_SPIN_STATS);

#define SPIN_FROM 4u                            /* short waits in a row before the first spin */
#define SPIN_SCORE_MAX 16u
#define YIELD_LONG_NS (20 * 1000)               /* nobody else runs for less */

/* What came: 0 none in time, -2 somebody else wants the CPU. */
static int spin(struct loop *l, struct epoll_event *ev, uint64_t begin)
{
	uint64_t now = begin, before;
	int n;

	do {
		n = epoll_wait(l->epoll_fd, ev, BATCH, 0);
		if (n)
			return n;
		before = clock_ns();
		sched_yield();
		now = clock_ns();
		if (now - before > YIELD_LONG_NS)
			return -2;
	} while (now - begin < l->spin_ns);
	return 0;
}

static void score(struct loop *l, bool good)
{
	if (!good)
		l->spin_score /= 2;
	else if (l->spin_score < SPIN_SCORE_MAX)
		l->spin_score++;
}

static int wait_for_events(struct loop *l, struct epoll_event *ev, int ms)
{
	uint64_t begin;
	int n = 0;

	if (!l->spin_ns || !ms)
		return epoll_wait(l->epoll_fd, ev, BATCH, ms);
	begin = clock_ns();
	if (l->spin_score >= SPIN_FROM) {
		n = spin(l, ev, begin);
		stat_add(&l->spin.spins, 1);
		stat_add(&l->spin.hits, n > 0);
		stat_add(&l->spin.yields, n == -2);
		score(l, n > 0);
		if (n > 0 || n == -1)
			return n;
		/* It starts anew from nothing. */
		if (n == -2)
			l->spin_score = 0;
		return epoll_wait(l->epoll_fd, ev, BATCH, ms);
	}
	n = epoll_wait(l->epoll_fd, ev, BATCH, ms);
	score(l, n > 0 && clock_ns() - begin < l->spin_ns);
	return n;
}

int loop_once(struct loop *l, int64_t max_wait_ns)
{
	struct epoll_event ev[BATCH];
	int n;

	assert_always(l->magic == loop_MAGIC);
	late_turn(l);
	n = wait_for_events(l, ev, timeout_ms(l, max_wait_ns));
	if (n < 0 && errno != EINTR)
		return -errno;
	l->now_ns = clock_ns();
	l->iterations++;
	if (l->tick)
		l->tick(l, l->tick_arg);
	for (int i = 0; i < n; i++) {
		struct loop_io *io = ev[i].data.ptr;

		io->revents = (uint16_t)ev[i].events;
		list_add_tail(&l->ready, &io->ready);
	}
	dispatch(l);
	wheel_advance(l->timers, l->now_ns);
	deferred_turn(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int err = 0;

	while (!err && !l->stop)
		err = loop_once(l, -1);
	l->stop = false;
	return err;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
