/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, relayed connection or session of datagrams as a line of the access log. Fields and their order are one table;
 * docs/access-log.md describes them.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "weft/net_filter.h"

/* The wall clock as text, made once a second. */
struct record_clock {
	time_t at;
	char text[24];                          /* "2026-01-02T03:04:05" */
};

/* A word of a filter. */
struct record_note {
	const struct record_note *next;
	struct slice key, value;
};

/* What there is to say. Borrowed for the call; zeroed members are written as empty and 0, NULL addresses too. */
struct record {
	struct slice method, path, authority, protocol;
	int status;
	struct slice flags, detail;
	char termination[2];
	uint64_t bytes_in, bytes_out;
	uint64_t head_ns, queue_ns, connect_ns, answer_ns, total_ns;
	struct slice listener, route, cluster;
	const struct net_addr *host;
	uint32_t tries;
	const struct net_addr *client;
	struct slice identity;
	struct slice request_id, traceparent, forwarded_for, user_agent;
	const struct net_addr *original;
	struct slice sni;
	struct slice service, rpc_method;
	struct slice grpc_status;               /* its word */
	struct slice rpc_status;                /* of an RPC protocol: its number */
	const struct record_note *notes;        /* of filters; NULL: none */
};

/* With its newline; returns the length, at most size. Long values are cut. */
size_t record_line(const struct record *r, bool json, struct record_clock *c, char *out, size_t size);
