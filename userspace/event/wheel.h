/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wheel under timer.h: eight levels of 64 slots, 1 ms at the lowest, 2^48 ms in all, so every
 * 64-bit nanosecond has a slot. The present is given by the caller. One thread.
 */
#pragma once
#include "event/timer.h"

#define WHEEL_BITS 6u
#define WHEEL_SLOTS (1u << WHEEL_BITS)
#define WHEEL_LEVELS 8u
#define WHEEL_NEVER UINT64_MAX

struct timer_wheel {
	uint64_t cur;                           /* the last tick that has been run, ms */
	uint64_t busy[WHEEL_LEVELS];            /* bit s: slot s holds timers */
	struct list due; /* taken out of their slots, to fire now, in order */
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct timer_wheel *w, uint64_t now_ns);
void wheel_fini(struct timer_wheel *w);         /* disarms all; not from a callback */
/* Fires at the first wheel_advance() at due_ns or later, and never within the one that runs now. */
void wheel_arm(struct timer_wheel *w, struct timer *t, uint64_t due_ns);
void wheel_disarm(struct timer_wheel *w, struct timer *t);
/*
 * Nothing is to be done before this; for a far timer it is the time of its next move inwards.
 * WHEEL_NEVER: no timer.
 */
uint64_t wheel_next_ns(const struct timer_wheel *w);
void wheel_advance(struct timer_wheel *w, uint64_t now_ns);
