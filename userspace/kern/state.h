/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the maps of kern/apply hold, entry by entry, and who wants each. It is changed by plans only: wishes when a plan is
 * made, facts (the "written" fields) when one of its writes has succeeded; so after any failure it still is the truth.
 * No BPF here: the balancing table is memory that somebody else provides.
 *
 * Numbers. Services and backends take ids from one counter and never get one twice (the counter lives in ctl_map and so
 * survives restarts): an affinity or a UDP socket that remembers a dead backend cannot meet its successor. A backend is
 * an endpoint of one service entry; two services of one cluster have an id each for it, so that it can leave the one and
 * stay in the other.
 */
#pragma once
#include <sys/socket.h>
#include "base/list.h"
#include "base/table.h"
#include "base/vec.h"
#include "kern/backs.h"
#include "kern/cells.h"
#include "kern/kern.h"
#include "kern/range.h"

#define STATE_ID_MAX 0x7fffffffu                /* policy_key.to needs the top bit */

/* A cluster name, and who uses it. */
struct state_cluster {
	struct slice name;
	struct list units;
};

/* A service by its name: all its units. */
struct owner {
	struct slice name;
	struct list units;
	uint64_t mark;                          /* number of the last plan that looked at it */
};

/* One entry of service_map: a port of a service in one family. Adopted ones have no owner until somebody asks. */
struct unit {
	struct list in_owner, in_cluster, in_stale;
	struct list fronts;                     /* that it wants */
	struct owner *owner;
	struct state_cluster *cluster;
	struct slice key;                       /* in table units */
	struct slice port_name;
	uint32_t id;
	uint16_t port;                          /* host order */
	uint8_t proto, family;
	bool written;
	bool clear;                             /* its statistics are an earlier owner's */
	struct service entry;                   /* in the map, when written; slot is valid before that, or CELLS_NONE */
	struct back **backs;                    /* in the table, or draining; each counted in refs */
	uint32_t nbacks;
	uint32_t pointed;                       /* written frontends that lead here */
	uint64_t mark;
	int stale_err;                          /* negative errno of what failed last; 0: in step */
	const char *stale;                      /* words, static */
};

struct front {
	struct frontend_key key;
	struct unit *owner;                     /* NULL: nobody wants it any more */
	struct unit *written;                   /* whose id the map has; NULL: not in the map */
	uint32_t was;                           /* unit whose id a map had that is being replaced; 0: none */
	struct list in_owner;                   /* unit.fronts or state.loose */
};

struct kern_state {
	struct kern_sizes max;
	const struct overlay *overlay;          /* the agent's; NULL: every host is well */
	struct table clusters;                  /* by name */
	struct table owners, units, unit_ids;   /* by name; by key; by id */
	struct table fronts;                    /* by frontend_key */
	struct backs backs;
	struct list stale;                      /* units to be planned again */
	struct list loose;                      /* fronts without owner */
	struct list nameless;                   /* adopted units without owner (in_owner) */
	VEC(struct back *) doomed;              /* had 0 references at some time since the last plan ran */
	VEC(struct back *) queue;               /* want differs from what is written */
	VEC(struct range_used) retired;         /* ranges that wait for a grace period */
	VEC(uint32_t) resting;                  /* slots of backends, until open_map says 0 */
	struct range range;
	struct cells service_slots, backend_slots;
	uint32_t *table;                        /* max.slots words; written through by plan_run's table op */
	uint32_t next_id;
	uint32_t retired_rows;
	uint32_t nstale, nwritten, nfronts; /* for the gauges */
	uint64_t plans;
};

void state_init(struct kern_state *st, const struct kern_sizes *max, uint32_t *table, uint32_t next_id);
void state_fini(struct kern_state *st);         /* accepts a zeroed state */

uint32_t state_id(struct kern_state *st);       /* 0: none left */

struct owner *state_owner(struct kern_state *st, struct slice name); /* found or made */
void state_owner_free(struct kern_state *st, struct owner *o); /* has no units */

struct back *state_back(const struct kern_state *st, uint32_t id);
struct unit *state_unit(const struct kern_state *st, uint32_t id);

/* Found or made, with id and slot and a reference for the caller. NULL: slots have run out. */
struct back *state_back_hold(struct kern_state *st, const struct unit *u, const struct addr16 *addr, uint16_t port);
void state_back_drop(struct kern_state *st, struct back *b); /* at the last reference it becomes doomed */
void state_back_want(struct kern_state *st, struct back *b, enum backend_state state, uint32_t weight);
void state_back_free(struct kern_state *st, struct back *b); /* no references, out of the map or never in it */

struct unit *state_unit_new(struct kern_state *st); /* with an id, nameless */
bool state_unit_slot(struct kern_state *st, struct unit *u); /* has one now; false: none left */
void state_unit_name(struct kern_state *st, struct unit *u, struct owner *o, struct slice key);
void state_unit_cluster(struct kern_state *st, struct unit *u, struct slice name);
void state_unit_free(struct kern_state *st, struct unit *u); /* out of the map; no frontend leads to it */
void state_unit_stale(struct kern_state *st, struct unit *u, int err, const char *why); /* err 0: in step */

struct front *state_front(struct kern_state *st, const struct frontend_key *k); /* found or made */
void state_front_own(struct kern_state *st, struct front *f, struct unit *u); /* NULL: loose */
void state_front_free(struct kern_state *st, struct front *f);

/* The range of a unit's table waits for the next grace period. */
void state_retire(struct kern_state *st, uint32_t off, uint32_t n);
/* A grace period has passed since everything that is retired was retired: it may be used again. */
void state_grace(struct kern_state *st);
uint32_t state_rows(uint32_t n);                /* rows that n slots take */

/*
 * Adoption: what pinned maps hold. backends first, then services, then frontends, then state_adopted(). Entries that
 * make no sense (a service whose table lies outside, two that overlap, a frontend of no service) are left out: the first
 * plan then writes or removes them. Returns 0 or -EINVAL for one that was left out.
 */
int state_adopt_back(struct kern_state *st, uint32_t id, const struct backend *v);
int state_adopt_service(struct kern_state *st, uint32_t id, const struct service *v);
int state_adopt_front(struct kern_state *st, const struct frontend_key *k, uint32_t service);
void state_adopted(struct kern_state *st);
/* The maps are new and empty, but ids, slots and generations stay: all entries count as not written. */
void state_forget_written(struct kern_state *st, const struct kern_sizes *max, uint32_t *table);
