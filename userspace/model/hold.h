/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over of snapshots to a thread. The control thread sends, the latest wins; the worker adopts at the head of a loop
 * iteration, and counts what still uses an older one with a plain int. So a stream finishes on the snapshot it began
 * with, and atomics are per worker and snapshot, not per stream.
 */
#pragma once
#include "model/snapshot.h"

/* One snapshot in use by one thread. Lives until the last user dropped it and a newer one was adopted. */
struct hold {
	struct snapshot *snap;
	unsigned users;
	bool current;
	struct adoption *of;
};

/* One per worker; embedded in it, zeroed. */
struct adoption {
	_Atomic(struct snapshot *) next;        /* sent, not yet adopted */
	struct hold *cur;                       /* the worker's; NULL before the first */
	/* One of them is let go: for what the thread keeps beside it. NULL: nothing. */
	void (*let_go)(void *arg, struct snapshot *s);
	void *arg;
};

void adoption_send(struct adoption *a, struct snapshot *take_s); /* control thread; then wake the worker */
bool adoption_take(struct adoption *a);         /* worker: true when cur is a new one now */
/* Worker, or anyone after it has ended. Holds still in use stay valid. */
void adoption_fini(struct adoption *a);
struct hold *hold_use(struct adoption *a);      /* worker: cur, with one user more; NULL before the first snapshot */
void hold_drop(struct hold *h);                 /* worker: one user less; NULL is allowed */
