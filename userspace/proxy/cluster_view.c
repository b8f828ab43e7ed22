/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cluster_view.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "model/part.h"
#include "proxy/cluster.h"
#include "proxy/cluster_set.h"
#include "weft/log.h"
#include "weft/str.h"

#define WARM_STEP_NS (20 * MSEC)                /* between two looks at the factors of hosts that start slowly */
#define FACTOR_LEAST (LB_FACTOR_ONE / 10)

/* ---- cells -------------------------------------------------------------------------------------------------- */

static struct slice key_slice(const uint64_t *key)
{
	return (struct slice){ (const char *)key, sizeof(*key) };
}

struct cell *cell_find(const struct table *cells, uint64_t key)
{
	return table_get(cells, key_slice(&key));
}

static struct cell *cell_hold(struct table *cells, const struct plan_host *h)
{
	struct cell *c = cell_find(cells, h->key);

	if (!c) {
		c = mem_alloc(sizeof(*c));
		c->key = h->key;
		table_put(cells, key_slice(&c->key), c);
	}
	c->refs++;
	c->shared = h->shared;
	return c;
}

void cell_forget(struct table *cells, struct cell *c)
{
	if (c->refs || c->lb.active || c->lb.conns)
		return;
	table_del(cells, key_slice(&c->key));
	free(c);
}

/* ---- selections --------------------------------------------------------------------------------------------- */

static struct selection *find(const struct view *v, uint64_t hash, const struct name_value *want, size_t n)
{
	for (size_t i = 0; i < v->subsets.n; i++)
		if (plan_sets_are(v->subsets.v[i]->sets, hash, want, n))
			return v->subsets.v[i];
	return NULL;
}

static struct selection *subset(struct view *v, const struct name_value *want, size_t n, uint64_t *rng)
{
	uint64_t hash = plan_want_hash(want, n);
	struct selection *s = find(v, hash, want, n);

	/* What is declared and not in the plan has no hosts. */
	if (!s && v->plan->cluster->conf->nsubsets && !plan_sets_find(v->plan, hash, want, n))
		return NULL;
	if (!s) {
		s = selection_new(v, hash, want, n, NULL, rng);
		vec_push(&v->subsets, s);
	}
	s->used = true;
	return s;
}

struct selection *view_select(struct view *v, const struct name_value *want, size_t nwant, uint64_t *rng)
{
	const struct cluster_fact *conf = v->plan->cluster->conf;
	struct selection *s;

	if (!nwant)
		return v->whole;
	s = part_declared(conf, want, nwant) ? subset(v, want, nwant, rng) : NULL;
	if (s && s->nlevels)
		return s;
	switch ((enum subset_fallback)conf->fallback) {
	case SUBSET_ANY:
		return v->whole;
	case SUBSET_DEFAULT:
		s = subset(v, conf->subset_default, conf->nsubset_default, rng);
		return s && s->nlevels ? s : NULL;
	case SUBSET_NONE:
		break;
	}
	return NULL;
}

/* ---- picking ------------------------------------------------------------------------------------------------ */

static uint32_t ask_balance(struct balance *b, const struct cluster_ask *ask, bool again)
{
	uint32_t tried[CLUSTER_TRIED_MAX];
	struct lb_ask a = ask->lb;

	a.tried = tried;
	a.ntried = 0;
	for (uint32_t i = 0; !again && i < ask->ntried; i++) {
		uint32_t at = host_set_find(b->hosts, ask->tried[i]);

		if (at != LB_NONE)
			tried[a.ntried++] = at;
	}
	return b->lb.ops->pick(&b->lb, &a);
}

static bool ask_level(const struct level *l, const struct cluster_ask *ask, bool again, struct pick *out)
{
	struct balance *b = level_begin(l);

	out->index = ask_balance(b, ask, again);
	if (out->index == LB_NONE && b != l->all) {
		b = l->all;
		out->index = ask_balance(b, ask, again);
	}
	out->balance = b;
	return out->index != LB_NONE;
}

static uint32_t percent_of(uint64_t *rng, const struct cluster_ask *ask)
{
	if (ask->lb.has_hash)
		return (uint32_t)((ask->lb.hash >> 33) % 100);
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*rng >> 33) % 100);
}

/* Others than were tried first, of every level; then whoever is usable. */
static bool ask_selection(uint64_t *rng, struct selection *s, const struct cluster_ask *ask, struct pick *out)
{
	uint32_t begin = s->nlevels > 1 ? selection_level(s, percent_of(rng, ask)) : 0;

	for (int again = 0; again <= (ask->ntried > 0); again++) {
		if (s->nlevels && ask_level(&s->levels[begin], ask, again, out))
			return true;
		for (uint32_t i = 0; i < s->nlevels; i++)
			if (i != begin && ask_level(&s->levels[i], ask, again, out))
				return true;
	}
	return false;
}

bool view_pick(struct view *v, const struct cluster_ask *ask, uint64_t *rng, struct pick *out)
{
	struct selection *s = view_select(v, ask->backend->subset, ask->backend->nsubset, rng);

	return s && ask_selection(rng, s, ask, out);
}

/* ---- states ------------------------------------------------------------------------------------------------- */

/* From a tenth to all of its weight, in a straight line over the window. */
static void cell_warm(struct view *v, struct cell *c, uint64_t now_ns)
{
	uint64_t window = v->plan->cluster->conf->slow_start_ms * MSEC;
	uint64_t since = atomic_load_explicit(&c->shared->since_ns, memory_order_relaxed);
	uint64_t age = now_ns > since ? now_ns - since : 0;

	c->warming = since && age < window;
	c->lb.factor = LB_FACTOR_ONE;
	if (!c->warming)
		return;
	c->lb.factor = FACTOR_LEAST + (uint16_t)((LB_FACTOR_ONE - FACTOR_LEAST) * age / window);
	v->warming++;
}

static void look_at_cells(struct view *v, uint64_t now_ns)
{
	v->warming = 0;
	for (uint32_t i = 0; i < v->plan->n; i++) {
		struct cell *c = v->cells[i];

		c->lb.usable = !shared_host_state(v->plan->hosts[i].shared);
		cell_warm(v, c, now_ns);
	}
	v->warm_ns = now_ns + WARM_STEP_NS;
}

void view_refresh(struct view *v, uint64_t now_ns)
{
	uint32_t version = atomic_load_explicit(&v->plan->shared->version, memory_order_acquire);
	bool changed = version != v->version;

	if (!changed && (!v->warming || now_ns < v->warm_ns))
		return;
	v->version = version;
	look_at_cells(v, now_ns);
	if (!changed)
		return;
	selection_weigh(v->whole, v->plan->cluster->conf);
	for (size_t i = 0; i < v->subsets.n; i++)
		selection_weigh(v->subsets.v[i], v->plan->cluster->conf);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

struct view *view_new(const struct plan *plan, struct hold *take_hold, const struct view *old, struct table *cells,
		      uint64_t *rng, uint64_t now_ns)
{
	struct view *v = mem_alloc(sizeof(*v));

	v->plan = plan;
	v->hold = take_hold;
	v->current = true;
	v->cells = mem_alloc((plan->n + 1) * sizeof(*v->cells));
	for (uint32_t i = 0; i < plan->n; i++)
		v->cells[i] = cell_hold(cells, &plan->hosts[i]);
	v->version = atomic_load_explicit(&plan->shared->version, memory_order_acquire);
	look_at_cells(v, now_ns);
	v->whole = selection_new(v, 0, NULL, 0, old ? old->whole : NULL, rng);
	/* What was asked for will be asked for again: it is made here, not within a request. */
	for (size_t i = 0; old && i < old->subsets.n; i++) {
		const struct selection *was = old->subsets.v[i];
		const struct plan_sets *want = was->sets;

		if (was->used && plan_sets_find(plan, want->hash, want->want, want->nwant))
			vec_push(&v->subsets, selection_new(v, want->hash, want->want, want->nwant, was, rng));
	}
	return v;
}

void view_free(struct view *v, struct table *cells)
{
	assert_always(!v->users);
	selection_free(v->whole);
	for (size_t i = 0; i < v->subsets.n; i++)
		selection_free(v->subsets.v[i]);
	vec_fini(&v->subsets);
	for (uint32_t i = 0; i < v->plan->n; i++) {
		struct cell *c = v->cells[i];

		/* A newer view has its own reference, and may have another word for the host. */
		if (!--c->refs)
			c->shared = NULL;
		cell_forget(cells, c);
	}
	free(v->cells);
	hold_drop(v->hold);
	free(v);
}
