/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction: operations are collected as they come, sorted by kind and key at commit (of several on one key the last
 * counts), and looked at side by side with what is accepted. Facts are packed when they are put, so that a large
 * transaction costs what the store will keep, and put again unchanged they cost nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include "base/magic.h"
#include "model/store_priv.h"
#include "weft/str.h"

struct store_tx *store_begin(struct store *s, struct slice registry)
{
	struct store_tx *tx = mem_alloc(sizeof(*tx));

	CAST(store, s);
	tx->magic = store_tx_MAGIC;
	tx->store = s;
	arena_init(&tx->arena);
	arena_init(&tx->words);
	tx->registry = arena_slice(&tx->arena, registry);
	s->ntx++;
	return tx;
}

static struct op *op_add(struct store_tx *tx, enum fact_kind kind, struct slice key)
{
	struct op op = { .kind = kind, .seq = tx->seq++, .key = key };

	assert_always(!CAST(store_tx, tx)->done && tx->seq);
	if (kind == FACT_HOST)
		op.cluster = host_key_cluster(key);
	vec_push(&tx->ops, op);
	return &tx->ops.v[tx->ops.n - 1];
}

void store_put(struct store_tx *tx, struct fact *take_f)
{
	struct fact *f = CAST(fact, take_f);
	const struct fact *now = store_fact(tx->store, f->kind, f->key);
	struct fact_mark mark = fact_mark(f);
	const struct fact *own;
	struct op *op;

	if (tx->registry.n)
		mark.registry = tx->registry;
	own = now && fact_equal(now, f) ? fact_hold(now) : fact_pack(tx->store->home, f, &mark);
	op = op_add(tx, f->kind, own->key);
	op->fact = own;
	op->place = home_place(tx->store->home, mark.registry, mark.file);
	op->line = mark.line;
	fact_drop(f);
}

void store_del(struct store_tx *tx, enum fact_kind kind, struct slice key)
{
	op_add(tx, kind, arena_slice(&tx->arena, key));
}

static void op_fini(struct op *op)
{
	fact_drop((struct fact *)op->fact);
	shared_drop(op->place);
}

void store_end(struct store_tx *tx)
{
	if (!tx)
		return;
	CAST(store_tx, tx);
	for (size_t i = 0; i < tx->ops.n; i++)
		op_fini(&tx->ops.v[i]);
	vec_fini(&tx->ops);
	vec_fini(&tx->refused);
	arena_fini(&tx->words);
	arena_fini(&tx->arena);
	tx->store->ntx--;
	tx->magic = 0;
	free(tx);
}

/* ---- order -------------------------------------------------------------------------------------------------- */

/* Hosts by cluster first: that is not the order of their keys when one cluster's name begins another's. */
static int key_cmp(const struct op *a, const struct op *b)
{
	int d = a->kind - b->kind;

	if (!d && a->kind == FACT_HOST)
		d = slice_cmp(a->cluster, b->cluster);
	return d ? d : slice_cmp(a->key, b->key);
}

static int op_cmp(const void *a, const void *b)
{
	const struct op *x = a, *y = b;
	int d = key_cmp(x, y);

	return d ? d : (x->seq > y->seq) - (x->seq < y->seq);
}

/* Operations that stay together: hosts of one cluster as they came, of other kinds one. */
struct run {
	const struct op *first;
	size_t n;
};

static int run_cmp(const void *a, const void *b)
{
	const struct op *x = ((const struct run *)a)->first, *y = ((const struct run *)b)->first;

	if (x->kind != FACT_HOST || y->kind != FACT_HOST)
		return op_cmp(x, y);
	return slice_cmp(x->cluster, y->cluster);
}

static bool same_cluster(const struct op *a, const struct op *b)
{
	return a->kind == FACT_HOST && b->kind == FACT_HOST && slice_eq(a->cluster, b->cluster);
}

/* By cluster, the hosts of each by key. A comparison reads memory all over, and runs are a tenth as many as operations. */
static void runs_sort(struct store_tx *tx)
{
	struct op *ops = mem_alloc(tx->ops.n * sizeof(*ops));
	VEC(struct run) runs = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < tx->ops.n; i++) {
		if (i && same_cluster(&tx->ops.v[i - 1], &tx->ops.v[i]))
			runs.v[runs.n - 1].n++;
		else
			vec_push(&runs, (struct run){ &tx->ops.v[i], 1 });
	}
	qsort(runs.v, runs.n, sizeof(runs.v[0]), run_cmp);
	for (size_t i = 0; i < runs.n; i++) {
		memcpy(ops + n, runs.v[i].first, runs.v[i].n * sizeof(*ops));
		n += runs.v[i].n;
	}
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && same_cluster(&ops[i], &ops[end]); end++)
			;
		if (end - i > 1)
			qsort(ops + i, end - i, sizeof(*ops), op_cmp);
	}
	vec_fini(&runs);
	free(tx->ops.v);
	tx->ops.v = ops;
	tx->ops.cap = n;
}

static void ops_sort(struct store_tx *tx)
{
	size_t n = 0, i = 1;

	while (i < tx->ops.n && op_cmp(&tx->ops.v[i - 1], &tx->ops.v[i]) < 0)
		i++;
	if (i < tx->ops.n)
		runs_sort(tx);
	for (i = 0; i < tx->ops.n; i++) {
		struct op *op = &tx->ops.v[i];

		if (i + 1 < tx->ops.n && !key_cmp(op, op + 1))
			op_fini(op);
		else
			tx->ops.v[n++] = *op;
	}
	tx->ops.n = n;
}

static void ops_index(struct store_tx *tx)
{
	size_t i = 0;

	for (int k = 0; k < FACT_KINDS; k++) {
		tx->first[k] = i;
		while (i < tx->ops.n && tx->ops.v[i].kind == k)
			i++;
	}
	tx->first[FACT_KINDS] = i;
}

/* What is accepted now beside each operation. Hosts come cluster by cluster, so that one is looked up once. */
static void ops_resolve(struct store_tx *tx)
{
	const struct store *s = tx->store;
	struct entry *cluster = NULL;
	struct slice name = { NULL, 0 };

	for (int k = 0; k < FACT_KINDS; k++) {
		tx_for(op, tx, k) {
			if (k != FACT_HOST) {
				op->now = store_fact(s, k, op->key);
			} else {
				if (!name.p || !slice_eq(name, op->cluster))
					cluster = store_entry(s, FACT_CLUSTER, op->cluster);
				name = op->cluster;
				op->now = cluster ? (const struct fact *)cluster_host(cluster->cluster, op->key) : NULL;
			}
			op->same = op->fact && op->now && fact_equal(op->fact, op->now);
		}
	}
}

const struct op *tx_op(const struct store_tx *tx, enum fact_kind kind, struct slice key)
{
	struct op want = { .kind = kind, .key = key };
	size_t low = tx->first[kind], high = tx->first[kind + 1];

	if (low == high)
		return NULL;
	if (kind == FACT_HOST)
		want.cluster = host_key_cluster(key);
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = key_cmp(&tx->ops.v[mid], &want);

		if (!d)
			return &tx->ops.v[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct fact *tx_after(const struct store_tx *tx, enum fact_kind kind, struct slice key)
{
	const struct op *op = tx_op(tx, kind, key);

	return op ? op->fact : store_fact(tx->store, kind, key);
}

/* ---- verdict ------------------------------------------------------------------------------------------------ */

/* A deletion has no place of its own: it says where the fact is that it would delete. */
struct fact_mark op_mark(const struct op *op)
{
	if (op->place)
		return (struct fact_mark){ op->place->registry, op->place->file, op->line };
	return op->now ? fact_mark(op->now) : (struct fact_mark){ .line = 0 };
}

void tx_refuse(struct store_tx *tx, const struct op *op, const char *fmt, ...)
{
	struct registry_refusal r = { .kind = op->kind, .key = op->key, .mark = op_mark(op) };
	struct arena *a = &tx->words;
	char *why;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&why, fmt, ap) < 0)
		why = NULL;
	va_end(ap);
	r.why = arena_str(a, why ? why : "out of memory");
	/* Copies: what is accepted may go before this transaction ends. */
	r.mark.registry = arena_slice(a, r.mark.registry);
	r.mark.file = arena_slice(a, r.mark.file);
	free(why);
	vec_push(&tx->refused, r);
}

/* Addresses that were found for a name go with their cluster: whoever deletes it knows nothing of them. */
static bool ops_cascade(struct store_tx *tx)
{
	size_t before = tx->ops.n, end = tx->first[FACT_CLUSTER + 1];

	for (size_t i = tx->first[FACT_CLUSTER]; i < end; i++) {
		const struct op *op = &tx->ops.v[i];
		const struct cluster *c = NULL;

		if (check_goes_along(op))
			c = store_entry(tx->store, FACT_CLUSTER, op->key)->cluster;
		for (size_t h = 0; c && h < c->nhosts; h++)
			if (!tx_op(tx, FACT_HOST, c->hosts[h]->fact.key))
				store_del(tx, FACT_HOST, c->hosts[h]->fact.key);
	}
	return tx->ops.n > before;
}

static void ops_prepare(struct store_tx *tx)
{
	ops_sort(tx);
	ops_index(tx);
	ops_resolve(tx);
}

bool store_commit(struct store_tx *tx, uint64_t version, struct registry_verdict *v)
{
	struct store *s = CAST(store_tx, tx)->store;

	assert_always(!tx->done);
	vec_clear(&tx->refused);
	arena_reset(&tx->words);
	*v = (struct registry_verdict){ .version = version };
	vec_reserve(&tx->ops, 1);               /* an empty transaction too is walked from here to there */
	ops_prepare(tx);
	if (s->late.n && absent_add(tx))
		ops_prepare(tx);
	if (ops_cascade(tx))
		ops_prepare(tx);
	tx_check(tx);
	if (tx->refused.n) {
		v->refused = tx->refused.v;
		v->nrefused = tx->refused.n;
		stat_add(&s->stat.transactions_refused, 1);
		return false;
	}
	tx_apply(tx);
	tx->done = true;
	stat_add(&s->stat.transactions, 1);
	if (s->nabsent)
		absent_sweep(s);
	stat_set(&s->stat.absent, s->nabsent);
	v->snapshot = s->number + (store_dirty(s) ? 1 : 0);
	return true;
}

size_t store_changes(const struct store_tx *tx, size_t n[FACT_KINDS])
{
	size_t all = 0;

	for (int k = 0; k < FACT_KINDS; k++)
		n[k] = 0;
	for (size_t i = 0; i < tx->ops.n; i++) {
		const struct op *op = &tx->ops.v[i];
		bool changed = op->fact ? !op->same : op->now != NULL;

		n[op->kind] += changed;
		all += changed;
	}
	return all;
}
