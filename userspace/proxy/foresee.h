/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host that a request with a hash is given, foretold by what workers pick with: a plan and a view of this one cluster,
 * made for one question and forgotten. Costs what a worker's tables cost. Any one thread that holds the snapshot.
 */
#pragma once
#include "model/overlay.h"
#include "model/snapshot.h"
#include "proxy/cluster.h"

/*
 * ask: with a hash, of a cluster of the snapshot whose balancer goes by it (foresee_can()). states: NULL = all hosts are
 * well. The host lies in the snapshot; NULL: the request is given none.
 */
const struct host *foresee_host(const struct snapshot *s, const struct overlay *states, const struct lb_ops *const *lbs,
				const struct cluster_ask *ask);
/* Whether requests of this cluster go where their hash says, each time. */
bool foresee_can(const struct cluster_fact *c);
