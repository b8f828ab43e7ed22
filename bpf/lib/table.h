/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The flat balancing table, and reads of hash maps that are steady.
 *
 * An entry of a hash map that is replaced or removed goes back to the allocator at once, and the next update of any
 * other key may write over it while a program still holds the pointer. One connect among many map writes could then
 * read the offset of one service with the length of another. So a value is copied, looked up again and compared: what
 * is used was published under its key at one instant. Table rows need none of this: the writer leaves a range alone
 * for a grace period after the last service that pointed to it has changed.
 */
#pragma once

#include "lib/addr.h"

static __always_inline bool words_eq(const void *a, const void *b, __u32 len)
{
	const __u32 *x = a, *y = b;
	__u32 diff = 0;

	for (__u32 i = 0; i < len / 4; i++)
		diff |= x[i] ^ y[i];
	return !diff;
}

/* Copies the value of key to *out. False if there is none, or it changed meanwhile: a caller may try again. */
#define map_read(map, key, out)                                                                                        \
	({                                                                                                             \
		typeof(out) at_ = bpf_map_lookup_elem(map, key);                                                       \
		bool steady_ = false;                                                                                  \
                                                                                                                       \
		if (at_) {                                                                                             \
			*(out) = *at_;                                                                                 \
			at_ = bpf_map_lookup_elem(map, key);                                                           \
			steady_ = at_ && words_eq(out, at_, sizeof(*(out)));                                           \
		}                                                                                                      \
		steady_;                                                                                               \
	})

/*
 * Two tries: an entry that was replaced under the first reading is there for the second. After that it counts as gone,
 * which takes two replacements of one entry within a microsecond.
 */
#define map_read_twice(map, key, out) (map_read(map, key, out) || map_read(map, key, out))

/* The backend id in slot i of a service; 0 = none. *bad is set if the table is shorter than the service believes. */
static __always_inline __u32 table_slot(const struct service *svc, __u32 i, bool *bad)
{
	__u32 at = svc->off + i, row = at / TABLE_ROW;
	struct table_row *r = bpf_map_lookup_elem(&table_map, &row);

	if (!r) {
		*bad = true;
		return 0;
	}
	return r->slot[at % TABLE_ROW];
}
