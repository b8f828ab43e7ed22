/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Net filters that listeners name, with their settings: made on the control thread when a snapshot comes, carried by it with
 * what else its connections are made of (layers.h). A connection keeps the settings that it was opened with.
 */
#pragma once
#include "model/snapshot.h"
#include "net/conn.h"

struct net_filter_set;                          /* of one listener */

/* Control thread. old: what the listener of this name had, or NULL. Never NULL. */
struct net_filter_set *net_filters_new(const struct listener *l, const struct net_filter_set *old);
struct net_filter_set *net_filters_hold(struct net_filter_set *s); /* the same, one snapshot more */
void net_filters_drop(struct net_filter_set *s); /* NULL is allowed */
/* Any thread that holds the snapshot: at most NET_FILTERS_MAX. How many, -ENOKEY: one could not be made. s NULL: none. */
int net_filters_layers(const struct net_filter_set *s, struct net_layer *out);
