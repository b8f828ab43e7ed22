// SPDX-License-Identifier: Apache-2.0
#include "event/timer.h"

#include "base/clock.h"
#include "event/wheel.h"

/*
 * From the clock, not from l->now_ns: that may lie far back in a long batch, and the timer would
 * come early.
 */
void timer_arm(struct loop *l, struct timer *t, uint64_t after_ns, timer_fn *fn, void *arg)
{
	uint64_t now = clock_ns();

	t->fn = fn;
	t->arg = arg;
	wheel_arm(l->timers, t, after_ns > UINT64_MAX - now ? UINT64_MAX : now + after_ns);
}

void timer_arm_at(struct loop *l, struct timer *t, uint64_t due_ns, timer_fn *fn, void *arg)
{
	t->fn = fn;
	t->arg = arg;
	wheel_arm(l->timers, t, due_ns);
}

void timer_disarm(struct loop *l, struct timer *t)
{
	if (timer_armed(t))
		wheel_disarm(l->timers, t);
}

bool timer_armed(const struct timer *t)
{
	return list_linked(&t->node);
}
