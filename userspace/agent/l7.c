/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/l7.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/protocols.h"
#include "model/fact.h"
#include "weft/str.h"

/* One port of a service. Its key in the table is its name. */
struct unit {
	char *name;
	bool has;                               /* a listener was given */
	bool wants;                             /* by the snapshot being looked at */
	uint64_t since;                         /* first snapshot that showed it; 0: none yet */
	bool known;                             /* to every worker */
};

static char *unit_name(const struct service_fact *f, const struct service_port *p)
{
	return mem_printf(L7_PREFIX "%.*s:%u", SLICE_ARG(f->name), p->port);
}

static struct unit *unit_get(struct l7 *l, const struct service_fact *f, const struct service_port *p)
{
	char *name = unit_name(f, p);
	struct unit *u = table_get(&l->units, slice_str(name));

	if (u) {
		free(name);
		return u;
	}
	u = mem_alloc(sizeof(*u));
	u->name = name;
	table_put(&l->units, slice_str(u->name), u);
	return u;
}

static void unit_free(struct unit *u)
{
	free(u->name);
	free(u);
}

/* ---- what the snapshot asks for ------------------------------------------------------------------------------- */

static void routes_set(struct listener *f, const struct service_fact *s)
{
	struct slice *routes = fact_alloc(&f->fact, s->nroutes * sizeof(*routes));

	for (size_t i = 0; i < s->nroutes; i++)
		routes[i] = fact_slice(&f->fact, s->routes[i]);
	f->routes = routes;
	f->nroutes = s->nroutes;
}

static struct fact *listener_make(const struct unit *u, const struct service_fact *s, const struct service_port *p)
{
	struct fact_mark of = fact_mark(&s->fact), mark = { SLICE_LIT(L7_REGISTRY), of.file, of.line };
	struct listener *f = (struct listener *)fact_new(FACT_LISTENER, slice_str(u->name), &mark);
	struct destination *serves = fact_alloc(&f->fact, s->naddrs * sizeof(*serves));

	for (size_t i = 0; i < s->naddrs; i++)
		serves[i] = (struct destination){ s->addrs[i], p->port };
	routes_set(f, s);
	f->socketless = true;
	f->serves = serves;
	f->nserves = s->naddrs;
	f->protocol = fact_slice(&f->fact, protocol_rpc(p->app_protocol) ? p->app_protocol : SLICE_LIT("http"));
	return &f->fact;
}

/* The transaction begins with the first change. */
static void change(struct l7 *l, bool *open)
{
	if (!*open)
		hub_sink.begin(&l->source);
	*open = true;
}

static void ask_unit(struct l7 *l, const struct snapshot *now, const struct service_fact *s, const struct service_port *p,
		     bool *open)
{
	struct unit *u = unit_get(l, s, p);
	const struct fact *old = snapshot_fact(now, FACT_LISTENER, slice_str(u->name));
	struct fact *f = listener_make(u, s, p);

	u->wants = true;
	if (u->has && old && fact_equal(old, f)) {
		fact_drop(f);
		return;
	}
	change(l, open);
	hub_sink.put(&l->source, f);
	u->has = true;
}

static void ask_service(struct l7 *l, const struct snapshot *now, const struct service_fact *s, bool *open)
{
	for (size_t i = 0; s->nroutes && i < s->nports; i++) {
		if (s->ports[i].proto == IPPROTO_TCP)
			ask_unit(l, now, s, &s->ports[i], open);
	}
}

static void drop_unwanted(struct l7 *l, bool *open)
{
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e)) {
		struct unit *u = e->value;

		if (u->wants)
			continue;
		change(l, open);
		hub_sink.del(&l->source, FACT_LISTENER, slice_str(u->name));
		table_del(&l->units, slice_str(u->name));
		unit_free(u);
	}
}

static void note_shown(struct l7 *l, const struct snapshot *now)
{
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e)) {
		struct unit *u = e->value;

		if (!u->since && snapshot_fact(now, FACT_LISTENER, slice_str(u->name)))
			u->since = snapshot_number(now);
	}
}

static bool captures(const struct snapshot *s)
{
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);

	for (size_t i = 0; i < set.n; i++)
		if (((const struct listener *)set.v[i])->nranges)
			return true;
	return false;
}

bool l7_wanted(const struct l7 *l)
{
	return l->units.n || l->captures;
}

void l7_update(struct l7 *l, const struct diff *d)
{
	struct fact_set set = snapshot_facts(d->now, FACT_SERVICE);
	bool open = false;

	if (!l->on)
		return;
	note_shown(l, d->now);
	if (!d->old || d->facts[FACT_LISTENER].n)
		l->captures = captures(d->now);
	if (d->old && !d->facts[FACT_SERVICE].n)
		return;
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e))
		((struct unit *)e->value)->wants = false;
	for (size_t i = 0; i < set.n; i++)
		ask_service(l, d->now, (const struct service_fact *)set.v[i], &open);
	drop_unwanted(l, &open);
	if (open)
		hub_sink.commit(&l->source, ++l->version);
}

void l7_stop(struct l7 *l)
{
	bool open = false;

	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e))
		((struct unit *)e->value)->wants = false;
	drop_unwanted(l, &open);
	if (open)
		hub_sink.commit(&l->source, ++l->version);
	l->on = false;
}

/* ---- what the kernel side asks -------------------------------------------------------------------------------- */

bool l7_adopted(struct l7 *l, uint64_t snapshot)
{
	bool changed = !l->heard;

	l->heard = true;
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e)) {
		struct unit *u = e->value;

		if (u->known || !u->since || u->since > snapshot)
			continue;
		u->known = true;
		changed = true;
	}
	return changed && l->units.n;
}

enum kern_served l7_served(void *arg, const struct service_fact *f, const struct service_port *p)
{
	const struct l7 *l = arg;
	const struct unit *u;
	char *name;

	if (l->on && !l->heard)
		return KERN_SERVED_AS_BEFORE;
	name = unit_name(f, p);
	u = table_get(&l->units, slice_str(name));
	free(name);
	return u && u->known ? KERN_SERVED_YES : KERN_SERVED_NO;
}

void l7_init(struct l7 *l, struct hub *h, bool on)
{
	*l = (struct l7){ .on = on };
	table_init(&l->units, 0);
	if (!on)
		return;
	hub_add(h, &l->source, L7_REGISTRY, L7_REGISTRY, NULL);
	l->source.synced = true;
	hub_sink.synced(&l->source);
}

void l7_fini(struct l7 *l)
{
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e))
		unit_free(e->value);
	table_fini(&l->units);
	l->on = false;
}
