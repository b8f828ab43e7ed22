/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Active checks of hosts, once per node: TCP connect, one HTTP/1.1 GET, or one call of grpc.health.v1.Health, each plain or
 * over TLS with the cluster's settings. A host's first check decides at once; later it takes as many in a row as the cluster
 * says. Until then, and while nobody checks, a host counts as well. At most
 * HEALTH_PARALLEL are under way; the others wait their turn. Agent's loop.
 */
#pragma once
#include "base/rand.h"
#include "base/table.h"
#include "event/timer.h"
#include "model/diff.h"
#include "weft/stat.h"

#define HEALTH_PARALLEL 128

#define HEALTH_STATS(X)                                                                                                \
	X(COUNTER, checks, "health checks that ended")                                                                 \
	X(COUNTER, failures, "health checks that failed")                                                              \
	X(COUNTER, handshakes, "TLS handshakes of health checks that were completed")                                                              \
	X(COUNTER, turns, "times that a host became healthy or unhealthy")                                             \
	X(GAUGE, checked, "hosts that are checked")                                                                    \
	X(GAUGE, unhealthy, "hosts that are unhealthy by their checks")
STAT_DECLARE(health_stat, HEALTH_STATS);

struct health {
	struct loop *loop;
	void (*turned)(void *arg, struct slice host_key, bool healthy); /* may not call back into health */
	void *arg;
	struct table checks;                    /* by host's key */
	unsigned under_way;
	struct rand rand;
	struct tlsctx_maker *tls;
	const struct snapshot *snap;            /* the newest; its secrets */
	struct health_stat stat;
};

void health_init(struct health *h, struct loop *l, void (*turned)(void *arg, struct slice host_key, bool healthy), void *arg);
void health_fini(struct health *h);             /* accepts a zeroed one; says nothing more */
/* After a snapshot was published: clusters that changed. d->now must live until the next call. */
void health_update(struct health *h, const struct diff *d);
/* "healthy", "unhealthy: ...", "not checked yet"; NULL: nobody checks it. Valid until the loop turns. */
const char *health_words(const struct health *h, struct slice host_key);
