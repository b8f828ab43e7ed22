// SPDX-License-Identifier: Apache-2.0
/* Which files there are, which of them changed, and what they say. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/hash.h"
#include "registry/file_priv.h"
#include "weft/log.h"
#include "weft/str.h"

static void set_words(char **to, char *give_words)
{
	free(*to);
	*to = give_words;
}

/* ---- life of a file -------------------------------------------------------------------------- */

static struct file *file_new(struct file_state *s, const char *name)
{
	struct file *f = mem_alloc(sizeof(*f));

	f->state = s;
	f->path = s->folder ? mem_printf("%s/%s", s->path, name) : mem_str(s->path);
	f->name = slice_str(f->path + strlen(f->path) - strlen(name));
	list_init(&f->objects);
	unit_init(s, &f->unit, f);
	table_put(&s->files, f->name, f);
	return f;
}

static void file_free(struct file *f)
{
	kube_replace(f, NULL);
	table_del(&f->state->files, f->name);
	watch_forget(f->state, f->name);
	unit_fini(&f->unit);
	free(f->error);
	free(f->passed);
	free(f->path);
	free(f);
}

void folder_fini(struct file_state *s)
{
	for (struct table_entry *e = table_next(&s->files, NULL); e; e = table_next(&s->files, e))
		file_free(e->value);
	table_fini(&s->files);
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* What one parse of a file gives, kept back until the whole of it is known to be right. */
struct parse {
	VEC(struct fact *) facts;
	struct kube_objects objects;
};

static void keep_fact(void *arg, struct fact *take_fact)
{
	struct parse *p = arg;

	vec_push(&p->facts, take_fact);
}

static int parse_document(struct parse *p, struct conf_reader *r, const struct conf_node *root,
			  struct slice registry)
{
	if (root->kind != CONF_MAPPING)
		return conf_error(r, root,
				  "want a mapping: services, clusters, routes, listeners, workloads, or a "
				  "Kubernetes object");
	if (kube_is(root))
		return kube_parse(r, root, &p->objects);
	/* An unknown field is an error; what is known is read next. */
	return conf_decode(r, conf_fact_rows, root, NULL)
		       ?: conf_facts(r, root, registry, keep_fact, p);
}

static int parse_text(struct parse *p, struct file *f, struct slice text,
		      struct conf_errors *errors)
{
	struct slice path = slice_str(f->path);
	struct conf_source *source = conf_open_text(text, path, errors);
	struct arena scratch;
	struct conf_reader r = {.arena = &scratch, .errors = errors, .file = path};
	const struct conf_node *root;
	int err = 0, more;

	arena_init(&scratch);
	while ((more = conf_next(source, &root)) > 0) {
		if (parse_document(p, &r, root, f->state->r->name))
			err = -EINVAL;
		arena_reset(&scratch);
	}
	arena_fini(&scratch);
	conf_close(source);
	return err ?: more;
}

static void parse_fini(struct parse *p)
{
	for (size_t i = 0; i < p->facts.n; i++)
		fact_drop(p->facts.v[i]);
	vec_fini(&p->facts);
	kube_objects_fini(&p->objects);
}

/* The first line is logged with the file's state, the others here. */
static void say(struct file *f, struct conf_errors *errors)
{
	char *all = mem_str(errors->n ? errors->text[0] : "");

	for (size_t i = 1; i < errors->n; i++) {
		log_error(f->state->r->name.p, "%s", errors->text[i]);
		set_words(&all, mem_printf("%s\n%s", all, errors->text[i]));
	}
	if (errors->more) {
		log_error(f->state->r->name.p, "%s: and %zu errors more", f->path, errors->more);
		set_words(&all, mem_printf("%s\n%s: and %zu errors more", all, f->path, errors->more));
	}
	set_words(&f->error, all);
}

static bool parse_file(struct parse *p, struct file *f, struct slice text)
{
	struct conf_errors errors = {0};
	int err = parse_text(p, f, text, &errors);

	if (err)
		say(f, &errors);
	else
		set_words(&f->error, NULL);
	conf_errors_fini(&errors);
	return !err;
}

static int slurp(struct file *f, char **text, size_t *n)
{
	struct err e = {0};
	int err = conf_slurp(f->path, text, n, &e);

	if (!err)
		return 0;
	set_words(&f->error, mem_str(err_text(&e)));
	f->parsed = false;
	return err;
}

/* Once for what a file holds now, not each time it is read. */
static void say_passed(struct file *f, const struct kube_objects *o)
{
	char *words = kube_passed_words(o);

	if (words && (!f->passed || strcmp(words, f->passed)))
		log_info(f->state->r->name.p, "%s: passed over: %s", f->path, words);
	set_words(&f->passed, words);
}

bool file_emit(struct file *f)
{
	struct parse p = {0};
	char *text = NULL;
	size_t n = 0;
	bool ok;

	if (f->gone)
		return true;
	if (slurp(f, &text, &n))
		return false;
	kube_objects_init(&p.objects);
	ok = parse_file(&p, f, (struct slice){text, n});
	f->hash = hash_bytes((struct slice){text, n}, HASH_STABLE);
	f->parsed = true;
	free(text);
	if (ok) {
		for (size_t i = 0; i < p.facts.n; i++)
			unit_put(f->state, &f->unit, p.facts.v[i]);
		p.facts.n = 0;
		say_passed(f, &p.objects);
		kube_replace(f, &p.objects);
	}
	parse_fini(&p);
	return ok;
}

/* ---- what changed ---------------------------------------------------------------------------- */

static bool same_stat(const struct file *f, const struct stat *st)
{
	return f->known && f->dev == st->st_dev && f->ino == st->st_ino && f->size == st->st_size &&
	       !memcmp(&f->mtime, &st->st_mtim, sizeof(f->mtime)) &&
	       !memcmp(&f->ctime, &st->st_ctim, sizeof(f->ctime));
}

static void keep_stat(struct file *f, const struct stat *st)
{
	f->known = true;
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->size = st->st_size;
	f->mtime = st->st_mtim;
	f->ctime = st->st_ctim;
}

/*
 * Whether its bytes are others than those that were parsed; what cannot be read is left to
 * file_emit() to say.
 */
static bool bytes_differ(struct file *f)
{
	char *text;
	size_t n;
	bool differ;

	if (!f->parsed || conf_slurp(f->path, &text, &n, NULL))
		return true;
	differ = hash_bytes((struct slice){text, n}, HASH_STABLE) != f->hash;
	free(text);
	return differ;
}

/* A half-written file is left for later, unless it was there as a whole from the start: a link. */
static bool being_written(struct file_hint *h, const struct stat *link)
{
	if (!h || !h->writing_until_ns)
		return false;
	if (!S_ISLNK(link->st_mode) && link->st_nlink < 2 && clock_ns() < h->writing_until_ns)
		return true;
	h->writing_until_ns = 0;
	h->read = true;
	return false;
}

static void look_at(struct file_state *s, const char *name)
{
	struct file *f = table_get(&s->files, slice_str(name)) ?: file_new(s, name);
	struct file_hint *h = table_get(&s->hints, f->name);
	struct stat link, st = {0};
	bool read;

	f->seen = true;
	if (lstat(f->path, &link))
		return;
	if (being_written(h, &link))
		return;
	watch_link(s, f->path, f->name, S_ISLNK(link.st_mode));
	read = (h && h->read) || f->gone || !f->parsed || stat(f->path, &st) || !same_stat(f, &st);
	f->gone = false;
	free(table_del(&s->hints, f->name));
	if (!read)
		return;
	if (stat(f->path, &st))
		f->known = false;
	else
		keep_stat(f, &st);
	if (bytes_differ(f))
		f->unit.touched = true;
}

/*
 * Files of the last scan that are not there any more: what they gave goes, when the others can do
 * without it.
 */
static void look_for_gone(struct file_state *s)
{
	for (struct table_entry *e = table_next(&s->files, NULL); e; e = table_next(&s->files, e)) {
		struct file *f = e->value;

		if (f->seen || f->gone)
			continue;
		log_info(s->r->name.p, "%s is gone", f->path);
		f->gone = f->unit.touched = true;
		f->known = f->parsed = false;
		set_words(&f->error, NULL);
		kube_replace(f, NULL);
		free(table_del(&s->hints, f->name));
	}
}

static void free_gone(struct file_state *s)
{
	for (struct table_entry *e = table_next(&s->files, NULL); e; e = table_next(&s->files, e)) {
		struct file *f = e->value;

		f->seen = false;
		if (f->gone && !f->unit.touched && !f->unit.refusal && !f->unit.now.n)
			file_free(f);
	}
}

/* ---- the folder ------------------------------------------------------------------------------ */

static int fault(struct file_state *s, int err, const char *what)
{
	set_words(&s->error, mem_printf("%s %s: %s", what, s->path, strerror(-err)));
	return err;
}

static int entry_is_ours(const struct dirent *d)
{
	return file_named(d->d_name);
}

static int scan_folder(struct file_state *s)
{
	struct dirent **v;
	int n = scandir(s->path, &v, entry_is_ours, alphasort);

	if (n < 0)
		return fault(s, -errno, "cannot read");
	for (int i = 0; i < n; i++) {
		look_at(s, v[i]->d_name);
		free(v[i]);
	}
	free(v);
	return 0;
}

int folder_scan(struct file_state *s)
{
	struct stat st;
	int err = 0;

	free_gone(s);
	kube_sweep(s);
	/*
	 * Not there: what it gave stays. A folder that is being replaced is not there for a moment.
	 */
	if (stat(s->path, &st))
		return fault(s, -errno, "cannot read");
	if (s->folder != S_ISDIR(st.st_mode)) {
		s->folder = S_ISDIR(st.st_mode);
		watch_folder(s);
	}
	if (s->folder)
		err = scan_folder(s);
	else
		look_at(s, s->base);
	if (err)
		return err;
	set_words(&s->error, NULL);
	look_for_gone(s);
	return 0;
}
