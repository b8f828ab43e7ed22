/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 64-bit hashes of bytes (XXH3). With hash_seed() peers cannot choose collisions, but the values
 * differ from process to process; HASH_STABLE is for what must agree everywhere, such as the keys
 * of a Maglev table.
 */
#pragma once
#include "weft/types.h"

#define HASH_STABLE 0x77656674u /* never to change: nodes and restarts agree by it */

uint64_t hash_bytes(struct slice s, uint64_t seed);
uint64_t hash_seed(void);                       /* random, one value per process; any thread */
