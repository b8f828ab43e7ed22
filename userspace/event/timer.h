/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers of one loop: hierarchical wheel, 1 ms ticks, O(1) arm and disarm. A timer fires once, never early; its callback
 * may arm it again. Embed it, zero it, disarm it in fini.
 */
#pragma once
#include "event/loop.h"

struct timer;
typedef void timer_fn(struct timer *t);
struct timer {
	struct list node;
	uint64_t due_ns;
	timer_fn *fn;
	void *arg;
};

void timer_arm(struct loop *l, struct timer *t, uint64_t after_ns, timer_fn *fn, void *arg); /* re-arms */
/* For a time that the caller has from l->now_ns: may come as early as that lay behind the clock. */
void timer_arm_at(struct loop *l, struct timer *t, uint64_t due_ns, timer_fn *fn, void *arg);
void timer_disarm(struct loop *l, struct timer *t); /* safe when not armed */
bool timer_armed(const struct timer *t);
