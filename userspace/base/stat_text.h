/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges (weft/stat.h) read: summed over instances and written in the Prometheus text
 * format 0.0.4.
 */
#pragma once
#include "weft/stat.h"

/* Instances of one set that make one line: say, all workers' counters of one cluster. */
struct stat_series {
	/* `cluster="web",zone="a"`, values through stat_escape(); NULL or "": none */
	const char *labels;
	const void *const *instances;
	size_t n;
};

/* Sum of the row's word over instances; any thread. */
uint64_t stat_sum(const void *const *instances, size_t n, size_t row);
/* HELP and TYPE once per row, then a line per series. 0 or -ENOMEM. */
int stat_render(struct buf *out, const struct stat_desc *d, const struct stat_series *series,
		size_t n);
/* value fit to stand between the quotes of a label: backslash, quote and newline escaped. */
const char *stat_escape(struct arena *a, struct slice value);
