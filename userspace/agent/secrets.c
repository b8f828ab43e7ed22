/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify says when to look, never what is there. Folders are watched, not files: a rename puts another file in place,
 * and a mounted ConfigMap or Secret swaps a link beside ours. What gives no event is found by looking every few seconds.
 */
#include "agent/secrets.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/secret.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/dump.h"
#include "weft/log.h"
#include "weft/str.h"

#define DEBOUNCE_NS (50 * MSEC)
#define RECHECK_NS (10 * SEC)
/* A certificate and its key are two files: whoever replaces them gets so long until a mismatch is believed. */
#define PATIENCE_NS (2 * SEC)
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

STAT_DEFINE(secrets_stat, "secrets", SECRETS_STATS);

/* What stat(2) said of a file; a change within its resolution is found by reading files that are that young again. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct secret_entry {
	struct slice name;
	char *paths[2];                         /* second one: NULL for CAs */
	struct stamp stamps[2];
	bool there;                             /* in the store */
	uint64_t suspect_ns;                    /* new content is wrong since then, and not yet believed to be; 0 = no */
	char *error, *warning;                  /* NULL: nothing to say */
	json_t *chain;                          /* of what is in use; NULL: nothing */
	int64_t not_after;
};

/* ---- state ------------------------------------------------------------------------------------------------------ */

static char *faults(const struct secrets *s)
{
	char *words = NULL;
	unsigned more = 0;

	for (struct table_entry *t = table_next(&s->entries, NULL); t; t = table_next(&s->entries, t)) {
		const struct secret_entry *e = t->value;
		char *longer;

		if (!e->error || (words && ++more > 4))
			continue;
		longer = mem_printf("%s%s%s", words ? words : "", words ? "; " : "", e->error);
		free(words);
		words = longer;
	}
	return words;
}

static void recount(struct secrets *s)
{
	uint64_t unwell = 0;
	int64_t first = 0;

	for (struct table_entry *t = table_next(&s->entries, NULL); t; t = table_next(&s->entries, t)) {
		const struct secret_entry *e = t->value;

		unwell += e->error != NULL;
		if (e->there && e->not_after && (!first || e->not_after < first))
			first = e->not_after;
	}
	stat_set(&s->stat.secrets, s->entries.n);
	stat_set(&s->stat.unwell, unwell);
	stat_set(&s->stat.expires, (uint64_t)first);
}

static void tell(struct secrets *s)
{
	char *words = faults(s);

	recount(s);
	hub_sink.health(&s->source, words ? -EINVAL : 0, words ? words : "");
	free(words);
}

/* ---- one secret ------------------------------------------------------------------------------------------------- */

static bool stamp_take(const char *path, struct stamp *out)
{
	struct stat st;

	*out = (struct stamp){ 0 };
	if (stat(path, &st))
		return false;
	*out = (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
	return true;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && same_time(a->mtime, b->mtime) &&
	       same_time(a->ctime, b->ctime);
}

static bool young(const struct stamp *s)
{
	return time(NULL) - s->ctime.tv_sec <= 2;
}

static bool changed(const struct secret_entry *e)
{
	struct stamp now;

	for (int i = 0; i < 2 && e->paths[i]; i++) {
		stamp_take(e->paths[i], &now);
		if (!stamp_same(&now, &e->stamps[i]) || young(&now))
			return true;
	}
	return false;
}

static void give(struct secrets *s, struct secret_entry *e, const struct secret_text *t)
{
	struct fact_mark mark = { SLICE_LIT(SECRETS_REGISTRY), slice_str(e->paths[0]), 0 };
	struct fact *f = secret_fact(e->name, t, &mark);
	const struct fact *old = store_fact(s->hub->store, FACT_SECRET, e->name);
	bool same = old && slice_eq(((const struct secret *)old)->certificate, ((struct secret *)f)->certificate) &&
		    slice_eq(((const struct secret *)old)->private_key, ((struct secret *)f)->private_key);

	if (same) {
		fact_drop(f);
		return;
	}
	hub_sink.begin(&s->source);
	hub_sink.put(&s->source, f);
	hub_sink.commit(&s->source, ++s->version);
	stat_add(&s->stat.taken, 1);
	log_info(SECRETS_REGISTRY, "%s: %s", e->paths[0], e->there ? "new content is in use" : "read");
}

static void set_warning(struct secret_entry *e, char *take_warning)
{
	if (take_warning && (!e->warning || strcmp(e->warning, take_warning)))
		log_warn(SECRETS_REGISTRY, "%s", take_warning);
	free(e->warning);
	e->warning = take_warning;
}

static void entry_good(struct secrets *s, struct secret_entry *e, struct secret_text *t)
{
	give(s, e, t);
	free(e->error);
	e->error = NULL;
	e->suspect_ns = 0;
	e->there = true;
	set_warning(e, t->warning);
	t->warning = NULL;
	json_decref(e->chain);
	e->chain = json_incref(t->chain);
	e->not_after = t->not_after;
}

static void entry_bad(struct secrets *s, struct secret_entry *e, const char *words)
{
	uint64_t now = clock_ns();

	if (e->there && !e->suspect_ns)
		e->suspect_ns = now;
	if (e->there && !e->error && now - e->suspect_ns < PATIENCE_NS)
		return;
	e->suspect_ns = 0;
	if (e->error && !strncmp(e->error, words, strlen(words)))
		return;
	free(e->error);
	e->error = mem_printf("%s%s", words, e->there ? "; the old content stays in use" : "");
	stat_add(&s->stat.refused, 1);
}

static void entry_read(struct secrets *s, struct secret_entry *e)
{
	struct secret_text t;
	struct err words = { 0 };

	for (int i = 0; i < 2 && e->paths[i]; i++)
		stamp_take(e->paths[i], &e->stamps[i]);
	if (secret_read(e->name, &t, &words)) {
		entry_bad(s, e, err_text(&words));
		return;
	}
	entry_good(s, e, &t);
	secret_fini(&t);
}

static void entry_free(struct secret_entry *e)
{
	free(e->paths[0]);
	free(e->paths[1]);
	free(e->error);
	free(e->warning);
	json_decref(e->chain);
	free((char *)e->name.p);
	free(e);
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

static void watch(struct secrets *s, const char *path)
{
	char *copy = mem_str(path), *real = realpath(path, NULL);

	inotify_add_watch(s->fd, dirname(copy), EVENTS);
	if (real && strcmp(real, path))
		inotify_add_watch(s->fd, dirname(real), EVENTS);
	free(real);
	free(copy);
}

/* Without a reader nothing is lost: what a refused transaction waits for may be named by it alone. */
static bool unused(const struct secrets *s, const struct secret_entry *e)
{
	if (stat_get(&s->hub->stat.pending))
		return false;
	return !e->there || !store_named(s->hub->store, FACT_SECRET, e->name);
}

static void forget(struct secrets *s, struct secret_entry *e)
{
	if (e->there) {
		hub_sink.begin(&s->source);
		hub_sink.del(&s->source, FACT_SECRET, e->name);
		hub_sink.commit(&s->source, ++s->version);
		log_info(SECRETS_REGISTRY, "%s: no longer in use", e->paths[0]);
	}
	table_del(&s->entries, e->name);
	entry_free(e);
}

static void look(struct timer *t)
{
	struct secrets *s = t->arg;
	bool suspects = false;
	VEC(struct secret_entry *) all = { 0 };

	s->soon = false;
	for (struct table_entry *x = table_next(&s->entries, NULL); x; x = table_next(&s->entries, x))
		vec_push(&all, x->value);
	for (size_t i = 0; i < all.n; i++) {
		struct secret_entry *e = all.v[i];

		if (unused(s, e)) {
			forget(s, e);
			continue;
		}
		for (int p = 0; p < 2 && e->paths[p] && s->fd >= 0; p++)
			watch(s, e->paths[p]);
		if (e->error || e->suspect_ns || changed(e))
			entry_read(s, e);
		suspects |= e->suspect_ns != 0;
	}
	vec_fini(&all);
	tell(s);
	timer_arm(s->loop, &s->timer, suspects ? PATIENCE_NS / 4 : RECHECK_NS, look, s);
}

static void look_soon(struct secrets *s)
{
	if (!s->soon)
		timer_arm(s->loop, &s->timer, DEBOUNCE_NS, look, s);
	s->soon = true;
}

static void on_event(struct loop_io *io, unsigned events)
{
	_Alignas(struct inotify_event) char buf[16 << 10];

	(void)events;
	while (read(io->fd, buf, sizeof(buf)) > 0)
		;
	look_soon(io->arg);
}

/* ---- from facts ------------------------------------------------------------------------------------------------- */

static void start(struct secrets *s)
{
	s->added = true;
	hub_add(s->hub, &s->source, SECRETS_REGISTRY, SECRETS_REGISTRY, NULL);
	hub_sink.synced(&s->source);
	s->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->fd >= 0 && loop_add(s->loop, &s->io, s->fd, LOOP_READ, on_event, s)) {
		close(s->fd);
		s->fd = -1;
	}
	if (s->fd < 0)
		log_warn(SECRETS_REGISTRY, "no inotify: files are looked at every %u s", (unsigned)(RECHECK_NS / SEC));
}

static void need(void *arg, struct slice name)
{
	struct secrets *s = arg;
	struct secret_entry *e;

	if (table_get(&s->entries, name))
		return;
	if (!s->added)
		start(s);
	e = mem_alloc(sizeof(*e));
	e->name = (struct slice){ mem_dup(name.p, name.n), name.n };
	secret_paths(name, e->paths);
	table_put(&s->entries, e->name, e);
	for (int i = 0; i < 2 && e->paths[i] && s->fd >= 0; i++)
		watch(s, e->paths[i]);
	entry_read(s, e);
	tell(s);
	if (!s->soon)
		timer_arm(s->loop, &s->timer, RECHECK_NS, look, s);
}

static void on_fact(void *arg, const struct fact *f)
{
	secret_each(f, need, arg);
}

void secrets_init(struct secrets *s, struct loop *l, struct hub *hub)
{
	*s = (struct secrets){ .loop = l, .hub = hub, .fd = -1 };
	table_init(&s->entries, 0);
	hub->seen = on_fact;
	hub->seen_arg = s;
}

void secrets_fini(struct secrets *s)
{
	if (!s->loop)
		return;
	timer_disarm(s->loop, &s->timer);
	if (s->fd >= 0) {
		loop_del(s->loop, &s->io);
		close(s->fd);
	}
	for (struct table_entry *t = table_next(&s->entries, NULL); t; t = table_next(&s->entries, t))
		entry_free(t->value);
	table_fini(&s->entries);
	if (s->added)
		hub_remove(&s->source);
	s->hub->seen = NULL;
	s->loop = NULL;
}

json_t *secrets_json(const struct secrets *s)
{
	json_t *list = json_array();

	for (struct table_entry *t = table_next(&s->entries, NULL); t; t = table_next(&s->entries, t)) {
		const struct secret_entry *e = t->value;
		const char *state = e->error ? e->error : e->warning ? e->warning : "well";

		json_array_append_new(list, json_pack("{so sb so sO*}", "name", dump_text(e->name), "ok", !e->error, "state",
						      dump_text(slice_str(state)), "chain", e->chain));
	}
	return json_pack("{so}", "certificates", list);
}
