/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of a request when it is over: its place in the counters, and its line in the access log. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record;
struct stream;
struct worker;

void record_write(const struct stream *s);
bool record_wanted(const struct worker *w);      /* some file of the access log is open */
/* A line in each of them; of what is no request. */
void record_put(struct worker *w, const struct record *r);
/* "UF,URX", or "-" for none; returns the length, which is less than size. */
int record_flags(char *out, size_t size, uint64_t flags);
