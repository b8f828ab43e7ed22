/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/magic.h"

#define KEY(x) ((struct slice){ (const char *)&(x), sizeof(x) })

uint32_t state_rows(uint32_t n)
{
	return (n + TABLE_ROW - 1) / TABLE_ROW;
}

void state_init(struct kern_state *st, const struct kern_sizes *max, uint32_t *table, uint32_t next_id)
{
	memset(st, 0, sizeof(*st));
	st->max = *max;
	st->table = table;
	st->next_id = next_id ? next_id : 1;
	list_init(&st->stale);
	list_init(&st->loose);
	list_init(&st->nameless);
	range_init(&st->range, max->slots / TABLE_ROW);
	cells_init(&st->service_slots, max->services);
	cells_init(&st->backend_slots, max->backends);
}

static void free_values(struct table *t)
{
	for (struct table_entry *e = table_next(t, NULL); e; e = table_next(t, e))
		free(e->value);
	table_fini(t);
}

void state_fini(struct kern_state *st)
{
	/* Units are freed by id, the one table that has all of them: nameless ones have no key. */
	for (struct table_entry *e = table_next(&st->unit_ids, NULL); e; e = table_next(&st->unit_ids, e)) {
		struct unit *u = e->value;

		free(u->backs);
		free((void *)u->key.p);
		free((void *)u->port_name.p);
	}
	table_fini(&st->units);
	free_values(&st->unit_ids);
	free_values(&st->owners);
	free_values(&st->fronts);
	backs_fini(&st->backs);
	free_values(&st->clusters);
	vec_fini(&st->doomed);
	vec_fini(&st->queue);
	vec_fini(&st->retired);
	vec_fini(&st->resting);
	range_fini(&st->range);
	cells_fini(&st->service_slots);
	cells_fini(&st->backend_slots);
}

uint32_t state_id(struct kern_state *st)
{
	for (uint32_t tries = 0; tries < 1u << 20; tries++) {
		uint32_t id = st->next_id;

		st->next_id = id >= STATE_ID_MAX ? 1 : id + 1;
		if (!state_back(st, id) && !state_unit(st, id))
			return id;
	}
	return 0;
}

struct back *state_back(const struct kern_state *st, uint32_t id)
{
	return backs_by_id(&st->backs, id);
}

struct unit *state_unit(const struct kern_state *st, uint32_t id)
{
	return table_get(&st->unit_ids, KEY(id));
}

/* ---- names ------------------------------------------------------------------------------------------------- */

static struct state_cluster *cluster_get(struct kern_state *st, struct slice name)
{
	struct state_cluster *c = table_get(&st->clusters, name);

	if (c)
		return c;
	c = mem_alloc(sizeof(*c) + name.n);
	memcpy(c + 1, name.p ? name.p : "", name.n);
	c->name = (struct slice){ (char *)(c + 1), name.n };
	list_init(&c->units);
	table_put(&st->clusters, c->name, c);
	return c;
}

static void cluster_trim(struct kern_state *st, struct state_cluster *c)
{
	if (!c || !list_empty(&c->units))
		return;
	table_del(&st->clusters, c->name);
	free(c);
}

struct owner *state_owner(struct kern_state *st, struct slice name)
{
	struct owner *o = table_get(&st->owners, name);

	if (o)
		return o;
	o = mem_alloc(sizeof(*o) + name.n);
	memcpy(o + 1, name.p, name.n);
	o->name = (struct slice){ (char *)(o + 1), name.n };
	list_init(&o->units);
	table_put(&st->owners, o->name, o);
	return o;
}

void state_owner_free(struct kern_state *st, struct owner *o)
{
	assert_always(list_empty(&o->units));
	table_del(&st->owners, o->name);
	free(o);
}

/* ---- backends ---------------------------------------------------------------------------------------------- */

struct back *state_back_hold(struct kern_state *st, const struct unit *u, const struct addr16 *addr, uint16_t port)
{
	struct back *b = backs_by_key(&st->backs, addr, port, u->id);
	uint32_t slot = b ? b->slot : CELLS_NONE;
	bool dirty;

	if (slot == CELLS_NONE)
		slot = cells_take(&st->backend_slots, &dirty);
	if (slot == CELLS_NONE)
		return NULL;
	if (!b)
		b = backs_add(&st->backs, addr, port, u->id, state_id(st));
	b->slot = slot;
	b->refs++;
	return b;
}

void state_back_drop(struct kern_state *st, struct back *b)
{
	assert_always(b->refs);
	if (--b->refs || b->doomed)
		return;
	b->doomed = true;
	vec_push(&st->doomed, b);
}

static void back_queue(struct kern_state *st, struct back *b)
{
	if (b->queued)
		return;
	b->queued = true;
	vec_push(&st->queue, b);
}

void state_back_want(struct kern_state *st, struct back *b, enum backend_state state, uint32_t weight)
{
	b->state = state;
	b->weight = weight;
	if (back_differs(b))
		back_queue(st, b);
}

void state_back_free(struct kern_state *st, struct back *b)
{
	assert_always(!b->refs && !b->doomed && !b->queued);
	if (b->slot != CELLS_NONE)
		vec_push(&st->resting, b->slot);
	backs_del(&st->backs, b);
}

/* ---- units ------------------------------------------------------------------------------------------------- */

static struct unit *unit_add(struct kern_state *st, uint32_t id, uint32_t slot)
{
	struct unit *u = mem_alloc(sizeof(*u));

	u->id = id;
	u->entry.slot = slot;
	list_init(&u->fronts);
	list_add_tail(&st->nameless, &u->in_owner);
	table_put(&st->unit_ids, KEY(u->id), u);
	return u;
}

struct unit *state_unit_new(struct kern_state *st)
{
	uint32_t id = state_id(st);

	assert_always(id);
	return unit_add(st, id, CELLS_NONE);
}

bool state_unit_slot(struct kern_state *st, struct unit *u)
{
	if (u->entry.slot == CELLS_NONE)
		u->entry.slot = cells_take(&st->service_slots, &u->clear);
	return u->entry.slot != CELLS_NONE;
}

void state_unit_name(struct kern_state *st, struct unit *u, struct owner *o, struct slice key)
{
	assert_always(!u->owner);
	u->key = (struct slice){ mem_dup(key.p, key.n), key.n };
	u->owner = o;
	list_del(&u->in_owner);
	list_add_tail(&o->units, &u->in_owner);
	table_put(&st->units, u->key, u);
}

void state_unit_cluster(struct kern_state *st, struct unit *u, struct slice name)
{
	if (u->cluster && slice_eq(u->cluster->name, name))
		return;
	list_del(&u->in_cluster);
	cluster_trim(st, u->cluster);
	u->cluster = cluster_get(st, name);
	list_add_tail(&u->cluster->units, &u->in_cluster);
}

void state_unit_free(struct kern_state *st, struct unit *u)
{
	assert_always(!u->pointed && !u->written && list_empty(&u->fronts));
	state_unit_stale(st, u, 0, NULL);
	list_del(&u->in_owner);
	list_del(&u->in_cluster);
	for (uint32_t i = 0; i < u->nbacks; i++)
		state_back_drop(st, u->backs[i]);
	if (u->owner)
		table_del(&st->units, u->key);
	cluster_trim(st, u->cluster);
	if (u->entry.slot != CELLS_NONE)
		cells_give(&st->service_slots, u->entry.slot);
	table_del(&st->unit_ids, KEY(u->id));
	free(u->backs);
	free((void *)u->key.p);
	free((void *)u->port_name.p);
	free(u);
}

void state_unit_stale(struct kern_state *st, struct unit *u, int err, const char *why)
{
	u->stale_err = err;
	u->stale = err ? why : NULL;
	if (!!err == list_linked(&u->in_stale))
		return;
	if (err) {
		list_add_tail(&st->stale, &u->in_stale);
		st->nstale++;
	} else {
		list_del(&u->in_stale);
		st->nstale--;
	}
}

/* ---- frontends --------------------------------------------------------------------------------------------- */

struct front *state_front(struct kern_state *st, const struct frontend_key *k)
{
	struct front *f = table_get(&st->fronts, (struct slice){ (const char *)k, sizeof(*k) });

	if (f)
		return f;
	f = mem_alloc(sizeof(*f));
	f->key = *k;
	list_add_tail(&st->loose, &f->in_owner);
	table_put(&st->fronts, KEY(f->key), f);
	return f;
}

void state_front_own(struct kern_state *st, struct front *f, struct unit *u)
{
	f->owner = u;
	list_del(&f->in_owner);
	list_add_tail(u ? &u->fronts : &st->loose, &f->in_owner);
}

void state_front_free(struct kern_state *st, struct front *f)
{
	assert_always(!f->written && !f->owner);
	list_del(&f->in_owner);
	table_del(&st->fronts, KEY(f->key));
	free(f);
}

/* ---- what waits -------------------------------------------------------------------------------------------- */

void state_retire(struct kern_state *st, uint32_t off, uint32_t n)
{
	if (!n)
		return;
	vec_push(&st->retired, (struct range_used){ off / TABLE_ROW, state_rows(n) });
	st->retired_rows += state_rows(n);
}

void state_grace(struct kern_state *st)
{
	for (size_t i = 0; i < st->retired.n; i++)
		range_give(&st->range, st->retired.v[i].row, st->retired.v[i].n);
	vec_clear(&st->retired);
	st->retired_rows = 0;
}

/* ---- adoption ---------------------------------------------------------------------------------------------- */

int state_adopt_back(struct kern_state *st, uint32_t id, const struct backend *v)
{
	if (!id || id > STATE_ID_MAX || state_back(st, id) ||
	    backs_by_key(&st->backs, &v->addr, v->port, v->service) || !cells_claim(&st->backend_slots, v->slot))
		return -EINVAL;
	struct back *b = backs_add(&st->backs, &v->addr, v->port, v->service, id);

	b->slot = v->slot;
	b->state = b->written_state = v->state;
	b->weight = b->written_weight = v->weight;
	b->written = true;
	return 0;
}

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* References to the backends in the table, each once. False: it names one that is not there. */
static bool adopt_table(struct kern_state *st, struct unit *u)
{
	uint32_t n = u->entry.n;
	bool ok = true;

	if (!n)
		return true;
	uint32_t *ids = (uint32_t *)mem_dup(st->table + u->entry.off, n * sizeof(*ids));

	qsort(ids, n, sizeof(*ids), id_cmp);
	u->backs = mem_alloc(n * sizeof(*u->backs));
	for (uint32_t i = 0; i < n; i++) {
		struct back *b = state_back(st, ids[i]);

		if (i && ids[i] == ids[i - 1])
			continue;
		if (b)
			u->backs[u->nbacks++] = b;
		ok = ok && b;
	}
	for (uint32_t i = 0; i < u->nbacks; i++)
		u->backs[i]->refs++;
	free(ids);
	return ok;
}

int state_adopt_service(struct kern_state *st, uint32_t id, const struct service *v)
{
	if (!id || id > STATE_ID_MAX || v->off % TABLE_ROW || v->n > SERVICE_SLOTS_MAX || v->off > st->max.slots ||
	    v->n > st->max.slots - v->off || state_back(st, id) || !cells_claim(&st->service_slots, v->slot))
		return -EINVAL;
	struct unit *u = unit_add(st, id, v->slot);

	u->entry = *v;
	u->written = true;
	st->nwritten++;
	if (!adopt_table(st, u))
		u->entry.algo = LB_ALGO_MAX;    /* like no wish: the first plan writes it anew */
	return 0;
}

int state_adopt_front(struct kern_state *st, const struct frontend_key *k, uint32_t service)
{
	struct unit *u = state_unit(st, service);

	if (!u)
		return -EINVAL;
	struct front *f = state_front(st, k);

	f->written = u;
	u->pointed++;
	st->nfronts++;
	return 0;
}

void state_adopted(struct kern_state *st)
{
	VEC(struct range_used) used = { 0 };

	for (struct table_entry *e = table_next(&st->unit_ids, NULL); e; e = table_next(&st->unit_ids, e)) {
		struct unit *u = e->value;

		if (u->entry.n)
			vec_push(&used, (struct range_used){ u->entry.off / TABLE_ROW, state_rows(u->entry.n) });
		if (u->id >= st->next_id)
			st->next_id = u->id + 1;
	}
	for (struct back *b = backs_next(&st->backs, NULL); b; b = backs_next(&st->backs, b)) {
		if (b->id >= st->next_id)
			st->next_id = b->id + 1;
		if (!b->refs) {
			b->doomed = true;
			vec_push(&st->doomed, b);
		}
	}
	/* Tables that overlap are nobody's doing; they are never given back, and every unit gets a new one. */
	if (range_load(&st->range, used.v, used.n))
		state_forget_written(st, &st->max, st->table);
	cells_all_dirty(&st->service_slots);
	cells_all_dirty(&st->backend_slots);
	vec_fini(&used);
}

static void forget_slots(struct kern_state *st, const struct kern_sizes *max)
{
	cells_fini(&st->service_slots);
	cells_fini(&st->backend_slots);
	cells_init(&st->service_slots, max->services);
	cells_init(&st->backend_slots, max->backends);
	vec_clear(&st->resting);
	for (struct table_entry *e = table_next(&st->unit_ids, NULL); e; e = table_next(&st->unit_ids, e)) {
		struct unit *u = e->value;

		if (!cells_claim(&st->service_slots, u->entry.slot))
			u->entry.slot = CELLS_NONE;
	}
	for (struct back *b = backs_next(&st->backs, NULL); b; b = backs_next(&st->backs, b)) {
		if (!cells_claim(&st->backend_slots, b->slot))
			b->slot = CELLS_NONE;
	}
}

void state_forget_written(struct kern_state *st, const struct kern_sizes *max, uint32_t *table)
{
	st->max = *max;
	st->table = table;
	range_fini(&st->range);
	range_init(&st->range, max->slots / TABLE_ROW);
	vec_clear(&st->retired);
	st->retired_rows = 0;
	forget_slots(st, max);
	for (struct table_entry *e = table_next(&st->unit_ids, NULL); e; e = table_next(&st->unit_ids, e)) {
		struct unit *u = e->value;

		u->written = false;
		u->pointed = u->entry.off = u->entry.n = 0;
	}
	for (struct back *b = backs_next(&st->backs, NULL); b; b = backs_next(&st->backs, b))
		b->written = false;             /* the plan that wants it queues it */
	for (struct table_entry *e = table_next(&st->fronts, NULL); e; e = table_next(&st->fronts, e)) {
		struct front *f = e->value;

		/* What is left of it: the unit behind an address is found by it, and so keeps its id. */
		f->was = f->written ? f->written->id : 0;
		f->written = NULL;
	}
	st->nwritten = st->nfronts = 0;
}
