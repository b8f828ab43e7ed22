/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins of a configuration, or of the agent that started a proxy, at the start of a process. */
#pragma once
#include "weft/err.h"

/*
 * Of a configuration, each tried in a child first. 0, or a negative errno: said on stderr, with
 * whatever else is wrong with the configuration. Behind builtin_add().
 */
int plugins_start(const char *config);
/* Paths that an agent has tried: n of them. 0, or -errno with words that name the path. */
int plugins_again(const char *const *paths, unsigned n, struct err *e);
