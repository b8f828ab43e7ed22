/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel side wrote down: pairs, counters by reason, entries that are left. Reads the
 * pinned maps.
 */
#pragma once
#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "kern/limits.h"
#include "kern/maps.h"
#include "kern/reason.h"

struct books {
	int ctl, sock, wait, pair, reason; /* map descriptors */
};

/* dir holds the pins. 0 or -errno. */
int books_open(struct books *b, const char *dir);
void books_ctl(const struct books *b, struct ctl *ctl);
/* Sets or clears flags of ctl_map, as the agent's kill switch does. */
void books_flags(const struct books *b, uint32_t set, uint32_t clear);
/* Summed over the CPUs. */
uint64_t books_reason(const struct books *b, enum reason r);
/* 0, or -ENOENT. */
int books_pair(const struct books *b, uint64_t cookie, struct pair *p);
unsigned books_count(int map);
const char *reason_label(enum reason r);
