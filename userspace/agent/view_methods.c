/* SPDX-License-Identifier: Apache-2.0 */
/* /methods: what was called of gRPC and of RPC protocols, by service and method. */
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

static void put(struct listing *l, struct slice name, json_int_t calls, json_int_t failed, json_t *statuses, json_t *counts)
{
	struct slice service, method;

	json_object_set_new(counts, "failed", json_integer(failed));
	json_object_set_new(counts, "mean_us", json_integer(calls ? count_of(counts, "took_us") / calls : 0));
	tally_call_name(name, &service, &method);
	json_array_insert_new(l->list, place_of(l->list, name),
			      json_pack("{so so so so so}", "name", dump_text(name), "service", dump_text(service), "method",
					dump_text(method), "statuses", statuses, "counts", counts));
}

static void add(void *arg, struct slice name)
{
	struct listing *l = arg;
	json_t *counts = json_object();

	view_counts(l->agent, &call_stat_desc, name, counts);
	put(l, name, count_of(counts, "calls"), count_of(counts, "calls") - count_of(counts, "ok"), statuses(counts), counts);
}

/* By the class of what stands for its status. */
static json_t *classes(const json_t *counts)
{
	static const char *const rows[][2] = { { "2xx", "answers_2xx" }, { "3xx", "answers_3xx" }, { "4xx", "answers_4xx" },
					       { "5xx", "answers_5xx" }, { "oneway", "oneways" } };
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (count_of(counts, rows[i][1]))
			json_array_append_new(list, json_sprintf("%s %lld", rows[i][0], (long long)count_of(counts, rows[i][1])));
	return list;
}

static void add_rpc(void *arg, struct slice name)
{
	struct listing *l = arg;
	json_t *counts = json_object();
	json_int_t calls;

	view_counts(l->agent, &rpc_stat_desc, name, counts);
	calls = count_of(counts, "requests");
	json_object_set_new(counts, "calls", json_integer(calls));
	json_object_set_new(counts, "ok", json_integer(count_of(counts, "answers_2xx")));
	put(l, name, calls, calls - count_of(counts, "answers_2xx"), classes(counts), counts);
}

void view_methods(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct listing l = { a, json_array() };

	(void)rq;
	tally_each(&a->tally, &call_stat_desc, add, &l);
	tally_each(&a->tally, &rpc_stat_desc, add_rpc, &l);
	view_json(rs, json_pack("{so}", "methods", l.list));
}
