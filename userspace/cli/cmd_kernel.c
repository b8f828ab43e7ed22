/* SPDX-License-Identifier: Apache-2.0 */
/* kernel maps, programs, reasons. */
#include "cli/cli.h"

/* As JSON: the answer with this member alone. */
static int show(struct cli *c, const char *target, const char *member, const struct column *columns)
{
	json_t *all = cli_get(c, target, NULL), *part;

	if (!all)
		return EXIT_FAILED;
	part = json_pack("{sO}", member, json_object_get(all, member));
	if (c->output == OUTPUT_JSON)
		render_json(stdout, part);
	else
		render_table(stdout, json_object_get(part, member), columns, c->output);
	json_decref(part);
	json_decref(all);
	return EXIT_OK;
}

static int show_map(struct cli *c, const char *name)
{
	char target[128];
	json_t *v;

	snprintf(target, sizeof(target), "/kernel/maps/%.64s", name);
	v = cli_get(c, target, NULL);
	if (!v)
		return EXIT_FAILED;
	render_json(stdout, v);
	json_decref(v);
	return EXIT_OK;
}

int verb_kernel_maps(struct cli *c)
{
	static const struct column columns[] = {
		{ "MAP", "name", COLUMN_TEXT, false },
		{ "TYPE", "type", COLUMN_TEXT, false },
		{ "KEY", "keySize", COLUMN_COUNT, true },
		{ "VALUE", "valueSize", COLUMN_COUNT, true },
		{ "USED", "used", COLUMN_COUNT, false },
		{ "SIZE", "maxEntries", COLUMN_COUNT, false },
		{ "MEMORY", "bytes", COLUMN_BYTES, false },
		{ "OWNER", "owner", COLUMN_TEXT, false },
		{ "ID", "id", COLUMN_COUNT, true },
		{ "PIN", "pin", COLUMN_TEXT, true },
		{ 0 },
	};

	if (cli_no_more(c, 1))
		return EXIT_USAGE;
	return c->argc ? show_map(c, c->argv[0]) : show(c, "/kernel", "maps", columns);
}

int verb_kernel_programs(struct cli *c)
{
	static const struct column columns[] = {
		{ "PROGRAM", "name", COLUMN_TEXT, false },
		{ "HOOK", "attach", COLUMN_TEXT, false },
		{ "ID", "id", COLUMN_COUNT, false },
		{ "TAG", "tag", COLUMN_TEXT, false },
		{ "RUNS", "runs", COLUMN_COUNT, true },
		{ "NS/RUN", "nsPerRun", COLUMN_COUNT, true },
		{ 0 },
	};

	return cli_no_more(c, 0) ? EXIT_USAGE : show(c, "/kernel", "programs", columns);
}

int verb_kernel_reasons(struct cli *c)
{
	static const struct column columns[] = {
		{ "REASON", "name", COLUMN_TEXT, false },
		{ "CLASS", "class", COLUMN_TEXT, false },
		{ "COUNT", "count", COLUMN_COUNT, false },
		{ "MEANING", "text", COLUMN_TEXT, false },
		{ 0 },
	};

	return cli_no_more(c, 0) ? EXIT_USAGE : show(c, "/kernel/reasons", "reasons", columns);
}
