/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all workers know of a cluster together: credits of its limits, and of each host its state (unhealthy, ejected) and
 * errors in a row. Made and freed by the control thread, found by name, so it outlives snapshots and agents. Workers reach
 * it through the plan of a snapshot that they hold, and touch nothing but its atomics.
 */
#pragma once
#include "base/table.h"
#include "model/overlay.h"
#include "proxy/limits.h"
#include "weft/net_filter.h"

enum shared_run { RUN_5XX, RUN_GATEWAY, RUN_LOCAL, RUNS }; /* kinds of errors that are counted in a row */

#define SHARED_COUNTED_MAX 4096u                /* hosts with counters of their own at a time */

struct host_stat;

/* Counts of one worker since the cluster is known. */
struct shared_count {
	_Atomic uint32_t done, failed;
	_Atomic(struct host_stat *) stat;       /* made by the worker at the host's first request; NULL before */
};

struct shared_host {
	uint32_t refs;                          /* plans; control thread */
	uint64_t key;                           /* lb_host.key */
	struct net_addr addr;
	_Atomic uint32_t state;                 /* HOST_*; writer: control thread */
	_Atomic uint64_t since_ns;              /* it came, or came back: slow start. 0 = it was always there. Control thread */
	_Atomic uint32_t run[RUNS];             /* errors in a row; writers: all workers, and only while there are errors */
	uint32_t plan;                          /* the last one with it: its cluster's number; control thread, this and below */
	uint32_t times;                         /* ejected in succession */
	uint64_t until_ns;                      /* of the ejection */
	uint64_t done, failed;                  /* sums at the last sweep */
	_Atomic bool counted;                   /* is one of the SHARED_COUNTED_MAX; writer: the worker that comes first */
	uint64_t *told;                         /* sums of host_stat that the agent knows; NULL: none */
	struct shared_count count[];              /* one a worker */
};

struct shared_cluster {
	uint32_t refs;                          /* plans; control thread */
	struct shared *all;
	struct slice name;
	struct limit_pool limit[LIMITS];
	struct limit_rate retries;              /* those allowed whatever the share */
	/* Requests that wait for a connection (cluster_wait.c); writers: all workers. */
	_Atomic uint32_t waiting;               /* on all workers */
	_Atomic uint32_t asked;                 /* of them those for which no idle connection was closed yet */
	_Atomic uint64_t *due_ns;               /* one a worker: when its first one's time is over; 0: nobody waits there */
	_Atomic uint32_t version;               /* counts changes of hosts' states */
	struct table hosts;                     /* by key; control thread */
	uint32_t ejected;                       /* control thread, this and below */
	uint32_t plan;                          /* number of the newest; hosts of older ones may be held by what goes on there */
	uint64_t sweep_ns;                      /* when the next one is due */
	const struct outlier_detection *outlier; /* of the newest snapshot; NULL: off */
	bool seen;                              /* has been in a snapshot before the one that is planned now */
};

struct shared {
	unsigned workers;
	_Atomic uint32_t counted;               /* hosts */
	struct table clusters;                  /* by name */
};

/* All of it: control thread. */
void shared_init(struct shared *n, unsigned workers);
void shared_fini(struct shared *n);                 /* every plan must be gone */
struct shared_cluster *shared_cluster_hold(struct shared *n, struct slice name); /* found or made, with one reference more */
void shared_cluster_drop(struct shared *n, struct shared_cluster *c);
struct shared_host *shared_host_hold(struct shared *n, struct shared_cluster *c, uint64_t key, const struct net_addr *addr, uint64_t now_ns);
void shared_host_drop(struct shared_cluster *c, struct shared_host *h);
struct shared_cluster *shared_cluster_find(const struct shared *n, struct slice name); /* NULL: no such */
struct shared_host *shared_host_find(const struct shared_cluster *c, uint64_t key);
static inline uint32_t shared_host_state(const struct shared_host *h)
{
	return atomic_load_explicit(&h->state, memory_order_relaxed);
}
/* Sets and clears bits of a host's state; false: nothing changed. A host that gets all of them cleared starts slowly. */
bool shared_host_set(struct shared_cluster *c, struct shared_host *h, uint32_t set, uint32_t clear, uint64_t now_ns);
