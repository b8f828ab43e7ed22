/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that work without a daemon: doctor, config check, kernel detach. They are weftd's own code: weftd --tool VERB. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* weftd beside this binary, else in PATH. Returns only on failure. */
static int exec_tool(struct cli *c, const char *verb)
{
	char path[4096];
	char *argv[16] = { "weftd", "--tool", (char *)verb };
	int n = 3;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 8);
	char *slash;

	if (c->output == OUTPUT_JSON) {
		argv[n++] = "-o";
		argv[n++] = "json";
	}
	for (int i = 0; i < c->argc && n < 15; i++)
		argv[n++] = c->argv[i];
	argv[n] = NULL;
	fflush(stdout);
	if (len > 0) {
		path[len] = '\0';
		slash = strrchr(path, '/');
		strcpy(slash + 1, "weftd");
		execv(path, argv);
	}
	execvp("weftd", argv);
	return cli_fail(EXIT_FAILED, "weftd is not beside weft and not in PATH: %s", strerror(errno));
}

int verb_doctor(struct cli *c)
{
	return exec_tool(c, "doctor");
}

int verb_kernel_detach(struct cli *c)
{
	return exec_tool(c, "kernel-detach");
}

int verb_config_check(struct cli *c)
{
	if (c->argc != 1)
		return cli_fail(EXIT_USAGE, "config check FILE: one file is needed");
	return exec_tool(c, "config-check");
}
