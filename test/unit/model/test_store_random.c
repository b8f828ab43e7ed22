// SPDX-License-Identifier: Apache-2.0
/*
 * 20,000 random transactions against a reference that copies everything and checks everything. After each, the store
 * says the same verdict and holds the same facts; every so often a snapshot is taken, the difference travels over the
 * wire into a second store, and both must show the same. Numbers of living snapshots must never clash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/dump.h"
#include "model/routers.h"
#include "model/store.h"
#include "model/wire.h"

#define TRANSACTIONS 20000
#define FACTS_MOST 256
#define LIVING 6

/* ---- reference ---------------------------------------------------------------------------------------------- */

struct model {
	struct fact *v[FACTS_MOST];
	size_t n;
};

static void model_copy(struct model *to, const struct model *from)
{
	*to = *from;
	for (size_t i = 0; i < to->n; i++)
		fact_hold(to->v[i]);
}

static void model_fini(struct model *m)
{
	for (size_t i = 0; i < m->n; i++)
		fact_drop(m->v[i]);
	m->n = 0;
}

static size_t model_at(const struct model *m, enum fact_kind kind, struct slice key)
{
	size_t i = 0;

	while (i < m->n && (m->v[i]->kind != kind || !slice_eq(m->v[i]->key, key)))
		i++;
	return i;
}

static bool model_has(const struct model *m, enum fact_kind kind, struct slice key)
{
	return model_at(m, kind, key) < m->n;
}

static void model_del(struct model *m, enum fact_kind kind, struct slice key)
{
	size_t i = model_at(m, kind, key);

	if (i == m->n)
		return;
	fact_drop(m->v[i]);
	m->v[i] = m->v[--m->n];
}

static void model_put(struct model *m, struct fact *take_f)
{
	model_del(m, take_f->kind, take_f->key);
	assert_true(m->n < FACTS_MOST);
	m->v[m->n++] = take_f;
}

static bool ports_resolve(const struct model *m, const struct service_fact *s)
{
	for (size_t i = 0; i < s->nports; i++) {
		if (!s->ports[i].port || !model_has(m, FACT_CLUSTER, s->ports[i].cluster))
			return false;
	}
	for (size_t i = 0; i < s->nroutes; i++) {
		if (!model_has(m, FACT_ROUTE, s->routes[i]))
			return false;
	}
	return true;
}

static bool resolves(const struct model *m, const struct fact *f)
{
	const struct cluster_fact *c = (const struct cluster_fact *)f;
	const struct listener *l = (const struct listener *)f;
	const struct route *r = (const struct route *)f;

	switch ((enum fact_kind)f->kind) {
	case FACT_CLUSTER:
		return !c->tls.ca.n || model_has(m, FACT_SECRET, c->tls.ca);
	case FACT_LISTENER:
		return !l->nroutes || model_has(m, FACT_ROUTE, l->routes[0]);
	case FACT_HOST:
		return model_has(m, FACT_CLUSTER, ((const struct host *)f)->cluster);
	case FACT_ROUTE:
		for (size_t i = 0; i < r->rules->nbackends; i++) {
			if (!model_has(m, FACT_CLUSTER, r->rules->backends[i].cluster))
				return false;
		}
		return true;
	case FACT_SERVICE:
		return ports_resolve(m, (const struct service_fact *)f);
	case FACT_POLICY:
		return model_has(m, FACT_SERVICE, ((const struct policy_fact *)f)->service);
	default:
		return true;
	}
}

static bool services_clash(const struct service_fact *a, const struct service_fact *b)
{
	for (size_t i = 0; i < a->naddrs * a->nports; i++) {
		for (size_t j = 0; j < b->naddrs * b->nports; j++) {
			const struct service_port *p = &a->ports[i % a->nports], *q = &b->ports[j % b->nports];

			if (a == b && i == j)
				continue;
			if (p->port == q->port && p->proto == q->proto &&
			    !memcmp(&a->addrs[i / a->nports], &b->addrs[j / b->nports], sizeof(struct ip)))
				return true;
		}
	}
	return false;
}

static bool clash(const struct fact *a, const struct fact *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == FACT_SERVICE)
		return services_clash((const struct service_fact *)a, (const struct service_fact *)b);
	if (a->kind == FACT_LISTENER)
		return a != b && ((const struct listener *)a)->port == ((const struct listener *)b)->port;
	return a->kind == FACT_WORKLOAD && a != b &&
	       slice_eq(((const struct workload_fact *)a)->cgroup, ((const struct workload_fact *)b)->cgroup);
}

static bool model_right(const struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!resolves(m, m->v[i]))
			return false;
		for (size_t j = i; j < m->n; j++) {
			if (clash(m->v[i], m->v[j]))
				return false;
		}
	}
	return true;
}

/* ---- random facts of a small world, so that they meet -------------------------------------------------------- */

struct world {
	struct rand r;
	struct model model;
	struct store *store, *peer;
	struct snapshot *living[LIVING];        /* [0] is the last one */
	struct snapshot *peer_last;
	struct wire_decoder decoder;
	struct buf wire;
	struct store_tx *peer_tx;
	unsigned taken, refused, built, hosts_moved;
};

static const char *name(struct world *w, char letter, uint32_t n)
{
	static char out[4][8];
	static int at;
	char *s = out[at++ % 4];

	snprintf(s, sizeof(out[0]), "%c%u", letter, rand_below(&w->r, n));
	return s;
}

static const char *address(struct world *w, const char *net, uint32_t n)
{
	static char out[32];

	snprintf(out, sizeof(out), "%s.%u", net, 1 + rand_below(&w->r, n));
	return out;
}

static struct fact *random_service(struct world *w)
{
	uint16_t port = rand_below(&w->r, 40) ? 80 + rand_below(&w->r, 2) : 0;
	struct service_fact *s = facts_service(name(w, 's', 8), address(w, "10.96.0", 9), port, name(w, 'c', 6));

	if (!rand_below(&w->r, 3)) {
		struct service_port *two = fact_alloc(&s->fact, 2 * sizeof(*two));

		two[0] = two[1] = s->ports[0];
		two[1].port = 443;
		two[1].proto = rand_below(&w->r, 30) ? IPPROTO_TCP : two[0].proto;
		two[1].cluster = fact_slice(&s->fact, slice_str(name(w, 'c', 6)));
		s->ports = two;
		s->nports = 2;
	}
	if (!rand_below(&w->r, 4))
		facts_service_route(s, name(w, 'r', 4));
	return &s->fact;
}

static struct fact *random_host(struct world *w)
{
	struct host *h = facts_host(name(w, 'c', 6), address(w, "10.0.0", 5), 80 + rand_below(&w->r, 2));

	h->weight = rand_below(&w->r, 3);
	return &h->fact;
}

static struct fact *random_listener(struct world *w)
{
	bool routed = rand_below(&w->r, 2);
	struct listener *l = facts_listener(name(w, 'l', 4), "127.0.0.1", 8000 + rand_below(&w->r, 4),
					    routed ? "http" : "http-proxy");

	if (routed)
		facts_listener_route(l, name(w, 'r', 4));
	return &l->fact;
}

static struct fact *random_fact(struct world *w, enum fact_kind kind)
{
	struct fact *f;

	switch (kind) {
	case FACT_NODE:
		return facts_named(FACT_NODE, "", 1);
	case FACT_SECRET:
		return &facts_secret(name(w, 'k', 3))->fact;
	case FACT_CLUSTER:
		f = facts_cluster(name(w, 'c', 6));
		((struct cluster_fact *)f)->lb = rand_below(&w->r, 2);
		if (!rand_below(&w->r, 6))
			((struct cluster_fact *)f)->tls.ca = fact_slice(f, slice_str(name(w, 'k', 3)));
		return f;
	case FACT_LISTENER:
		return random_listener(w);
	case FACT_HOST:
		return random_host(w);
	case FACT_ROUTE:
		return &facts_route(name(w, 'r', 4), name(w, 'c', 6))->fact;
	case FACT_SERVICE:
		return random_service(w);
	case FACT_POLICY:
		return &facts_policy(name(w, 'p', 4), name(w, 's', 8))->fact;
	default:
		return &facts_workload(name(w, 'w', 5), name(w, 'g', 6))->fact;
	}
}

/* ---- one transaction, on both sides -------------------------------------------------------------------------- */

/* What a transaction does to the reference: the registry may touch only what it gave. */
static bool owner_right(const struct model *was, enum fact_kind kind, struct slice key, struct slice registry)
{
	size_t i = model_at(was, kind, key);

	return !registry.n || i == was->n || slice_eq(was->v[i]->place->registry, registry);
}

static void transaction(struct world *w)
{
	struct slice registry = slice_str(rand_below(&w->r, 12) ? (rand_below(&w->r, 6) ? "a" : "b") : "");
	struct store_tx *tx = store_begin(w->store, registry);
	uint32_t n = rand_below(&w->r, 8) ? rand_below(&w->r, 4) : rand_below(&w->r, 40);
	struct registry_verdict v;
	struct model after;
	bool right = true;

	model_copy(&after, &w->model);
	for (uint32_t i = 0; i < n; i++) {
		static const enum fact_kind often[] = { FACT_HOST, FACT_HOST, FACT_HOST, FACT_CLUSTER, FACT_SERVICE };
		enum fact_kind kind = rand_below(&w->r, 2) ? often[rand_below(&w->r, 5)] : rand_below(&w->r, FACT_KINDS);
		struct fact *f = random_fact(w, kind), *copy;
		struct fact_mark mark = fact_mark(f);

		mark.registry = registry.n ? registry : SLICE_LIT("a");
		mark.line = rand_below(&w->r, 50);
		/* The same content with the owner's mark, for the reference. */
		copy = fact_clone(f);
		((struct fact_place *)copy->place)->registry = fact_slice(copy, mark.registry);
		((struct fact_place *)f->place)->registry = fact_slice(f, mark.registry);
		copy->line = f->line = mark.line;
		right &= owner_right(&w->model, kind, f->key, registry);
		if (rand_below(&w->r, 3)) {
			model_put(&after, copy);
			store_put(tx, f);
		} else {
			model_del(&after, kind, f->key);
			store_del(tx, kind, f->key);
			fact_drop(f);
			fact_drop(copy);
		}
	}
	right = right && model_right(&after);
	assert_int_equal(store_commit(tx, 1, &v), right);
	assert_int_equal(v.nrefused == 0, right);
	assert_true(!right || v.snapshot == store_number(w->store) + store_dirty(w->store));
	store_end(tx);
	model_fini(right ? &w->model : &after);
	if (right)
		w->model = after;
	w->taken += right;
	w->refused += !right;
}

static void same_facts(const struct world *w)
{
	assert_int_equal(stat_get(&store_stats(w->store)->facts), w->model.n);
	for (size_t i = 0; i < w->model.n; i++) {
		const struct fact *want = w->model.v[i], *is = store_fact(w->store, want->kind, want->key);

		assert_non_null(is);
		assert_true(fact_equal(is, want));
		assert_int_equal(is->line, want->line);
		assert_true(slice_eq(is->place->registry, want->place->registry));
	}
}

/* ---- snapshots ------------------------------------------------------------------------------------------------ */

static int peer_begin(void *arg)
{
	struct world *w = arg;

	w->peer_tx = store_begin(w->peer, (struct slice){ NULL, 0 });
	return 0;
}

static int peer_put(void *arg, struct fact *take_f)
{
	store_put(((struct world *)arg)->peer_tx, take_f);
	return 0;
}

static int peer_del(void *arg, enum fact_kind kind, struct slice key)
{
	store_del(((struct world *)arg)->peer_tx, kind, key);
	return 0;
}

static int peer_commit(void *arg, uint64_t version)
{
	struct world *w = arg;
	struct registry_verdict v;

	assert_true(store_commit(w->peer_tx, version, &v));
	store_end(w->peer_tx);
	return 0;
}

static int peer_snapshot(void *arg, uint64_t number)
{
	struct world *w = arg;

	snapshot_drop(w->peer_last);
	w->peer_last = store_build(w->peer, number);
	store_bury(w->peer);
	return 0;
}

static const struct wire_sink peer_sink = { .begin = peer_begin, .put = peer_put, .del = peer_del, .commit = peer_commit,
					    .snapshot = peer_snapshot };

static int collect(void *arg, struct slice piece)
{
	return buf_add(arg, piece.p, piece.n);
}

static void same_snapshots(const struct snapshot *a, const struct snapshot *b)
{
	struct buf x = { 0 }, y = { 0 };
	struct slice s;

	dump_snapshot(a, 0, collect, &x);
	dump_snapshot(b, 0, collect, &y);
	assert_int_equal(x.len, y.len);
	s = buf_pull(&x, x.len);
	assert_memory_equal(s.p, buf_pull(&y, y.len).p, s.n);
	buf_fini(&x);
	buf_fini(&y);
}

/* The naive number of differences; those of hosts and all others. */
static size_t differences(const struct snapshot *old, const struct snapshot *now)
{
	size_t n = 0;

	for (int k = 0; k < FACT_KINDS; k++) {
		struct fact_set a, b;

		if (k == FACT_HOST)
			continue;
		a = snapshot_facts(old, k);
		b = snapshot_facts(now, k);
		for (size_t i = 0; i < b.n; i++)
			n += snapshot_fact(old, k, b.v[i]->key) != b.v[i];
		for (size_t i = 0; i < a.n; i++)
			n += !snapshot_fact(now, k, a.v[i]->key);
	}
	for (int turn = 0; turn < 2; turn++) {
		struct cluster_set c = snapshot_clusters(turn ? old : now);

		for (size_t i = 0; i < c.n; i++) {
			for (size_t h = 0; h < c.v[i]->nhosts; h++) {
				const struct fact *f = &c.v[i]->hosts[h]->fact;
				const struct fact *other = snapshot_fact(turn ? now : old, FACT_HOST, f->key);

				n += turn ? !other : other != f;
			}
		}
	}
	return n;
}

static void slot_is(struct slice owner[FACT_KINDS][FACTS_MOST], const struct snapshot *s, const struct fact *f)
{
	struct slice *o;

	assert_true(f->slot < snapshot_slots(s, f->kind) && f->slot < FACTS_MOST);
	o = &owner[f->kind][f->slot];
	assert_true(!o->p || slice_eq(*o, f->key));
	*o = f->key;
}

static void slots_are_unique(const struct world *w)
{
	struct slice owner[FACT_KINDS][FACTS_MOST] = { 0 };

	for (int l = 0; l < LIVING && w->living[l]; l++) {
		const struct snapshot *s = w->living[l];
		struct cluster_set c = snapshot_clusters(s);

		for (int k = 0; k < FACT_KINDS; k++) {
			for (size_t i = 0; k != FACT_HOST && i < snapshot_facts(s, k).n; i++)
				slot_is(owner, s, snapshot_facts(s, k).v[i]);
		}
		for (size_t i = 0; i < c.n; i++) {
			for (size_t h = 0; h < c.v[i]->nhosts; h++)
				slot_is(owner, s, &c.v[i]->hosts[h]->fact);
		}
	}
}

/* Each owner has the router of the routes that this very snapshot has, and keeps it while those are the same objects. */
static void routers_are_right(const struct snapshot *old, const struct snapshot *s)
{
	for (int turn = 0; turn < 2; turn++) {
		struct fact_set set = snapshot_facts(s, turn ? FACT_LISTENER : FACT_SERVICE);

		for (size_t i = 0; i < set.n; i++) {
			const struct listener *l = (const struct listener *)set.v[i];
			const struct service_fact *sv = (const struct service_fact *)set.v[i];
			const struct slice *names = turn ? l->routes : sv->routes;
			size_t n = turn ? l->nroutes : sv->nroutes;
			const struct fact *before = old ? snapshot_fact(old, set.v[i]->kind, set.v[i]->key) : NULL;
			const struct router *r = snapshot_router(s, set.v[i]), *was = before ? snapshot_router(old, before) : NULL;
			const struct route *routes[8];

			assert_int_equal(r != NULL, n > 0);
			for (size_t k = 0; k < n && k < 8; k++)
				routes[k] = (const struct route *)snapshot_fact(s, FACT_ROUTE, names[k]);
			assert_in_range(n, 0, 8);
			assert_true(!r || router_same(r, routes, n));
			assert_true(!r || !was || (r == was) == router_same(was, routes, n));
		}
	}
}

static void living_add(struct world *w, struct snapshot *s)
{
	/* Any of the older ones goes, not only the oldest. */
	uint32_t out = 1 + rand_below(&w->r, LIVING - 1);

	snapshot_drop(w->living[out]);
	memmove(w->living + 1, w->living, out * sizeof(w->living[0]));
	w->living[0] = s;
	store_bury(w->store);
}

static void build(struct world *w)
{
	struct snapshot *old = w->living[0], *now = store_build(w->store, 0);
	struct diff d;
	size_t n = 0;

	diff_init(&d, old, now);
	for (int k = 0; k < FACT_KINDS; k++)
		n += d.facts[k].n;
	if (old)
		assert_int_equal(n, differences(old, now));
	else
		wire_hello(&w->wire);
	w->hosts_moved += d.facts[FACT_HOST].n;
	assert_int_equal(wire_diff(&w->wire, &d), 0);
	assert_int_equal(wire_feed(&w->decoder, &w->wire, NULL), 0);
	assert_int_equal(w->wire.len, 0);
	diff_fini(&d);
	same_snapshots(now, w->peer_last);
	routers_are_right(old, now);
	routers_are_right(NULL, w->peer_last);
	living_add(w, now);
	slots_are_unique(w);
	w->built++;
}

/* A peer that comes later gets everything at once, and shows the same. */
static void late_peer(struct world *w)
{
	snapshot_drop(w->peer_last);
	w->peer_last = NULL;
	store_free(w->peer);
	w->peer = store_new();
	wire_decoder_init(&w->decoder, &peer_sink, w);
	for (int i = 0; i < LIVING; i++) {
		snapshot_drop(w->living[i]);
		w->living[i] = NULL;
	}
	build(w);
}

static void test_random(void **state)
{
	struct world w = { 0 };

	(void)state;
	rand_seed(&w.r, 2026);
	w.store = store_new();
	w.peer = store_new();
	buf_init(&w.wire);
	wire_decoder_init(&w.decoder, &peer_sink, &w);
	for (int i = 0; i < TRANSACTIONS; i++) {
		transaction(&w);
		same_facts(&w);
		if (!rand_below(&w.r, 6))
			build(&w);
	}
	late_peer(&w);
	print_message("%u taken, %u refused, %u snapshots, %u hosts moved, %zu facts at the end\n", w.taken, w.refused,
		      w.built, w.hosts_moved, w.model.n);
	assert_in_range(w.taken, TRANSACTIONS / 5, TRANSACTIONS * 4 / 5);
	for (int i = 0; i < LIVING; i++)
		snapshot_drop(w.living[i]);
	snapshot_drop(w.peer_last);
	model_fini(&w.model);
	buf_fini(&w.wire);
	store_free(w.peer);
	store_free(w.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
