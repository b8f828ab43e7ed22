/* SPDX-License-Identifier: Apache-2.0 */
/* weftd --tool VERB: what works without a running daemon, by the daemon's own code. */
#pragma once
#include <stdbool.h>

struct tool_args {
	const char *instance;
	bool json;
	int argc;                               /* words after the verb */
	char **argv;
};

/* Exit code: 0, 1 failed, 2 usage or bad configuration. */
int tool_run(const char *verb, const struct tool_args *a);
