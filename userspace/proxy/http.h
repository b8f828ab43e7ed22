/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP requests of one worker share: what is free for the next one, what waits to be sent, and the counters.
 * docs/proxy.md tells how the files here hang together.
 */
#pragma once
#include <time.h>

#include "base/calm.h"
#include "base/list.h"
#include "base/rand.h"
#include "model/http_stat.h"
#include "proxy/filters.h"
#include "proxy/relay.h"
#include "proxy/traffic.h"

struct matcher;
struct worker;

struct free_state {
	struct free_state *next;
};
#define HTTP_FREE_STATES 256u                   /* kept for the next request */

struct http {
	struct worker *worker;
	struct matcher *matcher;
	struct rand rand;
	struct list dirty;                      /* legs with something to send (leg.h) */
	struct list dirty_many;                 /* those of many streams, until the turn's end */
	struct loop_deferred turn_end;
	struct list downstreams, pools;
	struct list free_streams;
	unsigned nfree_streams;
	struct free_state *free_states;         /* of codecs of HTTP/1 connections that are idle */
	unsigned nfree_states;
	bool stopping;                          /* nothing is kept for later any more */
	time_t date_at;
	char date[32];                          /* of date_at, as answers have it */
	struct relay_pipes pipes;               /* for large bodies; off: none is used */
	struct calm failures;                   /* lines about connections to hosts that did not open */
	struct calm malformed, gave_up;         /* refusal.h's */
	struct http_stat stat;
	struct filter_stat filters[FILTERS_MAX]; /* as extensions.filters */
	struct list callouts;                   /* callout.h's, as the four below */
	struct net_peer nobody;
	struct calm callout_trouble;
	struct callout_stat filter_calls[FILTERS_MAX], net_filter_calls[EXTENSIONS_MAX]; /* as extensions.net_filters */
	struct traffic traffic;
};

struct http *http_new(struct worker *w);
void http_free(struct http *h);                 /* closes every connection, at once; before the clusters go */
