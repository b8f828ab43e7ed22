// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "event/timer.h"

static struct loop l;

struct end {
	struct loop_io io;
	int calls;
	unsigned events;
	struct end *other;
};

static int setup(void **state)
{
	(void)state;
	return loop_init(&l);
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&l);
	return 0;
}

static void pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
}

static void note(struct loop_io *io, unsigned events)
{
	struct end *e = io->arg;

	e->calls++;
	e->events = events;
}

static void test_level(void **state)
{
	struct end e = { 0 };
	char c;
	int sv[2];

	(void)state;
	pair(sv);
	assert_int_equal(loop_add(&l, &e.io, sv[0], LOOP_READ, note, &e), 0);
	assert_int_equal(loop_add(&l, &e.io, sv[0], LOOP_READ, note, &e), -EEXIST);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 0);
	assert_int_equal(write(sv[1], "x", 1), 1);
	loop_once(&l, -1);
	loop_once(&l, -1);
	assert_int_equal(e.calls, 2);
	assert_int_equal(e.events, LOOP_READ);
	assert_int_equal(read(sv[0], &c, 1), 1);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 2);
	assert_int_equal(loop_want(&l, &e.io, LOOP_WRITE), 0);
	assert_int_equal(loop_want(&l, &e.io, LOOP_WRITE), 0);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_WRITE);
	assert_int_equal(loop_want(&l, &e.io, 0), 0);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 3);
	loop_del(&l, &e.io);
	loop_del(&l, &e.io);
	assert_int_equal(loop_want(&l, &e.io, LOOP_READ), -EINVAL);
	close(sv[0]);
	close(sv[1]);
}

static void test_edge(void **state)
{
	struct end e = { 0 };
	int sv[2];

	(void)state;
	pair(sv);
	assert_int_equal(loop_add_edge(&l, &e.io, sv[0], note, &e), 0);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_WRITE);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 1);
	assert_int_equal(write(sv[1], "x", 1), 1);
	loop_once(&l, -1);
	assert_true(e.events & LOOP_READ);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 2);
	assert_int_equal(loop_want(&l, &e.io, LOOP_READ), -EINVAL);
	shutdown(sv[1], SHUT_WR);
	loop_once(&l, -1);
	assert_true(e.events & LOOP_HUP);
	loop_del(&l, &e.io);
	close(sv[0]);
	close(sv[1]);
}

static void test_refused_descriptors(void **state)
{
	struct end e = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(loop_add(&l, &e.io, fd, LOOP_READ, note, &e), -EPERM);
	assert_int_equal(loop_add(&l, &e.io, -1, LOOP_READ, note, &e), -EBADF);
	assert_false(e.io.active);
	loop_del(&l, &e.io);
	close(fd);
}

/* The end of a pipe's writer is EPOLLHUP alone: who waits to read is told to. */
static void test_hang_up_wakes_the_reader(void **state)
{
	struct end e = { 0 };
	int fd[2], sv[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(loop_add(&l, &e.io, fd[0], LOOP_READ, note, &e), 0);
	close(fd[1]);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_READ | LOOP_HUP);
	assert_int_equal(loop_want(&l, &e.io, 0), 0);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_HUP);
	loop_del(&l, &e.io);
	close(fd[0]);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(loop_add(&l, &e.io, fd[1], LOOP_WRITE, note, &e), 0);
	close(fd[0]);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_WRITE | LOOP_ERR);
	loop_del(&l, &e.io);
	close(fd[1]);
	pair(sv);
	assert_int_equal(loop_add(&l, &e.io, sv[0], LOOP_HUP, note, &e), 0);
	assert_int_equal(write(sv[1], "x", 1), 1);
	shutdown(sv[1], SHUT_WR);
	loop_once(&l, -1);
	assert_int_equal(e.events, LOOP_HUP);
	loop_del(&l, &e.io);
	close(sv[0]);
	close(sv[1]);
}

/* Two are ready in one batch; the first one called deletes and closes the other. */
static void delete_other(struct loop_io *io, unsigned events)
{
	struct end *e = io->arg;

	note(io, events);
	loop_del(&l, &e->other->io);
	close(e->other->io.fd);
}

static void test_deleted_within_the_batch(void **state)
{
	struct end e[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		e[i].other = &e[1 - i];
		assert_int_equal(
			loop_add(&l, &e[i].io, eventfd(1, 0), LOOP_READ, delete_other, &e[i]), 0);
	}
	loop_once(&l, -1);
	assert_int_equal(e[0].calls + e[1].calls, 1);
	loop_once(&l, -1);
	assert_int_equal(e[0].calls + e[1].calls, 2);
	for (int i = 0; i < 2; i++) {
		if (e[i].io.active)
			close(e[i].io.fd);
	}
}

/* And at once puts another descriptor, of the same number, in the same struct. */
static void replace_other(struct loop_io *io, unsigned events)
{
	struct end *e = io->arg;
	int old = e->other->io.fd, fd;

	note(io, events);
	loop_del(&l, &e->other->io);
	close(old);
	fd = eventfd(0, 0); /* not readable */
	assert_int_equal(fd, old);
	assert_int_equal(loop_add(&l, &e->other->io, fd, LOOP_READ, note, e->other), 0);
	loop_del(&l, io);
	close(io->fd);
}

static void test_number_reused_within_the_batch(void **state)
{
	struct end e[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		e[i].other = &e[1 - i];
		assert_int_equal(
			loop_add(&l, &e[i].io, eventfd(1, 0), LOOP_READ, replace_other, &e[i]), 0);
	}
	loop_once(&l, -1);
	loop_once(&l, 0);
	assert_int_equal(e[0].calls + e[1].calls, 1);
	for (int i = 0; i < 2; i++) {
		if (e[i].io.active)
			close(e[i].io.fd);
	}
}

static void pause_other(struct loop_io *io, unsigned events)
{
	struct end *e = io->arg;

	note(io, events);
	loop_want(&l, &e->other->io, 0);
}

static void test_paused_within_the_batch(void **state)
{
	struct end e[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		e[i].other = &e[1 - i];
		assert_int_equal(
			loop_add(&l, &e[i].io, eventfd(1, 0), LOOP_READ, pause_other, &e[i]), 0);
	}
	loop_once(&l, -1);
	assert_int_equal(e[0].calls + e[1].calls, 1);
	for (int i = 0; i < 2; i++) {
		loop_del(&l, &e[i].io);
		close(e[i].io.fd);
	}
}

static void test_closed_before_deleted(void **state)
{
	struct end e = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	assert_int_equal(loop_add(&l, &e.io, fd, LOOP_READ, note, &e), 0);
	close(fd);
	loop_once(&l, 0);
	assert_int_equal(e.calls, 0);
	loop_del(&l, &e.io);
	assert_false(e.io.active);
}

/* More descriptors than fit one batch: all get their turn. */
static void test_many_ready(void **state)
{
	static struct end e[600];

	(void)state;
	for (int i = 0; i < 600; i++)
		assert_int_equal(
			loop_add(&l, &e[i].io, eventfd(1, EFD_CLOEXEC), LOOP_READ, note, &e[i]), 0);
	for (int i = 0; i < 3; i++)
		loop_once(&l, -1);
	for (int i = 0; i < 600; i++) {
		assert_true(e[i].calls >= 1);
		loop_del(&l, &e[i].io);
		close(e[i].io.fd);
	}
}

static char order[64];

struct work {
	struct loop_deferred d;
	char name;
	struct work *next;
};

static void work(struct loop_deferred *d)
{
	struct work *x = container_of(d, struct work, d);

	strncat(order, &x->name, 1);
	if (x->next)
		loop_defer(&l, &x->next->d, work);
}

static void defer_work(struct loop_io *io, unsigned events)
{
	struct work *w = io->arg;
	uint64_t n;

	(void)events;
	assert_int_equal(read(io->fd, &n, sizeof(n)), sizeof(n));
	strcat(order, "i");
	loop_defer(&l, &w[0].d, work);
	loop_defer(&l, &w[1].d, work);
	loop_defer(&l, &w[0].d, work);
}

static void test_deferred_order(void **state)
{
	struct work w[3] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' } };
	struct loop_io io = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	order[0] = 0;
	w[0].next = &w[2];
	assert_int_equal(loop_add(&l, &io, fd, LOOP_READ, defer_work, w), 0);
	loop_once(&l, -1);
	assert_string_equal(order, "iab");
	loop_once(&l, -1); /* does not sleep */
	assert_string_equal(order, "iabc");
	loop_del(&l, &io);
	close(fd);
}

static void free_work(struct loop_deferred *d)
{
	free(container_of(d, struct work, d));
}

static void test_end_of_loop_runs_deferred(void **state)
{
	struct work *w = calloc(1, sizeof(*w)), x = { .name = 'x' }, y = { .name = 'y' };

	(void)state;
	order[0] = 0;
	x.next = &y;
	loop_defer(&l, &w->d, free_work);
	loop_defer(&l, &x.d, work);
	loop_fini(&l);
	assert_string_equal(order, "xy");
	loop_fini(&l);
}

static void beat(struct loop *loop, void *arg)
{
	assert_true(loop == &l);
	if (++*(int *)arg == 3)
		loop_stop(&l);
}

static void test_tick(void **state)
{
	uint64_t start = clock_ns();
	int beats = 0;

	(void)state;
	l.tick = beat;
	l.tick_arg = &beats;
	l.tick_max_ns = 2 * MSEC;
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(beats, 3);
	assert_int_equal(l.iterations, 3);
	assert_true(clock_ns() - start >= 6 * MSEC);
}

static void test_stop_before_run(void **state)
{
	(void)state;
	loop_stop(&l);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(l.iterations, 0);
	loop_stop(&l);
	assert_int_equal(loop_once(&l, -1), 0);
}

static void test_wait_is_bounded(void **state)
{
	uint64_t start = clock_ns();

	(void)state;
	assert_int_equal(loop_once(&l, 5 * MSEC), 0);
	assert_true(clock_ns() - start >= 5 * MSEC);
	assert_true(l.now_ns >= start + 5 * MSEC);
	assert_int_equal(loop_once(&l, 1), 0);
}

static void nothing(int signo)
{
	(void)signo;
}

static void test_signal_is_no_error(void **state)
{
	struct sigaction sa = { .sa_handler = nothing };
	timer_t id;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec when = { .it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000 };

	(void)state;
	sigaction(SIGUSR1, &sa, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
	timer_settime(id, 0, &when, NULL);
	assert_int_equal(loop_once(&l, -1), 0);
	timer_delete(id);
}

static void test_dead_epoll_is_an_error(void **state)
{
	int fd = l.epoll_fd;

	(void)state;
	l.epoll_fd = -1;
	assert_int_equal(loop_once(&l, 0), -EBADF);
	assert_int_equal(loop_run(&l), -EBADF);
	l.epoll_fd = fd;
}

static bool epoll_knows(int fd)
{
	char path[64], line[128], want[32];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", l.epoll_fd);
	snprintf(want, sizeof(want), "tfd: %8d ", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, want, strlen(want));
	if (f)
		fclose(f);
	return found;
}

/* Told at once that it may read and write; epoll hears of it when it is still there some turns later, and misses nothing. */
static void test_late(void **state)
{
	struct end e = { 0 };
	int sv[2];

	(void)state;
	pair(sv);
	loop_add_late(&l, &e.io, sv[0], note, &e);
	assert_int_equal(write(sv[1], "x", 1), 1);
	loop_once(&l, -1);
	assert_int_equal(e.calls, 1);
	assert_int_equal(e.events, LOOP_READ | LOOP_WRITE);
	assert_false(epoll_knows(sv[0]));
	while (e.calls < 2)
		loop_once(&l, -1);
	assert_true(epoll_knows(sv[0]));
	assert_true(e.events & LOOP_READ);
	loop_watch(&l, &e.io);
	close(sv[1]);
	loop_once(&l, -1);
	assert_true(e.events & LOOP_HUP);
	loop_del(&l, &e.io);
	assert_false(epoll_knows(sv[0]));
	close(sv[0]);
}

static void test_late_is_watched_or_gone(void **state)
{
	struct end e = { 0 }, gone = { 0 }, never = { 0 };
	int sv[2], other[2];

	(void)state;
	pair(sv);
	pair(other);
	loop_add_late(&l, &e.io, sv[0], note, &e);
	loop_add_late(&l, &gone.io, other[0], note, &gone);
	loop_add_late(&l, &never.io, other[1], note, &never);
	loop_del(&l, &never.io);
	loop_once(&l, -1);
	assert_int_equal(never.calls, 0);
	assert_int_equal(gone.calls, 1);
	loop_watch(&l, &e.io);
	assert_true(epoll_knows(sv[0]));
	assert_false(epoll_knows(other[0]));
	loop_del(&l, &gone.io);
	assert_true(list_empty(&l.late[0]) && list_empty(&l.late[1]));
	/* Nothing is left that would wake the loop but its own events. */
	assert_int_equal(write(sv[1], "x", 1), 1);
	while (!(e.events & LOOP_READ) || e.calls < 2)
		loop_once(&l, -1);
	assert_int_equal(gone.calls, 1);
	loop_del(&l, &e.io);
	close(sv[0]);
	close(sv[1]);
	close(other[0]);
	close(other[1]);
}

/* ---- spinning ----------------------------------------------------------------------------------------------- */

static void leave_it(struct loop_io *io, unsigned events)
{
	(void)io, (void)events;
}

/* A loop that is always asked, with so long a spin; how often it spun. */
static uint64_t spins_of_busy(struct loop *l, uint64_t spin_ns, int turns)
{
	uint64_t before = stat_get(&l->spin.spins);

	l->spin_ns = spin_ns;
	for (int i = 0; i < turns; i++)
		assert_int_equal(loop_once(l, -1), 0);
	return stat_get(&l->spin.spins) - before;
}

static void test_spins_while_events_come_fast(void **state)
{
	struct loop_io io = { 0 };
	struct loop l;
	uint64_t spins;
	int fd[2];

	(void)state;
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_int_equal(loop_add(&l, &io, fd[0], LOOP_READ, leave_it, NULL), 0);
	assert_int_equal(spins_of_busy(&l, 0, 20), 0);
	/* No wait is that short. */
	assert_int_equal(spins_of_busy(&l, 1, 20), 0);
	spins = spins_of_busy(&l, 60ull * 1000000000, 20);
	assert_true(spins >= 10 && spins < 20);
	assert_int_equal(stat_get(&l.spin.hits), spins);
	/* Nothing comes: a few times in vain, then it sleeps at once. */
	loop_del(&l, &io);
	l.spin_ns = 1000;
	spins = stat_get(&l.spin.spins);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_once(&l, 1000000), 0);
	assert_true(stat_get(&l.spin.spins) - spins <= 3);
	assert_true(stat_get(&l.spin.hits) <= spins);
	loop_fini(&l);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spins_while_events_come_fast),
		T(test_level),
		T(test_edge),
		T(test_late),
		T(test_late_is_watched_or_gone),
		T(test_refused_descriptors),
		T(test_hang_up_wakes_the_reader),
		T(test_deleted_within_the_batch),
		T(test_number_reused_within_the_batch),
		T(test_paused_within_the_batch),
		T(test_closed_before_deleted),
		T(test_many_ready),
		T(test_deferred_order),
		T(test_end_of_loop_runs_deferred),
		T(test_tick),
		T(test_stop_before_run),
		T(test_wait_is_bounded),
		T(test_signal_is_no_error),
		T(test_dead_epoll_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
