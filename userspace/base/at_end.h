/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread keeps for its own next use is given back when the thread ends. Embedded in the thread's own (__thread)
 * variable, zeroed.
 */
#pragma once
#include <stdbool.h>

struct at_end {
	struct at_end *next;
	void (*fn)(struct at_end *e);
	bool known;                             /* fn will be called; false again before it is */
};

/* Of the calling thread; as often as it likes. False: nobody would call fn, so nothing must be kept. */
bool at_end_call(struct at_end *e, void (*fn)(struct at_end *e));
