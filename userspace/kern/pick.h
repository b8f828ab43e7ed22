/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts of a cluster that one service entry uses, with their effective ports. Of the hosts that take connections
 * (ready, with weight) the lowest priority number counts, and among those the ones near this node when the cluster says
 * so and there are any. Hosts that drain are given too: they keep their clients, whatever their place. Hosts that are not
 * well are treated like those that drain, unless too few are well (panic).
 */
#pragma once
#include "kern/kern.h"
#include "model/overlay.h"

struct pick_host {
	struct addr16 addr;
	uint16_t port;                          /* network order: target, else the host's, else the service's */
	uint32_t weight;
	bool draining;                          /* an entry, but no slot */
};

struct pick_ask {
	const struct cluster *cluster;          /* NULL: no host */
	const struct node *node;                /* NULL: nowhere */
	uint16_t port, target;                  /* host order */
	uint8_t family;
	const struct overlay *overlay;          /* who is not well; NULL: all are */
};

uint8_t pick_family(const struct ip *ip);       /* AF_INET for v4-mapped */
/* malloc'ed, each address and port once, in the order of the cluster; their number. */
uint32_t pick_hosts(const struct pick_ask *a, struct pick_host **out);
