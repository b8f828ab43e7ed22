/* SPDX-License-Identifier: Apache-2.0 */
/* The store behind stub.h, which alone is what tests include. */
#pragma once

#include <stdint.h>

#include "kern/limits.h"

struct stub_map {
	const void *map;
	uint32_t type, key, value, max;             /* sizes in bytes, entries */
};

void *stub_lookup(struct stub_map m, const void *key);
long stub_update(struct stub_map m, const void *key, const void *value, uint64_t flags);
long stub_delete(struct stub_map m, const void *key);
long stub_record(const void *data, uint64_t len);
void stub_reset(void);                              /* all maps empty, all knobs at rest */
uint32_t stub_count(const void *map);               /* entries of a hash map */

extern uint64_t stub_now_ns;
extern uint64_t stub_cgroup[CGROUP_LEVELS + 1];     /* by level; [0] is the root */
extern long stub_update_err;                        /* what the next updates answer, if not 0 */
extern unsigned int stub_nrecords;                  /* that the ring buffer took */
extern long stub_ring_err;
extern void (*stub_on_lookup)(const void *map);     /* after each lookup: the place for another CPU's writes */
