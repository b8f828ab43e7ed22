/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Bounds that the verifier and the model both obey. Declarations only; includes nothing. */
#pragma once

#define MAPS_ABI 1                  /* layout of every map in maps.h; part of the pin path */

#define PICK_PROBES 4               /* further table slots tried when the picked backend is gone */
#define PICK_LINEAR 16              /* then so many in a row: a table of up to 17 slots is always seen whole */
#define CGROUP_DEPTH 8              /* parents walked from a socket's cgroup to its workload */
#define CGROUP_LEVELS 16            /* levels below the root at which a caller's workload may be declared */
#define UDP_PEERS 4                 /* dialled addresses one socket remembers: one by connect(), the others by sendto() */
#define TABLE_ROW 16                /* u32 slots in one row of the balancing table */
#define SERVICE_SLOTS_MAX (1u << 16)  /* slots one service may own (Maglev 65537 is cut to primes below) */
#define WORKERS_MAX 64              /* heartbeat words */
#define EMIT_BURST 64               /* records of refusals and errors that one CPU writes per second */
#define EXPLAIN_BACKENDS 64         /* candidates one explain run reports */

/* Defaults of kernel.maps; the configuration overrides each. */
#define MAX_FRONTENDS_DFLT 65536
#define MAX_SERVICES_DFLT 65536
#define MAX_BACKENDS_DFLT 262144
#define MAX_SLOTS_DFLT (1u << 21)
#define MAX_SOCKETS_DFLT 262144
#define MAX_AFFINITY_DFLT 65536
#define MAX_WORKLOADS_DFLT 16384

#define MAX_PODS 4096               /* network namespaces with a listener of the proxy */
#define MAX_PREFIXES 16384          /* ranges of listeners with `capture: ebpf` */
#define MAX_ODST 16384              /* connections between their SYN and the proxy's question */
