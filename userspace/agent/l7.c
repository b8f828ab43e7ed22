/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/l7.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doors.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/fact.h"
#include "net/addr.h"
#include "weft/str.h"

#define IDLE_MS 3600000u
#define HEAD_MS 10000u
#define HEAD_BYTES (64u << 10)
#define HEADERS 100u
#define TARGET_BYTES (16u << 10)

enum { V4, V6, FAMILIES };

/* One port of a service. Its key in the table is the name of its IPv4 listener. */
struct unit {
	char *name[FAMILIES];
	uint16_t port;
	bool has[FAMILIES];                     /* a listener was given */
	bool wants[FAMILIES];                   /* by the snapshot being looked at */
};

static const struct ip loopback[FAMILIES] = {
	[V4] = { .b = { [10] = 0xff, 0xff, 127, 0, 0, 1 } },
	[V6] = { .b = { [15] = 1 } },
};

static char *unit_name(const struct service_fact *f, const struct service_port *p)
{
	return mem_printf(L7_PREFIX "%.*s:%u", SLICE_ARG(f->name), p->port);
}

static bool port_taken(const struct l7 *l, uint16_t port)
{
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e)) {
		if (((const struct unit *)e->value)->port == port)
			return true;
	}
	return false;
}

static uint16_t port_choose(const struct l7 *l, const char *name)
{
	uint32_t at = hash_bytes(slice_str(name), HASH_STABLE) % L7_PORTS;

	for (uint32_t i = 0; i < L7_PORTS; i++) {
		uint16_t port = L7_PORT_FIRST + (at + i) % L7_PORTS;

		if (!port_taken(l, port))
			return port;
	}
	return 0;
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
	u->port = port_choose(l, name);
	u->name[V4] = name;
	u->name[V6] = mem_printf("%s/6", name);
	table_put(&l->units, slice_str(u->name[V4]), u);
	return u;
}

static void unit_free(struct unit *u)
{
	free(u->name[V4]);
	free(u->name[V6]);
	free(u);
}

/* ---- what the snapshot asks for ------------------------------------------------------------------------------- */

static struct fact *listener_make(const struct unit *u, int family, const struct service_fact *s)
{
	struct fact_mark of = fact_mark(&s->fact), mark = { SLICE_LIT(L7_REGISTRY), of.file, of.line };
	struct listener *f = (struct listener *)fact_new(FACT_LISTENER, slice_str(u->name[family]), &mark);
	struct slice *routes = fact_alloc(&f->fact, s->nroutes * sizeof(*routes));

	for (size_t i = 0; i < s->nroutes; i++)
		routes[i] = fact_slice(&f->fact, s->routes[i]);
	f->ip = loopback[family];
	f->port = u->port;
	f->protocol = fact_slice(&f->fact, SLICE_LIT("http"));
	f->routes = routes;
	f->nroutes = s->nroutes;
	f->xff = XFF_KEEP;
	f->request_id = true;
	f->idle_ms = IDLE_MS;
	f->head_ms = HEAD_MS;
	f->max_head_bytes = HEAD_BYTES;
	f->max_headers = HEADERS;
	f->max_target_bytes = TARGET_BYTES;
	return &f->fact;
}

static bool has_family(const struct service_fact *s, int family)
{
	for (size_t i = 0; i < s->naddrs; i++) {
		if (addr_is_v4(&s->addrs[i]) == (family == V4))
			return true;
	}
	return false;
}

/* The transaction begins with the first change. */
static void change(struct l7 *l, bool *open)
{
	if (!*open)
		hub_sink.begin(&l->source);
	*open = true;
}

static void ask_unit(struct l7 *l, const struct snapshot *now, struct unit *u, const struct service_fact *s, bool *open)
{
	for (int i = 0; i < FAMILIES; i++) {
		const struct fact *old = snapshot_fact(now, FACT_LISTENER, slice_str(u->name[i]));
		struct fact *f;

		u->wants[i] = u->port && has_family(s, i);
		if (!u->wants[i])
			continue;
		f = listener_make(u, i, s);
		if (u->has[i] && old && fact_equal(old, f)) {
			fact_drop(f);
			continue;
		}
		change(l, open);
		hub_sink.put(&l->source, f);
		u->has[i] = true;
	}
}

static void ask_service(struct l7 *l, const struct snapshot *now, const struct service_fact *s, bool *open)
{
	for (size_t i = 0; s->nroutes && i < s->nports; i++) {
		if (s->ports[i].proto == IPPROTO_TCP)
			ask_unit(l, now, unit_get(l, s, &s->ports[i]), s, open);
	}
}

static void drop_unwanted(struct l7 *l, bool *open)
{
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e)) {
		struct unit *u = e->value;

		for (int i = 0; i < FAMILIES; i++) {
			if (u->wants[i] || !u->has[i])
				continue;
			change(l, open);
			hub_sink.del(&l->source, FACT_LISTENER, slice_str(u->name[i]));
			u->has[i] = false;
		}
		if (u->wants[V4] || u->wants[V6])
			continue;
		table_del(&l->units, slice_str(u->name[V4]));
		unit_free(u);
	}
}

void l7_update(struct l7 *l, const struct diff *d)
{
	struct fact_set set = snapshot_facts(d->now, FACT_SERVICE);
	bool open = false;

	if (!l->on || (d->old && !d->facts[FACT_SERVICE].n))
		return;
	for (struct table_entry *e = table_next(&l->units, NULL); e; e = table_next(&l->units, e))
		memset(((struct unit *)e->value)->wants, 0, sizeof(((struct unit *)e->value)->wants));
	for (size_t i = 0; i < set.n; i++)
		ask_service(l, d->now, (const struct service_fact *)set.v[i], &open);
	drop_unwanted(l, &open);
	if (open)
		hub_sink.commit(&l->source, ++l->version);
}

/* ---- what the kernel side asks -------------------------------------------------------------------------------- */

static bool listens(const struct l7 *l, const char *name)
{
	const struct door *d = doors_find(l->doors, slice_str(name));

	return d && d->n;
}

uint16_t l7_port(void *arg, const struct service_fact *f, const struct service_port *p)
{
	const struct l7 *l = arg;
	char *name = unit_name(f, p);
	const struct unit *u = table_get(&l->units, slice_str(name));

	free(name);
	if (!u)
		return 0;
	for (int i = 0; i < FAMILIES; i++) {
		if (u->has[i] && !listens(l, u->name[i]))
			return 0;
	}
	return u->has[V4] || u->has[V6] ? u->port : 0;
}

void l7_init(struct l7 *l, struct hub *h, const struct doors *d, bool on)
{
	*l = (struct l7){ .doors = d, .on = on };
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
