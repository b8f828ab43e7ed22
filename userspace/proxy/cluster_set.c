/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cluster_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/mem.h"
#include "proxy/cluster_view.h"
#include "weft/log.h"
#include "weft/str.h"

#define OVERPROVISION 140u                      /* percent: a level is whole as long as 72 % of its hosts are well */

/* ---- one balancer ------------------------------------------------------------------------------------------- */

static void balance_add(struct balance *b, const struct plan_host *h, struct cell *c)
{
	uint32_t i = b->set.n++;

	b->hosts[i] = (struct lb_host){ .host = h->host, .weight = h->host->weight, .key = h->key };
	b->cells[i] = &c->lb;
	b->set.total_weight += h->host->weight;
	b->set.weighted |= h->host->weight != b->hosts[0].weight;
}

static int build_table(struct balance *b, const void *conf)
{
	const struct lb_ops *ops = b->lb.ops;
	size_t size = ops->table_size ? ops->table_size(&b->set, conf) : 0;
	void *table;
	int err;

	if (!size)
		return 0;
	table = calloc(1, size);
	if (!table)
		return -ENOMEM;
	err = ops->build(table, &b->set, conf);
	if (err)
		free(table);
	else
		b->lb.table = table;
	return err;
}

/* Hosts are all added. An algorithm without its table or state takes hosts at random, so a failure is only said. */
static void balance_start(struct balance *b, const struct plan *p, const struct balance *was, uint64_t *rng)
{
	const struct lb_ops *ops = p->ops;
	int err;

	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	b->set.hosts = b->hosts;
	b->lb = (struct lb){ .ops = ops, .set = &b->set, .cells = b->cells, .conf = p->cluster->conf, .rng = *rng | 1 };
	b->lb.state = mem_alloc(ops->state_size + 1);
	err = build_table(b, b->lb.conf);
	if (!err && ops->init)
		err = ops->init(&b->lb, was && was->lb.ops == ops ? &was->lb : NULL);
	if (err)
		log_error("cluster", "%.*s: %s cannot be set up: %s", SLICE_ARG(p->cluster->name), ops->name, strerror(-err));
}

static struct balance *balance_new(uint32_t room)
{
	struct balance *b = mem_alloc(sizeof(*b));

	b->hosts = mem_alloc((room + 1) * sizeof(*b->hosts));
	b->cells = mem_alloc((room + 1) * sizeof(*b->cells));
	return b;
}

static void balance_free(struct balance *b)
{
	if (!b)
		return;
	if (b->lb.ops->fini)
		b->lb.ops->fini(&b->lb);
	free(b->lb.state);
	free((void *)b->lb.table);
	free(b->hosts);
	free(b->cells);
	free(b);
}

static void balance_count(struct balance *b)
{
	b->usable = 0;
	for (uint32_t i = 0; i < b->set.n; i++)
		b->usable += b->cells[i]->usable;
}

uint32_t balance_find(const struct balance *b, uint64_t key)
{
	uint32_t low = 0, high = b->set.n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (b->hosts[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < b->set.n && b->hosts[low].key == key ? low : LB_NONE;
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

static bool carries(const struct host *h, const struct name_value *want, size_t n)
{
	size_t at = 0;

	/* Both are sorted by name. */
	for (size_t i = 0; i < n; i++) {
		while (at < h->metadata.n && slice_cmp(h->metadata.v[at].name, want[i].name) < 0)
			at++;
		if (at == h->metadata.n || !slice_eq(h->metadata.v[at].name, want[i].name) ||
		    !slice_eq(h->metadata.v[at].value, want[i].value))
			return false;
	}
	return true;
}

struct range {                                  /* hosts of one priority in the plan */
	uint32_t first, end;
};

static struct range next_priority(const struct plan *p, uint32_t first)
{
	struct range r = { first, first };

	while (r.end < p->n && p->hosts[r.end].host->priority == p->hosts[first].host->priority)
		r.end++;
	return r;
}

static bool level_fill(struct level *l, const struct view *v, struct range r, const struct name_value *want, size_t n)
{
	const struct plan *p = v->plan;

	l->all = balance_new(r.end - r.first);
	l->near = p->places ? balance_new(r.end - r.first) : NULL;
	for (uint32_t i = r.first; i < r.end; i++) {
		if (!carries(p->hosts[i].host, want, n))
			continue;
		balance_add(l->all, &p->hosts[i], v->cells[i]);
		if (l->near && p->hosts[i].near)
			balance_add(l->near, &p->hosts[i], v->cells[i]);
	}
	return l->all->set.n;
}

static void unused_free(struct balance **b)
{
	if (!*b)
		return;
	free((*b)->hosts);
	free((*b)->cells);
	free(*b);
	*b = NULL;
}

static void level_start(struct level *l, const struct view *v, const struct level *was, uint64_t *rng)
{
	balance_start(l->all, v->plan, was ? was->all : NULL, rng);
	if (!l->near)
		return;
	if (l->near->set.n && l->near->set.n < l->all->set.n)
		balance_start(l->near, v->plan, was && was->near ? was->near : NULL, rng);
	else
		unused_free(&l->near);
}

struct selection *selection_new(const struct view *v, const struct name_value *want, size_t nwant,
				const struct selection *was, uint64_t *rng)
{
	const struct plan *p = v->plan;
	struct selection *s;
	uint32_t most = 0;

	for (uint32_t i = 0; i < p->n; i = next_priority(p, i).end)
		most++;
	s = mem_alloc(sizeof(*s) + most * sizeof(s->levels[0]));
	for (struct range r = next_priority(p, 0); r.first < p->n; r = next_priority(p, r.end)) {
		struct level *l = &s->levels[s->nlevels];

		if (!level_fill(l, v, r, want, nwant)) {
			unused_free(&l->all);
			unused_free(&l->near);
			continue;
		}
		level_start(l, v, was && s->nlevels < was->nlevels ? &was->levels[s->nlevels] : NULL, rng);
		s->nlevels++;
	}
	selection_weigh(s, p->cluster->conf);
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
	for (size_t i = 0; i < s->nwant; i++) {
		free((char *)s->want[i].name.p);
		free((char *)s->want[i].value.p);
	}
	free(s->want);
	free(s);
}

/* ---- health ------------------------------------------------------------------------------------------------- */

/* Percent of a level's hosts that are well, with a reserve: 100 as long as few are not. */
static uint32_t wellness(const struct balance *b)
{
	uint64_t percent = (uint64_t)b->usable * OVERPROVISION / b->set.n;

	return percent > 100 ? 100 : (uint32_t)percent;
}

/* Each level takes what those before it could not, up to its own health. Less than all of them together: by proportion. */
static void share_loads(struct selection *s, uint32_t total)
{
	uint32_t left = 100, first = 0;

	for (uint32_t i = 0; i < s->nlevels; i++) {
		uint32_t well = wellness(s->levels[i].all), load = total < 100 && total ? well * 100 / total : well;

		s->levels[i].load = load < left ? load : left;
		left -= s->levels[i].load;
		if (!s->levels[first].load && s->levels[i].load)
			first = i;
	}
	if (s->nlevels)
		s->levels[first].load += left;
}

void selection_weigh(struct selection *s, const struct cluster_fact *conf)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < s->nlevels; i++) {
		struct level *l = &s->levels[i];

		balance_count(l->all);
		if (l->near)
			balance_count(l->near);
		total += wellness(l->all);
	}
	for (uint32_t i = 0; i < s->nlevels; i++) {
		struct balance *b = s->levels[i].all;

		/* While the levels together are whole, none has to use hosts that are not well. */
		b->lb.panic = total < 100 && (uint64_t)b->usable * 100 < (uint64_t)conf->panic_percent * b->set.n;
	}
	share_loads(s, total);
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
