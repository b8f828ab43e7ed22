/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/stat_text.h"
#include "base/vec.h"
#include "model/http_stat.h"
#include "model/listener_stat.h"
#include "model/overload.h"
#include "model/matcher.h"
#include "model/regex.h"
#include "event/loop.h"
#include "net/tls_session.h"
#include "net/tlsctx.h"
#include "proxy/filters.h"
#include "proxy/outlier.h"
#include "proxy/stock.h"

#define ROWS_MAX 65536

static const struct tally_set {
	const struct stat_desc *desc;
	const char *label;                      /* NULL: names are of several parts */
} sets[] = {
	{ &listener_stat_desc, "listener" },
	{ &cluster_stat_desc, "clusters" },
	{ &outlier_stat_desc, "clusters" },
	{ &overload_stat_desc, "process" },
	{ &ticket_stat_desc, "process" },
	{ &http_stat_desc, "worker" },
	{ &tls_session_stat_desc, "worker" },
	{ &loop_spin_stat_desc, "worker" },
	{ &stock_stat_desc, "worker" },
	{ &matcher_stat_desc, "worker" },
	{ &regex_stat_desc, "worker" },
	{ &route_stat_desc, "route" },
	{ &cluster_http_stat_desc, "cluster" },
	{ &call_stat_desc, NULL },
	{ &rpc_stat_desc, NULL },
	{ &filter_stat_desc, "filter" },
	{ &callout_stat_desc, "filter" },
	{ &host_stat_desc, NULL },
};

#define SETS (sizeof(sets) / sizeof(sets[0]))

struct row {
	const struct tally_set *set;
	char *key;                              /* set, NUL, name */
	struct slice name;
	_Atomic uint64_t v[];
};

static const struct tally_set *set_of(struct slice name)
{
	for (size_t i = 0; i < SETS; i++) {
		if (slice_eq_str(name, sets[i].desc->set))
			return &sets[i];
	}
	return NULL;
}

static char *key_make(const char *set, struct slice name, struct slice *out)
{
	size_t n = strlen(set) + 1;
	char *p = mem_alloc(n + name.n + 1);

	memcpy(p, set, n);
	if (name.n)
		memcpy(p + n, name.p, name.n);
	*out = (struct slice){ p, n + name.n };
	return p;
}

static struct row *row_new(struct tally *t, const struct tally_set *set, char *take_key, struct slice key)
{
	struct row *r = mem_alloc(sizeof(*r) + set->desc->n * sizeof(r->v[0]));
	size_t n = strlen(set->desc->set) + 1;

	r->set = set;
	r->key = take_key;
	r->name = (struct slice){ key.p + n, key.n - n };
	table_put(&t->rows, key, r);
	return r;
}

void tally_put(struct tally *t, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	const struct tally_set *s = set_of(set);
	struct slice key;
	struct row *r;
	char *copy;

	if (!s || n != s->desc->n)
		return;
	copy = key_make(s->desc->set, name, &key);
	r = table_get(&t->rows, key);
	if (r || t->rows.n >= ROWS_MAX)
		free(copy);
	else
		r = row_new(t, s, copy, key);
	for (size_t i = 0; r && i < n; i++)
		stat_set(&r->v[i], v[i]);
}

const _Atomic uint64_t *tally_get(const struct tally *t, const struct stat_desc *d, struct slice name)
{
	struct slice key;
	char *copy = key_make(d->set, name, &key);
	const struct row *r = table_get(&t->rows, key);

	free(copy);
	return r ? r->v : NULL;
}

void tally_each(const struct tally *t, const struct stat_desc *d, void (*fn)(void *arg, struct slice name), void *arg)
{
	for (struct table_entry *e = table_next(&t->rows, NULL); e; e = table_next(&t->rows, e)) {
		const struct row *r = e->value;

		if (r->set->desc == d)
			fn(arg, r->name);
	}
}

void tally_sweep(struct tally *t, const struct stat_desc *d, bool (*keep)(void *arg, struct slice name), void *arg)
{
	struct table_entry *next;

	for (struct table_entry *e = table_next(&t->rows, NULL); e; e = next) {
		struct row *r = e->value;

		next = table_next(&t->rows, e);
		if (r->set->desc != d || keep(arg, r->name))
			continue;
		table_del(&t->rows, e->key);
		free(r->key);
		free(r);
	}
}

void tally_clear(struct tally *t)
{
	for (struct table_entry *e = table_next(&t->rows, NULL); e; e = table_next(&t->rows, e)) {
		struct row *r = e->value;

		free(r->key);
		free(r);
	}
	table_fini(&t->rows);
	table_init(&t->rows, 0);
}

/* "orders|10.0.0.7|8080": the last two bars are the key's own. */
static const char *host_labels(struct arena *a, struct slice key)
{
	const char *port = memrchr(key.p, '|', key.n), *ip = port ? memrchr(key.p, '|', (size_t)(port - key.p)) : NULL;
	struct slice host, cluster;
	bool six;

	if (!ip)
		return arena_printf(a, "host=\"%s\"", stat_escape(a, key));
	cluster = (struct slice){ key.p, (size_t)(ip - key.p) };
	host = (struct slice){ ip + 1, (size_t)(port - ip - 1) };
	six = memchr(host.p, ':', host.n);
	return arena_printf(a, "cluster=\"%s\",host=\"%s%s%s:%.*s\"", stat_escape(a, cluster), six ? "[" : "", stat_escape(a, host),
			    six ? "]" : "", (int)(key.p + key.n - port - 1), port + 1);
}

void tally_call_name(struct slice name, struct slice *service, struct slice *method)
{
	const char *slash = name.n ? memrchr(name.p, '/', name.n) : NULL;

	*service = (struct slice){ name.p, slash ? (size_t)(slash - name.p) : 0 };
	*method = slash ? (struct slice){ slash + 1, name.n - service->n - 1 } : name;
}

static const char *call_labels(struct arena *a, struct slice name)
{
	struct slice service, method;

	tally_call_name(name, &service, &method);
	return arena_printf(a, "service=\"%s\",method=\"%s\"", stat_escape(a, service), stat_escape(a, method));
}

static const char *labels_of(struct arena *a, const struct row *r)
{
	if (r->set->desc == &call_stat_desc || r->set->desc == &rpc_stat_desc)
		return call_labels(a, r->name);
	return r->set->label ? arena_printf(a, "%s=\"%s\"", r->set->label, stat_escape(a, r->name)) : host_labels(a, r->name);
}

static void set_metrics(const struct tally *t, const struct tally_set *set, struct buf *out)
{
	VEC(struct stat_series) series = { 0 };
	struct arena labels;

	arena_init(&labels);
	for (struct table_entry *e = table_next(&t->rows, NULL); e; e = table_next(&t->rows, e)) {
		struct row *r = e->value;
		const void **one;

		if (r->set != set)
			continue;
		one = arena_alloc(&labels, sizeof(*one));
		*one = r->v;
		vec_push(&series, (struct stat_series){ labels_of(&labels, r), one, 1 });
	}
	if (series.n)
		stat_render(out, set->desc, series.v, series.n);
	vec_fini(&series);
	arena_fini(&labels);
}

void tally_metrics(const struct tally *t, struct buf *out)
{
	for (size_t i = 0; i < SETS; i++)
		set_metrics(t, &sets[i], out);
}

void tally_init(struct tally *t)
{
	table_init(&t->rows, 0);
}

void tally_fini(struct tally *t)
{
	tally_clear(t);
	table_fini(&t->rows);
}
