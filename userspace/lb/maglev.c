// SPDX-License-Identifier: Apache-2.0
/* Maglev by the request's hash: the table of the kernel side (base/maglev.h), so both place an equal hash alike. */
#include <errno.h>
#include <stdlib.h>
#include "base/maglev.h"
#include "lb/choose.h"

#define PROBES 16

struct maglev {
	uint32_t size;
	uint32_t slot[];
};

static size_t maglev_table_size(const struct lb_set *set, const void *conf)
{
	(void)conf;
	return set->n ? sizeof(struct maglev) + maglev_size(set->n) * sizeof(uint32_t) : 0;
}

static int maglev_build(void *table, const struct lb_set *set, const void *conf)
{
	struct maglev_member *m = malloc(set->n * sizeof(*m));
	struct maglev *t = table;
	int err;

	(void)conf;
	if (!m)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->n; i++)
		m[i] = (struct maglev_member){ set->hosts[i].key, set->hosts[i].weight };
	t->size = maglev_size(set->n);
	err = maglev_fill(t->slot, t->size, m, set->n);
	free(m);
	return err;
}

static uint64_t again(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
	return x ^ (x >> 29);
}

static uint32_t maglev_pick(struct lb *lb, const struct lb_ask *ask)
{
	const struct maglev *t = lb->table;
	uint64_t hash = ask->hash;

	if (!ask->has_hash || !t)
		return choose_random(lb, ask);
	/* What a lost host had follows from the hash too: spread over all others, each always to the same. */
	for (int k = 0; k < PROBES; k++) {
		uint32_t i = t->slot[hash % t->size];

		if (lb_usable(lb, ask, i))
			return i;
		hash = again(hash + 1);
	}
	return choose_from(lb, ask, (uint32_t)(hash % lb->set->n));
}

const struct lb_ops lb_maglev = {
	.name = "maglev",
	.table_size = maglev_table_size,
	.build = maglev_build,
	.pick = maglev_pick,
};
