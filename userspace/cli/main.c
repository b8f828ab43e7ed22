/* SPDX-License-Identifier: Apache-2.0 */
/* weft: shows what weftd does. Verbs ask the Admin API; those that must work without a daemon run weftd --tool. */
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin_client.h"
#include "cli/cli.h"

const struct verb verbs[] = {
	{ "status", "", "is it ready, and what is it doing", "weft status", verb_status },
	{ "services", "[NAME]", "services with their addresses, backends and counters", "weft services -o wide", verb_services },
	{ "clusters", "[NAME]", "clusters with their hosts", "weft clusters web", verb_clusters },
	{ "registries", "[NAME]", "where facts come from: what was taken, whom registries watch, what fails", "weft registries", verb_registries },
	{ "listeners", "[NAME]", "listeners: open or why not, and what they count", "weft listeners -o wide", verb_listeners },
	{ "filters", "[NAME]", "filters: who names them, whom they ask, and what they count", "weft filters -o wide", verb_filters },
	{ "methods", "[SERVICE/METHOD]", "methods of gRPC and RPC protocols that were called, and what they count", "weft methods -o wide", verb_methods },
	{ "overload", "[NAME]", "how full the proxy is: memory, connections, descriptors", "weft overload", verb_overload },
	{ "connections", "", "short-circuited connections: open, and lately closed", "weft connections", verb_connections },
	{ "kernel maps", "[NAME]", "BPF maps: size, use, owner; or one map's entries", "weft kernel maps service_map",
	  verb_kernel_maps },
	{ "kernel programs", "", "BPF programs and where they are attached", "weft kernel programs", verb_kernel_programs },
	{ "kernel reasons", "", "why connections took the path they took", "weft kernel reasons", verb_kernel_reasons },
	{ "kernel detach", "[--instance NAME]", "remove every program, map and pin in the safe order", "weft kernel detach",
	  verb_kernel_detach },
	{ "doctor", "", "what this machine allows, and what was found by trying", "weft doctor", verb_doctor },
	{ "routes", "[NAME]", "routes: what each rule asks for and does", "weft routes orders", verb_routes },
	{ "explain",
	  "PROTO ADDRESS [--from CGROUP|PID] [--sample N], or\n"
	  "     explain http METHOD URL [-H 'NAME: VALUE']... [--listener NAME] [--from IDENTITY] [--client IP], or\n"
	  "     explain rpc SERVICE METHOD [-H 'NAME: VALUE']... [--listener NAME] [--from IDENTITY] [--client IP]",
	  "which path a connection, an HTTP request or an RPC call would take, and why",
	  "weft explain tcp 10.96.0.10:80 --from /pods/client\n  weft explain http GET http://web.example/orders -H 'x-user: bob'",
	  verb_explain },
	{ "config check", "FILE", "check a configuration without starting", "weft config check /etc/weft/weft.yaml",
	  verb_config_check },
	{ "config dump", "", "the configuration in force, defaults included", "weft config dump", verb_config_dump },
	{ "plugins", "[NAME]", "plugins that are loaded, and what each brings", "weft plugins", verb_plugins },
	{ "reload", "", "read the configuration again; exit code 2 when it is refused", "weft reload", verb_reload },
	{ "version", "", "versions of weft, weftd and their contracts", "weft version", verb_version },
	{ 0 },
};

int cli_fail(int code, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "weft: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

json_t *cli_get(const struct cli *c, const char *target, int *status)
{
	struct err e = { 0 };
	json_t *v = NULL;
	int got = 0;

	if (admin_ask(c->socket, "GET", target, &got, &v, &e)) {
		cli_fail(EXIT_FAILED, "%s", err_text(&e));
		return NULL;
	}
	if (!status && got != 200) {
		const char *why = json_string_value(json_object_get(v, "error"));

		cli_fail(EXIT_FAILED, "%s", why ? render_value(json_object_get(v, "error"), COLUMN_TEXT) : "weftd refused");
		json_decref(v);
		return NULL;
	}
	if (status)
		*status = got;
	return v;
}

static void drop_words(struct cli *c, int at, int n)
{
	memmove(c->argv + at, c->argv + at + n, (c->argc - at - n) * sizeof(*c->argv));
	c->argc -= n;
}

const char *cli_option(struct cli *c, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < c->argc; i++) {
		const char *v = c->argv[i];

		if (!strcmp(v, name) && i + 1 < c->argc) {
			v = c->argv[i + 1];
			drop_words(c, i, 2);
			return v;
		}
		if (!strncmp(v, name, n) && v[n] == '=') {
			drop_words(c, i, 1);
			return v + n + 1;
		}
	}
	return NULL;
}

int cli_no_more(const struct cli *c, int used)
{
	return c->argc > used ? cli_fail(EXIT_USAGE, "unexpected word: %s (see weft --help)", c->argv[used]) : 0;
}

static void help(FILE *out)
{
	fprintf(out, "usage: weft [--socket PATH] [-o table|wide|json] VERB ...\n\n");
	for (const struct verb *v = verbs; v->name; v++)
		fprintf(out, "  %-16s %s\n", v->name, v->help);
	fprintf(out, "\nweft VERB --help shows a verb's words and an example.\n"
		     "--socket PATH   the daemon's Admin API (/run/weft/admin.sock, or $WEFT_SOCKET)\n"
		     "-o json         what the Admin API answers, or the part of it that the verb shows\n");
}

/* An option at the end of the line, where its value should follow. */
static int check_values(const struct cli *c)
{
	static const struct {
		const char *name, *value;
	} options[] = {
		{ "--socket", "PATH" }, { "-o", "table|wide|json" }, { "--output", "table|wide|json" },
		{ "--from", "CGROUP|PID|IDENTITY" }, { "--listener", "NAME" }, { "--client", "IP" }, { "-H", "'NAME: VALUE'" }, { "--sample", "N" }, { "--instance", "NAME" },
	};

	for (size_t i = 0; c->argc && i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(c->argv[c->argc - 1], options[i].name))
			return cli_fail(EXIT_USAGE, "%s: its value is missing: %s %s", options[i].name, options[i].name,
					options[i].value);
	return 0;
}

/* Names the verbs that begin with the first word; all of them when none does. */
static int unknown_verb(const struct cli *c)
{
	const char *word = c->argv[0], *gap = "";
	size_t n = strlen(word);
	bool group = false;

	for (const struct verb *v = verbs; v->name; v++)
		group |= !strncmp(v->name, word, n) && v->name[n] == ' ';
	if (group && c->argc == 1)
		fprintf(stderr, "weft: %s: a second word is missing; there are: ", word);
	else
		fprintf(stderr, "weft: unknown verb: %s%s%s; there are: ", word, group ? " " : "", group ? c->argv[1] : "");
	for (const struct verb *v = verbs; v->name; v++) {
		if (group && (strncmp(v->name, word, n) || v->name[n] != ' '))
			continue;
		fprintf(stderr, "%s%s", gap, v->name);
		gap = ", ";
	}
	fprintf(stderr, " (see weft --help)\n");
	return EXIT_USAGE;
}

static int help_verb(const struct verb *v)
{
	printf("weft %s%s%s\n  %s\n\nexample:\n  %s\n", v->name, *v->args ? " " : "", v->args, v->help, v->example);
	return EXIT_OK;
}

/* Words of the verb's name that the command line starts with; 0 = not this verb. */
static int verb_words(const struct verb *v, int argc, char **argv)
{
	const char *p = v->name;
	int i = 0;

	while (*p) {
		size_t n = strcspn(p, " ");

		if (i >= argc || strlen(argv[i]) != n || strncmp(argv[i], p, n))
			return 0;
		p += n + (p[n] == ' ');
		i++;
	}
	return i;
}

static int parse_output(struct cli *c)
{
	const char *o = cli_option(c, "-o");

	if (!o)
		o = cli_option(c, "--output");
	if (!o || !strcmp(o, "table"))
		c->output = OUTPUT_TABLE;
	else if (!strcmp(o, "wide"))
		c->output = OUTPUT_WIDE;
	else if (!strcmp(o, "json"))
		c->output = OUTPUT_JSON;
	else
		return cli_fail(EXIT_USAGE, "-o %s: must be table, wide or json", o);
	return 0;
}

static bool take_flag(struct cli *c, const char *a, const char *b)
{
	for (int i = 0; i < c->argc; i++) {
		if (!strcmp(c->argv[i], a) || !strcmp(c->argv[i], b)) {
			drop_words(c, i, 1);
			return true;
		}
	}
	return false;
}

static int run(struct cli *c)
{
	bool asked = take_flag(c, "--help", "-h");

	for (const struct verb *v = verbs; v->name; v++) {
		int n = verb_words(v, c->argc, c->argv);

		if (!n)
			continue;
		drop_words(c, 0, n);
		return asked ? help_verb(v) : v->run(c);
	}
	if (asked || (c->argc == 1 && !strcmp(c->argv[0], "help"))) {
		help(stdout);
		return EXIT_OK;
	}
	if (c->argc)
		return unknown_verb(c);
	help(stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct cli c = { .argc = argc - 1, .argv = argv + 1, .program = argv[0] };
	const char *socket;
	int err;

	setlocale(LC_CTYPE, "");
	socket = cli_option(&c, "--socket");
	c.socket = socket ? socket : getenv("WEFT_SOCKET");
	if (!c.socket)
		c.socket = "/run/weft/admin.sock";
	err = parse_output(&c);
	if (!err)
		err = check_values(&c);
	return err ? err : run(&c);
}
