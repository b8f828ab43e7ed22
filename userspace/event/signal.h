/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as events of a loop, by signalfd. The signals must be blocked in every thread:
 * signals_open() blocks them in the calling one, so call it before threads start. signals_close()
 * leaves them blocked.
 */
#pragma once
#include <signal.h>
#include "event/loop.h"

struct signals {
	struct loop *loop;
	struct loop_io io;
	void (*fn)(int signo, void *arg);
	void *arg;
};

int signals_open(struct signals *s, struct loop *l, const int *signos, size_t n,
		 void (*fn)(int, void *), void *arg);
void signals_close(struct signals *s);
