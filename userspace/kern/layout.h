/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two maps hold the same thing: type, sizes, flags, and their keys' and values' types down to each member. */
#pragma once
#include "weft/types.h"

struct btf;

struct layout {
	uint32_t type, key_size, value_size, max_entries, flags;
	uint64_t key, value;                    /* of the types; 0 = not known */
};

uint64_t layout_type(const struct btf *b, uint32_t type_id); /* hash of names, kinds, sizes and offsets; never 0 */
int layout_of(int map_fd, struct layout *out);  /* 0 or -errno */
bool layout_same(const struct layout *a, const struct layout *b); /* sizes in entries too */
bool layout_same_entries(const struct layout *a, const struct layout *b); /* the number of entries may differ */
