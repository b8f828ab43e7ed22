/* SPDX-License-Identifier: Apache-2.0 */
/* Store -> snapshot: the arrays of what changed are made anew, the others shared. Names were resolved at commit. */
#include "base/magic.h"
#include "model/routers.h"
#include "model/store_priv.h"

static struct fact_array *facts_build(const struct store *s, enum fact_kind kind)
{
	const struct entries *kept = &s->kinds[kind];
	struct fact_array *a = mem_alloc(sizeof(*a) + kept->list.n * sizeof(a->v[0]));

	a->refs = 1;
	a->slots = s->home->slots[kind].users.n;
	a->n = kept->list.n;
	for (size_t i = 0; i < a->n; i++)
		a->v[i] = fact_hold(kept->list.v[i]->fact);
	return a;
}

static struct cluster_array *clusters_build(const struct store *s, uint64_t number)
{
	const struct entries *kept = &s->kinds[FACT_CLUSTER];
	struct cluster_array *a = mem_alloc(sizeof(*a) + kept->list.n * sizeof(a->v[0]));

	a->refs = 1;
	a->host_slots = s->home->slots[FACT_HOST].users.n;
	a->n = kept->list.n;
	for (size_t i = 0; i < a->n; i++) {
		struct cluster *c = cluster_hold(kept->list.v[i]->cluster);

		if (!c->generation)
			c->generation = number;
		a->v[i] = c;
		a->nhosts += c->nhosts;
	}
	return a;
}

/* changed: since *last was built, some route or owner did. */
static struct router_array *routers_share(struct store *s, enum fact_kind owners, bool changed, struct router_array **last)
{
	struct router_array *old = *last;

	if (!old || changed) {
		*last = routers_build(s, owners, old);
		routers_drop(old, s->home);
	}
	(*last)->refs++;
	return *last;
}

struct snapshot *store_build(struct store *s, uint64_t number)
{
	struct snapshot *snap = mem_alloc(sizeof(*snap));
	bool listeners = !s->kinds[FACT_ROUTE].built, services = listeners;

	assert_always(!number || number > CAST(store, s)->number);
	snap->magic = snapshot_MAGIC;
	atomic_init(&snap->refs, 1);
	snap->home = s->home;
	snap->number = number ? number : s->number + 1;
	listeners |= !s->kinds[FACT_LISTENER].built;
	services |= !s->kinds[FACT_SERVICE].built;
	for (int k = 0; k < FACT_KINDS; k++) {
		if (k == FACT_HOST)
			continue;
		if (!s->kinds[k].built)
			s->kinds[k].built = facts_build(s, k);
		s->kinds[k].built->refs++;
		snap->facts[k] = s->kinds[k].built;
	}
	if (!s->clusters)
		s->clusters = clusters_build(s, snap->number);
	snap->listener_routers = routers_share(s, FACT_LISTENER, listeners, &s->listener_routers);
	snap->service_routers = routers_share(s, FACT_SERVICE, services, &s->service_routers);
	s->clusters->refs++;
	snap->clusters = s->clusters;
	s->number = snap->number;
	s->nsnapshots++;
	stat_add(&s->stat.snapshots_built, 1);
	return snap;
}
