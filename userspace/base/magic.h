/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that stay on in production. assert_always: what only we can cause. CAST: a void * turned back into a struct is
 * checked by its magic (first field "unsigned magic", set to STRUCT_MAGIC by its init, to 0 by its fini).
 */
#pragma once
#include <stdint.h>

_Noreturn void assert_failed(const char *what, const char *file, int line);

#define assert_always(x) ((x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#ifdef NDEBUG
#define assert_hot(x) ((void)0)
#else
#define assert_hot(x) assert_always(x)
#endif
#define CAST(T, p)                                                                                                     \
	({                                                                                                             \
		struct T *o_ = (p);                                                                                    \
		assert_always(o_ && o_->magic == T##_MAGIC);                                                           \
		o_;                                                                                                    \
	})
