/* SPDX-License-Identifier: Apache-2.0 */
/* A named thread that runs a loop of its own. */
#pragma once
#include <pthread.h>
#include "event/mailbox.h"

struct thread {
	pthread_t id;
	char name[16];
	struct loop loop;
	struct mailbox mail;
	/* on the new thread, before its loop runs; 0 or -errno */
	int (*start)(struct thread *t, void *arg);
	void (*stop)(struct thread *t, void *arg); /* on that thread, after its loop */
	void *arg;
	bool running;
};

/*
 * Returns after start() has returned, with its result. name is cut to 15 bytes. start and stop may
 * be NULL.
 */
int thread_start(struct thread *t, const char *name, int (*start)(struct thread *, void *),
		 void (*stop)(struct thread *, void *), void *arg);
/*
 * Asks, joins, delivers letters that are left; safe when never started (zeroed). Nobody may post
 * during or after it.
 */
void thread_stop(struct thread *t);
