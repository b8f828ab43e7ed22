/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The four algorithms: which slot of its table a service looks at first, and where it looks when the backend there is
 * gone. Weights are repeats in the table, so a uniform slot is a weighted backend.
 *
 * All randomness is one number given by the caller, so that a decision can be repeated exactly.
 */
#pragma once

#include "lib/table.h"

#define PICK_TRIES (1 + PICK_PROBES + PICK_LINEAR)
#define PICK_STEP 0x9e3779b9u                       /* 2^32 / golden ratio: seeds of further probes */

/* A decision that leaves no trace: nothing counted, stored or advanced. 0 = for real. */
enum dry { DRY_NEXT = 1, DRY_LATER };               /* round robin: the next turn; the one rnd turns later */

/* What a decision is asked. */
struct ask {
	struct addr16 addr;
	__u16 port;                                 /* network order */
	__u8 proto;
	__u8 dry;                                   /* enum dry */
	__u32 rnd;
	__u64 client;                               /* see client_id() in lib/workload.h */
	__u64 now_ns;                               /* CLOCK_MONOTONIC */
	__u64 netns;                                /* key of pod_map: netns_key() in lib/workload.h */
};

struct pick {
	__u32 id;                                   /* 0 = none */
	__u32 slot;                                 /* of the service's table */
	__u32 tries;                                /* slots looked at; 1 = the first was good */
	bool bad_table;
};

/* The backend if a new flow may go there: draining takes none, and no hook can change an address's family. */
static __always_inline const struct backend *backend_usable(const struct ask *ask, __u32 id)
{
	const struct backend *be = id ? bpf_map_lookup_elem(&backend_map, &id) : NULL;

	if (!be || be->state != BACKEND_ACTIVE || addr_is_v4(&be->addr) != addr_is_v4(&ask->addr))
		return NULL;
	return be;
}

static __always_inline __u32 rr_turn(const struct ask *ask, const struct service *svc)
{
	__u32 slot = svc->slot;
	__u32 *turn = bpf_map_lookup_elem(&rr_map, &slot);

	if (!turn)
		return ask->rnd;
	if (!ask->dry)
		return __sync_fetch_and_add(turn, 1);
	return ask->dry == DRY_LATER ? *turn + ask->rnd : *turn;
}

/* The number from which all slots of one decision follow. */
static __always_inline __u32 pick_seed(const struct ask *ask, __u32 service, const struct service *svc)
{
	switch (svc->algo) {
	case LB_ROUND_ROBIN:
		return rr_turn(ask, svc);
	case LB_MAGLEV:
		return mix64(ask->client ^ mix64(service)) >> 32;
	default:
		return ask->rnd;
	}
}

/* The slot of try k: first and probes scattered (round robin: in turn), then in a row after the first. */
static __always_inline __u32 pick_slot(const struct service *svc, __u32 seed, __u32 k)
{
	__u32 first = svc->algo == LB_ROUND_ROBIN ? seed % svc->n : scale32(mix32(seed), svc->n);

	if (k > PICK_PROBES)
		return (first + k - PICK_PROBES) % svc->n;
	if (svc->algo == LB_ROUND_ROBIN)
		return (first + k) % svc->n;
	return scale32(mix32(seed + k * PICK_STEP), svc->n);
}

struct side {                                       /* of a comparison: copied, so that no pointer waits meanwhile */
	__u32 slot, weight;
};

static __always_inline bool side_load(const struct ask *ask, __u32 id, struct side *s)
{
	const struct backend *be = backend_usable(ask, id);

	if (!be)
		return false;
	s->slot = be->slot;
	s->weight = be->weight;
	return true;
}

/* What one more connection would weigh at a side, times the weight of the other. */
static __always_inline __u64 open_load(const struct side *s, const struct side *other)
{
	const __s32 *n = bpf_map_lookup_elem(&open_map, &s->slot);
	__u64 open = n && *n > 0 ? *n : 0;

	return (open + 1) * (other->weight ?: 1);
}

/* Power of two choices: another slot's backend is taken if one more connection would weigh less there. */
static __always_inline void pick_lighter(const struct ask *ask, const struct service *svc, struct pick *p)
{
	struct side mine, other;
	__u32 slot, id;

	if (svc->n < 2)
		return;
	slot = (p->slot + 1 + scale32(mix32(~ask->rnd), svc->n - 1)) % svc->n;
	id = table_slot(svc, slot, &p->bad_table);
	if (!side_load(ask, p->id, &mine) || !side_load(ask, id, &other))
		return;
	if (open_load(&other, &mine) >= open_load(&mine, &other))
		return;
	p->id = id;
	p->slot = slot;
}

/* A backend that takes new flows now, else p->id == 0. svc->n is not 0. */
static __always_inline void pick_backend(const struct ask *ask, __u32 service, const struct service *svc,
					 struct pick *p)
{
	__u32 seed = pick_seed(ask, service, svc);

	for (__u32 k = 0; k < PICK_TRIES; k++) {
		__u32 slot = pick_slot(svc, seed, k);
		__u32 id = table_slot(svc, slot, &p->bad_table);

		p->tries = k + 1;
		if (!backend_usable(ask, id))
			continue;
		p->id = id;
		p->slot = slot;
		break;
	}
	if (p->id && svc->algo == LB_LEAST_OPEN)
		pick_lighter(ask, svc, p);
}
