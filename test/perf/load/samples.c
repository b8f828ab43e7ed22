// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

#define SAMPLES_MAX (4u << 20)

void samples_init(struct samples *s)
{
	s->n = 0;
	s->ns = malloc(SAMPLES_MAX * sizeof(*s->ns));
	if (!s->ns)
		die("out of memory");
}

bool samples_add(struct samples *s, uint64_t ns)
{
	if (s->n == SAMPLES_MAX)
		return false;
	s->ns[s->n++] = ns > UINT32_MAX ? UINT32_MAX : ns;
	return true;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void samples_print(struct samples *s, const char *name)
{
	static const int parts[] = {50, 90, 99};

	if (!s->n)
		die("nothing was measured");
	qsort(s->ns, s->n, sizeof(*s->ns), by_size);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("\"%s_p%d\":%.3f,", name, parts[i], s->ns[s->n * parts[i] / 100] / 1e3);
}

void samples_fini(struct samples *s)
{
	free(s->ns);
}
