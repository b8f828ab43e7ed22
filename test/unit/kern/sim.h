/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maps that plans write, as plain memory, with readers. After every single write all lookups are checked that are
 * possible at that instant, also those that began at any time since the last grace period.
 */
#pragma once
#include "base/rand.h"
#include "kern/plan.h"

struct sim_seen {
	struct service entry;
	uint32_t *slot;                         /* copy of its table at the time it was seen */
};

struct sim {
	struct table front, service, backend, stat; /* key copy -> malloc'ed value */
	uint32_t *table;                        /* max.slots */
	uint32_t nslots;
	VEC(struct sim_seen) seen;              /* entries that a reader may still hold */
	VEC(uint32_t) seen_ids;                 /* service ids that a reader may still hold */
	struct rand rand;
	uint32_t fail_1_in;                     /* 0: no write fails */
	uint32_t batch;
	uint32_t cap_fronts;                    /* entries frontend_map takes; 0 = any number */
	uint64_t writes, graces;
	bool naive;                             /* no grace period is kept: the checks must see it */
};

void sim_init(struct sim *s, uint32_t nslots, uint64_t seed);
void sim_fini(struct sim *s);
struct plan_ops sim_ops(const struct sim *s);   /* arg: the sim */
void sim_forget(struct sim *s);                  /* a grace period: readers have ended */
void sim_adopt(const struct sim *s, struct kern_state *st); /* as a restarted agent does */
const struct service *sim_lookup(const struct sim *s, const struct frontend_key *k);
const struct backend *sim_backend(const struct sim *s, uint32_t id);
