/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/traffic.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "weft/str.h"

static struct traffic_row *find(struct traffic *t, enum traffic_kind kind, struct slice name)
{
	struct traffic_row *r = atomic_load_explicit(&t->rows[kind], memory_order_relaxed);

	while (r && !slice_eq_str(name, r->name))
		r = r->next;
	return r;
}

static struct traffic_row *add(struct traffic *t, enum traffic_kind kind, struct slice name)
{
	struct traffic_row *r = mem_alloc(sizeof(*r));

	r->name = mem_dup(name.p, name.n);
	r->next = atomic_load_explicit(&t->rows[kind], memory_order_relaxed);
	atomic_store_explicit(&t->rows[kind], r, memory_order_release);
	return r;
}

static void grow(struct traffic_slot *s, uint32_t slot)
{
	uint32_t n = s->n ? s->n : 16;

	while (n <= slot)
		n *= 2;
	s->v = mem_realloc(s->v, n * sizeof(s->v[0]));
	memset(s->v + s->n, 0, (n - s->n) * sizeof(s->v[0]));
	s->n = n;
}

/* A slot goes to another name once its fact is gone. */
struct route_stat *traffic_row(struct traffic *t, enum traffic_kind kind, uint32_t slot, struct slice name)
{
	struct traffic_slot *s = &t->slot[kind];
	struct traffic_row *r;

	if (slot >= s->n)
		grow(s, slot);
	r = s->v[slot];
	if (r && slice_eq_str(name, r->name))
		return &r->stat;
	r = find(t, kind, name);
	if (!r)
		r = add(t, kind, name);
	s->v[slot] = r;
	return &r->stat;
}

struct cluster_http_stat *traffic_cluster(struct traffic *t, uint32_t slot, struct slice name)
{
	_Static_assert(offsetof(struct cluster_http_stat, multiplexed_connects) == sizeof(struct route_stat), "begins as a route's");
	return &container_of(traffic_row(t, TRAFFIC_CLUSTER, slot, name), struct traffic_row, stat)->cluster;
}

static struct traffic_row *method(struct traffic *t, enum traffic_kind kind, struct slice name, bool known)
{
	struct table *rows = &t->calls[kind - TRAFFIC_CALL];
	struct traffic_row *r = table_get(rows, name);

	if (!r && (!known || rows->n > TRAFFIC_CALLS_MAX)) {
		name = SLICE_LIT(TRAFFIC_CALLS_OTHER);
		r = table_get(rows, name);
	}
	if (!r) {
		r = add(t, kind, name);
		table_put(rows, slice_str(r->name), r);
	}
	return r;
}

struct call_stat *traffic_call(struct traffic *t, struct slice name, bool known)
{
	return &method(t, TRAFFIC_CALL, name, known)->call;
}

struct rpc_stat *traffic_rpc(struct traffic *t, struct slice name, bool known)
{
	return &method(t, TRAFFIC_RPC, name, known)->rpc;
}

void traffic_init(struct traffic *t)
{
	memset(t, 0, sizeof(*t));
	table_init(&t->calls[0], 0);
	table_init(&t->calls[1], 0);
}

void traffic_fini(struct traffic *t)
{
	table_fini(&t->calls[0]);
	table_fini(&t->calls[1]);
	for (int k = 0; k < TRAFFIC_KINDS; k++) {
		struct traffic_row *next;

		for (struct traffic_row *r = atomic_load(&t->rows[k]); r; r = next) {
			next = r->next;
			free(r->name);
			free(r);
		}
		if (k < TRAFFIC_CALL)
			free(t->slot[k].v);
	}
}
