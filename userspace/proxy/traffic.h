/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of one worker by route, by cluster and by method of gRPC and of RPC protocols. A row lives as long as the worker, under its name, so
 * that what was counted is never lost; the control thread reads rows while the worker counts.
 */
#pragma once
#include "base/table.h"
#include "model/http_stat.h"
#include "weft/types.h"

/* Methods that have a row of their own. Clients name them, so there is a last one, for all others. */
#define TRAFFIC_CALLS_MAX 512u
#define TRAFFIC_CALLS_OTHER "other"             /* its name: no method's, which have a slash */

enum traffic_kind { TRAFFIC_ROUTE, TRAFFIC_CLUSTER, TRAFFIC_CALL, TRAFFIC_RPC, TRAFFIC_KINDS };

struct traffic_row {
	struct traffic_row *next;               /* older; never changes once it can be seen */
	char *name;
	union {
		struct route_stat stat;
		struct cluster_http_stat cluster; /* of TRAFFIC_CLUSTER: begins as stat */
		struct call_stat call;          /* of TRAFFIC_CALL */
		struct rpc_stat rpc;            /* of TRAFFIC_RPC */
	};
};

struct traffic {
	_Atomic(struct traffic_row *) rows[TRAFFIC_KINDS]; /* newest first */
	struct traffic_slot {
		struct traffic_row **v;         /* by the slot of the fact; the worker's */
		uint32_t n;
	} slot[TRAFFIC_CALL];
	struct table calls[TRAFFIC_KINDS - TRAFFIC_CALL]; /* rows of TRAFFIC_CALL and TRAFFIC_RPC by name; the worker's */
};

void traffic_init(struct traffic *t);
/* The row of this name; slot: of its fact, to find it by. Worker. */
struct route_stat *traffic_row(struct traffic *t, enum traffic_kind kind, uint32_t slot, struct slice name);
struct cluster_http_stat *traffic_cluster(struct traffic *t, uint32_t slot, struct slice name); /* TRAFFIC_CLUSTER's */
/* Of "service/method". known: a host has it, so that a row may be made; else what is made up would use them up. Worker. */
struct call_stat *traffic_call(struct traffic *t, struct slice name, bool known);
struct rpc_stat *traffic_rpc(struct traffic *t, struct slice name, bool known); /* likewise */
void traffic_fini(struct traffic *t);           /* accepts a zeroed one; nobody may read any more */
