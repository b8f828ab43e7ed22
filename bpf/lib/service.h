/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Address -> service -> backend: the whole decision, over plain structs. The hooks and `weft explain` call the same
 * functions; what a decision leaves behind (affinity, counts, records) is written by service_commit(), which explain
 * does not call.
 */
#pragma once

#include "lib/alive.h"
#include "lib/pick.h"
#include "lib/workload.h"

#ifndef EHOSTUNREACH                                 /* a BPF program has no <errno.h> */
#define ENOMEM 12
#define ECONNREFUSED 111
#define EHOSTUNREACH 113
#endif

enum verdict {                                      /* PASS is 0: "not settled" to the steps of a decision */
	VERDICT_PASS,                               /* not ours: the address stays as it is */
	VERDICT_BACKEND,                            /* to answer.backend */
	VERDICT_PROXY,                              /* to the proxy's listener in the client's namespace: answer.backend's address */
	VERDICT_REFUSE,
};

struct answer {
	struct service service;
	struct backend backend;
	__u32 verdict;                              /* enum verdict */
	__u32 reason;                               /* enum reason */
	__u32 service_id;                           /* 0 = none; ORIGIN_RANGE */
	__u32 backend_id;                           /* 0 = none */
	__u32 tries;                                /* slots looked at */
	__u32 bad_table;                            /* 1 = the table and the service disagree */
};

static __always_inline __u32 decided(struct answer *a, __u32 verdict, __u32 reason)
{
	a->verdict = verdict;
	a->reason = reason;
	return verdict;
}

/* The service behind an address: its exact port first, then the frontend of any port; 0 = none. */
static __always_inline __u32 frontend_find(const struct ask *ask)
{
	struct frontend_key key = { .addr = ask->addr, .port = ask->port, .proto = ask->proto };
	struct frontend f = {};

	if (!map_read(&frontend_map, &key, &f)) {
		key.port = 0;
		if (!map_read(&frontend_map, &key, &f))
			return 0;
	}
	return f.service;
}

/* Keeps two branches apart: one load at a chosen offset would be refused without CAP_PERFMON. */
#define APART(n) asm volatile("" : : "i"(n) : "memory")

/*
 * Where the proxy listens in the client's namespace. False: nowhere, or not in this family. As map_read() does, but there
 * is no room on the stack for a whole entry.
 */
static __always_inline bool pod_take(const struct ask *ask, struct answer *a)
{
	__u64 netns = ask->netns;                   /* before 6.4 a key is not taken from a function's argument */
	struct pod_place *p = bpf_map_lookup_elem(&pod_map, &netns);
	struct addr16 *to = &a->backend.addr;
	bool v4 = addr_is_v4(&ask->addr), same;

	if (!p)
		return false;
	a->backend.port = p->port;
	if (v4) {
		*to = p->v4;
		APART(4);
	} else {
		*to = p->v6;
		APART(6);
	}
	p = bpf_map_lookup_elem(&pod_map, &netns);
	if (!p)
		return false;
	if (v4) {
		same = addr_eq(to, &p->v4);
		APART(4);
	} else {
		same = addr_eq(to, &p->v6);
		APART(6);
	}
	return same && (to->w[0] || to->w[1] || to->w[2] || to->w[3]);
}

/*
 * A service with routes belongs to the proxy, while that is alive and listens in the client's namespace. Else its fail
 * mode decides: closed refuses (fail-closed), open balances here as if it had no routes (fail-open, and said by the
 * reason). VERDICT_PASS: nothing is settled yet.
 */
static __always_inline __u32 decide_l7(const struct ctl *ctl, const struct ask *ask, struct answer *a)
{
	bool served;

	if (!(a->service.flags & SERVICE_L7))
		return VERDICT_PASS;
	served = ask->proto == IPPROTO_TCP && a->service.served && proxy_alive(ctl, ask->now_ns);
	if (served && pod_take(ask, a))
		return decided(a, VERDICT_PROXY, REASON_L7_PROXY);
	if (a->service.flags & SERVICE_FAIL_CLOSED)
		return decided(a, VERDICT_REFUSE, served ? REASON_L7_UNSEEN_CLOSED : REASON_L7_CLOSED);
	a->reason = served ? REASON_L7_UNSEEN_OPEN : REASON_L7_OPEN;
	return VERDICT_PASS;
}

/* Was it for want of a listener in the client's namespace that the fail mode decided? */
static __always_inline bool answer_unseen(const struct answer *a)
{
	return a->reason == REASON_L7_UNSEEN_OPEN || a->reason == REASON_L7_UNSEEN_CLOSED ||
	       a->reason == REASON_RANGE_UNSEEN_OPEN || a->reason == REASON_RANGE_UNSEEN_CLOSED;
}

static __always_inline bool backend_take(struct answer *a, __u32 id)
{
	if (!map_read_twice(&backend_map, &id, &a->backend))
		return false;
	a->backend_id = id;
	return true;
}

/*
 * The backend this client had, if the entry is young enough and the backend still takes new flows. Ids are never used
 * twice, so an id that is found is the same backend.
 */
static __always_inline __u32 decide_affinity(const struct ask *ask, struct answer *a)
{
	struct affinity_key key = { .client = ask->client, .service = a->service_id };
	struct affinity old = {};

	if (!(a->service.flags & SERVICE_AFFINITY) || !map_read(&affinity_map, &key, &old))
		return VERDICT_PASS;
	if (ask->now_ns - old.used_ns >= (__u64)a->service.affinity_s * 1000000000)
		return VERDICT_PASS;
	if (!backend_usable(ask, old.backend) || !backend_take(a, old.backend)) {
		if (!a->reason)
			a->reason = REASON_AFFINITY_STALE;
		return VERDICT_PASS;
	}
	return decided(a, VERDICT_BACKEND, a->reason ?: REASON_AFFINITY);
}

static __always_inline void decide_pick(const struct ask *ask, struct answer *a)
{
	struct pick p = {};

	if (a->service.n)
		pick_backend(ask, a->service_id, &a->service, &p);
	a->tries = p.tries;
	a->bad_table = p.bad_table;
	if (!p.id || !backend_take(a, p.id)) {
		decided(a, VERDICT_REFUSE, REASON_NO_BACKEND);
		return;
	}
	if (!a->reason)
		a->reason = p.tries > 1 ? REASON_REPROBED : REASON_TRANSLATED;
	a->verdict = VERDICT_BACKEND;
}

/*
 * a->service_id is what frontend_find() found, and not 0. A global function, as caller_find() is, for the verifier's
 * sake: it is checked once, not again on each path that leads here. Returns the verdict.
 */
__noinline int service_decide(const struct ctl *ctl, const struct ask *ask, const struct caller *c, struct answer *a)
{
	__u32 id;

	if (!ctl || !ask || !c || !a)
		return VERDICT_PASS;
	id = a->service_id;
	if (c->exempt)
		return decided(a, VERDICT_PASS, REASON_EXEMPT);
	if (!map_read_twice(&service_map, &id, &a->service)) {
		a->bad_table = 1;
		return decided(a, VERDICT_REFUSE, REASON_NO_BACKEND);
	}
	if (!decide_l7(ctl, ask, a) && !decide_affinity(ask, a))
		decide_pick(ask, a);
	return a->verdict;
}

/* ---- what a decision leaves behind ---------------------------------------------------------------------------- */

static __always_inline void service_count(const struct answer *a)
{
	__u32 slot = a->service.slot;
	struct service_stat *s = bpf_map_lookup_elem(&svc_stat_map, &slot);

	if (!s)
		return;
	if (a->verdict == VERDICT_REFUSE) {
		__sync_fetch_and_add(&s->refused, 1);
		return;
	}
	/* Two additions, not one at an offset that depends on the branch: without CAP_PERFMON that is refused. */
	asm volatile("" : "+r"(s));
	__sync_fetch_and_add(&s->picked, 1);
}

/* What a decision leaves behind: the client's affinity and the service's counts; of a range nothing. 0 or a negative errno. */
static __always_inline long service_commit(const struct ask *ask, const struct answer *a)
{
	struct affinity_key key = { .client = ask->client, .service = a->service_id };
	struct affinity new = { .used_ns = ask->now_ns, .backend = a->backend_id };

	if (a->service_id == ORIGIN_RANGE)
		return 0;
	service_count(a);
	if (a->verdict != VERDICT_BACKEND || !(a->service.flags & SERVICE_AFFINITY))
		return 0;
	return bpf_map_update_elem(&affinity_map, &key, &new, BPF_ANY);
}

/* What the application reads instead of EPERM: closed by fail mode, or nobody there. */
static __always_inline int verdict_errno(const struct answer *a)
{
	bool closed = a->reason == REASON_L7_CLOSED || a->reason == REASON_L7_UNSEEN_CLOSED ||
		      a->reason == REASON_RANGE_CLOSED || a->reason == REASON_RANGE_UNSEEN_CLOSED;

	return closed ? -ECONNREFUSED : -EHOSTUNREACH;
}

/* Where the socket goes instead: to a backend, or to the proxy. */
static __always_inline void answer_target(const struct ask *ask, const struct answer *a, struct addr16 *addr,
					  __u16 *port)
{
	*addr = a->backend.addr;
	*port = a->backend.port ?: ask->port;
}
