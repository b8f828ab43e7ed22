/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/filters.h"

#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/mem.h"
#include "base/vec.h"
#include "conf/extension_rows.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

STAT_DEFINE(filter_stat, "filter", FILTER_STATS);

struct owner {                                  /* a listener or route, by its slot */
	const struct fact *fact;                /* of the snapshot; NULL: it names none */
	struct filter_set **sets;               /* a listener's one, a rule's each; NULL: none there */
	size_t n;
};

struct filters {
	unsigned workers;
	struct owner *listeners, *routes;
	uint32_t nlisteners, nroutes;
	struct filter_unit *defaults[FILTERS_MAX]; /* by index; NULL: no rule names it */
	VEC(struct filter_unit *) units;        /* those that workers have seats for, once for each place */
};

static const struct filters *filters_in(const struct snapshot *s)
{
	return s ? s->annex[SNAPSHOT_FILTERS].p : NULL;
}

/* ---- units --------------------------------------------------------------------------------------------------- */

static void unit_drop(struct filter_unit *u)
{
	assert_always(u->refs);
	if (--u->refs)
		return;
	settings_free(u->settings);
	free((char *)u->text.p);
	free(u);
}

/* The agent took these settings by the same rows and the same init: a refusal here means that the two disagree. */
static struct filter_unit *unit_new(const struct filters *all, const struct filter_ops *ops, unsigned index,
				    enum extension_place place, struct slice text, const char *where)
{
	const struct settings_kind kind = filter_settings(ops, place);
	unsigned seats = place == EXTENSION_OF_LISTENER ? all->workers : 0;
	struct filter_unit *u = mem_alloc(sizeof(*u) + seats * sizeof(u->seat[0]));
	struct err e = { 0 };

	u->refs = 1;
	u->index = index;
	u->ops = ops;
	u->text = (struct slice){ mem_dup(text.p, text.n), text.n };
	u->settings = settings_new(&kind, text, &e);
	if (u->settings)
		u->conf = settings_conf(u->settings);
	else if (where)
		log_error("proxy", "filter %s of %s: %s; requests that it is for are answered 503", ops->name, where, err_text(&e));
	return u;
}

/* What a filter that nobody has here would do is not known, so it must not seem to have been done. */
static int missing_init(void *conf, struct err *e)
{
	(void)conf;
	return err_add(e, -ENOENT, "there is no such filter");
}

static const struct filter_ops missing = { .name = "?", .listener = { .init = missing_init }, .route = { .init = missing_init } };

static const struct filter_ops *find_ops(struct slice type, unsigned *index)
{
	for (*index = 0; extensions.filters[*index]; ++*index)
		if (slice_eq_str(type, extensions.filters[*index]->name))
			return extensions.filters[*index];
	*index = FILTERS_MAX - 1;
	return &missing;
}

/* The same filter with the same settings at the same place. */
static struct filter_unit *find_unit(const struct filter_set *old, const struct filter_ops *ops, struct slice text)
{
	for (uint32_t i = 0; old && i < old->n; i++)
		if (old->unit[i]->ops == ops && slice_eq(old->unit[i]->text, text))
			return old->unit[i];
	return NULL;
}

static void need_default(struct filters *all, const struct filters *old, const struct filter_ops *ops, unsigned index)
{
	struct filter_unit *u = old ? old->defaults[index] : NULL;

	if (all->defaults[index])
		return;
	/* They may lack a setting that listeners have to give: then these do, or the request is told so. */
	if (u)
		u->refs++;
	else
		u = unit_new(all, ops, index, EXTENSION_OF_LISTENER, (struct slice){ 0 }, NULL);
	all->defaults[index] = u;
	vec_push(&all->units, u);
}

/* ---- sets ---------------------------------------------------------------------------------------------------- */

static void set_free(struct filter_set *s)
{
	for (uint32_t i = 0; s && i < s->n; i++)
		unit_drop(s->unit[i]);
	free(s);
}

struct place {
	enum extension_place kind;
	const struct extension_use *uses;
	size_t n;
	const char *where;
};

static struct filter_set *set_new(struct filters *all, const struct filter_set *old, const struct place *p)
{
	struct filter_set *s = mem_alloc(sizeof(*s) + p->n * sizeof(s->unit[0]));

	for (size_t i = 0; i < p->n; i++) {
		const struct extension_use *use = &p->uses[i];
		unsigned index;
		const struct filter_ops *ops = find_ops(use->type, &index);
		struct filter_unit *u = find_unit(old, ops, use->settings);

		if (u)
			u->refs++;
		else
			u = unit_new(all, ops, index, p->kind, use->settings, p->where);
		s->unit[s->n++] = u;
		if (p->kind == EXTENSION_OF_LISTENER)
			vec_push(&all->units, u);
	}
	return s;
}

static const struct filter_set *old_set(const struct owner *o, size_t i)
{
	return o && o->fact && i < o->n ? o->sets[i] : NULL;
}

static void add_listener(struct filters *all, const struct filters *old, const struct listener *l)
{
	struct owner *o = &all->listeners[l->fact.slot];
	const struct owner *was = old && l->fact.slot < old->nlisteners ? &old->listeners[l->fact.slot] : NULL;
	char *where = mem_printf("listener %.*s", SLICE_ARG(l->name));
	struct place p = { EXTENSION_OF_LISTENER, l->filters, l->nfilters, where };

	*o = (struct owner){ &l->fact, mem_alloc(sizeof(struct filter_set *)), 1 };
	o->sets[0] = set_new(all, old_set(was, 0), &p);
	free(where);
}

static void add_route(struct filters *all, const struct filters *old, const struct route *r)
{
	struct owner *o = &all->routes[r->fact.slot];
	const struct owner *was = old && r->fact.slot < old->nroutes ? &old->routes[r->fact.slot] : NULL;
	char *where = mem_printf("route %.*s", SLICE_ARG(r->name));

	*o = (struct owner){ &r->fact, mem_alloc(r->nrules * sizeof(struct filter_set *)), r->nrules };
	for (size_t i = 0; i < r->nrules; i++) {
		struct place p = { EXTENSION_OF_RULE, r->rules[i].filters, r->rules[i].nfilters, where };

		if (!p.n)
			continue;
		o->sets[i] = set_new(all, old_set(was, i), &p);
		for (uint32_t j = 0; j < o->sets[i]->n; j++)
			need_default(all, old, o->sets[i]->unit[j]->ops, o->sets[i]->unit[j]->index);
	}
	free(where);
}

/* ---- of a snapshot ------------------------------------------------------------------------------------------- */

static void owners_free(struct owner *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		for (size_t j = 0; j < v[i].n; j++)
			set_free(v[i].sets[j]);
		free(v[i].sets);
	}
	free(v);
}

static void filters_free(void *p)
{
	struct filters *all = p;

	owners_free(all->listeners, all->nlisteners);
	owners_free(all->routes, all->nroutes);
	for (unsigned i = 0; i < FILTERS_MAX; i++)
		if (all->defaults[i])
			unit_drop(all->defaults[i]);
	vec_fini(&all->units);
	free(all);
}

static bool route_names(const struct route *r)
{
	for (size_t i = 0; i < r->nrules; i++)
		if (r->rules[i].nfilters)
			return true;
	return false;
}

static bool names_any(const struct snapshot *s)
{
	struct fact_set listeners = snapshot_facts(s, FACT_LISTENER), routes = snapshot_facts(s, FACT_ROUTE);

	for (size_t i = 0; i < listeners.n; i++)
		if (((const struct listener *)listeners.v[i])->nfilters)
			return true;
	for (size_t i = 0; i < routes.n; i++)
		if (route_names((const struct route *)routes.v[i]))
			return true;
	return false;
}

static void add_all(struct filters *all, const struct filters *old, const struct snapshot *s)
{
	struct fact_set listeners = snapshot_facts(s, FACT_LISTENER), routes = snapshot_facts(s, FACT_ROUTE);

	for (size_t i = 0; i < listeners.n; i++) {
		const struct listener *l = (const struct listener *)listeners.v[i];

		if (l->nfilters)
			add_listener(all, old, l);
	}
	for (size_t i = 0; i < routes.n; i++)
		if (route_names((const struct route *)routes.v[i]))
			add_route(all, old, (const struct route *)routes.v[i]);
}

void filters_attach(struct snapshot *s, const struct snapshot *before, unsigned workers)
{
	struct filters *all;

	if (!names_any(s))
		return;
	all = mem_alloc(sizeof(*all));
	all->workers = workers;
	all->nlisteners = snapshot_slots(s, FACT_LISTENER);
	all->nroutes = snapshot_slots(s, FACT_ROUTE);
	all->listeners = mem_alloc((all->nlisteners + 1) * sizeof(struct owner));
	all->routes = mem_alloc((all->nroutes + 1) * sizeof(struct owner));
	add_all(all, filters_in(before), s);
	s->annex[SNAPSHOT_FILTERS] = (struct snapshot_annex){ all, filters_free };
}

const struct filter_set *filters_of_listener(const struct snapshot *s, const struct listener *l)
{
	const struct filters *all = filters_in(s);

	return all && l->fact.slot < all->nlisteners ? old_set(&all->listeners[l->fact.slot], 0) : NULL;
}

const struct filter_set *filters_of_rule(const struct snapshot *s, const struct route_hit *hit)
{
	const struct filters *all = filters_in(s);

	if (!all || !hit->route || hit->route->fact.slot >= all->nroutes)
		return NULL;
	return old_set(&all->routes[hit->route->fact.slot], hit->rule_index);
}

struct filter_unit *filters_default(const struct snapshot *s, const struct filter_unit *rules)
{
	return filters_in(s)->defaults[rules->index];
}

/* ---- workers ------------------------------------------------------------------------------------------------- */

static void seat_take(struct worker *w, struct filter_unit *u, struct filter_seat *seat)
{
	struct err e = { 0 };

	callout_owner_init(&seat->calls, w, &w->http->filter_calls[u->index], u->ops->name, CALLOUTS_OF_WORKER);
	seat->worker = (struct filter_worker){ .ops = u->ops, .state = mem_alloc(u->ops->worker_size + 1), .conf = u->conf,
					       .client = &seat->calls.client };
	seat->usable = !u->ops->worker_init || !u->ops->worker_init(&seat->worker, &e);
	if (!seat->usable)
		log_error("proxy", "filter %s: %s; requests that it is for are answered 503", u->ops->name, err_text(&e));
}

static void seat_leave(struct filter_unit *u, struct filter_seat *seat)
{
	client_fini(&seat->calls.client);
	if (u->ops->worker_fini)
		u->ops->worker_fini(&seat->worker);
	free(seat->worker.state);
	*seat = (struct filter_seat){ 0 };
}

/* A unit stands there once for each place that has it: as often it is left. */
void filters_enter(struct worker *w, const struct snapshot *s)
{
	const struct filters *all = filters_in(s);

	for (size_t i = 0; all && i < all->units.n; i++) {
		struct filter_unit *u = all->units.v[i];

		if (u->conf && !u->seat[w->index].users++)
			seat_take(w, u, &u->seat[w->index]);
	}
}

void filters_leave(struct worker *w, const struct snapshot *s)
{
	const struct filters *all = filters_in(s);

	for (size_t i = 0; all && i < all->units.n; i++) {
		struct filter_unit *u = all->units.v[i];

		/* A worker that has ended adopts no more, but may still be sent some. */
		if (u->seat[w->index].users && !--u->seat[w->index].users)
			seat_leave(u, &u->seat[w->index]);
	}
}
