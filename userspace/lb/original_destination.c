// SPDX-License-Identifier: Apache-2.0
/*
 * The host that the client dialled, when the cluster names hosts: no other will do. (A cluster without hosts allows every
 * address; there proxy/ makes the host.)
 */
#include <string.h>
#include "weft/lb.h"
#include "weft/net_filter.h"

static uint32_t original_destination_pick(struct lb *lb, const struct lb_ask *ask)
{
	const struct net_addr *a = ask->original;

	for (uint32_t i = 0; a && i < lb->set->n; i++) {
		const struct host *h = lb->set->hosts[i].host;

		if ((!h->port || h->port == a->port) && !memcmp(&h->ip, &a->ip, sizeof(h->ip)) && lb_usable(lb, ask, i))
			return i;
	}
	return LB_NONE;
}

const struct lb_ops lb_original_destination = {
	.name = "original-destination",
	.pick = original_destination_pick,
};
