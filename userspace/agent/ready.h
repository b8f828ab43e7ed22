/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of readiness: each is well or not and says why. Rendered by /ready, /metrics and weft status. */
#pragma once
#include "weft/types.h"

struct agent;
struct kern;

/* Failed insertions of the kernel side. The counters are pinned and outlive agents: only their growth is news. */
struct insertions {
	uint64_t seen, grew_ns;                 /* sum when looked at last; when it had grown */
	unsigned worst;                         /* enum reason of the last growth */
	uint64_t each[8];
};

void insertions_init(struct insertions *s, struct kern *k); /* what is there now is no news */

#define READY_CONDITIONS 8

struct ready_condition {
	const char *name;
	bool ok;
	char message[320];                      /* also when ok */
};

/* Fills all; true when every one is ok. */
bool ready_check(struct agent *a, struct ready_condition out[READY_CONDITIONS]);
