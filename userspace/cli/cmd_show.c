/* SPDX-License-Identifier: Apache-2.0 */
/* status, services, clusters, routes, listeners, filters, methods, overload, connections, config dump, plugins, version: the daemon's model. */
#include <string.h>

#include "cli/cli.h"

/* Rows of an array whose "name" is the given one; all of them without a name. A new reference. */
static json_t *rows_named(json_t *rows, const char *name)
{
	json_t *out = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *s = json_string_value(json_object_get(row, "name"));

		if (!name || (s && !strcmp(s, name)))
			json_array_append(out, row);
	}
	return out;
}

static int show_rows(struct cli *c, const char *target, const char *member, const struct column *columns)
{
	const char *name = c->argc ? c->argv[0] : NULL;
	json_t *all, *rows;
	int err = cli_no_more(c, 1);

	if (err)
		return err;
	all = cli_get(c, target, NULL);
	if (!all)
		return EXIT_FAILED;
	rows = rows_named(json_object_get(all, member), name);
	json_object_set(all, member, rows);
	if (name && !json_array_size(rows))
		err = cli_fail(EXIT_FAILED, "no %.*s named %s", (int)strlen(member) - 1, member, name);
	else if (c->output == OUTPUT_JSON)
		render_json(stdout, all);
	else
		render_table(stdout, rows, columns, c->output);
	json_decref(rows);
	json_decref(all);
	return err;
}

/* What a row has to say beside its columns. */
static void put_notes(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const json_t *words = json_object_get(row, "note");

		if (words)
			printf("note: %s port %s: %s\n", render_value(render_path(row, "of.name"), COLUMN_TEXT),
			       render_value(json_object_get(row, "port"), COLUMN_COUNT), render_value(words, COLUMN_TEXT));
	}
}

/* Why a cluster has no host to show; nothing where it simply has none. */
static void put_reason(json_t *flat, const json_t *row)
{
	json_t *found = json_object_get(row, json_object_get(row, "dns") ? "dns" : "discovery"), *words = json_object_get(found, "state");

	if (json_is_true(json_object_get(row, "absent")))
		json_object_set_new(flat, "state", json_string("absent: no registry has given it"));
	else if (words)
		json_object_set(flat, "state", words);
}

/*
 * One row for each element of an inner array, with the outer row as "of": a service's ports, a cluster's hosts; as "once" in
 * the first of them. One without any has a row too when there is a reason.
 */
static json_t *flatten(const json_t *rows, const char *inner)
{
	json_t *out = json_array(), *row, *sub;
	size_t i, k;

	json_array_foreach(rows, i, row) {
		json_array_foreach(json_object_get(row, inner), k, sub) {
			json_t *flat = json_copy(sub);

			json_object_set(flat, "of", row);
			if (!k)
				json_object_set(flat, "once", row);
			json_array_append_new(out, flat);
		}
		if (!json_array_size(json_object_get(row, inner))) {
			json_t *flat = json_object();

			put_reason(flat, row);
			if (json_object_size(flat) && !json_object_set(flat, "of", row))
				json_array_append(out, flat);
			json_decref(flat);
		}
	}
	return out;
}

static int show_flat(struct cli *c, const char *target, const char *member, const char *inner, const struct column *columns)
{
	const char *name = c->argc ? c->argv[0] : NULL;
	json_t *all, *rows, *flat;
	int err = cli_no_more(c, 1);

	if (err || c->output == OUTPUT_JSON)
		return err ? err : show_rows(c, target, member, columns);
	all = cli_get(c, target, NULL);
	if (!all)
		return EXIT_FAILED;
	rows = rows_named(json_object_get(all, member), name);
	flat = flatten(rows, inner);
	if (name && !json_array_size(rows))
		err = cli_fail(EXIT_FAILED, "no %.*s named %s", (int)strlen(member) - 1, member, name);
	else
		render_table(stdout, flat, columns, c->output);
	put_notes(flat);
	json_decref(flat);
	json_decref(rows);
	json_decref(all);
	return err;
}

int verb_services(struct cli *c)
{
	static const struct column columns[] = {
		{ "SERVICE", "of.name", COLUMN_TEXT, false },
		{ "ADDRESS", "of.addresses", COLUMN_TEXT, false },
		{ "PORT", "port", COLUMN_COUNT, false },
		{ "PROTO", "protocol", COLUMN_TEXT, false },
		{ "CLUSTER", "cluster", COLUMN_TEXT, false },
		{ "PATH", "path", COLUMN_TEXT, false },
		{ "ALGORITHM", "algorithm", COLUMN_TEXT, false },
		{ "READY", "ready", COLUMN_COUNT, false },
		{ "HOSTS", "hosts", COLUMN_COUNT, false },
		{ "PICKED", "picked", COLUMN_COUNT, false },
		{ "REFUSED", "refused", COLUMN_COUNT, false },
		{ "OPENED", "opened", COLUMN_COUNT, true },
		{ "ACCELERATED", "accelerated", COLUMN_COUNT, true },
		{ "SENT", "txBytes", COLUMN_BYTES, true },
		{ "RECEIVED", "rxBytes", COLUMN_BYTES, true },
		{ "AFFINITY", "affinitySeconds", COLUMN_SECONDS, true },
		{ "FAILMODE", "of.failMode", COLUMN_TEXT, true },
		{ "FROM", "of.source", COLUMN_TEXT, true },
		{ 0 },
	};

	return show_flat(c, "/services", "services", "ports", columns);
}

int verb_registries(struct cli *c)
{
	static const struct column columns[] = {
		{ "REGISTRY", "name", COLUMN_TEXT, false },
		{ "TYPE", "type", COLUMN_TEXT, false },
		{ "SYNCED", "synced", COLUMN_TEXT, false },
		{ "VERSION", "version", COLUMN_COUNT, true },
		{ "TAKEN", "taken", COLUMN_COUNT, false },
		{ "REFUSED", "refused", COLUMN_COUNT, false },
		{ "STATE", "message", COLUMN_TEXT, false },
		{ "WATCHING", "watching", COLUMN_TEXT, false },
		{ 0 },
	};

	return show_rows(c, "/registries", "registries", columns);
}

int verb_clusters(struct cli *c)
{
	static const struct column columns[] = {
		{ "CLUSTER", "of.name", COLUMN_TEXT, false },
		{ "BALANCER", "of.loadBalancer", COLUMN_TEXT, false },
		{ "HOST", "address", COLUMN_TEXT, false },
		{ "STATE", "state", COLUMN_TEXT, false },
		{ "HEALTH", "health", COLUMN_TEXT, false },
		{ "WEIGHT", "weight", COLUMN_COUNT, false },
		{ "ZONE", "zone", COLUMN_TEXT, false },
		{ "REQUESTS", "counts.requests", COLUMN_COUNT, false },
		{ "ACTIVE", "counts.active", COLUMN_COUNT, false },
		{ "ERRORS", "counts.errors", COLUMN_COUNT, false },
		{ "MEAN-US", "counts.mean_us", COLUMN_COUNT, true },
		{ "5XX", "counts.answers_5xx", COLUMN_COUNT, true },
		{ "UF", "counts.connect_failed", COLUMN_COUNT, true },
		{ "UC", "counts.closed", COLUMN_COUNT, true },
		{ "UPE", "counts.malformed", COLUMN_COUNT, true },
		{ "LATE", "counts.late", COLUMN_COUNT, true },
		{ "DC", "counts.client_gone", COLUMN_COUNT, true },
		{ "CONNECTIONS", "counts.connections", COLUMN_COUNT, true },
		{ "RESETS", "counts.multiplexed_resets", COLUMN_COUNT, true },
		{ "GOAWAYS", "counts.multiplexed_goaways", COLUMN_COUNT, true },
		{ "PRIORITY", "priority", COLUMN_COUNT, true },
		{ "GENERATION", "of.generation", COLUMN_COUNT, true },
		{ "FROM", "source", COLUMN_TEXT, true },
		{ 0 },
	};

	return show_flat(c, "/clusters", "clusters", "hosts", columns);
}

int verb_routes(struct cli *c)
{
	static const struct column columns[] = {
		{ "ROUTE", "of.name", COLUMN_TEXT, false },
		{ "HOSTS", "of.hosts", COLUMN_TEXT, false },
		{ "RULE", "index", COLUMN_COUNT, false },
		{ "MATCHES", "matches", COLUMN_TEXT, false },
		{ "DOES", "action", COLUMN_TEXT, false },
		{ "RETRIES", "retries", COLUMN_COUNT, true },
		{ "REQUESTS", "once.counts.requests", COLUMN_COUNT, true },
		{ "FAILED", "once.counts.failed", COLUMN_COUNT, true },
		{ "LISTENERS", "of.listeners", COLUMN_TEXT, true },
		{ "SERVICES", "of.services", COLUMN_TEXT, true },
		{ "FROM", "of.source", COLUMN_TEXT, true },
		{ 0 },
	};

	return show_flat(c, "/routes", "routes", "rules", columns);
}

int verb_listeners(struct cli *c)
{
	static const struct column columns[] = {
		{ "LISTENER", "name", COLUMN_TEXT, false },
		{ "ADDRESS", "address", COLUMN_TEXT, false },
		{ "PROTOCOL", "protocol", COLUMN_TEXT, false },
		{ "STATE", "state", COLUMN_TEXT, false },
		{ "TLS", "tlsMode", COLUMN_TEXT, false },
		{ "OPEN", "open", COLUMN_COUNT, false },
		{ "ACCEPTED", "accepted", COLUMN_COUNT, false },
		{ "RECEIVED", "received", COLUMN_BYTES, false },
		{ "SENT", "sent", COLUMN_BYTES, false },
		{ "SOCKETS", "sockets", COLUMN_COUNT, true },
		{ "MULTIPLEXED", "multiplexed", COLUMN_COUNT, true },
		{ "STREAMS", "streams", COLUMN_COUNT, true },
		{ "CAPTURE", "capture", COLUMN_TEXT, true },
		{ "FAILMODE", "failMode", COLUMN_TEXT, true },
		{ "NAMESPACE", "namespace", COLUMN_COUNT, true },
		{ "ROUTES", "routes", COLUMN_TEXT, true },
		{ "RETRIED", "retried", COLUMN_COUNT, true },
		{ "DROPPED", "dropped", COLUMN_COUNT, true },
		{ "FULL", "full", COLUMN_COUNT, true },
		{ "FROM", "source", COLUMN_TEXT, true },
		{ "MESSAGE", "message", COLUMN_TEXT, false },
		{ 0 },
	};

	return show_rows(c, "/listeners", "listeners", columns);
}

int verb_filters(struct cli *c)
{
	static const struct column columns[] = {
		{ "FILTER", "name", COLUMN_TEXT, false },
		{ "KIND", "kind", COLUMN_TEXT, false },
		{ "OF", "of", COLUMN_TEXT, false },
		{ "REQUESTS", "counts.requests", COLUMN_COUNT, false },
		{ "ACTIVE", "counts.active", COLUMN_COUNT, false },
		{ "ANSWERED", "counts.replies", COLUMN_COUNT, false },
		{ "WAITS", "counts.waits", COLUMN_COUNT, true },
		{ "ASKS", "asks", COLUMN_TEXT, false },
		{ "CALLS", "calls.calls", COLUMN_COUNT, false },
		{ "OUT", "calls.active", COLUMN_COUNT, false },
		{ "FAILED", "calls.failed", COLUMN_COUNT, false },
		{ "LATE", "calls.timeouts", COLUMN_COUNT, true },
		{ "CANCELLED", "calls.cancelled", COLUMN_COUNT, true },
		{ 0 },
	};

	return show_rows(c, "/filters", "filters", columns);
}

int verb_methods(struct cli *c)
{
	static const struct column columns[] = {
		{ "SERVICE", "service", COLUMN_TEXT, false },
		{ "METHOD", "method", COLUMN_TEXT, false },
		{ "CALLS", "counts.calls", COLUMN_COUNT, false },
		{ "OK", "counts.ok", COLUMN_COUNT, false },
		{ "FAILED", "counts.failed", COLUMN_COUNT, false },
		{ "LOCAL", "counts.local", COLUMN_COUNT, true },
		{ "TRIES", "counts.tries", COLUMN_COUNT, false },
		{ "MEAN-US", "counts.mean_us", COLUMN_COUNT, false },
		{ "REQUESTS", "counts.request_bytes", COLUMN_BYTES, true },
		{ "ANSWERS", "counts.response_bytes", COLUMN_BYTES, true },
		{ "STATUS", "statuses", COLUMN_TEXT, true },
		{ 0 },
	};

	return show_rows(c, "/methods", "methods", columns);
}

int verb_overload(struct cli *c)
{
	static const struct column columns[] = {
		{ "RESOURCE", "name", COLUMN_TEXT, false },   { "LEVEL", "level", COLUMN_TEXT, false },
		{ "USED", "used", COLUMN_COUNT, false },      { "LIMIT", "limit", COLUMN_COUNT, false },
		{ "SOFT FROM", "soft", COLUMN_COUNT, false }, { "HARD FROM", "hard", COLUMN_COUNT, false },
		{ 0 },
	};

	return show_rows(c, "/overload", "resources", columns);
}

int verb_connections(struct cli *c)
{
	static const struct column columns[] = {
		{ "CLIENT", "client", COLUMN_TEXT, false },
		{ "SERVER", "server", COLUMN_TEXT, false },
		{ "SERVICE", "service", COLUMN_TEXT, false },
		{ "SENT", "sent.bytes", COLUMN_BYTES, false },
		{ "PATH", "sent.path", COLUMN_TEXT, false },
		{ "WHY", "sent.reason", COLUMN_TEXT, true },
		{ "RECEIVED", "received.bytes", COLUMN_BYTES, false },
		{ "PATH", "received.path", COLUMN_TEXT, false },
		{ "WHY", "received.reason", COLUMN_TEXT, true },
		{ "AGE", "seconds", COLUMN_SECONDS, false },
		{ "STATE", "state", COLUMN_TEXT, false },
		{ 0 },
	};

	return cli_no_more(c, 0) ? EXIT_USAGE : show_rows(c, "/connections", "connections", columns);
}

static void print_status(const json_t *ready, const json_t *kernel, const json_t *version, const json_t *registries)
{
	static const struct column conditions[] = {
		{ "CONDITION", "name", COLUMN_TEXT, false },
		{ "OK", "ok", COLUMN_TEXT, false },
		{ "MESSAGE", "message", COLUMN_TEXT, false },
		{ 0 },
	};
	static const struct column sources[] = {
		{ "REGISTRY", "name", COLUMN_TEXT, false },
		{ "TYPE", "type", COLUMN_TEXT, false },
		{ "SYNCED", "synced", COLUMN_TEXT, false },
		{ "TAKEN", "taken", COLUMN_COUNT, false },
		{ "REFUSED", "refused", COLUMN_COUNT, false },
		{ "STATE", "message", COLUMN_TEXT, false },
		{ 0 },
	};

	printf("weftd %s, pid %s, up %s, %s\n", render_value(json_object_get(version, "version"), COLUMN_TEXT),
	       render_value(json_object_get(version, "pid"), COLUMN_COUNT),
	       render_value(json_object_get(version, "uptimeSeconds"), COLUMN_SECONDS),
	       json_is_true(json_object_get(ready, "ready")) ? "ready" : "NOT READY");
	printf("kernel path: %s\n\n", render_value(json_object_get(kernel, "summary"), COLUMN_TEXT));
	render_table(stdout, json_object_get(ready, "conditions"), conditions, OUTPUT_TABLE);
	printf("\n");
	render_table(stdout, json_object_get(registries, "registries"), sources, OUTPUT_TABLE);
}

int verb_status(struct cli *c)
{
	int status = 0, err = cli_no_more(c, 0);
	json_t *ready, *kernel = NULL, *version = NULL, *registries = NULL, *all;

	if (err)
		return err;
	ready = cli_get(c, "/ready", &status);
	if (ready)
		kernel = cli_get(c, "/kernel", NULL);
	if (kernel)
		version = cli_get(c, "/version", NULL);
	if (version)
		registries = cli_get(c, "/registries", NULL);
	if (!registries) {
		err = EXIT_FAILED;
	} else if (c->output == OUTPUT_JSON) {
		all = json_pack("{sOsOsOsO}", "ready", ready, "kernel", kernel, "version", version, "registries",
				json_object_get(registries, "registries"));
		render_json(stdout, all);
		json_decref(all);
	} else {
		print_status(ready, kernel, version, registries);
	}
	json_decref(ready);
	json_decref(kernel);
	json_decref(version);
	json_decref(registries);
	return err ? err : status == 200 ? EXIT_OK : EXIT_FAILED;
}

int verb_config_dump(struct cli *c)
{
	int err = cli_no_more(c, 0);
	json_t *v = err ? NULL : cli_get(c, "/config", NULL);

	if (!v)
		return err ? err : EXIT_FAILED;
	render_json(stdout, v);
	json_decref(v);
	return EXIT_OK;
}

int verb_plugins(struct cli *c)
{
	static const struct column columns[] = {
		{ "NAME", "name", COLUMN_TEXT, false }, { "VERSION", "version", COLUMN_TEXT, false },
		{ "ABI", "abi", COLUMN_COUNT, false },	{ "BRINGS", "brings", COLUMN_TEXT, false },
		{ "FILE", "path", COLUMN_TEXT, false }, { 0 },
	};

	return show_rows(c, "/plugins", "plugins", columns);
}

int verb_version(struct cli *c)
{
	int err = cli_no_more(c, 0);
	json_t *mine, *v;

	if (err)
		return err;
	v = cli_get(c, "/version", NULL);
	mine = json_pack("{ss}", "version", WEFT_VERSION);
	if (c->output == OUTPUT_JSON) {
		json_t *both = json_pack("{sOsO*}", "weft", mine, "weftd", v);

		render_json(stdout, both);
		json_decref(both);
	} else {
		printf("weft   %s\n", WEFT_VERSION);
		if (v)
			printf("weftd  %s (map layout %s, ABI of plugins %s, facts on the wire %s, kernel %s)\n",
			       render_value(json_object_get(v, "version"), COLUMN_TEXT),
			       render_value(json_object_get(v, "mapsAbi"), COLUMN_COUNT),
			       render_value(json_object_get(v, "pluginAbi"), COLUMN_COUNT),
			       render_value(json_object_get(v, "wireVersion"), COLUMN_COUNT),
			       render_value(json_object_get(v, "kernel"), COLUMN_TEXT));
	}
	json_decref(mine);
	json_decref(v);
	return v ? EXIT_OK : EXIT_FAILED;
}
