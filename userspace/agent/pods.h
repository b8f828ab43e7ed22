/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespaces of managed workloads, while there are services with routes: found by the processes of their
 * cgroups and of the cgroups below, which are looked at when a cgroup is made and when the first process comes, named by their cookies, left when their last process goes, since every socket holds a
 * namespace alive. For each there are listeners `outbound/COOKIE` (IPv4) and `outbound/COOKIE/6` at its own addresses,
 * for the agent's own namespace `outbound` and `outbound/6` on loopback; once their sockets are open, connect() sends
 * clients there (kern/pods). Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/vec.h"
#include "event/timer.h"
#include "kern/kern.h"
#include "model/diff.h"
#include "weft/stat.h"

#define PODS_REGISTRY "pods"
#define PODS_PREFIX "outbound"
#define PODS_PORT 15001

#define PODS_STATS(X)                                                                                                  \
	X(COUNTER, found, "network namespaces of workloads that were found")                                           \
	X(COUNTER, gone, "network namespaces of workloads whose last process has gone")                                \
	X(COUNTER, unreachable, "network namespaces that could not be entered")                                        \
	X(COUNTER, full, "network namespaces beyond the limit: their clients meet the fail mode")                      \
	X(COUNTER, unseen, "times that a client dialled before its namespace was known")                               \
	X(COUNTER, scans, "times that the processes of a workload were looked at")                                     \
	X(GAUGE, namespaces, "network namespaces of workloads")                                                        \
	X(GAUGE, open, "network namespaces, the agent's among them, in which the proxy listens")
STAT_DECLARE(pods_stat, PODS_STATS);

struct doors;
struct kern;
struct pod_ns;

struct pods_row {                               /* one managed workload */
	char *name, *path;                      /* path: of its cgroup */
	uint64_t cgroup;                        /* id; 0: there is none yet */
	int watch;                              /* of its cgroup.events; -1: none */
	int folder;                             /* of its cgroup, or the nearest one above that is there; -1: none. May be several rows' */
	unsigned again;                         /* times that it is looked at before long: what comes into a new cgroup comes late */
	bool due;                               /* to be looked at soon */
	bool wanted;                            /* by the snapshot being looked at */
};

struct pods {
	bool on;                                /* the kernel side can send clients there */
	bool active;                            /* there are services with routes */
	bool settled;                           /* entries that an earlier agent left have been looked at */
	struct loop *loop;
	struct kern *kern;
	const struct doors *doors;
	struct hub_source source;
	uint64_t version, mark;
	VEC(struct pods_row *) rows;
	size_t next_row;                        /* to be looked at */
	VEC(struct pod_ns *) all;
	VEC(char *) gone;                       /* names of listeners to be deleted */
	struct pod_ns *own;
	struct loop_io inotify;
	struct timer tick, again;
	uint64_t again_ns;                      /* until the next look of those that are looked at again */
	struct loop_deferred soon;
	uint32_t max;                           /* namespaces; clients in further ones meet the fail mode */
	bool full;                              /* one more was there, and there is no room yet */
	struct pods_stat stat;
};

/* on: kern_status.no_capture is NULL. max: namespaces, below MAX_PODS. */
void pods_init(struct pods *p, struct loop *l, struct hub *h, const struct doors *d, struct kern *k, bool on, uint32_t max);
void pods_fini(struct pods *p);                 /* before the hub; entries stay; accepts a zeroed one */
/* After d->now was published. active: there are services with routes. */
void pods_update(struct pods *p, const struct diff *d, bool active);
void pods_doors(struct pods *p);                /* doors have opened or closed */
void pods_settle(struct pods *p);               /* a proxy listens: what an earlier agent left and nobody has goes */
/* For kern_set_unseen(), arg a struct pods. */
void pods_unseen(void *arg, uint64_t netns, uint64_t cgroup);
/* For agent/pod_ns: before long namespaces are looked at and facts given; the transaction begins with the first change. */
void pods_soon(struct pods *p);
void pods_change(struct pods *p, bool *open);
/* To enter the namespace of this cookie: borrowed, -ENOENT: not known. */
int pods_netns(const struct pods *p, uint64_t netns);
