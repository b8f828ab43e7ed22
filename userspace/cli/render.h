/* SPDX-License-Identifier: Apache-2.0 */
/* JSON into tables for people. A column names a field of each row by a dotted path; what is absent prints as "-". */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON };

enum column_kind { COLUMN_TEXT, COLUMN_COUNT, COLUMN_BYTES, COLUMN_SECONDS };

struct column {
	const char *title;
	const char *path;                       /* "ports.count" */
	enum column_kind kind;                  /* numbers are right-aligned; bytes as 1.5M, seconds as 3m12s */
	bool wide;                              /* only with -o wide */
};

/* rows: an array of objects. Columns end with a NULL title. Prints "none" for an empty array. */
void render_table(FILE *out, const json_t *rows, const struct column *columns, enum output how);
/* Pretty JSON and a newline. */
void render_json(FILE *out, const json_t *v);
/* Text of one value as a table shows it; valid until the fourth next call. */
const char *render_value(const json_t *v, enum column_kind kind);
const json_t *render_path(const json_t *row, const char *path);
