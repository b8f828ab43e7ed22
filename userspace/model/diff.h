/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed between two snapshots of one store: pointers compared in key order, shared arrays and clusters skipped
 * whole. Valid while both snapshots are held. Control thread, or the thread that holds both.
 */
#pragma once
#include "base/vec.h"
#include "model/snapshot.h"

struct fact_change {
	const struct fact *old;                 /* NULL: added */
	const struct fact *now;                 /* NULL: removed */
};

struct cluster_change {                         /* settings, a host, or both */
	const struct cluster *old, *now;        /* NULL as above */
};

struct diff {
	const struct snapshot *old, *now;       /* old NULL: everything is added */
	VEC(struct fact_change) facts[FACT_KINDS]; /* by key; hosts by cluster, then key */
	VEC(struct cluster_change) clusters;    /* by name */
	size_t looked_at;                       /* pointers compared: the work done */
};

void diff_init(struct diff *d, const struct snapshot *old, const struct snapshot *now);
void diff_fini(struct diff *d);
bool diff_empty(const struct diff *d);
