/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters from other threads to one loop: lock-free push, one eventfd, delivered in order of
 * posting per sender.
 */
#pragma once
#include <stdatomic.h>
#include "event/loop.h"

struct letter;
typedef void letter_fn(struct letter *m);
/* Embedded in what is sent; from post to delivery it belongs to the mailbox, afterwards to fn. */
struct letter {
	struct letter *next;
	letter_fn *fn;
};

struct mailbox {
	struct loop *loop;
	struct loop_io io;
	_Atomic(struct letter *) head;
};

int mailbox_init(struct mailbox *m, struct loop *l); /* on the loop's thread, or before it runs */
/* Delivers what is left; accepts a zeroed one. Nobody may post during or after it. */
void mailbox_fini(struct mailbox *m);
void mailbox_post(struct mailbox *m, struct letter *x, letter_fn *fn); /* any thread */
