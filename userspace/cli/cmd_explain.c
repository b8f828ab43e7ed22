/* SPDX-License-Identifier: Apache-2.0 */
/* explain: the answer of /explain in sentences. */
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"

static const char *text(const json_t *o, const char *path)
{
	return render_value(render_path(o, path), COLUMN_TEXT);
}

static void put_backends(const json_t *o)
{
	static const struct column columns[] = {
		{ "BACKEND", "address", COLUMN_TEXT, false },
		{ "WEIGHT", "weight", COLUMN_COUNT, false },
		{ "SHARE", "percent", COLUMN_TEXT, false },
		{ "STATE", "state", COLUMN_TEXT, false },
		{ "OPEN", "open", COLUMN_COUNT, false },
		{ "SAMPLED", "sampled", COLUMN_COUNT, false },
		{ 0 },
	};
	json_t *rows = json_object_get(o, "backends"), *picked = json_object_get(json_object_get(o, "sample"), "picked"), *row;
	char key[24];
	size_t i;

	json_array_foreach(rows, i, row) {
		json_object_set_new(row, "percent",
				    json_sprintf("%.1f%%", 100 * json_real_value(json_object_get(row, "share"))));
		snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(json_object_get(row, "id")));
		if (picked)
			json_object_set(row, "sampled", json_object_get(picked, key));
	}
	printf("\n");
	render_table(stdout, rows, columns, OUTPUT_TABLE);
}

static void put(const json_t *o)
{
	const json_t *service = json_object_get(o, "service");

	printf("%s %s from %s\n", text(o, "protocol"), text(o, "address"),
	       *text(o, "from.cgroup") == '-' ? "any process of this namespace" : text(o, "from.cgroup"));
	if (json_is_object(service))
		printf("  service        %s port %s, cluster %s\n", text(service, "name"), text(service, "port"),
		       text(service, "cluster"));
	if (json_is_object(json_object_get(o, "range")))
		printf("  range          %s of listener %s, failMode %s\n", text(o, "range.range"), text(o, "range.listener"),
		       text(o, "range.failMode"));
	printf("  decision       %s (%s)\n", text(o, "why"), text(o, "reason"));
	printf("  path           %s\n", text(o, "path"));
	if (json_is_object(service)) {
		printf("  algorithm      %s", text(service, "algorithm"));
		if (json_integer_value(json_object_get(service, "affinitySeconds")))
			printf(", ClientIP affinity for %s s", text(service, "affinitySeconds"));
		printf("\n");
	}
	if (json_object_get(o, "choice"))
		printf("  choice         %s\n", text(o, "choice.address"));
	if (*text(o, "error") != '-')
		printf("  connect()      fails at once with %s\n", text(o, "error"));
	else
		printf("  connect()      goes to %s\n", text(o, "target"));
	printf("  short-circuit  %s: %s\n", text(o, "shortCircuit.prospect"), text(o, "shortCircuit.why"));
	if (json_array_size(json_object_get(o, "backends")))
		put_backends(o);
}

int cli_encode(char *out, size_t size, size_t *at, const char *in)
{
	for (; *in && *at + 4 < size; in++) {
		if (isalnum((unsigned char)*in) || strchr("-._~/:", *in))
			out[(*at)++] = *in;
		else
			*at += (size_t)snprintf(out + *at, size - *at, "%%%02X", (unsigned char)*in);
	}
	out[*at] = '\0';
	return *in ? -1 : 0;
}

static int add_word(char *target, size_t size, size_t *n, const char *name, const char *value)
{
	if (!value)
		return 0;
	*n += (size_t)snprintf(target + *n, size - *n, "%s=", name);
	return cli_encode(target, size, n, value);
}

int verb_explain(struct cli *c)
{
	const char *from, *sample;
	char target[2048] = "/explain?";
	size_t n = strlen(target);
	json_t *o;

	if (c->argc && !strcmp(c->argv[0], "http"))
		return explain_http(c);
	if (c->argc && !strcmp(c->argv[0], "rpc"))
		return explain_rpc(c);
	from = cli_option(c, "--from");
	sample = cli_option(c, "--sample");
	if (c->argc != 2)
		return cli_fail(EXIT_USAGE, "explain PROTO ADDRESS: such as explain tcp 10.96.0.10:80");
	if (add_word(target, sizeof(target), &n, "protocol", c->argv[0]) ||
	    add_word(target, sizeof(target), &n, "&address", c->argv[1]) || add_word(target, sizeof(target), &n, "&from", from) ||
	    add_word(target, sizeof(target), &n, "&sample", sample))
		return cli_fail(EXIT_USAGE, "explain: more than %zu bytes in all", sizeof(target));
	o = cli_get(c, target, NULL);
	if (!o)
		return EXIT_FAILED;
	if (c->output == OUTPUT_JSON)
		render_json(stdout, o);
	else
		put(o);
	json_decref(o);
	return EXIT_OK;
}
