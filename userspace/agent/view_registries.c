/* SPDX-License-Identifier: Apache-2.0 */
/* Registries: what they gave, what became of it, and what they ask others. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/stat_text.h"
#include "client/watch.h"
#include "model/dump.h"
#include "weft/str.h"

struct watch_list {
	json_t *list;
	uint64_t now_ns;
};

/* seconds: since it is answered, or fails. */
static void add_watch(void *arg, const struct watch_state *s)
{
	struct watch_list *l = arg;
	json_t *j = json_pack("{so ss sI so}", "url", dump_text(s->url), "state",
			      s->answered ? "answered" : s->since_ns ? "failing" : s->tries ? "asked" : "not asked yet", "tries",
			      (json_int_t)s->tries, "error", s->error[0] ? dump_text(slice_str(s->error)) : json_null());

	if (s->since_ns)
		json_object_set_new(j, "seconds", json_integer((json_int_t)((l->now_ns - s->since_ns) / SEC)));
	json_array_append_new(l->list, j);
}

/* In one line, for a table. */
static json_t *watches_text(const json_t *list)
{
	const json_t *first = json_array_get(list, 0);
	const char *error = json_string_value(json_object_get(first, "error"));
	char more[32] = "", text[WATCH_WORDS_MAX + 600];
	size_t n = json_array_size(list);

	if (!first)
		return json_null();
	if (n > 1)
		snprintf(more, sizeof(more), ", and %zu more", n - 1);
	snprintf(text, sizeof(text), "%s: %s for %llds%s%s%s", json_string_value(json_object_get(first, "url")),
		 json_string_value(json_object_get(first, "state")),
		 (long long)json_integer_value(json_object_get(first, "seconds")), error ? ", last error: " : "", error ? error : "", more);
	return dump_text(slice_str(text));
}

static void put_watches(struct agent *a, const struct hub_source *s, json_t *row)
{
	const struct client *c = sources_client(&a->sources, s->name);
	struct watch_list l = { json_array(), a->loop.now_ns };

	if (c)
		watch_each(c, add_watch, &l);
	json_object_set_new(row, "watching", watches_text(l.list));
	json_object_set_new(row, "watches", l.list);
}

void view_registries(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	json_t *list = json_array();

	(void)rq;
	list_for(p, &a->hub.sources) {
		const struct hub_source *s = container_of(p, struct hub_source, node);
		const char *state = s->health_words    ? s->health_words
				    : s->refusal_words ? s->refusal_words
				    : s->synced	       ? "well"
						       : "waiting for the first full state";

		json_t *row = json_pack("{ss ss sb sb sI sI sI so}", "name", s->name, "type", s->type, "synced",
						      s->synced, "ok", !s->health_words && !s->refusal_words, "version",
						      (json_int_t)s->version, "taken", (json_int_t)s->taken, "refused",
						      (json_int_t)s->refused, "message", dump_text(slice_str(state)));

		put_watches(a, s, row);
		json_array_append_new(list, row);
	}
	view_json(rs, json_pack("{so}", "registries", list));
}

/* ---- counters ----------------------------------------------------------------------------------------------- */

struct watch_metric {
	const char *name, *type, *help;
};

static const struct watch_metric watch_metrics[] = {
	{ "weft_client_watches", "gauge", "what a registry watches" },
	{ "weft_client_reconnects_total", "counter", "tries of a registry's watches, but for the first of each" },
};

static void count_watch(void *arg, const struct watch_state *s)
{
	(void)s;
	++*(unsigned *)arg;
}

/* Of a registry that never watched anything there is no row. */
static void put_row(struct buf *b, const struct watch_metric *m, const struct client *c, const char *label)
{
	unsigned n = 0;

	watch_each(c, count_watch, &n);
	if (n || c->rewatches)
		buf_printf(b, "%s{registry=\"%s\"} %llu\n", m->name, label, m == watch_metrics ? n : (unsigned long long)c->rewatches);
}

void view_watch_metrics(struct agent *a, struct buf *b)
{
	struct arena labels;

	arena_init(&labels);
	for (size_t i = 0; i < sizeof(watch_metrics) / sizeof(watch_metrics[0]); i++) {
		const struct watch_metric *m = &watch_metrics[i];

		buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
		list_for(p, &a->hub.sources) {
			const char *name = container_of(p, struct hub_source, node)->name;
			const struct client *c = sources_client(&a->sources, name);

			if (c)
				put_row(b, m, c, stat_escape(&labels, slice_str(name)));
		}
	}
	arena_fini(&labels);
}
