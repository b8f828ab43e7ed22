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
#include <unistd.h>
#include "event/signal.h"

static struct loop l;
static struct signals s;
static int seen[65], closes, reused[2];

/* Another descriptor gets the number at once, with something to read that is not ours. */
static void close_and_reuse(void)
{
	char bytes[128] = { 0 };
	int old = s.io.fd;

	signals_close(&s);
	assert_int_equal(pipe(reused), 0);
	assert_int_equal(reused[0], old);
	assert_int_equal(write(reused[1], bytes, sizeof(bytes)), sizeof(bytes));
}

static void on_signal(int signo, void *arg)
{
	assert_ptr_equal(arg, &s);
	seen[signo]++;
	if (closes)
		close_and_reuse();
	loop_stop(&l);
}

static void test_signals_are_events(void **state)
{
	static const int signos[] = { SIGUSR1, SIGTERM };

	(void)state;
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(signals_open(&s, &l, signos, 2, on_signal, &s), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGTERM);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(seen[SIGUSR1], 1);
	assert_int_equal(seen[SIGTERM], 1);
	kill(getpid(), SIGTERM);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(seen[SIGTERM], 2);
	signals_close(&s);
	signals_close(&s);
	loop_fini(&l);
}

static void test_closed_by_its_callback(void **state)
{
	static const int signos[] = { SIGUSR1, SIGUSR2 };

	(void)state;
	closes = 1;
	memset(seen, 0, sizeof(seen));
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(signals_open(&s, &l, signos, 2, on_signal, &s), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(seen[SIGUSR1] + seen[SIGUSR2], 1);
	loop_once(&l, 0);
	assert_int_equal(seen[0] + seen[SIGUSR1] + seen[SIGUSR2], 1);
	close(reused[0]);
	close(reused[1]);
	loop_fini(&l);
}

static void test_no_such_signal(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(signals_open(&s, &l, &(int){ 1000 }, 1, on_signal, &s), -EINVAL);
	signals_close(&s);
	loop_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_are_events),
		cmocka_unit_test(test_closed_by_its_callback),
		cmocka_unit_test(test_no_such_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
