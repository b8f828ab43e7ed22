// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include "event/mailbox.h"

#define SENDERS 4
#define LETTERS 20000

struct note {
	struct letter letter;
	int sender, number;
	struct mailbox *box;
};

static struct loop l;
static struct mailbox box;
static int next_of[SENDERS], total;

static void on_note(struct letter *m)
{
	struct note *n = container_of(m, struct note, letter);

	assert_int_equal(n->number, next_of[n->sender]);
	next_of[n->sender]++;
	if (++total == SENDERS * LETTERS)
		loop_stop(&l);
	free(n);
}

static void post(int sender, int number)
{
	struct note *n = calloc(1, sizeof(*n));

	n->sender = sender;
	n->number = number;
	mailbox_post(&box, &n->letter, on_note);
}

static void *sender(void *arg)
{
	for (int i = 0; i < LETTERS; i++)
		post((int)(intptr_t)arg, i);
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(next_of, 0, sizeof(next_of));
	total = 0;
	return loop_init(&l) || mailbox_init(&box, &l);
}

static int teardown(void **state)
{
	(void)state;
	mailbox_fini(&box);
	loop_fini(&l);
	return 0;
}

static void test_order_per_sender(void **state)
{
	pthread_t id[SENDERS];

	(void)state;
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, sender, (void *)(intptr_t)i), 0);
	assert_int_equal(loop_run(&l), 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(id[i], NULL);
	assert_int_equal(total, SENDERS * LETTERS);
}

/* Each letter is waited for alone: a lost ring would hang here. */
static void *one_by_one(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		post(0, i);
		sched_yield();
	}
	return arg;
}

static void test_no_ring_is_lost(void **state)
{
	pthread_t id;

	(void)state;
	assert_int_equal(pthread_create(&id, NULL, one_by_one, NULL), 0);
	while (total < 2000)
		assert_int_equal(loop_once(&l, -1), 0);
	pthread_join(id, NULL);
}

static void test_end_delivers_what_is_left(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		post(1, i);
	mailbox_fini(&box);
	assert_int_equal(total, 10);
	mailbox_fini(&box);
}

static int rounds;

static void on_ball(struct letter *m)
{
	if (++rounds < 5)
		mailbox_post(&box, m, on_ball);
	else
		loop_stop(&l);
}

static void test_post_from_a_letter(void **state)
{
	struct letter ball;

	(void)state;
	rounds = 0;
	mailbox_post(&box, &ball, on_ball);
	assert_int_equal(loop_run(&l), 0);
	assert_int_equal(rounds, 5);
	assert_true(l.iterations >= 5); /* each round is a turn of the loop */
	rounds = 0;
	mailbox_post(&box, &ball, on_ball);
	mailbox_fini(&box);
	assert_int_equal(rounds, 5);
}

static void test_zeroed(void **state)
{
	struct mailbox none = { 0 };

	(void)state;
	mailbox_fini(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_per_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_ring_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_delivers_what_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post_from_a_letter, setup, teardown),
		cmocka_unit_test(test_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
