/* SPDX-License-Identifier: Apache-2.0 */
/* struct kern, for the files that share it: kern, adopt, captured, events, read, sweep, detach. */
#pragma once
#include "event/timer.h"
#include "kern/apply.h"
#include "kern/cgroup.h"
#include "kern/event.h"
#include "kern/events.h"
#include "kern/features.h"
#include "kern/kern.h"
#include "kern/prefixes.h"
#include "kern/workloads.h"

#define kern_MAGIC 0x6b65726eu

struct ring_buffer;

/* Lines of one kind that the log takes in a second; the rest is counted. */
struct kern_rate {
	uint64_t since_ns;
	uint32_t n, suppressed;
};

struct kern_events {
	struct ring_buffer *ring;
	struct loop_io io;
	struct event_conn kept[EVENTS_KEPT];
	uint32_t head, n;                       /* next to write; filled */
	struct kern_rate refused, error;
};

struct kern_sweep {
	uint64_t begun_ns;                      /* this round */
	uint8_t stage;                          /* which map */
	bool in_map;
	uint32_t walked;                        /* entries of this map */
	char key[sizeof(struct prefix_key)];    /* last one seen; the widest key */
	uint32_t found[8];                      /* orphans of this round, by stage */
};

struct kern {
	unsigned magic;
	struct loop *loop;                      /* NULL: none */
	struct kern_conf conf;                  /* strings point into text */
	char text[4][CGROUP_PATH];              /* cgroup, own_cgroup, instance, bpffs */
	enum kern_rung rung;
	char why[256], degraded[256];
	char root[CGROUP_PATH], cgroup[CGROUP_PATH];
	struct pins pins;
	struct load load;
	bool loaded;                            /* pins, load, apply, state and workloads are open */
	bool attached;
	bool full_next;                         /* the next plan compares everything */
	const char *how;                        /* "fresh" "adopted" "replaced" */
	struct apply apply;
	struct kern_state st;
	struct workloads workloads;
	struct prefixes prefixes;
	bool prefixes_said;                     /* that they are left to their fail mode, and why */
	struct kern_events events;
	struct kern_sweep sweep;
	struct kern_verdict verdict;
	bool judged, killed;
	bool inherited;                         /* an earlier agent's verdict was on these very programs: it holds until judged */
	struct plan_served served;
	void (*unseen)(void *arg, uint64_t netns, uint64_t cgroup);
	void *unseen_arg;
	uint64_t synced;                        /* number of the snapshot that the maps show */
	uint64_t synced_ns;                     /* when they last changed */
	struct timer timer;
	uint64_t ticks;
	const struct snapshot *(*source)(void *arg);
	void *source_arg;
	struct kern_stat stat;
};

/* adopt.c: the state and the workloads from the maps of an earlier agent. */
int adopt_maps(struct kern *k, struct err *e);
/* captured.c: ranges of the snapshot's listeners are in the map, as far as they can be written. */
void captured_sync(struct kern *k, const struct snapshot *s);
/* events.c */
int events_open(struct kern *k, struct err *e);
void events_close(struct kern *k);
/* kern.c: programs, maps and state are let go; pins stay. */
void kern_unload(struct kern *k);
