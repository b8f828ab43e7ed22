/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of services that have routes: for each TCP port of such a service one listener of the proxy on loopback, with
 * the service's routes, to which connect() is sent (bpf/connect.bpf.c). They are facts like others, under names that
 * begin with L7_PREFIX; the port of each comes from its name, so the next agent finds the same. Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/table.h"
#include "model/diff.h"

#define L7_PREFIX "l7/"
#define L7_REGISTRY "l7"
#define L7_PORT_FIRST 20000u                    /* below the ports that the kernel gives to clients */
#define L7_PORTS 12000u

struct doors;

struct l7 {
	bool on;
	struct hub_source source;
	const struct doors *doors;
	struct table units;                     /* by name: a port of a service */
	uint64_t version;
};

void l7_init(struct l7 *l, struct hub *h, const struct doors *d, bool on);
void l7_fini(struct l7 *l);                     /* before the hub; accepts a zeroed one */
/* After d->now was published: the listeners that it asks for come with the next snapshot. */
void l7_update(struct l7 *l, const struct diff *d);
/* For kern_set_ports(), arg a struct l7: where the proxy listens, 0: not (yet). */
uint16_t l7_port(void *arg, const struct service_fact *f, const struct service_port *p);
