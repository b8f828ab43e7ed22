// SPDX-License-Identifier: Apache-2.0
/*
 * A timer lies in the level of the highest 6-bit digit in which its tick differs from cur, in the
 * slot of that digit. So all of a level's slots lie ahead of cur within the same turn, everything
 * on a lower level is earlier than anything on a higher one, and the next thing to do is the first
 * bit of the lowest busy level. When cur enters a slot of a higher level, its timers are placed
 * anew, lower: at most seven times in a timer's life.
 */
#include "event/wheel.h"

#include "base/clock.h"

void wheel_init(struct timer_wheel *w, uint64_t now_ns)
{
	w->cur = now_ns / MSEC;
	list_init(&w->due);
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		w->busy[level] = 0;
		for (unsigned i = 0; i < WHEEL_SLOTS; i++)
			list_init(&w->slot[level][i]);
	}
}

static void unlink_all(struct list *head)
{
	list_for(n, head)
		list_del(n);
}

void wheel_fini(struct timer_wheel *w)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		w->busy[level] = 0;
		for (unsigned i = 0; i < WHEEL_SLOTS; i++)
			unlink_all(&w->slot[level][i]);
	}
}

/* Rounded up: never early. */
static uint64_t tick_of(uint64_t due_ns)
{
	return due_ns / MSEC + (due_ns % MSEC != 0);
}

static unsigned digit(uint64_t tick, unsigned level)
{
	return (tick >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

static void place(struct timer_wheel *w, struct timer *t, uint64_t tick)
{
	unsigned level = (63 - __builtin_clzll(tick ^ w->cur)) / WHEEL_BITS, i = digit(tick, level);

	list_add_tail(&w->slot[level][i], &t->node);
	w->busy[level] |= 1ull << i;
}

void wheel_arm(struct timer_wheel *w, struct timer *t, uint64_t due_ns)
{
	uint64_t tick = tick_of(due_ns);

	wheel_disarm(w, t);
	t->due_ns = due_ns;
	place(w, t, tick > w->cur ? tick : w->cur + 1);
}

/* The last one of a slot clears its bit: its only neighbour is then the slot's head. */
void wheel_disarm(struct timer_wheel *w, struct timer *t)
{
	struct list *head = t->node.next, *first = &w->slot[0][0];

	if (!head)
		return;
	list_del(&t->node);
	if (list_empty(head) && head >= first && head < first + WHEEL_LEVELS * WHEEL_SLOTS) {
		size_t i = head - first;

		w->busy[i / WHEEL_SLOTS] &= ~(1ull << i % WHEEL_SLOTS);
	}
}

/* Where the next busy slot begins; false: the wheel is empty. */
static bool next_slot(const struct timer_wheel *w, unsigned *level, uint64_t *tick)
{
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		unsigned shift = l * WHEEL_BITS;

		if (!w->busy[l])
			continue;
		*level = l;
		*tick = w->cur >> (shift + WHEEL_BITS) << WHEEL_BITS;
		*tick = (*tick | (unsigned)__builtin_ctzll(w->busy[l])) << shift;
		return true;
	}
	return false;
}

uint64_t wheel_next_ns(const struct timer_wheel *w)
{
	unsigned level;
	uint64_t tick;

	if (!next_slot(w, &level, &tick))
		return WHEEL_NEVER;
	return tick > WHEEL_NEVER / MSEC ? WHEEL_NEVER - 1 : tick * MSEC;
}

/* cur has come to the beginning of this slot: its timers are due or move to a lower level. */
static void enter(struct timer_wheel *w, unsigned level)
{
	unsigned i = digit(w->cur, level);

	w->busy[level] &= ~(1ull << i);
	list_for(n, &w->slot[level][i]) {
		struct timer *t = container_of(n, struct timer, node);
		uint64_t tick = tick_of(t->due_ns);

		list_del(n);
		if (tick <= w->cur)
			list_add_tail(&w->due, n);
		else
			place(w, t, tick);
	}
}

/* First all that are due, then their callbacks: what those arm waits for the next call. */
void wheel_advance(struct timer_wheel *w, uint64_t now_ns)
{
	uint64_t now = now_ns / MSEC, tick;
	unsigned level;

	while (next_slot(w, &level, &tick) && tick <= now) {
		w->cur = tick;
		enter(w, level);
	}
	if (now > w->cur)
		w->cur = now;
	while (!list_empty(&w->due)) {
		struct timer *t = container_of(w->due.next, struct timer, node);

		list_del(&t->node);
		t->fn(t);
	}
}
