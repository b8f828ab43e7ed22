/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passive ejection of hosts. Workers count errors in a row in words that all of them share, and who counts the last one
 * tells the control thread at once; shares of failures are counted per worker and folded here. The decision is the control
 * thread's, and a host's state is a word that workers read (proxy/shared.h).
 */
#pragma once
#include "event/timer.h"
#include "proxy/cluster.h"
#include "proxy/plan.h"

#define OUTLIER_FOLD_MS 100

#define OUTLIER_STATS(X)                                                                                               \
	X(COUNTER, ejections_in_a_row, "hosts ejected for errors in a row")                                            \
	X(COUNTER, ejections_share, "hosts ejected for their share of failures")                                       \
	X(COUNTER, ejections_refused, "hosts not ejected because too many are already")                                \
	X(COUNTER, returns, "ejected hosts that are back")                                                             \
	X(GAUGE, ejected, "hosts that are ejected now")
STAT_DECLARE(outlier_stat, OUTLIER_STATS);

struct outlier {                                /* control thread */
	struct loop *loop;
	struct shared *shared;
	struct timer timer;
	/* A host was ejected, for so long, or is back (for_ms 0). NULL = nobody listens. */
	void (*told)(void *arg, const struct shared_cluster *c, const struct shared_host *h, uint64_t for_ms);
	void *arg;
	struct outlier_stat stat;
};

void outlier_start(struct outlier *o, struct loop *l, struct shared *s);
void outlier_stop(struct outlier *o);           /* accepts a zeroed one */
void outlier_sweep(struct outlier *o, uint64_t now_ns); /* what the timer does */

/* Worker: one request to h has ended. */
void outlier_note(const struct clusters_conf *conf, const struct plan *p, struct shared_host *h, const struct lb_result *r);
