/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges. A set is declared once as an X-macro, whose rows give name and help; each thread that counts owns
 * an instance (plain relaxed stores by its one writer), and a reader sums over instances with relaxed loads.
 *
 *	#define HUB_STATS(X)                                              \
 *		X(COUNTER, transactions, "transactions committed")        \
 *		X(GAUGE, services, "services in the snapshot")
 *	STAT_DECLARE(hub_stat, HUB_STATS)     // struct hub_stat, const struct stat_desc hub_stat_desc
 *	STAT_DEFINE(hub_stat, "hub", HUB_STATS)// in one .c file
 */
#pragma once
#include <stdatomic.h>
#include "weft/types.h"

enum stat_kind { STAT_COUNTER, STAT_GAUGE };

struct stat_row {
	const char *name;                       /* becomes weft_<set>_<name>, counters with _total */
	enum stat_kind kind;
	const char *help;
};

struct stat_desc {
	const char *set;                        /* "hub" for hub_stat */
	const struct stat_row *rows;            /* in the order of the struct's words */
	size_t n;
};

#define STAT_FIELD_(kind, name, help) _Atomic uint64_t name;
#define STAT_ROW_(kind, name, help) { #name, STAT_##kind, help },
#define STAT_DECLARE(S, LIST)                                                                                          \
	struct S {                                                                                                     \
		LIST(STAT_FIELD_)                                                                                      \
	};                                                                                                             \
	extern const struct stat_desc S##_desc
#define STAT_DEFINE(S, setname, LIST)                                                                                  \
	static const struct stat_row S##_rows[] = { LIST(STAT_ROW_) };                                                 \
	const struct stat_desc S##_desc = { setname, S##_rows, sizeof(S##_rows) / sizeof(S##_rows[0]) }

/* By the instance's one writer. */
static inline void stat_add(_Atomic uint64_t *s, uint64_t n)
{
	atomic_store_explicit(s, atomic_load_explicit(s, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void stat_set(_Atomic uint64_t *s, uint64_t v)
{
	atomic_store_explicit(s, v, memory_order_relaxed);
}

static inline uint64_t stat_get(const _Atomic uint64_t *s)
{
	return atomic_load_explicit(s, memory_order_relaxed);
}
