/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of an upstream share. */
#pragma once
#include "model/http_stat.h"
#include "proxy/upstream.h"

#define upstream_MAGIC 0x09574ea1u
#define UPSTREAM_OUT_HIGH (256u << 10)          /* bytes that a host does not take while it asks for more of them */

extern const struct leg_events upstream_leg_events;
extern const struct proto_sink upstream_sink;

/* Where something of its HTTP/2 counts. */
struct upstream_stats {
	struct http_stat *worker;
	struct cluster_http_stat *cluster;
	struct host_stat *host;                 /* NULL: none */
};
struct upstream_stats upstream_stats(const struct upstream *u);
#define UPSTREAM_COUNT(u, row)                                                                                         \
	do {                                                                                                           \
		struct upstream_stats at_ = upstream_stats(u);                                                         \
		stat_add(&at_.worker->row, 1);                                                                         \
		stat_add(&at_.cluster->row, 1);                                                                        \
		if (at_.host)                                                                                          \
			stat_add(&at_.host->row, 1);                                                                   \
	} while (0)

/* Closes now, or behind decode(). Its streams have left, or are told by the caller. */
void upstream_end(struct upstream *u);
/* It broke, and with it what is under way. Closed first: what replaces it needs its place under maxConnections. */
void upstream_lost(struct upstream *u, enum proto_why why);
/* HTTP/1: its stream has left it well. */
void upstream_keep_or_close(struct upstream *u);
/* HTTP/2: a stream has left it, or there is room again. */
void upstream_settle(struct upstream *u);
/* It is open, and what is spoken is known; or it is not what the cluster says, and has failed. */
void upstream_open(struct upstream *u);
void upstream_open_failed(struct upstream *u, int err, const char *detail);
