/* SPDX-License-Identifier: Apache-2.0 */
/* What is odd but legal, of one peer: so many at once, and so many a second. A bucket that leaks. One worker; zero it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define ODD_BURST 1000u
#define ODD_PER_S 50u

struct odd {
	uint32_t n;                             /* things counted, less what time has forgiven */
	uint32_t at_ms;                         /* when that was */
};

/* One more. True: it is a flood. */
static inline bool odd_flood(struct odd *o, uint64_t now_ns)
{
	uint32_t now = (uint32_t)(now_ns / MSEC);
	uint64_t forgiven = (uint64_t)(now - o->at_ms) * ODD_PER_S / 1000;

	if (forgiven) {
		o->n -= forgiven < o->n ? (uint32_t)forgiven : o->n;
		o->at_ms = now;
	}
	return ++o->n > ODD_BURST;
}
