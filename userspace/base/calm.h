/* SPDX-License-Identifier: Apache-2.0 */
/* A log line that peers can cause is written once a second at most, and says how many it stands for. One thread; zero it. */
#pragma once
#include <stdbool.h>
#include "base/clock.h"

struct calm {
	uint64_t next_ns;                       /* not before */
	unsigned held;                          /* lines that were not written since the last one */
};

/* May a line be written now? *held: how many were not. */
static inline bool calm_may(struct calm *c, uint64_t now_ns, unsigned *held)
{
	if (now_ns < c->next_ns) {
		c->held++;
		return false;
	}
	*held = c->held;
	*c = (struct calm){ .next_ns = now_ns + SEC };
	return true;
}
