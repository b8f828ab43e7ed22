/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks, a little at a time, for entries that nobody owns any more. They are bugs: the gauges must read 0. Only what
 * kern/apply owns is repaired, the rest is reported.
 */
#pragma once
#include "kern/kern.h"

/* One bounded step (at most n entries). True when a round was completed by it. The loop calls it by itself. */
bool sweep_step(struct kern *k, uint32_t n);
