/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/outbound.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/table.h"
#include "net/addr.h"
#include "net/sock.h"
#include "weft/conf.h"
#include "weft/log.h"

#define BLOCK_MAX 128                           /* bits of an address */

/* By destination, for as long as listeners do not change. */
struct outbound {
	uint32_t refs;                          /* snapshots; control thread */
	struct table serves;                    /* keys lie in the listeners, which the snapshots hold */
	struct table ranges;                    /* by range_key, copied */
	uint8_t lengths[BLOCK_MAX + 1];         /* of their blocks, each once, the longest first */
	unsigned nlengths;
};

struct range_key {
	struct ip ip;
	uint16_t port;
	uint16_t bits;
};
_Static_assert(sizeof(struct range_key) == 20, "hashed as bytes: no padding");

_Static_assert(sizeof(struct destination) == sizeof(struct ip) + sizeof(uint16_t), "hashed as bytes: no padding");

static struct slice key_of(const struct destination *d)
{
	return (struct slice){ (const char *)d, sizeof(*d) };
}

/* Of the block that holds ip. */
static struct range_key range_key(const struct ip *ip, unsigned bits, uint16_t port)
{
	struct ip_block b = { *ip, (uint8_t)bits };

	ip_block_mask(&b);
	return (struct range_key){ b.ip, port, (uint16_t)bits };
}

static struct slice range_slice(const struct range_key *k)
{
	return (struct slice){ (const char *)k, sizeof(*k) };
}

static struct outbound *outbound_of(const struct snapshot *s)
{
	return s ? s->annex[SNAPSHOT_OUTBOUND].p : NULL;
}

static void put_ranges(struct outbound *o, const struct listener *l, bool used[BLOCK_MAX + 1])
{
	for (size_t i = 0; i < l->nranges; i++) {
		const struct listener_range *r = &l->ranges[i];
		struct range_key k = range_key(&r->block.ip, r->block.bits, r->port);

		table_put(&o->ranges, range_slice(&k), (void *)l);
		used[r->block.bits] = true;
	}
}

static struct outbound *outbound_new(const struct snapshot *s)
{
	struct outbound *o = mem_alloc(sizeof(*o));
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);
	bool used[BLOCK_MAX + 1] = { false };

	table_init(&o->serves, 0);
	table_init(&o->ranges, TABLE_COPY_KEYS);
	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		for (size_t k = 0; k < l->nserves; k++)
			table_put(&o->serves, key_of(&l->serves[k]), (void *)l);
		put_ranges(o, l, used);
	}
	for (unsigned bits = BLOCK_MAX + 1; bits--;)
		if (used[bits])
			o->lengths[o->nlengths++] = (uint8_t)bits;
	return o;
}

static void outbound_drop(void *p)
{
	struct outbound *o = p;

	if (--o->refs)
		return;
	table_fini(&o->serves);
	table_fini(&o->ranges);
	free(o);
}

void outbound_attach(struct snapshot *s, const struct snapshot *before)
{
	bool same = outbound_of(before) && s->facts[FACT_LISTENER] == before->facts[FACT_LISTENER];
	struct outbound *o = same ? outbound_of(before) : outbound_new(s);

	o->refs++;
	s->annex[SNAPSHOT_OUTBOUND] = (struct snapshot_annex){ o, outbound_drop };
}

/* As connect() does: the longest block, and of two as long the one with the port. IPv4 is in no block of IPv6. */
static const struct listener *find_range(const struct outbound *o, const struct net_addr *dialled)
{
	const struct listener *l = NULL;

	for (unsigned i = 0; i < o->nlengths && !l; i++) {
		struct range_key k = range_key(&dialled->ip, o->lengths[i], dialled->port);

		if (k.bits < 96 && addr_is_v4(&dialled->ip))
			break;
		l = table_get(&o->ranges, range_slice(&k));
		k.port = 0;
		l = l ? l : table_get(&o->ranges, range_slice(&k));
	}
	return l;
}

const struct listener *outbound_find(const struct snapshot *s, const struct net_addr *dialled)
{
	const struct outbound *o = outbound_of(s);
	const struct destination d = { dialled->ip, dialled->port };
	const struct listener *l = o ? table_get(&o->serves, key_of(&d)) : NULL;

	return l || !o ? l : find_range(o, dialled);
}

/* ---- accepted connections --------------------------------------------------------------------------------------- */

static void say(struct listener_use *u, const struct arrival *a, const char *why)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	struct net_addr source = { 0 };
	unsigned held;

	if (!calm_may(&u->failures, u->worker->thread.loop.now_ns, &held))
		return;
	sock_remote(a->fd, &source);
	log_info(u->name, "a connection from %s to %s is closed: %s (%u more in the seconds before)", addr_text(&source, from),
		 a->original.port ? addr_text(&a->original, to) : "nobody knows where", why, held);
}

static void refuse(struct listener_use *u, const struct arrival *a, const char *why)
{
	say(u, a, why);
	sock_reset(a->fd);
}

static struct listener_use *find_use(const struct listener_use *u, const struct arrival *a)
{
	const struct listener *l = outbound_find(u->worker->adoption.cur->snap, &a->original);
	struct listener_use *to = l ? listeners_find(u->worker, l->name) : NULL;

	return to && listener_takes_others(to) ? to : NULL;
}

void outbound_accepted(struct listener_use *u, const struct arrival *take_a)
{
	struct arrival a = *take_a;
	struct listener_use *to = sock_original(a.fd, &a.original) ? NULL : find_use(u, &a);

	if (!to) {
		stat_add(&u->stat->unserved, 1);
		refuse(u, &a, "what it dialled is no listener's");
	} else if (!listener_move(u, to)) {
		stat_add(&to->stat->turned_away, 1);
		refuse(to, &a, "as many as limits.connections are open");
	} else {
		listener_deliver(to, &a);
		return;
	}
	listener_leave(u);
}
