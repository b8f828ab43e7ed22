/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of messages about a file. */
#pragma once
#include "weft/conf.h"

/* s as it may be shown: cut with "..." when long, control characters as '?'. Returns out. */
const char *errors_show(struct slice s, char *out, size_t size);
/*
 * The word of a NULL-ended list that was probably meant, or NULL. next(arg, i) = word i, NULL at
 * the end.
 */
const char *errors_nearest(struct slice word, const char *(*next)(const void *arg, size_t i), const void *arg);
