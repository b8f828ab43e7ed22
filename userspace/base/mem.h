/* SPDX-License-Identifier: Apache-2.0 */
/* malloc that cannot fail on the control path: aborts with "out of memory (N bytes)". Freed by free(3). */
#pragma once
#include "weft/types.h"

void *mem_alloc(size_t n);                      /* zeroed */
void *mem_realloc(void *p, size_t n);
char *mem_str(const char *s);
char *mem_dup(const void *p, size_t n);         /* NUL-terminated after n */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
