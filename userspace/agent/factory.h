/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets for the proxy's connections to hosts on behalf of a pod: made in the pod's network namespace, so that its
 * addresses, routes and policies hold, and handed over. The proxy's word is not trusted: it gets them for namespaces in
 * which it listens, so many at once and so many a second; what is not given may be asked for again. Control thread.
 */
#pragma once
#include "agent/child.h"
#include "agent/pods.h"
#include "weft/stat.h"

#define FACTORY_AT_ONCE 256                     /* for one request; also what a handover holds */
#define FACTORY_PER_S 20000

#define FACTORY_STATS(X)                                                                                               \
	X(COUNTER, made, "sockets made in pods' network namespaces for the proxy")                                     \
	X(COUNTER, refused, "requests for sockets in a namespace that is not known, or of no known family")            \
	X(COUNTER, limited, "sockets not made because too many were asked for within a second")                        \
	X(COUNTER, failed, "sockets that could not be made")
STAT_DECLARE(factory_stat, FACTORY_STATS);

struct factory {
	struct child *child;
	const struct pods *pods;
	uint64_t since_ns;                      /* of the second that is counted */
	uint32_t n;                             /* sockets in it */
	struct factory_stat stat;
};

void factory_init(struct factory *f, struct child *c, const struct pods *p);
void factory_want(struct factory *f, const struct report_want *w);
