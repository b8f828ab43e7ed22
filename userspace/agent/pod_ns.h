/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One network namespace of agent/pods: its cookie, its own addresses as they change, the listener of each family as a fact,
 * and, where their sockets are open, its entry of pod_map. Control thread.
 */
#pragma once
#include "agent/own_addrs.h"
#include "event/loop.h"
#include "kern/kern.h"

struct pods;
struct pods_row;

struct pod_ns {                                 /* one network namespace */
	struct pods *pods;
	const struct pods_row *row;             /* whose process was seen there last; NULL: the agent's own */
	uint64_t cookie, netns;                 /* netns: as facts name it, 0 = the agent's own */
	uint64_t dev, ino;
	int fd;                                 /* to enter it; -1: the agent's own */
	struct loop_io addrs_io;
	struct own_addrs addrs;
	char *name[OWN_FAMILIES];               /* of the listeners */
	struct own_addrs given;                 /* in the facts */
	uint64_t mark;                          /* scan that saw it last */
	bool in_map;
	struct pod_place entry;                       /* as it is in pod_map */
};

/*
 * fd: to enter it, taken; -1: the one that we are in. NULL: it cannot be entered, which is said. Without cookies of sockets the
 * agent's own has 0, others are not to be had. Mirrored by pod_ns_drop(), which takes entry and facts along.
 */
struct pod_ns *pod_ns_open(struct pods *p, const struct pods_row *r, int take_fd);
void pod_ns_drop(struct pod_ns *n);
/* Its listeners as its addresses are now; *open: a transaction has begun. */
void pod_ns_give(struct pod_ns *n, bool *open);
/* Its entry of pod_map: as its doors are, or none. */
void pod_ns_show(struct pod_ns *n);
