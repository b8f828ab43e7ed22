/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/foresee.h"

#include "base/clock.h"
#include "proxy/cluster_priv.h"
#include "proxy/cluster_view.h"
#include "proxy/plan.h"
#include "proxy/plan_sets.h"
#include "proxy/wanted.h"

bool foresee_can(const struct cluster_fact *c)
{
	return c->lb == LB_POLICY_RING_HASH || c->lb == LB_POLICY_MAGLEV;
}

static void take_states(struct plan *p, const struct overlay *states, uint64_t now_ns)
{
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t state = overlay_get(states, p->hosts[i].host->fact.key);

		if (state)
			shared_host_set(p->shared, p->hosts[i].shared, state, 0, now_ns);
	}
}

const struct host *foresee_host(const struct snapshot *s, const struct overlay *states, const struct lb_ops *const *lbs,
				const struct cluster_ask *ask)
{
	const struct route_backend *b = ask->backend;
	const struct cluster *c = snapshot_cluster(s, b->cluster);
	uint64_t now_ns = clock_ns(), rng = 1;
	struct want want = { b->subset, b->nsubset, plan_want_hash(b->subset, b->nsubset), NULL };
	struct wants wants = { want.hash, b->nsubset && !c->conf->nsubsets ? &want : NULL };
	const struct host *host = NULL;
	struct shared shared;
	struct table cells;
	struct plan *plan;
	struct view *view;
	struct pick pick;

	shared_init(&shared, 1);
	table_init(&cells, 0);
	plan = plan_alone(&shared, s, c, lbs, &wants, now_ns);
	take_states(plan, states, now_ns);
	view = view_new(plan, NULL, NULL, &cells, &rng, now_ns);
	view_refresh(view, now_ns);
	if (view_pick(view, ask, &rng, &pick))
		host = pick.balance->hosts->hosts[pick.index].host;
	view_free(view, &cells);
	plan_alone_free(plan, &shared);
	table_fini(&cells);
	shared_fini(&shared);
	return host;
}
