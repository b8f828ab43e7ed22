/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/wanted.h"

#include "proxy/plan_sets.h"

static void want_add(struct wanted *w, const struct cluster *c, const struct route_backend *b)
{
	struct wants *all = table_get(&w->by_cluster, c->name);
	uint64_t hash = plan_want_hash(b->subset, b->nsubset);
	struct want *one;

	if (!all) {
		all = ARENA_NEW(&w->arena, struct wants);
		table_put(&w->by_cluster, c->name, all);
	}
	for (one = all->first; one; one = one->next) {
		if (one->hash == hash)
			return;
	}
	one = ARENA_NEW(&w->arena, struct want);
	*one = (struct want){ b->subset, b->nsubset, hash, all->first };
	all->first = one;
	all->hash ^= hash;
}

static void look(struct wanted *w, const struct snapshot *s, const struct route_backend *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct cluster *c = v[i].nsubset ? snapshot_cluster(s, v[i].cluster) : NULL;

		if (c && !c->conf->nsubsets)
			want_add(w, c, &v[i]);
	}
}

void wanted_init(struct wanted *w, const struct snapshot *s)
{
	struct fact_set routes = snapshot_facts(s, FACT_ROUTE), listeners = snapshot_facts(s, FACT_LISTENER);

	arena_init(&w->arena);
	table_init(&w->by_cluster, 0);
	for (size_t i = 0; i < routes.n; i++) {
		const struct route *r = (const struct route *)routes.v[i];

		for (size_t k = 0; k < r->nrules; k++)
			look(w, s, r->rules[k].backends, r->rules[k].nbackends);
	}
	for (size_t i = 0; i < listeners.n; i++) {
		const struct listener *l = (const struct listener *)listeners.v[i];

		for (size_t k = 0; k < l->nrules; k++)
			look(w, s, l->rules[k].backends, l->rules[k].nbackends);
	}
}

void wanted_fini(struct wanted *w)
{
	table_fini(&w->by_cluster);
	arena_fini(&w->arena);
}

const struct wants *wanted_of(const struct wanted *w, struct slice cluster)
{
	static const struct wants none;
	const struct wants *all = table_get(&w->by_cluster, cluster);

	return all ? all : &none;
}
