/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters by host (model/http_stat.h, host_stat): each worker's own, in the host's shared part, so they outlive snapshots
 * as long as the host is in one. Memory and series are bounded: hosts beyond SHARED_COUNTED_MAX have none.
 */
#pragma once
#include "model/http_stat.h"
#include "weft/filter.h"
#include "weft/lb.h"

struct feed;
struct shared;
struct shared_cluster;
struct shared_host;

/* Worker. NULL: this host has none. */
struct host_stat *host_count(const struct shared_cluster *c, struct shared_host *h, unsigned worker);
void host_count_begin(struct host_stat *s);
void host_count_end(struct host_stat *s, const struct lb_result *r); /* r NULL: nothing was learnt */
void host_count_flag(struct host_stat *s, enum stream_flag f); /* those that say something of a host; others are passed over */

/* Control thread; the workers run. Those that changed since they were told; all: to an agent that knows nothing yet. */
void host_count_report(const struct shared *n, struct feed *f, bool all);
