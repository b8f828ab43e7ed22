/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cluster_set.h"

#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/mem.h"
#include "model/part.h"
#include "proxy/cluster_view.h"
#include "weft/log.h"
#include "weft/str.h"

/* ---- one balancer ------------------------------------------------------------------------------------------- */

static struct balance *balance_new(const struct view *v, const struct host_set *hosts, const struct balance *was, uint64_t *rng)
{
	const struct lb_ops *ops = v->plan->ops;
	struct balance *b = mem_alloc(sizeof(*b));
	int err = 0;

	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	b->hosts = hosts;
	b->cells = mem_alloc((hosts->set.n + 1) * sizeof(*b->cells));
	for (uint32_t i = 0; i < hosts->set.n; i++)
		b->cells[i] = &v->cells[hosts->at[i]]->lb;
	b->lb = (struct lb){ .ops = ops, .set = &hosts->set, .cells = b->cells, .table = hosts->table,
			     .conf = v->plan->lb_conf, .state = mem_alloc(ops->state_size + 1), .rng = *rng | 1 };
	if (ops->init)
		err = ops->init(&b->lb, was && was->lb.ops == ops ? &was->lb : NULL);
	if (err)
		log_error("cluster", "%.*s: %s cannot be set up: %s", SLICE_ARG(v->plan->cluster->name), ops->name,
			  strerror(-err));
	return b;
}

static void balance_free(struct balance *b)
{
	if (!b)
		return;
	if (b->lb.ops->fini)
		b->lb.ops->fini(&b->lb);
	free(b->lb.state);
	free(b->cells);
	free(b);
}

static void balance_count(struct balance *b)
{
	b->usable = 0;
	for (uint32_t i = 0; i < b->hosts->set.n; i++)
		b->usable += b->cells[i]->usable;
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

struct selection *selection_new(const struct view *v, uint64_t hash, const struct name_value *want, size_t nwant,
				const struct selection *was, uint64_t *rng)
{
	const struct plan_sets *sets = plan_sets_find(v->plan, hash, want, nwant);
	struct plan_sets *own = sets ? NULL : plan_sets_new(v->plan, want, nwant);
	struct selection *s;

	sets = sets ? sets : own;
	s = mem_alloc(sizeof(*s) + sets->nlevels * sizeof(s->levels[0]));
	s->sets = sets;
	s->own = own;
	for (; s->nlevels < sets->nlevels; s->nlevels++) {
		const struct level_sets *from = &sets->levels[s->nlevels];
		const struct level *old = was && s->nlevels < was->nlevels ? &was->levels[s->nlevels] : NULL;
		struct level *l = &s->levels[s->nlevels];

		l->all = balance_new(v, &from->all, old ? old->all : NULL, rng);
		if (from->near.set.n)
			l->near = balance_new(v, &from->near, old ? old->near : NULL, rng);
	}
	selection_weigh(s, v->plan->cluster->conf);
	return s;
}

void selection_free(struct selection *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->nlevels; i++) {
		balance_free(s->levels[i].all);
		balance_free(s->levels[i].near);
	}
	plan_sets_free(s->own);
	free(s);
}

/* ---- health ------------------------------------------------------------------------------------------------- */

void selection_weigh(struct selection *s, const struct cluster_fact *conf)
{
	struct part_level v[PRIORITY_MAX + 1];

	for (uint32_t i = 0; i < s->nlevels; i++) {
		struct level *l = &s->levels[i];

		balance_count(l->all);
		if (l->near)
			balance_count(l->near);
		v[i] = (struct part_level){ .hosts = l->all->hosts->set.n, .usable = l->all->usable };
	}
	part_weigh(v, s->nlevels, conf->panic_percent);
	for (uint32_t i = 0; i < s->nlevels; i++) {
		s->levels[i].load = v[i].load;
		s->levels[i].all->lb.panic = v[i].panic;
	}
}

uint32_t selection_level(const struct selection *s, uint32_t percent)
{
	for (uint32_t i = 0; i + 1 < s->nlevels; i++) {
		if (percent < s->levels[i].load)
			return i;
		percent -= s->levels[i].load;
	}
	return s->nlevels ? s->nlevels - 1 : 0;
}

struct balance *level_begin(const struct level *l)
{
	return l->near && l->near->usable && !l->all->lb.panic ? l->near : l->all;
}
