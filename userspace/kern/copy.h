/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of one map into another of the same key and value, as far as they fit. */
#pragma once
#include "weft/types.h"

/* Number of entries copied, or -errno. Types: hash and array, also per CPU and LRU. */
int64_t copy_map(int from_fd, int to_fd);
