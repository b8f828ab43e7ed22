// SPDX-License-Identifier: Apache-2.0
/*
 * Services from a folder of files, or from one file. A change is seen by inotify, a burst of
 * changes is one transaction. A file that cannot be read or parsed keeps what it gave before; so
 * does one whose facts are refused.
 */
#include "registry/file_priv.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "weft/str.h"

#define DEBOUNCE_MS 5
#define RECHECK_MS 10000                        /* for what gives no event: a mount, a folder far up that was moved */
#define UNWATCHED_MS 1000                       /* the same where there is no inotify, or nothing to watch yet */

static void scan(struct registry *r);

bool file_named(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (*name == '.' || !dot)
		return false;
	return !strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json");
}

struct file_hint *file_hint(struct file_state *s, struct slice name)
{
	struct file_hint *h = table_get(&s->hints, name);

	if (!h) {
		h = mem_alloc(sizeof(*h));
		table_put(&s->hints, name, h);
	}
	return h;
}

void file_soon(struct file_state *s)
{
	/*
	 * Not armed again by each event: a file that is written all the time must not keep the
	 * others waiting.
	 */
	if (!s->soon)
		registry_timer(s->r, DEBOUNCE_MS, scan);
	s->soon = true;
}

/* ---- health ---------------------------------------------------------------------------------- */

struct words {
	char *text;
	size_t shown, more;
};

/* lines: of one file or unit. The first, and how many follow. */
static void add_words(struct words *w, const char *lines)
{
	size_t n, rest = 0;
	char *longer;

	if (!lines)
		return;
	if (w->shown == 5) {
		w->more++;
		return;
	}
	n = strcspn(lines, "\n");
	for (const char *p = lines + n; *p; p++)
		rest += *p == '\n';
	longer = mem_printf("%s%s%.*s", w->text ? w->text : "", w->text ? "; " : "", (int)n, lines);
	free(w->text);
	w->text = rest ? mem_printf("%s (and %zu more)", longer, rest) : mem_str(longer);
	free(longer);
	w->shown++;
}

/* The path, then files, then units, each with what is wrong; NULL when nothing is. */
static char *faults(const struct file_state *s)
{
	struct words w = { 0 };
	char *longer;

	add_words(&w, s->error);
	for (struct table_entry *e = table_next(&s->files, NULL); e; e = table_next(&s->files, e))
		add_words(&w, ((const struct file *)e->value)->error);
	list_for(p, &s->units)
		add_words(&w, container_of(p, struct unit, node)->refusal);
	if (w.more) {
		longer = mem_printf("%s; and %zu more", w.text, w.more);
		free(w.text);
		w.text = longer;
	}
	return w.text;
}

static void tell_health(struct file_state *s)
{
	char *words = faults(s);

	if (words ? !s->health || strcmp(words, s->health) : s->health != NULL)
		s->r->sink->health(s->r->sink_arg, words ? -EINVAL : 0, words ? words : "");
	free(s->health);
	s->health = words;
}

static void say_lines(const char *lines, void (*say)(void *arg, const char *line), void *arg)
{
	while (lines && *lines) {
		size_t n = strcspn(lines, "\n");
		char *line = mem_dup(lines, n);

		say(arg, line);
		free(line);
		lines += n + (lines[n] == '\n');
	}
}

static void file_faults(struct registry *r, void (*say)(void *arg, const char *line), void *arg)
{
	struct file_state *s = r->state;

	/* Not the path itself (s->error): what is not there yet is no fault of a file. */
	for (struct table_entry *e = table_next(&s->files, NULL); e; e = table_next(&s->files, e))
		say_lines(((const struct file *)e->value)->error, say, arg);
	list_for(p, &s->units)
		say_lines(container_of(p, struct unit, node)->refusal, say, arg);
}

/* ---- scanning -------------------------------------------------------------------------------- */

static bool somebody_writes(const struct file_state *s)
{
	for (struct table_entry *e = table_next(&s->hints, NULL); e; e = table_next(&s->hints, e)) {
		if (((const struct file_hint *)e->value)->writing_until_ns)
			return true;
	}
	return false;
}

static void scan(struct registry *r)
{
	struct file_state *s = r->state;
	bool slow;
	int err;

	s->soon = false;
	watch_folder(s);
	err = folder_scan(s);
	units_commit(s);
	tell_health(s);
	if (!s->synced && !err) {
		s->synced = true;
		r->sink->synced(r->sink_arg);
	}
	slow = !err && s->watch.fd >= 0 && !somebody_writes(s);
	registry_timer(r, slow ? RECHECK_MS : UNWATCHED_MS, scan);
}

/* ---- ops ------------------------------------------------------------------------------------- */

static void state_init(struct file_state *s, struct registry *r)
{
	const struct file_conf *c = r->conf;
	size_t n = c->path.n;
	char *copy;

	s->r = r;
	/* "/x/services.d/" is the folder services.d of /x. */
	while (n > 1 && c->path.p[n - 1] == '/')
		n--;
	s->path = mem_dup(c->path.p, n);
	copy = mem_str(s->path);
	s->parent = mem_str(dirname(copy));
	strcpy(copy, s->path);
	s->base = mem_str(basename(copy));
	free(copy);
	s->folder = true;
	table_init(&s->files, 0);
	table_init(&s->hints, TABLE_COPY_KEYS);
	table_init(&s->kube, 0);
	table_init(&s->owners, 0);          /* keys lie in the units */
	table_init(&s->given, TABLE_COPY_KEYS);
	list_init(&s->units);
}

static void file_stop(struct registry *r)
{
	struct file_state *s = r->state;

	registry_timer(r, 0, NULL);
	watch_close(s);
	folder_fini(s);
	for (struct table_entry *e = table_next(&s->kube, NULL); e; e = table_next(&s->kube, e))
		kube_unit_free(s, e->value);
	for (struct table_entry *e = table_next(&s->hints, NULL); e; e = table_next(&s->hints, e))
		free(e->value);
	table_fini(&s->hints);
	table_fini(&s->kube);
	table_fini(&s->owners);
	table_fini(&s->given);
	free(s->path);
	free(s->parent);
	free(s->base);
	free(s->error);
	free(s->health);
}

static int file_start(struct registry *r, struct err *e)
{
	struct file_state *s = r->state;
	int err;

	state_init(s, r);
	err = watch_open(s, e);
	if (err)
		file_stop(r);
	else
		scan(r);
	return err;
}

static void file_verdict(struct registry *r, const struct registry_verdict *v)
{
	struct file_state *s = r->state;

	units_verdict(s, v);
	if (!s->committing)
		tell_health(s);
}

static int file_check(const void *conf, struct err *e)
{
	const struct file_conf *c = conf;

	return c->path.p[0] != '/' ? err_add(e, -EINVAL, "path: want one that begins with /") : 0;
}

static const struct conf_item file_rows[] = {
	CONF_ITEM(struct file_conf, path, "path", STRING, .required = true, .max = 4000,
		  .help = "a file, or a folder of which every `*.yaml`, `*.yml` and `*.json` is read; changes are seen by "
			  "themselves"),
	CONF_END
};

const struct registry_ops registry_file = {
	.name = "file",
	.conf = file_rows,
	.conf_size = sizeof(struct file_conf),
	.state_size = sizeof(struct file_state),
	.check = file_check,
	.start = file_start,
	.stop = file_stop,
	.verdict = file_verdict,
	.faults = file_faults,
};
