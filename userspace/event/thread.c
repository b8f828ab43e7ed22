// SPDX-License-Identifier: Apache-2.0
#include "event/thread.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include "base/list.h"

/* Lies on the stack of thread_start(), which waits. */
struct birth {
	struct thread *t;
	sem_t done;
	int err;
};

static void *thread_main(void *arg)
{
	struct birth *b = arg;
	struct thread *t = b->t;
	int err;

	pthread_setname_np(pthread_self(), t->name);
	err = t->start ? t->start(t, t->arg) : 0;
	b->err = err;
	sem_post(&b->done);
	if (err)
		return NULL;
	loop_run(&t->loop);
	if (t->stop)
		t->stop(t, t->arg);
	return NULL;
}

static int launch(struct thread *t)
{
	struct birth b = { .t = t };
	int err;

	sem_init(&b.done, 0, 0);
	err = -pthread_create(&t->id, NULL, thread_main, &b);
	if (!err) {
		while (sem_wait(&b.done))
			;
		err = b.err;
		if (err)
			pthread_join(t->id, NULL);
	}
	sem_destroy(&b.done);
	return err;
}

int thread_start(struct thread *t, const char *name, int (*start)(struct thread *, void *),
		 void (*stop)(struct thread *, void *), void *arg)
{
	int err;

	*t = (struct thread){ .start = start, .stop = stop, .arg = arg };
	snprintf(t->name, sizeof(t->name), "%s", name);
	err = loop_init(&t->loop);
	if (err)
		return err;
	err = mailbox_init(&t->mail, &t->loop);
	if (err)
		goto fini_loop;
	err = launch(t);
	if (err)
		goto fini_mail;
	t->running = true;
	return 0;
fini_mail:
	mailbox_fini(&t->mail);
fini_loop:
	loop_fini(&t->loop);
	return err;
}

struct farewell {
	struct letter letter;
	struct loop *loop;
};

static void on_farewell(struct letter *m)
{
	loop_stop(container_of(m, struct farewell, letter)->loop);
}

void thread_stop(struct thread *t)
{
	struct farewell f = { .loop = &t->loop };

	if (!t->running)
		return;
	mailbox_post(&t->mail, &f.letter, on_farewell);
	pthread_join(t->id, NULL);
	t->running = false;
	mailbox_fini(&t->mail);
	loop_fini(&t->loop);
}
