/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routers of a snapshot: one for each listener and service that names routes. Built with it; an owner whose routes are
 * the same objects as in the snapshot before shares its router, and with it the turns of weighted backends. Control
 * thread, but for snapshot_router().
 */
#pragma once
#include "model/router.h"
#include "model/snapshot.h"

struct home;
struct store;

/* Shared by snapshots between which no route and no owner of this kind changed. */
struct router_array {
	uint32_t refs;
	uint32_t n;
	struct router *v[];                     /* by the owner's slot; NULL: it names no routes */
};

/* Of all listeners or services that the store has; old: the last one, or NULL. */
struct router_array *routers_build(struct store *s, enum fact_kind owners, const struct router_array *old);
void routers_drop(struct router_array *a, struct home *home); /* NULL is allowed */

/* Any thread that holds the snapshot. owner: a listener or service of it. NULL: it names no routes. */
const struct router *snapshot_router(const struct snapshot *s, const struct fact *owner);
