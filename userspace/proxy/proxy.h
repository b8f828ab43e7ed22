/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy process: unprivileged, one control thread and N workers. It listens on a unix socket that it was started
 * with; the agent dials it, hands over the heartbeat map and streams facts. When the agent dies the proxy goes on with
 * what it has, and the next agent dials the same socket: the newest connection wins, and its facts replace all others.
 */
#pragma once
#include "weft/err.h"
#include "weft/lb.h"

#define PROXY_SPIN_NS 50000u                    /* longer than a request of a neighbour takes, shorter than a wake-up matters */

struct proxy_conf {
	int listen_fd;                          /* listening unix socket; owned by the proxy from now on */
	unsigned workers;                       /* 1 .. WORKERS_MAX */
	const struct lb_ops *const *lbs;        /* balancers there are, NULL-ended; daemon/builtin.c */
	uint64_t plugins;                       /* plugins_hash() of what is loaded, for the agent to compare */
	uint64_t spin_ns;                       /* workers spin so long before they sleep; 0: they do not */
	unsigned drain_ms;                      /* how long requests that are under way may take when it is told to end */
	bool splice;                            /* its processes were not promised never to splice */
};

/* Runs until SIGTERM or SIGINT: then until no request is under way, drain_ms at most, or a second one. 0 or -errno with words. */
int proxy_run(const struct proxy_conf *c, struct err *e);
