// SPDX-License-Identifier: Apache-2.0
#include "conf/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "conf/errors.h"
#include "weft/conf.h"
#include "weft/str.h"

#define ROWS_MAX 64                             /* of one struct */
#define DEPTH_MAX 16                            /* of structs in structs */
#define BRINGS_MAX 64                           /* extensions of one kind by one plugin */

struct plugins plugins;
STAT_DEFINE(plugin_stat, "plugins", PLUGIN_STATS);

/* ---- what a loaded object says of itself -------------------------------------------------------------------------- */

static int check_name(const char *what, const char *name, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	char shown[96];
	size_t n;

	if (!name || !name[0])
		return err_add(e, -EINVAL, "%s has no name", what);
	n = strnlen(name, PLUGIN_NAME_MAX + 1);
	if (n > PLUGIN_NAME_MAX)
		return err_add(e, -EINVAL, "%s: its name is longer than %u bytes", what, PLUGIN_NAME_MAX);
	if (strspn(name, allowed) != n)
		return err_add(e, -EINVAL, "%s \"%s\": want a name of letters, digits, '.', '_' and '-'", what,
			       errors_show((struct slice){ name, n }, shown, sizeof(shown)));
	return 0;
}

static int check_struct(const struct weft_plugin *p, struct err *e)
{
	if (p->abi != WEFT_ABI)
		return err_add(e, -ENOEXEC, "it was built for ABI %u, and this weft has %u", p->abi, WEFT_ABI);
	if (p->size != sizeof(*p))
		return err_add(e, -ENOEXEC, "its struct weft_plugin has %u bytes, want %zu", p->size, sizeof(*p));
	if (!p->version)
		return err_add(e, -EINVAL, "it has no version");
	return check_name("it", p->name, e) ?: check_name("its version", p->version, e);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static int check_rows(const struct conf_item *rows, size_t size, unsigned depth, struct err *e);

static size_t inner_size(const struct conf_item *row)
{
	return row->type == CONF_LIST ? row->of_size : row->size;
}

static int check_row(const struct conf_item *row, size_t size, unsigned depth, struct err *e)
{
	enum conf_type type = row->type == CONF_LIST ? row->of : row->type;

	if (row->type < CONF_BOOL || row->type > CONF_CLUSTER || type < CONF_BOOL || type > CONF_CLUSTER)
		return err_add(e, -EINVAL, "its type is none");
	if ((size_t)row->offset + row->size > size)
		return err_add(e, -EINVAL, "it lies outside of its struct");
	if (type == CONF_ENUM && !row->names)
		return err_add(e, -EINVAL, "an enum without words");
	if (type == CONF_CHOICE && !row->choices)
		return err_add(e, -EINVAL, "a choice without choices");
	if (type == CONF_STRUCT && row->size && !row->rows)
		return err_add(e, -EINVAL, "a struct without rows");
	if (row->size && !row->help)
		return err_add(e, -EINVAL, "it has no help");
	return type == CONF_STRUCT && row->rows ? check_rows(row->rows, inner_size(row), depth + 1, e) : 0;
}

static int check_rows(const struct conf_item *rows, size_t size, unsigned depth, struct err *e)
{
	char shown[96];
	size_t n = 0;

	if (depth > DEPTH_MAX)
		return err_add(e, -EINVAL, "structs in structs deeper than %d", DEPTH_MAX);
	for (; rows->name || rows->type == CONF_LINE; rows++) {
		const char *name = rows->name ? rows->name : "line";

		if (++n > ROWS_MAX)
			return err_add(e, -EINVAL, "more than %d rows in one struct", ROWS_MAX);
		if (rows->type != CONF_LINE && check_row(rows, size, depth, e))
			return err_add(e, -EINVAL, "row %s", errors_show(slice_str(name), shown, sizeof(shown)));
	}
	return 0;
}

/* Defaults that their own rows refuse would end whoever reads settings with them. */
static int try_rows(const struct conf_item *rows, size_t size, struct err *e)
{
	struct arena arena;
	struct conf_errors errors = { 0 };
	struct conf_reader r = { .arena = &arena, .errors = &errors, .file = SLICE_LIT("defaults") };

	if (!rows)
		return 0;
	if (check_rows(rows, size, 0, e))
		return -EINVAL;
	arena_init(&arena);
	/* Rows that must be given are missing here: only that it comes back is looked at. */
	conf_decode(&r, rows, NULL, arena_alloc(&arena, size + 1));
	conf_errors_fini(&errors);
	arena_fini(&arena);
	return 0;
}

/* ---- extensions of each kind -------------------------------------------------------------------------------------- */

static int look_net_filter(const void *p, struct err *e)
{
	const struct net_filter_ops *ops = p;

	return try_rows(ops->conf, ops->conf_size, e);
}

static int look_proto(const void *p, struct err *e)
{
	const struct proto_ops *ops = p;

	if (!ops->decode || !ops->put_head || !ops->put_data || !ops->room)
		return err_add(e, -EINVAL, "it lacks one of decode, put_head, put_data and room");
	if (!(ops->flags & PROTO_RPC))
		return err_add(e, -EINVAL, "its flags lack PROTO_RPC: want a protocol of calls");
	if (ops->flags & (PROTO_WINDOWS | PROTO_IDLE_PINGS) && !(ops->flags & PROTO_MULTIPLEX))
		return err_add(e, -EINVAL, "its flags lack PROTO_MULTIPLEX, which PROTO_WINDOWS and PROTO_IDLE_PINGS are about");
	return try_rows(ops->conf, ops->conf_size, e);
}

static int look_filter(const void *p, struct err *e)
{
	const struct filter_ops *ops = p;

	return try_rows(ops->listener.items, ops->listener.size, e) ?: try_rows(ops->route.items, ops->route.size, e);
}

static int look_lb(const void *p, struct err *e)
{
	const struct lb_ops *ops = p;

	if (!ops->pick)
		return err_add(e, -EINVAL, "it lacks pick");
	if (!ops->table_size != !ops->build)
		return err_add(e, -EINVAL, "table_size and build: want both or neither");
	return try_rows(ops->conf, ops->conf_size, e);
}

static int look_registry(const void *p, struct err *e)
{
	const struct registry_ops *ops = p;

	if (!ops->start)
		return err_add(e, -EINVAL, "it lacks start");
	return try_rows(ops->conf, ops->conf_size, e);
}

#define LOOK(kind, list, words) look_##kind,
static int (*const looks[EXTENSION_KINDS])(const void *ops, struct err *e) = { EXTENSIONS(LOOK) };

static int check_names(const struct weft_plugin *p, struct err *e)
{
	const void *ops;

	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(p, k, i)); i++) {
			char what[40];

			if (i == BRINGS_MAX)
				return err_add(e, -EINVAL, "it brings more than %d of one kind: %s", BRINGS_MAX, extension_words[k]);
			snprintf(what, sizeof(what), "a %s", extension_words[k]);
			if (check_name(what, extension_name(ops), e))
				return -EINVAL;
		}
	return 0;
}

static int look_all(const struct weft_plugin *p, struct err *e)
{
	const void *ops;

	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(p, k, i)); i++)
			if (looks[k](ops, e))
				return err_add(e, -EINVAL, "%s %s", extension_words[k], extension_name(ops));
	return 0;
}

/* ---- loading ------------------------------------------------------------------------------------------------------ */

/* What the linker said, without the path that stands in front of it. */
static int linker_error(const char *path, struct err *e)
{
	const char *words = dlerror();
	size_t n = strlen(path);

	if (!words)
		words = "cannot be loaded";
	if (!strncmp(words, path, n) && words[n] == ':')
		words += n + 1 + strspn(words + n + 1, " ");
	return err_add(e, -ENOEXEC, "%s", words);
}

int plugin_open(const char *path, const struct weft_plugin **what, volatile uint32_t *phase, struct err *e)
{
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct weft_plugin *p;
	int err;

	if (!so)
		return linker_error(path, e);
	*phase = PLUGIN_LOOKING;
	p = dlsym(so, "weft_plugin");
	if (!p)
		return err_add(e, -ENOEXEC, "it has no symbol weft_plugin, want WEFT_PLUGIN(...) in it");
	err = check_struct(p, e) ?: check_names(p, e);
	*phase = PLUGIN_ROWS;
	if (!err)
		err = look_all(p, e);
	*phase = PLUGIN_FINE;
	*what = p;
	return err;
}

static const struct plugin *owner(enum extension_kind kind, const void *ops)
{
	const void *own;

	for (size_t k = 0; k < plugins.n; k++)
		for (size_t i = 0; (own = extension_of(plugins.v[k].what, kind, i)); i++)
			if (own == ops)
				return &plugins.v[k];
	return NULL;
}

static int taken(enum extension_kind kind, const char *name, struct err *e)
{
	const void *ops = extension_find(kind, slice_str(name));
	const struct plugin *by = ops ? owner(kind, ops) : NULL;

	if (!by)
		return err_add(e, -EEXIST, "%s %s: there is one of that name in weft itself", extension_words[kind], name);
	return err_add(e, -EEXIST, "%s %s: there is one of that name in plugin %s (%s)", extension_words[kind], name, by->what->name,
		       by->path);
}

/* Words that stand where an extension's name may, and are no extension's. */
static bool is_own_word(enum extension_kind kind, const char *name)
{
	static const char *const words[EXTENSION_KINDS][10] = {
		[EXTENSION_proto] = { "http", "http-proxy", "tcp", "udp", "auto" },
		[EXTENSION_net_filter] = { "proxy-protocol" },
		[EXTENSION_filter] = { "RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite", "RequestRedirect", "DirectResponse" },
	};

	for (size_t i = 0; words[kind][i]; i++)
		if (!strcmp(name, words[kind][i]))
			return true;
	return false;
}

static int check_taken(const struct weft_plugin *p, struct err *e)
{
	const void *ops, *other;

	for (size_t i = 0; i < plugins.n; i++)
		if (!strcmp(plugins.v[i].what->name, p->name))
			return err_add(e, -EEXIST, "plugin %s: there is one of that name already (%s)", p->name, plugins.v[i].path);
	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(p, k, i)); i++) {
			if (is_own_word(k, extension_name(ops)) || extension_find(k, slice_str(extension_name(ops))))
				return taken(k, extension_name(ops), e);
			for (size_t j = 0; j < i && (other = extension_of(p, k, j)); j++)
				if (!strcmp(extension_name(ops), extension_name(other)))
					return err_add(e, -EEXIST, "%s %s: it brings two of that name", extension_words[k],
						       extension_name(ops));
		}
	return 0;
}

static int check_room(const struct weft_plugin *p, struct err *e)
{
	for (int k = 0; k < EXTENSION_KINDS; k++) {
		size_t n = 0;

		while (extension_of(p, k, n))
			n++;
		if (n > extension_room(k))
			return err_add(e, -ENOSPC, "more than %u of one kind: %s", EXTENSIONS_MAX, extension_words[k]);
	}
	return 0;
}

static int hash_file(const char *path, uint64_t *hash, struct err *e)
{
	char *text;
	size_t n;
	int err = conf_slurp(path, &text, &n, e);

	if (err)
		return err;
	*hash = hash_bytes((struct slice){ text, n }, HASH_STABLE);
	free(text);
	return 0;
}

int plugin_load(const char *path, struct err *e)
{
	struct plugin *p = &plugins.v[plugins.n];
	const struct weft_plugin *what;
	uint32_t phase = PLUGIN_LOADING;
	const void *ops;

	if (plugins.n == PLUGINS_MAX)
		return err_add(e, -ENOSPC, "more than %u plugins", PLUGINS_MAX);
	if (hash_file(path, &p->hash, e) || plugin_open(path, &what, &phase, e) || check_taken(what, e) || check_room(what, e))
		return -EINVAL;
	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(what, k, i)); i++)
			stat_add(&plugins.stat.extensions, !extension_add(k, ops));
	p->path = mem_str(path);
	p->what = what;
	stat_set(&plugins.stat.loaded, ++plugins.n);
	return 0;
}

bool plugin_is_loaded(const char *path)
{
	for (size_t i = 0; i < plugins.n; i++)
		if (!strcmp(plugins.v[i].path, path))
			return true;
	return false;
}

uint64_t plugins_hash(void)
{
	uint64_t h = plugins.n ? HASH_STABLE : 0;

	for (size_t i = 0; i < plugins.n; i++)
		h = hash_bytes((struct slice){ (const char *)&plugins.v[i].hash, sizeof(plugins.v[i].hash) }, h);
	return h;
}
