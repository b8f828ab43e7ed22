/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checked transaction becomes the accepted state. Nothing here can fail. Three passes: every kind's entries in order of
 * kinds, with the old names and claims of what changes taken away; then the new names and claims, now that all they name
 * is there; then the clusters whose settings or hosts changed, each made anew and the others left alone.
 */
#include "base/magic.h"
#include "model/claim.h"
#include "model/field.h"
#include "model/store_priv.h"
#include "weft/str.h"

struct apply {
	struct store_tx *tx;
	struct store *store;
	VEC(struct entry *) dead;               /* freed at the end, when nothing names them */
};

static struct slots *slots_of(struct store *s, enum fact_kind kind)
{
	return &s->home->slots[kind];
}

/* ---- names and claims --------------------------------------------------------------------------------------- */

static void claim_drop(void *arg, struct slice key, const char *text)
{
	struct entry *e = arg;
	struct store *s = e->store;

	(void)text;
	table_del(&s->claims[e->fact->kind], key);
}

static void unlink_entry(struct entry *e)
{
	for (size_t i = 0; i < e->nedges; i++)
		list_del(&e->edges[i].link);
	free(e->edges);
	e->edges = NULL;
	e->nedges = 0;
	claim_each(e->fact, claim_drop, e);
}

static bool names(const struct field *f, const void *object)
{
	return f->type == FIELD_SLICE && f->ref != FIELD_NO_REF && field_slice(f, object).n;
}

static void edge_count(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	(void)up;
	*(size_t *)arg += names(f, object);
}

static void edge_add(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct entry *e = arg, *to;
	struct edge *edge;

	(void)up;
	if (!names(f, object))
		return;
	to = store_entry(e->store, f->ref, field_slice(f, object));
	assert_always(to);
	edge = &e->edges[e->nedges++];
	edge->from = e;
	list_add_tail(&to->referrers, &edge->link);
}

static void claim_add(void *arg, struct slice key, const char *text)
{
	struct entry *e = arg;

	(void)text;
	table_put(&e->store->claims[e->fact->kind], key, (void *)e->fact);
}

static void link_entry(struct entry *e)
{
	const struct shape *shape = &fact_shapes[e->fact->kind];
	size_t n = 0;

	field_walk(shape, e->fact, edge_count, &n);
	e->edges = n ? mem_alloc(n * sizeof(*e->edges)) : NULL;
	field_walk(shape, e->fact, edge_add, e);
	claim_each(e->fact, claim_add, e);
}

/* ---- entries ------------------------------------------------------------------------------------------------ */

/* Where the text stands now, though the content is the same. */
static void mark_move(const struct fact *fact, const struct op *op)
{
	struct fact *f = (struct fact *)fact;
	const struct fact_place *old = f->place;

	shared_hold(op->place);
	f->place = op->place;
	f->line = op->line;
	shared_drop(old);
}

/* A new or changed fact gets its number: that of the key while the store or a snapshot knows it. */
static const struct fact *fact_accept(struct store *s, const struct op *op)
{
	struct fact *f = fact_hold(op->fact);
	struct slots *slots = slots_of(s, op->kind);

	stat_add(&s->stat.facts_put, 1);
	if (f->slot != FACT_NO_SLOT) {
		/* Put as it was accepted, but changed or deleted by another since: it comes back as the same object. */
		mark_move(f, op);
	} else if (op->now) {
		f->slot = op->now->slot;
		slots_share(slots, f->slot);
	} else {
		f->slot = slots_take(slots, f->key);
	}
	return f;
}

static void fact_forget(struct store *s, const struct fact *f)
{
	slots_forget(slots_of(s, f->kind), f->slot, f->key);
	stat_add(&s->stat.facts_deleted, 1);
}

static struct entry *entry_new(struct store *s, const struct fact *f)
{
	struct entry *e = mem_alloc(sizeof(*e));

	e->store = s;
	e->fact = f;
	e->unrouted = true;
	list_init(&e->referrers);
	return e;
}

static void entry_change(struct apply *a, struct entry *e, const struct op *op)
{
	const struct fact *old = e->fact;

	unlink_entry(e);
	e->unrouted = true;
	list_for(l, &e->referrers)
		container_of(l, struct edge, link)->from->unrouted = true;
	e->fact = fact_accept(a->store, op);
	fact_drop((struct fact *)old);
}

/* Accepted entries and operations, both by key, merged into a new list. Costs the entries' pointers once. */
static void kind_merge(struct apply *a, enum fact_kind kind)
{
	struct entries *kept = &a->store->kinds[kind];
	VEC(struct entry *) list = { 0 };
	size_t i = 0;

	vec_reserve(&list, kept->list.n + a->tx->first[kind + 1] - a->tx->first[kind] + 1);
	tx_for(op, a->tx, kind) {
		while (i < kept->list.n && slice_cmp(kept->list.v[i]->fact->key, op->key) < 0)
			list.v[list.n++] = kept->list.v[i++];
		if (op->fact && !op->now)
			list.v[list.n++] = entry_new(a->store, fact_accept(a->store, op));
		if (!op->now)
			continue;
		if (!op->fact) {
			unlink_entry(kept->list.v[i]);
			fact_forget(a->store, op->now);
			vec_push(&a->dead, kept->list.v[i++]);
		} else {
			list.v[list.n++] = kept->list.v[i++];
		}
	}
	while (i < kept->list.n)
		list.v[list.n++] = kept->list.v[i++];
	vec_fini(&kept->list);
	kept->list.v = list.v;
	kept->list.n = list.n;
	kept->list.cap = list.cap;
}

static bool op_changes(const struct op *op)
{
	return op->fact ? !op->same : op->now != NULL;
}

static void kind_apply(struct apply *a, enum fact_kind kind)
{
	struct store *s = a->store;
	size_t moved = 0, changed = 0;

	tx_for(op, a->tx, kind) {
		changed += op_changes(op);
		if (op->same) {
			mark_move(op->now, op);
			stat_add(&s->stat.facts_same, 1);
		} else if (op->fact && op->now) {
			entry_change(a, store_entry(s, kind, op->key), op);
		} else {
			moved += op_changes(op);
		}
	}
	if (moved)
		kind_merge(a, kind);
	if (!changed)
		return;
	fact_array_drop(s->kinds[kind].built);
	s->kinds[kind].built = NULL;
}

/* ---- clusters ----------------------------------------------------------------------------------------------- */

static const struct host *host_accept(struct store *s, const struct op *op)
{
	if (!op->same)
		return (const struct host *)fact_accept(s, op);
	mark_move(op->now, op);
	stat_add(&s->stat.facts_same, 1);
	return (const struct host *)fact_hold(op->now);
}

/* Hosts of old and the operations on them, both by key. hosts has room for all. */
static size_t hosts_merge(struct store *s, const struct cluster *old, struct op *op, struct op *end,
			  const struct host **hosts)
{
	size_t i = 0, n = 0, nold = old ? old->nhosts : 0;

	for (; op < end; op++) {
		while (i < nold && slice_cmp(old->hosts[i]->fact.key, op->key) < 0)
			hosts[n++] = (const struct host *)fact_hold(&old->hosts[i++]->fact);
		if (op->fact)
			hosts[n++] = host_accept(s, op);
		else if (op->now)
			fact_forget(s, op->now);
		i += op->now != NULL;
	}
	while (i < nold)
		hosts[n++] = (const struct host *)fact_hold(&old->hosts[i++]->fact);
	return n;
}

static struct cluster *cluster_make(struct store *s, const struct fact *conf, const struct cluster *old, struct op *op,
				    struct op *end)
{
	size_t most = (old ? old->nhosts : 0) + (end - op);
	struct cluster *c = mem_alloc(sizeof(*c) + most * sizeof(c->hosts[0]));
	const struct host **hosts = (const struct host **)(c + 1);

	c->refs = 1;
	c->conf = (const struct cluster_fact *)fact_hold(conf);
	c->name = conf->key;
	c->slot = conf->slot;
	c->hosts = hosts;
	c->nhosts = hosts_merge(s, old, op, end, hosts);
	stat_add(&s->stat.clusters_built, 1);
	return c;
}

static bool any_changes(const struct op *op, const struct op *end)
{
	for (; op < end; op++) {
		if (op_changes(op))
			return true;
	}
	return false;
}

/* The operations on one cluster's hosts. */
static void cluster_apply(struct apply *a, struct slice name, struct op *op, struct op *end)
{
	struct store *s = a->store;
	struct entry *e = store_entry(s, FACT_CLUSTER, name);
	struct cluster *old = e ? e->cluster : NULL;

	if (!e || (old && &old->conf->fact == e->fact && !any_changes(op, end))) {
		/* Gone with all its hosts, or nothing new but marks. */
		for (; op < end; op++) {
			if (op->same)
				mark_move(op->now, op);
			else if (op->now)
				fact_forget(s, op->now);
			stat_add(&s->stat.facts_same, op->same);
		}
		return;
	}
	e->cluster = cluster_make(s, e->fact, old, op, end);
	s->nhosts += e->cluster->nhosts - (old ? old->nhosts : 0);
	cluster_drop(old);
	cluster_array_drop(s->clusters);
	s->clusters = NULL;
}

/* Both lists are by cluster: those with changed settings, those with changed hosts. */
static void clusters_apply(struct apply *a)
{
	struct op *set = a->tx->ops.v + a->tx->first[FACT_CLUSTER], *set_end = a->tx->ops.v + a->tx->first[FACT_CLUSTER + 1];
	struct op *host = a->tx->ops.v + a->tx->first[FACT_HOST], *host_end = a->tx->ops.v + a->tx->first[FACT_HOST + 1];

	while (set < set_end || host < host_end) {
		struct op *end = host;
		struct slice name;
		int d;

		d = set == set_end ? 1 : host == host_end ? -1 : slice_cmp(set->key, host->cluster);
		name = d > 0 ? host->cluster : set->key;
		while (d >= 0 && end < host_end && slice_eq(end->cluster, name))
			end++;
		cluster_apply(a, name, host, end);
		host = end;
		set += d <= 0;
	}
}

static void dead_free(struct apply *a)
{
	for (size_t i = 0; i < a->dead.n; i++) {
		struct entry *e = a->dead.v[i];

		assert_always(list_empty(&e->referrers));
		if (e->cluster) {
			a->store->nhosts -= e->cluster->nhosts;
			cluster_array_drop(a->store->clusters);
			a->store->clusters = NULL;
		}
		entry_free(e);
	}
	vec_fini(&a->dead);
}

void tx_apply(struct store_tx *tx)
{
	struct apply a = { .tx = tx, .store = tx->store };
	uint64_t facts = 0;

	tx_for(op, tx, FACT_CLUSTER)
		tx->store->nabsent += absent_is(op->fact) - absent_is(op->now);
	for (int k = 0; k < FACT_KINDS; k++) {
		if (k != FACT_HOST)
			kind_apply(&a, k);
	}
	for (int k = 0; k < FACT_KINDS; k++) {
		tx_for(op, tx, k) {
			if (k != FACT_HOST && op->fact && !op->same)
				link_entry(store_entry(tx->store, k, op->key));
		}
	}
	clusters_apply(&a);
	dead_free(&a);
	for (int k = 0; k < FACT_KINDS; k++)
		facts += tx->store->kinds[k].list.n;
	stat_set(&tx->store->stat.hosts, tx->store->nhosts);
	stat_set(&tx->store->stat.facts, facts + tx->store->nhosts);
}
