/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster that is named and that nobody has given stands in the store as one that is absent, so that whoever names it has
 * something to name: by a transaction of the registry whose facts may come first (store_late()), or because who gave it
 * took it back while another registry's facts go on naming it. Anybody may give it; it goes with the last one that names it.
 */
#include "base/magic.h"
#include "model/field.h"
#include "model/store_priv.h"
#include "weft/str.h"

struct lack {
	struct slice name;                      /* of the cluster; of the fact that names it */
	struct fact_mark by;                    /* likewise */
};

struct lacking {
	struct store_tx *tx;
	const struct op *op;
	VEC(struct lack) v;
};

bool absent_is(const struct fact *cluster)
{
	return cluster && ((const struct cluster_fact *)cluster)->absent;
}

static void lack_add(struct lacking *l, struct slice name, struct fact_mark by)
{
	vec_push(&l->v, (struct lack){ name, by });
}

static void look_at_name(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct lacking *l = arg;
	struct slice key;

	(void)up;
	if (f->type != FIELD_SLICE || f->ref != FACT_CLUSTER)
		return;
	key = field_slice(f, object);
	if (key.n && !tx_after(l->tx, FACT_CLUSTER, key))
		lack_add(l, key, op_mark(l->op));
}

/* A host without its cluster is wrong whoever gives it: hosts are not looked at. */
static void look_at_puts(struct lacking *l)
{
	static const enum fact_kind kinds[] = { FACT_ROUTE, FACT_LISTENER, FACT_SERVICE };
	struct store_tx *tx = l->tx;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		tx_for(op, tx, kinds[k]) {
			l->op = op;
			if (op->fact && slice_eq(op->place->registry, tx->store->late))
				field_walk(&fact_shapes[op->kind], op->fact, look_at_name, l);
		}
	}
}

/* Whoever takes a cluster back does not know who else names it. */
static void look_at_dels(struct lacking *l)
{
	struct store_tx *tx = l->tx;

	tx_for(op, tx, FACT_CLUSTER) {
		const struct entry *e = op->fact || !op->now ? NULL : store_entry(tx->store, FACT_CLUSTER, op->key);

		if (!e || absent_is(op->now))
			continue;
		list_for(p, &e->referrers) {
			const struct fact *from = container_of(p, struct edge, link)->from->fact;

			if (tx_op(tx, from->kind, from->key) || slice_eq(from->place->registry, op->now->place->registry))
				continue;
			lack_add(l, op->now->key, fact_mark(from));
			break;
		}
	}
}

bool absent_add(struct store_tx *tx)
{
	struct lacking l = { .tx = tx };
	bool any;

	if (!tx->registry.n || slice_eq(tx->registry, tx->store->late))
		look_at_puts(&l);
	look_at_dels(&l);
	/* Of several that name it the first one says where: the last put counts. */
	for (size_t i = l.v.n; i--;) {
		struct cluster_fact *c = (struct cluster_fact *)fact_new(FACT_CLUSTER, l.v.v[i].name, &l.v.v[i].by);

		c->absent = true;
		store_put(tx, &c->fact);
	}
	any = l.v.n;
	vec_fini(&l.v);
	return any;
}

void absent_sweep(struct store *s)
{
	const struct entries *clusters = &s->kinds[FACT_CLUSTER];
	struct store_tx *tx = store_begin(s, (struct slice){ NULL, 0 });
	struct registry_verdict v;

	for (size_t i = 0; i < clusters->list.n; i++) {
		const struct entry *e = clusters->list.v[i];

		if (absent_is(e->fact) && list_empty(&e->referrers))
			store_del(tx, FACT_CLUSTER, e->fact->key);
	}
	if (tx->ops.n)
		assert_always(store_commit(tx, 0, &v));
	store_end(tx);
}
