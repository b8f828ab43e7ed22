/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of listeners with `capture: ebpf`, as prefix_map has them. One entry says all that connect() has to know of a
 * range, so each write is by itself: a connect() meets what was before it or what is behind. What is new is put before what
 * goes is removed, so an address that a wider and a narrower range exchange is never in none. No BPF here: what is written
 * goes through the ops, and tests write into memory. Control thread.
 */
#pragma once
#include <linux/types.h>
#include "base/table.h"
#include "kern/maps.h"
#include "model/snapshot.h"

/* 0 or -errno; del of what is not there is success. */
struct prefixes_ops {
	int (*put)(void *arg, const struct prefix_key *key, const struct prefix *value);
	int (*del)(void *arg, const struct prefix_key *key);
};

struct prefixes {
	struct table rows;                      /* by prefix_key */
	uint32_t written, served, failed;       /* rows that are in the map; of those, with the proxy's word; writes behind */
	int failed_err;                         /* of the last one that failed */
	bool on;                                /* clients may be sent to the proxy at all */
	bool heard;                             /* the proxy has spoken; until then an entry's word is what it was */
	uint64_t adopted;                       /* snapshot that every worker of the proxy has */
	uint64_t writes, errors;                /* for the caller to count, who sets them to 0 */
};

void prefixes_init(struct prefixes *p);
void prefixes_fini(struct prefixes *p);         /* accepts a zeroed one */
/* An entry that an earlier agent left. Before the first sync. */
void prefixes_adopt(struct prefixes *p, const struct prefix_key *key, const struct prefix *value);
/* In step with the listeners of s; what fails is left behind, counted, and tried again by the next call. */
void prefixes_sync(struct prefixes *p, const struct snapshot *s, const struct prefixes_ops *ops, void *arg);
/* Every worker of the proxy has that snapshot. True: a sync would write other words than before. */
bool prefixes_heard(struct prefixes *p, uint64_t snapshot);

struct prefix_key prefixes_key(const struct listener_range *r);
/* What the map has; NULL: not there. */
const struct prefix *prefixes_find(const struct prefixes *p, const struct prefix_key *key);
