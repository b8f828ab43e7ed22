/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening sockets that the agent has handed over, by listener: the proxy's own copies, from which workers get
 * theirs and which go back to the next agent. Listeners without any are here for their counters. Control thread.
 */
#pragma once
#include "base/table.h"
#include "base/vec.h"
#include "model/snapshot.h"
#include "proxy/listener.h"

struct sockets_entry {                          /* one listener */
	char *name;
	struct listener_shared *shared;
	VEC(int) fds;                           /* by the agent's index; -1: none */
};

struct sockets {
	VEC(struct sockets_entry *) all;
	struct table by_name;
};

void sockets_fini(struct sockets *s);           /* accepts a zeroed one */
/* Keeps take_fd and gives a copy to the worker whose turn it is: index modulo n. */
void sockets_take(struct sockets *s, struct slice listener, unsigned index, int take_fd, struct worker *workers, unsigned n);
/* Listeners of snap without sockets are made known to the workers. before: the snapshot before it, or NULL. */
void sockets_announce(struct sockets *s, const struct snapshot *snap, const struct snapshot *before, struct worker *workers,
		      unsigned n);
/* v holds as many words as listener_stat has rows. */
void sockets_stat(const struct sockets_entry *e, unsigned workers, uint64_t *v);
void sockets_keep(struct sockets *s, const struct snapshot *snap); /* those that listeners in snap want; closes the others */
