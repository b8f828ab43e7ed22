/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions of routes: what RE2 and the Gateway API's implementations understand, run by PCRE2. Whatever could
 * make a match expensive is refused when a configuration is read (back-references, look-arounds, recursion, callouts,
 * verbs), and each match has a bound on its work all the same: at a bound the text counts as one that does not match, and
 * a counter says so. Bytes are compared as they are; a pattern that holds non-ASCII text is UTF-8.
 */
#pragma once
#include "weft/err.h"
#include "weft/stat.h"
#include "weft/types.h"

#define REGEX_TEXT_MAX 8192u                    /* bytes of a text that is matched; of a pattern: REGEX_MAX (model.h) */

#define REGEX_STATS(X)                                                                                                 \
	X(COUNTER, limit, "matches given up at the bound on work; they count as not matching")                         \
	X(COUNTER, too_long, "texts above 8 KiB, not tried; they count as not matching")
STAT_DECLARE(regex_stat, REGEX_STATS);

struct regex;                                   /* immutable, any thread */
struct regex_desk;                              /* what one thread needs to match with */

enum regex_use {
	REGEX_WHOLE,                            /* the whole text matches; no groups */
	REGEX_PARTS,                            /* for regex_replace() */
};

/* NULL: refused, words in e (which may be NULL). Control thread: compiles to machine code where that is allowed. */
struct regex *regex_new(struct slice pattern, enum regex_use use, struct err *e);
void regex_free(struct regex *r);               /* NULL is allowed */
/* 0 or -EINVAL with words: would regex_new() take it? Cheaper. */
int regex_check(struct slice pattern, struct err *e);
/* $1 ... $9 are groups of the pattern, $0 is all of it, $$ a dollar sign. 0 or -EINVAL with words. */
int regex_check_replacement(struct slice pattern, struct slice with, struct err *e);

struct regex_desk *regex_desk_new(void);
void regex_desk_free(struct regex_desk *d);     /* NULL is allowed */
const struct regex_stat *regex_stats(const struct regex_desk *d);

bool regex_gave_up(struct regex_desk *d);       /* a bound was reached since the last call */
bool regex_match(const struct regex *r, struct regex_desk *d, struct slice text);
/*
 * Every match in text replaced, empty ones excepted. False: there was none, or a bound was reached. out lives until the
 * desk's next use.
 */
bool regex_replace(const struct regex *r, struct regex_desk *d, struct slice text, struct slice with, struct slice *out);
