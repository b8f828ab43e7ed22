/* SPDX-License-Identifier: Apache-2.0 */
/* /overload: how full the proxy is, by what it counts, and what follows from it. */
#include "agent/agent.h"
#include "agent/view.h"

static uint64_t word(const _Atomic uint64_t *v, size_t i)
{
	return v ? stat_get(&v[i]) : 0;
}

#define WORD(v, name) word(v, offsetof(struct overload_stat, name) / sizeof(_Atomic uint64_t))

static uint64_t percent(uint64_t limit, uint32_t part)
{
	return limit / 100 * part + limit % 100 * part / 100;
}

static json_t *row(const char *name, uint64_t used, uint64_t limit, const struct overload_limits *l, const char *level)
{
	return json_pack("{ss ss sI sI sI sI}", "name", name, "level", level, "used", (json_int_t)used, "limit", (json_int_t)limit, "soft",
			 (json_int_t)percent(limit, l->soft), "hard", (json_int_t)percent(limit, l->hard));
}

void view_overload(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	const _Atomic uint64_t *v = tally_get(&a->tally, &overload_stat_desc, SLICE_LIT("proxy"));
	const struct overload_limits limits = agent_overload(a->config), *l = &limits;
	uint64_t at = WORD(v, level);
	const char *level = !v ? "unknown" : overload_level_names[at < OVERLOAD_LEVEL_COUNT ? at : 0];
	json_t *rows = json_array();

	(void)rq;
	json_array_append_new(rows, row("memory", WORD(v, memory), WORD(v, memory_limit), l, level));
	json_array_append_new(rows, row("connections", WORD(v, connections), WORD(v, connections_limit), l, level));
	json_array_append_new(rows, row("descriptors", WORD(v, descriptors), WORD(v, descriptors_limit), l, level));
	view_json(rs, json_pack("{ss sI sI so}", "level", level, "buffers", (json_int_t)WORD(v, buffers), "resident",
				(json_int_t)WORD(v, resident), "resources", rows));
}
