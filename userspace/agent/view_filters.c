/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /filters: the filters and net filters that listeners and rules name: where, whom they ask, and what they count. And those that one
 * request passes, for explain.
 */
#include "agent/agent.h"
#include "agent/view.h"
#include "base/extensions.h"
#include "conf/extension_rows.h"
#include "model/dump.h"
#include "proxy/filters.h"
#include "weft/str.h"

/* One of them, looked for in all places. */
struct naming {
	const struct snapshot *s;
	struct slice type;
	json_t *of, *asks;
};

static void ask_add(json_t *asks, struct slice cluster)
{
	json_t *name = dump_text(cluster);
	size_t i = 0;

	while (i < json_array_size(asks) && !json_equal(json_array_get(asks, i), name))
		i++;
	if (i == json_array_size(asks))
		json_array_append(asks, name);
	json_decref(name);
}

static void asks_add(json_t *asks, const struct extension_use *u)
{
	for (size_t i = 0; u && i < u->nclusters; i++)
		ask_add(asks, u->clusters[i]);
}

/* Whether a place names it; then also whom it asks there. */
static bool named(struct naming *x, const struct extension_use *v, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!slice_eq(v[i].type, x->type))
			continue;
		any = true;
		asks_add(x->asks, &v[i]);
	}
	return any;
}

static void look_at_listeners(struct naming *x, bool net)
{
	struct fact_set set = snapshot_facts(x->s, FACT_LISTENER);

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		if (net ? named(x, l->net_filters, l->nnet_filters) : named(x, l->filters, l->nfilters))
			json_array_append_new(x->of, json_sprintf("listener %.*s", SLICE_ARG(l->name)));
	}
}

static void look_at_routes(struct naming *x)
{
	struct fact_set set = snapshot_facts(x->s, FACT_ROUTE);

	for (size_t i = 0; i < set.n; i++) {
		const struct route *r = (const struct route *)set.v[i];

		for (size_t k = 0; k < r->nrules; k++)
			if (named(x, r->rules[k].filters, r->rules[k].nfilters))
				json_array_append_new(x->of, json_sprintf("route %.*s rule %zu", SLICE_ARG(r->name), k));
	}
}

/* Those that did not bring an answer, for whatever reason but their owner's. */
static json_t *calls_json(const struct agent *a, struct slice name)
{
	static const char *const failed[] = { "timeouts", "unreachable", "broken", "too_large", "overflows", "refused" };
	json_t *calls = json_object();
	json_int_t sum = 0;

	view_counts(a, &callout_stat_desc, name, calls);
	for (size_t i = 0; i < sizeof(failed) / sizeof(failed[0]); i++)
		sum += json_integer_value(json_object_get(calls, failed[i]));
	if (json_object_size(calls))
		json_object_set_new(calls, "failed", json_integer(sum));
	return calls;
}

static void add(const struct agent *a, json_t *list, const char *name, bool net)
{
	struct naming x = { a->publish.now, slice_str(name), json_array(), json_array() };
	json_t *o = json_pack("{ss ss so so}", "name", name, "kind", net ? "net filter" : "filter", "of", x.of, "asks", x.asks);

	look_at_listeners(&x, net);
	if (!net)
		look_at_routes(&x);
	if (!net)
		view_counts_member(a, &filter_stat_desc, x.type, o);
	json_object_set_new(o, "calls", calls_json(a, x.type));
	if (json_array_size(x.of))
		json_array_append(list, o);
	json_decref(o);
}

void view_filters(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	json_t *list = json_array();

	(void)rq;
	for (size_t i = 0; a->publish.now && extensions.net_filters[i]; i++)
		add(a, list, extensions.net_filters[i]->name, true);
	for (size_t i = 0; a->publish.now && extensions.filters[i]; i++)
		add(a, list, extensions.filters[i]->name, false);
	view_json(rs, json_pack("{so}", "filters", list));
}

/* ---- of one request ------------------------------------------------------------------------------------------ */

/* What it works with, defaults included. */
static void settings_add(json_t *o, const char *member, const struct extension_use *u, enum extension_place place)
{
	const struct filter_ops *ops = u ? extension_find(EXTENSION_filter, u->type) : NULL;

	if (ops) {
		const struct settings_kind kind = filter_settings(ops, place);

		view_settings(o, member, &kind, u->settings);
	}
}

static const struct extension_use *use_find(const struct extension_use *v, size_t n, struct slice type)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(v[i].type, type))
			return &v[i];
	return NULL;
}

/* One of them may be NULL. */
static json_t *use_json(const struct extension_use *of_listener, const struct extension_use *of_rule)
{
	json_t *asks = json_array();
	json_t *o = json_pack("{so ss so}", "type", dump_text((of_listener ? of_listener : of_rule)->type), "of",
			      of_listener && of_rule ? "listener and rule" : of_rule ? "rule" : "listener", "asks", asks);

	settings_add(o, "settings", of_listener, EXTENSION_OF_LISTENER);
	settings_add(o, "ruleSettings", of_rule, EXTENSION_OF_RULE);
	asks_add(asks, of_listener);
	asks_add(asks, of_rule);
	return o;
}

json_t *view_filters_of(const struct listener *l, const struct route_rule *r)
{
	json_t *list = json_array();

	for (size_t i = 0; l && i < l->nfilters; i++)
		json_array_append_new(list, use_json(&l->filters[i], use_find(r->filters, r->nfilters, l->filters[i].type)));
	for (size_t i = 0; i < r->nfilters; i++)
		if (!l || !use_find(l->filters, l->nfilters, r->filters[i].type))
			json_array_append_new(list, use_json(NULL, &r->filters[i]));
	return list;
}
