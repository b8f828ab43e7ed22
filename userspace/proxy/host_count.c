/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/host_count.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/report.h"
#include "proxy/feed.h"
#include "proxy/shared.h"
#include "weft/registry.h"

/* ---- workers ------------------------------------------------------------------------------------------------ */

static bool take_place(struct shared *n, struct shared_host *h)
{
	if (atomic_load_explicit(&h->counted, memory_order_relaxed))
		return true;
	if (atomic_load_explicit(&n->counted, memory_order_relaxed) >= SHARED_COUNTED_MAX)
		return false;
	if (atomic_fetch_add_explicit(&n->counted, 1, memory_order_relaxed) >= SHARED_COUNTED_MAX) {
		atomic_fetch_sub_explicit(&n->counted, 1, memory_order_relaxed);
		return false;
	}
	if (atomic_exchange_explicit(&h->counted, true, memory_order_relaxed))
		atomic_fetch_sub_explicit(&n->counted, 1, memory_order_relaxed);
	return true;
}

struct host_stat *host_count(const struct shared_cluster *c, struct shared_host *h, unsigned worker)
{
	struct host_stat *s = atomic_load_explicit(&h->count[worker].stat, memory_order_relaxed);

	if (s || !take_place(c->all, h))
		return s;
	s = mem_alloc(sizeof(*s));
	atomic_store_explicit(&h->count[worker].stat, s, memory_order_release);
	return s;
}

void host_count_begin(struct host_stat *s)
{
	stat_add(&s->requests, 1);
	stat_add(&s->active, 1);
}

void host_count_end(struct host_stat *s, const struct lb_result *r)
{
	_Atomic uint64_t *const by_class[] = { &s->answers_2xx, &s->answers_3xx, &s->answers_4xx, &s->answers_5xx };

	stat_add(&s->active, (uint64_t)-1);
	if (!r || !r->took_ns)
		return;
	stat_add(&s->answered, 1);
	stat_add(&s->answer_us, r->took_ns / 1000);
	if (r->status >= 200 && r->status < 600)
		stat_add(by_class[r->status / 100 - 2], 1);
}

void host_count_flag(struct host_stat *s, enum stream_flag f)
{
	_Atomic uint64_t *const by_flag[STREAM_FLAG_COUNT] = {
		[STREAM_CONNECT_FAILED] = &s->connect_failed, [STREAM_UPSTREAM_CLOSED] = &s->closed,
		[STREAM_UPSTREAM_RESET] = &s->closed,	      [STREAM_UPSTREAM_MALFORMED] = &s->malformed,
		[STREAM_UPSTREAM_TIMEOUT] = &s->late,	      [STREAM_TIMEOUT] = &s->late,
		[STREAM_CLIENT_CLOSED] = &s->client_gone,
	};

	if (by_flag[f])
		stat_add(by_flag[f], 1);
}

/* ---- control thread ----------------------------------------------------------------------------------------- */

static void sum(const struct shared *n, const struct shared_host *h, uint64_t *v)
{
	for (unsigned w = 0; w < n->workers; w++) {
		const _Atomic uint64_t *from = (const _Atomic uint64_t *)atomic_load_explicit(&h->count[w].stat, memory_order_acquire);

		for (size_t i = 0; from && i < host_stat_desc.n; i++)
			v[i] += stat_get(from + i);
	}
}

static void report(const struct shared *n, const struct shared_cluster *c, struct shared_host *h, struct feed *f, bool all)
{
	uint64_t v[REPORT_STATS_MAX] = { 0 };
	size_t size = host_stat_desc.n * sizeof(v[0]);
	char *key;

	sum(n, h, v);
	if (h->told && !all && !memcmp(h->told, v, size))
		return;
	if (!h->told)
		h->told = mem_alloc(size);
	memcpy(h->told, v, size);
	key = mem_alloc(c->name.n + HOST_KEY_EXTRA);
	feed_stat(f, &host_stat_desc, host_key(key, c->name, &h->addr.ip, h->addr.port), v);
	free(key);
}

void host_count_report(const struct shared *n, struct feed *f, bool all)
{
	for (struct table_entry *e = table_next(&n->clusters, NULL); e; e = table_next(&n->clusters, e)) {
		const struct shared_cluster *c = e->value;

		for (struct table_entry *x = table_next(&c->hosts, NULL); x; x = table_next(&c->hosts, x)) {
			struct shared_host *h = x->value;

			if (atomic_load_explicit(&h->counted, memory_order_relaxed))
				report(n, c, h, f, all);
		}
	}
}
