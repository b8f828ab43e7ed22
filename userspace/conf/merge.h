/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of several files as one: mappings field by field, lists of named elements by name, the
 * rest replaced.
 */
#pragma once
#include "weft/conf.h"

struct arena;

/*
 * What b says over what a says. Neither changes; the result shares their parts and lives in arena.
 */
const struct conf_node *merge_nodes(struct arena *arena, const struct conf_node *a, const struct conf_node *b);
/* Marks a tree that conf_next() gave and that nobody else uses as coming from this file. */
void merge_set_file(const struct conf_node *root, uint16_t file);
