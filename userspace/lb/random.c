// SPDX-License-Identifier: Apache-2.0
/* A random host by weight, in O(1) (alias table: Walker 1977, built as Vose 1991 does). */
#include <stdlib.h>
#include <errno.h>
#include "lb/choose.h"

#define TRIES 8

struct alias {                                  /* one a host */
	uint32_t below;                         /* out of 2^32: the host itself; else other */
	uint32_t other;
};

static size_t random_table_size(const struct lb_set *set, const void *conf)
{
	(void)conf;
	return set->weighted ? set->n * sizeof(struct alias) : 0;
}

/* Of the hosts, those with less than their even share take what is missing from one that has more. */
static int random_build(void *table, const struct lb_set *set, const void *conf)
{
	struct alias *a = table;
	uint64_t *part = malloc(set->n * sizeof(*part)), even = set->total_weight;
	uint32_t *stack = malloc(set->n * sizeof(*stack)), low = 0, high = set->n;

	(void)conf;
	if (!part || !stack) {
		free(part);
		free(stack);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < set->n; i++) {
		part[i] = (uint64_t)set->hosts[i].weight * set->n;
		stack[part[i] < even ? low++ : --high] = i;
	}
	while (low && high < set->n) {
		uint32_t small = stack[--low], large = stack[high];

		a[small] = (struct alias){ (uint32_t)(((__uint128_t)part[small] << 32) / even), large };
		part[large] -= even - part[small];
		if (part[large] < even) {
			high++;
			stack[low++] = large;
		}
	}
	/* Who is left over keeps his whole cell. */
	for (uint32_t i = 0; i < low; i++)
		a[stack[i]] = (struct alias){ UINT32_MAX, stack[i] };
	for (; high < set->n; high++)
		a[stack[high]] = (struct alias){ UINT32_MAX, stack[high] };
	free(part);
	free(stack);
	return 0;
}

static uint32_t draw(struct lb *lb)
{
	const struct alias *a = lb->table;
	uint32_t i = lb_random_below(lb, lb->set->n);

	return (uint32_t)(lb_random(lb) >> 32) <= a[i].below ? i : a[i].other;
}

/* By weight among the usable ones, by one look at each. */
static uint32_t look_at_all(struct lb *lb, const struct lb_ask *ask)
{
	uint32_t chosen = LB_NONE;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < lb->set->n; i++) {
		if (!lb_usable(lb, ask, i))
			continue;
		sum += lb->set->hosts[i].weight;
		if (lb_random(lb) % sum < lb->set->hosts[i].weight)
			chosen = i;
	}
	return chosen;
}

static uint32_t random_pick(struct lb *lb, const struct lb_ask *ask)
{
	if (!lb->table)
		return choose_random(lb, ask);
	for (int k = 0; k < TRIES; k++) {
		uint32_t i = draw(lb);

		if (lb_usable(lb, ask, i))
			return i;
	}
	return look_at_all(lb, ask);
}

const struct lb_ops lb_random_host = {
	.name = "random",
	.table_size = random_table_size,
	.build = random_build,
	.pick = random_pick,
};
