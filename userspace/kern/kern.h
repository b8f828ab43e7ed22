/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side of the agent: BPF programs and maps, from the first probe to their last pin. Everything here belongs to
 * the control thread. A struct kern always exists, also where BPF is denied: then its rung says so and every call is a
 * no-op that succeeds, so that callers need no second path.
 *
 * Order of life: kern_open() -> kern_judge() (whenever the known-answer tests have an answer) -> kern_sync() per snapshot
 * -> kern_close(). The first kern_sync() fills the maps and then attaches or replaces the programs: no gap, no half
 * state. kern_close() leaves links, programs and maps pinned, so traffic goes on; kern_detach() takes them away.
 */
#pragma once
#include <linux/types.h>
#include "kern/limits.h"
#include "kern/maps.h"
#include "kern/reason.h"
#include "weft/err.h"
#include "weft/model.h"
#include "weft/stat.h"

struct diff;                                    /* model/diff.h */
struct loop;                                    /* event/loop.h */
struct overlay;                                 /* model/overlay.h */
struct kern;

enum kern_served { KERN_SERVED_NO, KERN_SERVED_YES, KERN_SERVED_AS_BEFORE }; /* as before: what the maps say */
enum kern_mode { KERN_AUTO, KERN_REQUIRED, KERN_OFF }; /* kernel.mode */
enum kern_switch { KERN_SWITCH_AUTO, KERN_SWITCH_ON, KERN_SWITCH_OFF }; /* kernel.shortCircuit.enabled */

/* Lower is less. The reason for not being at the top is kern_status.why. */
enum kern_rung {
	KERN_RUNG_OFF,                          /* no program of ours runs */
	KERN_RUNG_BALANCE,                      /* services are balanced at connect; every byte goes through the stack */
	KERN_RUNG_FULL,                         /* and connections between local sockets are short-circuited */
};
extern const char *const kern_rung_names[];     /* "off" "balance" "full" */

/* Entries of the maps; 0 = the default of kern/limits.h. */
struct kern_sizes {
	uint32_t frontends, services, backends, slots, sockets, affinity, workloads;
};

/* Strings are borrowed for the call that takes the struct. */
struct kern_conf {
	enum kern_mode mode;
	const char *cgroup;                     /* whose sockets are captured; NULL or "auto": the root of cgroup2 */
	const char *own_cgroup;                 /* weft's own, never translated; NULL: the one of this process */
	const char *instance;                   /* NULL or "": the only one */
	const char *bpffs;                      /* NULL: /sys/fs/bpf */
	struct kern_sizes maps;
	bool connect;                           /* translate at connect and sendmsg */
	enum kern_switch short_circuit;
	uint32_t max_outstanding;               /* bytes per direction; 0 = 1 MiB */
	bool assume_no_splice;
	bool unmanaged_ok;                      /* sockets of no declared workload may be short-circuited too */
	uint32_t keepalive_s;                   /* of short-circuited sockets; 0 = left alone */
	uint32_t beat_timeout_ms;               /* 0 = 1000 */
	uint32_t abi;                           /* 0 = MAPS_ABI; another number only in tests */
	bool verify;                            /* every write is read back (tests) */
};

/* What the known-answer tests found on this kernel (kern/selftest.h). */
struct kern_verdict {
	bool usable;                            /* no fatal test failed */
	bool splice_safe;                       /* splice(2) reads redirected data: no opt-in is needed */
	bool leave_map;                         /* leaving the sockhash keeps FIONREAD, MSG_PEEK, poll and order right */
	enum credit_source credit;
	char why[160];                          /* of what is not so; "" = nothing to say */
	char no_routes[160];                    /* why services with routes cannot be had; "" = they can */
};

#define KERN_STATS(X)                                                                                                  \
	X(COUNTER, syncs, "snapshots given to the kernel")                                                             \
	X(COUNTER, writes, "map entries written or removed")                                                           \
	X(COUNTER, write_errors, "map writes that failed")                                                             \
	X(COUNTER, retries, "attempts to bring services up to date that failed before")                                \
	X(COUNTER, graces, "RCU grace periods waited for before something was reused")                                 \
	X(COUNTER, table_full, "services that kept their old table because the balancing table was full")              \
	X(COUNTER, map_full, "services that were not installed because a map was full")                                \
	X(COUNTER, frontend_conflicts, "addresses claimed by a second service: the first one keeps them")              \
	X(COUNTER, programs_attached, "programs attached")                                                             \
	X(COUNTER, programs_replaced, "programs replaced in their link")                                               \
	X(COUNTER, programs_kept, "programs adopted as they were")                                                     \
	X(COUNTER, maps_created, "maps created")                                                                       \
	X(COUNTER, maps_adopted, "pinned maps taken over")                                                             \
	X(COUNTER, load_errors, "objects, maps or links that failed to load, pin or attach")                           \
	X(COUNTER, events, "ring buffer records read")                                                                 \
	X(COUNTER, events_bad, "ring buffer records of unknown type or size")                                          \
	X(COUNTER, sweeps, "full rounds of the orphan sweep")                                                          \
	X(COUNTER, orphans_repaired, "orphaned entries removed or rewritten by the sweep")                             \
	X(GAUGE, services, "service entries in the kernel")                                                            \
	X(GAUGE, frontends, "service addresses in the kernel")                                                         \
	X(GAUGE, backends, "backends in the kernel")                                                                   \
	X(GAUGE, table_slots, "slots of the balancing table in use, with those that wait for a grace period")          \
	X(GAUGE, table_frags, "free ranges of the balancing table")                                                    \
	X(GAUGE, stale, "services whose entries are behind the snapshot")                                              \
	X(GAUGE, ranges, "captured ranges of listeners in the kernel")                                                  \
	X(GAUGE, ranges_served, "of those, the ones whose clients are sent to the proxy while it lives")                \
	X(GAUGE, pods, "network namespaces whose clients are sent to the proxy for services with routes")              \
	X(GAUGE, workloads, "workloads in the kernel")                                                                 \
	X(GAUGE, workloads_missing, "workloads whose cgroup does not exist")                                           \
	X(GAUGE, orphan_frontends, "frontends of no service, at the last sweep")                                       \
	X(GAUGE, orphan_services, "services unknown to the agent, at the last sweep")                                  \
	X(GAUGE, orphan_backends, "backends unknown to the agent, at the last sweep")                                  \
	X(GAUGE, orphan_prefixes, "captured ranges of no listener, at the last sweep")                                  \
	X(GAUGE, orphan_slots, "table slots that name no backend, at the last sweep")                                  \
	X(GAUGE, orphan_pairs, "pairs whose sockets are gone, at the last sweep")                                      \
	X(GAUGE, orphan_affinity, "live affinity entries of services that are gone, at the last sweep")                \
	X(GAUGE, rung, "0 off, 1 balance, 2 full")
STAT_DECLARE(kern_stat, KERN_STATS);

struct kern_status {
	enum kern_rung rung;
	const char *why;                        /* of this rung; "" at the top */
	const char *degraded;                   /* NULL: in step with the snapshot. Words for /ready otherwise */
	const char *cgroup;                     /* attached there; "" when off */
	const char *cgroup_root;                /* where cgroup2 is mounted; "" when off */
	const char *pin_dir;                    /* "" when off */
	bool attached;                          /* programs run */
	bool judged;                            /* known-answer tests have reported */
	uint64_t snapshot;                      /* number of the one the maps show; 0 = none of this process */
	uint32_t flags;                         /* enum ctl_flag, as the programs see them */
	enum credit_source credit;
	const char *no_capture;                 /* why services with routes are left to their fail mode; NULL: they are not */
	const char *loaded;                     /* "fresh", "adopted", "replaced": how this process came to its maps */
};

/*
 * *out is set also on a lower rung. Fails only when kernel.mode is required and the rung is below full (below balance
 * when the short-circuit is switched off), or when another weftd holds the pins (-EBUSY). loop may be NULL (tools): then
 * events, retries and sweeps run only when asked for.
 */
int kern_open(struct kern **out, struct loop *loop, const struct kern_conf *c, struct err *e);
/* Leaves everything pinned. Accepts NULL. */
void kern_close(struct kern *k);

/* Result of the known-answer tests: decides the short-circuit. -ENOTSUP: required, and not usable here. */
int kern_judge(struct kern *k, const struct kern_verdict *v, struct err *e);

/*
 * Brings the maps in step with s. d = the difference to the snapshot of the last kern_sync() that returned 0, or NULL:
 * compare everything. Returns 0 also when some services had to be left behind: they are counted, named by
 * kern_status.degraded and retried. -errno: nothing could be attached. s is borrowed for the call.
 */
int kern_sync(struct kern *k, const struct snapshot *s, const struct diff *d, struct err *e);
/* Tries again what was left behind; called by its own timer when a loop was given. s: the current snapshot. */
int kern_retry(struct kern *k, const struct snapshot *s);
/* Where kern_retry's timer finds the current snapshot: fn may return NULL. Without it only kern_sync() retries. */
void kern_set_source(struct kern *k, const struct snapshot *(*fn)(void *arg), void *arg);

/* Hosts that are not well get no new connections. Read at every kern_sync(), which is to name the clusters concerned. */
void kern_set_overlay(struct kern *k, const struct overlay *o);

/*
 * Who wants to hear of clients that dialled a service with routes in a network namespace in which the proxy does not
 * listen: its cookie, and the cgroup of their workload. Called from the loop; at a bounded rate, not for each client.
 */
void kern_set_unseen(struct kern *k, void (*fn)(void *arg, uint64_t netns, uint64_t cgroup), void *arg);

/* Number of heartbeat words the proxy uses: 0 = no proxy. */
int kern_set_workers(struct kern *k, uint32_t n);
/* Who knows which ports of L7 services the proxy serves. Of those that it does not their fail mode decides. */
void kern_set_served(struct kern *k,
		     enum kern_served (*fn)(void *arg, const struct service_fact *f, const struct service_port *p), void *arg);
int kern_served_changed(struct kern *k);        /* fn would answer otherwise than before */
/* Every worker of the proxy has that snapshot: what its listeners capture is sent there from now on. */
void kern_adopted(struct kern *k, uint64_t snapshot);
/* Why captured ranges are left to their fail mode, whatever the proxy does; NULL: they are not. Lives until the next call. */
const char *kern_ranges_off(const struct kern *k);
/* A new descriptor of the pinned beat_map (for the proxy, by SCM_RIGHTS); -errno. The caller closes it. */
int kern_beat_fd(struct kern *k);
/*
 * The agent's own heartbeat, called once per loop iteration and at least once a second. Also takes what lies in the ring:
 * records of closed connections do not wake the agent.
 */
void kern_beat(struct kern *k, uint64_t now_ns);

/* CTL_KILL: every direction to the stack at its next message. For people in a hurry; kern_judge() takes it back. */
int kern_kill(struct kern *k, bool on);

void kern_status(const struct kern *k, struct kern_status *out); /* strings live until the next call into kern */
const struct kern_stat *kern_stats(const struct kern *k);
