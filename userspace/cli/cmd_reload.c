/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_client.h"
#include "cli/cli.h"

static void print_lines(FILE *out, const char *before, const json_t *list)
{
	const json_t *line;
	size_t i;

	json_array_foreach(list, i, line)
		fprintf(out, "%s%s\n", before, render_value(line, COLUMN_TEXT));
}

static int show(const struct cli *c, int status, const json_t *v)
{
	const json_t *errors = json_object_get(v, "errors");
	const char *why = json_string_value(json_object_get(v, "error"));
	long long more = json_integer_value(json_object_get(v, "more"));

	if (!errors)
		return cli_fail(EXIT_FAILED, "%s", why ? render_value(json_object_get(v, "error"), COLUMN_TEXT) : "weftd refused");
	if (c->output == OUTPUT_JSON) {
		render_json(stdout, v);
	} else if (status == 200) {
		printf("taken\n");
		print_lines(stdout, "waits for a restart: ", json_object_get(v, "restart"));
	} else {
		print_lines(stderr, "", errors);
		if (more)
			fprintf(stderr, "and %lld errors more\n", more);
		cli_fail(EXIT_USAGE, "refused; the configuration in force stays");
	}
	return status == 200 ? EXIT_OK : EXIT_USAGE;
}

int verb_reload(struct cli *c)
{
	struct err e = { 0 };
	json_t *v = NULL;
	int status = 0, code;

	if (cli_no_more(c, 0))
		return EXIT_USAGE;
	if (admin_ask(c->socket, "POST", "/reload", &status, &v, &e))
		return cli_fail(EXIT_FAILED, "%s", err_text(&e));
	code = show(c, status, v);
	json_decref(v);
	return code;
}
