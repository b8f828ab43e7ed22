/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A decision for a client that is described instead of calling. Also compiled natively. */
#pragma once

#include "kern/explain.h"
#include "lib/service.h"

/* Fills *a, which is zero, for a client that caller_find() found; ask->dry is set. */
static __always_inline void explain_choose(struct answer *a, const struct ask *ask, const struct caller *c, const struct ctl *ctl)
{
	a->service_id = ctl->flags & CTL_CONNECT ? frontend_find(ask) : 0;
	if (a->service_id)
		service_decide(ctl, ask, c, a);
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
