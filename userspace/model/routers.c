/* SPDX-License-Identifier: Apache-2.0 */
#include "model/routers.h"
#include "base/magic.h"
#include "model/store_priv.h"
#include "weft/str.h"

struct routes {
	VEC(const struct route *) list;
};

static void routes_of(struct routes *out, const struct store *s, const struct fact *owner)
{
	const struct listener *l = (const struct listener *)owner;
	const struct service_fact *sv = (const struct service_fact *)owner;
	const struct slice *names = owner->kind == FACT_LISTENER ? l->routes : sv->routes;
	size_t n = owner->kind == FACT_LISTENER ? l->nroutes : sv->nroutes;

	vec_clear(&out->list);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = store_entry(s, FACT_ROUTE, names[i]);

		assert_always(e);
		vec_push(&out->list, (const struct route *)e->fact);
	}
}

static struct router *router_of(struct store *s, const struct routes *routes, struct router *old)
{
	if (!routes->list.n)
		return NULL;
	if (old && router_same(old, routes->list.v, routes->list.n))
		return router_hold(old);
	stat_add(&s->stat.routers_built, 1);
	return router_new(routes->list.v, routes->list.n, slots_take(&s->home->router_slots, SLICE_LIT("")),
			  ++s->home->router_serial);
}

struct router_array *routers_build(struct store *s, enum fact_kind owners, const struct router_array *old)
{
	const struct entries *kept = &s->kinds[owners];
	uint32_t n = s->home->slots[owners].users.n;
	struct router_array *a = mem_alloc(sizeof(*a) + n * sizeof(a->v[0]));
	struct routes routes = { 0 };

	a->refs = 1;
	a->n = n;
	for (size_t i = 0; i < kept->list.n; i++) {
		struct entry *e = kept->list.v[i];
		uint32_t slot = e->fact->slot;
		struct router *was = old && slot < old->n ? old->v[slot] : NULL;

		if (e->unrouted) {
			routes_of(&routes, s, e->fact);
			a->v[slot] = router_of(s, &routes, was);
			e->unrouted = false;
		} else if (was) {
			a->v[slot] = router_hold(was);
		}
	}
	vec_fini(&routes.list);
	return a;
}

void routers_drop(struct router_array *a, struct home *home)
{
	if (!a)
		return;
	assert_always(a->refs);
	if (--a->refs)
		return;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t slot;

		if (!a->v[i])
			continue;
		slot = router_slot(a->v[i]);
		/* home is alive still: the store, or the facts of the snapshot, which go after its routers. */
		if (router_drop(a->v[i]))
			slots_drop(&home->router_slots, slot, SLICE_LIT(""));
	}
	free(a);
}

const struct router *snapshot_router(const struct snapshot *s, const struct fact *owner)
{
	const struct router_array *a = owner->kind == FACT_LISTENER ? s->listener_routers : s->service_routers;

	assert_always(owner->kind == FACT_LISTENER || owner->kind == FACT_SERVICE);
	return owner->slot < a->n ? a->v[owner->slot] : NULL;
}
