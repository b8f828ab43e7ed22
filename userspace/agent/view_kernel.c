/* SPDX-License-Identifier: Apache-2.0 */
/* /kernel, /kernel/maps/NAME, /kernel/reasons: what runs in the kernel and what it counted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/report.h"
#include "agent/view.h"
#include "kern/read.h"
#include "model/dump.h"
#include "weft/str.h"

#define ENTRIES_DFLT 100
#define ENTRIES_MAX 100000

static bool map_json(void *arg, const struct read_map *m)
{
	json_t *o = json_pack("{ss ss ss ss si si si si sI sb}", "name", m->name, "type", m->type, "owner", m->owner, "pin",
			      m->pin, "id", (int)m->id, "keySize", (int)m->key_size, "valueSize", (int)m->value_size,
			      "maxEntries", (int)m->max_entries, "bytes", (json_int_t)m->bytes, "frozen", m->frozen_layout);

	if (m->used != UINT32_MAX)
		json_object_set_new(o, "used", json_integer(m->used));
	json_array_append_new(arg, o);
	return true;
}

static bool prog_json(void *arg, const struct read_prog *p)
{
	json_t *o = json_pack("{ss ss ss ss si si sb si}", "name", p->name, "object", p->object, "attach", p->attach, "tag",
			      p->tag, "id", (int)p->id, "linkId", (int)p->link_id, "attached", p->attached, "instructions",
			      (int)p->insns);

	if (p->run_cnt) {
		json_object_set_new(o, "runs", json_integer(p->run_cnt));
		json_object_set_new(o, "nsPerRun", json_integer(p->run_time_ns / p->run_cnt));
	}
	json_array_append_new(arg, o);
	return true;
}

static json_t *flags_json(uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words[] = {
		{ CTL_CONNECT, "connect" },	  { CTL_SHORT_CIRCUIT, "shortCircuit" }, { CTL_KILL, "kill" },
		{ CTL_NO_SPLICE, "assumeNoSplice" }, { CTL_LEAVE_MAP, "leaveMap" },	 { CTL_UNMANAGED_OK, "unmanaged" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (flags & words[i].bit)
			json_array_append_new(list, json_string(words[i].word));
	return list;
}

static const char *summary(const struct kern_status *s, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s%s%s", kern_rung_names[s->rung], s->why[0] ? ": " : "", s->why, s->attached ? ", attached to " : "",
		 s->attached ? s->cgroup : "");
	return out;
}

void view_kernel(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	static const char *const credit[] = { "none", "queue_empty", "msg_tot_len" };
	json_t *maps = json_array(), *progs = json_array();
	struct kern_status s;
	char words[512];

	(void)rq;
	kern_status(a->kern, &s);
	read_maps(a->kern, map_json, maps);
	read_progs(a->kern, prog_json, progs);
	view_json(rs, json_pack("{so ss so so* ss ss ss sb ss sI so so so so so}", "summary",
				dump_text(slice_str(summary(&s, words, sizeof(words)))),
				"rung", kern_rung_names[s.rung], "why", dump_text(slice_str(s.why)),
				"degraded", s.degraded ? dump_text(slice_str(s.degraded)) : NULL, "cgroup", s.cgroup, "pins",
				s.pin_dir, "loaded", s.loaded ? s.loaded : "", "attached", s.attached, "credit", credit[s.credit],
				"snapshot", (json_int_t)s.snapshot, "flags", flags_json(s.flags), "programs", progs, "maps", maps,
				"features", report_features(&a->features), "selfTest", report_selftest(&a->judge.answer)));
}

static bool entry_json(void *arg, const char *json)
{
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);

	json_array_append_new(arg, v ? v : json_string(json));
	return true;
}

void view_kernel_map(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	static const size_t prefix = sizeof("/kernel/maps/") - 1;
	json_t *list = json_array();
	long limit = ENTRIES_DFLT;
	char name[64], text[32];
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)(rq->path.n - prefix), rq->path.p + prefix);
	if (http_query(rq->query, "limit", text, sizeof(text)))
		limit = strtol(text, NULL, 10);
	if (limit < 1 || limit > ENTRIES_MAX) {
		view_error(rs, 400, "limit: must be 1 to %d", ENTRIES_MAX);
		json_decref(list);
		return;
	}
	err = read_entries(a->kern, name, limit, entry_json, list);
	if (err == -EOPNOTSUPP) {
		view_json(rs, json_pack("{ss so ss}", "map", name, "entries", list, "note",
					"what it holds hangs on sockets or passes through, and cannot be listed; /connections shows connections"));
		return;
	}
	if (err < 0) {
		view_error(rs, err == -ENOENT ? 404 : 500, "map %s: %s", name,
			   err == -ENOENT ? "no such map; /kernel lists them" : strerror(-err));
		json_decref(list);
		return;
	}
	view_json(rs, json_pack("{ss so}", "map", name, "entries", list));
}

void view_kernel_reasons(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	static const char *const classes[] = {
#define CLASS_WORD(name, class, label, text) [REASON_##name] = #class,
		REASONS(CLASS_WORD)
#undef CLASS_WORD
	};
	json_t *list = json_array();
	uint64_t n[REASON_MAX];

	(void)rq;
	read_reasons(a->kern, n);
	for (unsigned i = 0; i < REASON_MAX; i++)
		json_array_append_new(list, json_pack("{ss ss sI ss}", "name", read_reason_name(i), "class", classes[i], "count",
						      (json_int_t)n[i], "text", read_reason_text(i)));
	view_json(rs, json_pack("{so}", "reasons", list));
}
