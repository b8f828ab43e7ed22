// SPDX-License-Identifier: Apache-2.0
#include "base/stat_text.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/arena.h"
#include "weft/buf.h"

uint64_t stat_sum(const void *const *instances, size_t n, size_t row)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += stat_get((const _Atomic uint64_t *)instances[i] + row);
	return sum;
}

static int render_line(struct buf *out, const char *name, const char *suffix,
		       const struct stat_series *s, size_t row)
{
	uint64_t v = stat_sum(s->instances, s->n, row);

	if (s->labels && *s->labels)
		return buf_printf(out, "%s%s{%s} %" PRIu64 "\n", name, suffix, s->labels, v);
	return buf_printf(out, "%s%s %" PRIu64 "\n", name, suffix, v);
}

static int render_row(struct buf *out, const struct stat_desc *d, const struct stat_series *series,
		      size_t n, size_t row)
{
	const struct stat_row *r = &d->rows[row];
	bool counter = r->kind == STAT_COUNTER;
	const char *suffix = counter ? "_total" : "";
	char name[128];
	int err;

	snprintf(name, sizeof(name), "weft_%s_%s", d->set, r->name);
	err = buf_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, r->help, name,
			 suffix, counter ? "counter" : "gauge");
	for (size_t i = 0; !err && i < n; i++)
		err = render_line(out, name, suffix, &series[i], row);
	return err;
}

int stat_render(struct buf *out, const struct stat_desc *d, const struct stat_series *series,
		size_t n)
{
	int err = 0;

	for (size_t row = 0; !err && row < d->n; row++)
		err = render_row(out, d, series, n, row);
	return err;
}

const char *stat_escape(struct arena *a, struct slice value)
{
	char *out = arena_alloc(a, 2 * value.n + 1), *p = out;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\\' || c == '"' || c == '\n')
			*p++ = '\\';
		*p++ = c == '\n' ? 'n' : c;
	}
	return out;
}
