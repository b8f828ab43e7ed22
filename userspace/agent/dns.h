/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters whose hosts are the addresses of a name: asked for by c-ares on the agent's loop, again when the answer's time
 * to live is over (5 s .. 5 min), and given to the hub as a registry of its own, "dns", each answer one transaction. IPv4
 * addresses, or IPv6 ones when there are no others. What cannot be resolved keeps the addresses it had, and is tried again
 * after 5 s, later more seldom, at most every minute. Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/table.h"
#include "event/timer.h"
#include "model/diff.h"
#include "weft/stat.h"

#define DNS_REGISTRY "dns"
#define DNS_LEAST_MS 5000u

#define DNS_STATS(X)                                                                                                   \
	X(COUNTER, queries, "names asked for")                                                                         \
	X(COUNTER, failures, "names that could not be resolved; they keep the addresses they had")                     \
	X(COUNTER, changes, "answers that changed a cluster's addresses")                                              \
	X(GAUGE, names, "clusters that are found by name")
STAT_DECLARE(dns_stat, DNS_STATS);

struct dns_channel;                             /* c-ares' */

struct dns {
	struct loop *loop;
	struct hub_source source;
	const char *servers;                    /* "ip:port,...", kept by the caller; NULL: as in resolv.conf */
	struct dns_channel *channel;            /* NULL: none is open */
	struct table names;                     /* by cluster */
	uint64_t version;
	uint32_t least_ms;                      /* between two questions for one name: DNS_LEAST_MS, but in tests */
	struct dns_stat stat;
};

/* 0 or -errno with words. */
int dns_init(struct dns *d, struct loop *l, struct hub *h, const char *servers, struct err *e);
void dns_fini(struct dns *d);                   /* accepts a zeroed one */
/* After a snapshot was published: clusters that changed. Answers come later, from the loop. */
void dns_update(struct dns *d, const struct diff *diff);
/* "3 addresses", "cannot be resolved: ...", "not resolved yet"; NULL: it is not found by name. Valid until the next call. */
const char *dns_words(const struct dns *d, struct slice cluster);
