/* SPDX-License-Identifier: Apache-2.0 */
/* A store of the model's own that tests fill with short calls, and cmocka in its required order. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include "model/diff.h"
#include "model/store.h"
#include "weft/registry.h"
#include "weft/str.h"

struct kit_host {
	const char *ip;
	uint16_t port;
	uint32_t weight;
	uint8_t state;
	uint32_t priority;
	const char *region, *zone;
};

#define HOST(a, p, w, ...) { .ip = a, .port = p, .weight = w, ##__VA_ARGS__ }
#define DRAIN .state = HOST_DRAINING
#define PRIO(p) .priority = p
#define IN(r, z) .region = r, .zone = z

struct kit_service {
	const char *name, *cluster;
	const char *addrs[4];                   /* ends with NULL */
	uint16_t port, target;
	uint8_t proto;                          /* 0: TCP */
	uint32_t affinity_s;
	const char *route;
	enum fail_mode fail;
};

struct kit {
	struct store *store;
	struct store_tx *tx;
	struct snapshot *snap;                  /* the last one; NULL before the first kit_build() */
	struct snapshot *prev;                  /* the one before it */
	uint64_t version;
};

void kit_init(struct kit *k);
void kit_fini(struct kit *k);
struct ip kit_ip(const char *text);
void kit_node(struct kit *k, const char *region, const char *zone);
void kit_cluster(struct kit *k, const char *name, enum lb_policy lb, enum locality_prefer prefer);
void kit_panic(struct kit *k, const char *cluster, uint32_t percent); /* the cluster anew, with this threshold */
void kit_host(struct kit *k, const char *cluster, const struct kit_host *h);
void kit_host_del(struct kit *k, const char *cluster, const char *ip, uint16_t port);
void kit_service(struct kit *k, const struct kit_service *s);
void kit_route(struct kit *k, const char *name, const char *cluster);
void kit_workload(struct kit *k, const char *name, const char *cgroup, enum splice_use splice);
void kit_del(struct kit *k, enum fact_kind kind, const char *key);
void kit_put(struct kit *k, struct fact *take_f);
/* Commits what was put since the last call, and builds. False: refused, and nothing has changed. */
bool kit_commit(struct kit *k);
