/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections at once: messages of random sizes in both directions, four threads, each end of
 * a connection in a thread of its own, edge-triggered epoll. Sizes are up to 256 KiB; small ones
 * are as likely as large ones.
 */
#pragma once
#include "rig.h"

enum swarm_pattern {
	SWARM_TURNS,  /* one message up, one down */
	SWARM_WINDOW, /* up to four unanswered */
	SWARM_BOTH,   /* both ends whenever they can */
	SWARM_SMALL,  /* as turns, at most 2 KiB */
	SWARM_PATTERNS,
};

struct swarm {
	struct wire *wire;
	unsigned nwires;
	unsigned messages; /* per direction and connection; 0 = until told by swarm_stop() */
	unsigned pause_us; /* between the rounds of each thread */
	struct swarm_priv *priv;
};

/* Opens the connections; the pattern of wire i is i % SWARM_PATTERNS. */
int swarm_open(struct rig *r, struct swarm *s);
/*
 * Starts to send; swarm_wait() returns when all is sent and heard, or one connection stands still.
 */
int swarm_start(struct rig *r, struct swarm *s);
void swarm_stop(struct swarm *s);
int swarm_wait(struct rig *r, struct swarm *s);
/* 0 while each connection moves. */
int swarm_watch(struct rig *r, struct swarm *s);
void swarm_close(struct swarm *s);
/* Messages heard so far, of all connections and both directions. */
uint64_t swarm_messages(const struct swarm *s);
/*
 * Asserts that of a counted swarm those which take turns had each byte redirected, all others some;
 * prints the share.
 */
int swarm_accelerated(struct rig *r, struct swarm *s);
/* Asserts that those which take turns have bytes redirected in both directions from now on. */
int swarm_accelerates(struct rig *r, struct swarm *s);
