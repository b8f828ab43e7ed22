/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose events are counted, and its loop. */
#pragma once
#include "net/conn.h"

struct end {
	struct conn c;
	int opens, readables, writables, fails, err;
	char why[256];
	bool close_on_open, close_on_readable;
	void (*then)(struct end *e);            /* in readable() */
	struct buf got;                         /* by end_drain() */
};

extern const struct conn_events end_events;
extern struct loop loop;

int kit_setup(void **state);
int kit_teardown(void **state);
/* Turns the loop until *what reaches n; fails the test after 30 s. */
void until(const int *what, int n);
/* Turns that find something to do, at most n. */
void turns(int n);
void pair(int sv[2]);
/* conn_read() until it says -EAGAIN, 0 or an error, which is returned. */
ssize_t drain(struct end *e);
/* Until e->got has n bytes. */
void until_got(struct end *e, size_t n);
void assert_got(struct end *e, const char *text); /* and drops it */
