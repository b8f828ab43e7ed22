/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster as workers use it: which hosts take requests, in what order of priority, near or far, under stable keys, with
 * the word about each that all workers share. Made on the control thread once for each version of a cluster, and carried
 * by snapshots: what a worker holds of a snapshot keeps its plans.
 */
#pragma once
#include "conf/settings.h"
#include "model/snapshot.h"
#include "proxy/shared.h"
#include "weft/lb.h"

struct plan_host {
	const struct host *host;                /* of the snapshot */
	uint64_t key;
	struct shared_host *shared;
	bool near;                              /* in the place that the cluster prefers */
};

struct plan {
	uint32_t refs;                          /* snapshots; control thread */
	const struct cluster *cluster;
	const struct lb_ops *ops;
	const void *lb_conf;                    /* settings of its balancer; without rows for them the cluster's */
	struct settings *settings;              /* which are these, or NULL */
	struct shared_cluster *shared;
	bool places;                            /* some are near and some are not */
	struct plan_sets *whole;
	struct table subsets;                   /* declared ones, or those that are named where none is, by hash (plan_sets.h) */
	uint64_t wanted;                        /* hash of the latter (wanted.h) */
	uint32_t n;
	struct plan_host hosts[];               /* those that take requests; by priority, then key */
};

/* Plans of one snapshot, by the slot of their cluster. */
struct plans;
/* The snapshot must not have been sent yet. lbs: ends with NULL. now_ns: for hosts that are new. */
void plans_attach(struct snapshot *s, const struct snapshot *before, struct shared *n, const struct lb_ops *const *lbs,
		  uint64_t now_ns);
/* Any thread that holds the snapshot. NULL: no such cluster, or one that is absent. */
const struct plan *plans_find(const struct snapshot *s, struct slice cluster);
struct wants;
/* One of a cluster of this snapshot, beside any: for whoever asks what workers would do. */
struct plan *plan_alone(struct shared *n, const struct snapshot *s, const struct cluster *c, const struct lb_ops *const *lbs,
			const struct wants *wants, uint64_t now_ns);
void plan_alone_free(struct plan *p, struct shared *n);
uint64_t plan_key(const struct net_addr *a);    /* lb_host.key: the same on every node, and the kernel's */
