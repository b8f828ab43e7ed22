/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that no registry knows: the addresses that clients dialled, for original-destination without endpoints. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "proxy/cluster_priv.h"

#define MADE_MAX 4096u                          /* of one cluster on one worker */

struct made {
	struct host host;
	struct locality nowhere;
	struct cell cell;
};

static struct slice key_slice(const uint64_t *key)
{
	return (struct slice){ (const char *)key, sizeof(*key) };
}

static bool idle(const struct made *m)
{
	return !m->cell.lb.active && !m->cell.lb.conns;
}

static void forget_idle(struct cluster_use *u)
{
	struct table_entry *next;

	for (struct table_entry *e = table_next(&u->made, NULL); e; e = next) {
		struct made *m = e->value;

		next = table_next(&u->made, e);
		if (!idle(m))
			continue;
		table_del(&u->made, e->key);
		free(m);
	}
}

/* Clients choose the addresses: they must not be able to choose two of one key. */
static uint64_t key_of(const struct net_addr *a)
{
	char b[18];

	memcpy(b, a->ip.b, 16);
	memcpy(b + 16, &a->port, 2);
	return hash_bytes((struct slice){ b, sizeof(b) }, hash_seed());
}

static struct made *made_new(struct cluster_use *u, const struct net_addr *a, uint64_t key)
{
	struct made *m;

	if (u->made.n >= MADE_MAX)
		forget_idle(u);
	if (u->made.n >= MADE_MAX)
		return NULL;
	m = mem_alloc(sizeof(*m));
	m->host = (struct host){ .fact.kind = FACT_HOST, .cluster = u->name, .ip = a->ip, .port = a->port, .weight = 1,
				 .locality = &m->nowhere };
	m->cell = (struct cell){ .key = key, .lb = { .usable = true, .factor = LB_FACTOR_ONE } };
	table_put(&u->made, key_slice(&m->cell.key), m);
	return m;
}

int made_pick(struct cluster_use *u, const struct net_addr *a, struct pick *out)
{
	uint64_t key;
	struct made *m;

	if (!a || !a->port)
		return -EHOSTUNREACH;
	key = key_of(a);
	m = table_get(&u->made, key_slice(&key));
	if (!m)
		m = made_new(u, a, key);
	if (!m)
		return -ENOSPC;
	/* Of two addresses with one key the second has to wait until the first is forgotten. */
	if (memcmp(m->host.ip.b, a->ip.b, 16) || m->host.port != a->port)
		return -ENOSPC;
	out->host = &m->host;
	out->cell = &m->cell;
	out->addr = *a;
	out->key = key;
	return 0;
}

struct cell *made_cell(const struct cluster_use *u, uint64_t key)
{
	struct made *m = table_get(&u->made, key_slice(&key));

	return m ? &m->cell : NULL;
}

void made_fini(struct cluster_use *u)
{
	for (struct table_entry *e = table_next(&u->made, NULL); e; e = table_next(&u->made, e))
		free(e->value);
	table_fini(&u->made);
}
