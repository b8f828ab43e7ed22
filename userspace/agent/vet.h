/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration by itself, before it is used: its facts fit each other, and the files of its secrets can be used. */
#pragma once
#include "conf/config.h"

/* 0, or -EINVAL. say hears what is wrong, and notes on what is odd: "FILE:LINE: listener web: ...". */
int vet_facts(const struct config *c, void (*say)(void *arg, const char *line), void *arg);
