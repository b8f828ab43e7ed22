/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a reader: where a decode is, for its messages. */
#pragma once
#include "weft/conf.h"

size_t reader_enter(struct conf_reader *r, const char *name); /* ".name"; returns what reader_leave() wants back */
size_t reader_enter_at(struct conf_reader *r, size_t i); /* "[i]" */
void reader_leave(struct conf_reader *r, size_t before);
/* File of a node, also where several were merged. */
struct slice reader_file(const struct conf_reader *r, const struct conf_node *n);
/* "text", "a list" ...: what a node is, for "want X, not Y". Returns out. */
const char *reader_what(const struct conf_node *n, char *out, size_t size);
