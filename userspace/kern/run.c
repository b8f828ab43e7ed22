/* SPDX-License-Identifier: Apache-2.0 */
/* Running a plan: its writes in order, each only when what it leans on is there, and the state after each one that worked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "kern/plan.h"

/* Entries of one map on their way, and whose they are. */
struct batch {
	struct plan *p;
	const struct plan_ops *ops;
	void *arg;
	enum plan_map map;
	bool del;
	void (*done)(struct batch *b, void *obj, int err);
	uint32_t n, size;
	void *obj[PLAN_BATCH];
	int err[PLAN_BATCH];
	char key[PLAN_BATCH * sizeof(struct frontend_key)];
	char value[PLAN_BATCH * sizeof(struct service_stat)];
};

static const struct {
	uint32_t key, value;
} sizes[] = {
#define SIZES_(NAME, k, v, map) { sizeof(k), sizeof(v) },
	PLAN_MAPS(SIZES_)
#undef SIZES_
};

static void batch_begin(struct batch *b, enum plan_map map, bool del, void (*done)(struct batch *, void *, int))
{
	assert_always(!b->n);
	b->map = map;
	b->del = del;
	b->done = done;
}

static void batch_end(struct batch *b)
{
	uint32_t n = b->n;

	if (!n)
		return;
	memset(b->err, 0, n * sizeof(*b->err));
	if (b->del)
		b->ops->del(b->arg, b->map, b->key, n, b->err);
	else
		b->ops->put(b->arg, b->map, b->key, b->value, n, b->err);
	b->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		b->p->count.writes++;
		b->p->count.errors += b->err[i] != 0;
		b->p->count.map_full += b->err[i] == -E2BIG || b->err[i] == -ENOMEM;
		b->done(b, b->obj[i], b->err[i]);
	}
}

static void batch_add(struct batch *b, void *obj, const void *key, const void *value)
{
	memcpy(b->key + b->n * sizes[b->map].key, key, sizes[b->map].key);
	if (!b->del)
		memcpy(b->value + b->n * sizes[b->map].value, value, sizes[b->map].value);
	b->obj[b->n++] = obj;
	if (b->n == b->size)
		batch_end(b);
}

/* ---- backends ---------------------------------------------------------------------------------------------- */

static void back_put_done(struct batch *bt, void *obj, int err)
{
	struct back *b = obj;

	(void)bt;
	if (err)
		return;                         /* stays in the queue */
	b->written_state = b->state;
	b->written_weight = b->weight;
	b->written = true;
}

static bool back_pending(const struct back *b)
{
	return (b->refs || b->written) && back_differs(b);
}

static bool back_lowers(const struct back *b)
{
	return b->written && b->written_state == BACKEND_ACTIVE && b->state == BACKEND_DRAINING;
}

static void put_backs(struct batch *b, bool lower)
{
	struct kern_state *st = b->p->st;

	batch_begin(b, PLAN_BACKEND, false, back_put_done);
	for (size_t i = 0; i < st->queue.n; i++) {
		struct back *x = st->queue.v[i];
		struct backend v = back_wanted(x);

		if (back_pending(x) && back_lowers(x) == lower)
			batch_add(b, x, &x->id, &v);
	}
	batch_end(b);
}

/* Leaves in the queue what could not be written and is still wanted. */
static void queue_trim(struct kern_state *st)
{
	size_t n = 0;

	for (size_t i = 0; i < st->queue.n; i++) {
		struct back *b = st->queue.v[i];

		b->queued = b->refs && back_pending(b);
		if (b->queued)
			st->queue.v[n++] = b;
	}
	st->queue.n = n;
	if (!n)
		vec_fini(&st->queue);           /* after the first plan it had all of them */
}

/* ---- services ---------------------------------------------------------------------------------------------- */

static void unit_fail(struct plan *p, struct unit *u, int err, const char *why)
{
	if (err == -E2BIG || err == -ENOMEM)
		p->want_grace = true;
	state_unit_stale(p->st, u, err, why);
}

static void stat_done(struct batch *b, void *obj, int err)
{
	struct unit *u = obj;

	(void)b;
	if (!err)
		u->clear = false;
}

static void clear_stats(struct batch *b)
{
	static const struct service_stat none;

	batch_begin(b, PLAN_SERVICE_STAT, false, stat_done);
	for (size_t i = 0; i < b->p->changes.n; i++) {
		struct unit *u = b->p->changes.v[i].unit;

		if (u->clear)
			batch_add(b, u, &u->entry.slot, &none);
	}
	batch_end(b);
}

static void take_over(struct plan *p, struct plan_change *c)
{
	struct unit *u = c->unit;

	if (c->slot && u->written)
		state_retire(p->st, u->entry.off, u->entry.n);
	for (uint32_t i = 0; i < u->nbacks; i++)
		state_back_drop(p->st, u->backs[i]);
	free(u->backs);
	u->backs = c->backs;
	u->nbacks = c->nbacks;
	c->backs = NULL;
	p->st->nwritten += !u->written;
	u->entry = c->entry;
	u->written = true;
}

static void service_done(struct batch *b, void *obj, int err)
{
	struct plan_change *c = obj;

	if (err)
		unit_fail(b->p, c->unit, err, "its entry could not be written to service_map");
	else
		take_over(b->p, c);
}

static bool backs_written(const struct plan_change *c)
{
	for (uint32_t i = 0; i < c->nbacks; i++)
		if (!c->backs[i]->written)
			return false;
	return true;
}

static void put_services(struct batch *b)
{
	struct plan *p = b->p;

	clear_stats(b);
	batch_begin(b, PLAN_SERVICE, false, service_done);
	for (size_t i = 0; i < p->changes.n; i++) {
		struct plan_change *c = &p->changes.v[i];

		if (!backs_written(c)) {
			unit_fail(p, c->unit, -EIO, "a backend of it could not be written to backend_map");
			continue;
		}
		if (c->slot && c->entry.n)
			b->ops->table(b->arg, c->entry.off, c->slot, c->entry.n);
		if (c->unit->written && !memcmp(&c->entry, &c->unit->entry, sizeof(c->entry)))
			take_over(p, c);
		else
			batch_add(b, c, &c->unit->id, &c->entry);
	}
	batch_end(b);
}

/* ---- frontends --------------------------------------------------------------------------------------------- */

static void front_set(struct plan *p, struct front *f, struct unit *u)
{
	if (f->written)
		f->written->pointed--;
	if (u)
		u->pointed++;
	p->st->nfronts += !!u - !!f->written;
	f->written = u;
}

static void front_put_done(struct batch *b, void *obj, int err)
{
	struct front *f = obj;

	if (err)
		unit_fail(b->p, f->owner, err, "an address of it could not be written to frontend_map");
	else
		front_set(b->p, f, f->owner);
}

static void put_unit_fronts(struct batch *b, struct unit *u)
{
	list_for(n, &u->fronts) {
		struct front *f = container_of(n, struct front, in_owner);
		struct frontend v = { .service = u->id };

		if (f->written != u)
			batch_add(b, f, &f->key, &v);
	}
}

/* Of the units that changed, and of those that were behind (their entry may be old, but it is there). */
static void put_fronts(struct batch *b)
{
	batch_begin(b, PLAN_FRONTEND, false, front_put_done);
	for (size_t i = 0; i < b->p->units.n; i++)
		if (b->p->units.v[i]->written)
			put_unit_fronts(b, b->p->units.v[i]);
	batch_end(b);
}

static void front_del_done(struct batch *b, void *obj, int err)
{
	if (!err)
		front_set(b->p, obj, NULL);
}

static void del_fronts(struct batch *b)
{
	struct kern_state *st = b->p->st;

	batch_begin(b, PLAN_FRONTEND, true, front_del_done);
	list_for(n, &st->loose) {
		struct front *f = container_of(n, struct front, in_owner);

		if (f->written)
			batch_add(b, f, &f->key, NULL);
	}
	batch_end(b);
	list_for(n, &st->loose) {
		struct front *f = container_of(n, struct front, in_owner);

		if (!f->written)
			state_front_free(st, f);
	}
}

/* ---- removals ---------------------------------------------------------------------------------------------- */

static bool grace_needed(const struct plan *p)
{
	const struct kern_state *st = p->st;

	if (st->retired_rows > st->range.rows / 8 || (p->want_grace && st->retired_rows))
		return true;
	for (size_t i = 0; i < p->drops.n; i++)
		if (p->drops.v[i]->written)
			return true;
	for (size_t i = 0; i < st->doomed.n; i++)
		if (st->doomed.v[i]->written && !st->doomed.v[i]->refs)
			return true;
	return false;
}

static void service_del_done(struct batch *b, void *obj, int err)
{
	struct kern_state *st = b->p->st;
	struct unit *u = obj;

	if (err) {
		unit_fail(b->p, u, err, "its entry could not be removed from service_map");
		return;
	}
	/* No frontend led to it before the grace period, so nobody reads its table: it need not wait for another. */
	if (u->entry.n)
		range_give(&st->range, u->entry.off / TABLE_ROW, state_rows(u->entry.n));
	u->written = false;
	u->entry.n = 0;
	st->nwritten--;
}

static void unit_gone(struct kern_state *st, struct unit *u)
{
	struct owner *o = u->owner;

	state_unit_free(st, u);
	if (o && list_empty(&o->units))
		state_owner_free(st, o);
}

static void del_services(struct batch *b, bool graced)
{
	struct plan *p = b->p;

	batch_begin(b, PLAN_SERVICE, true, service_del_done);
	for (size_t i = 0; i < p->drops.n; i++) {
		struct unit *u = p->drops.v[i];

		if (u->pointed)
			unit_fail(p, u, -EBUSY, "an address of it could not be removed from frontend_map");
		else if (u->written && !graced)
			unit_fail(p, u, -EAGAIN, "it is to be removed, but the grace period could not be waited for");
		else if (u->written)
			batch_add(b, u, &u->id, NULL);
	}
	batch_end(b);
	for (size_t i = 0; i < p->drops.n; i++)
		if (!p->drops.v[i]->written)
			unit_gone(p->st, p->drops.v[i]);
}

static void back_del_done(struct batch *b, void *obj, int err)
{
	struct back *x = obj;

	(void)b;
	if (!err)
		x->written = false;
}

static void del_backs(struct batch *b, bool graced)
{
	struct kern_state *st = b->p->st;
	size_t n = 0;

	batch_begin(b, PLAN_BACKEND, true, back_del_done);
	for (size_t i = 0; graced && i < st->doomed.n; i++)
		if (st->doomed.v[i]->written && !st->doomed.v[i]->refs)
			batch_add(b, st->doomed.v[i], &st->doomed.v[i]->id, NULL);
	batch_end(b);
	queue_trim(st);
	for (size_t i = 0; i < st->doomed.n; i++) {
		struct back *x = st->doomed.v[i];

		x->doomed = !x->refs && x->written;
		if (x->doomed)
			st->doomed.v[n++] = x;
		else if (!x->refs)
			state_back_free(st, x);
	}
	st->doomed.n = n;
}

static bool wait_grace(struct plan *p, const struct plan_ops *ops, void *arg)
{
	if (ops->grace(arg))
		return false;
	p->count.graces++;
	state_grace(p->st);
	return true;
}

void plan_run(struct plan *p, const struct plan_ops *ops, void *arg)
{
	struct batch *b = mem_alloc(sizeof(*b));

	b->p = p;
	b->ops = ops;
	b->arg = arg;
	b->size = ops->batch;
	assert_always(b->size && b->size <= PLAN_BATCH);
	put_backs(b, false);
	put_services(b);
	put_fronts(b);
	del_fronts(b);
	put_backs(b, true);
	bool graced = grace_needed(p) && wait_grace(p, ops, arg);

	del_services(b, graced);
	del_backs(b, graced);
	free(b);
}
