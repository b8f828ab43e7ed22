// SPDX-License-Identifier: Apache-2.0
/*
 * One turn: wait, tick, descriptors, timers, deferred work. What epoll reports is first put on the
 * list `ready`, whole; so a callback that deletes another's descriptor also takes back the event
 * that was waiting for it, and a descriptor number that is closed and opened again within one batch
 * does not get its predecessor's event.
 */
#include "event/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "event/wheel.h"

#define loop_MAGIC 0x6c6f6f70u
#define BATCH 256 /* events per turn: timers and deferred work get theirs too */
#define EDGE (1u << 31)                         /* in loop_io.want */

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
	io->want = want;
	return 0;
}

static int add(struct loop *l, struct loop_io *io, int fd, unsigned want, loop_io_fn *fn, void *arg)
{
	int err;

	if (io->active)
		return -EEXIST;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	io->revents = 0;
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

	if (!list_empty(&l->deferred) || l->stop || !wait)
		return 0;
	if (l->tick && l->tick_max_ns && l->tick_max_ns < wait)
		wait = l->tick_max_ns;
	next = wheel_next_ns(l->timers);
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

int loop_once(struct loop *l, int64_t max_wait_ns)
{
	struct epoll_event ev[BATCH];
	int n;

	assert_always(l->magic == loop_MAGIC && list_empty(&l->ready));
	n = epoll_wait(l->epoll_fd, ev, BATCH, timeout_ms(l, max_wait_ns));
	if (n < 0 && errno != EINTR)
		return -errno;
	l->now_ns = clock_ns();
	l->iterations++;
	if (l->tick)
		l->tick(l, l->tick_arg);
	for (int i = 0; i < n; i++) {
		struct loop_io *io = ev[i].data.ptr;

		io->revents = ev[i].events;
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
