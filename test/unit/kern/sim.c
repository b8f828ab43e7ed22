/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include <errno.h>
#include <string.h>
#include "sim.h"

static const struct {
	uint32_t key, value;
} sizes[] = {
#define SIZES_(NAME, k, v, map) { sizeof(k), sizeof(v) },
	PLAN_MAPS(SIZES_)
#undef SIZES_
};

static struct table *map_of(struct sim *s, enum plan_map m)
{
	struct table *t[] = { &s->backend, &s->service, &s->front, &s->stat };

	return t[m];
}

static struct slice id_key(const uint32_t *id)
{
	return (struct slice){ (const char *)id, sizeof(*id) };
}

const struct backend *sim_backend(const struct sim *s, uint32_t id)
{
	return table_get(&s->backend, id_key(&id));
}

const struct service *sim_lookup(const struct sim *s, const struct frontend_key *k)
{
	const struct frontend *f = table_get(&s->front, (struct slice){ (const char *)k, sizeof(*k) });

	return f ? table_get(&s->service, id_key(&f->service)) : NULL;
}

/* A reader that has entry e must find its table as it was, and every backend in it. */
static void check_entry(const struct sim *s, const struct service *e, const uint32_t *slot)
{
	assert_true(e->off % TABLE_ROW == 0 && e->off <= s->nslots && e->n <= s->nslots - e->off);
	if (!e->n)
		return;
	assert_memory_equal(slot, s->table + e->off, e->n * sizeof(*slot));
	for (uint32_t i = 0; i < e->n; i++)
		assert_non_null(sim_backend(s, slot[i]));
}

static void remember(struct sim *s, const struct service *e)
{
	for (size_t i = 0; i < s->seen.n; i++)
		if (!memcmp(&s->seen.v[i].entry, e, sizeof(*e)))
			return;
	vec_push(&s->seen, (struct sim_seen){ *e, (uint32_t *)mem_dup(s->table + e->off, e->n * sizeof(uint32_t)) });
}

static void remember_id(struct sim *s, uint32_t id)
{
	for (size_t i = 0; i < s->seen_ids.n; i++)
		if (s->seen_ids.v[i] == id)
			return;
	vec_push(&s->seen_ids, id);
}

void sim_forget(struct sim *s)
{
	for (size_t i = 0; i < s->seen.n; i++)
		free(s->seen.v[i].slot);
	vec_clear(&s->seen);
	vec_clear(&s->seen_ids);
}

/* All that a reader may do now, then what it may hold from now on. */
static void check(struct sim *s)
{
	for (size_t i = 0; i < s->seen.n; i++)
		check_entry(s, &s->seen.v[i].entry, s->seen.v[i].slot);
	for (size_t i = 0; i < s->seen_ids.n; i++)
		assert_non_null(table_get(&s->service, id_key(&s->seen_ids.v[i])));
	for (struct table_entry *e = table_next(&s->front, NULL); e; e = table_next(&s->front, e)) {
		struct frontend *f = e->value;
		struct service *v = table_get(&s->service, id_key(&f->service));

		assert_non_null(v);
		check_entry(s, v, s->table + v->off);
		remember(s, v);
		remember_id(s, f->service);
	}
}

static bool fails(struct sim *s)
{
	return s->fail_1_in && rand_below(&s->rand, s->fail_1_in) == 0;
}

static void sim_put(void *arg, enum plan_map m, const void *keys, const void *values, uint32_t n, int *err)
{
	struct sim *s = arg;

	for (uint32_t i = 0; i < n; i++) {
		struct slice key = { (const char *)keys + i * sizes[m].key, sizes[m].key };
		bool is_new = !table_get(map_of(s, m), key);

		if (fails(s) || (m == PLAN_FRONTEND && is_new && s->cap_fronts && s->front.n >= s->cap_fronts)) {
			err[i] = -E2BIG;
			continue;
		}
		free(table_put(map_of(s, m), key, mem_dup((const char *)values + i * sizes[m].value, sizes[m].value)));
		s->writes++;
		check(s);
	}
}

static void sim_del(void *arg, enum plan_map m, const void *keys, uint32_t n, int *err)
{
	struct sim *s = arg;

	for (uint32_t i = 0; i < n; i++) {
		if (fails(s)) {
			err[i] = -ENOMEM;
			continue;
		}
		void *old = table_del(map_of(s, m), (struct slice){ (const char *)keys + i * sizes[m].key, sizes[m].key });

		assert_non_null(old);
		free(old);
		s->writes++;
		check(s);
	}
}

static void sim_table(void *arg, uint32_t off, const uint32_t *slot, uint32_t n)
{
	struct sim *s = arg;

	assert_true(off % TABLE_ROW == 0 && n && off + n <= s->nslots);
	for (uint32_t i = 0; i < n; i++)
		s->table[off + i] = slot[i];
	check(s);
}

static int sim_grace(void *arg)
{
	struct sim *s = arg;

	if (fails(s))
		return -EINVAL;
	s->graces++;
	if (!s->naive)
		sim_forget(s);
	check(s);
	return 0;
}

struct plan_ops sim_ops(const struct sim *s)
{
	return (struct plan_ops){ sim_put, sim_del, sim_table, sim_grace, s->batch };
}

void sim_init(struct sim *s, uint32_t nslots, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	table_init(&s->front, TABLE_COPY_KEYS);
	table_init(&s->service, TABLE_COPY_KEYS);
	table_init(&s->backend, TABLE_COPY_KEYS);
	table_init(&s->stat, TABLE_COPY_KEYS);
	s->nslots = nslots;
	s->table = mem_alloc(nslots * sizeof(*s->table));
	s->batch = 1;
	rand_seed(&s->rand, seed);
}

void sim_fini(struct sim *s)
{
	sim_forget(s);
	vec_fini(&s->seen);
	vec_fini(&s->seen_ids);
	for (unsigned m = 0; m < PLAN_MAP_MAX; m++) {
		struct table *t = map_of(s, m);

		for (struct table_entry *e = table_next(t, NULL); e; e = table_next(t, e))
			free(e->value);
		table_fini(t);
	}
	free(s->table);
}

void sim_adopt(const struct sim *s, struct kern_state *st)
{
	for (struct table_entry *e = table_next(&s->backend, NULL); e; e = table_next(&s->backend, e))
		assert_int_equal(state_adopt_back(st, *(const uint32_t *)e->key.p, e->value), 0);
	for (struct table_entry *e = table_next(&s->service, NULL); e; e = table_next(&s->service, e))
		assert_int_equal(state_adopt_service(st, *(const uint32_t *)e->key.p, e->value), 0);
	for (struct table_entry *e = table_next(&s->front, NULL); e; e = table_next(&s->front, e)) {
		struct frontend *f = e->value;

		assert_int_equal(state_adopt_front(st, (const struct frontend_key *)e->key.p, f->service), 0);
	}
	state_adopted(st);
}
