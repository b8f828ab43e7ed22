// SPDX-License-Identifier: Apache-2.0
#include "conf/config.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/vec.h"
#include "conf/merge.h"
#include "conf/plugin.h"
#include "conf/reader.h"
#include "weft/registry.h"
#include "weft/str.h"

#define FILES_MAX 1024 /* the main one and those of conf.d */

/* Files of one load and their trees: all of them live until the struct is filled. */
struct loading {
	struct conf_errors *errors;
	struct arena arena; /* names of files, merged nodes */
	VEC(struct slice) files;
	VEC(struct conf_source *) sources;
	VEC(char *) texts;
	const struct conf_node *root; /* NULL: every file is empty */
};

/* ---- files ----------------------------------------------------------------------------------- */

static int add_text(struct loading *l, struct slice text, const char *name)
{
	struct slice file = slice_str(arena_str(&l->arena, name));
	struct conf_source *s = conf_open_text(text, file, l->errors);
	const struct conf_node *root;
	char what[64];
	int got;

	vec_push(&l->files, file);
	vec_push(&l->sources, s);
	got = conf_next(s, &root);
	if (got <= 0)
		return got;
	if (root->kind != CONF_MAPPING) {
		conf_errors_add(l->errors, "%s:%u: want a mapping, not %s", name, root->line,
				reader_what(root, what, sizeof(what)));
		return -EINVAL;
	}
	merge_set_file(root, l->files.n - 1);
	l->root = l->root ? merge_nodes(&l->arena, l->root, root) : root;
	return conf_end(s);
}

static int add_file(struct loading *l, const char *path)
{
	struct err e = {0};
	char *text;
	size_t n;
	int err = conf_slurp(path, &text, &n, &e);

	if (err) {
		conf_errors_add(l->errors, "%s", err_text(&e));
		return err;
	}
	vec_push(&l->texts, text);
	return add_text(l, (struct slice){text, n}, path);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

static int is_config(const struct dirent *d)
{
	return d->d_name[0] != '.' &&
	       (ends_with(d->d_name, ".yaml") || ends_with(d->d_name, ".yml") ||
		ends_with(d->d_name, ".json"));
}

static int add_entries(struct loading *l, const char *dir, struct dirent **v, int n)
{
	int err = 0;

	if (n >= FILES_MAX) {
		conf_errors_add(l->errors, "%s: more than %d files", dir, FILES_MAX - 1);
		return -EINVAL;
	}
	for (int i = 0; i < n; i++) {
		char *path = mem_printf("%s/%s", dir, v[i]->d_name);
		int one = add_file(l, path);

		if (one)
			err = one;
		free(path);
	}
	return err;
}

/* By name, so that a file's number says what goes over what. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct loading *l, const char *path)
{
	char *copy = mem_str(path), *dir = mem_printf("%s/conf.d", dirname(copy));
	struct dirent **v;
	int n = scandir(dir, &v, is_config, by_bytes), err = 0;

	if (n < 0 && errno != ENOENT) {
		err = -errno;
		conf_errors_add(l->errors, "cannot read %s: %s", dir, strerror(errno));
	}
	if (n >= 0) {
		err = add_entries(l, dir, v, n);
		for (int i = 0; i < n; i++)
			free(v[i]);
		free(v);
	}
	free(dir);
	free(copy);
	return err;
}

/* ---- the struct ------------------------------------------------------------------------------ */

static void keep_fact(void *arg, struct fact *take_fact)
{
	struct config *c = arg;

	/* Room doubles: nfacts is a power of two whenever there is none left. */
	if (!(c->nfacts & (c->nfacts - 1)))
		c->facts =
			mem_realloc(c->facts, (c->nfacts ? 2 * c->nfacts : 1) * sizeof(*c->facts));
	c->facts[c->nfacts++] = take_fact;
}

static void name_node(struct config *c)
{
	char host[256] = "";

	if (c->node.name.n)
		return;
	if (gethostname(host, sizeof(host) - 1) || !host[0])
		strcpy(host, "localhost");
	c->node.name = slice_str(arena_str(c->arena, host));
}

static void add_node(struct config *c, struct slice file)
{
	const struct fact_mark mark = {SLICE_LIT(CONFIG_REGISTRY), file, 0};
	struct node *n = (struct node *)fact_new(FACT_NODE, (struct slice){0}, &mark);

	n->name = fact_slice(&n->fact, c->node.name);
	n->locality = fact_locality(&n->fact, c->node.locality.region, c->node.locality.zone);
	n->labels = fact_pairs(&n->fact, c->node.labels.v, c->node.labels.n);
	keep_fact(c, &n->fact);
}

/* Lines say where in words, not in numbers of a list that conf.d may have grown. */
static int check_names(struct conf_reader *r, const struct config *c, const struct conf_node *root)
{
	const struct conf_node *list = conf_member(root, "registries");
	const struct config_registry *v = c->registries.v;
	struct table names;
	size_t i = 0;
	int err = 0;

	table_init(&names, 0);
	for (const struct conf_node *n = list ? list->first : NULL; n; n = n->next, i++) {
		const struct conf_node *first = table_get(&names, v[i].name);

		if (first)
			err = conf_error(
				r, n, "registries[%zu].name: %s is given twice, first in %.*s:%u",
				i, v[i].name.p, SLICE_ARG(reader_file(r, first)), first->line);
		else
			table_put(&names, v[i].name, (void *)n);
	}
	table_fini(&names);
	return err;
}

static bool has_registry(const struct config *c, struct slice name)
{
	const struct config_registry *v = c->registries.v;

	for (size_t i = 0; i < c->registries.n; i++) {
		if (slice_eq(v[i].name, name))
			return true;
	}
	return false;
}

/* "files, k8s"; cut to size. */
static const char *registry_names(const struct config *c, char *out, size_t size)
{
	const struct config_registry *v = c->registries.v;
	size_t n = 0;

	snprintf(out, size, "there are none");
	for (size_t i = 0; i < c->registries.n && n < size; i++)
		n += snprintf(out + n, size - n, "%s%.*s", i ? ", " : "", SLICE_ARG(v[i].name));
	return out;
}

/* Clusters found by a registry's service: that registry is one of these. Facts are in the order of the list. */
static int check_discovery(struct conf_reader *r, const struct config *c, const struct conf_node *root)
{
	const struct conf_node *list = conf_member(root, "clusters");
	char names[256];
	size_t i = 0;
	int err = 0;

	for (const struct conf_node *n = list ? list->first : NULL; n; n = n->next, i++) {
		const struct conf_node *d = conf_member(n, "discovery"), *name = d ? conf_member(d, "registry") : NULL;

		if (name && name->kind == CONF_SCALAR && !has_registry(c, name->text))
			err = conf_error(r, name, "clusters[%zu].discovery.registry: want the name of one of `registries` (%s), not %.*s", i,
					 registry_names(c, names, sizeof(names)), SLICE_ARG(name->text));
	}
	return err;
}

/* What is wrong may be so only because a plugin is not there yet. */
static void note_plugins(struct conf_reader *r, const struct config *c, const struct conf_node *root)
{
	const struct config_plugin *v = c->plugins.v;
	const struct conf_node *list = conf_member(root, "plugins"), *n = list ? list->first : NULL;

	for (size_t i = 0; plugins.closed && n && i < c->plugins.n; i++, n = n->next)
		if (v[i].path.n && !plugin_is_loaded(v[i].path.p))
			conf_error(r, n, "plugins[%zu]: %s is loaded at the next start: what it brings is not known before", i, v[i].path.p);
}

static int fill(struct loading *l, const struct conf_choice *choices, struct config *c)
{
	static const struct conf_node empty = {.kind = CONF_MAPPING, .line = 1};
	struct conf_reader r = {.arena = c->arena,
				.errors = l->errors,
				.file = l->files.v[0],
				.files = l->files.v,
				.choices = choices};
	const struct conf_node *root = l->root ? l->root : &empty;
	int err = conf_decode(&r, config_rows, root, c);

	if (!err)
		err = check_names(&r, c, root);
	if (conf_facts(&r, root, SLICE_LIT(CONFIG_REGISTRY), keep_fact, c))
		err = -EINVAL;
	if (!err)
		err = check_discovery(&r, c, root);
	if (err) {
		note_plugins(&r, c, root);
		return err;
	}
	name_node(c);
	add_node(c, l->files.v[0]);
	return 0;
}

static void loading_end(struct loading *l)
{
	for (size_t i = 0; i < l->sources.n; i++)
		conf_close(l->sources.v[i]);
	for (size_t i = 0; i < l->texts.n; i++)
		free(l->texts.v[i]);
	vec_fini(&l->sources);
	vec_fini(&l->texts);
	vec_fini(&l->files);
	arena_fini(&l->arena);
}

static int finish(struct loading *l, int err, const struct conf_choice *choices,
		  struct config **out)
{
	struct config *c = mem_alloc(sizeof(*c));

	c->arena = mem_alloc(sizeof(*c->arena));
	arena_init(c->arena);
	if (!err)
		err = fill(l, choices, c);
	*out = err ? NULL : c;
	if (err)
		config_free(c);
	loading_end(l);
	return err;
}

int config_load(const char *path, const struct conf_choice *choices, struct config **out,
		struct conf_errors *errors)
{
	struct loading l = {.errors = errors};
	int err = add_file(&l, path), more = add_folder(&l, path);

	return finish(&l, err ? err : more, choices, out);
}

int config_load_text(struct slice text, const char *name, const struct conf_choice *choices,
		     struct config **out, struct conf_errors *errors)
{
	struct loading l = {.errors = errors};

	return finish(&l, add_text(&l, text, name), choices, out);
}

static int each_plugin(struct conf_reader *r, const struct conf_node *root,
		       int (*load)(const char *plugin, struct err *e), struct conf_errors *errors)
{
	struct config c = { 0 };
	const struct conf_node *list = conf_member(root, "plugins"), *n;
	const struct config_plugin *v;
	int err = 0;

	if (conf_decode(r, config_plugins_rows, root, &c) || !list)
		return 0;
	r->errors = errors;
	v = c.plugins.v;
	n = list->first;
	for (size_t i = 0; i < c.plugins.n; i++, n = n->next) {
		struct err e = { 0 };

		if (load(v[i].path.p, &e))
			err = conf_error(r, conf_member(n, "path"), "plugins[%zu].path: %s: %s", i, v[i].path.p, err_text(&e));
	}
	return err;
}

int config_load_plugins(const char *path, int (*load)(const char *plugin, struct err *e),
			struct conf_errors *errors)
{
	struct conf_errors unsaid = { 0 };      /* config_load() will say them */
	struct loading l = {.errors = &unsaid};
	struct arena arena;
	int err = add_file(&l, path), more = add_folder(&l, path);

	arena_init(&arena);
	if (!err && !more && l.root) {
		struct conf_reader r = {.arena = &arena, .errors = &unsaid, .file = l.files.v[0], .files = l.files.v,
					.flags = CONF_UNKNOWN_OK};

		err = each_plugin(&r, l.root, load, errors);
	} else {
		err = 0;
	}
	conf_errors_fini(&unsaid);
	arena_fini(&arena);
	loading_end(&l);
	return err;
}

void config_drop_facts(struct config *c)
{
	for (size_t i = 0; i < c->nfacts; i++)
		fact_drop(c->facts[i]);
	free(c->facts);
	c->facts = NULL;
	c->nfacts = 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	config_drop_facts(c);
	arena_fini(c->arena);
	free(c->arena);
	free(c);
}
