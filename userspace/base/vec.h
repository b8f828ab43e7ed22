/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing array of any type, by value: VEC(struct host) hosts = { 0 }; vec_push(&hosts, h); hosts.v[i], hosts.n.
 * Freed by vec_fini. Pointers into v die at the next push.
 */
#pragma once
#include <stdlib.h>
#include "base/mem.h"

#define VEC(T)                                                                                                         \
	struct {                                                                                                       \
		T *v;                                                                                                  \
		size_t n, cap;                                                                                         \
	}
#define vec_reserve(a, want)                                                                                           \
	do {                                                                                                           \
		if ((a)->cap < (size_t)(want)) {                                                                       \
			size_t c_ = (a)->cap ? (a)->cap : 8;                                                           \
			while (c_ < (size_t)(want))                                                                    \
				c_ *= 2;                                                                               \
			(a)->v = mem_realloc((a)->v, c_ * sizeof(*(a)->v));                                            \
			(a)->cap = c_;                                                                                 \
		}                                                                                                      \
	} while (0)
#define vec_push(a, ...)                                                                                               \
	do {                                                                                                           \
		vec_reserve(a, (a)->n + 1);                                                                            \
		(a)->v[(a)->n++] = (__VA_ARGS__);                                                                      \
	} while (0)
#define vec_remove_swap(a, i) ((a)->v[i] = (a)->v[--(a)->n])
#define vec_clear(a) ((a)->n = 0)
#define vec_fini(a)                                                                                                    \
	do {                                                                                                           \
		free((a)->v);                                                                                          \
		(a)->v = NULL;                                                                                         \
		(a)->n = (a)->cap = 0;                                                                                 \
	} while (0)
