/* SPDX-License-Identifier: Apache-2.0 */
/* Of cluster*.c only. */
#pragma once
#include "base/table.h"
#include "event/timer.h"
#include "proxy/cluster.h"
#include "proxy/cluster_view.h"

#define clusters_MAGIC 0xc1057e25

struct clusters {
	unsigned magic;
	struct clusters_conf conf;
	struct table uses;                      /* by name */
	uint64_t rng;
	struct list queued;                     /* uses for which somebody waits */
	struct loop_deferred wake;
	struct timer poll;
	struct cluster_stat stat;
};

struct cluster_use {
	struct clusters *cs;
	struct slice name;
	struct view *view;
	struct table cells;                     /* by key; also of hosts that are gone while connections to them last */
	struct table made;                      /* hosts that original-destination made, by key */
	struct limit_share share[LIMITS];
	uint32_t retries;                       /* under way */
	uint32_t refs;                          /* picks, connections, retries, waits */
	bool gone;
	void *pool;
	struct list waiters, conn_waiters;      /* for a place under maxRequests, for a connection */
	struct list queued;
	struct cluster_wait *serving;           /* is called back now: it may take what is there */
};

struct cluster_use *use_find(struct clusters *cs, struct slice name); /* made when the snapshot has it; else NULL */
void use_drop(struct cluster_use *u);           /* one reference less; a use that is gone may end */
static inline struct limit_pool *use_limit(const struct cluster_use *u, enum limit_kind k)
{
	return &u->view->plan->shared->limit[k];
}
bool use_take(struct cluster_use *u, enum limit_kind k); /* a credit and a reference */
void use_give(struct cluster_use *u, enum limit_kind k); /* both back; wakes who waits */

/* Host of an address that the client dialled; 0, -ENOSPC: too many are in use, -EHOSTUNREACH: no address is known. */
int made_pick(struct cluster_use *u, const struct net_addr *a, struct pick *out);
struct cell *made_cell(const struct cluster_use *u, uint64_t key); /* NULL */
void made_fini(struct cluster_use *u);

void cluster_wake(struct clusters *cs);         /* soon, places are handed to those who wait */
/* A connection was closed: its place may be somebody's who waits, here or on another worker. */
void cluster_conn_freed(struct cluster_use *u);
