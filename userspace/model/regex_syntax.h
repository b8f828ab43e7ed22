/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which expressions are accepted at all. PCRE2 understands more than can be matched in bounded time or than other
 * implementations of the same routes understand; this reads a pattern as PCRE2 does and refuses the rest by name.
 */
#pragma once
#include "weft/err.h"
#include "weft/types.h"

/* 0 or -EINVAL with words that name the byte (1-based). At most REGEX_MAX bytes. Whether the pattern is well-formed is not asked. */
int regex_syntax_check(struct slice pattern, struct err *e);
