/* SPDX-License-Identifier: Apache-2.0 */
/* weftd: one binary, two roles, and tools that need no daemon. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/extensions.h"
#include "base/log_sink.h"
#include "conf/plugin.h"
#include "daemon/builtin.h"
#include "daemon/plugins.h"
#include "daemon/tool.h"
#include "proxy/proxy.h"
#include "weft/str.h"

#define PROXY_LISTEN_FD 3

struct options {
	const char *config, *instance, *log_level, *role, *tool;
	bool check, json, no_splice, spin;
	unsigned workers, drain_ms;
	const char *plugins[PLUGINS_MAX];
	unsigned nplugins;
};

enum { OPT_CHECK = 256, OPT_DRAIN, OPT_INSTANCE, OPT_LOG_LEVEL, OPT_NO_SPLICE, OPT_PLUGIN, OPT_ROLE, OPT_SPIN, OPT_TOOL, OPT_WORKERS, OPT_VERSION };

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "no-splice", no_argument, NULL, OPT_NO_SPLICE },
	{ "spin", no_argument, NULL, OPT_SPIN },
	{ "plugin", required_argument, NULL, OPT_PLUGIN },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "tool", required_argument, NULL, OPT_TOOL },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void usage(FILE *out)
{
	fprintf(out, "usage: weftd -c FILE [--check] [--instance NAME] [--log-level error|warn|info|debug]\n"
		     "       weftd --tool config-check FILE | config-docs | doctor | kernel-detach  [-o json] [--instance NAME]\n"
		     "       weftd --version\n\n"
		     "-c FILE          configuration (" CONFIG_PATH "); conf.d beside it is merged\n"
		     "--check          check the configuration and stop: 0 good, 2 bad (FILE:LINE: field: what is wrong)\n"
		     "--instance NAME  a second daemon on this machine keeps its pins apart by its name\n");
}

static int bad(const char *what, const char *value, const char *allowed)
{
	fprintf(stderr, "weftd: %s %s: must be %s\n", what, value, allowed);
	return 2;
}

static bool name_ok(const char *s)
{
	return *s && strlen(s) <= 32 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static int take(struct options *o, int opt)
{
	enum log_level level;
	char *end;

	switch (opt) {
	case 'c':
		o->config = optarg;
		return 0;
	case 'o':
		o->json = !strcmp(optarg, "json");
		return o->json || !strcmp(optarg, "table") ? 0 : bad("-o", optarg, "table or json");
	case OPT_CHECK:
		o->check = true;
		return 0;
	case OPT_DRAIN:
		o->drain_ms = strtoul(optarg, &end, 10);
		return *end ? bad("--drain", optarg, "milliseconds") : 0;
	case OPT_INSTANCE:
		o->instance = optarg;
		return name_ok(optarg) ? 0 : bad("--instance", optarg, "1 to 32 of a-z, 0-9 and -");
	case OPT_LOG_LEVEL:
		o->log_level = optarg;
		return log_level_parse(slice_str(optarg), &level) ? bad("--log-level", optarg, "error, warn, info or debug") : 0;
	case OPT_NO_SPLICE:
		o->no_splice = true;
		return 0;
	case OPT_PLUGIN:
		if (o->nplugins == PLUGINS_MAX)
			return bad("--plugin", optarg, "one of at most 64");
		o->plugins[o->nplugins++] = optarg;
		return 0;
	case OPT_SPIN:
		o->spin = true;
		return 0;
	case OPT_ROLE:
		o->role = optarg;
		return strcmp(optarg, "proxy") && strcmp(optarg, "agent") ? bad("--role", optarg, "agent or proxy") : 0;
	case OPT_TOOL:
		o->tool = optarg;
		return 0;
	case OPT_WORKERS:
		o->workers = strtoul(optarg, &end, 10);
		return *end || !o->workers || o->workers > WORKERS_MAX ? bad("--workers", optarg, "1 to 64") : 0;
	default:
		return 2;
	}
}

static int run_proxy(const struct options *o)
{
	struct proxy_conf c = { .listen_fd = PROXY_LISTEN_FD, .workers = o->workers ? o->workers : 1,
				.lbs = extensions.lbs, .splice = !o->no_splice, .spin_ns = o->spin ? PROXY_SPIN_NS : 0,
				.drain_ms = o->drain_ms };
	enum log_level level = LOG_LEVEL_INFO;
	struct err e = { 0 };

	if (o->log_level)
		log_level_parse(slice_str(o->log_level), &level);
	log_set_level(level);
	/* As root still: who may write them was root alone, and their constructors need not know of the sandbox. */
	if (!plugins_again(o->plugins, o->nplugins, &e)) {
		c.plugins = plugins_hash();
		if (!proxy_run(&c, &e))
			return 0;
	}
	fprintf(stderr, "weftd: proxy: %s\n", err_text(&e));
	return 1;
}

static int run(const struct options *o, int argc, char **argv)
{
	struct tool_args t = { .instance = o->instance, .json = o->json, .argc = argc, .argv = argv };
	struct agent_conf c = { .path = o->config, .instance = o->instance, .lbs = extensions.lbs, .log_level = o->log_level };

	if (o->tool)
		return tool_run(o->tool, &t);
	if (argc)
		return bad("argument", argv[0], "absent: weftd takes options only");
	if (o->role && !strcmp(o->role, "proxy"))
		return run_proxy(o);
	if (o->check) {
		char *file[] = { (char *)o->config };

		t.argc = 1;
		t.argv = file;
		return tool_run("config-check", &t);
	}
	if (plugins_start(o->config))
		return 2;
	c.registries = registry_choices();
	return agent_run(&c);
}

int main(int argc, char **argv)
{
	struct options o = { .config = CONFIG_PATH };
	int opt, err = 0;

	builtin_add();
	signal(SIGPIPE, SIG_IGN);
	log_open(2);
	while (!err && (opt = getopt_long(argc, argv, "c:o:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return 0;
		}
		if (opt == OPT_VERSION) {
			printf("weftd %s (map layout %d, ABI of plugins %d)\n", WEFT_VERSION, MAPS_ABI, WEFT_ABI);
			return 0;
		}
		err = take(&o, opt);
	}
	if (err) {
		usage(stderr);
		return err;
	}
	return run(&o, argc - optind, argv + optind);
}
