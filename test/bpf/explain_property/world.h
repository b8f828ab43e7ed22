/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who dials and who is dialled: dialers are processes in cgroups of their own, servers are sockets of this process, so
 * that the truth about a connection is where it arrived.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "kern/limits.h"
#include "kern/maps.h"

#define WORLD_HOSTS 4                           /* of each family: 127.0.0.11+i, fd00:1::11+i */
#define WORLD_PROXY_PORT 15001
extern const uint16_t world_ports[];            /* where each host listens, TCP and UDP; ends with 0 */

enum dial_kind { DIAL_TCP, DIAL_UDP, DIAL_SENDTO, DIAL_KINDS };

struct dial_target {
	struct addr16 addr;
	uint16_t port;                          /* host order */
};

struct dial_result {
	int err;                                /* negative errno of connect() or sendto() */
	uint16_t local_port;                    /* host order */
	struct dial_target peer;                /* getpeername(); zero for DIAL_SENDTO */
};

enum { CLIENT_PLAIN, CLIENT_POD, CLIENT_DEEP, CLIENT_EXEMPT, CLIENT_OWN, CLIENTS };

struct client {
	const char *cgroup;                     /* below the captured one */
	__u64 lineage[CGROUP_LEVELS];           /* as struct explain_ask wants it */
	int channel;
};
extern struct client world_clients[CLIENTS];

/* root: mount of cgroup2; captured: an empty cgroup below it. Ends the program when something cannot be had. */
void world_enter(const char *root, const char *captured);
struct addr16 world_host(bool six, unsigned i);
/* One new socket of a client. *where is the server that it reached; zero: none. */
struct dial_result world_dial(unsigned client, enum dial_kind kind, struct dial_target to, struct dial_target *where);
_Noreturn void world_broken(const char *what);
