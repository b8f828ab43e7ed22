/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters whose hosts are those of a registry's service (`discovery: {registry, service, port}`): after each snapshot the
 * hosts of the cluster that serves this port are given to them, as facts of a registry of its own, "discovery", with their
 * weights, priorities, places and metadata; settings are the cluster's own. What is not there yet comes when it comes.
 * Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/table.h"
#include "model/diff.h"
#include "weft/stat.h"

#define DISCOVERY_REGISTRY "discovery"

#define DISCOVERY_STATS(X)                                                                                             \
	X(COUNTER, changes, "times that hosts of a service were given to clusters that ask for it, or taken back")     \
	X(GAUGE, clusters, "clusters that are found by a registry's service")                                          \
	X(GAUGE, waiting, "of those the ones whose service or port is not there")
STAT_DECLARE(discovery_stat, DISCOVERY_STATS);

struct discovery {
	struct hub_source source;
	struct table asking;                    /* by cluster: struct asked */
	uint64_t version;
	struct discovery_stat stat;
};

void discovery_init(struct discovery *d, struct hub *h);
void discovery_fini(struct discovery *d);       /* accepts a zeroed one */
void discovery_update(struct discovery *d, const struct diff *diff); /* after a snapshot was published */
/*
 * The cluster of the snapshot whose hosts c is given; NULL: none, and why in words, of which there are at most size bytes.
 * port: of hosts that say none.
 */
const struct cluster *discovery_find(const struct snapshot *s, const struct cluster_fact *c, uint16_t *port, char *why,
				     size_t size);
