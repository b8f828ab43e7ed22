/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of services that have routes: for each TCP port of such a service one listener of the proxy, without a socket,
 * that serves the service's addresses with its routes. connect() sends clients to the listeners of agent/pods, and those
 * hand each connection to the one that serves what was dialled. They are facts like others, under names that begin with
 * L7_PREFIX. Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/table.h"
#include "kern/kern.h"
#include "model/diff.h"

#define L7_PREFIX "l7/"
#define L7_REGISTRY "l7"

struct l7 {
	bool on;
	struct hub_source source;
	struct table units;                     /* by name: a port of a service */
	uint64_t version;
	bool heard;                             /* a proxy has said which snapshot it has */
	bool captures;                          /* some listener has ranges of its own */
};

void l7_init(struct l7 *l, struct hub *h, bool on);
void l7_fini(struct l7 *l);                     /* before the hub; accepts a zeroed one */
void l7_stop(struct l7 *l);                     /* no listeners from now on, whatever services ask for */
/* Clients are to be sent to the proxy: there are such listeners, or others that capture ranges. */
bool l7_wanted(const struct l7 *l);
/* After d->now was published: the listeners that it asks for come with the next snapshot. */
void l7_update(struct l7 *l, const struct diff *d);
/* Every worker of the proxy has that snapshot. True: l7_served() answers otherwise than before. */
bool l7_adopted(struct l7 *l, uint64_t snapshot);
/* For kern_set_served(), arg a struct l7: what the proxy knows it serves. As before, until the first proxy has spoken. */
enum kern_served l7_served(void *arg, const struct service_fact *f, const struct service_port *p);
