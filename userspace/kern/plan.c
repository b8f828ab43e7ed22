/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a plan: for each service that may have changed, the units it asks for, and for each unit its hosts, its table,
 * its entry, its frontends. First every service lets go of the frontends it no longer has, then each takes its own, so an
 * address moves from one service to another by one write.
 */
#include "kern/plan.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/magic.h"
#include "kern/balance.h"
#include "kern/pick.h"
#include "model/diff.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

/* ---- what a service asks for ------------------------------------------------------------------------------- */

static bool has_family(const struct service_fact *f, uint8_t family)
{
	for (size_t i = 0; i < f->naddrs; i++)
		if (pick_family(&f->addrs[i]) == family)
			return true;
	return false;
}

static bool port_ok(const struct service_port *sp)
{
	return sp->port && (sp->proto == IPPROTO_TCP || sp->proto == IPPROTO_UDP);
}

#define UNIT_KEY_MAX 4096
struct unit_key {
	char bytes[UNIT_KEY_MAX];
	struct slice key;
};

/* name, NUL, protocol, family, port */
static void unit_key(struct unit_key *k, struct slice name, const struct service_port *sp, uint8_t family)
{
	size_t n = name.n < UNIT_KEY_MAX - 5 ? name.n : UNIT_KEY_MAX - 5;
	char tail[5] = { 0, (char)sp->proto, (char)family, (char)(sp->port >> 8), (char)sp->port };

	memcpy(k->bytes, name.p, n);
	memcpy(k->bytes + n, tail, sizeof(tail));
	k->key = (struct slice){ k->bytes, n + sizeof(tail) };
}

static struct frontend_key front_key(const struct ip *ip, const struct service_port *sp)
{
	struct frontend_key k = { .port = htons(sp->port), .proto = sp->proto };

	memcpy(k.addr.b, ip->b, sizeof(k.addr.b));
	return k;
}

/* ---- letting go -------------------------------------------------------------------------------------------- */

static void unit_release(struct plan *p, struct unit *u)
{
	list_for(n, &u->fronts)
		state_front_own(p->st, container_of(n, struct front, in_owner), NULL);
}

static void unit_drop(struct plan *p, struct unit *u)
{
	if (u->mark == p->mark)
		return;
	u->mark = p->mark;
	unit_release(p, u);
	vec_push(&p->drops, u);
}

static bool addr_of(const struct service_fact *f, const struct addr16 *a)
{
	for (size_t i = 0; i < f->naddrs; i++)
		if (!memcmp(f->addrs[i].b, a->b, sizeof(a->b)))
			return true;
	return false;
}

/* First pass over one service: its units that stay are marked, the others dropped, lost addresses let go. */
static void owner_release(struct plan *p, struct owner *o, const struct service_fact *f)
{
	struct unit_key k;

	for (unsigned i = 0; f && i < 2; i++) {
		for (size_t j = 0; has_family(f, families[i]) && j < f->nports; j++) {
			unit_key(&k, f->name, &f->ports[j], families[i]);
			struct unit *u = port_ok(&f->ports[j]) ? table_get(&p->st->units, k.key) : NULL;

			if (u)
				u->mark = p->mark;
		}
	}
	list_for(n, &o->units) {
		struct unit *u = container_of(n, struct unit, in_owner);

		if (u->mark != p->mark) {
			unit_drop(p, u);
			continue;
		}
		list_for(m, &u->fronts) {
			struct front *fr = container_of(m, struct front, in_owner);

			if (!addr_of(f, &fr->key.addr))
				state_front_own(p->st, fr, NULL);
		}
	}
}

/* ---- one unit ---------------------------------------------------------------------------------------------- */

/* A unit that an earlier agent made for one of these addresses. */
static struct unit *adopted(struct plan *p, const struct service_fact *f, const struct service_port *sp, uint8_t family)
{
	for (size_t i = 0; i < f->naddrs && !list_empty(&p->st->nameless); i++) {
		struct frontend_key k = front_key(&f->addrs[i], sp);
		struct front *fr = pick_family(&f->addrs[i]) != family ?
			NULL : table_get(&p->st->fronts, (struct slice){ (const char *)&k, sizeof(k) });
		struct unit *u = !fr ? NULL : fr->written ? fr->written : state_unit(p->st, fr->was);

		if (u && !u->owner)
			return u;
	}
	return NULL;
}

/* Where most requests of a route go, as far as one can say without reading them: its last rule takes what others leave. */
static struct slice heaviest(const struct route *r)
{
	struct slice name = { 0 };
	uint32_t best = 0;

	for (size_t i = r->nrules; i-- && !name.n;) {
		for (size_t j = 0; j < r->rules[i].nbackends; j++) {
			if (r->rules[i].backends[j].weight <= best)
				continue;
			best = r->rules[i].backends[j].weight;
			name = r->rules[i].backends[j].cluster;
		}
	}
	return name;
}

/* The cluster that serves a port; where only the routes say it, the heaviest backend of the first route. */
static const struct cluster *port_cluster(const struct plan *p, const struct service_fact *f,
					  const struct service_port *sp, struct slice *name)
{
	*name = sp->cluster;
	if (!sp->cluster.n && f->nroutes) {
		const struct route *r = (const void *)snapshot_fact(p->snap, FACT_ROUTE, f->routes[0]);

		if (r)
			*name = heaviest(r);
	}
	return snapshot_cluster(p->snap, *name);
}

static uint8_t algo_of(const struct cluster *c)
{
	static const uint8_t algo[LB_POLICIES] = {
		[LB_POLICY_LEAST_REQUEST] = LB_LEAST_OPEN, [LB_POLICY_ROUND_ROBIN] = LB_ROUND_ROBIN,
		[LB_POLICY_RANDOM] = LB_RANDOM, [LB_POLICY_MAGLEV] = LB_MAGLEV,
		/* What comes nearest (lb_kernel_words). */
		[LB_POLICY_RING_HASH] = LB_MAGLEV, [LB_POLICY_PEAK_EWMA] = LB_LEAST_OPEN,
		[LB_POLICY_EXTENSION] = LB_LEAST_OPEN,
	};

	return c ? algo[c->conf->lb] : LB_RANDOM;
}

static void entry_settings(const struct plan *p, struct service *e, const struct service_fact *f,
			   const struct service_port *sp, const struct cluster *c)
{
	enum kern_served served = f->nroutes && p->served.fn ? p->served.fn(p->served.arg, f, sp) : KERN_SERVED_NO;

	e->algo = algo_of(c);
	e->flags = 0;
	if (f->nroutes)
		e->flags |= SERVICE_L7 | (f->fail == FAIL_CLOSED ? SERVICE_FAIL_CLOSED : 0);
	if (f->affinity_s)
		e->flags |= SERVICE_AFFINITY;
	e->affinity_s = f->affinity_s;
	if (served != KERN_SERVED_AS_BEFORE)
		e->served = served == KERN_SERVED_YES;
}

static uint64_t member_key(const struct pick_host *h)
{
	char b[18];

	memcpy(b, h->addr.b, 16);
	memcpy(b + 16, &h->port, 2);
	return hash_bytes((struct slice){ b, sizeof(b) }, HASH_STABLE);
}

static void change_drop_backs(struct plan *p, struct plan_change *c)
{
	for (uint32_t i = 0; c->backs && i < c->nbacks; i++)
		state_back_drop(p->st, c->backs[i]);
	free(c->backs);
	c->backs = NULL;
}

/*
 * References to the backends, in the order of hosts. Hosts for which there is no room are taken out of h: the service
 * goes on with the others, rather than with those of yesterday. Number of hosts that are left.
 */
static uint32_t change_backs(struct plan *p, struct plan_change *c, struct pick_host *h, uint32_t n)
{
	c->backs = mem_alloc((n ? n : 1) * sizeof(*c->backs));
	for (uint32_t i = 0; i < n; i++) {
		struct back *b = state_back_hold(p->st, c->unit, &h[i].addr, h[i].port);

		if (!b)
			continue;
		state_back_want(p->st, b, h[i].draining ? BACKEND_DRAINING : BACKEND_ACTIVE, h[i].weight);
		h[c->nbacks] = h[i];
		c->backs[c->nbacks++] = b;
	}
	return c->nbacks;
}

/* Rows that only services which are there already may take: so that a full table can still be changed. */
static uint32_t table_reserve(const struct plan *p, const struct unit *u)
{
	uint32_t rows = p->st->range.rows / 16;

	return u->written ? 0 : rows ? rows : 1;
}

/* The new table: ids in c->slot when it differs from the one in use. -ENOSPC: no free range is long enough. */
static int change_table(struct plan *p, struct plan_change *c, const struct pick_host *h, uint32_t nh)
{
	struct balance_member *m = mem_alloc((nh ? nh : 1) * sizeof(*m));
	uint32_t *slot, n, row;

	for (uint32_t i = 0; i < nh; i++)
		m[i] = (struct balance_member){ member_key(&h[i]), h[i].draining ? 0 : h[i].weight };
	int err = balance_fill(c->entry.algo, m, nh, &slot, &n);

	free(m);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++)
		slot[i] = c->backs[slot[i]]->id;
	if (c->unit->written && n == c->unit->entry.n &&
	    (!n || !memcmp(slot, p->st->table + c->unit->entry.off, n * sizeof(*slot)))) {
		free(slot);
		return 0;
	}
	row = n ? range_take(&p->st->range, state_rows(n), table_reserve(p, c->unit)) : 0;
	if (row == RANGE_NONE) {
		free(slot);
		return -ENOSPC;
	}
	c->slot = slot ? slot : mem_alloc(1);
	c->entry.off = row * TABLE_ROW;
	c->entry.n = n;
	c->entry.gen++;
	return 0;
}

static bool backs_same(const struct plan_change *c)
{
	return c->nbacks == c->unit->nbacks &&
	       (!c->nbacks || !memcmp(c->backs, c->unit->backs, c->nbacks * sizeof(*c->backs)));
}

/*
 * The wish of one unit. 0, or the errno of what there is no room for, in words; then there may be a wish all the same,
 * for less than what the snapshot says.
 */
static int unit_wish(struct plan *p, struct unit *u, const struct service_fact *f, const struct service_port *sp,
		     const char **why)
{
	struct plan_change c = { .unit = u };
	struct pick_ask ask = { .node = p->node, .port = sp->port, .target = sp->target, .family = u->family,
				.overlay = p->st->overlay };
	struct pick_host *h;
	struct slice name;

	*why = "no slot is left for it: kernel.maps.services";
	if (!state_unit_slot(p->st, u)) {
		p->count.map_full++;
		return -ENOSPC;
	}
	ask.cluster = port_cluster(p, f, sp, &name);
	if (ask.cluster && ask.cluster->conf->lb == LB_POLICY_ORIGINAL_DESTINATION)
		ask.cluster = NULL;             /* where a service's own address leads to is not known: refused */
	state_unit_cluster(p->st, u, name);
	c.entry = u->entry;
	entry_settings(p, &c.entry, f, sp, ask.cluster);
	uint32_t want = pick_hosts(&ask, &h), have = change_backs(p, &c, h, want);
	int err = change_table(p, &c, h, have);

	free(h);
	p->count.table_full += err == -ENOSPC;
	*why = "the balancing table is full: kernel.maps.slots";
	if (err || (u->written && !c.slot && !memcmp(&c.entry, &u->entry, sizeof(c.entry)) && backs_same(&c)))
		change_drop_backs(p, &c);
	else
		vec_push(&p->changes, c);
	if (err || have == want)
		return err;
	p->count.map_full++;
	*why = "no slot is left for some of its backends: kernel.maps.backends";
	return -ENOSPC;
}

/* Takes the addresses of a unit. -EEXIST: another service has one of them. */
static int unit_fronts(struct plan *p, struct unit *u, const struct service_fact *f, const struct service_port *sp)
{
	int err = 0;

	for (size_t i = 0; i < f->naddrs; i++) {
		if (pick_family(&f->addrs[i]) != u->family)
			continue;
		struct frontend_key k = front_key(&f->addrs[i], sp);
		struct front *fr = state_front(p->st, &k);

		if (!fr->owner)
			state_front_own(p->st, fr, u);
		if (fr->owner == u)
			continue;
		err = -EEXIST;
		p->count.conflicts++;
	}
	return err;
}

static void unit_plan(struct plan *p, struct owner *o, const struct service_fact *f, const struct service_port *sp,
		      uint8_t family)
{
	struct unit_key k;
	const char *why;

	unit_key(&k, f->name, sp, family);
	struct unit *u = table_get(&p->st->units, k.key);

	if (!u) {
		u = adopted(p, f, sp, family);
		u = u ? u : state_unit_new(p->st);
		state_unit_name(p->st, u, o, k.key);
		u->port = sp->port;
		u->proto = sp->proto;
		u->family = family;
	}
	u->mark = p->mark;
	vec_push(&p->units, u);
	if (!slice_eq(u->port_name, sp->name)) {
		free((void *)u->port_name.p);
		u->port_name = (struct slice){ mem_dup(sp->name.p, sp->name.n), sp->name.n };
	}
	int err = unit_wish(p, u, f, sp, &why);

	if (err == -ENOSPC && (p->st->retired_rows || p->drops.n || p->st->resting.n))
		p->want_grace = true;
	/* An entry that is behind is better than none; put_fronts() leaves out who has none at all. */
	if (unit_fronts(p, u, f, sp) && !err) {
		err = -EEXIST;
		why = "another service has the same address and port";
	}
	state_unit_stale(p->st, u, err, why);
}

static void owner_plan(struct plan *p, struct owner *o, const struct service_fact *f)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t j = 0; has_family(f, families[i]) && j < f->nports; j++)
			if (port_ok(&f->ports[j]))
				unit_plan(p, o, f, &f->ports[j], families[i]);
}

/* ---- which services ---------------------------------------------------------------------------------------- */

struct todo {
	VEC(struct owner *) v;
};

static const struct service_fact *fact_of(const struct plan *p, const struct owner *o)
{
	return (const void *)snapshot_fact(p->snap, FACT_SERVICE, o->name);
}

static void todo_add(struct plan *p, struct todo *t, struct owner *o)
{
	if (!o || o->mark == p->mark)
		return;
	o->mark = p->mark;
	vec_push(&t->v, o);
}

/* Units that could not be removed lately, also those whose owner nobody knows. */
static void todo_stale(struct plan *p, struct todo *t)
{
	list_for(n, &p->st->stale) {
		struct unit *u = container_of(n, struct unit, in_stale);

		if (u->owner)
			todo_add(p, t, u->owner);
		else
			unit_drop(p, u);
	}
}

static void todo_all(struct plan *p, struct todo *t)
{
	struct fact_set all = snapshot_facts(p->snap, FACT_SERVICE);

	for (size_t i = 0; i < all.n; i++)
		todo_add(p, t, state_owner(p->st, all.v[i]->key));
	for (struct table_entry *e = table_next(&p->st->owners, NULL); e; e = table_next(&p->st->owners, e))
		todo_add(p, t, e->value);
}

static void todo_clusters(struct plan *p, struct todo *t, const struct diff *d)
{
	for (size_t i = 0; i < d->clusters.n; i++) {
		const struct cluster *c = d->clusters.v[i].now ? d->clusters.v[i].now : d->clusters.v[i].old;
		struct state_cluster *sc = table_get(&p->st->clusters, c->name);

		if (!sc)
			continue;
		list_for(n, &sc->units)
			todo_add(p, t, container_of(n, struct unit, in_cluster)->owner);
	}
}

/* A changed route may name another cluster. */
static void todo_routed(struct plan *p, struct todo *t)
{
	struct fact_set all = snapshot_facts(p->snap, FACT_SERVICE);

	for (size_t i = 0; i < all.n; i++)
		if (((const struct service_fact *)all.v[i])->nroutes)
			todo_add(p, t, state_owner(p->st, all.v[i]->key));
}

static void todo_diff(struct plan *p, struct todo *t, const struct diff *d)
{
	for (size_t i = 0; i < d->facts[FACT_SERVICE].n; i++) {
		const struct fact_change *c = &d->facts[FACT_SERVICE].v[i];

		todo_add(p, t, c->now ? state_owner(p->st, c->now->key) : table_get(&p->st->owners, c->old->key));
	}
	todo_clusters(p, t, d);
	if (d->facts[FACT_ROUTE].n)
		todo_routed(p, t);
}

static void begin(struct plan *p, struct kern_state *st, const struct snapshot *s, struct plan_served served)
{
	memset(p, 0, sizeof(*p));
	p->st = st;
	p->snap = s;
	p->node = (const void *)snapshot_fact(s, FACT_NODE, (struct slice){ 0 });
	p->served = served;
	p->mark = ++st->plans;
}

static void make(struct plan *p, struct todo *t)
{
	for (size_t i = 0; i < t->v.n; i++)
		owner_release(p, t->v.v[i], fact_of(p, t->v.v[i]));
	for (size_t i = 0; i < t->v.n; i++) {
		const struct service_fact *f = fact_of(p, t->v.v[i]);

		if (f)
			owner_plan(p, t->v.v[i], f);
		else if (list_empty(&t->v.v[i]->units))
			state_owner_free(p->st, t->v.v[i]);
	}
	vec_fini(&t->v);
}

void plan_all(struct plan *p, struct kern_state *st, const struct snapshot *s, struct plan_served served)
{
	struct todo t = { 0 };

	begin(p, st, s, served);
	todo_stale(p, &t);
	todo_all(p, &t);
	make(p, &t);
	list_for(n, &st->nameless)
		unit_drop(p, container_of(n, struct unit, in_owner));
}

void plan_diff(struct plan *p, struct kern_state *st, const struct snapshot *s, const struct diff *d,
	       struct plan_served served)
{
	struct todo t = { 0 };

	if (d->facts[FACT_NODE].n) {
		plan_all(p, st, s, served);
		return;
	}
	begin(p, st, s, served);
	todo_stale(p, &t);
	todo_diff(p, &t, d);
	make(p, &t);
}

void plan_stale(struct plan *p, struct kern_state *st, const struct snapshot *s, struct plan_served served)
{
	struct todo t = { 0 };

	begin(p, st, s, served);
	todo_stale(p, &t);
	make(p, &t);
}

void plan_fini(struct plan *p)
{
	for (size_t i = 0; i < p->changes.n; i++) {
		struct plan_change *c = &p->changes.v[i];

		if (c->backs && c->slot && c->entry.n)
			range_give(&p->st->range, c->entry.off / TABLE_ROW, state_rows(c->entry.n));
		change_drop_backs(p, c);
		free(c->slot);
	}
	vec_fini(&p->changes);
	vec_fini(&p->units);
	vec_fini(&p->drops);
}
