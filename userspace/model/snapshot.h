/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One immutable, numbered state of the model. Made by store_build() on the control thread. Any thread may hold, read and
 * drop it; whoever drops the last reference only lays it in the store's graveyard, and the control thread frees it there
 * (store_bury()), because what it shares with other snapshots is counted without atomics.
 */
#pragma once
#include <stdatomic.h>
#include "model/fact.h"

#define snapshot_MAGIC 0x57a95407

/* Array of facts, or of clusters, shared by the snapshots between which nothing in it changed. */
struct fact_array {
	uint32_t refs;                          /* control thread only */
	uint32_t slots;                         /* above every slot in v */
	size_t n;
	const struct fact *v[];                 /* by key; each held */
};

struct cluster_array {
	uint32_t refs;                          /* control thread only */
	uint32_t host_slots;                    /* above every slot of a host */
	size_t n, nhosts;
	const struct cluster *v[];              /* by name; each held */
};

/* proxy/plan.c, layers.c, outbound.c, filters.c, codec_conf.c */
enum { SNAPSHOT_PLANS, SNAPSHOT_LAYERS, SNAPSHOT_OUTBOUND, SNAPSHOT_FILTERS, SNAPSHOT_CODECS, SNAPSHOT_ANNEXES };

struct snapshot {
	unsigned magic;
	_Atomic uint32_t refs;
	uint64_t number;
	struct fact_array *facts[FACT_KINDS];   /* NULL for FACT_HOST: hosts are in their clusters */
	struct cluster_array *clusters;
	struct router_array *listener_routers, *service_routers;
	struct home *home;
	/* What owners keep beside it, set before it is sent; free on the control thread. p NULL = nothing. */
	struct snapshot_annex {
		void *p;
		void (*free)(void *p);
	} annex[SNAPSHOT_ANNEXES];
	struct snapshot *dead_next;
};

struct snapshot *snapshot_hold(struct snapshot *s); /* any thread that has a reference; the same */
void snapshot_drop(struct snapshot *s);         /* any thread; NULL is allowed */
