/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the packed facts of one store share: equal places, localities and pair lists are one counted object each, slots
 * are given out, and dropped snapshots lie in the graveyard. Lives as long as the store or any packed fact. Control
 * thread, but for the graveyard.
 */
#pragma once
#include <stdatomic.h>
#include "model/slots.h"
#include "weft/model.h"

struct snapshot;

struct home {
	uint32_t refs;                          /* the store and each shared object */
	struct table shared;                    /* bytes -> struct shared */
	VEC(char) bytes;                        /* scratch: the key being looked up */
	struct slots slots[FACT_KINDS];
	struct slots router_slots;              /* of living routers; without keys */
	uint64_t router_serial;                 /* last one given */
	_Atomic(struct snapshot *) graveyard;   /* any thread pushes, the control thread takes all */
};

struct home *home_new(void);
void home_drop(struct home *h);

/* Each returns the one object of this content with a reference more. */
const struct fact_place *home_place(struct home *h, struct slice registry, struct slice file);
const struct locality *home_locality(struct home *h, const struct locality *l);
struct pair_list home_pairs(struct home *h, struct pair_list l); /* empty: no object */

/* p: what home_place, home_locality gave, or the v of home_pairs. */
void shared_hold(const void *p);
void shared_drop(const void *p);                /* NULL is allowed */
struct home *shared_home(const void *p);
