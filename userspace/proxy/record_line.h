/* SPDX-License-Identifier: Apache-2.0 */
/* One request as a line of the access log. Fields and their order are one table; docs/access-log.md describes them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct stream;

/* The wall clock as text, made once a second. */
struct record_clock {
	time_t at;
	char text[24];                          /* "2026-01-02T03:04:05" */
};

/* With its newline; returns the length, at most size. Long values are cut. */
size_t record_line(const struct stream *s, bool json, struct record_clock *c, char *out, size_t size);
