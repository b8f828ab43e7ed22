/* SPDX-License-Identifier: Apache-2.0 */
/* Every entry of a map, many per system call where the kernel can. Entries that come or go meanwhile may be missed. */
#pragma once
#include "weft/types.h"

/* key and value live for the call; value of a per-CPU map is all CPUs', 8-byte aligned. False stops. */
typedef bool each_fn(void *arg, const void *key, void *value);
int64_t each_entry(int fd, each_fn *fn, void *arg); /* entries seen, or -errno */
uint32_t each_value_size(int fd);               /* bytes of what each_fn gets as value */
