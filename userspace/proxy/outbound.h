/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that one listener accepts for others (`dispatch`): each belongs to the listener that serves what its client
 * dialled, as a service's address or else in a range that it captures. One that nobody serves, or whose listener is full, is
 * closed with RST.
 */
#pragma once
#include "model/snapshot.h"
#include "proxy/listener.h"

/* Control thread: who serves what. The snapshot must not have been sent yet. before: the one sent last, or NULL. */
void outbound_attach(struct snapshot *s, const struct snapshot *before);
/* Any thread that holds the snapshot. NULL: nobody. */
const struct listener *outbound_find(const struct snapshot *s, const struct net_addr *dialled);
/* Worker's thread: a place in u was entered, outbound leaves it. */
void outbound_accepted(struct listener_use *u, const struct arrival *take_a);
