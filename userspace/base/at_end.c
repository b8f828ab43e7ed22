// SPDX-License-Identifier: Apache-2.0
/* One key of pthread's for all: its destructor goes through the thread's list. */
#include "base/at_end.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What one of them frees may be kept by another one, which then comes again. */
static void thread_ends(void *arg)
{
	struct at_end *e = arg;

	while (e) {
		struct at_end *next = e->next;

		e->known = false;
		e->fn(e);
		e = next;
	}
}

static void make_key(void)
{
	if (pthread_key_create(&key, thread_ends))
		abort();
}

bool at_end_call(struct at_end *e, void (*fn)(struct at_end *e))
{
	if (e->known)
		return true;
	pthread_once(&once, make_key);
	e->fn = fn;
	e->next = pthread_getspecific(key);
	e->known = !pthread_setspecific(key, e);
	return e->known;
}
