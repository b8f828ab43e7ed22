/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload_map in step with the snapshot's workloads. A workload whose cgroup does not exist waits: cgroups are made when
 * a pod starts, often after the registry has named it, and one that is made anew has a new id. They are looked at a few
 * at a time.
 */
#pragma once
#include "base/table.h"
#include "base/vec.h"
#include "kern/apply.h"

struct workload_row {
	struct slice name;
	char *path;                             /* of its cgroup */
	struct workload entry;
	uint64_t cgroup;                        /* id; 0 = does not exist */
	uint64_t mark;
	bool written;
	int err;                                /* of the last write */
};

struct workloads {
	char root[512], base[512];              /* cgroup2 mount; captured cgroup */
	struct table by_name;
	struct table by_id;                     /* id (4 bytes, in the row's entry) -> row: /connections asks for each pair */
	struct table adopted;                   /* cgroup id (8 bytes) -> struct workload, not yet asked for */
	VEC(struct workload_row *) rows;
	struct table identities;                /* SPIFFE id -> its number */
	uint32_t next_id;
	uint64_t syncs;
	size_t at;                              /* next row to look at */
	uint32_t missing, written, failed;
	uint64_t own;                           /* cgroup of weft itself, when it has an entry; else 0 */
	uint64_t errors;                        /* writes that failed, not yet in kern_stat */
};

void workloads_init(struct workloads *w, const char *root, const char *base);
void workloads_fini(struct workloads *w);       /* accepts zeroed */
void workloads_adopt(struct workloads *w, uint64_t cgroup, const struct workload *v);
void workloads_sync(struct workloads *w, struct apply *a, const struct snapshot *s);
/*
 * Weft's own sockets, the proxy's ends of connections among them, may be short-circuited: they promise not to splice where
 * they are. A workload that has this cgroup goes first.
 */
void workloads_own(struct workloads *w, struct apply *a, uint64_t cgroup);
void workloads_look(struct workloads *w, struct apply *a, size_t n); /* at the next n: has its cgroup come or gone? */
void workloads_rewrite(struct workloads *w);    /* the map is a new one: all are to be written */
/* Of a workload's cgroup, for the mount of cgroup2 and the captured cgroup; the caller frees it. */
char *workloads_path(const char *root, const char *base, struct slice cgroup);
struct slice workloads_name(const struct workloads *w, uint32_t id);
