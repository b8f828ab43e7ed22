/* SPDX-License-Identifier: Apache-2.0 */
/* One control thread's part and some workers' clusters, without threads: snapshots go in, picks come out. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "lib/facts.h"
#include "model/store.h"
#include "proxy/outlier.h"

#define KIT_WORKERS 4

struct kit {
	struct store *store;
	struct snapshot *now;
	struct shared shared;
	struct outlier outlier;
	struct loop loop;                       /* of everybody */
	struct mailbox mail;
	struct adoption adoption[KIT_WORKERS];
	struct clusters *clusters[KIT_WORKERS];
	uint64_t now_ns;
	struct store_tx *tx;
};

extern const struct lb_ops *const kit_lbs[];

void kit_init(struct kit *k);
void kit_fini(struct kit *k);
/* A transaction: facts that are put until kit_commit(), which sends a snapshot to all workers. */
struct store_tx *kit_begin(struct kit *k);
void kit_commit(struct kit *k);
/* Put at once: a cluster with these settings (make it by facts_cluster() or kit_cluster()), hosts 10.0.0.first... */
struct cluster_fact *kit_cluster(const char *name, enum lb_policy lb);
void kit_put(struct kit *k, void *take_fact);
struct host *kit_host(const char *cluster, unsigned last, uint16_t port);
void kit_hosts(struct kit *k, const char *cluster, unsigned first, unsigned n);
void kit_metadata(struct host *h, const char *name, const char *value);

struct route_backend kit_backend(const char *cluster);
/* One pick by worker w; the last number of its address, or -errno. */
int kit_pick(struct kit *k, unsigned w, const char *cluster, struct pick *p);
void kit_ok(struct kit *k, struct pick *p);
void kit_fail(struct kit *k, struct pick *p, int status);
/* Letters to the control thread and callbacks, now. */
void kit_turn(struct kit *k);
unsigned kit_last(const struct host *h);        /* last number of its address */
