/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of event_map: counted, logged (rate-limited per kind), and the last closed connections kept for views.
 */
#pragma once
#include "kern/kern.h"
#include "kern/event.h"

#define EVENTS_KEPT 1024

/* Closed accelerated connections, newest first. A callback returns false to stop. */
typedef bool events_conn_fn(void *arg, const struct event_conn *c);
void events_closed(const struct kern *k, events_conn_fn *fn, void *arg);
/* Reads what is there now; kern_beat() does so too. Number of records, or -errno. */
int events_poll(struct kern *k);
