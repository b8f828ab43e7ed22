/* SPDX-License-Identifier: Apache-2.0 */
#include "model/store.h"
#include "base/magic.h"
#include "model/routers.h"
#include "model/store_priv.h"
#include "weft/str.h"

STAT_DEFINE(store_stat, "store", STORE_STATS);

struct store *store_new(void)
{
	struct store *s = mem_alloc(sizeof(*s));

	s->magic = store_MAGIC;
	s->home = home_new();
	for (int k = 0; k < FACT_KINDS; k++)
		table_init(&s->claims[k], TABLE_COPY_KEYS);
	return s;
}

void store_late(struct store *s, struct slice registry)
{
	free((char *)CAST(store, s)->late.p);
	s->late = registry.n ? (struct slice){ mem_dup(registry.p, registry.n), registry.n } : (struct slice){ NULL, 0 };
}

void entry_free(struct entry *e)
{
	cluster_drop(e->cluster);
	fact_drop((struct fact *)e->fact);
	free(e->edges);
	free(e);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	CAST(store, s);
	store_bury(s);
	assert_always(!s->nsnapshots && !s->ntx);
	for (int k = 0; k < FACT_KINDS; k++) {
		fact_array_drop(s->kinds[k].built);
		for (size_t i = 0; i < s->kinds[k].list.n; i++)
			entry_free(s->kinds[k].list.v[i]);
		vec_fini(&s->kinds[k].list);
		table_fini(&s->claims[k]);
	}
	cluster_array_drop(s->clusters);
	routers_drop(s->service_routers, s->home);
	routers_drop(s->listener_routers, s->home);
	home_drop(s->home);
	free((char *)s->late.p);
	s->magic = 0;
	free(s);
}

const struct store_stat *store_stats(const struct store *s)
{
	return &s->stat;
}

uint64_t store_number(const struct store *s)
{
	return s->number;
}

bool store_dirty(const struct store *s)
{
	if (!s->number || !s->clusters)
		return true;
	for (int k = 0; k < FACT_KINDS; k++) {
		if (k != FACT_HOST && !s->kinds[k].built)
			return true;
	}
	return false;
}

size_t store_place(const struct store *s, enum fact_kind kind, struct slice key, bool *found)
{
	const struct entries *kept = &s->kinds[kind];
	size_t low = 0, high = kept->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = slice_cmp(kept->list.v[mid]->fact->key, key);

		if (!d) {
			*found = true;
			return mid;
		}
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = false;
	return low;
}

struct entry *store_entry(const struct store *s, enum fact_kind kind, struct slice key)
{
	bool found;
	size_t i = store_place(s, kind, key, &found);

	return found ? s->kinds[kind].list.v[i] : NULL;
}

const struct fact *store_fact(const struct store *s, enum fact_kind kind, struct slice key)
{
	struct entry *e = store_entry(s, kind == FACT_HOST ? FACT_CLUSTER : kind,
				      kind == FACT_HOST ? host_key_cluster(key) : key);
	const struct host *h;

	if (!e || kind != FACT_HOST)
		return e ? e->fact : NULL;
	h = cluster_host(e->cluster, key);
	return h ? &h->fact : NULL;
}

bool store_named(const struct store *s, enum fact_kind kind, struct slice key)
{
	struct entry *e = store_entry(s, kind, key);

	return e && !list_empty(&e->referrers);
}
