/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of a request when it is over: its place in the counters, and its line in the access log. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct stream;

void record_write(const struct stream *s);
/* "UF,URX", or "-" for none; returns the length, which is less than size. */
int record_flags(char *out, size_t size, uint64_t flags);
