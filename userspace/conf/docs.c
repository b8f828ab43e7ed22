// SPDX-License-Identifier: Apache-2.0
/* The reference of settings, as Markdown: a section per mapping, a table row per field. */
#include <stdio.h>
#include "base/protocols.h"
#include "conf/dump.h"
#include "conf/extension_rows.h"
#include "conf/value.h"
#include "weft/str.h"

static const char intro[] =
	"# Settings\n"
	"\n"
	"Every setting of `/etc/weft/weft.yaml`. This page is written by `make docs` from the rows that also read the file,\n"
	"so it says what this build accepts; anything else is refused with `FILE:LINE: path.to.field: what is wrong and what\n"
	"is allowed`. `weft config check FILE` only checks, together with the files that its registries\n"
	"read; what is allowed but hardly meant is a `note:`.\n"
	"\n"
	"A running daemon reads the file again when it, or something in `conf.d`, changes, on SIGHUP and on `weft reload`: what\n"
	"it then says is used whole, facts and registries in one step, or refused whole and the old configuration stays (`/ready`,\n"
	"the log and `weft_reload_refused_total` say so; `weft reload` prints what is wrong and exits with 2). `workers`, `admin`,\n"
	"`kernel`, `proxy` and `plugins` are read at the start alone: the log and `weft reload` name what waits for a restart.\n"
	"\n"
	"The file is YAML 1.2 (so JSON will do). Files `conf.d/*.yaml` beside it go over it in the order of their names:\n"
	"mappings field by field, lists of named elements by name, anything else is replaced. A field that is left out or\n"
	"has no value takes its default. Sizes: 64 MiB a file, 64 levels of nesting; a key may not stand twice.\n"
	"\n"
	"The smallest useful files, a proxy and a service balanced in the kernel:\n"
	"```yaml\n"
	"listeners:\n"
	"- {name: web, address: \"127.0.0.1:8080\", protocol: http, routes: [{rules: [{backends: [{cluster: app}]}]}]}\n"
	"clusters:\n"
	"- {name: app, endpoints: [{address: \"127.0.0.1:9001\"}, {address: \"127.0.0.1:9002\"}]}\n"
	"```\n"
	"```yaml\n"
	"services:\n"
	"- {name: web, addresses: [10.96.0.10], ports: [{port: 80}], cluster: web}\n"
	"clusters:\n"
	"- {name: web, endpoints: [{address: \"127.0.0.1:9001\"}, {address: \"127.0.0.1:9002\"}]}\n"
	"```\n"
	"`services`, `clusters`, `routes`, `listeners` and `workloads` may stand here or in files of a registry of type `file`, in the same\n"
	"words. There a file may also hold Kubernetes `Service` and `EndpointSlice` objects.\n";

static bool ends(const struct conf_item *row)
{
	return !row->name && row->type != CONF_LINE;
}

static const char *what(const struct conf_item *row, char *out, size_t size)
{
	char of[400];

	if (row->type == CONF_CHOICE)
		return "one of the types below";
	if (row->type != CONF_LIST)
		return value_want(row, row->type, out, size);
	if (row->of == CONF_STRUCT)
		return "a list of mappings";
	if (row->of == CONF_LIST)
		return "a list of lists of text";
	snprintf(out, size, "a list, each %s", value_want(row, row->of, of, sizeof(of)));
	return out;
}

static void row_line(struct buf *out, const struct conf_item *row)
{
	char allowed[512];

	buf_printf(out, "| `%s` | %s | ", row->name, what(row, allowed, sizeof(allowed)));
	if (row->required)
		buf_printf(out, "must be given");
	else if (row->dflt)
		buf_printf(out, "`%s`", row->dflt);
	buf_printf(out, " | %s |\n", row->help);
}

static void table(struct buf *out, const struct conf_item *rows)
{
	buf_printf(out, "| field | value | default | meaning |\n|---|---|---|---|\n");
	for (; !ends(rows); rows++) {
		if (rows->name && rows->type != CONF_REFUSED)
			row_line(out, rows);
	}
}

static void body(struct buf *out, const char *path, const struct conf_item *rows, const struct conf_choice *choices);

static void choices_of(struct buf *out, const char *path, const struct conf_item *row, const struct conf_choice *choices)
{
	char inner[256];

	for (; choices && choices->name; choices++) {
		if (choices->refused)
			continue;
		snprintf(inner, sizeof(inner), "%s with %s: %s", path, row->name, choices->name);
		buf_printf(out, "\n## %s\n", inner);
		if (choices->rows)
			body(out, inner, choices->rows, NULL);
	}
}

/* What extensions that are built in read in a mapping that is theirs. */
static void settings_of(struct buf *out, const char *path, const struct conf_item *row)
{
	if (!strcmp(row->name, "protocolSettings"))
		for (const struct proto_ops *const *p = protocols(); *p; p++)
			if ((*p)->conf) {
				buf_printf(out, "\n## %s.%s with protocol: %s\n", path, row->name, (*p)->name);
				table(out, (*p)->conf);
			}
}

/* The table, then a section for each mapping within. */
static void body(struct buf *out, const char *path, const struct conf_item *rows, const struct conf_choice *choices)
{
	char inner[256];

	table(out, rows);
	for (const struct conf_item *r = rows; !ends(r); r++) {
		if (r->type == CONF_CHOICE)
			choices_of(out, path, r, r->choices ? r->choices : choices);
		if (r->type == CONF_STRUCT && !r->rows)
			settings_of(out, path, r);
		if (!r->rows || r->of == CONF_LIST)
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s%s", path, *path ? "." : "", r->name,
			 r->type == CONF_LIST ? "[]" : "");
		buf_printf(out, "\n## %s\n", inner);
		body(out, inner, r->rows, choices);
	}
}

static void refused_choices(struct buf *out, const char *path, const struct conf_item *row)
{
	for (const struct conf_choice *c = row->choices; c && c->name; c++) {
		if (c->refused)
			buf_printf(out, "| `%s%s: %s` | %s |\n", path, row->name, c->name, c->refused);
	}
}

static void refused(struct buf *out, const char *path, const struct conf_item *rows)
{
	char inner[256];

	for (; !ends(rows); rows++) {
		if (rows->type == CONF_REFUSED)
			buf_printf(out, "| `%s%s` | %s |\n", path, rows->name, rows->help);
		refused_choices(out, path, rows);
		if (!rows->rows || rows->of == CONF_LIST)
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s.", path, rows->name, rows->type == CONF_LIST ? "[]" : "");
		refused(out, inner, rows->rows);
	}
}

void config_docs(struct buf *out, const struct conf_choice *choices)
{
	extension_rows_fill();
	buf_add(out, intro, sizeof(intro) - 1);
	buf_printf(out, "\n## The file\n");
	body(out, "", config_rows, choices);
	buf_printf(out, "\n## Not in this release\nRefused, so that nobody believes them to work.\n\n| field | why |\n|---|---|\n");
	refused(out, "", config_rows);
}
