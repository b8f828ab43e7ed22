/* SPDX-License-Identifier: Apache-2.0 */
/* explain http, explain rpc: which rule a request would meet, and what would become of it, in sentences. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define TARGET_BYTES 32768

static const char *text(const json_t *o, const char *path)
{
	return render_value(render_path(o, path), COLUMN_TEXT);
}

static long long number(const json_t *o, const char *path)
{
	return json_integer_value(render_path(o, path));
}

/* A call of an RPC protocol has neither method nor path of HTTP. */
static bool is_rpc(const json_t *o)
{
	return !*json_string_value(render_path(o, "request.method"));
}

static void put_rule(const json_t *o)
{
	const json_t *rule = json_object_get(o, "rule");

	if (!rule)
		return;
	printf("  rule           %s, rule %lld", text(rule, "route"), number(rule, "rule"));
	printf(" (%s): %s\n", text(rule, "source"), text(rule, "matches"));
	printf("  does           %s\n", text(rule, "action"));
}

/* In their order: "local-rate-limit of listener, ext-authz of rule (asks auth)". */
static void put_filters(const json_t *o)
{
	json_t *f, *cluster;
	size_t i, k;

	json_array_foreach(json_object_get(o, "filters"), i, f) {
		printf("%s%s of %s", i ? ", " : "  filters        ", text(f, "type"), text(f, "of"));
		json_array_foreach(json_object_get(f, "asks"), k, cluster)
			printf("%s%s", k ? ", " : " (asks ", json_string_value(cluster));
		printf("%s", k ? ")" : "");
	}
	if (i)
		printf("\n");
}

static bool has_header(const json_t *request, const json_t *header)
{
	json_t *h;
	size_t i;

	json_array_foreach(json_object_get(request, "headers"), i, h) {
		if (json_equal(h, header))
			return true;
	}
	return false;
}

static void put_headers(const json_t *of, const json_t *unless, char sign)
{
	json_t *h;
	size_t i;

	json_array_foreach(json_object_get(of, "headers"), i, h) {
		if (!has_header(unless, h))
			printf("                 %c %s: %s\n", sign, json_string_value(json_array_get(h, 0)),
			       json_string_value(json_array_get(h, 1)));
	}
}

/* What the rule's filters make of the request. */
static void put_forwarded(const json_t *o)
{
	const json_t *before = json_object_get(o, "request"), *after = json_object_get(o, "forwarded");

	if (!after)
		return;
	if (!is_rpc(o))
		printf("  goes on as     %s %s, Host: %s\n", text(after, "method"), text(after, "path"), text(after, "authority"));
	put_headers(before, after, '-');
	put_headers(after, before, '+');
}

static void put_ms(const char *what, long long ms, const char *gap)
{
	if (ms % 1000)
		printf("%s %lldms%s", what, ms, gap);
	else if (ms)
		printf("%s %llds%s", what, ms / 1000, gap);
	else
		printf("%s none%s", what, gap);
}

static void put_tries(const json_t *o)
{
	if (!json_object_get(o, "timeouts"))
		return;
	printf("  timeouts       ");
	put_ms("request", number(o, "timeouts.requestMs"), ", ");
	put_ms("each try", number(o, "timeouts.backendRequestMs"), ", ");
	put_ms("idle", number(o, "timeouts.idleMs"), "\n");
	if (number(o, "retries.attempts"))
		printf("  retries        %lld on %s; at most %lld%% of the requests, %lld a second always\n", number(o, "retries.attempts"),
		       text(o, "retries.on"), number(o, "retries.budgetPercent"), number(o, "retries.minPerSecond"));
	else
		printf("  retries        none\n");
	printf("  connecting     where none can be made, to up to %lld hosts more\n", number(o, "retries.otherHostsToConnect"));
}

static void put_hash(const json_t *o)
{
	json_t *backend;
	size_t i;

	if (json_object_get(o, "hashWants"))
		printf("  hash           wants %s\n", text(o, "hashWants"));
	else if (json_object_get(o, "hash"))
		printf("  hash           %s%s%s\n", text(o, "hash"), json_object_get(o, "setCookie") ? ", and the client gets the cookie " : "",
		       json_object_get(o, "setCookie") ? text(o, "setCookie") : "");
	json_array_foreach(json_object_get(o, "backends"), i, backend) {
		if (json_object_get(backend, "sentTo"))
			printf("  sent to        %s of %s, by its hash\n", text(backend, "sentTo"), text(backend, "cluster"));
	}
}

static void put_calls(const json_t *o)
{
	json_t *type;
	size_t i;

	if (!json_object_get(o, "calls"))
		return;
	printf("  calls          %s(", text(o, "calls.method"));
	json_array_foreach(render_path(o, "calls.arguments"), i, type)
		printf("%s%s", i ? ", " : "", json_string_value(type));
	printf(") of %s", text(o, "calls.service"));
	if (json_string_length(render_path(o, "calls.version")))
		printf(", version %s", text(o, "calls.version"));
	if (json_string_length(render_path(o, "calls.group")))
		printf(", group %s", text(o, "calls.group"));
	printf("\n");
}

static void put_outcome(const json_t *o)
{
	const char *type = text(o, "outcome.type");

	if (!strcmp(type, "redirect"))
		printf("  answer         %lld, Location: %s\n", number(o, "outcome.status"), text(o, "outcome.location"));
	else if (!strcmp(type, "direct"))
		printf("  answer         %lld, %zu bytes\n", number(o, "outcome.status"),
		       json_string_length(render_path(o, "outcome.body")));
	else if (!strcmp(type, "error"))
		printf("  answer         %lld: %s\n", number(o, "outcome.status"), text(o, "outcome.why"));
	if (render_path(o, "outcome.grpcStatus"))
		printf("  as gRPC        200 with grpc-status %lld, %s\n", number(o, "outcome.grpcStatus.code"),
		       text(o, "outcome.grpcStatus.word"));
}

/* ---- tables ------------------------------------------------------------------------------------------------- */

static void put_backends(const json_t *o)
{
	static const struct column columns[] = {
		{ "BACKEND", "of.cluster", COLUMN_TEXT, false },
		{ "SUBSET", "of.subset", COLUMN_TEXT, false },
		{ "SHARE", "of.percent", COLUMN_TEXT, false },
		{ "BALANCER", "of.algorithm", COLUMN_TEXT, false },
		{ "FALLBACK", "of.fallback", COLUMN_TEXT, true },
		{ "HOST", "address", COLUMN_TEXT, false },
		{ "WEIGHT", "weight", COLUMN_COUNT, false },
		{ "STATE", "state", COLUMN_TEXT, false },
		{ "HEALTH", "health", COLUMN_TEXT, false },
		{ "TAKES", "takes", COLUMN_TEXT, false },
		{ "PRIORITY", "priority", COLUMN_COUNT, true },
		{ "ZONE", "zone", COLUMN_TEXT, true },
		{ 0 },
	};
	json_t *rows = json_array(), *backend, *host;
	size_t i, k;

	json_array_foreach(json_object_get(o, "backends"), i, backend) {
		json_object_set_new(backend, "percent",
				    json_sprintf("%.1f%%", 100 * json_real_value(json_object_get(backend, "share"))));
		json_array_foreach(json_object_get(backend, "hosts"), k, host) {
			json_object_set(host, "of", backend);
			json_array_append(rows, host);
		}
		if (!json_array_size(json_object_get(backend, "hosts")))
			json_array_append_new(rows, json_pack("{sO ss*}", "of", backend, "state",
							      json_is_true(json_object_get(backend, "absent")) ?
								      "absent: no registry has given it (503 NC)" : NULL));
	}
	if (json_array_size(rows)) {
		printf("\n");
		render_table(stdout, rows, columns, OUTPUT_TABLE);
	}
	/* Each host names its backend, which has it: the ring is opened, or neither is ever freed. */
	json_array_foreach(rows, i, host)
		json_object_del(host, "of");
	json_decref(rows);
}

static void put_others(const json_t *o)
{
	static const struct column columns[] = {
		{ "NOT THIS RULE", "route", COLUMN_TEXT, false },
		{ "RULE", "rule", COLUMN_COUNT, false },
		{ "MATCHES", "matches", COLUMN_TEXT, false },
		{ "BECAUSE", "because", COLUMN_TEXT, false },
		{ 0 },
	};
	json_t *rows = json_object_get(o, "runnersUp"), *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *behind = json_string_value(json_object_get(row, "behind"));

		if (behind)
			json_object_set_new(row, "because", json_sprintf("the chosen one %s", behind));
		else
			json_object_set_new(row, "because", json_sprintf("it wants %s", text(row, "lacks")));
	}
	if (json_array_size(rows)) {
		printf("\n");
		render_table(stdout, rows, columns, OUTPUT_TABLE);
	}
	if (number(o, "more"))
		printf("and %lld more\n", number(o, "more"));
	if (number(o, "otherPaths"))
		printf("%s%lld matches of other rules are for another path\n", json_array_size(rows) ? "" : "\n", number(o, "otherPaths"));
}

/* "GET http://web.example/orders at listener web", or "buy of service shop at listener calls". */
static void put_asked(const json_t *o)
{
	const json_t *service = render_path(o, "at.service");
	const char *at = service ? "service" : "listener", *name = service ? text(o, "at.service") : text(o, "at.listener");

	if (is_rpc(o)) {
		printf("%s of service %s at %s %s\n", text(o, "call.method"), text(o, "call.service"), at, name);
		return;
	}
	printf("%s %s://%s%s at %s %s\n", text(o, "request.method"), text(o, "request.scheme"), text(o, "request.authority"),
	       text(o, "request.path"), at, name);
	if (json_object_get(o, "call"))
		printf("  call           %s of service %s\n", text(o, "call.method"), text(o, "call.service"));
	printf("  host           %s\n", text(o, "host"));
}

static void put(const json_t *o)
{
	put_asked(o);
	put_rule(o);
	put_filters(o);
	printf("  because        %s\n", text(o, "why"));
	put_outcome(o);
	put_forwarded(o);
	put_tries(o);
	put_calls(o);
	put_hash(o);
	put_backends(o);
	put_others(o);
}

/* ---- asking ------------------------------------------------------------------------------------------------- */

static int add_word(char *target, size_t *n, const char *name, const char *value)
{
	if (!value)
		return 0;
	*n += (size_t)snprintf(target + *n, TARGET_BYTES - *n, "%c%s=", *n > strlen("/explain") ? '&' : '?', name);
	return cli_encode(target, TARGET_BYTES, n, value);
}

/* Every "-H NAME: VALUE", behind each other in one text of lines. */
static char *take_headers(struct cli *c)
{
	char *all = strdup("");
	const char *one;

	while (all && (one = cli_option(c, "-H"))) {
		char *more = NULL;

		if (asprintf(&more, "%s%s\n", all, one) < 0)
			more = NULL;
		free(all);
		all = more;
	}
	return all;
}

static int explain_request(struct cli *c, const char *first, const char *second, const char *usage)
{
	static char target[TARGET_BYTES] = "/explain";
	const char *listener = cli_option(c, "--listener"), *from = cli_option(c, "--from"), *client = cli_option(c, "--client");
	char *headers = take_headers(c);
	size_t n = strlen(target);
	int err = c->argc != 3;
	json_t *o;

	if (err)
		cli_fail(EXIT_USAGE, "%s", usage);
	else if (!headers || add_word(target, &n, first, c->argv[1]) || add_word(target, &n, second, c->argv[2]) ||
		 add_word(target, &n, "headers", *headers ? headers : NULL) || add_word(target, &n, "listener", listener) ||
		 add_word(target, &n, "from", from) || add_word(target, &n, "client", client))
		err = cli_fail(EXIT_USAGE, "explain %s: more than %d bytes in all", c->argv[0], TARGET_BYTES);
	free(headers);
	if (err)
		return EXIT_USAGE;
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

int explain_http(struct cli *c)
{
	return explain_request(c, "http", "url", "explain http METHOD URL: such as explain http GET http://web.example/orders -H "
						 "'x-user: bob'");
}

int explain_rpc(struct cli *c)
{
	return explain_request(c, "rpc", "method", "explain rpc SERVICE METHOD: such as explain rpc com.example.Orders:1.0 create -H "
						   "'x-user: bob'");
}
