/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for an error on the control path: innermost first, outermost last, printed once at the top as
 * "outermost: ...: innermost". The data path carries codes and reasons only. One struct err belongs to one thread.
 */
#pragma once
#include "weft/types.h"

#define ERR_TEXT_MAX 1024

struct err {
	int code;                               /* first (innermost) code given, negative errno; 0 = none */
	size_t len;                             /* of text, without its NUL */
	char text[ERR_TEXT_MAX];                /* what err_text() returns; cut at the front of the chain when too long */
};

/*
 * Puts words in front of what is there and returns code, so that callers can write: return err_add(e, -EINVAL, ...).
 * e may be NULL (words are dropped). The first code stays in e->code.
 */
int err_add(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_add, with the words of errno value -code appended: "open /x: No such file or directory". */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The whole chain; "" when nothing was said. Valid until e changes. */
const char *err_text(const struct err *e);
void err_clear(struct err *e);
