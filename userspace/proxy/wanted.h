/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subsets that routes and rules of one snapshot name of clusters which declare none: what their plans are to have beside the
 * whole. Valid while the snapshot is held. Control thread.
 */
#pragma once
#include "base/arena.h"
#include "base/table.h"
#include "model/snapshot.h"

struct want {
	const struct name_value *v;             /* of a fact; sorted by name */
	size_t n;
	uint64_t hash;
	struct want *next;
};

struct wants {                                  /* of one cluster */
	uint64_t hash;                          /* of all of them, in any order */
	struct want *first;
};

struct wanted {
	struct arena arena;
	struct table by_cluster;
};

void wanted_init(struct wanted *w, const struct snapshot *s);
void wanted_fini(struct wanted *w);
/* Never NULL: nobody names any, then. */
const struct wants *wanted_of(const struct wanted *w, struct slice cluster);
