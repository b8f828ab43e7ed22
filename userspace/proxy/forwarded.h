/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request came from, as those on its way tell: Forwarded (RFC 7239) and X-Forwarded-For. Anybody may have written
 * what is read here; who is believed is proxy/headers.c's question.
 */
#pragma once
#include "weft/net_filter.h"

#define FORWARDED_HOPS 16u                      /* nearest ones of a list that are kept */

struct forwarded_hop {
	struct slice node;                      /* "192.0.2.1", "[2001:db8::1]:80", "unknown", "_id"; empty: not told */
	struct slice proto;                     /* "https"; empty: not told */
};

/* Zeroed before the first line. Slices are of the values that were read. */
struct forwarded {
	struct forwarded_hop hop[FORWARDED_HOPS]; /* the i-th of all is at i % FORWARDED_HOPS */
	size_t n;                               /* of all, the farthest first */
};

/* One line of Forwarded, its elements behind those before; 0, or -EINVAL: not of the grammar (RFC 7239 4). */
int forwarded_read(struct forwarded *f, struct slice value);
/* One line of X-Forwarded-For. */
void forwarded_read_xff(struct forwarded *f, struct slice value);
/* 0: the nearest; NULL: there are no more. */
const struct forwarded_hop *forwarded_back(const struct forwarded *f, size_t i);
/* The address of a node, port 0 when it has none. False: it has no address ("unknown", "_hidden", nonsense). */
bool forwarded_addr(struct slice node, struct net_addr *out);

/* "for=192.0.2.1;by="[2001:db8::1]";host=a.example;proto=https" */
struct forwarded_words {
	const struct ip *client, *by;
	struct slice host;                      /* empty: none; quoted where it must be */
	struct slice proto;
};
#define FORWARDED_WORDS_MAX(host) (160 + 2 * (host).n)
/* At most FORWARDED_WORDS_MAX bytes; returns the length. */
size_t forwarded_write(char *out, const struct forwarded_words *w);
