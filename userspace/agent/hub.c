/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weft/log.h"
#include "weft/str.h"

STAT_DEFINE(hub_stat, "hub", HUB_STATS);

static bool unwell(const struct hub_source *s)
{
	return s->health || s->refusal_words;
}

static void recount(struct hub *h)
{
	uint64_t n = 0, bad = 0, waiting = 0, pending = 0;

	list_for(p, &h->sources) {
		const struct hub_source *s = container_of(p, struct hub_source, node);

		n++;
		bad += unwell(s);
		waiting += !s->synced;
		pending += s->refused_tx != NULL;
	}
	stat_set(&h->stat.sources, n);
	stat_set(&h->stat.sources_unwell, bad);
	stat_set(&h->stat.sources_unsynced, waiting);
	stat_set(&h->stat.pending, pending);
}

/* ---- verdicts ----------------------------------------------------------------------------------------------- */

/* Kept for the views; logged for a registry that hears no verdicts, as the others report it by health(). */
static void say_refused(struct hub_source *s, const struct registry_verdict *v)
{
	bool tell_log = !s->registry || !s->registry->ops->verdict;
	char where[256];
	char *words = NULL;

	for (size_t i = 0; i < v->nrefused; i++) {
		const struct registry_refusal *r = &v->refused[i];
		char *more;

		fact_mark_name(&r->mark, where, sizeof(where));
		if (tell_log)
			log_error(s->name, "%s: %s %.*s: %s", where, fact_words[r->kind], SLICE_ARG(r->key), r->why);
		more = mem_printf("%s%s%s: %s %.*s: %s", words ? words : "", words ? "; " : "", where, fact_words[r->kind],
				  SLICE_ARG(r->key), r->why);
		free(words);
		words = more;
		if (i == 9)
			break;
	}
	free(s->refusal_words);
	s->refusal_words = words ? words : mem_str("transaction refused");
}

static void tell(struct hub_source *s, const struct registry_verdict *v)
{
	if (s->registry && s->registry->ops->verdict)
		s->registry->ops->verdict(s->registry, v);
}

/* "version 7: 2 services, 1 cluster changed"; nothing of one that changed nothing. */
static void say_changes(const struct hub_source *s, const struct store_tx *tx, uint64_t version)
{
	size_t n[FACT_KINDS], used = 0;
	char words[FACT_KINDS * 48];

	if (!store_changes(tx, n)) {
		log_debug(s->name, "version %llu: nothing changed", (unsigned long long)version);
		return;
	}
	for (int k = 0; k < FACT_KINDS; k++) {
		const char *word = fact_words[k];
		int y = n[k] != 1 && word[strlen(word) - 1] == 'y';

		if (n[k])
			used += snprintf(words + used, sizeof(words) - used, "%s%zu %.*s%s", used ? ", " : "", n[k],
					 (int)strlen(word) - y, word, n[k] == 1 ? "" : y ? "ies" : "s");
	}
	log_info(s->name, "version %llu: %s changed", (unsigned long long)version, words);
}

static void accept_tx(struct hub_source *s, const struct store_tx *tx, const struct registry_verdict *v)
{
	s->taken++;
	s->version = v->version;
	free(s->refusal_words);
	s->refusal_words = NULL;
	stat_add(&s->hub->stat.taken, 1);
	say_changes(s, tx, v->version);
	tell(s, v);
	s->hub->changed(s->hub->arg);
}

/* What others lacked may be there now. Each success may help another, so it starts over; each round takes one at least. */
static void retry_refused(struct hub *h)
{
	struct registry_verdict v;
	bool again = true;

	if (h->retrying)
		return;
	h->retrying = true;
	while (again) {
		again = false;
		list_for(p, &h->sources) {
			struct hub_source *s = container_of(p, struct hub_source, node);
			struct store_tx *tx = s->refused_tx;

			if (!tx || s->leaving)
				continue;
			stat_add(&h->stat.retried, 1);
			if (!store_commit(tx, s->refused_version, &v))
				continue;
			s->refused_tx = NULL;
			log_info(s->name, "version %llu, refused before, is taken now", (unsigned long long)v.version);
			accept_tx(s, tx, &v);
			store_end(tx);
			again = true;
		}
	}
	h->retrying = false;
}

/* ---- the sink ----------------------------------------------------------------------------------------------- */

static void sink_begin(void *arg)
{
	struct hub_source *s = arg;

	store_end(s->tx);
	s->tx = store_begin(s->hub->store, slice_str(s->name));
}

static void sink_put(void *arg, struct fact *take_fact)
{
	struct hub_source *s = arg;

	hub_seen(s->hub, take_fact);
	store_put(s->tx, take_fact);
}

void hub_seen(struct hub *h, const struct fact *f)
{
	if (h->seen)
		h->seen(h->seen_arg, f);
}

static void sink_del(void *arg, enum fact_kind kind, struct slice key)
{
	store_del(((struct hub_source *)arg)->tx, kind, key);
}

static void sink_commit(void *arg, uint64_t version)
{
	struct hub_source *s = arg;
	struct store_tx *tx = s->tx;
	struct registry_verdict v;

	/* A registry says what differs from what was taken, so its newest transaction stands for the refused one too. */
	s->tx = NULL;
	store_end(s->refused_tx);
	s->refused_tx = NULL;
	if (store_commit(tx, version, &v)) {
		accept_tx(s, tx, &v);
		store_end(tx);
		retry_refused(s->hub);
	} else {
		s->refused++;
		stat_add(&s->hub->stat.refused, 1);
		say_refused(s, &v);
		s->refused_tx = tx;
		s->refused_version = version;
		tell(s, &v);
	}
	recount(s->hub);
}

static void say_all(const struct registry_verdict *v, void (*say)(void *arg, const char *line), void *arg)
{
	for (size_t i = 0; i < v->nrefused; i++) {
		const struct registry_refusal *r = &v->refused[i];
		char *line = mem_printf("%.*s:%u: %s %.*s: %s", SLICE_ARG(r->mark.file), r->mark.line, fact_words[r->kind],
					SLICE_ARG(r->key), r->why);

		say(arg, line);
		free(line);
	}
}

bool hub_replace(struct hub_source *s, struct store_tx *take_tx, uint64_t version,
		 void (*say)(void *arg, const char *line), void *arg)
{
	struct registry_verdict v;
	bool taken = store_commit(take_tx, version, &v);

	if (taken) {
		store_end(s->refused_tx);
		s->refused_tx = NULL;
		accept_tx(s, take_tx, &v);
	} else {
		say_all(&v, say, arg);
	}
	store_end(take_tx);
	if (taken)
		retry_refused(s->hub);
	recount(s->hub);
	return taken;
}

static void sink_synced(void *arg)
{
	struct hub_source *s = arg;

	if (!s->synced)
		log_info(s->name, "first full state is here");
	s->synced = true;
	recount(s->hub);
}

static void sink_health(void *arg, int err, const char *words)
{
	struct hub_source *s = arg;

	if (err && (!s->health || strcmp(s->health_words, words)))
		log_error(s->name, "%s", words);
	else if (!err && s->health)
		log_info(s->name, "well again");
	s->health = err;
	free(s->health_words);
	s->health_words = err ? mem_str(words) : NULL;
	recount(s->hub);
}

const struct registry_sink hub_sink = {
	.begin = sink_begin,
	.put = sink_put,
	.del = sink_del,
	.commit = sink_commit,
	.synced = sink_synced,
	.health = sink_health,
};

/* ---- life --------------------------------------------------------------------------------------------------- */

void hub_init(struct hub *h, struct store *store, void (*changed)(void *arg), void *arg)
{
	*h = (struct hub){ .store = store, .changed = changed, .arg = arg };
	list_init(&h->sources);
}

void hub_fini(struct hub *h)
{
	if (!h->store)
		return;
	list_for(p, &h->sources)
		hub_remove(container_of(p, struct hub_source, node));
	h->store = NULL;
}

void hub_add(struct hub *h, struct hub_source *s, const char *name, const char *type, struct registry *r)
{
	*s = (struct hub_source){ .hub = h, .registry = r, .name = name, .type = type };
	list_add_tail(&h->sources, &s->node);
	recount(h);
}

void hub_remove(struct hub_source *s)
{
	list_del(&s->node);
	store_end(s->tx);
	store_end(s->refused_tx);
	free(s->health_words);
	free(s->refusal_words);
	s->tx = s->refused_tx = NULL;
	s->health_words = s->refusal_words = NULL;
}

const char *hub_health(const struct hub *h, bool *synced, char *out, size_t size)
{
	*synced = true;
	out[0] = '\0';
	list_for(p, &h->sources) {
		const struct hub_source *s = container_of(p, struct hub_source, node);

		*synced &= s->synced;
		if (!out[0] && unwell(s))
			snprintf(out, size, "%s: %s", s->name, s->health_words ? s->health_words : s->refusal_words);
		else if (!out[0] && !s->synced)
			snprintf(out, size, "%s: waiting for its first full state", s->name);
	}
	return out;
}
