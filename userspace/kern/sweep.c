/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/sweep.h"
#include <bpf/bpf.h>
#include <string.h>
#include "base/clock.h"
#include "kern/kern_priv.h"
#include "weft/log.h"

#define PAIR_AGE_NS (10 * SEC)                  /* younger ones may be under construction */

struct stage {
	const char *map, *what;
	bool (*orphan)(struct kern *k, const void *key, void *value);
	int (*repair)(struct kern *k, const void *key); /* NULL: not ours to repair */
	size_t gauge;                           /* offset in kern_stat */
};

/* ---- what is an orphan ------------------------------------------------------------------------------------- */

static bool orphan_front(struct kern *k, const void *key, void *value)
{
	const struct front *f = table_get(&k->st.fronts, (struct slice){ key, sizeof(f->key) });

	return !f || !f->written || f->written->id != ((struct frontend *)value)->service;
}

static bool orphan_service(struct kern *k, const void *key, void *value)
{
	const struct unit *u = state_unit(&k->st, *(const uint32_t *)key);

	(void)value;
	return !u || !u->written;
}

static bool orphan_back(struct kern *k, const void *key, void *value)
{
	const struct back *b = state_back(&k->st, *(const uint32_t *)key);

	(void)value;
	return !b || !b->written;
}

static bool end_gone(struct kern *k, const struct pair_end *x)
{
	uint64_t cookie = x->cookie, found;

	if (x->flags & (END_CLOSED | END_LEFT))
		return x->flags & END_CLOSED;
	return bpf_map_lookup_elem(load_fd(&k->load, "sock_map"), &cookie, &found) != 0;
}

/* Both ends have gone, and the callback that should have removed the pair has not. */
static bool orphan_pair(struct kern *k, const void *key, void *value)
{
	const struct pair *p = value;
	struct pair again;

	if (clock_ns() - p->opened_ns < PAIR_AGE_NS || !end_gone(k, &p->end[0]) || !end_gone(k, &p->end[1]))
		return false;
	return !bpf_map_lookup_elem(load_fd(&k->load, "pair_map"), key, &again);
}

/* One that was used in this round, of a service or backend that was gone before it. */
static bool orphan_affinity(struct kern *k, const void *key, void *value)
{
	const struct affinity_key *a = key;
	const struct affinity *v = value;

	return v->used_ns > k->sweep.begun_ns && k->sweep.begun_ns > k->synced_ns &&
	       (!state_unit(&k->st, a->service) || !state_back(&k->st, v->backend));
}

static bool orphan_prefix(struct kern *k, const void *key, void *value)
{
	const struct prefix *p = prefixes_find(&k->prefixes, key);

	return !p || memcmp(p, value, sizeof(*p));
}

static int repair_front(struct kern *k, const void *key)
{
	const struct front *f = table_get(&k->st.fronts, (struct slice){ key, sizeof(f->key) });

	if (!f || !f->written)
		return apply_remove(&k->apply, PLAN_FRONTEND, key);
	struct frontend v = { .service = f->written->id };

	return apply_write(&k->apply, PLAN_FRONTEND, key, &v);
}

static int repair_service(struct kern *k, const void *key)
{
	return apply_remove(&k->apply, PLAN_SERVICE, key);
}

static int repair_back(struct kern *k, const void *key)
{
	return apply_remove(&k->apply, PLAN_BACKEND, key);
}

static int repair_prefix(struct kern *k, const void *key)
{
	const struct prefix *p = prefixes_find(&k->prefixes, key);
	int fd = load_fd(&k->load, "prefix_map");

	return p ? bpf_map_update_elem(fd, key, p, BPF_ANY) : bpf_map_delete_elem(fd, key);
}

#define GAUGE(f) offsetof(struct kern_stat, f)
static const struct stage stages[] = {
	{ "frontend_map", "frontends of no service", orphan_front, repair_front, GAUGE(orphan_frontends) },
	{ "service_map", "services unknown to the agent", orphan_service, repair_service, GAUGE(orphan_services) },
	{ "backend_map", "backends unknown to the agent", orphan_back, repair_back, GAUGE(orphan_backends) },
	{ "prefix_map", "captured ranges of no listener", orphan_prefix, repair_prefix, GAUGE(orphan_prefixes) },
	{ "pair_map", "pairs whose sockets are gone", orphan_pair, NULL, GAUGE(orphan_pairs) },
	{ "affinity_map", "affinities of what is gone", orphan_affinity, NULL, GAUGE(orphan_affinity) },
};
#define STAGES (sizeof(stages) / sizeof(stages[0]))
_Static_assert(STAGES < sizeof(((struct kern_sweep *)0)->found) / sizeof(uint32_t), "one for the table");

/* ---- rounds ------------------------------------------------------------------------------------------------ */

static void set_gauge(struct kern *k, size_t gauge, uint32_t n, const char *what)
{
	_Atomic uint64_t *g = (_Atomic uint64_t *)((char *)&k->stat + gauge);

	if (n && n != stat_get(g))
		log_warn("kernel", "%u %s", n, what);
	stat_set(g, n);
}

static void found(struct kern *k, const struct stage *s, const void *key)
{
	k->sweep.found[k->sweep.stage]++;
	if (s->repair && !s->repair(k, key))
		stat_add(&k->stat.orphans_repaired, 1);
}

/* Up to n entries of this stage's map. True: it is through. */
static bool walk(struct kern *k, const struct stage *s, uint32_t *n)
{
	struct kern_sweep *w = &k->sweep;
	int fd = load_fd(&k->load, s->map);
	char next[sizeof(w->key)], value[sizeof(struct pair)];

	_Static_assert(sizeof(struct pair) >= sizeof(struct service), "the largest value");
	for (; *n; --*n) {
		if (bpf_map_get_next_key(fd, w->in_map ? w->key : NULL, next))
			return true;
		bool orphan = !bpf_map_lookup_elem(fd, next, value) && s->orphan(k, next, value);

		/* A key that was removed makes the next step begin anew; the count of steps bounds that. */
		memcpy(w->key, next, sizeof(w->key));
		w->in_map = true;
		if (orphan)
			found(k, s, next);
		if (++w->walked > 2 * k->conf.maps.backends + 2 * k->conf.maps.sockets)
			return true;
	}
	return false;
}

static void end_stage(struct kern *k)
{
	struct kern_sweep *w = &k->sweep;

	set_gauge(k, stages[w->stage].gauge, w->found[w->stage], stages[w->stage].what);
	w->found[w->stage] = 0;
	w->in_map = false;
	w->walked = 0;
	w->stage++;
}

/* Slots of tables that name no backend: a few memory reads per service. */
static void check_tables(struct kern *k)
{
	struct table *ids = &k->st.unit_ids;
	uint32_t bad = 0;

	for (struct table_entry *e = table_next(ids, NULL); e; e = table_next(ids, e)) {
		const struct unit *u = e->value;

		for (uint32_t i = 0; u->written && i < u->entry.n; i++)
			bad += !state_back(&k->st, k->apply.table[u->entry.off + i]);
	}
	set_gauge(k, GAUGE(orphan_slots), bad, "table slots that name no backend");
}

bool sweep_step(struct kern *k, uint32_t n)
{
	struct kern_sweep *w = &k->sweep;

	if (!k->loaded)
		return true;
	if (!w->stage && !w->in_map)
		w->begun_ns = clock_ns();
	while (n && w->stage < STAGES && walk(k, &stages[w->stage], &n))
		end_stage(k);
	if (w->stage < STAGES)
		return false;
	check_tables(k);
	w->stage = 0;
	stat_add(&k->stat.sweeps, 1);
	return true;
}
