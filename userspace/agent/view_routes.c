/* SPDX-License-Identifier: Apache-2.0 */
/* /routes: rules in the words of the configuration, and who has them. */
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/route_words.h"
#include "agent/view.h"
#include "model/dump.h"
#include "model/http_stat.h"
#include "weft/str.h"

static json_t *take_words(char *take_text)
{
	json_t *j = dump_text(slice_str(take_text));

	free(take_text);
	return j;
}

static json_t *names(const struct slice *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, dump_text(v[i]));
	return list;
}

static json_t *mark_text(const struct fact *f)
{
	struct fact_mark m = fact_mark(f);
	char out[256];

	return dump_text(slice_str(fact_mark_name(&m, out, sizeof(out))));
}

static json_t *rule_json(const struct route_rule *r, size_t i)
{
	json_t *matches = json_array();

	for (size_t k = 0; k < r->nmatches || !k; k++)
		json_array_append_new(matches, take_words(route_match_words(r->nmatches ? &r->matches[k] : NULL)));
	return json_pack("{si so so si si}", "index", (int)i, "matches", matches, "action", take_words(route_action_words(r)),
			 "timeoutMs", (int)r->timeout_ms, "retries", (int)r->retries);
}

/* Names of the listeners or services whose routes have this one. */
static json_t *users_json(const struct snapshot *s, enum fact_kind kind, struct slice route)
{
	struct fact_set set = snapshot_facts(s, kind);
	json_t *list = json_array();

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];
		const struct service_fact *sv = (const struct service_fact *)set.v[i];
		const struct slice *v = kind == FACT_LISTENER ? l->routes : sv->routes;
		size_t n = kind == FACT_LISTENER ? l->nroutes : sv->nroutes, k = 0;

		while (k < n && !slice_eq(v[k], route))
			k++;
		if (k < n)
			json_array_append_new(list, dump_text(set.v[i]->key));
	}
	return list;
}

static json_t *route_json(const struct agent *a, const struct snapshot *s, const struct route *r)
{
	json_t *rules = json_array(), *o;

	for (size_t i = 0; i < r->nrules; i++)
		json_array_append_new(rules, rule_json(&r->rules[i], i));
	o = json_pack("{so so so so so so}", "name", dump_text(r->name), "hosts", names(r->hosts, r->nhosts), "rules", rules,
			 "listeners", users_json(s, FACT_LISTENER, r->name), "services", users_json(s, FACT_SERVICE, r->name),
			 "source", mark_text(&r->fact));
	view_counts_member(a, &route_stat_desc, r->name, o);
	return o;
}

void view_routes(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct fact_set set = a->publish.now ? snapshot_facts(a->publish.now, FACT_ROUTE) : (struct fact_set){ 0 };
	json_t *list = json_array();

	(void)rq;
	for (size_t i = 0; i < set.n; i++)
		json_array_append_new(list, route_json(a, a->publish.now, (const struct route *)set.v[i]));
	view_json(rs, json_pack("{so}", "routes", list));
}
