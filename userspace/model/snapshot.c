/* SPDX-License-Identifier: Apache-2.0 */
/* Counting, freeing and reading. build.c makes them. */
#include "model/snapshot.h"
#include "base/magic.h"
#include "model/routers.h"
#include "model/store_priv.h"
#include "weft/str.h"

/* ---- what snapshots share: control thread ------------------------------------------------------------------- */

struct cluster *cluster_hold(const struct cluster *c)
{
	struct cluster *own = (struct cluster *)c;

	own->refs++;
	return own;
}

static bool last_one(uint32_t *refs)
{
	assert_always(*refs);
	return --*refs == 0;
}

void cluster_drop(struct cluster *c)
{
	if (!c || !last_one(&c->refs))
		return;
	for (size_t i = 0; i < c->nhosts; i++)
		fact_drop((struct fact *)&c->hosts[i]->fact);
	fact_drop((struct fact *)&c->conf->fact);
	free(c);
}

void fact_array_drop(struct fact_array *a)
{
	if (!a || !last_one(&a->refs))
		return;
	for (size_t i = 0; i < a->n; i++)
		fact_drop((struct fact *)a->v[i]);
	free(a);
}

void cluster_array_drop(struct cluster_array *a)
{
	if (!a || !last_one(&a->refs))
		return;
	for (size_t i = 0; i < a->n; i++)
		cluster_drop((struct cluster *)a->v[i]);
	free(a);
}

/* ---- snapshots: any thread, but for store_bury -------------------------------------------------------------- */

struct snapshot *snapshot_hold(struct snapshot *s)
{
	CAST(snapshot, s);
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_drop(struct snapshot *s)
{
	struct home *home;
	uint32_t was;

	if (!s)
		return;
	home = CAST(snapshot, s)->home;
	was = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
	assert_always(was);
	if (was != 1)
		return;
	s->dead_next = atomic_load_explicit(&home->graveyard, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&home->graveyard, &s->dead_next, s, memory_order_release,
						      memory_order_relaxed))
		;
}

static void snapshot_free(struct snapshot *s)
{
	for (int i = 0; i < SNAPSHOT_ANNEXES; i++)
		if (s->annex[i].p)
			s->annex[i].free(s->annex[i].p);
	routers_drop(s->service_routers, s->home);
	routers_drop(s->listener_routers, s->home);
	for (int k = 0; k < FACT_KINDS; k++)
		fact_array_drop(s->facts[k]);
	cluster_array_drop(s->clusters);
	s->magic = 0;
	free(s);
}

size_t store_bury(struct store *st)
{
	struct snapshot *s = atomic_exchange_explicit(&st->home->graveyard, NULL, memory_order_acquire), *next;
	size_t n = 0;

	for (; s; s = next) {
		next = s->dead_next;
		snapshot_free(s);
		n++;
	}
	assert_always(st->nsnapshots >= n);
	st->nsnapshots -= n;
	stat_add(&st->stat.snapshots_buried, n);
	return n;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

uint64_t snapshot_number(const struct snapshot *s)
{
	return s->number;
}

struct fact_set snapshot_facts(const struct snapshot *s, enum fact_kind kind)
{
	const struct fact_array *a = s->facts[kind];

	assert_always(a);
	return (struct fact_set){ a->v, a->n };
}

struct cluster_set snapshot_clusters(const struct snapshot *s)
{
	return (struct cluster_set){ s->clusters->v, s->clusters->n };
}

uint32_t snapshot_slots(const struct snapshot *s, enum fact_kind kind)
{
	return kind == FACT_HOST ? s->clusters->host_slots : s->facts[kind]->slots;
}

static int cluster_cmp(const void *name, const void *at)
{
	return slice_cmp(*(const struct slice *)name, (*(const struct cluster *const *)at)->name);
}

static int fact_cmp(const void *key, const void *at)
{
	return slice_cmp(*(const struct slice *)key, (*(const struct fact *const *)at)->key);
}

static int host_cmp(const void *key, const void *at)
{
	return slice_cmp(*(const struct slice *)key, (*(const struct host *const *)at)->fact.key);
}

const struct cluster *snapshot_cluster(const struct snapshot *s, struct slice name)
{
	const struct cluster_array *a = s->clusters;
	const struct cluster *const *found = bsearch(&name, a->v, a->n, sizeof(a->v[0]), cluster_cmp);

	return found ? *found : NULL;
}

struct slice host_key_cluster(struct slice key)
{
	const char *bar = key.n ? memrchr(key.p, '|', key.n) : NULL;

	bar = bar ? memrchr(key.p, '|', bar - key.p) : NULL;
	return (struct slice){ key.p, bar ? bar - key.p : 0 };
}

const struct host *cluster_host(const struct cluster *c, struct slice key)
{
	const struct host *const *found;

	if (!c->nhosts)
		return NULL;
	found = bsearch(&key, c->hosts, c->nhosts, sizeof(c->hosts[0]), host_cmp);
	return found ? *found : NULL;
}

const struct fact *snapshot_fact(const struct snapshot *s, enum fact_kind kind, struct slice key)
{
	const struct fact *const *found;
	const struct cluster *c;
	const struct host *h;

	if (kind != FACT_HOST) {
		const struct fact_array *a = s->facts[kind];

		found = bsearch(&key, a->v, a->n, sizeof(a->v[0]), fact_cmp);
		return found ? *found : NULL;
	}
	c = snapshot_cluster(s, host_key_cluster(key));
	h = c ? cluster_host(c, key) : NULL;
	return h ? &h->fact : NULL;
}
