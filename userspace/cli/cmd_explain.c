/* SPDX-License-Identifier: Apache-2.0 */
/* explain: the answer of /explain in sentences. */
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

/* Percent-encodes what is not plain in a query. */
static void encode(char *out, size_t size, const char *in)
{
	size_t n = 0;

	for (; *in && n + 4 < size; in++) {
		if (strchr("&=%+# ?", *in))
			n += snprintf(out + n, size - n, "%%%02X", (unsigned char)*in);
		else
			out[n++] = *in;
	}
	out[n] = '\0';
}

int verb_explain(struct cli *c)
{
	const char *from = cli_option(c, "--from"), *sample = cli_option(c, "--sample");
	char target[2048], proto[16], address[128], who[1024] = "";
	json_t *o;

	if (c->argc != 2)
		return cli_fail(EXIT_USAGE, "explain PROTO ADDRESS: such as explain tcp 10.96.0.10:80");
	encode(proto, sizeof(proto), c->argv[0]);
	encode(address, sizeof(address), c->argv[1]);
	if (from)
		encode(who, sizeof(who), from);
	snprintf(target, sizeof(target), "/explain?protocol=%s&address=%s%s%s%s%.16s", proto, address, from ? "&from=" : "", who,
		 sample ? "&sample=" : "", sample ? sample : "");
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
