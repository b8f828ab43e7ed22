/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Ranges that listeners capture: what a connection to an address in one of them comes to, if there is no service. The
 * program that dials finds the entries by range_find(); for explain, whose kind of program may not read a map of prefixes,
 * the agent does.
 */
#pragma once

#include "lib/service.h"

/* The entries of the port that was dialled and of any port, bits PREFIX_NONE: none. The range becomes a->service; 0: none. */
static __always_inline int range_take(const struct ask *ask, const struct prefix *own, const struct prefix *any,
				      struct answer *a)
{
	struct prefix p = *any;

	if (own->bits != PREFIX_NONE && (any->bits == PREFIX_NONE || own->bits >= any->bits))
		p = *own;
	if (p.bits == PREFIX_NONE || (p.bits < 96 && addr_is_v4(&ask->addr)))
		return 0;
	a->service_id = ORIGIN_RANGE;
	a->service.flags = SERVICE_L7 | SERVICE_RANGE | p.flags;
	a->service.served = p.served;
	a->service.off = p.bits;
	a->service.slot = p.port;
	return 1;
}

/* Most addresses are in no range. An entry that is being replaced is read again: a closed range is never open for that. */
static __always_inline void prefix_read(const struct prefix_key *key, struct prefix *out)
{
	if (!bpf_map_lookup_elem(&prefix_map, key) || !map_read_twice(&prefix_map, key, out))
		out->bits = PREFIX_NONE;
}

/* The range that an address lies in; 0: none. A global function, as service_decide() is. */
__noinline int range_find(const struct ask *ask, struct answer *a)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + 128 };
	struct prefix own = {}, any = {};

	if (!ask || !a)
		return 0;
	key.addr = ask->addr;
	prefix_read(&key, &any);
	key.port = ask->port;
	prefix_read(&key, &own);
	return range_take(ask, &own, &any, a);
}

/* What an address leads to: its service, else the range that it lies in. a->service_id 0: neither. */
static __always_inline void destination_find(const struct ctl *ctl, const struct ask *ask, struct answer *a)
{
	a->service_id = frontend_find(ask);
	if (!a->service_id && ctl->flags & CTL_RANGES && ask->proto == IPPROTO_TCP)
		range_find(ask, a);
}

static __always_inline __u32 range_reason(__u32 of_service)
{
	if (of_service == REASON_L7_PROXY)
		return REASON_RANGE_PROXY;
	if (of_service == REASON_L7_OPEN)
		return REASON_RANGE_OPEN;
	if (of_service == REASON_L7_CLOSED)
		return REASON_RANGE_CLOSED;
	return of_service == REASON_L7_UNSEEN_OPEN ? REASON_RANGE_UNSEEN_OPEN : REASON_RANGE_UNSEEN_CLOSED;
}

/*
 * a->service is what range_take() made: the proxy's, as a service with routes, but open leaves the address alone. A global
 * function beside service_decide(), and no part of it: with it the stack would be too small.
 */
__noinline int range_decide(const struct ctl *ctl, const struct ask *ask, const struct caller *c, struct answer *a)
{
	if (!ctl || !ask || !c || !a)
		return VERDICT_PASS;
	if (c->exempt)
		return decided(a, VERDICT_PASS, REASON_EXEMPT);
	decide_l7(ctl, ask, a);
	a->reason = range_reason(a->reason);
	return a->verdict;
}

static __always_inline void destination_decide(const struct ctl *ctl, const struct ask *ask, const struct caller *c,
					       struct answer *a)
{
	if (a->service_id == ORIGIN_RANGE)
		range_decide(ctl, ask, c, a);
	else
		service_decide(ctl, ask, c, a);
}
