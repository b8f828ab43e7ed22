/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/traffic_report.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/table.h"
#include "model/matcher.h"
#include "model/regex.h"
#include "net/tls_session.h"
#include "proxy/feed.h"
#include "proxy/http.h"
#include "proxy/stock.h"
#include "proxy/worker.h"
#include "weft/str.h"

static void add(uint64_t *v, const void *words, const struct stat_desc *d)
{
	for (size_t i = 0; i < d->n; i++)
		v[i] += stat_get((const _Atomic uint64_t *)words + i);
}

static void report_words(struct feed *f, const void *words, const struct stat_desc *d, const char *name)
{
	uint64_t v[REPORT_STATS_MAX] = { 0 };

	add(v, words, d);
	feed_stat(f, d, slice_str(name), v);
}

static void report_workers(const struct worker *workers, unsigned n, struct feed *f)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		struct matcher *mt = workers[i].http->matcher;

		snprintf(name, sizeof(name), "%u", i);
		report_words(f, &workers[i].http->stat, &http_stat_desc, name);
		report_words(f, stock_stats(workers[i].stock), &stock_stat_desc, name);
		report_words(f, matcher_stats(mt), &matcher_stat_desc, name);
		report_words(f, &workers[i].thread.loop.spin, &loop_spin_stat_desc, name);
		report_words(f, tls_sessions_stat(workers[i].sessions), &tls_session_stat_desc, name);
		report_words(f, regex_stats(matcher_regex(mt)), &regex_stat_desc, name);
	}
}

/* Names are those of rows, which stay. */
static void sum_rows(const struct traffic *t, enum traffic_kind kind, const struct stat_desc *d, struct table *sums,
		     struct arena *a)
{
	const struct traffic_row *r = atomic_load_explicit(&t->rows[kind], memory_order_acquire);

	for (; r; r = r->next) {
		uint64_t *v = table_get(sums, slice_str(r->name));

		if (!v) {
			v = ARENA_NEWN(a, uint64_t, d->n);
			table_put(sums, slice_str(r->name), v);
		}
		add(v, &r->stat, d);
	}
}

static void report_kind(const struct worker *workers, unsigned n, enum traffic_kind kind, const struct stat_desc *d,
			struct feed *f)
{
	struct table sums;
	struct arena a;

	table_init(&sums, 0);
	arena_init(&a);
	for (unsigned i = 0; i < n; i++)
		sum_rows(&workers[i].http->traffic, kind, d, &sums, &a);
	for (struct table_entry *e = table_next(&sums, NULL); e; e = table_next(&sums, e))
		feed_stat(f, d, e->key, e->value);
	table_fini(&sums);
	arena_fini(&a);
}

/* Those that something names. */
static void report_filters(const struct worker *workers, unsigned n, struct feed *f)
{
	for (unsigned i = 0; i < EXTENSIONS_MAX && extensions.filters[i]; i++) {
		uint64_t v[REPORT_STATS_MAX] = { 0 };

		for (unsigned w = 0; w < n; w++)
			add(v, &workers[w].http->filters[i], &filter_stat_desc);
		if (v[0])
			feed_stat(f, &filter_stat_desc, slice_str(extensions.filters[i]->name), v);
	}
}

static void add_calls(const struct worker *workers, unsigned n, bool net, unsigned i, uint64_t *v)
{
	for (unsigned w = 0; w < n; w++) {
		const struct http *h = workers[w].http;

		add(v, net ? &h->net_filter_calls[i] : &h->filter_calls[i], &callout_stat_desc);
	}
}

static void report_calls_of(struct feed *f, const char *name, const uint64_t *v)
{
	uint64_t any = 0;

	for (size_t i = 0; i < callout_stat_desc.n; i++)
		any |= v[i];
	if (any)
		feed_stat(f, &callout_stat_desc, slice_str(name), v);
}

/* Of those that have called; a net filter with the name of a filter is one with it. */
static void report_calls(const struct worker *workers, unsigned n, struct feed *f)
{
	bool told[EXTENSIONS_MAX] = { false };

	for (unsigned i = 0; extensions.filters[i]; i++) {
		uint64_t v[REPORT_STATS_MAX] = { 0 };
		const char *name = extensions.filters[i]->name;

		add_calls(workers, n, false, i, v);
		for (unsigned j = 0; extensions.net_filters[j]; j++) {
			if (!slice_eq_str(slice_str(name), extensions.net_filters[j]->name))
				continue;
			add_calls(workers, n, true, j, v);
			told[j] = true;
		}
		report_calls_of(f, name, v);
	}
	for (unsigned j = 0; extensions.net_filters[j]; j++) {
		uint64_t v[REPORT_STATS_MAX] = { 0 };

		add_calls(workers, n, true, j, v);
		if (!told[j])
			report_calls_of(f, extensions.net_filters[j]->name, v);
	}
}

void traffic_report(const struct worker *workers, unsigned n, struct feed *f)
{
	report_workers(workers, n, f);
	report_kind(workers, n, TRAFFIC_ROUTE, &route_stat_desc, f);
	report_kind(workers, n, TRAFFIC_CLUSTER, &cluster_http_stat_desc, f);
	report_kind(workers, n, TRAFFIC_CALL, &call_stat_desc, f);
	report_kind(workers, n, TRAFFIC_RPC, &rpc_stat_desc, f);
	report_filters(workers, n, f);
	report_calls(workers, n, f);
}
