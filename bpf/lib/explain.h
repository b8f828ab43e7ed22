/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A decision for a client that is described instead of calling. Also compiled natively. */
#pragma once

#include "kern/explain.h"
#include "lib/range.h"

/* Fills *a, which is zero, for a client that caller_find() found; ask->dry is set, x has the entries of prefix_map. */
static __always_inline void explain_choose(struct answer *a, const struct ask *ask, const struct explain_ask *x,
					   const struct caller *c, const struct ctl *ctl)
{
	struct prefix own = x->own, any = x->any;

	if (ctl->flags & CTL_CONNECT)
		a->service_id = frontend_find(ask);
	if (!a->service_id && ctl->flags & CTL_CONNECT && ctl->flags & CTL_RANGES && ask->proto == IPPROTO_TCP)
		range_take(ask, &own, &any, a);
	if (a->service_id)
		destination_decide(ctl, ask, c, a);
	else
		decided(a, VERDICT_PASS, ctl->flags & CTL_CONNECT ? REASON_NO_SERVICE : REASON_DISABLED);
}

/* Fills *e, which is zero, with what that came to. */
static __always_inline void explain_answer(struct explain_answer *e, const struct ask *ask, const struct caller *c,
					   const struct answer *a)
{
	e->client = ask->client;
	e->cgroup = c->cgroup;
	e->workload = c->workload;
	e->exempt = c->exempt;
	e->verdict = a->verdict;
	e->reason = a->reason;
	e->service_id = a->service_id;
	e->service = a->service;
	e->tries = a->tries;
	e->bad_table = a->bad_table;
	if (a->verdict == VERDICT_REFUSE)
		e->err = verdict_errno(a);
	if (a->verdict != VERDICT_BACKEND && a->verdict != VERDICT_PROXY)
		return;
	answer_target(ask, a, &e->target_addr, &e->target_port);
	e->path = a->verdict == VERDICT_PROXY ? EXPLAIN_PATH_PROXY : EXPLAIN_PATH_KERNEL;
	e->backend_id = a->backend_id;
	if (a->backend_id)
		e->backend = a->backend;
}
