// SPDX-License-Identifier: Apache-2.0
/*
 * From units to transactions. Everything that changed is tried at once; the store names the facts
 * that it refuses, their units are set aside and the rest is tried again, so that one wrong file
 * does not keep the others back. What was set aside goes to the hub last: it is refused again, and
 * kept there until another registry brings what it lacked.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "registry/file_priv.h"
#include "weft/str.h"

enum outcome { NOTHING, AGAIN, TAKEN, REFUSED };

static const char *const kind_words[FACT_KINDS] = {
#define KIND_WORD_(KIND, type, word) word,
	FACTS(KIND_WORD_)
#undef KIND_WORD_
};

/* ---- keys ------------------------------------------------------------------------------------ */

/* Kind and key as one: what tables are looked up by. */
static struct slice keys_add(struct keys *k, enum fact_kind kind, struct slice key)
{
	uint16_t len = (uint16_t)key.n;
	size_t need = k->n + sizeof(len) + 1 + len;
	char *p;

	if (need > k->cap) {
		k->cap = need > 2 * k->cap ? need : 2 * k->cap;
		k->p = mem_realloc(k->p, k->cap);
	}
	p = k->p + k->n;
	memcpy(p, &len, sizeof(len));
	p[sizeof(len)] = (char)kind;
	memcpy(p + sizeof(len) + 1, key.p, len);
	k->n = need;
	return (struct slice){p + sizeof(len), len + 1u};
}

/* *at = 0 at first; false at the end. */
static bool keys_next(const struct keys *k, size_t *at, struct slice *id)
{
	uint16_t len;

	if (*at == k->n)
		return false;
	memcpy(&len, k->p + *at, sizeof(len));
	*id = (struct slice){k->p + *at + sizeof(len), len + 1u};
	*at += sizeof(len) + 1 + len;
	return true;
}

static void keys_fini(struct keys *k)
{
	free(k->p);
	*k = (struct keys){0};
}

static enum fact_kind id_kind(struct slice id)
{
	return (enum fact_kind)id.p[0];
}

static struct slice id_key(struct slice id)
{
	return (struct slice){id.p + 1, id.n - 1};
}

/* ---- unit ------------------------------------------------------------------------------------ */

void unit_init(struct file_state *s, struct unit *u, struct file *f)
{
	*u = (struct unit){.file = f};
	list_add_tail(&s->units, &u->node);
}

static void index_drop(struct unit *u)
{
	if (u->indexed)
		table_fini(&u->index);
	u->indexed = false;
}

void unit_fini(struct unit *u)
{
	list_del(&u->node);
	index_drop(u);
	keys_fini(&u->now);
	keys_fini(&u->next);
	free(u->refusal);
}

static bool unit_gives(struct unit *u, struct slice id)
{
	struct slice each;
	size_t at = 0;

	if (!u->indexed) {
		table_init(&u->index, 0);
		while (keys_next(&u->next, &at, &each))
			table_put(&u->index, each, u);
		u->indexed = true;
	}
	return table_get(&u->index, id) != NULL;
}

static struct kube_unit *kube_of(struct unit *u)
{
	return container_of(u, struct kube_unit, unit);
}

/* "/etc/weft/services.d/web.yaml", "Service web.default" */
static const char *unit_name(struct unit *u, char *out, size_t size)
{
	if (u->file)
		snprintf(out, size, "%s", u->file->path);
	else
		snprintf(out, size, "Service %.*s", SLICE_ARG(kube_of(u)->key));
	return out;
}

void unit_refuse(struct unit *u, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	/* The first reason stands. */
	if (!u->refusal)
		u->refusal = mem_str(words);
}

/* Two units may not give the same fact; hosts go with their cluster. */
static struct unit *claimed(struct file_state *s, struct unit *u, struct slice id)
{
	struct unit *other = table_get(&s->given, id), *owner = table_get(&s->owners, id);

	if (other)
		return other;
	return owner && owner != u && !owner->active ? owner : NULL;
}

void unit_put(struct file_state *s, struct unit *u, struct fact *take_f)
{
	struct fact_mark m = fact_mark(take_f);
	char who[512];
	struct slice id;
	struct unit *other;

	if (u->refusal) {
		fact_drop(take_f);
		return;
	}
	id = keys_add(&u->next, take_f->kind, take_f->key);
	other = take_f->kind == FACT_HOST ? NULL : claimed(s, u, id);
	if (other) {
		unit_refuse(u, "%.*s:%u: %s %.*s is given by %s already", SLICE_ARG(m.file), m.line,
			    kind_words[take_f->kind], SLICE_ARG(take_f->key),
			    unit_name(other, who, sizeof(who)));
		fact_drop(take_f);
		return;
	}
	if (take_f->kind != FACT_HOST)
		table_put(&s->given, id, u);
	s->r->sink->put(s->r->sink_arg, take_f);
}

/* ---- one attempt ----------------------------------------------------------------------------- */

/*
 * False: it is out, and since others may have built on what it would have given up, the attempt
 * starts over.
 */
static bool emit(struct file_state *s, struct unit *u)
{
	bool ok = true;

	u->next.n = 0;
	index_drop(u);
	u->touched = false;
	if (u->file)
		ok = file_emit(u->file);
	else
		kube_emit(s, kube_of(u));
	if (ok && !u->refusal)
		return true;
	u->active = false;
	/* Nothing of it was put, and there is nothing that it could have given up. */
	return !u->refusal && !u->now.n;
}

static void del(struct file_state *s, struct unit *u, struct slice id)
{
	struct slice key = id_key(id), cluster = key;
	struct unit *other;
	char by[512];
	const char *bar;

	if (id_kind(id) != FACT_HOST) {
		if (!table_get(&s->given, id))
			s->r->sink->del(s->r->sink_arg, id_kind(id), key);
		return;
	}
	bar = memchr(key.p, '|', key.n);
	cluster.n = bar ? (size_t)(bar - key.p) : key.n;
	by[0] = FACT_CLUSTER;
	memcpy(by + 1, cluster.p, cluster.n < sizeof(by) - 1 ? cluster.n : sizeof(by) - 1);
	other = table_get(&s->given, (struct slice){by, cluster.n + 1});
	/* The cluster moved to another file: that one has put the host too. */
	if (!other || other == u || !unit_gives(other, id))
		s->r->sink->del(s->r->sink_arg, FACT_HOST, key);
}

static void dels(struct file_state *s, struct unit *u)
{
	struct slice id;
	size_t at = 0;

	while (keys_next(&u->now, &at, &id)) {
		if (!unit_gives(u, id))
			del(s, u, id);
	}
}

static void commit(struct file_state *s)
{
	s->committing = true;
	s->taken = false;
	s->holding = false;
	s->r->sink->commit(s->r->sink_arg, ++s->version);
	s->committing = false;
}

static size_t count(const struct file_state *s, bool aside)
{
	size_t n = 0;

	list_for(p, &s->units) {
		const struct unit *u = container_of(p, struct unit, node);

		n += aside ? u->aside : u->active;
	}
	return n;
}

/* Files first: what they say of Kubernetes objects touches further units. */
static bool emit_all(struct file_state *s)
{
	bool ok = true;

	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (u->active && u->file)
			ok &= emit(s, u);
	}
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (u->file)
			continue;
		/*
		 * One that was refused a moment ago is not tried again because its file was read
		 * again.
		 */
		u->active |= u->touched && !u->refusal;
		u->touched = false;
		if (u->active)
			ok &= emit(s, u);
	}
	return ok;
}

static enum outcome attempt(struct file_state *s)
{
	table_fini(&s->given);
	table_init(&s->given, TABLE_COPY_KEYS);
	s->r->sink->begin(s->r->sink_arg);
	if (!emit_all(s))
		return AGAIN;
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (u->active)
			dels(s, u);
	}
	/* An empty one only to make the hub forget what it holds: it is out of date. */
	if (!count(s, false) && !s->holding)
		return NOTHING;
	commit(s);
	return s->taken ? TAKEN : REFUSED;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void own(struct file_state *s, struct unit *u, bool owns)
{
	struct slice id;
	size_t at = 0;

	while (keys_next(&u->now, &at, &id)) {
		if (id_kind(id) == FACT_HOST)
			continue;
		if (owns)
			table_put(&s->owners, id, u);
		else if (table_get(&s->owners, id) == u)
			table_del(&s->owners, id);
	}
}

static void take_over(struct unit *u)
{
	keys_fini(&u->now);
	u->now = u->next;
	u->next = (struct keys){0};
	if (u->now.n < u->now.cap) {
		u->now.p = u->now.n ? mem_realloc(u->now.p, u->now.n) : (free(u->now.p), NULL);
		u->now.cap = u->now.n;
	}
	index_drop(u);
	free(u->refusal);
	u->refusal = NULL;
	u->active = u->aside = false;
}

static bool in_question(const struct file_state *s, const struct unit *u)
{
	return s->committing ? u->active : u->aside;
}

/* First all that is given up, then all that is got: a fact may have moved from one to another. */
static void accept(struct file_state *s)
{
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (in_question(s, u))
			own(s, u, false);
	}
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (!in_question(s, u))
			continue;
		take_over(u);
		own(s, u, true);
	}
}

static bool unit_has(struct unit *u, struct slice id)
{
	struct slice each;
	size_t at = 0;

	if (unit_gives(u, id))
		return true;
	while (keys_next(&u->now, &at, &each)) {
		if (slice_eq(each, id))
			return true;
	}
	return false;
}

/* A line to each active unit that gave a refused fact, or would delete it. */
static void blame(struct file_state *s, const struct registry_refusal *r)
{
	struct keys one = {0};
	struct slice id = keys_add(&one, r->kind, r->key);
	char *line = mem_printf("%.*s:%u: %s %.*s: %s", SLICE_ARG(r->mark.file), r->mark.line, kind_words[r->kind],
				SLICE_ARG(r->key), r->why);

	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);
		char *before = u->refusal;

		if (!u->active || !unit_has(u, id))
			continue;
		u->refusal = before ? mem_printf("%s\n%s", before, line) : mem_str(line);
		free(before);
	}
	free(line);
	keys_fini(&one);
}

void units_verdict(struct file_state *s, const struct registry_verdict *v)
{
	if (!s->committing && !s->holding)
		return;
	/* A transaction without facts is taken by a snapshot that may not have a number yet. */
	if (!v->nrefused) {
		s->taken = true;
		accept(s);
		if (!s->committing)
			s->holding = false;
		return;
	}
	for (size_t i = 0; i < v->nrefused; i++)
		blame(s, &v->refused[i]);
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* What was refused is tried again together with every change. */
static bool activate(struct file_state *s)
{
	bool any = false;

	list_for(p, &s->units)
		any |= container_of(p, struct unit, node)->touched;
	if (!any)
		return false;
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		u->active = u->touched || u->refusal;
		u->aside = false;
		free(u->refusal);
		u->refusal = NULL;
	}
	return true;
}

/* Blamed units leave the transaction; when nobody could be blamed, all of them do. */
static void set_aside(struct file_state *s)
{
	bool all = true;

	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		all &= !u->active || !u->refusal;
	}
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);
		char who[512];

		if (!u->active || (!all && !u->refusal))
			continue;
		if (all)
			unit_refuse(u, "%s: refused", unit_name(u, who, sizeof(who)));
		u->active = false;
		u->aside = true;
	}
}

/* A transaction of all that was set aside, for the hub to hold. */
static void leave_with_hub(struct file_state *s)
{
	enum outcome o;

	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);

		if (!u->aside)
			continue;
		u->active = true;
		u->aside = false;
		free(u->refusal);
		u->refusal = NULL;
	}
	do {
		o = attempt(s);
	} while (o == AGAIN);
	if (o != REFUSED)
		return;
	list_for(p, &s->units) {
		struct unit *u = container_of(p, struct unit, node);
		char who[512];

		if (!u->active)
			continue;
		unit_refuse(u, "%s: waits for another one that is refused",
			    unit_name(u, who, sizeof(who)));
		u->active = false;
		u->aside = true;
	}
	s->holding = true;
}

void units_commit(struct file_state *s)
{
	enum outcome o;
	size_t tried;

	if (!activate(s))
		return;
	do {
		o = attempt(s);
		tried = count(s, false);
		if (o == REFUSED)
			set_aside(s);
	} while (o == AGAIN || (o == REFUSED && count(s, false)));
	/* The hub holds the last one when it was refused, and that was everything. */
	if (o == REFUSED && tried == count(s, true))
		s->holding = true;
	else if (count(s, true))
		leave_with_hub(s);
	table_fini(&s->given);
}
