/* SPDX-License-Identifier: Apache-2.0 */
/* /methods: what was called of gRPC, by service and method. */
#include <string.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "model/dump.h"
#include "model/http_stat.h"

struct listing {
	const struct agent *agent;
	json_t *list;
};

static json_int_t count_of(const json_t *counts, const char *row)
{
	return json_integer_value(json_object_get(counts, row));
}

/* Those that came, with their numbers: "ok 12", "unavailable 1". Rows by status lie between calls and local. */
static json_t *statuses(const json_t *counts)
{
	json_t *list = json_array();

	for (size_t i = 1; strcmp(call_stat_desc.rows[i].name, "local"); i++) {
		const char *name = call_stat_desc.rows[i].name;

		if (count_of(counts, name))
			json_array_append_new(list, json_sprintf("%s %lld", name, (long long)count_of(counts, name)));
	}
	return list;
}

/* Behind those whose name comes before its own. */
static size_t place_of(const json_t *list, struct slice name)
{
	size_t i = json_array_size(list);

	while (i && slice_cmp(slice_str(json_string_value(json_object_get(json_array_get(list, i - 1), "name"))), name) > 0)
		i--;
	return i;
}

static void add(void *arg, struct slice name)
{
	struct listing *l = arg;
	json_t *counts = json_object();
	struct slice service, method;
	json_int_t calls;

	view_counts(l->agent, &call_stat_desc, name, counts);
	calls = count_of(counts, "calls");
	json_object_set_new(counts, "failed", json_integer(calls - count_of(counts, "ok")));
	json_object_set_new(counts, "mean_us", json_integer(calls ? count_of(counts, "took_us") / calls : 0));
	tally_call_name(name, &service, &method);
	json_array_insert_new(l->list, place_of(l->list, name), json_pack("{so so so so so}", "name", dump_text(name), "service", dump_text(service), "method",
						 dump_text(method), "statuses", statuses(counts), "counts", counts));
}

void view_methods(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct listing l = { a, json_array() };

	(void)rq;
	tally_each(&a->tally, &call_stat_desc, add, &l);
	view_json(rs, json_pack("{so}", "methods", l.list));
}
