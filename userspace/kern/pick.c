/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/pick.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include "base/mem.h"
#include "weft/str.h"

uint8_t pick_family(const struct ip *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	return memcmp(ip->b, mapped, sizeof(mapped)) ? AF_INET6 : AF_INET;
}

static bool ready(const struct pick_ask *a, const struct host *h)
{
	return h->state == HOST_READY && h->weight && pick_family(&h->ip) == a->family;
}

/* Takes connections, and is well where that is looked at. */
static bool takes(const struct pick_ask *a, const struct host *h)
{
	return ready(a, h) && !overlay_get(a->overlay, h->fact.key);
}

#define OVERPROVISION 140u                      /* percent: as in the proxy */

/*
 * So few are well that their state is not looked at: all priorities together cannot take everything, and of the first one
 * fewer than the cluster's threshold are well.
 */
static bool panics(const struct pick_ask *a)
{
	uint32_t n[PRIORITY_MAX + 1] = { 0 }, well[PRIORITY_MAX + 1] = { 0 }, first = PRIORITY_MAX, total = 0;
	const struct cluster *c = a->cluster;

	if (!a->overlay || !a->overlay->hosts.n)
		return false;
	for (size_t i = 0; i < c->nhosts; i++) {
		uint32_t p = c->hosts[i]->priority;

		n[p] += ready(a, c->hosts[i]);
		well[p] += takes(a, c->hosts[i]);
		first = n[p] && p < first ? p : first;
	}
	for (uint32_t p = 0; p <= PRIORITY_MAX; p++)
		total += !n[p] ? 0 : well[p] * OVERPROVISION >= n[p] * 100 ? 100 : well[p] * OVERPROVISION / n[p];
	return total < 100 && (uint64_t)well[first] * 100 < (uint64_t)n[first] * c->conf->panic_percent;
}

static bool near(const struct pick_ask *a, const struct host *h)
{
	const struct locality *mine = a->node->locality, *its = h->locality;

	if (!slice_eq(mine->region, its->region))
		return false;
	return a->cluster->conf->prefer == LOCALITY_REGION || slice_eq(mine->zone, its->zone);
}

/* Whether this node knows its own place well enough to prefer another's. */
static bool placed(const struct pick_ask *a)
{
	if (!a->node)
		return false;
	switch (a->cluster->conf->prefer) {
	case LOCALITY_ZONE:
		return a->node->locality->zone.n;
	case LOCALITY_REGION:
		return a->node->locality->region.n;
	default:
		return false;
	}
}

struct choice {
	uint32_t priority;
	bool near;
};

static struct choice choose(const struct pick_ask *a)
{
	struct choice c = { UINT32_MAX, false };
	const struct cluster *cl = a->cluster;

	for (size_t i = 0; i < cl->nhosts; i++)
		if (takes(a, cl->hosts[i]) && cl->hosts[i]->priority < c.priority)
			c.priority = cl->hosts[i]->priority;
	for (size_t i = 0; placed(a) && i < cl->nhosts && !c.near; i++)
		c.near = takes(a, cl->hosts[i]) && cl->hosts[i]->priority == c.priority && near(a, cl->hosts[i]);
	return c;
}

static uint16_t effective_port(const struct pick_ask *a, const struct host *h)
{
	return htons(a->target ? a->target : h->port ? h->port : a->port);
}

/* Two hosts may meet in one address and port when the service says the port: they are one. Equal addresses are
 * neighbours in the order of keys. */
static bool merge(struct pick_host *v, uint32_t n, const struct pick_host *x)
{
	while (n-- && !memcmp(&v[n].addr, &x->addr, sizeof(x->addr))) {
		if (v[n].port != x->port)
			continue;
		v[n].weight += x->weight;
		v[n].draining = v[n].draining && x->draining;
		return true;
	}
	return false;
}

uint32_t pick_hosts(const struct pick_ask *asked, struct pick_host **out)
{
	struct pick_ask own = *asked, *a = &own;
	uint32_t n = 0;

	*out = NULL;
	if (!a->cluster || !a->cluster->nhosts)
		return 0;
	if (panics(a))
		own.overlay = NULL;
	struct choice c = choose(a);

	*out = mem_alloc(a->cluster->nhosts * sizeof(**out));
	for (size_t i = 0; i < a->cluster->nhosts; i++) {
		const struct host *h = a->cluster->hosts[i];
		bool usable = takes(a, h);
		struct pick_host x = { .port = effective_port(a, h), .weight = usable ? h->weight : 0, .draining = !usable };

		if (pick_family(&h->ip) != a->family)
			continue;
		if (usable && (h->priority != c.priority || (c.near && !near(a, h))))
			continue;
		memcpy(x.addr.b, h->ip.b, sizeof(x.addr.b));
		if (!merge(*out, n, &x))
			(*out)[n++] = x;
	}
	return n;
}
