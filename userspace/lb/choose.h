/* SPDX-License-Identifier: Apache-2.0 */
/* Random hosts, for every algorithm that needs one. */
#pragma once
#include "weft/lb.h"

/*
 * A usable host, all alike but for slow start: a host that warms up is taken with the probability of its factor. LB_NONE:
 * none is usable.
 */
uint32_t choose_random(struct lb *lb, const struct lb_ask *ask);
/* Two draws, the same host when no other is usable; false: none is. */
bool choose_two(struct lb *lb, const struct lb_ask *ask, uint32_t *a, uint32_t *b);
/* The first usable one from a place on, round and round. */
uint32_t choose_from(const struct lb *lb, const struct lb_ask *ask, uint32_t from);
