/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New connections of a listener go to the worker that has fewest: a reuseport program for each group of sockets, loaded by
 * the agent, which reads one array that the proxy's workers keep. Nothing is pinned: the sockets hold their program.
 * Control thread.
 */
#pragma once
#include "weft/err.h"

struct steering {
	int map_fd;                             /* steer_map; -1: there is none, and the kernel's hash chooses */
	char why[128];                          /* then */
};

void steering_open(struct steering *s, bool allowed); /* allowed: BPF may be used at all */
void steering_close(struct steering *s);              /* programs at sockets stay */
int steering_map_fd(const struct steering *s);        /* a new descriptor for the proxy, or negative */
/*
 * fds: listening TCP sockets of one address, worker i's at i. 0 or -errno with words: then the hash chooses. -EBUSY: they
 * had a program of somebody else, which has been taken away: call it again in a moment.
 */
int steering_attach(struct steering *s, const int *fds, unsigned n, struct err *e);
