/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/plan_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "model/part.h"
#include "proxy/plan.h"
#include "proxy/wanted.h"
#include "weft/log.h"
#include "weft/str.h"

/* ---- one set ------------------------------------------------------------------------------------------------ */

static void set_add(struct host_set *s, const struct plan *p, uint32_t at)
{
	const struct plan_host *h = &p->hosts[at];
	uint32_t i = s->set.n++;

	s->hosts[i] = (struct lb_host){ .host = h->host, .weight = h->host->weight, .key = h->key };
	s->at[i] = at;
	s->set.total_weight += h->host->weight;
	s->set.weighted |= h->host->weight != s->hosts[0].weight;
}

static void set_init(struct host_set *s, uint32_t room)
{
	*s = (struct host_set){ .hosts = mem_alloc((room + 1) * sizeof(*s->hosts)),
				.at = mem_alloc((room + 1) * sizeof(*s->at)) };
}

static void set_fini(struct host_set *s)
{
	free(s->hosts);
	free(s->at);
	free(s->table);
	*s = (struct host_set){ 0 };
}

/* Without its table an algorithm takes hosts at random, so that a failure is only said. */
static void set_finish(struct host_set *s, const struct plan *p)
{
	const struct lb_ops *ops = p->ops;
	size_t size;
	int err;

	s->set.hosts = s->hosts;
	/* Of one there is nothing to choose: many subsets of a cluster may be that small, and tables are not. */
	size = ops->table_size && s->set.n > 1 ? ops->table_size(&s->set, p->lb_conf) : 0;
	if (!size)
		return;
	s->table = calloc(1, size);
	err = s->table ? ops->build(s->table, &s->set, p->lb_conf) : -ENOMEM;
	if (!err)
		return;
	log_error("cluster", "%.*s: the table of %s cannot be made: %s", SLICE_ARG(p->cluster->name), ops->name,
		  strerror(-err));
	free(s->table);
	s->table = NULL;
}

uint32_t host_set_find(const struct host_set *s, uint64_t key)
{
	uint32_t low = 0, high = s->set.n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (s->hosts[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->set.n && s->hosts[low].key == key ? low : LB_NONE;
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

static uint32_t priority_end(const struct plan *p, uint32_t first)
{
	uint32_t end = first;

	while (end < p->n && p->hosts[end].host->priority == p->hosts[first].host->priority)
		end++;
	return end;
}

/* False: none of that priority carries it. */
static bool level_init(struct level_sets *l, const struct plan *p, uint32_t first, uint32_t end,
		       const struct name_value *want, size_t n)
{
	set_init(&l->all, end - first);
	set_init(&l->near, p->places ? end - first : 0);
	for (uint32_t i = first; i < end; i++) {
		if (!part_carries(p->hosts[i].host, want, n))
			continue;
		set_add(&l->all, p, i);
		if (p->places && p->hosts[i].near)
			set_add(&l->near, p, i);
	}
	if (l->near.set.n == l->all.set.n)
		set_fini(&l->near);
	set_finish(&l->all, p);
	set_finish(&l->near, p);
	if (!l->all.set.n)
		set_fini(&l->all);
	return l->all.set.n;
}

/* The strings are copied: a want may be a route's, and routes change without their clusters. */
static void want_copy(struct plan_sets *s, const struct name_value *want, size_t n)
{
	s->want = mem_alloc((n + 1) * sizeof(*s->want));
	s->nwant = n;
	for (size_t i = 0; i < n; i++) {
		s->want[i].name = (struct slice){ mem_dup(want[i].name.p, want[i].name.n), want[i].name.n };
		s->want[i].value = (struct slice){ mem_dup(want[i].value.p, want[i].value.n), want[i].value.n };
	}
}

struct plan_sets *plan_sets_new(const struct plan *p, const struct name_value *want, size_t nwant)
{
	struct plan_sets *s;
	uint32_t most = 0;

	for (uint32_t i = 0; i < p->n; i = priority_end(p, i))
		most++;
	s = mem_alloc(sizeof(*s) + most * sizeof(s->levels[0]));
	for (uint32_t i = 0, end; i < p->n; i = end) {
		end = priority_end(p, i);
		s->nlevels += level_init(&s->levels[s->nlevels], p, i, end, want, nwant);
	}
	want_copy(s, want, nwant);
	s->hash = plan_want_hash(want, nwant);
	return s;
}

void plan_sets_free(struct plan_sets *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->nlevels; i++) {
		set_fini(&s->levels[i].all);
		set_fini(&s->levels[i].near);
	}
	for (size_t i = 0; i < s->nwant; i++) {
		free((char *)s->want[i].name.p);
		free((char *)s->want[i].value.p);
	}
	free(s->want);
	free(s);
}

/* ---- subsets ------------------------------------------------------------------------------------------------ */

uint64_t plan_want_hash(const struct name_value *want, size_t nwant)
{
	uint64_t h = nwant;

	for (size_t i = 0; i < nwant; i++)
		h = hash_bytes(want[i].value, hash_bytes(want[i].name, h));
	return h;
}

bool plan_sets_are(const struct plan_sets *s, uint64_t hash, const struct name_value *want, size_t nwant)
{
	if (s->hash != hash || s->nwant != nwant)
		return false;
	for (size_t i = 0; i < nwant; i++)
		if (!slice_eq(s->want[i].name, want[i].name) || !slice_eq(s->want[i].value, want[i].value))
			return false;
	return true;
}

const struct plan_sets *plan_sets_find(const struct plan *p, uint64_t hash, const struct name_value *want, size_t nwant)
{
	struct plan_sets *s;

	if (!nwant)
		return p->whole;
	s = table_get(&p->subsets, (struct slice){ (const char *)&hash, sizeof(hash) });
	return s && plan_sets_are(s, hash, want, nwant) ? s : NULL;
}

static void add_subset(struct plan *p, const struct name_value *want, size_t n)
{
	uint64_t hash = plan_want_hash(want, n);
	struct plan_sets *s;

	if (table_get(&p->subsets, (struct slice){ (const char *)&hash, sizeof(hash) }))
		return;
	s = plan_sets_new(p, want, n);
	table_put(&p->subsets, (struct slice){ (const char *)&s->hash, sizeof(s->hash) }, s);
}

static int by_name(const void *a, const void *b)
{
	return slice_cmp(((const struct name_value *)a)->name, ((const struct name_value *)b)->name);
}

/* The values that one host has for these names; false: it lacks one. */
static bool values_of(const struct host *h, const struct subset_keys *k, struct name_value *out)
{
	for (size_t i = 0; i < k->nnames; i++) {
		size_t at = 0;

		while (at < h->metadata.n && !slice_eq(h->metadata.v[at].name, k->names[i]))
			at++;
		if (at == h->metadata.n)
			return false;
		out[i] = h->metadata.v[at];
	}
	qsort(out, k->nnames, sizeof(*out), by_name);
	return true;
}

void plan_sets_make(struct plan *p, const struct wants *wants)
{
	const struct cluster_fact *conf = p->cluster->conf;

	table_init(&p->subsets, 0);
	p->whole = plan_sets_new(p, NULL, 0);
	for (size_t i = 0; i < conf->nsubsets; i++) {
		const struct subset_keys *k = &conf->subsets[i];
		struct name_value *want = mem_alloc((k->nnames + 1) * sizeof(*want));

		for (uint32_t h = 0; h < p->n; h++)
			if (k->nnames && values_of(p->hosts[h].host, k, want))
				add_subset(p, want, k->nnames);
		free(want);
	}
	for (const struct want *w = wants->first; w; w = w->next)
		add_subset(p, w->v, w->n);
	if (conf->nsubset_default)
		add_subset(p, conf->subset_default, conf->nsubset_default);
}
