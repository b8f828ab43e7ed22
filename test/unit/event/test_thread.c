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
#include <semaphore.h>
#include "base/clock.h"
#include "event/thread.h"
#include "event/timer.h"

struct trace {
	char text[64];
	struct timer timer;
	pthread_t id;
	int result;
	sem_t fired;
};

static void add(struct trace *tr, const char *word)
{
	strcat(tr->text, word);
}

static void on_timer(struct timer *t)
{
	struct trace *tr = t->arg;

	assert_true(pthread_equal(pthread_self(), tr->id));
	add(tr, " timer");
	sem_post(&tr->fired);
}

static int start(struct thread *t, void *arg)
{
	struct trace *tr = arg;
	char name[16];

	tr->id = pthread_self();
	pthread_getname_np(tr->id, name, sizeof(name));
	add(tr, name);
	if (!tr->result)
		timer_arm(&t->loop, &tr->timer, MSEC, on_timer, tr);
	return tr->result;
}

static void stop(struct thread *t, void *arg)
{
	struct trace *tr = arg;

	assert_true(pthread_equal(pthread_self(), tr->id));
	timer_disarm(&t->loop, &tr->timer);
	add(tr, " stop");
}

struct note {
	struct letter letter;
	struct trace *tr;
};

static void on_note(struct letter *m)
{
	add(container_of(m, struct note, letter)->tr, " letter");
}

static void test_life(void **state)
{
	struct trace tr = { 0 };
	struct note n = { .tr = &tr };
	struct thread t;

	(void)state;
	sem_init(&tr.fired, 0, 0);
	assert_int_equal(thread_start(&t, "worker-with-a-long-name", start, stop, &tr), 0);
	assert_true(t.running);
	assert_string_equal(t.name, "worker-with-a-l");
	while (sem_wait(&tr.fired))
		;
	mailbox_post(&t.mail, &n.letter, on_note);
	thread_stop(&t);
	assert_false(t.running);
	assert_string_equal(tr.text, "worker-with-a-l timer letter stop");
	assert_false(pthread_equal(tr.id, pthread_self()));
	thread_stop(&t);
	sem_destroy(&tr.fired);
}

static void test_start_fails(void **state)
{
	struct trace tr = { .result = -ENODEV };
	struct thread t;

	(void)state;
	assert_int_equal(thread_start(&t, "w", start, stop, &tr), -ENODEV);
	assert_false(t.running);
	assert_string_equal(tr.text, "w");
	thread_stop(&t);
}

static void test_nothing_to_call(void **state)
{
	struct thread t = { 0 };

	(void)state;
	thread_stop(&t);
	assert_int_equal(thread_start(&t, "w", NULL, NULL, NULL), 0);
	thread_stop(&t);
}

static int stop_at_once(struct thread *t, void *arg)
{
	(void)arg;
	loop_stop(&t->loop);
	return 0;
}

/* A thread whose loop has ended by itself is joined as any other; its letters come back. */
static void test_ended_by_itself(void **state)
{
	struct trace tr = { 0 };
	struct note n = { .tr = &tr };
	struct thread t;

	(void)state;
	assert_int_equal(thread_start(&t, "w", stop_at_once, NULL, NULL), 0);
	mailbox_post(&t.mail, &n.letter, on_note);
	thread_stop(&t);
	assert_string_equal(tr.text, " letter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_start_fails),
		cmocka_unit_test(test_nothing_to_call),
		cmocka_unit_test(test_ended_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
